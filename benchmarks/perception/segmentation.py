"""How well lungs, heart, consolidation and effusion are found on rendered chests: patients never seen, two scanners, two ways to train.

python -m benchmarks.perception.segmentation --seeds 5
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.perception.vision_runs import (
    RESULTS,
    RUNS,
    machine,
    per_seed,
    summary,
    table,
    trained,
    with_interval,
    write_json,
    write_page,
)
from medsim_perception.device import choose_device
from medsim_perception.metrics import dice
from medsim_perception.recipe import Recipe
from medsim_perception.segmentation import chest
from medsim_perception.vision import count_weights
from medsim_perception.vision.augment import Augmentation

NAME = "segmentation"
ARMS: dict[str, Augmentation | None] = {"any-grey": chest.ANY_GREY, "unchanged": None}
GOALS = {"dice_lungs": 0.95, "dice_consolidation": 0.7}
SHARES = ((0.0, 0.05), (0.05, 0.2), (0.2, 1.0))  # of the lungs that a finding covers
TOLD = {"raw": "threshold only", "tidy": "tidied"}

Record = dict[str, Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many trainings an arm, with seeds from 0 on")
    parser.add_argument("--steps", type=int, default=None, help="steps of a training, instead of the recipe's")
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=list(ARMS), help="train and judge these; the page needs both")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the trainings: what is finished there is not done again")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    torch.set_num_threads(1)
    return parser.parse_args()


def recipe_of(arm: str) -> Recipe:
    """The shipped recipe, or the same on pictures as they are."""
    recipe = chest.recipe()
    if arm == "any-grey":
        return recipe
    return replace(recipe, name=f"{recipe.name}-{arm}", begin=partial(chest.begin_with, ARMS[arm]))


def one_seed(arm: str, chosen: argparse.Namespace, seed: int) -> Record:
    model = trained(recipe_of(arm), seed, chosen).to(choose_device(chosen.device))
    record: Record = {}
    for scanner in ("a", "b"):
        data = chest.test_chests(scanner)
        raw = chest.predicted(model, data.images, tidy=False)
        tidy = chest.tidy_chest(raw, chest.STRUCTURES)
        record[scanner] = {"raw": chest.overlap(data.masks, raw), "tidy": chest.overlap(data.masks, tidy), "by_share": by_share(data, tidy)}
    return record


def by_share(data: chest.MaskedChests, found: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, dict[str, float]]:
    """Dice of findings by the share of the lungs that they truly cover, and how many images there are."""
    lungs = data.masks[:, 0].sum((1, 2))
    figures: dict[str, dict[str, float]] = {}
    for name in chest.FINDINGS:
        k = chest.STRUCTURES.index(name)
        share = data.masks[:, k].sum((1, 2)) / lungs
        for low, high in SHARES:
            there = (share > low) & (share <= high)
            score = float(dice(data.masks[there, k], found[there, k]).mean())
            figures[f"{name} {100 * low:.0f} to {100 * high:.0f} %"] = {"dice": score, "images": int(there.sum())}
    return figures


def lines_of(records: dict[str, list[Record]]) -> list[str]:
    """The tables."""
    header = ["trained on", "scanner", "masks", *(f"Dice {name}" for name in chest.STRUCTURES), *(f"false {n}" for n in chest.FINDINGS)]
    rows, names = [], [*(f"dice_{s}" for s in chest.STRUCTURES), *(f"false_area_error_{f}" for f in chest.FINDINGS)]
    for arm, of_arm in records.items():
        for scanner in ("a", "b"):
            for kind, told in TOLD.items():
                rows.append([arm, scanner, told, *(with_interval([r[scanner][kind][name] for r in of_arm]) for name in names)])
    shares = records["any-grey"][0]["a"]["by_share"]
    by_size = [
        [name, str(one["images"]), *(with_interval([r[s]["by_share"][name]["dice"] for r in records["any-grey"]]) for s in ("a", "b"))]
        for name, one in shares.items()
    ]
    return [
        *table(header, rows), "",
        "By how much of the lungs a finding covers (trained on any-grey, tidied):", "",
        *table(["finding", "images", "Dice, scanner a", "Dice, scanner b"], by_size),
    ]  # fmt: skip


def differences(records: dict[str, list[Record]]) -> list[str]:
    """What changing greys and what tidying does to Dice: paired by seed, worked out, not written."""
    lines = []
    for name in chest.STRUCTURES:
        changed, plain = ([r["b"]["tidy"][f"dice_{name}"] for r in records[arm]] for arm in ARMS)
        tidied = [r["a"]["tidy"][f"dice_{name}"] - r["a"]["raw"][f"dice_{name}"] for r in records["any-grey"]]
        gain = [a - b for a, b in zip(changed, plain, strict=True)]
        lines.append(f"- {name}: changed greys, on scanner b {with_interval(gain)}; tidying, on scanner a {with_interval(tidied)}.")
    return lines


def page(records: dict[str, list[Record]]) -> list[str]:
    n = len(records["any-grey"])
    means = {name: float(np.mean([r["a"]["tidy"][name] for r in records["any-grey"]])) for name in GOALS}
    goals = [
        f"- {name}: goal {goal} on scanner a, mean {means[name]:.3f}: {'reached' if means[name] >= goal else 'NOT reached'}"
        for name, goal in GOALS.items()
    ]
    cost = float(np.mean([r["cpu_seconds"] for of_arm in records.values() for r in of_arm]))
    patients = chest.PATIENTS["test"][1]
    return [
        "# Lungs, heart, consolidation and effusion in rendered chests", "",
        f"{n} trainings an arm (seeds 0 to {n - 1}), mean (95 % interval over seeds). Test: {patients} patients, each in views pa and ap,",
        "on scanner a (trained on) and scanner b (never trained on). `any-grey`: greys, sharpness, noise and edges of the training",
        "pictures are changed at random; `unchanged`: they are not. Dice of a finding is the mean over the images that have it, however",
        "small; `false` is, over the images that lack it, the mean share of the lungs that is named all the same. A baseline that finds",
        f"nothing has Dice 0, one that calls the whole of both lungs consolidated {whole_lung():.3f}.", "",
        *lines_of(records), "", *goals, "", "What changes Dice by how much (any-grey less unchanged, tidied less raw; paired by seed):", "",
        *differences(records), "",
        f"Net: U-Net, {count_weights(chest.build())} weights. What lies behind the heart, the diaphragm or an effusion counts in the true",
        "masks and cannot be seen: findings cannot reach 1.", "",
        f"Command: `python -m benchmarks.perception.segmentation --seeds {n}`. Machine: {machine()}; {cost:.0f} CPU-seconds a training.",
    ]  # fmt: skip


def whole_lung() -> float:
    """Dice of naming both lungs consolidated, over the images that have a consolidation."""
    masks = chest.test_chests("a").masks
    k = chest.STRUCTURES.index("consolidation")
    there = masks[:, k].any((1, 2))
    return float(dice(masks[there, k], masks[there, 0]).mean())


def main() -> None:
    chosen = arguments()
    records = {arm: per_seed(f"{NAME}/{arm}", chosen, partial(one_seed, arm, chosen)) for arm in chosen.arms}
    if set(records) != set(ARMS):
        return
    found = {
        arm: {
            scanner: {kind: {name: summary([r[scanner][kind][name] for r in of_arm]) for name in of_arm[0][scanner][kind]} for kind in TOLD}
            for scanner in ("a", "b")
        }
        for arm, of_arm in records.items()
    }
    write_json(chosen.out / f"{NAME}.json", {"arms": found, "goals": GOALS, "machine": machine()})
    write_page(chosen.out / f"{NAME}.md", page(records))


if __name__ == "__main__":
    main()
