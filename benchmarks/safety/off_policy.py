"""How far off-policy estimates are from the truth, which is known here: bias, error, coverage and ranking of every estimator.

    python -m benchmarks.safety.off_policy            # every environment and size; goes on where it stopped
    python -m benchmarks.safety.off_policy --envs medsim/ICUSepsis-v0 --sizes 200 --repeats 5

Where courses are tables a policy's value is exact. Episodes are logged under one policy; the policies asked about lie between it and
others, a tenth, a half and all of the way. A repeat is another set of patients.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from medsim.core.decision_tables import DecisionTable
from medsim.core.files import write_whole
from medsim.core.tabular import TabularTask
from medsim.evaluation.counterfactual import by_state, record_trajectories
from medsim.evaluation.off_policy import evaluate_off_policy, table_evidence
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.policy import Policy
from medsim.policies.table import TablePolicy

RESULTS = Path(__file__).parent / "results"
WAYS = (0.1, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class Study:
    """Who acted, and whose way the policies asked about go; ``options`` let all see the same."""

    behaviour: str
    others: tuple[str, ...]
    options: dict[str, Any]


STUDIES = {
    "medsim/ICUSepsis-v0": Study(behaviour="expert", others=("optimal", "random"), options={}),
    "medsim/SepsisSCM-v0": Study(
        behaviour="physician-soft", others=("optimal-stationary", "random", "antibiotics"), options={"observation": "full"}
    ),
}


def between(env: str, first: Policy, second: Policy, way: float, options: dict[str, Any]) -> TablePolicy:
    """Return the policy that goes a way from one policy towards another."""

    def make(task: TabularTask) -> DecisionTable:
        probabilities = (1.0 - way) * by_state(first, task) + way * by_state(second, task)
        view = task.view_name
        codes = task.tables.views[view].code_of_state
        table = np.full((len(probabilities), int(codes.max()) + 1, probabilities.shape[2]), 1.0 / probabilities.shape[2])
        table[:, codes] = probabilities
        return DecisionTable(observation=view, probabilities=table)

    return TablePolicy(f"{way:g} of the way to {second.name}", make, options=options)


def policies_of(env: str) -> tuple[Policy, list[TablePolicy]]:
    """Return who acted, and the policies asked about: the same one first."""
    study, there = STUDIES[env], reference_policies(env)
    acted = there[study.behaviour]()
    asked = [between(env, acted, acted, 0.0, study.options)]
    asked += [between(env, acted, there[name](), way, study.options) for name in study.others for way in WAYS]
    return acted, asked


def one_repeat(env: str, size: int, repeat: int) -> dict[str, Any]:
    """Return every estimator's word on every policy from one set of patients."""
    acted, asked = policies_of(env)
    episodes = record_trajectories(env, acted, size, seed=1_000 * size + repeat, **STUDIES[env].options)
    began, rows = time.process_time(), []
    for policy in asked:
        found = evaluate_off_policy(table_evidence(episodes, acted, policy), seed=repeat)
        rows.append({
            "policy": policy.name, "effective": found.effective_sample_size, "enough": found.enough,
            "said": {name: [one.value, one.low, one.high] for name, one in found.estimates.items()},
        })  # fmt: skip
    return {"repeat": repeat, "policies": rows, "cpu_s": round(time.process_time() - began, 2)}


def truths(env: str) -> list[float]:
    """Return the exact values of the policies asked about."""
    found = [exact_score(env, policy, options=STUDIES[env].options, cohort="train") for policy in policies_of(env)[1]]
    return [one.exact.value for one in found if one is not None]


def measured(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Work out what is missing, and return all that there is."""
    boards = []
    work = [(env, size, repeat) for env in args.envs for size in args.sizes for repeat in range(args.repeats)]
    with tqdm(total=len(work), desc="off-policy", unit="set") as bar:
        for env in args.envs:
            for size in args.sizes:
                kept = args.out / "off_policy" / f"{env.rpartition('/')[2]}-{size}.jsonl"
                kept.parent.mkdir(parents=True, exist_ok=True)
                there = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
                for repeat in range(len(there), args.repeats):
                    there.append(one_repeat(env, size, repeat))
                    with kept.open("a") as file:
                        file.write(json.dumps(there[-1]) + "\n")
                    bar.update()
                boards.append({"env": env, "size": size, **figures(truths(env), there[: args.repeats])})
    return boards


def figures(truth: list[float], repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """Return bias, root mean square error, coverage and rank correlation of every estimator, over policies and repeats."""
    names = list(repeats[0]["policies"][0]["said"])
    values = {name: np.array([[row["said"][name][0] for row in one["policies"]] for one in repeats]) for name in names}
    effective = np.array([[row["effective"] for row in one["policies"]] for one in repeats])
    rows: dict[str, Any] = {}
    for name in names:
        error = values[name] - np.array(truth)
        ends = [[row["said"][name][1:] for row in one["policies"]] for one in repeats]
        covered = None
        if ends[0][0][0] is not None:
            low, high = np.moveaxis(np.array(ends, dtype=np.float64), -1, 0)
            covered = float(((low <= truth) & (truth <= high)).mean())
        ranks = [spearmanr(one, truth).statistic if np.ptp(one) > 0 else 0.0 for one in values[name]]
        rows[name] = {
            "bias": float(error.mean()), "rmse": float(np.sqrt((error**2).mean())), "coverage_95": covered,
            "rank_correlation": float(np.mean(ranks)), "rmse_by_policy": np.sqrt((error**2).mean(axis=0)).tolist(),
        }  # fmt: skip
    return {
        "policies": [row["policy"] for row in repeats[0]["policies"]], "truth": truth, "effective": effective.mean(axis=0).tolist(),
        "refused": [float(np.mean([not one["policies"][k]["enough"] for one in repeats])) for k in range(len(truth))],
        "repeats": len(repeats), "estimators": rows, "cpu_s": float(np.mean([one["cpu_s"] for one in repeats])),
    }  # fmt: skip


HEAD = "| estimator | bias | root mean square error | 95 % intervals that hold the truth | rank correlation |"


def page(boards: list[dict[str, Any]], args: argparse.Namespace) -> str:
    """Return the board as a page."""
    lines = [
        "# Off-policy estimates beside the truth", "",
        f"`python -m benchmarks.safety.off_policy --sizes {' '.join(map(str, args.sizes))} --repeats {args.repeats}`. Values are exact",
        "(dynamic programming); episodes are logged under one policy; policies asked about lie between it and others. Means over policies",
        "and repeats. The model of dm, dr, wdr and magic is counted from the same episodes. Research simulation, not medical advice.",
    ]  # fmt: skip
    for board in boards:
        study = STUDIES[board["env"]]
        lines += ["", f"## {board['env']}, {board['size']:,} episodes of {study.behaviour}, {board['repeats']} repeats", "", HEAD]
        lines.append("|---|---|---|---|---|")
        lines += estimator_rows(board)
        lines += [
            "",
            "| policy | value | effective episodes | refused | " + " | ".join(f"error of {n}" for n in board["estimators"]) + " |",
        ]
        lines.append("|---" * (4 + len(board["estimators"])) + "|")
        for k, policy in enumerate(board["policies"]):
            errors = " | ".join(f"{row['rmse_by_policy'][k]:.3f}" for row in board["estimators"].values())
            refused = f"{100 * board['refused'][k]:.0f} %"
            lines.append(f"| {policy} | {board['truth'][k]:.4f} | {board['effective'][k]:.0f} | {refused} | {errors} |")
    return "\n".join(lines) + "\n"


def estimator_rows(board: dict[str, Any]) -> list[str]:
    """Return a line an estimator, under ``HEAD``."""
    lines = []
    for name, row in board["estimators"].items():
        covered = "-" if row["coverage_95"] is None else f"{100 * row['coverage_95']:.0f} %"
        lines.append(f"| {name} | {row['bias']:+.3f} | {row['rmse']:.3f} | {covered} | {row['rank_correlation']:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--sizes", nargs="+", type=int, default=[200, 1000, 5000])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    boards = measured(args)
    args.out.mkdir(parents=True, exist_ok=True)
    write: list[tuple[str, Callable[[], str]]] = [
        ("off_policy.json", lambda: json.dumps(boards, indent=1) + "\n"),
        ("off_policy.md", lambda: page(boards, args)),
    ]
    for name, text in write:
        write_whole(args.out / name, text())


if __name__ == "__main__":
    main()
