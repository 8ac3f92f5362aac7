"""Reference policies of ``medsim/SepsisSCM-v0``, each solved for the environment in which it acts."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from medsim.core.decision_tables import DecisionTable, constant_table, deterministic_table, soft_table
from medsim.core.tabular import TabularTask
from medsim.evaluation.exact import Problem, backward_induction, policy_iteration
from medsim.policies.belief import BeliefPolicy
from medsim.policies.policy import Policy, RandomPolicy
from medsim.policies.table import TablePolicy
from medsim.treatments.sepsis_scm.definition import ACTION_NAMES
from medsim.treatments.sepsis_scm.environment import sepsis_scm_task
from medsim.treatments.sepsis_scm.model import ACTIONS, HIDDEN, OBSERVED, transition_matrix

__all__ = ["POLICIES"]

PLANNING_DISCOUNT = 0.99  # of the paper's code
EPSILON = 0.05  # of the paper's behaviour policy
ALL_SEEN = "full"  # diabetes too


@lru_cache(maxsize=16)
def planned(version: str, discount: float, mistaken: bool) -> npt.NDArray[np.int64]:
    """Return the best actions (1440,) with a discount and no deadline; ``mistaken``: by a planner for whom the dead go on."""
    task = sepsis_scm_task(version=version, horizon="infinite")
    matrix = sparse.csr_matrix(transition_matrix(version, absorbing=False).reshape(-1, HIDDEN)) if mistaken else None
    return policy_iteration(Problem(task, discount, transitions=matrix))[0]


@lru_cache(maxsize=8)
def to_the_deadline(version: str) -> npt.NDArray[np.int64]:
    """Return the best actions (20, 1440) of a course of 20 steps."""
    return backward_induction(Problem(sepsis_scm_task(version=version)))[0]


def stationary(task: TabularTask) -> DecisionTable:
    """Return the best policy of the discounted course, diabetes seen."""
    discount = PLANNING_DISCOUNT if task.has_deadline else task.discount
    return deterministic_table("full_no_deadline", planned(task.config.version, discount, False), ACTIONS)


def optimal(task: TabularTask) -> DecisionTable:
    """Return the best policy of the task's own horizon, diabetes seen."""
    if not task.has_deadline:
        return stationary(task)
    return deterministic_table("full", to_the_deadline(task.config.version), ACTIONS)


def physician(task: TabularTask) -> DecisionTable:
    """Return the policy that the paper's code takes for optimal: planned as if the dead and the discharged went on."""
    return deterministic_table("full_no_deadline", planned(task.config.version, PLANNING_DISCOUNT, True), ACTIONS)


def as_nondiabetic(task: TabularTask) -> DecisionTable:
    """Return the policy that treats everyone as if they had no diabetes."""
    best = stationary(task).probabilities[0, :OBSERVED]
    return DecisionTable(observation="index", probabilities=best[None])


def constant(action: int) -> Callable[[], Policy]:
    """Return the maker of the policy of one action."""
    return lambda: TablePolicy(ACTION_NAMES[action], lambda task: constant_table("index", OBSERVED, action, ACTIONS))


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": RandomPolicy,
    **{name: constant(action) for action, name in enumerate(ACTION_NAMES)},
    "physician": lambda: TablePolicy("physician", physician, ALL_SEEN),
    "physician-soft": lambda: TablePolicy("physician-soft", lambda task: soft_table(physician(task), EPSILON), ALL_SEEN),
    "as-nondiabetic": lambda: TablePolicy("as-nondiabetic", as_nondiabetic),
    "optimal-stationary": lambda: TablePolicy("optimal-stationary", stationary, ALL_SEEN),
    "optimal-stationary-soft": lambda: TablePolicy("optimal-stationary-soft", lambda task: soft_table(stationary(task), EPSILON), ALL_SEEN),
    "optimal-diabetes-seen": lambda: TablePolicy("optimal-diabetes-seen", optimal, ALL_SEEN),
    "pomdp": BeliefPolicy,
}
