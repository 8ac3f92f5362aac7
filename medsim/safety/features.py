"""What a policy sees as rows of named numbers, for readers that take such: detectors, trees, models of the value."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.task import Task

__all__ = ["feature_names", "features", "of_steps"]

Floats = npt.NDArray[np.float64]


def feature_names(task: Task) -> list[str]:
    """Return the names of ``features``' columns."""
    if task.chart is not None:
        names = task.chart.produced
        return ["time_h", *names, *(f"{name} hours since" for name in names), *(column.name for column in task.chart.statics)]
    return list(task.view.names)


def features(task: Task, observations: Any) -> Floats:
    """Return observations (..., k), codes (...,), or a chart's dict of arrays (..., ...) as rows of numbers (..., features).

    Of a chart it is the last hour's values, how long ago each was measured, and who the patient is; pictures are left out.
    """
    if task.chart is not None:
        columns = [task.chart.names.index(name) for name in task.chart.produced]
        since = observations["ehr_hours_since"][..., -1, columns]
        parts = [observations["time_h"], latest(observations)[..., columns], since, observations["demographics"]]
        return np.concatenate(parts, axis=-1).astype(np.float64)
    found = np.asarray(observations, dtype=np.float64)
    coded = getattr(task.view, "codes", None) is not None
    return found[..., None] if coded else found


def latest(observations: dict[str, npt.NDArray[Any]]) -> Floats:
    """Return the last value charted in each column, (..., columns); 0 where there is none."""
    values, mask = observations["ehr"], observations["ehr_mask"]
    rows = np.arange(values.shape[-2])[:, None]
    last = np.where(mask == 1, rows, -1).max(axis=-2)
    picked = np.take_along_axis(values, np.maximum(last, 0)[..., None, :], axis=-2)[..., 0, :]
    return np.where(last >= 0, picked, 0.0)


def of_steps(rows: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    """Return the rows (m, features) of steps that happened, from rows (n, T + 1, features) and which happened (n, T)."""
    return np.asarray(rows[:, :-1][there[: len(rows)]])
