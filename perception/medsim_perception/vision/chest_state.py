"""What a chest X-ray says of a patient's state, with its uncertainty: the recipe `chest-lung-water`.

The encoder learns on rendered chests of scanner "a" only, both views, with the grey, sharpness, noise and edges of every picture changed
at random (domain randomisation: Tobin et al. 2017), so that it also reads a scanner that it has never seen. Findings are independent of
each other and cover more than any environment shows. Training, validation and test patients have different numbers and never meet, nor
does an agent meet any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medsim.imaging import image_keys, random_findings, render_chest
from medsim_perception.metrics import r_squared
from medsim_perception.recipe import Recipe
from medsim_perception.supervised import Batch
from medsim_perception.vision.augment import ANY_SCANNER, Augmentation
from medsim_perception.vision.calibration import calibrate_regressor, coverage
from medsim_perception.vision.heads import StateRegressor, gaussian_loss
from medsim_perception.vision.learning import CalibratedLearner, generator_of
from medsim_perception.vision.nets import residual_encoder
from medsim_perception.vision.prediction import estimates_of

TARGETS = ("lung_water_ml_per_kg", "consolidation", "effusion_ml", "heart_size")
"""What the answer's columns are, in order: mL/kg of predicted weight, share of the lung, mL, cardiothoracic ratio of a PA view."""
CENTRE = (19.5, 0.11, 625.0, 0.48)  # about the mean of `random_findings`
SCALE = (9.0, 0.14, 780.0, 0.06)  # about its standard deviation
SIDE = 64
WIDTHS = (8, 16, 32, 32)
GRID = 4
SEED = 0  # of the population; patients are told apart by number
# first number and how many; chosen: environments number their patients from 0 and have fewer than a thousand million
PATIENTS = {"train": (1_000_000_000, 12_000), "validation": (1_100_000_000, 1_000), "test": (1_200_000_000, 1_000)}
STEPS, BATCH_SIZE = 2_500, 64
LEARNING_RATE, WEIGHT_DECAY = 4e-3, 0.01


class ChestSet(NamedTuple):
    """Rendered chests and what is true of them."""

    images: Tensor  # (n, 1, side, side) uint8
    truth: NDArray[np.float32]  # (n, 4), TARGETS
    patients: NDArray[np.int64]  # (n,)


def chests(part: str, scanner: str = "a", *, views: Sequence[str] = ("pa", "ap"), side: int = SIDE) -> ChestSet:
    """The chests of "train", "validation" or "test" patients, each patient once in every view."""
    if part not in PATIENTS:
        raise ValueError(f"part must be one of {', '.join(PATIENTS)}, not {part!r}")
    first, n = PATIENTS[part]
    sets = [chests_of(first, n, scanner, view, side, image=number) for number, view in enumerate(views)]
    return ChestSet(*(torch.cat([s.images for s in sets]),), *(np.concatenate([s[k] for s in sets]) for k in (1, 2)))


def chests_of(first: int, n: int, scanner: str, view: str, side: int, image: int = 0) -> ChestSet:
    """Chests of n patients from number `first` on, with findings of their own."""
    keys = image_keys(SEED, n, first_patient=first, image=image)
    rendered = render_chest(keys, random_findings(keys), scanner=scanner, view=view, size=side, masks=False)
    truth = np.stack([rendered.factors[name] for name in TARGETS], axis=1).astype(np.float32)
    return ChestSet(torch.from_numpy(rendered.image), truth, keys[:, 2])


@lru_cache(maxsize=4)
def training_chests(side: int = SIDE) -> ChestSet:
    """The training chests, rendered once."""
    return chests("train", side=side)


def build() -> StateRegressor:
    """The untrained net: 75 thousand weights, 64 x 64 images, the four `TARGETS`."""
    return StateRegressor(residual_encoder(WIDTHS, stem_stride=2, grid=GRID), TARGETS, CENTRE, SCALE)


class RandomChests:
    """A function of a generator and a size that returns changed images, floats (n, 1, side, side), and standardised truths (n, 4)."""

    def __init__(self, data: ChestSet, augmentation: Augmentation = ANY_SCANNER) -> None:
        self.images, self.augmentation = data.images, augmentation
        self.truth = torch.from_numpy((data.truth - np.array(CENTRE, np.float32)) / np.array(SCALE, np.float32))

    def __call__(self, rng: np.random.Generator, n: int) -> Batch:
        """One batch."""
        chosen = torch.from_numpy(rng.integers(len(self.images), size=n))
        return self.augmentation(self.images[chosen], generator_of(rng)), self.truth[chosen]


def loss(model: StateRegressor, images: Tensor, truth: Tensor) -> Tensor:
    """Gaussian likelihood of the truths."""
    mean, log_variance = model.standard(images)
    return gaussian_loss(mean, log_variance, truth)


def begin_with(
    model: StateRegressor,
    seed: int,
    device: torch.device,
    *,
    side: int = SIDE,
    steps: int = STEPS,
    augmentation: Augmentation = ANY_SCANNER,
) -> CalibratedLearner:
    """A training of that net on rendered chests of that size."""

    def calibrate(trained: nn.Module) -> None:
        assert isinstance(trained, StateRegressor)
        validation = chests("validation", side=side)
        calibrate_regressor(trained, validation.images, validation.truth)

    return CalibratedLearner(
        model, RandomChests(training_chests(side), augmentation), loss, seed=seed, device=device, steps=steps, batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY, averaging=0.99, calibrate=calibrate,
    )  # fmt: skip


def begin(seed: int, device: torch.device) -> CalibratedLearner:
    """A training from scratch."""
    torch.manual_seed(seed)
    return begin_with(build(), seed, device)


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """R2 and coverage of 90 % intervals for each target, on test patients, on scanner "a" and on "b", which it has not seen."""
    found: dict[str, float] = {}
    for scanner in ("a", "b"):
        found.update(judge_on(model.to(device), chests("test", scanner), f"scanner_{scanner}"))
    return found


def judge_on(model: nn.Module, data: ChestSet, suffix: str) -> dict[str, float]:
    """R2 and coverage for each target on some chests; names end in the suffix."""
    estimate = estimates_of(model, data.images)
    mean, sd = (part.numpy() for part in estimate)
    covered = coverage(data.truth, mean, sd)
    found: dict[str, Any] = {}
    for k, name in enumerate(TARGETS):
        found[f"r2_{name}_{suffix}"] = r_squared(data.truth[:, k], mean[:, k])
        found[f"coverage_{name}_{suffix}"] = float(covered[k])
    return found


def recipe() -> Recipe:
    """How `chest-lung-water` is made."""
    return Recipe(
        name="chest-lung-water",
        question="how much water, consolidation and effusion does this chest X-ray show, how large is the heart, and how sure is that?",
        data="24,000 rendered chest X-rays of 12,000 simulated patients (medsim.imaging, scanner a, views pa and ap, 64 x 64)",
        licence="Apache-2.0",
        build=build,
        begin=begin,
        judge=judge,
    )
