"""Explanations of a network over charts: what each measured cell, (n, T, F), adds to one answer.

Unmeasured cells carry no information of their own and get 0. The answer is one number a stay, such as the logit of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from medsim_perception.ehr.nets import ChartNet
from medsim_perception.ehr.standardise import SMALLEST
from medsim_perception.explanation.attention import attention_of, cells_of_hours, contributions_of
from medsim_perception.explanation.charts import hours_since
from medsim_perception.explanation.gradients import Answer, gradient_of, integrated_gradients

__all__ = ["METHODS", "RETAIN_ONLY", "ChartBatch", "explain_cells", "hide_cells"]


class ChartBatch(NamedTuple):
    """What a `ChartNet` takes."""

    values: Tensor  # (n, T, F)
    mask: Tensor  # (n, T, F), 1 where measured
    hours_since: Tensor  # (n, T, F)
    statics: Tensor  # (n, S)


Method = Callable[[ChartNet, str, ChartBatch], Tensor]


def logit_of(model: ChartNet, head: str, chart: ChartBatch) -> Answer:
    """The first output of a head as a function of the values alone."""
    if head not in model.heads:
        raise ValueError(f"head must be one of {', '.join(model.heads)}, not {head!r}")
    return lambda values: model(values, chart.mask, chart.hours_since, chart.statics)[head][:, 0]


def integrated(model: ChartNet, head: str, chart: ChartBatch) -> Tensor:
    """Integrated gradients from the mean of each column."""
    return integrated_gradients(logit_of(model, head, chart), chart.values, mean_of(model), steps=16)


def mean_of(model: ChartNet) -> Tensor:
    """The value of each column that the network takes as 0, (F,)."""
    scale = model.of_values
    return torch.where(scale.logarithmic, scale.centre.exp() - SMALLEST, scale.centre)


def gradient(model: ChartNet, head: str, chart: ChartBatch) -> Tensor:
    """The size of the gradient, per spread of each column."""
    scale = model.of_values
    per_spread = scale.spread * torch.where(scale.logarithmic, chart.values.clamp(min=0.0) + SMALLEST, 1.0)
    return (gradient_of(logit_of(model, head, chart), chart.values) * per_spread).abs()


def hide_cells(model: ChartNet, head: str, chart: ChartBatch) -> Tensor:
    """Occlusion: by how much the answer falls when a cell was not measured and its column's hours count from the measurement before."""
    fall = torch.zeros_like(chart.values)
    with torch.no_grad():
        before = logit_of(model, head, chart)(chart.values)
        for hour in range(chart.values.shape[1]):
            for column in range(chart.values.shape[2]):
                mask = chart.mask.clone()
                mask[:, hour, column] = 0
                since = torch.from_numpy(hours_since(mask.bool().cpu().numpy())).to(mask.device)
                hidden = ChartBatch(chart.values * mask, mask, since, chart.statics)
                fall[:, hour, column] = before - logit_of(model, head, hidden)(hidden.values)
    return fall


def contributed(model: ChartNet, head: str, chart: ChartBatch) -> Tensor:
    """RETAIN's contributions."""
    return contributions_of(model, lambda state: model.answers(model.norm(state))[head][:, 0], *chart)


def attended(model: ChartNet, head: str, chart: ChartBatch) -> Tensor:
    """RETAIN's attention weights of hours, shared among what was measured."""
    return cells_of_hours(attention_of(model, *chart), chart.mask)


def size(model: ChartNet, head: str, chart: ChartBatch) -> Tensor:
    """How far each value lies from its column's mean, for comparison: no model is asked."""
    return torch.as_tensor(model.of_values(chart.values).abs())


METHODS: dict[str, Method] = {
    "integrated gradients": integrated,
    "gradient": gradient,
    "occlusion (cell hidden)": hide_cells,
    "contributions": contributed,
    "attention weights": attended,
    "distance from the mean, no model": size,
}
RETAIN_ONLY = ("contributions", "attention weights")


def explain_cells(model: ChartNet, head: str, chart: ChartBatch, method: str) -> Tensor:
    """Attributions of the cells of a chart, (n, T, F), 0 where not measured.

    Raises ValueError for a method that is not one of `METHODS` or a head that the model has not, TypeError where the model has no attention
    and the method needs it.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    model.eval()
    return (METHODS[method](model, head, chart) * chart.mask).detach()
