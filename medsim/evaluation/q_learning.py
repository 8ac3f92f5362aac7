"""Tabular Q-learning (Watkins, Dayan, Mach Learn 1992;8:279-292) on a batch of patients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from medsim.core import kernels as k
from medsim.core.decision_tables import DecisionTable, deterministic_table
from medsim.core.tabular import TabularTask
from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.exact import Exact, Problem, best_actions, evaluate_table
from medsim.policies.table import codes_by

__all__ = ["Learned", "QLearning", "learn"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class QLearning:
    """Settings of the learner.

    A pair's learning rate is 1 / visits ** ``decay``; exploration falls from ``explore_first`` to ``explore_last`` in a straight line
    over the first ``explore_share`` of the steps. ``by_step``: a table for each step, where the course has a deadline.
    """

    steps: int = 5_000_000
    patients: int = 256
    seed: int = 0
    decay: float = 0.7
    explore_first: float = 1.0
    explore_last: float = 0.1
    explore_share: float = 0.8
    by_step: bool = True
    curve_points: int = 10


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The greedy policy, and its exact value after so many steps, as learning went on."""

    table: DecisionTable
    curve: list[tuple[int, float]]


def learn(task: TabularTask, settings: QLearning, discount: float | None = None, progress: Callable[[int], None] | None = None,
          look: Callable[[int, Exact], None] | None = None) -> Learned:  # fmt: skip
    """Return what Q-learning learns from patients of a task, by what it sees of them; it is told neither tables nor states.

    Args:
        progress: called with the number of steps made since the last call; look: called with the steps made and what the greedy policy is
            worth, before the first step and at every point of the curve.
    """
    problem, learner = Problem(task, discount), Learner(task, settings, task.discount if discount is None else discount)
    rounds = max(1, settings.steps // settings.patients)
    marks = {max(1, rounds * (i + 1) // settings.curve_points) for i in range(settings.curve_points)}
    curve = []
    if look is not None:
        look(0, evaluate_table(problem, learner.greedy()))
    for number in range(1, rounds + 1):
        learner.step(number / rounds)
        if progress is not None:
            progress(settings.patients)
        if number in marks:
            worth = evaluate_table(problem, learner.greedy())
            curve.append((number * settings.patients, worth.value))
            if look is not None:
                look(number * settings.patients, worth)
    return Learned(table=learner.greedy(), curve=curve)


class Learner:
    """The table of values, and the patients from whom it is learned."""

    def __init__(self, task: TabularTask, settings: QLearning, discount: float) -> None:
        self.task, self.settings, self.discount = task, settings, discount
        self.env = PatientVectorEnv(task, settings.patients, autoreset_mode=AutoresetMode.SAME_STEP, threads=1)
        self.code = codes_by(task, task.view_name)
        self.codes = int(task.view.code_of_state.max()) + 1
        self.steps = task.horizon_steps if task.has_deadline and settings.by_step else 1
        self.actions = task.tables.actions
        self.q = np.zeros((self.steps * self.codes, self.actions))
        self.visits = np.zeros_like(self.q)
        self.chance = np.random.Generator(np.random.Philox(key=[settings.seed, 1]))  # of exploring; patients have their own streams
        observations, _ = self.env.reset(seed=settings.seed)
        self.rows = self.row_of(observations, np.zeros(settings.patients, dtype=np.int64))

    def row_of(self, observations: npt.NDArray[Any], step: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows of the table for observations after so many steps."""
        return np.asarray(np.minimum(step, self.steps - 1) * self.codes + self.code(observations))

    def step(self, share_done: float) -> None:
        """Step every patient once, and learn from it."""
        batch, rows, one = self.env.batch, self.rows, self.settings
        gone = min(1.0, share_done / one.explore_share)
        explore = one.explore_first + gone * (one.explore_last - one.explore_first)
        n = one.patients
        actions = np.where(self.chance.random(n) < explore, self.chance.integers(0, self.actions, n), self.q[rows].argmax(axis=1))
        step = batch.ids[:, k.STEP] + 1
        batch.actions[:, 0] = actions
        batch.step()
        ended = batch.ends[0] | batch.ends[1]
        seen = np.where(ended[(...,) + (None,) * (batch.obs.ndim - 1)], batch.final_obs, batch.obs)
        following = self.q[self.row_of(seen, step)].max(axis=1)
        targets = batch.out[k.REWARD] + self.discount * np.where(batch.ends[0], 0.0, following)
        self.update(rows * self.actions + actions, targets)
        self.rows = self.row_of(batch.obs, batch.ids[:, k.STEP].copy())

    def update(self, pairs: npt.NDArray[np.int64], targets: Array) -> None:
        """Move the values of pairs towards targets; a pair met several times in a batch moves as far as it would one by one."""
        met, place, times = np.unique(pairs, return_inverse=True, return_counts=True)
        means = np.bincount(place.reshape(-1), weights=targets) / times
        q, visits = self.q.reshape(-1), self.visits.reshape(-1)
        visits[met] += times
        rate = 1.0 - (1.0 - np.minimum(visits[met] ** -self.settings.decay, 1.0)) ** times
        q[met] += rate * (means - q[met])

    def greedy(self) -> DecisionTable:
        """Return the greedy policy."""
        actions = best_actions(self.q.reshape(self.steps, self.codes, self.actions))
        return deterministic_table(self.task.view_name, actions, self.actions)
