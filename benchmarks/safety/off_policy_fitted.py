"""Off-policy estimates where courses are no table: septic shock and glucose, with fitted Q evaluation as the model.

    python -m benchmarks.safety.off_policy_fitted       # every study; goes on where it stopped; a quarter of an hour of one core

The truth is the mean return of many other patients under the policy asked about, with its standard error. Bias, error, coverage and
ranking as in ``benchmarks.safety.off_policy``, where values are exact and models are counted.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.safety.off_policy import HEAD, RESULTS, estimator_rows, figures
from medsim.core.files import write_whole
from medsim.datasets import collect
from medsim.evaluation.off_policy import evaluate_off_policy
from medsim.evaluation.rollout import evaluate
from medsim.policies import RandomPolicy, reference_policies
from medsim.policies.chance import Jittered, Softened
from medsim.policies.grid import OnGrid
from medsim.policies.policy import Policy
from medsim_agents.offline.fqe import fqe_evidence

TRUTH_SEED = 8_000_000  # of the patients who tell the truth; data are keyed by others


@dataclass(frozen=True, kw_only=True)
class Study:
    """Who acted (the first of ``asked``) and who is asked about: a reference policy by name, and how much is left to chance.

    Args:
        doses: drawn around what is meant; otherwise choices on the grid, a share of them any action; truth: patients who tell it.
    """

    env: str
    asked: tuple[tuple[str, float], ...]
    sizes: tuple[int, ...]
    truth: int
    repeats: int  # chosen, with sizes: what a quarter of an hour of one core affords
    doses: bool = False
    options: dict[str, Any] = field(default_factory=dict)


SEPSIS, GLUCOSE = "medsim/Sepsis-v0", "medsim/Glucose-v0"
EXPECTED = {"deaths": "expected"}
STUDIES = {
    "sepsis-grid": Study(
        env=SEPSIS, sizes=(200, 1000), truth=20_000, repeats=4, options={**EXPECTED, "action": "discrete"},
        asked=(("surviving-sepsis", 0.1), ("surviving-sepsis", 0.05), ("surviving-sepsis", 0.3), ("adaptive", 0.1), ("random", 1.0)),
    ),
    "sepsis-doses": Study(
        env=SEPSIS, sizes=(500,), truth=20_000, repeats=3, doses=True, options={**EXPECTED, "action": "continuous"},
        asked=(("surviving-sepsis", 0.1), ("surviving-sepsis", 0.08), ("surviving-sepsis", 0.15), ("adaptive", 0.1), ("random", 1.0)),
    ),
    "glucose-grid": Study(
        env=GLUCOSE, sizes=(100, 300), truth=5_000, repeats=3, options={"action": "discrete", "bolus": True},
        asked=(("basal-bolus", 0.003), ("basal-bolus", 0.001), ("basal-bolus", 0.01), ("fixed-basal", 0.003), ("pid-ifb", 0.003)),
    ),
}  # fmt: skip


def policies_of(study: Study) -> list[Policy]:
    """Return the policies asked about, the one that acted first."""
    found: list[Policy] = []
    for name, chance in study.asked:
        if name == "random":
            found.append(RandomPolicy())
            continue
        policy = reference_policies(study.env)[name]()
        found.append(Jittered(policy, chance) if study.doses else Softened(OnGrid(policy), chance))
    return found


def one_repeat(study: Study, size: int, repeat: int) -> dict[str, Any]:
    """Return every estimator's word on every policy from one set of patients."""
    asked = policies_of(study)
    episodes = collect(study.env, asked[0], size, seed=1_000 * size + repeat, options=study.options)
    began, rows = time.process_time(), []
    for policy in asked:
        found = evaluate_off_policy(fqe_evidence(episodes, policy, seed=repeat), seed=repeat)
        rows.append({
            "policy": policy.name, "effective": found.effective_sample_size, "enough": found.enough,
            "said": {name: [one.value, one.low, one.high] for name, one in found.estimates.items()},
        })  # fmt: skip
    return {"repeat": repeat, "policies": rows, "cpu_s": round(time.process_time() - began, 2)}


def truths(study: Study) -> tuple[list[float], list[float]]:
    """Return the mean returns of many patients under the policies asked about, and their standard errors."""
    found = [
        evaluate(study.env, policy, options=study.options, cohort="train", patients=study.truth, seed=TRUTH_SEED).returns
        for policy in policies_of(study)
    ]
    return [float(one.mean()) for one in found], [float(one.std(ddof=1) / len(one) ** 0.5) for one in found]


def kept_lines(path: Path) -> list[dict[str, Any]]:
    """Return what an earlier run has written."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def measured(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Work out what is missing, and return all that there is."""
    folder = args.out / "off_policy_fitted"
    folder.mkdir(parents=True, exist_ok=True)
    boards = []
    with tqdm(
        total=sum(STUDIES[name].repeats * len(STUDIES[name].sizes) for name in args.studies), desc="off-policy, fitted", unit="set"
    ) as bar:
        for name in args.studies:
            study, told = STUDIES[name], folder / f"{name}-truth.json"
            if not told.is_file():
                told.write_text(json.dumps(truths(study)) + "\n")
            truth, error = json.loads(told.read_text())
            for size in study.sizes:
                kept = folder / f"{name}-{size}.jsonl"
                there = kept_lines(kept)
                bar.update(min(len(there), study.repeats))
                for repeat in range(len(there), study.repeats):
                    there.append(one_repeat(study, size, repeat))
                    with kept.open("a") as file:
                        file.write(json.dumps(there[-1]) + "\n")
                    bar.update()
                boards.append({"study": name, "env": study.env, "size": size, "truth_error": error,
                               **figures(truth, there[: study.repeats])})  # fmt: skip
    return boards


def page(boards: list[dict[str, Any]]) -> str:
    """Return the board as a page."""
    lines = [
        "# Off-policy estimates where courses are no table", "",
        "`python -m benchmarks.safety.off_policy_fitted`. The model of dm, dr, wdr and magic is fitted Q",
        "evaluation. True values are means over other patients of the same cohort, with their standard error. Bias, error, coverage and",
        "rank correlation are means over policies and repeats. Research simulation, not medical advice.",
    ]  # fmt: skip
    for board in boards:
        lines += ["", f"## {board['study']}, {board['size']:,} episodes of {board['policies'][0]}, {board['repeats']} repeats", ""]
        lines += [f"{board['env']}; {board['cpu_s']:.0f} s of processor time a repeat.", "", HEAD, "|---|---|---|---|---|"]
        lines += estimator_rows(board)
        names = " | ".join(f"error of {name}" for name in board["estimators"])
        lines += ["", f"| policy | true value (standard error) | effective episodes | refused | {names} |"]
        lines.append("|---" * (4 + len(board["estimators"])) + "|")
        for k, policy in enumerate(board["policies"]):
            errors = " | ".join(f"{row['rmse_by_policy'][k]:.3f}" for row in board["estimators"].values())
            worth = f"{board['truth'][k]:.3f} ({board['truth_error'][k]:.3f})"
            lines.append(f"| {policy} | {worth} | {board['effective'][k]:.1f} | {100 * board['refused'][k]:.0f} % | {errors} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    boards = measured(args)
    if set(args.studies) != set(STUDIES):
        return
    write: list[tuple[str, Callable[[], str]]] = [
        ("off_policy_fitted.json", lambda: json.dumps(boards, indent=1) + "\n"),
        ("off_policy_fitted.md", lambda: page(boards)),
    ]
    for name, text in write:
        write_whole(args.out / name, text())


if __name__ == "__main__":
    main()
