"""One policy for every agent of a hospital: each decision is a step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.batch import make_decision_batch
from medsim.hospital.task import HospitalTask
from medsim_agents.multi_agent.rows import Array, EpisodeSums, RowVecEnv
from medsim_agents.multi_agent.views import SharedView, View

__all__ = ["TRAINING_SLOT", "DecisionVecEnv", "HospitalRows"]

Info = dict[str, Any]
TRAINING_SLOT = 1 << 20  # training plays slots from here on, evaluation those from 0: whatever the seeds, they have no episode in common
MOST_SILENT = 100  # chosen: so many episodes in a row without a decision to make, and the environment is refused


class HospitalRows(RowVecEnv):
    """Hospitals side by side, an episode that ends beginning anew in the same step. Its info then holds ``terminal_observation``,
    ``TimeLimit.truncated``, ``time_h`` and ``episode`` (return ``r`` of the team, decisions ``l``, ``cost`` and ``costs`` by name). All
    other infos are empty and shared: read them, do not write to them.

    Rewards of a step are summed as they come, undiscounted, however much time passes in it: the discount counts decisions, not hours
    (an agent of a semi-Markov process who values the hours discounts by the step's hours: ``RoleVecEnv`` with ``gamma_h``).
    """

    def __init__(self, task: HospitalTask, n: int, view: View, first_slot: int) -> None:
        self.task, self.view = task, view
        self.batch = make_decision_batch(task, n)
        self.slots = range(first_slot, first_slot + n)
        self.sums = EpisodeSums(n, self.batch.cost_names)
        self.asked = np.zeros(n, dtype=np.int64)  # who was asked last
        self._nothing: list[Info] = [{} for _ in range(n)]
        self._everyone = np.ones(n, dtype=np.bool_)
        self._seed: int | None = None
        super().__init__(n, view.space, view.action_space)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Key the next reset's random streams: row k is slot ``first_slot + k`` of the seed, so rows differ, and rows of neighbouring seeds
        have nothing in common. Returns the seed, once for each."""
        self._seed = seed
        return [seed] * self.num_envs

    def reset(self) -> Array:
        """Begin an episode in every hospital; returns what the asked agents see (n, k)."""
        if self._seed is not None:
            self.batch.seed(self._seed, self.slots)
            self._seed = None
        self.sums.clear()
        self._begin(self._everyone)
        return self._look()

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are legal now, (n, actions)."""
        return self.batch.masks[:, : self.view.actions].astype(np.bool_)

    def _look(self) -> Array:
        self.asked[...] = self.batch.agent
        return self.view(self.batch.agent, self.batch.observations)

    def _count(self) -> Array:
        """Add the batch's last step to the episodes' sums, and return its rewards (n,): the team's, or of who was asked its own."""
        batch, sums = self.batch, self.sums
        sums.returns += batch.rewards
        sums.costs += batch.costs
        return batch.local[np.arange(self.num_envs), self.asked] if self.task.local_rewards else batch.rewards.copy()

    def _begin(self, rows: npt.NDArray[np.bool_]) -> None:
        """Begin episodes until each of these hospitals stands at a decision.

        Raises:
            ValueError: many episodes in a row had none.
        """
        waiting = rows
        for _ in range(MOST_SILENT):
            self.batch.reset(waiting)
            self._settle(waiting)
            waiting = waiting & self.batch.ended
            if not waiting.any():
                return
        raise ValueError(f"{self.task.id} had no decision to make in {MOST_SILENT} episodes in a row: nothing can be learnt from it")

    def _settle(self, rows: npt.NDArray[np.bool_]) -> None:
        """Run hospitals to a decision that is this environment's; here every one is."""

    def _finish(self, ended: npt.NDArray[np.bool_]) -> list[Info]:
        """Return the infos of a step in which these hospitals ended, and begin anew in them."""
        infos = self._nothing.copy()
        rows = np.flatnonzero(ended)
        last = self.view(self.asked[rows], self.batch.observe(rows, self.asked[rows]))
        for at, row in enumerate(rows.tolist()):
            infos[row] = {
                "terminal_observation": last[at],
                "TimeLimit.truncated": not self.task.ends_by_itself,
                "time_h": float(self.batch.time_h[row]),
                "episode": self.sums.info(row),
            }
        self.sums.clear(rows)
        self._begin(ended)
        return infos


class DecisionVecEnv(HospitalRows):
    """n hospitals, each decision of any agent a step of one shared policy. Observations are those of ``SharedView``, actions Discrete(the
    most that a role can do), with masks: an action that is none of the asked agent's, or forbidden now, does nothing and costs.

    Args:
        task: a hospital's; n: how many of it; seed: None: a fresh one. first_slot: row k is slot ``first_slot + k`` of the seed.

    Attributes:
        last_costs: harms of the last step, (n, costs), zeros after ``reset``; cost_names: their names.
    """

    def __init__(self, task: HospitalTask, n: int, *, seed: int | None = None, first_slot: int = 0) -> None:
        super().__init__(task, n, SharedView(task), first_slot)
        self.cost_names = tuple(self.batch.cost_names)
        self.last_costs = np.zeros((n, len(self.cost_names)))
        self.seed(seed)

    def reset(self) -> Array:
        """Begin an episode in every hospital; returns what the asked agents see (n, k)."""
        self.last_costs = np.zeros_like(self.last_costs)
        return super().reset()

    def step_wait(self) -> tuple[Array, Array, Array, list[Info]]:
        """Answer all questions; returns observations (n, k), rewards (n,), who has ended (n,), infos. All arrays are the caller's own.

        Raises:
            ValueError: an action is outside the space; nothing has happened then.
        """
        assert self._actions is not None
        self.batch.step(self._actions)
        rewards = self._count()
        self.last_costs = self.batch.costs.copy()  # an episode that begins anew clears the batch's own
        self.sums.lengths += 1
        ended = self.batch.ended.copy()
        infos = self._finish(ended) if ended.any() else self._nothing
        return self._look(), rewards.astype(np.float32), ended, infos

    def snapshot(self) -> dict[str, Any]:
        """Return what ``restore`` needs to go on from here, to the bit."""
        return {"batch": self.batch.snapshot(), "sums": self.sums.snapshot()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot of an environment of the same task and size; forgets a seed not yet used."""
        self.batch.restore(snapshot["batch"])
        self.sums.restore(snapshot["sums"])
        self._seed = None
        self._look()
