"""How a course went, in the measures that trials of septic shock report."""

import numpy as np
import numpy.typing as npt

from medsim.core.task import Task

__all__ = ["sepsis_metrics"]

Array = npt.NDArray[np.float64]


def sepsis_metrics(measures: dict[str, Array], steps_lived: npt.NDArray[np.int64], task: Task) -> dict[str, Array]:
    """Return, each (n,), over the steps lived.

    ``death_probability``: the model's, by day 28, where deaths are expected; ``died_within_72_h``, 0 or 1, where they are drawn (the
    outcomes say who died later); ``hypotension_h``: hours below 65 mmHg;
    ``fluid_24_h_l``: given in the first 24 h; ``norepinephrine_mean`` and ``_highest``: mcg/kg/min; ``sofa_highest``;
    ``lactate_last``: mmol/L; ``fluid_balance_last_l``: above the start.
    """
    last = steps_lived, np.arange(len(steps_lived))
    lived = np.arange(1, len(measures["map_mmhg"]))[:, None] <= steps_lived
    dose = np.where(lived, measures["norepinephrine_mcg_per_kg_per_min"][1:], 0.0)
    first_day = round(24.0 / task.step_h)
    if task.settings.expected_deaths > 0.0:
        deaths = {"death_probability": measures["death_probability"][last]}
    else:
        deaths = {"died_within_72_h": (steps_lived < task.horizon_steps).astype(np.float64)}
    return {
        **deaths,
        "hypotension_h": measures["hypotension_h"][last],
        "fluid_24_h_l": measures["fluid_ml"][1 : first_day + 1].sum(axis=0) / 1000.0,
        "norepinephrine_mean": dose.sum(axis=0) / steps_lived,
        "norepinephrine_highest": dose.max(axis=0),
        "sofa_highest": np.where(lived, measures["sofa_points"][1:], 0.0).max(axis=0),
        "lactate_last": measures["lactate_mmol_per_l"][last],
        "fluid_balance_last_l": (measures["fluid_excess_ml"][last] - measures["fluid_excess_ml"][0]) / 1000.0,
    }
