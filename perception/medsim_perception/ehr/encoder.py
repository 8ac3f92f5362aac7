"""From an environment's chart to the patient's state: estimates with their uncertainty, and risks.

`ChartEncoder` takes the dict that `medsim/Sepsis-v0` shows with `observation="ehr"` (or `"multimodal"`: the image is left aside), in
plain units, one patient or a batch, and answers with mean and standard deviation of the hidden quantities in `TARGETS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from medsim.core.charts import NEVER_H, positions
from medsim.treatments.sepsis.chart import SEPSIS_CHART
from medsim_perception.ehr.nets import ChartNet, make_net
from medsim_perception.estimate import Estimate

__all__ = ["CREATININE_H", "INPUTS", "SHOCK_H", "TARGETS", "ChartEncoder", "Reading"]

TARGETS = (
    "lung_water_ml_per_kg", "damage", "fluid_excess_ml_per_kg", "sofa", "map_unsupported_mmhg",
    "map_mmhg", "lactate_mmol_per_l", "creatinine_mg_per_dl", "inflammation",
)  # fmt: skip
"""What is estimated, in this order: the true values now. The last four are charted, with noise and gaps; the first five are hidden."""
SHOCK_H, CREATININE_H = 6, 12  # horizons of the tasks
TREATMENTS = tuple(column.name for column in SEPSIS_CHART.treatments)
INPUTS = (*SEPSIS_CHART.produced, *TREATMENTS)
STATICS = (*(column.name for column in SEPSIS_CHART.statics), "time_h")
LARGEST_LOG_SD, SMALLEST_LOG_SD = 1.5, -5.0


class Reading(NamedTuple):
    """All that a chart is read for; (n, targets) and (n,)."""

    state: Estimate  # of TARGETS
    mortality: Tensor  # probability to die by day 28
    shock: Tensor  # probability of an hour of shock in the next SHOCK_H hours
    creatinine: Estimate  # mg/dL at the last sample of the next CREATININE_H hours


class ChartEncoder(nn.Module):
    """Reads the chart of an environment; `width` numbers of state, one of `medsim_perception.ehr.nets.CORES` inside."""

    target_centre: Tensor
    target_spread: Tensor
    columns_at: Tensor

    def __init__(self, core: str = "lstm", width: int = 48) -> None:
        super().__init__()
        heads = {"state": 2 * len(TARGETS), "mortality": 1, "shock": 1, "creatinine": 2}
        self.net: ChartNet = make_net(core, INPUTS, STATICS, heads, width=width)
        self.features = width
        self.register_buffer("target_centre", torch.zeros(len(TARGETS) + 1))  # the last is creatinine ahead
        self.register_buffer("target_spread", torch.ones(len(TARGETS) + 1))
        at = torch.from_numpy(positions(SEPSIS_CHART.produced, SEPSIS_CHART.columns).astype(np.int64))
        self.register_buffer("columns_at", at, persistent=False)

    def inputs(self, observation: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Values, mask, hours since and statics of a batch of observations, as the network takes them."""
        _check(observation)
        at, hours = self.columns_at, observation["time_h"]
        given = observation["treatment"].float()
        row_h = hours + torch.arange(1 - given.shape[1], 1, device=given.device)  # (n, T)
        lived = (row_h >= 0.0)[..., None].expand(given.shape).float()
        values = torch.cat([observation["ehr"].index_select(-1, at).float(), given], dim=-1)
        mask = torch.cat([observation["ehr_mask"].index_select(-1, at).float(), lived], dim=-1)
        since = torch.cat([observation["ehr_hours_since"].index_select(-1, at).float(), NEVER_H * (1.0 - lived)], dim=-1)
        known = torch.where(observation["demographics_mask"] > 0, observation["demographics"].float(), torch.nan)
        return values, mask, since, torch.cat([known, hours.float()], dim=-1)

    def encode(self, observation: Mapping[str, Tensor]) -> Tensor:
        """The network's state, (n, width)."""
        return self.net.encode(*self.inputs(observation))

    def forward(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw answers of the heads, standardised."""
        heads: dict[str, Tensor] = self.net(*self.inputs(observation))
        return heads

    def read(self, observation: Mapping[str, Tensor]) -> Reading:
        """Everything that a batch of observations is read for."""
        heads = self(observation)
        creatinine = self._estimate(heads["creatinine"], slice(-1, None))
        mortality, shock = (torch.sigmoid(heads[name][:, 0]) for name in ("mortality", "shock"))
        return Reading(self._estimate(heads["state"], slice(0, -1)), mortality, shock, Estimate(creatinine.mean[:, 0], creatinine.sd[:, 0]))

    @torch.no_grad()
    def from_observation(self, observation: Mapping[str, Any]) -> Estimate:
        """Mean and standard deviation of `TARGETS`, of one observation (targets,) or a batch (n, targets), arrays or tensors.

        Raises ValueError naming what is missing, of another shape, or not finite.
        """
        device = self.target_centre.device
        tensors = {name: torch.as_tensor(observation[name], device=device) for name in SHAPES if name in observation}
        single = "time_h" in tensors and tensors["time_h"].ndim == 1
        if single:
            tensors = {name: tensor[None] for name, tensor in tensors.items()}
        state = self.read(tensors).state
        return Estimate(state.mean[0], state.sd[0]) if single else state

    def _estimate(self, outputs: Tensor, which: slice) -> Estimate:
        mean, log_sd = outputs.chunk(2, dim=-1)
        spread = self.target_spread[which]
        return Estimate(self.target_centre[which] + spread * mean, spread * log_sd.clamp(SMALLEST_LOG_SD, LARGEST_LOG_SD).exp())


SHAPES: Mapping[str, tuple[int, ...]] = {
    "ehr": (SEPSIS_CHART.hours, len(SEPSIS_CHART.columns)),
    "ehr_mask": (SEPSIS_CHART.hours, len(SEPSIS_CHART.columns)),
    "ehr_hours_since": (SEPSIS_CHART.hours, len(SEPSIS_CHART.columns)),
    "treatment": (SEPSIS_CHART.hours, len(TREATMENTS)),
    "demographics": (len(SEPSIS_CHART.statics),),
    "demographics_mask": (len(SEPSIS_CHART.statics),),
    "time_h": (1,),
}


def _check(observation: Mapping[str, Tensor]) -> None:
    missing = [name for name in SHAPES if name not in observation]
    if missing:
        raise ValueError(f"an observation must have {', '.join(SHAPES)}; it lacks {', '.join(missing)}")
    n = len(observation["time_h"])
    for name, shape in SHAPES.items():
        if tuple(observation[name].shape) != (n, *shape):
            raise ValueError(f"{name} must have the shape {(n, *shape)}, not {tuple(observation[name].shape)}")
        if observation[name].is_floating_point() and not torch.isfinite(observation[name]).all():
            where = torch.nonzero(~torch.isfinite(observation[name]))[0].tolist()
            raise ValueError(f"{name} must be finite, and is {float(observation[name][tuple(where)])} at {where}")
