"""One role of a hospital learns, on its own clock; the others act by their policies in between."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.task import HospitalTask
from medsim_agents.multi_agent.acting import Others, Player
from medsim_agents.multi_agent.decisions import HospitalRows, Info
from medsim_agents.multi_agent.rows import Array
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
        others: role -> who acts for it: a maker of a policy (such as those of ``medsim.policies``), or a ``ModelActs``. Roles that have
            the same maker share one policy in each hospital.

    Raises:
        ValueError: there is no such role, or one of the others has no policy.
    """

    def __init__(
        self, task: HospitalTask, n: int, role: str, others: Mapping[str, Player], *, seed: int | None = None, first_slot: int = 0
    ) -> None:
        super().__init__(task, n, RoleView(task, role), first_slot)
        self.role = role
        self.others = Others(task, n, role, others)
        self._ours: npt.NDArray[np.bool_] = np.array([its == role for its in task.roles.values()], dtype=np.bool_)
        self.seed(seed)

    def step_wait(self) -> tuple[Array, Array, Array, list[Info]]:
        """Answer the role's questions and run to its next; returns observations (n, k), rewards (n,), who has ended (n,), infos.

        Raises:
            ValueError: an action is outside the space; nothing has happened then.
        """
        assert self._actions is not None
        self.batch.step(self._actions)
        self.sums.lengths += 1
        rewards = self._count()
        while (others := self._of_others()).any():
            self._let_others_act(others)
            rewards += self._count()
        ended = self.batch.ended.copy()
        infos = self._finish(ended) if ended.any() else self._nothing
        return self._look(), rewards.astype(np.float32), ended, infos

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
