"""Warfarin genotypes from raw reads: accuracy at several error rates and coverages, beside majority calling and the likelihood caller.

    python -m benchmarks.perception.genotype

The two callers are told where each read lies and on which strand; the net finds out. The likelihood caller also knows the error rate and
the frequencies of genotypes: no caller can do better on average. Test patients are the same for all three and for all seeds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch

from benchmarks.perception.vision_runs import (
    arguments,
    machine,
    per_seed,
    size_of,
    summary,
    table,
    trained,
    with_interval,
    write_json,
    write_page,
)  # fmt: skip
from medsim_perception.sequences.callers import majority_caller, posterior
from medsim_perception.sequences.genotype import judge, judged_patients, perceive, recipe, scored
from medsim_perception.sequences.reads import Patients, Reading, genotype_priors
from medsim_perception.weights import halved

NAME = "genotype"
GOAL = 0.99
PATIENTS = 600
READINGS = {
    "error 0.2 %, coverage 30": Reading(error=0.002),
    "error 1 %, coverage 30": Reading(),
    "error 1 %, coverage 10": Reading(coverage=10),
    "error 3 %, coverage 30": Reading(error=0.03),
    "error 10 %, coverage 30": Reading(error=0.1),
    "error 10 %, coverage 10": Reading(error=0.1, coverage=10),
}


@lru_cache
def patients(name: str) -> Patients:
    return judged_patients(READINGS[name], PATIENTS)


def work_on(seed: int, chosen: Any) -> dict[str, Any]:
    model, cpu = halved(trained(recipe(), seed, chosen)), torch.device("cpu")
    by_reading = {}
    for name in READINGS:
        group = patients(name)
        by_reading[name] = scored(perceive(model, group.reads, group.present, cpu).chances, group.copies)
    return {"judge": judge(model, cpu), "readings": by_reading}


def callers() -> dict[str, dict[str, Any]]:
    """The same test patients, called by majority and by likelihood."""
    found = {}
    for name, reading in READINGS.items():
        group = patients(name)
        majority = np.eye(3)[majority_caller(group)]
        found[name] = {
            "majority": scored(majority, group.copies),
            "likelihood": scored(posterior(group, reading, genotype_priors()), group.copies),
        }
    return found


def main() -> None:
    chosen = arguments(__doc__ or "")
    records = per_seed(NAME, chosen, lambda seed: work_on(seed, chosen))
    beside = callers()
    numbers, kb = size_of(trained(recipe(), 0, chosen))
    figures = {name: {m: summary([r["readings"][name][m] for r in records]) for m in records[0]["readings"][name]} for name in READINGS}
    overall = {m: summary([r["judge"][m] for r in records]) for m in records[0]["judge"]}
    write_json(
        chosen.out / f"{NAME}.json", {"seeds": len(records), "machine": machine(), "judge": overall, "readings": figures, "callers": beside}
    )
    rows = []
    for name in READINGS:
        net, (majority, likelihood) = figures[name], beside[name].values()
        cells = [with_interval(net[m]["seeds"], 4) for m in ("accuracy", "recall of one copy", "calibration error")]
        rows.append(
            [name, *cells, f"{majority['accuracy']:.4f}", f"{likelihood['accuracy']:.4f}", f"{likelihood['calibration error']:.4f}"]
        )
    mean = overall["accuracy"]["mean"]
    header = [
        "reads",
        "net: accuracy",
        "net: recall of one copy",
        "net: calibration error",
        "majority",
        "likelihood caller",
        "its calibration error",
    ]
    lines = [
        "# Genotypes of CYP2C9*2, CYP2C9*3 and VKORC1 -1639G>A from raw reads",
        "",
        f"Accuracy over the three sites of {PATIENTS} simulated patients of four populations in equal parts; {numbers:,} weights, "
        f"{kb:.0f} kB.",
        "The callers beside it are told place and strand of every read; the likelihood caller also error rate and frequencies, sites "
        "taken as independent: it is nearly the ceiling.",
        "",
        *table(header, rows),
        "",
        "On the 2,000 patients of the recipe's judge (error 1 %, coverage 30): accuracy "
        f"{with_interval(overall['accuracy']['seeds'], 4)}, all three sites right "
        f"{with_interval(overall['accuracy of three']['seeds'], 4)}.",
        f"Goal: {GOAL} or more at 1 % read error: {'reached' if mean >= GOAL else 'not reached'}.",
        "The flanks of CYP2C9*2 and VKORC1 are synthetic (no published sequence could be checked); those of CYP2C9*3 are GRCh38's.",
        "",
        f"Command: `python -m benchmarks.perception.genotype --seeds {len(records)}`; {machine()}; seeds 0-{len(records) - 1}; "
        f"{np.mean([r['cpu_seconds'] for r in records]):.0f} CPU-s a seed.",
    ]
    write_page(chosen.out / f"{NAME}.md", lines)


if __name__ == "__main__":
    main()
