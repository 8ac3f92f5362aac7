"""The structural causal model as the tabular engine takes it: transitions, outcomes, rewards, costs and views."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medsim.core.tabular import TabularModel, TabularView
from medsim.treatments.sepsis_scm.model import (
    ACTIONS,
    DEATH,
    DISCHARGE,
    HIDDEN,
    LEVELS,
    OBSERVED,
    VARIABLES,
    end_of,
    index_of,
    start_probabilities,
    transition_matrix,
    variables,
)

__all__ = ["ACTION_NAMES", "COHORTS", "HORIZON_STEPS", "OUTCOMES", "SHIFTED_DIABETES", "Params", "sepsis_scm_model"]

Array = npt.NDArray[np.float64]

OUTCOMES = ("", "death", "discharge", "still_treated", "watching_ended")
COHORTS = ("train", "test", "shifted")
SHIFTED_DIABETES = 0.5  # chosen: a population with two and a half times the published share of diabetes
HORIZON_STEPS = 20
ACTION_NAMES = (
    "none", "vasopressor", "ventilation", "ventilation+vasopressor", "antibiotics", "antibiotics+vasopressor",
    "antibiotics+ventilation", "antibiotics+ventilation+vasopressor",
)  # fmt: skip
WITHOUT_GLUCOSE = (0, 1, 2, 4, 5, 6)


class Params(NamedTuple):
    """A patient at the start: levels of the vital signs, and whether they have diabetes."""

    heart_rate: float
    blood_pressure: float
    oxygen: float
    glucose: float
    diabetes: float


@lru_cache(maxsize=1)
def patients() -> tuple[tuple[str, ...], Array]:
    """Return the names and parameters of the 74 possible first states: 37 without and 37 with diabetes."""
    states = np.flatnonzero(start_probabilities(0.5))
    counts = np.arange(len(states)) % (len(states) // 2) + 1
    names = tuple(f"{'diabetic' if state >= OBSERVED else 'nondiabetic'}#{n:03d}" for state, n in zip(states, counts, strict=True))
    return names, params_of(states)


def params_of(states: npt.NDArray[np.int64]) -> Array:
    """Return the parameters (n, 5) of patients who begin in these states."""
    return np.asarray(variables(states)[:, [0, 1, 2, 3, 7]], dtype=np.float64)


def start_of(rows: Array) -> npt.NDArray[np.int64]:
    """Return the first states (n,) of patients (n, 5), who begin untreated.

    Raises:
        ValueError: a patient would be dead, or discharged, at the start.
    """
    levels = np.zeros((len(rows), 8), dtype=np.int64)
    levels[:, [0, 1, 2, 3, 7]] = rows
    states = index_of(levels)
    ends = end_of(states)
    if ends.any():
        k = int(np.argmax(ends != 0))
        raise ValueError(f"a patient with {Params(*rows[k].tolist())} would begin with the outcome {OUTCOMES[ends[k]]}")
    return states


def views() -> dict[str, TabularView]:
    """Return the ways to observe; ``_no_deadline`` ones go with a course that has none."""
    levels = variables(np.arange(HIDDEN))
    weights = index_of(np.eye(8, dtype=np.int64))
    highs = tuple(float(count - 1) for count in LEVELS)
    found: dict[str, TabularView] = {}
    for name, columns in (("vector", 7), ("full", 8)):
        table = levels[:, :columns].astype(np.float32)
        shown = VARIABLES[:columns]
        plain = tuple(float(weight) for weight in weights[:columns])
        found[name] = TabularView(
            names=(*shown, "steps_left"), low=(0.0,) * (columns + 1), high=(*highs[:columns], float(HORIZON_STEPS)), table=table,
            steps_left=True, weights=(*plain, 0.0),
        )  # fmt: skip
        found[f"{name}_no_deadline"] = TabularView(
            names=shown, low=(0.0,) * columns, high=highs[:columns], table=table, weights=plain
        )  # fmt: skip
    radix = [int(np.prod([LEVELS[later] for later in WITHOUT_GLUCOSE[k + 1 :]], dtype=np.int64)) for k in range(6)]
    codes = {"index": (OBSERVED, np.arange(HIDDEN) % OBSERVED), "projected": (144, levels[:, list(WITHOUT_GLUCOSE)] @ radix)}
    for name, (count, code) in codes.items():
        found[name] = TabularView(names=(name,), low=(0.0,), high=(count - 1.0,), table=code[:, None], codes=count)
    return found


@lru_cache(maxsize=8)
def sepsis_scm_model(version: str, diabetes: float) -> TabularModel:
    """Return the model of a version with a share of diabetes among those from whom patients are drawn."""
    from scipy import sparse

    levels = variables(np.arange(HIDDEN)).astype(np.float64)
    ends = end_of(np.arange(HIDDEN))
    chosen = np.tile(np.arange(ACTIONS), HIDDEN)
    died = (ends == DEATH).astype(np.float64)
    no_choice = np.zeros(HIDDEN * ACTIONS)
    on_arrival = {name: levels[:, k] for k, name in enumerate(VARIABLES[:7])}
    law = start_probabilities(diabetes)
    return TabularModel(
        name="sepsis_scm",
        made_by=(sepsis_scm_model, (version, diabetes)),
        transitions=sparse.csr_matrix(transition_matrix(version).reshape(-1, HIDDEN)),
        outcome_of=ends,
        starts=np.stack([law, law, start_probabilities(SHIFTED_DIABETES)]),
        reward_terms={"death": -died, "discharge": (ends == DISCHARGE).astype(np.float64)},
        costs={
            "death": (died, no_choice),
            "ventilation": (np.zeros(HIDDEN), ((chosen >> 1) & 1).astype(np.float64)),
            "vasopressor": (np.zeros(HIDDEN), (chosen & 1).astype(np.float64)),
        },
        measures=on_arrival,
        action_measures={},
        state_fields={"state": np.arange(HIDDEN, dtype=np.float64), "diabetes": levels[:, 7]},
        params=Params,
        patients=patients,
        start_of=start_of,
        params_of=params_of,
        views=views(),
        outcomes=OUTCOMES,
        action_names=ACTION_NAMES,
    )
