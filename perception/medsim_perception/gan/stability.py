"""How a training of two players went: what is written down at each step, and what it says afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["check_finite", "gradient_norm", "stability", "update_average"]

DISCRIMINATOR_WINS = 0.98  # chosen: of its calls right: the generator's gradients then say little
EXPLODES = 20.0  # chosen: the 99th percentile of the gradient norm over its median


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """The Euclidean norm of all gradients together."""
    squares = [p.grad.detach().square().sum() for p in parameters if p.grad is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def check_finite(step: int, **losses: Tensor) -> None:
    """Raise FloatingPointError, naming the step and the loss, where one is not finite: a training that has blown up must not be shipped."""
    for name, loss in losses.items():
        if not bool(torch.isfinite(loss.detach())):
            raise FloatingPointError(f"{name} is {float(loss.detach())} at step {step}: lower the learning rates or raise the penalty")


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, keep: float) -> None:
    """Move a running average of weights on by one step: `keep` of the old, the rest of the new."""
    for old, new in zip(average.parameters(), model.parameters(), strict=True):
        old.lerp_(new, 1 - keep)


def stability(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What the written-down steps say of the training; every entry holds the same names.

    Of the last quarter: the mean of every loss and accuracy. Of the whole: `generator_gradient_ratio` and `discriminator_gradient_ratio`,
    the 99th percentile over the median; `discriminator_wins`, the share of steps at which it was right about more than 98 % of images on
    both sides; `exploded`, 1 where a ratio exceeds 20. Raises ValueError for an empty history.
    """
    if not history:
        raise ValueError("a history of at least one step is needed")
    columns = {name: np.array([row[name] for row in history], np.float64) for name in history[0]}
    last = max(1, len(history) // 4)
    found = {name: float(values[-last:].mean()) for name, values in columns.items() if name != "step"}
    ratios = {f"{name}_ratio": _ratio(values) for name, values in columns.items() if name.endswith("_gradient")}
    right = np.minimum(columns["accuracy_real"], columns["accuracy_made"])
    exploded = any(not math.isfinite(ratio) or ratio > EXPLODES for ratio in ratios.values())
    return found | ratios | {"discriminator_wins": float((right > DISCRIMINATOR_WINS).mean()), "exploded": float(exploded)}


def _ratio(norms: np.ndarray) -> float:
    middle = float(np.median(norms))
    return float(np.quantile(norms, 0.99)) / middle if middle > 0 else math.inf
