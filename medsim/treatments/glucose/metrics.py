"""How well glucose was controlled, in the field's own measures (Battelino et al., Diabetes Care 2019;42:1593-1603)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.task import Task
from medsim.treatments.glucose.objective import risk

__all__ = ["glucose_metrics", "risk_index"]

Array = npt.NDArray[np.float64]


def risk_index(glucose_mg_per_dl: Array) -> Array:
    """Return the blood glucose risk of each value, by ``objective.risk``, which is where the formula stands."""
    return np.asarray(np.frompyfunc(risk, 1, 1)(glucose_mg_per_dl), dtype=np.float64)


def glucose_metrics(measures: dict[str, Array], steps_lived: npt.NDArray[np.int64], task: Task) -> dict[str, Array]:
    """Return shares of time (0..1), mean, variability and risk of plasma glucose over the steps lived, each (n,).

    Targets of the consensus for most adults: time_in_range above 0.70, time_below_70 under 0.04, time_below_54 under 0.01,
    time_above_180 under 0.25, time_above_250 under 0.05, glucose_cv at most 0.36.
    """
    glucose = measures["glucose_mg_per_dl"][1:]
    lived = np.arange(len(glucose))[:, None] < steps_lived
    count = steps_lived.astype(np.float64)

    def share(condition: npt.NDArray[Any]) -> Array:
        return np.asarray((condition & lived).sum(axis=0) / count)

    mean = np.where(lived, glucose, 0.0).sum(axis=0) / count
    variance = np.where(lived, (glucose - mean) ** 2, 0.0).sum(axis=0) / count
    insulin = measures["insulin_delivered_u"][1:].sum(axis=0)
    return {
        "time_in_range": share((glucose >= 70.0) & (glucose <= 180.0)),
        "time_below_70": share(glucose < 70.0),
        "time_below_54": share(glucose < 54.0),
        "time_above_180": share(glucose > 180.0),
        "time_above_250": share(glucose > 250.0),
        "mean_glucose_mg_per_dl": mean,
        "glucose_cv": np.sqrt(variance) / mean,
        "risk_index": np.where(lived, risk_index(glucose), 0.0).sum(axis=0) / count,
        "insulin_u_per_day": insulin / (count * task.step_h / 24.0),
    }
