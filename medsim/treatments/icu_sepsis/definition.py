"""The ICU-Sepsis benchmark as the tabular engine takes it."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medsim.core.tabular import TabularModel, TabularView
from medsim.treatments.icu_sepsis.tables import DEATH, SURVIVAL, IcuSepsisTables, read_tables

__all__ = ["ACTIONS", "COHORTS", "OUTCOMES", "PATIENT_STATES", "Params", "icu_sepsis_model"]

Array = npt.NDArray[np.float64]

STATES, PATIENT_STATES, ACTIONS, FEATURES = 716, 713, 25, 47
OUTCOMES = ("", "death", "survival", "watching_ended")
COHORTS = ("train", "test", "shifted")


class Params(NamedTuple):
    """A patient at the start."""

    state: float


@lru_cache(maxsize=1)
def patients() -> tuple[tuple[str, ...], Array]:
    """Return the names and parameters of patients in each of the 713 states."""
    return tuple(f"state#{state:03d}" for state in range(PATIENT_STATES)), np.arange(float(PATIENT_STATES))[:, None]


def params_of(states: npt.NDArray[np.int64]) -> Array:
    """Return the parameters (n, 1) of patients who begin in these states."""
    return states[:, None].astype(np.float64)


def start_of(rows: Array) -> npt.NDArray[np.int64]:
    """Return the first states (n,) of patients (n, 1)."""
    return rows[:, 0].astype(np.int64)


def sicker(tables: IcuSepsisTables) -> Array:
    """Return the law of the start of the shifted cohort: patients whose SOFA score is above the start's median (chosen)."""
    order = np.argsort(tables.sofa, kind="stable")
    median = tables.sofa[order][np.searchsorted(np.cumsum(tables.start[order]), 0.5)]
    law = np.where(tables.sofa > median, tables.start, 0.0)
    return np.asarray(law / law.sum())


def views(tables: IcuSepsisTables) -> dict[str, TabularView]:
    """Return the ways to observe."""
    centres = tables.centres.astype(np.float32)
    names = tuple(f"feature_{k:02d}" for k in range(FEATURES))
    low, high = (tuple(float(value) for value in edge(centres, axis=0)) for edge in (np.min, np.max))
    states = np.arange(STATES)
    index = TabularView(names=("state",), low=(0.0,), high=(STATES - 1.0,), table=states[:, None], codes=STATES)
    return {"index": index, "vector": TabularView(names=names, low=low, high=high, table=centres)}


@lru_cache(maxsize=2)
def icu_sepsis_model(inadmissible: str) -> TabularModel:
    """Return the model; ``inadmissible``: what becomes of inadmissible actions, "mean" or "terminate".

    Raises:
        ModuleNotFoundError: the package that has the tables is not installed.
    """
    from scipy import sparse

    tables = read_tables()
    forbidden = ~tables.admissible.ravel()
    transitions = tables.transitions
    if inadmissible == "terminate":
        kept = sparse.diags_array((~forbidden).astype(np.float64)) @ transitions
        rows = np.flatnonzero(forbidden)
        ended = sparse.csr_matrix((np.ones(len(rows)), (rows, np.full(len(rows), DEATH))), shape=transitions.shape)
        transitions = sparse.csr_matrix(kept + ended)
    died, survived = (np.eye(STATES)[state] for state in (DEATH, SURVIVAL))
    outcome_of = np.zeros(STATES, dtype=np.int64)
    outcome_of[[DEATH, SURVIVAL]] = OUTCOMES.index("death"), OUTCOMES.index("survival")
    outcome_of[SURVIVAL + 1] = OUTCOMES.index("survival")  # never entered: it follows the ends, where an episode is over
    chosen = np.tile(np.arange(ACTIONS, dtype=np.float64), STATES)
    no_choice, nowhere = np.zeros(STATES * ACTIONS), np.zeros(STATES)
    return TabularModel(
        name="icu_sepsis",
        made_by=(icu_sepsis_model, (inadmissible,)),
        transitions=transitions,
        outcome_of=outcome_of,
        starts=np.stack([tables.start, tables.start, sicker(tables)]),
        reward_terms={"survival": survived},
        costs={"death": (died, no_choice), "inadmissible_action": (nowhere, forbidden.astype(np.float64))},
        measures={"sofa": tables.sofa.astype(np.float64)},
        action_measures={"fluid_level": chosen // 5, "vasopressor_level": chosen % 5},
        state_fields={"state": np.arange(float(STATES))},
        params=Params,
        patients=patients,
        start_of=start_of,
        params_of=params_of,
        views=views(tables),
        outcomes=OUTCOMES,
        action_names=tuple(f"fluid {a // 5}, vasopressor {a % 5}" for a in range(ACTIONS)),
    )
