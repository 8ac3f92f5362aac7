"""What shields make of the largest doses: rules of the bedside, a look-ahead in the simulator, and both. On test patients; a minute.

    python -m benchmarks.safety.shields

Writes results/shields.json and results/shields.md beside this file.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
PATIENTS = 40
LOOKS = {
    "medsim/Sepsis-v0": {"steps": 6, "cost_limits": {"high_norepinephrine": 0.5, "fluid_overload": 0.5}},
    "medsim/Glucose-v0": {"steps": 72, "cost_limits": {"glucose_below_54": 0.0}, "outcomes": ("severe_hypoglycaemia",)},
}
PROTOCOLS = {"medsim/Sepsis-v0": "surviving-sepsis", "medsim/Glucose-v0": "basal-bolus"}
HARM = {
    "medsim/Sepsis-v0": ("map_below_65", "fluid_overload", "high_norepinephrine"),
    "medsim/Glucose-v0": ("glucose_below_54", "glucose_below_70", "glucose_above_250"),
}


def guarded(env_id: str) -> dict[str, Any]:
    """Return the largest doses behind each set of guards, and the protocol."""
    from medsim.policies import reference_policies
    from medsim.policies.policy import FunctionPolicy
    from medsim.registry import make_task
    from medsim.safety.shield import GLUCOSE_RULES, SEPSIS_RULES, Shield, SimulatorLookahead

    protocol = reference_policies(env_id)[PROTOCOLS[env_id]]
    high = np.asarray(make_task(env_id, **protocol().options).action_space.high, dtype=np.float64)
    rules = SEPSIS_RULES if env_id == "medsim/Sepsis-v0" else GLUCOSE_RULES
    guards: dict[str, dict[str, Any]] = {
        "rules": {"rules": rules},
        "look-ahead": {"lookahead": SimulatorLookahead(**LOOKS[env_id])},
        "rules, look-ahead": {"rules": rules, "lookahead": SimulatorLookahead(**LOOKS[env_id])},
    }

    def most() -> Any:
        return FunctionPolicy("largest doses", lambda seen: np.tile(high, (len(seen), 1)), protocol().options)

    shields = {f"largest doses, {name}": Shield(most(), protocol(), **one) for name, one in guards.items()}
    return {"largest doses": most(), **shields, PROTOCOLS[env_id]: protocol()}


def measured(env_id: str) -> list[dict[str, Any]]:
    """Return a record for each policy."""
    from medsim.evaluation.rollout import evaluate

    found = []
    for name, policy in guarded(env_id).items():
        result = evaluate(env_id, policy, patients=PATIENTS)
        found.append(
            {
                "policy": name,
                "return_mean": float(result.returns.mean()),
                "costs": {cost: float(result.costs[cost].mean()) for cost in HARM[env_id]},
                "outcomes": {outcome: result.outcomes.count(outcome) for outcome in sorted(set(result.outcomes))},
                "interventions": len(getattr(policy, "interventions", ())),
                "why": getattr(policy, "counts", dict)(),
            }
        )
    return found


def page(found: dict[str, list[dict[str, Any]]]) -> str:
    """Return the figures as a page."""
    lines = [
        "# Shields", "",
        f"`python -m benchmarks.safety.shields`: the largest doses that the pumps give, behind guards; {PATIENTS} test patients,",
        "means. The look-ahead sees the simulator's truth. Research simulation, not medical advice.",
    ]  # fmt: skip
    for env_id, records in found.items():
        look = LOOKS[env_id]
        costs = HARM[env_id]
        lines += ["", f"## {env_id}; look-ahead of {look['steps']} steps on {', '.join(look['cost_limits'])}", ""]
        lines += [f"| policy | return | {' | '.join(costs)} | outcomes | interventions |", "|---" * (4 + len(costs)) + "|"]
        for one in records:
            harm = " | ".join(f"{one['costs'][cost]:.2f}" for cost in costs)
            ends = ", ".join(f"{name} {count}" for name, count in one["outcomes"].items())
            lines.append(f"| {one['policy']} | {one['return_mean']:.3f} | {harm} | {ends} | {one['interventions']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    found = {env_id: measured(env_id) for env_id in LOOKS}
    (RESULTS / "shields.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "shields.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
