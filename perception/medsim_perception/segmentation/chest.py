"""Where lungs, heart, consolidation and effusion are in a chest X-ray: the recipe `chest-segmentation`.

Labels overlap (consolidation lies in a lung), so each has its own sigmoid. The net learns on rendered chests of scanner "a" only, both
views, each picture of a patient it has not met before, its grey, sharpness, noise and edges changed at random so that it also reads a
scanner it has never seen. The masks are what the renderer drew, hidden behind other things or not. Training and test patients have
different numbers and never meet, nor does an agent meet any of them; the test patients are those of `chest-lung-water`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medsim.imaging import image_keys, random_findings, render_chest
from medsim_perception.metrics import dice
from medsim_perception.recipe import Recipe
from medsim_perception.segmentation.losses import dice_cross_entropy
from medsim_perception.segmentation.postprocessing import tidy_chest
from medsim_perception.segmentation.unet import UNet
from medsim_perception.supervised import Batch, SupervisedLearner
from medsim_perception.vision.augment import ANY_SCANNER, Augmentation
from medsim_perception.vision.learning import generator_of
from medsim_perception.vision.nets import to_floats

__all__ = [
    "ANY_GREY", "PATIENTS", "STRUCTURES", "ChestSegmenter", "RandomMaskedChests", "begin", "begin_with", "build", "judge", "masked_chests",
    "overlap", "predicted", "recipe",
]  # fmt: skip

STRUCTURES = ("lungs", "heart", "consolidation", "effusion")
FINDINGS = ("consolidation", "effusion")  # what a chest may lack
SEED = 0  # of the population; patients are told apart by number
# first number and how many: the ranges of `chest-lung-water`; training draws from more patients than are ever seen twice
PATIENTS = {"train": (1_000_000_000, 50_000_000), "validation": (1_100_000_000, 500), "test": (1_200_000_000, 500)}
SIDE = 64
WIDTH, DEPTH = 16, 2
STEPS, BATCH_SIZE = 1_600, 16
LEARNING_RATE, WEIGHT_DECAY = 6e-3, 0.01
ANY_GREY = replace(ANY_SCANNER, rotation_degrees=0.0, scale=0.0, shift=0.0)  # masks stay where they are
THRESHOLD = 0.5


class MaskedChests(NamedTuple):
    """Rendered chests and where things are in them."""

    images: Tensor  # (n, 1, side, side) uint8
    masks: NDArray[np.bool_]  # (n, 4, side, side), STRUCTURES
    patients: NDArray[np.int64]  # (n,)


class ChestSegmenter(nn.Module):
    """Logits of masks, (n, k, h, w), of grey images (n, 1, h, w), uint8 or floats in 0..1, 28 to 128 pixels a side, multiples of 8."""

    def __init__(self, structures: Sequence[str] = STRUCTURES, width: int = WIDTH, depth: int = DEPTH) -> None:
        super().__init__()
        self.structures = tuple(structures)
        self.net = UNet(1, len(self.structures), width, depth, folded=True)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, in the order of `structures`."""
        logits: Tensor = self.net(to_floats(images))
        return logits


def masked_chests(part: str, scanner: str = "a", *, views: Sequence[str] = ("pa", "ap"), side: int = SIDE, n: int = 500) -> MaskedChests:
    """The chests of the first n "train", "validation" or "test" patients (at most as many as there are), each once in every view."""
    if part not in PATIENTS:
        raise ValueError(f"part must be one of {', '.join(PATIENTS)}, not {part!r}")
    first, many = PATIENTS[part]
    patients = first + np.arange(min(n, many))
    sets = [chests_of(patients, scanner, view, side, image=number) for number, view in enumerate(views)]
    return MaskedChests(torch.cat([s.images for s in sets]), *(np.concatenate([s[k] for s in sets]) for k in (1, 2)))


def chests_of(patients: NDArray[np.int64], scanner: str, view: str, side: int, image: int = 0) -> MaskedChests:
    """One chest of each patient, with findings of their own."""
    keys = image_keys(SEED, len(patients), image=image)
    keys[:, 2] = patients
    rendered = render_chest(keys, random_findings(keys), scanner=scanner, view=view, size=side, masks=True)
    masks = np.stack([rendered.masks[name] for name in STRUCTURES], axis=1)
    return MaskedChests(torch.from_numpy(rendered.image), masks, keys[:, 2])


@lru_cache(maxsize=4)
def test_chests(scanner: str) -> MaskedChests:
    """The test chests of a scanner, rendered once."""
    return masked_chests("test", scanner)


class RandomMaskedChests:
    """A function of a generator and a size that renders new training chests: changed images, (n, 1, side, side), and masks, (n, 4, ...)."""

    def __init__(self, augmentation: Augmentation | None = ANY_GREY, side: int = SIDE) -> None:
        if augmentation and (augmentation.rotation_degrees or augmentation.scale or augmentation.shift or augmentation.mirror):
            raise ValueError(f"an augmentation of images with masks must change grey only, not {augmentation}")
        self.augmentation, self.side = augmentation, side

    def __call__(self, rng: np.random.Generator, n: int) -> Batch:
        """One batch, half of it in each view."""
        first, many = PATIENTS["train"]
        patients = first + rng.integers(many, size=n)
        parts = [chests_of(p, "a", view, self.side) for p, view in zip(np.array_split(patients, 2), ("pa", "ap"), strict=True) if len(p)]
        images = torch.cat([part.images for part in parts])
        masks = torch.from_numpy(np.concatenate([part.masks for part in parts]))
        return images if self.augmentation is None else self.augmentation(images, generator_of(rng)), masks


def loss(model: nn.Module, images: Tensor, masks: Tensor) -> Tensor:
    """Soft Dice of the whole batch, since many chests lack a finding, and cross-entropy."""
    return dice_cross_entropy(model(images).float(), masks, whole_batch=True)


def build() -> ChestSegmenter:
    """The untrained net: 119 thousand weights."""
    return ChestSegmenter()


def begin_with(augmentation: Augmentation | None, seed: int, device: torch.device, steps: int = STEPS) -> SupervisedLearner:
    """A training from scratch with that change of greys, or none."""
    torch.manual_seed(seed)
    return SupervisedLearner(
        build(), RandomMaskedChests(augmentation), loss, seed=seed, device=device, steps=steps, batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY, averaging=0.99,
    )  # fmt: skip


def begin(seed: int, device: torch.device) -> SupervisedLearner:
    """A training from scratch."""
    return begin_with(ANY_GREY, seed, device)


def predicted(model: nn.Module, images: Tensor, *, tidy: bool = True, batch: int = 128) -> NDArray[np.bool_]:
    """Masks of images, (n, k, h, w): probability above a half, tidied by `tidy_chest` unless told not to."""
    structures = tuple(str(name) for name in getattr(model, "structures", STRUCTURES))
    device, training = next(model.parameters()).device, model.training
    model.eval()
    try:
        with torch.inference_mode():
            logits = [model(images[i : i + batch].to(device)).float().cpu() for i in range(0, len(images), batch)]
    finally:
        model.train(training)
    masks = np.asarray(torch.cat(logits).numpy() > np.log(THRESHOLD / (1 - THRESHOLD)))
    return tidy_chest(masks, structures) if tidy else masks


def overlap(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> dict[str, float]:
    """Mean Dice of each structure over the images that have it, and where there is none, the share of the lungs falsely covered.

    Both are masks (n, 4, h, w) in the order of STRUCTURES.
    """
    figures: dict[str, float] = {}
    there = np.asarray(truth.any((2, 3)))
    lungs = truth[:, STRUCTURES.index("lungs")].sum((1, 2))
    for k, name in enumerate(STRUCTURES):
        figures[f"dice_{name}"] = float(dice(truth[there[:, k], k], found[there[:, k], k]).mean())
        if name in FINDINGS:
            lacking = ~there[:, k]
            figures[f"false_area_error_{name}"] = float((found[lacking, k].sum((1, 2)) / lungs[lacking]).mean())
    return figures


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Dice and falsely covered lung on test patients, masks tidied, on scanner "a" and on "b", which it has not seen."""
    figures: dict[str, float] = {}
    for scanner in ("a", "b"):
        data = test_chests(scanner)
        found = overlap(data.masks, predicted(model.to(device), data.images))
        figures.update({f"{name}_scanner_{scanner}": value for name, value in found.items()})
    return figures


def recipe() -> Recipe:
    """How `chest-segmentation` is made."""
    return Recipe(
        name="chest-segmentation",
        question="where are the lungs, the heart, consolidation and pleural effusion in this chest X-ray?",
        data="25,600 rendered chest X-rays of as many simulated patients (medsim.imaging, scanner a, views pa and ap, 64 x 64)",
        licence="Apache-2.0",
        build=build,
        begin=begin,
        judge=judge,
    )
