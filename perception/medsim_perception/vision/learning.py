"""A supervised training whose last step is a calibration on validation images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medsim_perception.supervised import SupervisedLearner


class CalibratedLearner(SupervisedLearner):
    """A `SupervisedLearner` that calls `calibrate(model)` once the planned steps are done, so that what is shipped knows its own doubt."""

    def __init__(self, model: nn.Module, *arguments: Any, calibrate: Callable[[nn.Module], None], **settings: Any) -> None:
        super().__init__(model, *arguments, **settings)
        self.calibrate = calibrate

    def step(self) -> float:
        """Make one update, and after the last one calibrate; returns the update's loss."""
        loss = super().step()
        if self.step_number == self.planned_steps:
            self.calibrate(self.model)
        return loss


def generator_of(rng: np.random.Generator) -> torch.Generator:
    """A generator of torch that follows from one of NumPy."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def balanced_choice(labels: np.ndarray[Any, np.dtype[np.int64]], rng: np.random.Generator, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places of `n` items drawn with replacement so that every class is equally likely."""
    classes = np.unique(labels)
    members = [np.flatnonzero(labels == one) for one in classes]
    drawn = rng.integers(len(classes), size=n)
    return np.array([rng.choice(members[one]) for one in drawn], np.int64)


def as_images(images: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    """A tensor that shares memory with an array where it can (read-only arrays are copied)."""
    return torch.from_numpy(images if images.flags.writeable else images.copy())
