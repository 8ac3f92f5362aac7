"""One role of a hospital learns, on its own clock; the others act by their policies in between."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.task import HospitalTask
from medsim_agents.multi_agent.acting import Others, Player
from medsim_agents.multi_agent.decisions import HospitalRows, Info
from medsim_agents.multi_agent.rows import Array
from medsim_agents.multi_agent.timed import share_counted
from medsim_agents.multi_agent.views import RoleView

__all__ = ["RoleVecEnv"]


class RoleVecEnv(HospitalRows):
    """n hospitals in which a step is a decision of one role's agents. Between two of them the others' questions are answered by their
    policies, all hospitals that wait for such answers together, and all rewards on the way are summed into the step: a bed manager's step
    is its 4 hours, a unit's its next event. Of a role with several agents a step runs to the next decision of any of them, and its reward
    is the team's; with the task's ``local_rewards`` it is the part of the agent that acted.

    What happens before the role's first decision of an episode is in the episode's return, and in no step's reward. An episode in which
    the role is never asked is passed over.

    Args:
        task: a hospital's; n: how many of it; role: who learns. seed, first_slot: as of ``DecisionVecEnv``.
        gamma_h: the discount of an hour: rewards count less the later they come in a step, those between two decisions as if they came
            evenly, and ``discounts`` (n,) holds what counts at each step's end of what comes after. None: rewards are just summed.
        others: role -> who acts for it: a maker of a policy (such as those of ``medsim.policies``), or a ``ModelActs``. Roles that have
            the same maker share one policy in each hospital.

    Raises:
        ValueError: there is no such role, one of the others has no policy, or gamma_h is not above 0 and at most 1.
    """

    def __init__(self, task: HospitalTask, n: int, role: str, others: Mapping[str, Player], *, seed: int | None = None,
                 first_slot: int = 0, gamma_h: float | None = None) -> None:  # fmt: skip
        if gamma_h is not None and not 0.0 < gamma_h <= 1.0:
            raise ValueError(f"gamma_h must be above 0 and at most 1, not {gamma_h!r}")
        super().__init__(task, n, RoleView(task, role), first_slot)
        self.role, self.gamma_h = role, gamma_h
        self.discounts = np.ones(n)
        self.others = Others(task, n, role, others)
        self._ours: npt.NDArray[np.bool_] = np.array([its == role for its in task.roles.values()], dtype=np.bool_)
        self.seed(seed)

    def step_wait(self) -> tuple[Array, Array, Array, list[Info]]:
        """Answer the role's questions and run to its next; returns observations (n, k), rewards (n,), who has ended (n,), infos.

        Raises:
            ValueError: an action is outside the space; nothing has happened then.
        """
        assert self._actions is not None
        began_h = self.batch.time_h.copy()
        until_h = began_h.copy()
        self.batch.step(self._actions)
        self.sums.lengths += 1
        rewards = self._count_from(began_h, until_h)
        while (others := self._of_others()).any():
            self._let_others_act(others)
            rewards += self._count_from(began_h, until_h)
        if self.gamma_h is not None:
            self.discounts = self.gamma_h ** (until_h - began_h)
        ended = self.batch.ended.copy()
        infos = self._finish(ended) if ended.any() else self._nothing
        return self._look(), rewards.astype(np.float32), ended, infos

    def _count_from(self, began_h: Array, until_h: Array) -> Array:
        """Count what has come in since ``until_h``, and move that to now; returns what of it counts at ``began_h``, the step's start."""
        came = self._count()
        if self.gamma_h is not None:
            came *= share_counted(self.gamma_h, until_h - began_h, self.batch.time_h - until_h)
            until_h[...] = self.batch.time_h
        return came

    def _of_others(self) -> npt.NDArray[np.bool_]:
        """Return which hospitals stand at a decision of another role."""
        return np.asarray(~self.batch.ended & ~self._ours[self.batch.agent])

    def _let_others_act(self, rows: npt.NDArray[np.bool_]) -> None:
        actions = np.zeros(self.num_envs, dtype=np.int64)
        actions[rows] = self.others.act(self.batch, np.flatnonzero(rows))
        self.batch.step(actions, rows)

    def _settle(self, rows: npt.NDArray[np.bool_]) -> None:
        self.others.begin(self.batch, np.flatnonzero(rows))
        while (others := self._of_others() & rows).any():
            self._let_others_act(others)
            self.sums.returns += self.batch.rewards
            self.sums.costs += self.batch.costs

    def snapshot(self) -> dict[str, Any]:
        """Refuse: what the others' policies carry is theirs.

        Raises:
            NotImplementedError: always; training by roles keeps whole segments instead.
        """
        raise NotImplementedError("a RoleVecEnv has no snapshot: the others' policies may carry what it cannot see")
