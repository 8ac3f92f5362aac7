"""The page and the record of ``benchmarks.perception.augmentation``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.perception.vision_runs import machine, summary, table, with_interval, write_json, write_page
from medsim_perception.gan.gate import quality_gate
from medsim_perception.gan.protocol import ARMS, efficiency

METRICS = ("balanced accuracy", "rare recall", "AUROC", "AUPRC")
PAIRS = (("made", "nothing", "extra real"), ("made + balanced", "balanced sampling", "extra real + balanced"))
TITLES = {
    "real": "Real: PneumoniaMNIST, 388 normal and 3,494 pneumonia; 826 normal held back; test 234 normal, 390 pneumonia",
    "rendered": "Rendered: 100 with consolidation and 1,500 without, 32 x 32; 700 with held back; test 500 with, 1,000 without",
}
HARM = -0.005  # the gate may not lower balanced accuracy by more
INTRODUCTION = """# Made images for a rare class

`nothing` draws training images as they come; every other arm differs in one thing. `made` adds as many images of the rare class, made by
a generator that learned from the skewed training images only, as `extra real` adds of those held back (the upper bound). All arms of a
seed are the same net (20 thousand weights) from the same weights, trained for the same number of steps; thresholds are not tuned. Means
over seeds with 95 % t-intervals; differences are paired by seed. Seeds share a few generators, so an interval says how surely these
generators' images help other classifiers, not what another generator's would do. Distances are on features of our own classifier and
comparable within a table only; they see what tells disease apart and overlook crude textures, which a net that is trained to tell made
from real does not."""


def column(task: dict[str, Any], arm: str, metric: str, part: str = "test") -> list[float]:
    return [float(seed["arms"][arm][part][metric]) for seed in task["seeds"]]


def gated(task: dict[str, Any], made: str, without: str, metric: str) -> list[float]:
    """What a user of the gate gets: the arm with made images where the gate opened, the other where not."""
    return [float(one["arms"][made if one["gate"][made]["accepted"] else without]["test"][metric]) for one in task["seeds"]]


def less(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(first, second, strict=True)]


def points(values: Sequence[float]) -> str:
    return with_interval([100 * value for value in values], 1)


def write(results: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Both files, whole."""
    lines = INTRODUCTION.splitlines()
    record: dict[str, Any] = {"machine": machine(arguments.device), "gan_steps": arguments.gan_steps, "gans": arguments.gans, "tasks": {}}
    command = (
        f"python -m benchmarks.perception.augmentation --seeds {arguments.seeds} --gans {arguments.gans} --gan-steps {arguments.gan_steps}"
    )
    lines += [
        "",
        f"Command: `{command}` on {record['machine']}. Seeds 0 to {arguments.seeds - 1}; seed s uses generator s mod {arguments.gans}.",
    ]
    for name, task in results.items():
        lines += [
            "",
            f"## {TITLES[name]}",
            "",
            *arm_table(task),
            "",
            *difference_table(task),
            "",
            *gate_lines(task),
            "",
            *generator_table(task),
        ]
        record["tasks"][name] = recorded(task)
    write_page(arguments.out / "augmentation.md", lines)
    write_json(arguments.out / "augmentation.json", record)


def arm_table(task: dict[str, Any]) -> list[str]:
    rows = [[arm, *(with_interval(column(task, arm, metric)) for metric in METRICS)] for arm in ARMS]
    rows += [[f"{made}, gated", *(with_interval(gated(task, made, without, metric)) for metric in METRICS)] for made, without, _ in PAIRS]
    return table(["arm", *METRICS], rows)


def difference_table(task: dict[str, Any]) -> list[str]:
    """Percentage points against plain and against balanced sampling."""
    rows = []
    for arm in ARMS:
        row = [arm]
        for base in ("nothing", "balanced sampling"):
            row += [points(less(column(task, arm, metric), column(task, base, metric))) if arm != base else "" for metric in METRICS[:2]]
        rows.append(row)
    header = [
        "less, in points",
        "nothing: balanced accuracy",
        "nothing: rare recall",
        "balanced sampling: balanced accuracy",
        "and: rare recall",
    ]
    return table(header, rows)


def gate_lines(task: dict[str, Any]) -> list[str]:
    lines = []
    for made, without, upper in PAIRS:
        opened = [one["gate"][made]["accepted"] for one in task["seeds"]]
        change = less(gated(task, made, without, "balanced accuracy"), column(task, without, "balanced accuracy"))
        said = [[one["said"][arm] for one in task["seeds"]] for arm in (without, made)]
        together = quality_gate(task["validation_labels"], *said)
        shares = [efficiency(*(float(np.mean(column(task, arm, metric))) for arm in (without, made, upper))) for metric in METRICS]
        worth = ", ".join(f"{metric} {share:.2f}" for metric, share in zip(METRICS, shares, strict=True))
        evidence = f"validation gain {100 * together.gain:.1f} points, lower bound {100 * together.low:.1f}"
        kept = "kept" if np.mean(change) >= HARM else "NOT kept"
        lines.append(
            f"- **{made}** against **{without}**: the gate opened for {sum(opened)} of {len(opened)} seeds (all seeds together: "
            f"{'open' if together.accepted else 'shut'}, {evidence}). "
            f"Gated less ungated base, test balanced accuracy: {points(change)} points (limit -0.5: {kept}). "
            f"Efficiency of means, (made - base) / (extra real - base): {worth} (nan: real images bring nothing either)."
        )
    return lines


def generator_table(task: dict[str, Any]) -> list[str]:
    """What the generators are like."""
    rows = [
        ("Frechet distance to held-back real images", "distances", "frechet"),
        ("the same of real training images", "distances", "frechet_of_real"),
        ("the same before training", "distances_untrained", "frechet"),
        ("kernel distance", "distances", "kernel"),
        ("the same of real training images", "distances", "kernel_of_real"),
        ("the same before training", "distances_untrained", "kernel"),
        *((f"{name.replace('_', ' ')}", "diversity", name) for name in task["generators"][0]["diversity"]),
        ("copies (0.05 where nothing is copied)", "memorisation", "copies"),
        ("nearer to training images than unseen ones are", "memorisation", "nearer"),
        ("told from real ones by a net trained to do so, AUROC", "told_apart", "by_a_net"),
        ("discriminator right: real", "stability", "accuracy_real"),
        ("discriminator right: made", "stability", "accuracy_made"),
        ("discriminator wins, share of steps", "stability", "discriminator_wins"),
        ("generator's gradients, 99th percentile over median", "stability", "generator_gradient_ratio"),
    ]
    cells = [[text, *(f"{one[part][name]:.3f}" for one in task["generators"])] for text, part, name in rows]
    return table(["generator, images of the rare class", *(f"seed {k}" for k in range(len(task["generators"])))], cells)


def recorded(task: dict[str, Any]) -> dict[str, Any]:
    """Means, intervals and seeds by arm, gate and generators."""
    arms = {arm: {metric: summary(column(task, arm, metric)) for metric in METRICS} for arm in ARMS}
    for made, without, _ in PAIRS:
        arms[f"{made}, gated"] = {metric: summary(gated(task, made, without, metric)) for metric in METRICS}
    generators = [{part: one[part] for part in one if part != "history"} for one in task["generators"]]
    return {"arms": arms, "gate": [one["gate"] for one in task["seeds"]], "generators": generators}
