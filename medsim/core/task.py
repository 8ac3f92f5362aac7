"""An environment before it has a shell: a model with its settings, spaces and reset options, all checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.batch import Batch, PatientBatch
from medsim.core.charts import Chart, ChartedBatch
from medsim.core.images import Camera, ImagedBatch
from medsim.core.model import Model, View, field_names, flattened

__all__ = ["Panel", "Provenance", "Task"]

ActionSpace = spaces.Discrete | spaces.Box


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a number comes from."""

    name: str
    value: float | str
    unit: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot of an episode over time: measures as lines and bars (name -> label), the wanted range, the axis' limits."""

    title: str
    lines: Mapping[str, str] = field(default_factory=dict)
    stepped: bool = False  # lines are orders that hold over a step, not values at its end
    bars: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a shell needs to know; ``settings`` is a record of ``model.settings``.

    A task whose patients do not follow a ``Model`` derives from this class: it overrides ``make_batch`` to return another
    ``core.batch.PatientBatch``, and whatever else reads the model, of which the shells themselves read ``outcomes``, ``patients()``
    and, for ``expose_state``, the names in the record ``state``.
    """

    id: str
    config: Any
    model: Model
    view_name: str
    settings: Any
    action_space: ActionSpace
    horizon_steps: int
    step_h: float
    expose_state: bool = False
    chart: Chart | None = None  # if the view is a chart's: what is seen is then a window of it
    camera: Camera | None = None  # beside a chart: what takes pictures of the patient
    patient_limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of a described patient's parameters
    reset_options: Mapping[str, Callable[[Any, Any], Any]] = field(default_factory=dict)  # name -> (settings, value) -> settings
    metrics: Callable[..., dict[str, npt.NDArray[np.float64]]] = lambda measures, steps_lived, task: {}
    panels: Sequence[Panel] = ()
    same_patients: Mapping[str, Any] = field(default_factory=dict)  # options that keep who the patients are, whatever is seen of them
    citation: str = ""
    action_meaning: str = ""  # in a line: which number is which
    provenance: Callable[[], list[Provenance]] = list

    @property
    def view(self) -> View:
        """The view that the agent sees."""
        return self.model.views[self.view_name]

    def make_batch(self, n: int, *, mode: int, threads: int = 1) -> PatientBatch:
        """Return a batch of n patients; ``mode`` is NEXT_STEP, SAME_STEP or DISABLED of ``core.kernels``."""
        if self.chart is not None and self.camera is not None:
            return ImagedBatch(self.model, self.view, n, self.settings, self.chart, self.step_h, self.camera, mode=mode, threads=threads)
        if self.chart is not None:
            return ChartedBatch(self.model, self.view, n, self.settings, self.chart, self.step_h, mode=mode, threads=threads)
        return Batch(self.model, self.view, n, self.settings, mode=mode, threads=threads)

    def observation_space(self) -> spaces.Box | spaces.Dict:
        """Return the space of one observation."""
        if self.chart is not None:
            return self.chart.observation_space() if self.camera is None else self.camera.observation_space(self.chart)
        return spaces.Box(np.array(self.view.low, dtype=np.float32), np.array(self.view.high, dtype=np.float32), dtype=np.float32)

    def settings_for(self, options: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Return the settings of the episodes that a reset with these options begins."""
        settings = self.settings
        for name, apply in self.reset_options.items():
            if options.get(name) is not None:
                settings = apply(settings, options[name])
        return flattened(settings)

    def check_reset_options(self, options: Mapping[str, Any] | None, more: Sequence[str]) -> dict[str, Any]:
        """Return the options of a reset as a dict.

        Raises:
            ValueError: an option is unknown.
        """
        given = dict(options or {})
        allowed = sorted({"patient", *more, *self.reset_options})
        for name in given:
            if name not in allowed:
                raise ValueError(f"unknown reset option {name!r}; allowed are {', '.join(allowed)}")
        return given

    def patient_rows(self, patient: Any) -> tuple[npt.NDArray[np.float64] | None, int]:
        """Return (a parameter row to add to the table of patients or None, the named row's number) for a ``patient`` option.

        Args:
            patient: a name such as ``"adult#001"``, or a mapping of parameters, whose ``"like"`` names the patient who gives
                those that are left out. None means: whoever the cohort sends.

        Raises:
            ValueError: no such patient, no such parameter, or a value that is not a positive number.
        """
        names, table = self.model.patients()
        if patient is None:
            return None, -1
        if isinstance(patient, str):
            return None, named_row(names, patient)
        if not isinstance(patient, Mapping):
            raise ValueError(f"option patient must be a name or a mapping of parameters, not {patient!r}")
        parameters = field_names(self.model.params)
        row = table[named_row(names, patient.get("like", names[0]))].copy()
        for name, value in patient.items():
            if name == "like":
                continue
            if name not in parameters:
                raise ValueError(f"unknown parameter {name!r} of a patient; allowed are like, {', '.join(parameters)}")
            lowest, highest = self.patient_limits.get(name, (0.0, np.inf))
            if not isinstance(value, Real) or not np.isfinite(float(value)) or (float(value) <= 0.0 and name not in self.patient_limits):
                raise ValueError(f"a patient's {name} must be a positive number, not {value!r}")
            if not lowest <= float(value) <= highest:
                raise ValueError(f"a patient's {name} must be from {lowest:g} to {highest:g}, not {value!r}")
            row[parameters.index(name)] = value
        return row, len(table)


def named_row(names: Sequence[str], name: Any) -> int:
    """Return the row of a named patient.

    Raises:
        ValueError: there is no patient of that name.
    """
    if name not in names:
        raise ValueError(f"no patient is called {name!r}; there are {', '.join(names)}")
    return list(names).index(name)
