"""Reference policies of ``medsim/ICUSepsis-v0``."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from medsim.core.decision_tables import DecisionTable, constant_table, deterministic_table
from medsim.core.tabular import TabularTask
from medsim.evaluation.exact import Problem, policy_iteration
from medsim.policies.policy import Policy, RandomPolicy
from medsim.policies.table import TablePolicy
from medsim.treatments.icu_sepsis.definition import ACTIONS, STATES
from medsim.treatments.icu_sepsis.environment import icu_sepsis_task
from medsim.treatments.icu_sepsis.tables import read_tables

__all__ = ["POLICIES"]


@lru_cache(maxsize=8)
def solved(discount: float, sign: float) -> npt.NDArray[np.int64]:
    """Return the best (or, by sign -1, the worst) actions (716,).

    They are looked for among the admissible: the others are only worth what these are worth on average.
    """
    inadmissible = "terminate" if sign > 0.0 else "mean"  # by ending in death, what is inadmissible is never the best
    return policy_iteration(Problem(icu_sepsis_task(inadmissible=inadmissible), discount), sign=sign)[0]


def expert(task: TabularTask) -> DecisionTable:
    """Return the clinicians' policy as the package ships it."""
    shipped = read_tables().expert.copy()
    shipped[shipped.sum(axis=1) == 0.0] = 1.0 / ACTIONS  # the states after the end
    return DecisionTable(observation="index", probabilities=shipped[None])


def admissible(task: TabularTask) -> DecisionTable:
    """Return the uniform choice among what is admissible."""
    allowed = read_tables().admissible.astype(np.float64)
    return DecisionTable(observation="index", probabilities=(allowed / allowed.sum(axis=1, keepdims=True))[None])


def found(sign: float) -> Callable[[TabularTask], DecisionTable]:
    """Return the maker of the best or the worst policy's table."""
    return lambda task: deterministic_table("index", solved(task.discount, sign), ACTIONS)


def constant(action: int) -> Callable[[], Policy]:
    """Return the maker of the policy of one action."""
    name = f"fluid-{action // 5}-vasopressor-{action % 5}"
    return lambda: TablePolicy(name, lambda task: constant_table("index", STATES, action, ACTIONS))


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": RandomPolicy,
    "random-admissible": lambda: TablePolicy("random-admissible", admissible),
    **{f"fluid-{action // 5}-vasopressor-{action % 5}": constant(action) for action in range(ACTIONS)},
    "expert": lambda: TablePolicy("expert", expert),
    "worst": lambda: TablePolicy("worst", found(-1.0)),
    "optimal": lambda: TablePolicy("optimal", found(1.0)),
}
