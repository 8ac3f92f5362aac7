"""The recipe `chest-cyclegan`: rendered chest X-rays of scanner b made to look as scanner a's, and the other way round.

Trained without pairs: every patient was seen by one scanner only. Since the renderer can put an unseen patient under both, the result is
judged against the truth, which no training set of real scanners has.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medsim.imaging import image_keys, random_findings, render_chest
from medsim_perception.gan.cycle import CycleLearner, CycleSettings, cycle_psnr, translate
from medsim_perception.gan.cycle_nets import ScannerTranslation
from medsim_perception.metrics import psnr
from medsim_perception.recipe import Recipe

__all__ = ["Pair", "build", "chests", "recipe", "same_patients"]

WORLD_SEED = 20_111  # the renderer's seed; patients are apart by number
FIRST_A, FIRST_B, FIRST_TEST = 0, 1_000_000, 2_000_000  # numbers of the first patients: training on a, training on b, judging
SIDE, TRAIN_EACH, TEST = 64, 2000, 400
SETTINGS = CycleSettings(steps=600)


class Pair(NamedTuple):
    """The same patients under both scanners."""

    a: NDArray[np.uint8]
    b: NDArray[np.uint8]


def chests(n: int, first_patient: int, scanner: str, side: int = SIDE) -> NDArray[np.uint8]:
    """Chests of n patients with independent findings under a scanner, (n, 1, side, side); the first half standing, the second at the
    bedside."""
    keys = image_keys(WORLD_SEED, n, first_patient=first_patient)
    parts = [(keys[: n // 2], "pa"), (keys[n // 2 :], "ap")]
    return np.concatenate([render_chest(k, random_findings(k), scanner=scanner, view=view, size=side).image for k, view in parts])


def same_patients(n: int, first_patient: int, side: int = SIDE) -> Pair:
    """Chests of n patients under scanner a and under scanner b."""
    return Pair(chests(n, first_patient, "a", side), chests(n, first_patient, "b", side))


def build() -> ScannerTranslation:
    """The untrained translators."""
    return ScannerTranslation(SETTINGS.width, SETTINGS.blocks)


@lru_cache(maxsize=4)
def unpaired(n: int, side: int = SIDE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images of n patients under scanner a and of n others under scanner b."""
    return chests(n, FIRST_A, "a", side), chests(n, FIRST_B, "b", side)


def begin(seed: int, device: torch.device) -> CycleLearner:
    """A training on 2,000 patients of each scanner."""
    a, b = (torch.from_numpy(one) for one in unpaired(TRAIN_EACH))
    return CycleLearner(a, b, seed, device, SETTINGS)


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Likeness, in dB, to the true picture by the other scanner, of 400 unseen patients, and after the way there and back."""
    assert isinstance(model, ScannerTranslation)
    return likeness(model.to(device), same_patients(TEST, FIRST_TEST))


def likeness(model: nn.Module, pair: Pair) -> dict[str, float]:
    """Peak signal to noise, dB: translated against true, untranslated against true, and after the way there and back."""
    a, b = pair
    return {
        "psnr_b_to_a": _psnr(a, translate(model, b, "a")),
        "psnr_a_to_b": _psnr(b, translate(model, a, "b")),
        "psnr_untranslated": _psnr(a, b),
        "psnr_a_b_a": cycle_psnr(model, a, "b"),
        "psnr_b_a_b": cycle_psnr(model, b, "a"),
    }


def _psnr(truth: NDArray[np.uint8], image: NDArray[np.uint8]) -> float:
    return float(np.mean(psnr(truth / 255.0, image / 255.0)))


def recipe() -> Recipe:
    """How `chest-cyclegan` is made."""
    return Recipe(
        name="chest-cyclegan",
        question="what would this chest X-ray look like on the other scanner?",
        data="4,000 chest X-rays rendered by medsim.imaging, 64 x 64, no patient on both scanners",
        licence="Apache-2.0",
        build=build,
        begin=begin,
        judge=judge,
    )
