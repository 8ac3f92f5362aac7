"""The bare physiology: named patients under given insulin and meals, without sensor, pump or agent, for checks and studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from medsim.core import kernels as k
from medsim.core.batch import Batch
from medsim.treatments.glucose.definition import GLUCOSE
from medsim.treatments.glucose.environment import glucose_task, script_meals
from medsim.treatments.glucose.model import EXACT_RATE, PMOL_PER_U, Params, State

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["own_basal_u_per_min", "simulate"]


def simulate(
    patients: str | Sequence[str],
    insulin_u_per_min: npt.ArrayLike,
    meals: Sequence[tuple[float, float]] = (),
    fidelity: str = "exact",
) -> pd.DataFrame:
    """Return the course of named patients from their steady state.

    Args:
        patients: a name such as ``"adult#001"``, or several.
        insulin_u_per_min: insulin entering under the skin in each minute, (minutes,) for all patients or (minutes, patients).
        meals: up to six (minute of the day, grams) that begin every day, eaten at 5 g/min.
        fidelity: ``"exact"`` (steps of 0.25 min) or ``"fast"`` (1 min).

    Returns:
        One row a patient and minute, from 0 to the last: patient, minute, the 13 states by name (see ``State``),
        plasma_glucose_mg_per_dl and subcutaneous_glucose_mg_per_dl.

    Raises:
        ValueError: no such patient, a meal that is not possible, or insulin that is not finite and at least 0.
    """
    names = [patients] if isinstance(patients, str) else list(patients)
    insulin = np.asarray(insulin_u_per_min, dtype=np.float64)
    insulin = np.broadcast_to(insulin[:, None], (len(insulin), len(names))) if insulin.ndim == 1 else insulin
    if insulin.ndim != 2 or insulin.shape[1] != len(names) or not np.isfinite(insulin).all() or (insulin < 0.0).any():
        raise ValueError(f"insulin_u_per_min must be finite, not negative, of shape (minutes,) or (minutes, {len(names)})")
    task = glucose_task(step_minutes=1, days=1, fidelity=fidelity, random_start=False)
    settings = script_meals(task.settings, meals)._replace(action_kind=EXACT_RATE, horizon_steps=np.inf)
    batch = Batch(GLUCOSE, task.view, len(names), settings, mode=k.DISABLED)
    batch.seed(0)
    batch.ids[:, k.NAMED_ROW] = [task.patient_rows(name)[1] for name in names]
    batch.reset()
    courses = [batch.record("state")]
    for doses in insulin:
        batch.actions[:, 0] = doses
        batch.step()
        batch.ids[:, k.ENDED] = 0  # the physiology goes on where an episode would have ended
        courses.append(batch.record("state"))
    return as_table(np.stack(courses), names, batch.record("params")[list(GLUCOSE.params.__annotations__).index("vg_dl_per_kg")])


def as_table(courses: npt.NDArray[np.float64], names: Sequence[str], vg: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Return courses (minutes, states, patients) as a table; vg is the patients' glucose volume in dL/kg."""
    import pandas as pd

    minutes = np.arange(len(courses))
    tables = []
    for number, name in enumerate(names):
        table = pd.DataFrame(courses[:, :, number], columns=list(State._fields))
        table.insert(0, "minute", minutes)
        table.insert(0, "patient", name)
        table["plasma_glucose_mg_per_dl"] = table["gp_mg_per_kg"] / vg[number]
        table["subcutaneous_glucose_mg_per_dl"] = table["gs_mg_per_kg"] / vg[number]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def own_basal_u_per_min(patient: str) -> float:
    """Return the insulin rate that holds a named patient's basal glucose."""
    task = glucose_task()
    params = Params(*GLUCOSE.patients()[1][task.patient_rows(patient)[1]].tolist())
    return params.basal_pmol_per_kg_per_min * params.weight_kg / PMOL_PER_U
