"""Charts: what a nurse and a laboratory have written down, as a window of hourly rows with a mask and the age of every value.

A task with a ``Chart`` is observed as a dict of arrays, the same for every environment that has one:

=====================  =================  ================================================================================================
``ehr``                (hours, columns)   values in the columns' units, oldest hour first; 0 where not measured in that hour
``ehr_mask``           (hours, columns)   1 where measured in that hour, else 0; always 0 in columns that the model does not produce
``ehr_hours_since``    (hours, columns)   hours from the last measurement to the row's hour; ``NEVER_H`` if never, or that long ago
``treatment``          (hours, given)     what was given, as the mean over the step that the row lies in; 0 before the start
``demographics``       (statics,)         who the patient is; 0 where not known
``demographics_mask``  (statics,)         1 where known
``time_h``             (1,)               hours since the start: the last row's hour
=====================  =================  ================================================================================================

Rows are hours also where a step takes several: what is measured at the end of a step stands in the last row. Rows before the start
are empty. Values are clipped to the column's valid range.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core import kernels as k
from medsim.core.batch import Batch
from medsim.core.model import Model, View

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NEVER_H", "Chart", "ChartWindow", "ChartedBatch", "Column"]

NEVER_H = 100.0  # chosen: longer than a course of three days, and no further from its hours than a network likes
KEPT = ("values", "mask", "hours_since", "treatment")  # arrays of a window, (n, rows, columns)

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Observation = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """A column of a chart; ``low`` and ``high`` are its valid range."""

    name: str
    unit: str
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is charted.

    Args:
        columns: all columns; produced: the names of those that the model measures.
        treatments: what is given; statics: who the patient is; known: the names of those that the model has.
        longest_h: of a course; hours: rows of the window.
    """

    columns: tuple[Column, ...]
    produced: tuple[str, ...]
    treatments: tuple[Column, ...]
    statics: tuple[Column, ...]
    known: tuple[str, ...]
    longest_h: float
    hours: int = 24

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def view(self, function: Callable[..., tuple[float, ...]]) -> View:
        """Return a model's view for this chart.

        Its function returns the time, the value of each produced column, for each 1.0 if it was measured now or 0.0, the means of the
        treatments over the step, and the known statics.
        """
        columns, statics = (({column.name: column for column in many}) for many in (self.columns, self.statics))
        produced, known = [columns[name] for name in self.produced], [statics[name] for name in self.known]
        flags = [Column(f"{name}_measured", "", 0.0, 1.0) for name in self.produced]
        numbers = [Column("time_h", "h", 0.0, self.longest_h), *produced, *flags, *self.treatments, *known]
        return View(
            function=function,
            names=tuple(column.name for column in numbers),
            low=tuple(column.low for column in numbers),
            high=tuple(column.high for column in numbers),
        )

    def observation_space(self) -> spaces.Dict:
        """Return the space of one observation."""
        shape = (self.hours, len(self.columns))
        return spaces.Dict(
            {
                "demographics": box(self.statics, (len(self.statics),)),
                "demographics_mask": spaces.Box(0, 1, (len(self.statics),), np.uint8),
                "ehr": box(self.columns, shape),
                "ehr_hours_since": spaces.Box(0.0, NEVER_H, shape, np.float32),
                "ehr_mask": spaces.Box(0, 1, shape, np.uint8),
                "time_h": spaces.Box(0.0, self.longest_h, (1,), np.float32),
                "treatment": box(self.treatments, (self.hours, len(self.treatments))),
            }
        )

    def long_table(self, observation: Mapping[str, npt.NDArray[Any]]) -> "pd.DataFrame":
        """Return the hours since the start of one observation, or of a batch, as rows: ``stay_id``, ``time``, the columns, NaN where empty.

        This is the layout in which hourly charts are stored, so that what reads them reads ours.
        """
        import pandas as pd

        values = np.where(observation["ehr_mask"] == 1, observation["ehr"], np.nan).reshape(-1, self.hours, len(self.columns))
        hours = observation["time_h"].reshape(-1, 1) + np.arange(1 - self.hours, 1)
        stay, row = np.nonzero(hours >= 0.0)
        table = pd.DataFrame(values[stay, row], columns=list(self.names))
        table.insert(0, "time", pd.to_timedelta(hours[stay, row], unit="h"))
        table.insert(0, "stay_id", stay)
        return table


def box(columns: tuple[Column, ...], shape: tuple[int, ...]) -> spaces.Box:
    """Return the space of an array whose last axis is columns, 0 where one is empty."""
    low = np.array([min(column.low, 0.0) for column in columns], dtype=np.float32)
    high = np.array([column.high for column in columns], dtype=np.float32)
    return spaces.Box(np.broadcast_to(low, shape), np.broadcast_to(high, shape), dtype=np.float32)


def positions(wanted: tuple[str, ...], columns: tuple[Column, ...]) -> npt.NDArray[np.intp]:
    """Return where the columns of these names are."""
    names = [column.name for column in columns]
    return np.array([names.index(name) for name in wanted], dtype=np.intp)


class ChartWindow:
    """The charts of n patients.

    Their arrays have room for twice the window: a step writes behind the rows that are there, the window is the last of them, and only
    when there is no more room are rows moved to the front. All patients write the same row, whatever the hour of their course. The ends of
    steps fall on the same rows again after each move, so that what still stands behind the last row is always overwritten.
    """

    def __init__(self, chart: Chart, n: int, step_h: float) -> None:
        if step_h < 1.0 or step_h != int(step_h) or step_h > chart.hours:
            raise ValueError(f"a chart has hourly rows: a step must take from 1 to {chart.hours} whole hours, not {step_h:g}")
        self.chart, self.n, self.hours_a_step = chart, n, int(step_h)
        self.last = chart.hours - 1  # the row of the present hour
        self.values = np.zeros((n, 2 * chart.hours, len(chart.columns)), dtype=np.float32)
        self.mask = np.zeros(self.values.shape, dtype=np.uint8)
        self.hours_since = np.full(self.values.shape, NEVER_H, dtype=np.float32)
        self.treatment = np.zeros((n, 2 * chart.hours, len(chart.treatments)), dtype=np.float32)
        produced = [chart.columns[i] for i in positions(chart.produced, chart.columns)]
        self.low, self.high = (np.array([getattr(c, end) for c in produced], dtype=np.float32) for end in ("low", "high"))
        self.static_at = positions(chart.known, chart.statics)
        patients = np.arange(n)[:, None] * (2 * chart.hours * len(chart.columns))
        self.cells = patients + positions(chart.produced, chart.columns)  # (n, produced): where the first row's values are in memory
        self.known = np.zeros(len(chart.statics), dtype=np.uint8)
        self.known[self.static_at] = 1
        first_flag = 1 + len(produced)
        first_treatment = first_flag + len(produced)
        first_static = first_treatment + len(chart.treatments)
        self.parts = (
            slice(1, first_flag),
            slice(first_flag, first_treatment),
            slice(first_treatment, first_static),
            slice(first_static, None),
        )

    def begin(self, who: Mask, seen: Floats) -> None:
        """Clear the charts of those who begin an episode, and write their first row; ``seen`` is what the view gave, (n, numbers)."""
        values, flags, _, _ = self.parts
        self.values[who], self.mask[who], self.treatment[who], self.hours_since[who] = 0.0, 0, 0.0, NEVER_H
        measured = seen[who, flags]
        cells = self.cells[who] + self.last * len(self.chart.columns)
        self.values.reshape(-1)[cells] = self.clipped(seen[who, values]) * measured
        self.mask.reshape(-1)[cells] = measured
        self.hours_since.reshape(-1)[cells] = NEVER_H * (1.0 - measured)

    def add(self, seen: Floats, standing: Mask | None = None) -> None:
        """Write the rows of a step; those who stand still keep the chart that they have."""
        if self.last + self.hours_a_step >= self.values.shape[1]:
            self._move_to_the_front()
        values, flags, given, _ = self.parts
        before, now = self.last, self.last + self.hours_a_step
        self.last = now
        measured, width = seen[:, flags], len(self.chart.columns)
        hours_since, cells = self.hours_since.reshape(-1), self.cells + before * width
        age = hours_since[cells]
        for row in range(before + 1, now + 1):
            cells += width
            age += 1.0
            np.minimum(age, NEVER_H, out=age)
            if row == now:
                age *= 1.0 - measured
            hours_since[cells] = age
        self.values.reshape(-1)[cells] = self.clipped(seen[:, values]) * measured
        self.mask.reshape(-1)[cells] = measured
        self.treatment[:, before + 1 : now + 1] = seen[:, None, given]
        if standing is not None and standing.any():
            old, new = self._window(before), self._window(now)
            for name in KEPT:
                array = getattr(self, name)
                array[standing, new] = array[standing, old]

    def clipped(self, values: Floats) -> Floats:
        """Return values of the produced columns within their valid ranges."""
        return np.minimum(np.maximum(values, self.low), self.high)

    def _window(self, last: int) -> slice:
        return slice(last + 1 - self.chart.hours, last + 1)

    def _move_to_the_front(self) -> None:
        hours, window = self.chart.hours, self._window(self.last)
        for name in KEPT:
            array = getattr(self, name)
            array[:, :hours] = array[:, window]
        self.last = hours - 1

    def observation(self, seen: Floats, who: Any = slice(None)) -> Observation:
        """Return what is seen of the patients ``who`` now, (their number, ...) or of one patient's number without that axis: copies."""
        window, (_, _, _, statics) = self._window(self.last), self.parts
        seen = seen[who]
        known = np.zeros((*seen.shape[:-1], len(self.known)), dtype=np.float32)
        known[..., self.static_at] = seen[..., statics]
        return {
            "demographics": known,
            "demographics_mask": np.zeros(known.shape, dtype=np.uint8) + self.known,
            "ehr": self.values[who, window].copy(),
            "ehr_hours_since": self.hours_since[who, window].copy(),
            "ehr_mask": self.mask[who, window].copy(),
            "time_h": seen[..., :1].copy(),
            "treatment": self.treatment[who, window].copy(),
        }

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the windows, for ``restore``."""
        return {f"chart_{name}": getattr(self, name)[:, self._window(self.last)].copy() for name in KEPT}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Return to a snapshot."""
        self.last = self.chart.hours - 1
        for name in KEPT:
            getattr(self, name)[:, : self.chart.hours] = snapshot[f"chart_{name}"]


class ChartedBatch(Batch):
    """The patients of a task with a chart; ``obs`` holds what the chart's view gave, ``observation`` the window."""

    def __init__(self, model: Model, view: View, n: int, settings: Any, chart: Chart, step_h: float, *, mode: int = k.NEXT_STEP,
                 threads: int = 1) -> None:  # fmt: skip
        super().__init__(model, view, n, settings, mode=mode, threads=threads)
        self.window = ChartWindow(chart, n, step_h)
        self.final_windows: Observation = {}  # in the same-step mode, of those who ended in the last step, in order

    def observation(self) -> Observation:
        """Return what agents see now, (n, ...) each: copies."""
        return self.window.observation(self.obs)

    def observation_of_one(self) -> Observation:
        """Return what the agent of the first patient sees now: copies."""
        return self.window.observation(self.obs, 0)

    def _begin(self, mask: Mask, clear: bool) -> None:
        if not clear:
            self.final_windows = self.window.observation(self.obs, np.flatnonzero(mask))
        super()._begin(mask, clear)
        self.window.begin(mask, self.obs)

    def _step_kernel(self) -> None:
        standing = self.ids[:, k.ENDED] != 0 if self.any_ended and self.mode == k.DISABLED else None
        super()._step_kernel()
        self.window.add(self.obs, standing)

    def step_one(self) -> None:
        """Step a batch of one patient."""
        super().step_one()
        self.window.add(self.obs)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of everything that the course from here on depends on."""
        return {**super().snapshot(), **self.window.snapshot()}

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Return to a snapshot of a batch of the same shape."""
        super().restore(snapshot)
        self.window.restore(snapshot)
