"""``python -m benchmarks.hospital.flow``: agents trained on HospitalFlow-v0 beside every reference policy, on the test episodes.

Trains ``medsim train medsim/HospitalFlow-v0 --algo maskable-ppo`` with its tuned settings, one run a seed, in run folders that resume; then
plays all policies on the same episodes and compares each with the protocol, episode by episode. Writes flow.json and FLOW.md.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported by the processes that train

import numpy as np

from benchmarks.speed.report import write_whole
from medsim.evaluation.statistics import percentile_interval
from medsim.hospital.evaluation import DEFAULT_SEED, HospitalResult, evaluate_hospital
from medsim.hospital.shells import FORBIDDEN
from medsim.policies import hospital_policies
from medsim.registry import hospital_card
from medsim_agents.policies import load
from medsim_agents.provenance import commit, hardware, versions
from medsim_agents.training import plan_training, train

__all__ = ["compared", "main"]

HERE = Path(__file__).parent
FLOW, ALGORITHM = "medsim/HospitalFlow-v0", "maskable-ppo"
COSTS = ("target_breaches", "boarding_above_4_h", "unsafe_nurse_ratio_h", "refused_high_acuity", "expected_excess_deaths")
FIGURES = ("wait_of_those_seen_h", "left_unseen_share", "group_wait_ratio", "group_icu_gap")


def trained(seed: int, steps: int | None, runs: str) -> str:
    """Train one seed, or go on with it; returns its run folder."""
    changes = {} if steps is None else {"steps": steps}
    return str(train(plan_training(FLOW, ALGORITHM, seed=seed, **changes), Path(runs) / f"seed{seed}"))


def evaluated(name: str, episodes: int) -> HospitalResult:
    """Evaluate a reference policy by name, or a run folder."""
    references = hospital_policies(FLOW)
    policy: Any = references[name]() if name in references else load(name)
    return evaluate_hospital(FLOW, policy, episodes=episodes)


def compared(returns: np.ndarray, protocol: np.ndarray) -> tuple[float, float, float]:
    """Return the mean difference of two sets of episodes (seeds, n), paired by episode, and its 95 % interval.

    Episodes are drawn anew together for all seeds, and seeds among themselves.
    """
    rng = np.random.default_rng(0)
    difference = np.atleast_2d(returns) - protocol[None]
    seeds, n = difference.shape
    draws = [
        difference[rng.integers(seeds, size=seeds)][:, rng.integers(n, size=n)].mean() for _ in range(4000)
    ]  # fmt: skip
    low, high = percentile_interval(np.array(draws))
    return float(difference.mean()), float(low), float(high)


def row(name: str, results: list[HospitalResult], protocol: HospitalResult) -> dict[str, Any]:
    """Return a policy's row."""
    returns = np.stack([one.returns for one in results])
    difference, low, high = compared(returns, protocol.returns)
    scores = hospital_card(FLOW).scores
    return {
        "policy": name,
        "return": float(returns.mean()),
        "return_by_seed": returns.mean(axis=1).tolist(),
        "normalised": scores.normalised(float(returns.mean())),
        "over_protocol": difference,
        "over_protocol_95": [low, high],
        **{cost: float(np.mean([one.costs[cost].mean() for one in results])) for cost in (*COSTS, FORBIDDEN)},
        **{figure: float(np.mean([one.metrics[figure].mean() for one in results])) for figure in FIGURES},
    }


def page(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """Return the results as a page."""
    card = hospital_card(FLOW)
    heads = (
        "policy", "return", "normalised", "over the protocol", "late", "boarding > 4 h", "unsafe ratio, h", "urgent lost", "excess deaths",
        "wait of those seen, h", "left, %", "wait ratio of groups", "ICU gap of groups",
    )  # fmt: skip
    lines = [
        "# Agents on medsim/HospitalFlow-v0",
        "",
        f"`{about['command']}`, {about['date']}, commit {about['commit']}, {about['machine']['cpu']}, one core a run.",
        f"{about['episodes']} test episodes of a week (seed {DEFAULT_SEED}), the same for all; {about['seeds']} seeds of {ALGORITHM}",
        f"with the tuned settings, {about['steps']:,} decisions each, one policy for all four agents. Normalised: 0 {card.floor_policy},",
        f"1 {card.ceiling_policy} (the best rule known). Over the protocol, {card.protocol_policy}: paired by episode, 95 % bootstrap",
        "interval over episodes and seeds. Simulation for research: excess deaths are associations with delay. Not medical advice.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for one in sorted(rows, key=lambda each: -each["return"]):
        low, high = one["over_protocol_95"]
        by_seed = one["return_by_seed"]
        spread = f" ({min(by_seed):.0f} to {max(by_seed):.0f} over seeds)" if len(by_seed) > 1 else ""
        cells = [
            one["policy"], f"{one['return']:.0f}{spread}", f"{one['normalised']:.2f}",
            f"{one['over_protocol']:+.0f} ({low:+.0f} to {high:+.0f})", f"{one['target_breaches']:.0f}", f"{one['boarding_above_4_h']:.1f}",
            f"{one['unsafe_nurse_ratio_h']:.0f}", f"{one['refused_high_acuity']:.2f}", f"{one['expected_excess_deaths']:.2f}",
            f"{one['wait_of_those_seen_h']:.2f}", f"{100 * one['left_unseen_share']:.1f}", f"{one['group_wait_ratio']:.2f}",
            f"{one['group_icu_gap']:.2f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hospital.flow", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="decisions of each run (default: the tuned number)")
    parser.add_argument("--episodes", type=int, default=hospital_card(FLOW).episodes)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", default="runs/hospital-flow", help="folder of the run folders")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args(arguments)
    seeds, names = range(options.seeds), list(hospital_policies(FLOW))
    with ProcessPoolExecutor(options.processes) as pool:
        folders = list(pool.map(trained, seeds, [options.steps] * len(seeds), [options.runs] * len(seeds)))
        everyone = [*names, *folders]
        results = dict(zip(everyone, pool.map(evaluated, everyone, [options.episodes] * len(everyone)), strict=True))
    protocol = results[hospital_card(FLOW).protocol_policy]
    rows = [row(name, [results[name]], protocol) for name in names]
    rows.append(row(f"**{ALGORITHM}**", [results[folder] for folder in folders], protocol))
    steps = json.loads((Path(folders[0]) / "run.json").read_text(encoding="utf-8"))["steps"]
    about = {
        "command": "python -m benchmarks.hospital.flow", "date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "steps": steps,
        "machine": dict(hardware(cores=1)), "versions": dict(versions()), "episodes": options.episodes, "seeds": options.seeds,
    }  # fmt: skip
    text = page(rows, about)
    print(text)
    write_whole(options.out, {"FLOW.md": text.encode(), "flow.json": (json.dumps({**about, "rows": rows}, indent=1) + "\n").encode()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
