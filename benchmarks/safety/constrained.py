"""Do PPO-Lagrangian and its PID form keep limits that PPO breaks, and at what price? Five seeds: septic shock, glucose, ICU beds.

    python -m benchmarks.safety.constrained                              # about half an hour of one free core; resumes
    python -m benchmarks.safety.constrained --envs medsim/Sepsis-v0 --seeds 0 1
    python -m benchmarks.safety.constrained --limits                     # what the protocol of every other environment costs, and no more

Limits are set on patients (of ICUAdmission: episodes) of the training side alone, and judged on test patients; one counts as kept within a
tenth. Of septic shock and of ICU beds a limit is what the environment's protocol costs: hours of much norepinephrine, and elective patients
turned away although whoever finds a bed is admitted. No reference policy of glucose has what the agent has, basal rates without boluses;
there it is half of what PPO (seed 0, drawn) costs.

Agents act as they do on a leaderboard: doses are the means of their distributions; PPO's discrete actions are the likeliest, those of the
constrained agents are drawn (``DrawnPolicy``). Where patients are treated with discrete actions, PPO's are judged drawn, too. Settings are
those of ``hyperparameters/*.toml``.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from medsim.core.files import write_whole

RESULTS = Path(__file__).parent / "results"
LIMITED = {
    "medsim/Sepsis-v0": ("high_norepinephrine",),
    "medsim/Glucose-v0": ("glucose_below_70",),
    "medsim/ICUAdmission-v0": ("refused_elective",),
}
OTHERS = {  # have limits in hyperparameters/*.toml, for the full suite
    "medsim/SepsisSCM-v0": "ventilation",
    "medsim/ICUSepsis-v0": "inadmissible_action",
    "medsim/HospitalFlow-v0": "unsafe_nurse_ratio_h",
    "medsim/RegionalNetwork-v0": "diverted_high_acuity",
    "medsim/Theatre-v0": "overtime_h",
}
HALVED = ("medsim/Glucose-v0",)  # limits are half of what PPO costs; elsewhere what the protocol does
ARMS = ("ppo", "ppo-lagrangian", "ppo-pid-lagrangian")
WITHIN = 1.1  # of a limit
OURS, COUNT = 7_000_000, 1000  # training patients and episodes on which limits are measured; no training is keyed by this seed
TEST = {"medsim/Sepsis-v0": 400, "medsim/Glucose-v0": 1000, "medsim/ICUAdmission-v0": 100}  # patients, episodes


def limits_of(env_id: str, free: list[dict[str, Any]]) -> dict[str, float]:
    """Return the limits: what the protocol costs on patients or episodes that no training meets, or half of what PPO's agent does.

    Args:
        free: PPO's record, of seed 0.
    """
    names = LIMITED[env_id]
    if env_id in HALVED:
        return {name: round(0.5 * float(np.mean([one["drawn, training side"]["costs"][name] for one in free])), 3) for name in names}
    costs = protocol_costs(env_id)
    return {name: costs[name] for name in names}


def protocol_costs(env_id: str) -> dict[str, float]:
    """Return what an environment's protocol costs on the training side, each cost by name."""
    from medsim.evaluation.rollout import evaluate
    from medsim.hospital.evaluation import evaluate_hospital
    from medsim.policies import hospital_policies, reference_policies
    from medsim.registry import card, hospital_card, is_hospital

    if is_hospital(env_id):
        protocol: Any = hospital_policies(env_id)[hospital_card(env_id).protocol_policy]()
        found: Any = evaluate_hospital(env_id, protocol, episodes=COUNT, seed=OURS, options={"log_events": False}).costs
    else:
        protocol = reference_policies(env_id)[card(env_id).protocol_policy]()
        found = evaluate(env_id, protocol, cohort="train", patients=COUNT, seed=OURS).costs
    return {name: round(float(values.mean()), 3) for name, values in found.items()}


def one_training(env_id: str, arm: str, seed: int, limits: dict[str, float]) -> dict[str, Any]:
    """Train and judge."""
    import torch

    from medsim_agents.construction import build_environment, build_model
    from medsim_agents.training import plan_training

    torch.set_num_threads(1)
    began = time.process_time()
    planned = plan_training(env_id, arm, seed=seed, **({} if arm == "ppo" else {"cost_limits": limits}))
    settings = planned.hyperparameters
    env = build_environment(arm, env_id, seed, planned.options, settings)
    model = build_model(arm, env, seed, settings)
    with tqdm(total=settings["steps"], desc=f"{env_id} {arm} seed {seed}", unit="step", mininterval=5.0) as bar:
        model.learn(settings["steps"], callback=lambda *_: bar.update(env.num_envs) or True)
    acting = policies_of(planned, model)
    judged = {name: judge(env_id, policy) for name, policy in acting.items()}
    if arm == "ppo" and "drawn" in acting:
        judged["drawn, training side"] = judge(env_id, acting["drawn"], training_side=True)
    return {
        "env": env_id, "arm": arm, "seed": seed, "steps": int(model.num_timesteps), "cpu_s": round(time.process_time() - began, 1),
        **judged.pop("as on a leaderboard"), **judged, "multipliers": {} if arm == "ppo" else model.multipliers,
    }  # fmt: skip


def policies_of(planned: Any, model: Any) -> dict[str, Any]:
    """Return the policy that a leaderboard judges, and of treatments with discrete actions the one that acts the other way."""
    from gymnasium import spaces

    from medsim.registry import is_hospital
    from medsim_agents.policies import DrawnPolicy, ModelPolicy, policy_in_training, scale_in_training

    found: dict[str, Any] = {"as on a leaderboard": policy_in_training(planned, model)}
    if not is_hospital(planned.env) and isinstance(model.action_space, spaces.Discrete):
        name, kind = ("drawn", DrawnPolicy) if planned.algorithm == "ppo" else ("likeliest", ModelPolicy)
        found[name] = kind(planned.algorithm, model, scale_in_training(model), planned.options)
    return found


def judge(env_id: str, policy: Any, training_side: bool = False) -> dict[str, Any]:
    """Return a policy's mean return, its place between floor and ceiling, and its costs, on test patients or episodes (or on those of the
    training side on which limits are measured)."""
    from medsim.evaluation.rollout import DEFAULT_SEED, evaluate
    from medsim.hospital.evaluation import evaluate_hospital
    from medsim.registry import is_hospital

    if is_hospital(env_id):
        found: Any = evaluate_hospital(env_id, policy, episodes=TEST[env_id])
    else:
        cohort, patients, seed = ("train", COUNT, OURS) if training_side else ("test", TEST[env_id], DEFAULT_SEED)
        found = evaluate(env_id, policy, cohort=cohort, patients=patients, seed=seed)
    return {
        "return_mean": float(found.returns.mean()),
        "normalised": float(found.normalised.mean()),
        "costs": {name: float(values.mean()) for name, values in found.costs.items()},
    }


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing, PPO first; returns limits and records by environment."""
    found: dict[str, Any] = {}
    for env_id in args.envs:
        records: list[dict[str, Any]] = []
        limits: dict[str, float] = {}
        for arm in args.arms:
            if arm != "ppo" and not limits:
                limits = kept_limits(args, env_id)
            records += records_of(args, env_id, arm, args.seeds, limits)
        found[env_id] = {"limits": limits, "records": records}
    return found


def kept_limits(args: argparse.Namespace, env_id: str) -> dict[str, float]:
    """Return the limits, measured once."""
    file = args.out / "constrained" / f"{env_id.rpartition('/')[2]}-limits.json"
    if not file.is_file():
        limits = limits_of(env_id, records_of(args, env_id, "ppo", [0], {}))
        write_whole(file, json.dumps(limits, indent=1) + "\n")
    found: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return found


def records_of(args: argparse.Namespace, env_id: str, arm: str, seeds: Any, limits: dict[str, float]) -> list[dict[str, Any]]:
    """Return an arm's records, each read or, where it is missing, trained."""
    records = []
    for seed in seeds:
        file = args.out / "constrained" / f"{env_id.rpartition('/')[2]}-{arm}-{seed}.json"
        if not file.is_file():
            write_whole(file, json.dumps(one_training(env_id, arm, seed, limits), indent=1) + "\n")
        records.append(json.loads(file.read_text(encoding="utf-8")))
    return records


def page(found: dict[str, Any], seeds: list[int]) -> str:
    """Return the figures as a page."""
    lines = [
        "# Limits on harm", "",
        f"`python -m benchmarks.safety.constrained --seeds {' '.join(map(str, seeds))}`. A limit is what the protocol costs on the",
        "training side, of glucose half of what PPO does; it counts as kept within a tenth. Means over 400 (Sepsis) and 1000 (Glucose)",
        "test patients and 100 test episodes (ICUAdmission), each seed. Share of PPO's score: of its normalised return as on a",
        "leaderboard. Research simulation, not medical advice.",
    ]  # fmt: skip
    for env_id, one in found.items():
        limits = one["limits"]
        told = ", ".join(f"{name} at most {limit:.2f}" for name, limit in limits.items())
        lines += [
            "",
            f"## {env_id}: {told}",
            "",
            f"| arm | return (mean, sd over seeds) | {' | '.join(limits)} | all limits kept | share of PPO's score |",
            "|---" * (4 + len(limits)) + "|",
        ]
        free = float(np.mean([record["normalised"] for record in one["records"] if record["arm"] == "ppo"]))
        lines += [line(name, ones, limits, free) for name, ones in rows_of(one["records"]).items()]
    return "\n".join(lines) + "\n"


def rows_of(records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return each row's records: an arm's as it acts on a leaderboard; beneath, where actions are discrete, as it would act otherwise."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for arm in ARMS:
        ones = [record for record in records if record["arm"] == arm]
        rows |= {arm: ones} if ones else {}
        other = "drawn" if arm == "ppo" else "likeliest"
        if ones and all(other in record for record in ones):
            rows[f"{arm}, {other} actions"] = [record[other] for record in ones]
    return rows


def line(name: str, ones: list[dict[str, Any]], limits: dict[str, float], free: float) -> str:
    """Return a row of the table."""
    returns = np.array([one["return_mean"] for one in ones])
    costs = [", ".join(f"{one['costs'][cost]:.2f}" for one in ones) for cost in limits]
    kept = sum(all(one["costs"][cost] <= WITHIN * limit for cost, limit in limits.items()) for one in ones)
    share = np.mean([one["normalised"] for one in ones]) / free
    spread = f" (sd {returns.std(ddof=1):.3f})" if len(ones) > 1 else ""
    return f"| {name} | {returns.mean():.3f}{spread} | {' | '.join(costs)} | {kept} of {len(ones)} seeds | {share:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", choices=list(LIMITED), default=list(LIMITED))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--limits", action="store_true", help="print what the protocols of other environments cost on the training side")
    args = parser.parse_args()
    if args.limits:
        for env_id, name in OTHERS.items():
            print(f"{env_id}: {name} = {protocol_costs(env_id)[name]}", flush=True)
        return
    found = measured(args)
    if set(args.envs) == set(LIMITED) and set(args.arms) == set(ARMS):
        for name, text in (("constrained.json", json.dumps(found, indent=1) + "\n"), ("constrained.md", page(found, args.seeds))):
            write_whole(args.out / name, text)


if __name__ == "__main__":
    main()
