"""What a network says of its own attention, as attributions of cells of a chart.

Attention weights tell which hours a network looks at, not which way they push, nor which column; how far that explains an answer is
contested (Jain & Wallace 2019), and is measured here. RETAIN's state is a sum over cells, so its contributions can be split exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = ["Attentive", "attention_of", "cells_of_hours", "contributions_of"]

SUM_OFF = 1e-3  # chosen: half precision's rounding of a few dozen weights


@runtime_checkable
class Attentive(Protocol):
    """A network over charts that has attention weights; `medsim_perception.ehr.nets.Attention` is one."""

    def attention(self, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
        """How much each hour counts, (n, T), summing to 1."""


def attention_of(model: Any, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor) -> Tensor:
    """A model's attention weights of hours, (n, T), checked; raises TypeError for a model that has none."""
    if not isinstance(model, Attentive):
        raise TypeError(f"the model must have a method `attention` of a chart, and {type(model).__name__} has none")
    with torch.no_grad():
        return checked(model.attention(values, mask, hours_since, statics))


def cells_of_hours(weights: Tensor, mask: Tensor) -> Tensor:
    """Weights of hours, (n, T), shared evenly among what was measured in each, (n, T, F); hours without a measurement give nothing.

    Raises ValueError where weights are not what attention weights are, or shapes do not fit.
    """
    weights = checked(weights)
    if mask.ndim != 3 or mask.shape[:2] != weights.shape:
        raise ValueError(f"mask must have the shape {(*weights.shape, 'F')}, not {tuple(mask.shape)}")
    measured = mask.to(weights.dtype)
    return weights[..., None] * measured / measured.sum(-1, keepdim=True).clamp_min(1.0)


def contributions_of(
    model: Any, answer: Callable[[Tensor], Tensor], values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor
) -> Tensor:
    """What each cell of a chart adds to an answer, (n, T, F), by RETAIN's sum over cells.

    `answer` takes the state before its normalisation, (n, width), and returns (n,). Each cell's share of the state is multiplied by the
    answer's slope there: exact where the answer is linear in the state, and to first order through a LayerNorm. Raises TypeError for a
    model without `contributions` and `core`.
    """
    if not (hasattr(model, "contributions") and hasattr(model, "core")):
        raise TypeError(f"the model must have methods `contributions` and `core`, as RETAIN's has, and {type(model).__name__} lacks them")
    with torch.no_grad():
        parts = model.contributions(values, mask, hours_since, statics)  # (n, T, F, width)
        known = mask.to(values.dtype)
        state = model.core(model.of_values(values) * known, known, hours_since, model._statics(statics))
    state = state.detach().requires_grad_(True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(answer(state).sum(), state)
    return torch.einsum("ntfw,nw->ntf", parts, slope)


def checked(weights: Tensor) -> Tensor:
    """The weights; raises ValueError unless they are (n, T), not negative, and sum to 1 over the hours."""
    if weights.ndim != 2 or not weights.is_floating_point():
        raise ValueError(f"attention weights must be floats (n, T), not {weights.dtype} {tuple(weights.shape)}")
    sums = weights.sum(1)
    if not (bool((weights >= 0).all()) and bool(((sums - 1).abs() <= SUM_OFF).all())):
        raise ValueError(f"attention weights must be 0 or more and sum to 1, not to {float(sums.min()):g} .. {float(sums.max()):g}")
    return weights
