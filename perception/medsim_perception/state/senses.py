"""The senses for septic patients: an encoder that reads the chest X-ray, one that reads the chart, and the chart's last lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medsim.core.charts import NEVER_H, Chart, positions
from medsim_perception.state.perceived import Observations, PerceivedState, Rows

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["ChartSense", "ChartSummary", "ChestSense", "perceived_sepsis"]

AT_ONCE = 512  # chosen: images or charts that an encoder reads at a time, so that a large batch needs no more memory


class ChestSense:
    """Lung water, consolidation, effusion and heart size as an encoder reads them off the latest X-ray, with their standard deviations.

    Without a picture yet, the numbers are 0 and the age is ``NEVER_H``. Where the reading of a step before is given, only new pictures (age
    0) are read.

    Args:
        encoder: maps images, uint8 (n, 1, 64, 64), to (mean, sd), (n, targets) each; None: the shipped ``chest-lung-water``.
        targets, most: what it estimates, and the largest value of each.
    """

    needs = ("image", "image_age_h")

    def __init__(self, encoder: nn.Module | None = None, targets: tuple[str, ...] = (), most: tuple[float, ...] = ()) -> None:
        if encoder is None:
            from medsim_perception.vision.chest_state import TARGETS
            from medsim_perception.weights import load_model

            encoder, targets, most = load_model("chest-lung-water"), TARGETS, (60.0, 1.0, 5000.0, 1.0)
        if len(targets) != len(most) or not targets:
            raise ValueError(f"each target needs a largest value: {targets} and {most} do not match")
        self.encoder = encoder.eval()
        self.names = (*(f"seen_{name}" for name in targets), *(f"seen_{name}_sd" for name in targets), "image_age_h")
        self.high = np.array([*most, *most, NEVER_H], dtype=np.float32)
        self.low = np.concatenate([-self.high[: len(targets)], np.zeros(len(targets) + 1)]).astype(np.float32)

    def read(self, observations: Observations, last: Rows | None) -> Rows:
        """Return mean, sd and age, (n, 2 targets + 1)."""
        age_h = np.asarray(observations["image_age_h"], dtype=np.float32)
        there = age_h[:, 0] < NEVER_H
        rows = np.zeros((len(age_h), len(self.names)), dtype=np.float32)
        if last is not None:
            rows[there] = last[there]
            there &= age_h[:, 0] == 0.0
        chosen = np.flatnonzero(there)
        for start in range(0, len(chosen), AT_ONCE):
            some = chosen[start : start + AT_ONCE]
            rows[some, :-1] = self._answers(observations["image"][some])
        rows[:, -1:] = age_h
        return rows

    def _answers(self, images: NDArray[np.uint8]) -> Rows:
        import torch

        seen = torch.from_numpy(np.ascontiguousarray(images)).to(next(self.encoder.parameters()).device)
        with torch.no_grad():
            return np.asarray(torch.cat(self.encoder(seen), dim=1).cpu().numpy())

    def tensor(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return what ``read`` does, with its gradients."""
        import torch

        age_h = observations["image_age_h"].float()
        answers = torch.cat(self.encoder(observations["image"]), dim=1)
        return torch.cat([torch.where(age_h < NEVER_H, answers, 0.0), age_h], dim=1)


class ChartSense:
    """The hidden state as an encoder estimates it from the chart of 24 hours, with its standard deviations.

    Args:
        encoder: a ``medsim_perception.ehr.encoder.ChartEncoder``; None: the shipped ``ehr-multitask``.
    """

    needs = ("ehr", "ehr_mask", "ehr_hours_since", "treatment", "demographics", "demographics_mask", "time_h")

    def __init__(self, encoder: Any = None) -> None:
        from medsim_perception.ehr.encoder import TARGETS

        if encoder is None:
            from medsim_perception.weights import load_model

            encoder = load_model("ehr-multitask")
        self.encoder = encoder.eval()
        self.names = (*(f"charted_{name}" for name in TARGETS), *(f"charted_{name}_sd" for name in TARGETS))
        self.high = np.full(len(self.names), 1000.0, dtype=np.float32)  # chosen: beyond what any target can be
        self.low = np.concatenate([-self.high[: len(TARGETS)], np.zeros(len(TARGETS), dtype=np.float32)])

    def read(self, observations: Observations, last: Rows | None) -> Rows:
        """Return mean and sd, (n, 2 targets)."""
        import torch

        n = len(observations["time_h"])
        rows = np.empty((n, len(self.names)), dtype=np.float32)
        for start in range(0, n, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            mean, sd = self.encoder.from_observation({name: observations[name][some] for name in self.needs})
            rows[some] = torch.cat([mean, sd], dim=1).cpu().numpy()
        return rows

    def tensor(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return what ``read`` does, with its gradients."""
        import torch

        return torch.cat(self.encoder.read(observations).state, dim=1)


class ChartSummary:
    """What stands in the chart now, without a network: the latest value of each column and its age, treatments, who the patient is.

    A column that was not measured in the window has the value 0 and the age of the window's length.
    """

    needs = ("ehr", "ehr_mask", "treatment", "demographics", "time_h")

    def __init__(self, chart: Chart) -> None:
        self.columns = positions(chart.produced, chart.columns)
        self.statics = positions(chart.known, chart.statics)
        self.hours = chart.hours
        given, produced = [column.name for column in chart.treatments], list(chart.produced)
        self.names = (
            *(f"last_{name}" for name in produced), *(f"{name}_age_h" for name in produced), *(f"now_{name}" for name in given),
            *(f"mean_{name}" for name in given), *chart.known, "time_h",
        )  # fmt: skip
        most_given = [column.high for column in chart.treatments]
        most = [chart.columns[i].high for i in self.columns] + [float(chart.hours)] * len(produced) + most_given * 2
        most += [chart.statics[i].high for i in self.statics] + [chart.longest_h]
        lowest = [min(chart.columns[i].low, 0.0) for i in self.columns]
        self.high = np.array(most, dtype=np.float32)
        self.low = np.concatenate([lowest, np.zeros(len(most) - len(lowest))]).astype(np.float32)

    def read(self, observations: Observations, last: Rows | None) -> Rows:
        """Return the numbers, (n, numbers)."""
        measured = observations["ehr_mask"][:, ::-1, self.columns] == 1  # the newest row first
        age = np.where(measured.any(axis=1), measured.argmax(axis=1), self.hours)  # (n, produced)
        rows = np.take_along_axis(observations["ehr"][:, :, self.columns], np.maximum(self.hours - 1 - age, 0)[:, None, :], axis=1)[:, 0]
        given = observations["treatment"]
        return np.concatenate(
            [
                np.where(age < self.hours, rows, 0.0), age, given[:, -1], given.mean(axis=1),
                observations["demographics"][:, self.statics], observations["time_h"],
            ],
            axis=1, dtype=np.float32,
        )  # fmt: skip

    def tensor(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return what ``read`` does; nothing in it is learnt."""
        import torch

        arrays = {name: observations[name].detach().cpu().numpy() for name in self.needs}
        return torch.from_numpy(self.read(arrays, None)).to(observations["time_h"].device)


def perceived_sepsis(*, image: bool = True, chart: bool = True) -> PerceivedState:
    """Return the perceived state of ``medsim/Sepsis-v0`` by the shipped encoders: the chart's last lines, and what each encoder estimates.

    Args:
        image: whether X-rays are read; chart: whether the chart's encoder is asked.
    """
    from medsim.treatments.sepsis.chart import SEPSIS_CHART

    senses: list[Any] = [ChartSummary(SEPSIS_CHART)]
    senses += [ChartSense()] if chart else []
    senses += [ChestSense()] if image else []
    return PerceivedState(senses)
