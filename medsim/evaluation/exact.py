"""Exact values where the whole course is a table: what a policy is worth, and what is best, by dynamic programming."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from medsim.core.decision_tables import DecisionTable
from medsim.core.tabular import TabularTask

__all__ = [
    "TIE", "Exact", "Problem", "backward_induction", "chance_by_state", "evaluate_probabilities", "evaluate_table", "policy_iteration",
    "probabilities_by_state", "value_iteration",
]  # fmt: skip

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NOBODY = 1e-15  # so small a share of patients is none
TIE = 1e-9  # actions whose values differ by less are equally good; the one with the lowest number is then taken


@dataclass(frozen=True, kw_only=True)
class Exact:
    """What a policy is worth: expectations over all patients and courses, with no sampling error."""

    value: float  # the expected return, with the discount
    undiscounted: float
    length: float  # mean steps to the end
    outcomes: Mapping[str, float]  # probability of each
    costs: Mapping[str, float]  # sum over the course, undiscounted
    discount: float

    def record(self) -> dict[str, Any]:
        """Return the result as plain numbers."""
        return {
            "return": self.value, "undiscounted_return": self.undiscounted, "discount": self.discount, "length": self.length,
            "outcomes": dict(self.outcomes), "costs": dict(self.costs), "cost": float(sum(self.costs.values())),
        }  # fmt: skip


class Problem:
    """A task's tables, ready for dynamic programming.

    Args:
        task: the task; its discount is used unless ``discount`` is given.
        transitions: other probabilities (states x actions, states) to plan with, such as a mistaken planner's.
    """

    def __init__(self, task: TabularTask, discount: float | None = None, transitions: Any = None) -> None:
        model = task.tables
        self.task, self.model = task, model
        self.discount = task.discount if discount is None else float(discount)
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"discount must be from 0 to 1, not {self.discount}")
        self.states, self.actions = model.states, model.actions
        self.over = model.outcome_of > 0 if transitions is None else np.zeros(model.states, dtype=np.bool_)
        running = sparse.diags_array(np.repeat((~self.over).astype(np.float64), self.actions))
        matrix = model.transitions if transitions is None else transitions
        self.arrive = (running @ matrix).tocsr()  # (pairs, states): nothing happens to those whose course is over
        self.go_on = (self.arrive @ sparse.diags_array((~self.over).astype(np.float64))).tocsr()  # and with those who go on only
        self.rewards = (self.arrive @ model.rewards).reshape(self.states, self.actions)
        self.horizon: int | None = task.horizon_steps if task.has_deadline else None

    def q_values(self, values: Array) -> Array:
        """Return the values (states, actions) of each action if what follows is worth ``values`` (states,)."""
        return np.asarray(self.rewards + self.discount * (self.go_on @ values).reshape(self.states, self.actions))

    def under(self, probabilities: Array, matrix: Any) -> Any:
        """Return the matrix (states, states) of ``matrix`` under action probabilities (states, actions)."""
        rows = np.repeat(np.arange(self.states), self.actions)
        weights = sparse.csr_matrix((probabilities.ravel(), (rows, np.arange(rows.size))), shape=(self.states, rows.size))
        return weights @ matrix


def best_actions(q: Array) -> Integers:
    """Return the best action of each row; of equally good ones the one with the lowest number."""
    return np.asarray(np.argmax(q >= q.max(axis=-1, keepdims=True) - TIE, axis=-1), dtype=np.int64)


def evaluate_probabilities(problem: Problem, probabilities: Array) -> Exact:
    """Return what action probabilities (steps or 1, states, actions) are worth in a task, by its own horizon and discount.

    Raises:
        ValueError: without a deadline, the probabilities change from step to step.
    """
    if problem.horizon is None:
        if len(probabilities) != 1:
            raise ValueError(f"a course without a deadline is valued under one table for all steps, not {len(probabilities)}")
        return to_the_end(problem, probabilities[0])
    return to_the_deadline(problem, probabilities)


def evaluate_table(problem: Problem, table: DecisionTable) -> Exact:
    """Return what a table is worth, whose codes are those of an observation mode of the task (or ``"any"``: one row for all)."""
    return evaluate_probabilities(problem, probabilities_by_state(problem, table))


def probabilities_by_state(problem: Problem, table: DecisionTable) -> Array:
    """Return a table's action probabilities (steps or 1, states, actions)."""
    views = problem.model.views
    code_of = np.zeros(problem.states, dtype=np.int64) if table.observation == "any" else views[table.observation].code_of_state
    return np.asarray(table.probabilities[:, code_of])


def chance_by_state(problem: Problem, target: npt.NDArray[np.bool_], probabilities: Array | None = None) -> Array:
    """Return the probability that a course comes to a state of ``target`` (states,) before watching ends, (steps left, states).

    Args:
        probabilities: a policy's, (steps or 1, states, actions); None: the least that any policy that sees the state can reach.

    The row k is for k steps left: the last one, for a whole course.
    """
    hit = problem.arrive @ target.astype(np.float64)
    steps, chances = problem.task.horizon_steps, [np.zeros(problem.states)]
    for left in range(1, steps + 1):
        q = (hit + problem.go_on @ chances[-1]).reshape(problem.states, problem.actions)
        if probabilities is None:
            chances.append(q.min(axis=1))
        else:
            chances.append((q * probabilities[min(steps - left, len(probabilities) - 1)]).sum(axis=1))
    return np.stack(chances)


def to_the_deadline(problem: Problem, probabilities: Array) -> Exact:
    """Follow the distribution of patients over states to the horizon."""
    assert problem.horizon is not None
    present, tally, discount = problem.task.start.copy(), Tally(problem), 1.0
    for step in range(problem.horizon):
        chosen = present[:, None] * probabilities[min(step, len(probabilities) - 1)]
        arrived = problem.arrive.T @ chosen.ravel()
        tally.add(present, chosen, arrived, discount)
        present = np.where(problem.over, 0.0, arrived)
        discount *= problem.discount
    return tally.result(still_there=float(present.sum()))


def to_the_end(problem: Problem, probabilities: Array) -> Exact:
    """Count how often each state is visited while patients are watched; a discounted value is solved for, to the very end."""
    moves, start = problem.under(probabilities, problem.go_on).T.tocsr(), problem.task.start
    present, visits = start.copy(), start.copy()
    for _ in range(problem.task.horizon_steps - 1):
        present = moves @ present
        visits += present
        if present.sum() < NOBODY:
            break
    chosen = visits[:, None] * probabilities
    tally = Tally(problem)
    tally.add(visits, chosen, problem.arrive.T @ chosen.ravel(), 1.0)
    if problem.discount < 1.0:
        weighted = np.linalg.solve(np.eye(problem.states) - problem.discount * moves.toarray(), start)
        tally.value = float((problem.arrive.T @ (weighted[:, None] * probabilities).ravel()) @ problem.model.rewards)
    return tally.result(still_there=float((moves @ present).sum()))


class Tally:
    """Adds up what happens on the way."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.value, self.undiscounted, self.length = problem, 0.0, 0.0, 0.0
        self.ends = np.zeros(len(problem.model.outcomes))
        self.costs = dict.fromkeys(problem.model.costs, 0.0)

    def add(self, present: Array, chosen: Array, arrived: Array, discount: float) -> None:
        """Count a step of patients present (states,), their choices (states, actions) and where they arrive (states,)."""
        model = self.problem.model
        earned = float(arrived @ model.rewards)
        self.value += discount * earned
        self.undiscounted += earned
        self.length += float(present[~self.problem.over].sum())
        self.ends += np.bincount(model.outcome_of, weights=arrived, minlength=len(self.ends))
        pairs = np.where(self.problem.over[:, None], 0.0, chosen).ravel()
        for name, (on_arrival, of_choice) in model.costs.items():
            self.costs[name] += float(arrived @ on_arrival + pairs @ of_choice)

    def result(self, still_there: float) -> Exact:
        """Return the sums; ``still_there``: the share of patients whose course goes on at the horizon."""
        ends = self.ends.copy()
        ends[int(self.problem.task.settings.outcome_at_horizon)] += still_there
        names = self.problem.model.outcomes
        outcomes = {name: float(share) for name, share in zip(names[1:], ends[1:], strict=True) if share > 0.0}
        return Exact(
            value=self.value, undiscounted=self.undiscounted, length=self.length, outcomes=outcomes, costs=self.costs,
            discount=self.problem.discount,
        )  # fmt: skip


def backward_induction(problem: Problem, progress: Callable[[int], None] | None = None) -> tuple[Integers, Array]:
    """Return the best actions (steps, states) of a course with a deadline, and the values (states,) at its start."""
    assert problem.horizon is not None
    values, plan = np.zeros(problem.states), np.zeros((problem.horizon, problem.states), dtype=np.int64)
    for step in reversed(range(problem.horizon)):
        q = problem.q_values(values)
        plan[step], values = best_actions(q), q.max(axis=1)
        if progress is not None:
            progress(1)
    return plan, values


def value_iteration(problem: Problem, tolerance: float = 1e-12, most_sweeps: int = 100_000,
                    progress: Callable[[int], None] | None = None) -> tuple[Integers, Array, int]:  # fmt: skip
    """Return the best actions (states,) of a course without a deadline, the values (states,), and the sweeps that it took.

    Raises:
        ValueError: values still change by more than the tolerance after ``most_sweeps``.
    """
    values = np.zeros(problem.states)
    for sweep in range(1, most_sweeps + 1):
        q = problem.q_values(values)
        change = float(np.abs(q.max(axis=1) - values).max())
        values = q.max(axis=1)
        if progress is not None:
            progress(1)
        if change <= tolerance:
            return best_actions(problem.q_values(values)), values, sweep
    raise ValueError(f"values still change by {change:.3g} after {most_sweeps} sweeps")


def policy_iteration(problem: Problem, sign: float = 1.0) -> tuple[Integers, Array, int]:
    """Return the best actions (states,) of a course without a deadline, exact values, and the rounds; ``sign=-1``: the worst."""
    rows = np.arange(problem.states)
    actions = best_actions(sign * problem.rewards)
    for rounds in range(1, 1000):
        one = np.eye(problem.actions)[actions]
        moves = problem.under(one, problem.go_on).toarray()
        try:
            values = np.linalg.solve(np.eye(problem.states) - problem.discount * moves, problem.rewards[rows, actions])
        except np.linalg.LinAlgError as error:
            raise ValueError("with discount 1 some course never ends: give a discount below 1") from error
        q = sign * problem.q_values(values)
        better = q.max(axis=1) > q[rows, actions] + TIE
        if not better.any():
            return best_actions(q), values, rounds
        actions = np.where(better, q.argmax(axis=1), actions)
    raise AssertionError("policy iteration visits no policy twice, so it ends")
