"""Values in their units become numbers that a network likes: the numbers of the training stays, kept inside the network.

Columns that spread over orders of magnitude (`LOGARITHMIC`) are taken as logarithms first. Centre and spread are those of the measured
cells of the training stays and travel with the weights, so that whoever uses a network gives it plain units, and no test stay ever moves
them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["FURTHEST", "LOGARITHMIC", "Standardiser", "carried_forward"]

LOGARITHMIC = frozenset(
    "alp alt ast bili bili_dir bnd bun ck ckmb crea crp glu inr_pt lact lymph methb ptt tnt urine wbc po2 plt phos".split()  # noqa: SIM905
)
FURTHEST = 5.0  # chosen: deviations; what is further out is an error of charting or will not generalise
SMALLEST = 0.01  # of the unit, below which the logarithm no longer tells values apart (chosen; urine may be 0)


class Standardiser(nn.Module):
    """Standardises the last axis of measured values, (..., columns); what was never measured in training keeps centre 0, spread 1."""

    centre: Tensor
    spread: Tensor
    logarithmic: Tensor

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.register_buffer("centre", torch.zeros(len(self.columns)))
        self.register_buffer("spread", torch.ones(len(self.columns)))
        flags = torch.tensor([name in LOGARITHMIC for name in self.columns])
        self.register_buffer("logarithmic", flags, persistent=False)

    def fit(self, values: Tensor, mask: Tensor) -> Standardiser:
        """Take centre and spread from the measured cells of training stays, (n, T, columns)."""
        raw, seen = self._scaled(values.double()).flatten(0, -2), (mask > 0).flatten(0, -2)
        count = seen.sum(0).clamp(min=1)
        centre = (raw * seen).sum(0) / count
        spread = (((raw - centre) * seen).square().sum(0) / count).sqrt()
        known = (seen.sum(0) >= 2) & (spread > 1e-6)
        self.centre.copy_(torch.where(known, centre, 0.0))
        self.spread.copy_(torch.where(known, spread, 1.0))
        return self

    def forward(self, values: Tensor) -> Tensor:
        """Standardised values, cut at `FURTHEST`."""
        return ((self._scaled(values) - self.centre) / self.spread).clamp(-FURTHEST, FURTHEST)

    def _scaled(self, values: Tensor) -> Tensor:
        return torch.where(self.logarithmic, (values.clamp(min=0.0) + SMALLEST).log(), values)


def carried_forward(values: Tensor, mask: Tensor) -> Tensor:
    """The last measured value at each hour, (n, T, columns), 0 before the first."""
    steps = torch.arange(values.shape[1], device=values.device)[None, :, None]
    last = torch.where(mask > 0, steps, -1).cummax(dim=1).values
    return torch.where(last >= 0, values.gather(1, last.clamp(min=0)), 0.0)
