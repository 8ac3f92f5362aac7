"""What is written down of a batch of patients step after step, whoever looks at it later: rollouts, logged data, safety evaluations."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core import kernels
from medsim.core.vector import PatientVectorEnv

__all__ = ["Steps", "done_by"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Steps:
    """The steps of one episode of each of n patients, which begins where the batch stands; zeros after a patient's end.

    Attributes:
        alive: whose episode is running, (n,); lengths: steps lived, (n,).
        rewards, costs: of each step, (n,) and (names, n); outcomes' codes and times in hours, (n,).
    """

    def __init__(self, env: PatientVectorEnv) -> None:
        n = env.num_envs
        self.env = env
        self.alive = np.ones(n, dtype=np.bool_)
        self.rewards: list[Floats] = []
        self.costs: list[Floats] = []
        self.lengths, self.codes, self.times_h = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n)

    def take(self, actions: Any) -> tuple[Bools, Bools]:
        """Step the patients whose episode is running; returns who they were, and whose episode ended, (n,) each."""
        there, batch = self.alive, self.env.batch
        ended = self.env.step_running(actions)
        self.rewards.append(np.where(there, batch.out[kernels.REWARD], 0.0))
        self.costs.append(np.where(there, batch.costs, 0.0))
        self.lengths += there
        self.codes[ended], self.times_h[ended] = batch.out[kernels.OUTCOME][ended], batch.out[kernels.TIME_H][ended]
        self.alive = there & ~ended
        return there, ended

    def outcomes(self) -> list[str]:
        """Return the outcomes by name, (n,)."""
        return [self.env.outcomes[code] for code in self.codes]


def done_by(there: Bools, actions: Array) -> Array:
    """Return actions (n,) or (n, a), zeros of who was not there."""
    return np.where(there.reshape(-1, *[1] * (actions.ndim - 1)), actions, np.zeros_like(actions))
