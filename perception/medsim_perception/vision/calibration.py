"""Honest uncertainty, fitted on validation images that the model did not learn from.

Three small fits: one temperature for the logits (Guo et al. 2017), one threshold for naming the rarer class, and one factor a target for
the widths of intervals (a split-conformal scale: Lei et al. 2018). Each works on arrays, and `calibrate_*` writes the result into the
model's buffers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medsim_perception.vision.heads import Classifier, StateRegressor
from medsim_perception.vision.nets import INTERVAL_Z
from medsim_perception.vision.prediction import estimates_of, logits_of

LEVEL = 0.9
TEMPERATURES = (0.05, 20.0)

Floats = NDArray[np.floating[Any]]


def cross_entropy(logits: Floats, labels: NDArray[np.int64]) -> Floats:
    """Loss of each item, (n,), of logits (n, classes)."""
    shifted = logits - logits.max(1, keepdims=True)
    result: Floats = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]
    return result


def temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """What to divide logits (n, classes) by so that their mean cross-entropy is least; between 0.05 and 20."""
    from scipy.optimize import minimize_scalar

    checked(logits, labels)
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(lambda t: float(cross_entropy(logits / np.exp(t), labels).mean()), bounds=(low, high), method="bounded")
    return float(np.exp(found.x))


def even_threshold(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The margin (logit of class 1 less that of class 0) above which to name class 1, if both classes were equally frequent.

    It is where a logistic curve, fitted to the margins with both classes weighing the same, crosses a half: every image has a say, so it
    moves less from sample to sample than the best cut of a step function, and it does not lean on how frequent the classes happen to be.
    """
    from scipy.optimize import minimize

    checked(logits, labels)
    if logits.shape[1] != 2 or len(set(labels.tolist())) != 2:
        raise ValueError(f"two classes must occur, not {sorted(set(labels.tolist()))} of {logits.shape[1]}")
    margin = logits[:, 1] - logits[:, 0]
    sign = 2.0 * labels - 1
    weight = np.where(labels == 1, 1 / (labels == 1).sum(), 1 / (labels == 0).sum())

    def loss(ab: Floats) -> float:
        return float((weight * np.logaddexp(0, -sign * (np.exp(ab[0]) * margin + ab[1]))).sum() + 1e-3 * ab[0] ** 2)

    slope, offset = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 400}).x
    return float(-offset / np.exp(slope))


def spread(truth: Floats, mean: Floats, sd: Floats, level: float = LEVEL) -> NDArray[np.float64]:
    """Factors, (k,), for standard deviations (n, k), with which mean +- 1.645 sd covers `level` of the true values."""
    same_shapes(truth, mean, sd)
    ratio = np.abs(truth - mean) / sd
    rank = min(1.0, np.ceil((len(ratio) + 1) * level) / len(ratio))
    result: NDArray[np.float64] = np.quantile(ratio, rank, axis=0, method="higher") / INTERVAL_Z
    return result


def coverage(truth: Floats, mean: Floats, sd: Floats) -> NDArray[np.float64]:
    """Share of true values within mean +- 1.645 sd, (k,): 0.9 where intervals are honest."""
    same_shapes(truth, mean, sd)
    result: NDArray[np.float64] = (np.abs(truth - mean) <= INTERVAL_Z * sd).mean(0)
    return result


def calibrate_classifier(model: Classifier, images: torch.Tensor, labels: NDArray[np.int64]) -> None:
    """Set `temperature`, and with two classes `threshold` (a probability after the temperature), from validation images."""
    logits = logits_of(model, images).numpy().astype(np.float64)
    degree = temperature(logits, labels)
    model.temperature.fill_(degree)
    if logits.shape[1] == 2:
        model.threshold.fill_(1 / (1 + np.exp(-even_threshold(logits, labels) / degree)))


def calibrate_regressor(model: StateRegressor, images: torch.Tensor, truth: Floats, level: float = LEVEL) -> None:
    """Set `spread` from validation images and their true values, (n, k)."""
    model.spread.fill_(1.0)
    mean, sd = (part.numpy() for part in estimates_of(model, images))
    model.spread.copy_(torch.from_numpy(spread(truth, mean, sd, level)))


def checked(logits: Floats, labels: NDArray[np.int64]) -> None:
    """Raise ValueError unless there is one label, 0 to classes - 1, for each row of finite logits."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(f"logits (n, classes) need labels (n,), not {logits.shape} and {labels.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(f"labels must lie in 0..{logits.shape[1] - 1}, not {labels.min()}..{labels.max()}")


def same_shapes(truth: Floats, mean: Floats, sd: Floats) -> None:
    """Raise ValueError unless the three are (n, k) and every sd is above 0."""
    if truth.ndim != 2 or not truth.shape == mean.shape == sd.shape or not len(truth):
        raise ValueError(f"truth, mean and sd must have one shape (n, k), not {truth.shape}, {mean.shape} and {sd.shape}")
    if not (sd > 0).all():
        raise ValueError("sd must be above 0")
