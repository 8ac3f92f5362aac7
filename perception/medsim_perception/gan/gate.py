"""The gate that made images must pass: they are used only where a classifier that learned from them is better on validation images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Verdict", "quality_gate"]


class Verdict(NamedTuple):
    """What the gate decided, and on what evidence."""

    accepted: bool
    gain: float  # of balanced accuracy on the validation images, with made images less without
    low: float  # its lower bound, one-sided, at the gate's confidence


def quality_gate(
    labels: ArrayLike, without: ArrayLike, with_made: ArrayLike, *, confidence: float = 0.9, draws: int = 1000, seed: int = 0
) -> Verdict:
    """Let made images in only if they raise balanced accuracy on validation images beyond chance.

    `labels`, (n,), are those of validation images, `without` and `with_made` the classes that two classifiers say, trained alike but for
    the made images: (n,), or (k, n) for k pairs of classifiers of different seeds. Validation images are drawn again, within each class,
    `draws` times; the gate opens where the gain is above zero in at least `confidence` of the draws. Test images have no place here.
    Raises ValueError for shapes that do not fit, labels of one class, or a confidence outside 0.5..1.
    """
    y, first, second = np.asarray(labels), np.atleast_2d(without), np.atleast_2d(with_made)
    if y.ndim != 1 or first.shape != second.shape or first.shape[1:] != y.shape:
        raise ValueError(f"predictions must be (n,) or (k, n) for labels (n,), not {first.shape} and {second.shape} for {y.shape}")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence must lie in 0.5..1, 1 excluded, not {confidence}")
    classes = np.unique(y)
    if classes.size < 2:
        raise ValueError(f"the gate needs validation labels of two classes, and all {y.size} are alike")
    gained = (second == y).mean(0) - (first == y).mean(0)  # by image: -1..1
    rng = np.random.default_rng(seed)
    low = float(np.quantile(sum(_means(gained[y == one], draws, rng) for one in classes) / classes.size, 1 - confidence))
    gain = float(np.mean([gained[y == one].mean() for one in classes]))
    return Verdict(low > 0, gain, low)


def _means(values: NDArray[np.float64], draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    means: NDArray[np.float64] = values[rng.integers(len(values), size=(draws, len(values)))].mean(1)
    return means
