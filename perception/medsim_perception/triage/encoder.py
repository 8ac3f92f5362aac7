"""A small network that reads the chart at the door of the emergency department, and the triage that acts on its probabilities.

`medsim/HospitalFlow-v0` with `triage=EncoderTriage()` is a hospital whose categories come from the network: what its agents see of urgency
is then perceived, with all the mistakes of perceiving.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medsim.hospital.arrival_chart import ArrivalChart, normal_chart

__all__ = ["CATEGORIES", "EncoderTriage", "TriageNet"]

CATEGORIES = 5  # 1 immediate to 5 non-urgent
SPREAD = ArrivalChart(20.0, 18.0, 22.0, 4.5, 0.03, 0.6, 1.5, 2.5)  # chosen: about the standard deviation of each sign among arrivals
HIDDEN = 32


class TriageNet(nn.Module):
    """Logits of the five true acuities from a chart, (n, 8) with NaN where a sign was not taken; what was not taken is an input itself."""

    centre: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        signs = len(ArrivalChart._fields)
        self.register_buffer("centre", torch.tensor(normal_chart()))
        self.register_buffer("spread", torch.tensor(SPREAD))
        self.layers = nn.Sequential(
            nn.Linear(2 * signs, HIDDEN),
            nn.LayerNorm(HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, CATEGORIES),
        )

    def forward(self, charts: Tensor) -> Tensor:
        """Logits, (n, 5)."""
        if charts.ndim != 2 or charts.shape[1] != len(ArrivalChart._fields):
            raise ValueError(f"charts must have the shape (n, {len(ArrivalChart._fields)}), not {tuple(charts.shape)}")
        taken = ~torch.isnan(charts)
        standard = torch.where(taken, (charts - self.centre) / self.spread, 0.0)
        logits: Tensor = self.layers(torch.cat([standard, taken.float()], dim=1))
        return logits


class EncoderTriage:
    """Triage by a network: the category with the least expected harm (a `medsim.hospital.arrival_chart.Triage`).

    Args:
        net: None: the shipped `triage-acuity`.
        caution: how many times worse a category too low is than one too high (1: the most probable middle).
    """

    def __init__(self, net: TriageNet | None = None, caution: float = 2.0) -> None:
        if not caution > 0.0:
            raise ValueError(f"caution must be above 0, not {caution!r}")
        if net is None:
            from medsim_perception.weights import load_model

            loaded = load_model("triage-acuity")
            assert isinstance(loaded, TriageNet)
            net = loaded
        self.net = net.eval()
        self.harm = harms(caution)

    def probabilities(self, charts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of the true acuities, (n, 5), for charts, (n, 8)."""
        with torch.no_grad():
            logits = self.net(torch.from_numpy(charts).to(next(self.net.parameters()).device))
            return np.asarray(torch.softmax(logits, dim=1).cpu().numpy())

    def categories(self, charts: NDArray[np.float32]) -> NDArray[np.int64]:
        """Categories 1 to 5, (n,)."""
        return np.asarray((self.probabilities(charts) @ self.harm).argmin(axis=1) + 1)

    def __call__(self, chart: ArrivalChart) -> int:
        """The category of one arrival."""
        return int(self.categories(np.array([chart], dtype=np.float32))[0])


def harms(caution: float) -> NDArray[np.float32]:
    """Harm of giving a category (column) to a true acuity (row), (5, 5): the distance, times `caution` where it is not urgent enough."""
    late = np.arange(CATEGORIES)[None, :] - np.arange(CATEGORIES)[:, None]  # above 0: less urgent than true
    return np.where(late > 0, caution * late, -late).astype(np.float32)
