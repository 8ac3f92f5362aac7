"""How good a model's answers are, in NumPy: ranking, classification, calibration, overlap of masks, likeness of images, and intervals.

Labels of two-class metrics are 0 and 1 (or bool), scores and probabilities are larger for 1. Definitions are those of scikit-learn (ranking
and classification), MONAI (Dice) and scikit-image (PSNR, SSIM), and tests hold them to those packages. Everything raises ValueError for
shapes that do not fit, for what is not finite, and for labels of one class where the metric needs both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsim_perception.intervals import Interval, bootstrap_interval, line, mean_interval

__all__ = [
    "Interval", "accuracy", "auprc", "auroc", "balanced_accuracy", "bootstrap_interval", "brier", "calibration_error", "dice", "f1", "iou",
    "mean_interval", "precision", "psnr", "r_squared", "recall", "ssim",
]  # fmt: skip

Floats = NDArray[np.float64]


# ranking


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a 1 scores above a 0, a tie counting half."""
    from scipy.stats import rankdata

    y, s = _two_classes(labels, scores, "auroc")
    positives = int(y.sum())
    rank_sum = float(rankdata(s)[y].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * (y.size - positives))


def auprc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: precision summed over thresholds, weighted by the gain in recall, without interpolation."""
    y, s = _two_classes(labels, scores, "auprc")
    order = np.argsort(-s, kind="stable")
    last_of_ties = np.append(np.diff(s[order]) != 0, True)
    found = np.cumsum(y[order])[last_of_ties]
    named = np.flatnonzero(last_of_ties) + 1
    gains = np.diff(np.concatenate([[0], found]))
    return float((found / named * gains).sum() / y.sum())


# classification


def accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Share of answers that are right, of any number of classes."""
    y, p = _pair(labels, predicted)
    return float((y == p).mean())


def balanced_accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Mean over the classes of the share of each that is found; two classes or more must occur."""
    y, p = _pair(labels, predicted)
    classes = np.unique(y)
    if classes.size < 2:
        raise ValueError(f"balanced_accuracy needs labels of two classes or more, and all {y.size} are {classes[0]:g}")
    return float(np.mean([(p[y == one] == one).mean() for one in classes]))


def precision(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Share of predicted 1 that are 1; raises ValueError where none is predicted."""
    y, p = _binary_pair(labels, predicted)
    if not p.any():
        raise ValueError(f"precision needs a prediction of 1, and all {p.size} are 0")
    return float(y[p].mean())


def recall(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Share of 1 that are predicted; raises ValueError where there is no 1."""
    y, p = _binary_pair(labels, predicted)
    if not y.any():
        raise ValueError(f"recall needs a label of 1, and all {y.size} are 0")
    return float(p[y].mean())


def f1(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Harmonic mean of precision and recall; 0 where no 1 is found, ValueError where 1 neither occurs nor is predicted."""
    y, p = _binary_pair(labels, predicted)
    if not (y.any() or p.any()):
        raise ValueError(f"f1 needs a 1 among labels or predictions, and all {y.size} are 0")
    return float(2 * (y & p).sum() / (y.sum() + p.sum()))


# probabilities


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance of probabilities from what happened; one class is allowed."""
    y, p = _probabilities(labels, probabilities)
    return float(((p - y) ** 2).mean())


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: |share of 1 - mean probability| in bins of equal width, weighted by how many fall in each.

    Naeini et al. 2015 for two classes: the probability of 1 is binned, not that of the predicted class.
    """
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, not {bins}")
    y, p = _probabilities(labels, probabilities)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=y - p, minlength=bins)
    return float(np.abs(gaps).sum() / y.size)


# regression


def r_squared(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Share of variance explained, 1 - residual / total; below 0 where the mean would have been better."""
    y, p = _pair(truth, predicted)
    total = float(((y - y.mean()) ** 2).sum())
    if y.size < 2 or total == 0.0:
        raise ValueError(f"r_squared needs two different true values or more, and there are {y.size} equal to {y[0]:g}")
    return 1.0 - float(((y - p) ** 2).sum()) / total


# masks


def dice(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Dice overlap 2 |A and B| / (|A| + |B|) of masks (..., h, w), one for each image (...); 1 where both are empty."""
    both, first, second = _overlap(truth, predicted)
    return np.where(first + second > 0, 2 * both / np.maximum(first + second, 1), 1.0)


def iou(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Intersection over union of masks (..., h, w), one for each image (...); 1 where both are empty."""
    both, first, second = _overlap(truth, predicted)
    union = first + second - both
    return np.where(union > 0, both / np.maximum(union, 1), 1.0)


def _overlap(truth: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats, Floats]:
    a, b = np.asarray(truth), np.asarray(predicted)
    if a.shape != b.shape or a.ndim < 2 or 0 in a.shape:
        raise ValueError(f"masks must have one shape (..., h, w), not {a.shape} and {b.shape}")
    for mask in (a, b):
        if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
            raise ValueError("masks must be bool, or 0 and 1")
    a, b = a.astype(bool), b.astype(bool)
    both, first, second = (x.sum((-2, -1), dtype=np.float64) for x in (a & b, a, b))
    return both, first, second


# images


def psnr(truth: ArrayLike, image: ArrayLike, data_range: float = 1.0) -> Floats:
    """Peak signal to noise in dB, of images (..., h, w), one for each image (...); infinite where they are equal.

    `data_range` is the largest possible difference of two pixels: 1 for images in 0..1.
    """
    a, b = _images(truth, image, data_range)
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(data_range**2 / ((a - b) ** 2).mean((-2, -1))))[()]


def ssim(truth: ArrayLike, image: ArrayLike, data_range: float = 1.0, *, gaussian: bool = False) -> Floats:
    """Structural similarity of images (..., h, w), one for each image (...) (Wang et al. 2004), as scikit-image works it out.

    Windows are 7 x 7, evenly weighted, or with `gaussian` 11 x 11 with a deviation of 1.5 pixels, as in the paper; variances are those of
    samples (divided by n - 1) and windows that stick out of the image do not count. Images must be as large as a window.
    """
    a, b = _images(truth, image, data_range)
    side = 11 if gaussian else 7
    if min(a.shape[-2:]) < side:
        raise ValueError(f"ssim needs images of at least {side} x {side} pixels, not {a.shape[-2]} x {a.shape[-1]}")
    blur = _window(gaussian, a.ndim)
    unbiased = side**2 / (side**2 - 1)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = unbiased * (blur(a * a) - mean_a**2), unbiased * (blur(b * b) - mean_b**2)
    covariance = unbiased * (blur(a * b) - mean_a * mean_b)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    edge = side // 2
    return np.asarray(likeness[..., edge:-edge, edge:-edge].mean((-2, -1)))[()]


def _window(gaussian: bool, dimensions: int) -> Callable[[Floats], Floats]:
    from scipy.ndimage import gaussian_filter, uniform_filter

    axes = (dimensions - 2, dimensions - 1)
    if gaussian:
        return lambda x: np.asarray(gaussian_filter(x, 1.5, truncate=3.5, axes=axes))
    return lambda x: np.asarray(uniform_filter(x, 7, axes=axes))


def _images(truth: ArrayLike, image: ArrayLike, data_range: float) -> tuple[Floats, Floats]:
    a, b = np.asarray(truth, np.float64), np.asarray(image, np.float64)
    if a.shape != b.shape or a.ndim < 2 or 0 in a.shape:
        raise ValueError(f"images must have one shape (..., h, w), not {a.shape} and {b.shape}")
    if not data_range > 0:
        raise ValueError(f"data_range must be above 0, not {data_range}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("images must be finite")
    return a, b


# checks


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    a, b = line(first, "true values"), line(second, "predictions")
    if a.shape != b.shape:
        raise ValueError(f"there must be one prediction for each true value, not {b.size} for {a.size}")
    return a, b


def _labelled(labels: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    y, other = _pair(labels, second)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"labels must be 0 and 1, not {np.unique(y)[:5]}")
    return y == 1, other


def _two_classes(labels: ArrayLike, scores: ArrayLike, name: str) -> tuple[NDArray[np.bool_], Floats]:
    y, s = _labelled(labels, scores)
    if y.all() or not y.any():
        raise ValueError(f"{name} needs labels of both classes, and all {y.size} are {int(y[0])}")
    return y, s


def _binary_pair(labels: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    y, p = _labelled(labels, predicted)
    if not np.isin(p, (0, 1)).all():
        raise ValueError(f"predictions must be 0 and 1, not {np.unique(p)[:5]}: compare scores with a threshold first")
    return y, p == 1


def _probabilities(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    y, p = _labelled(labels, probabilities)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"probabilities must lie in 0..1, not {p.min():g} to {p.max():g}")
    return y, p


def as_floats(metrics: dict[str, Any]) -> dict[str, float]:
    """Metrics as plain floats, for JSON; raises ValueError naming the first that is not finite."""
    plain = {name: float(value) for name, value in metrics.items()}
    for name, value in plain.items():
        if not np.isfinite(value):
            raise ValueError(f"the metric {name} is {value}")
    return plain
