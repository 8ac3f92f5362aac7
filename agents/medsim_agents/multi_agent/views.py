"""What a policy that several agents share is shown: the asked agent's observation, and who it is."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.hospital.task import HospitalTask

__all__ = ["RoleView", "SharedView", "View"]

Rows = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]


class View:
    """Rows of a batch as a policy sees them: ``[numbers of the observation | who is asked]``.

    Attributes:
        numbers: how many of the columns are the observation's; actions: how many actions the policy chooses from.
        who: (agents, columns) what stands behind the numbers for each agent. space, action_space: of the policy.
    """

    def __init__(self, task: HospitalTask, numbers: int, actions: int, roles: Sequence[str], who: Rows) -> None:
        self.task, self.numbers, self.actions, self.roles, self.who = task, numbers, actions, tuple(roles), who
        limits = [task.limits(role) for role in self.roles]
        low, high = np.zeros(numbers, dtype=np.float32), np.zeros(numbers, dtype=np.float32)
        for lowest, highest in limits:
            low[: len(lowest)] = np.minimum(low[: len(lowest)], lowest)
            high[: len(highest)] = np.maximum(high[: len(highest)], highest)
        ends = np.zeros(who.shape[1], dtype=np.float32)
        self.space = spaces.Box(np.concatenate([low, ends]), np.concatenate([high, ends + 1.0]), dtype=np.float32)
        self.action_space = spaces.Discrete(actions)

    def __call__(self, agents: Whole, observations: Rows) -> Rows:
        """Return the rows (m, columns) for who is asked (m,) and a batch's observations (m, K); nobody is taken for the first agent."""
        return np.concatenate([observations[:, : self.numbers], self.who[np.maximum(agents, 0)]], axis=1)


class SharedView(View):
    """For one policy of all roles: the observation with zeros behind it up to the widest role's, one column a role that is 1 for the
    asked agent's, and, where a role has several agents, the agent's place among them from 0 to 1. A hospital with one agent has neither."""

    def __init__(self, task: HospitalTask) -> None:
        roles = tuple(task.actions)
        places = {agent: place for role in roles for agent, place in places_in(task, role).items()}
        who = np.array([[*(float(role == one) for one in roles), places[agent]] for agent, role in task.roles.items()], dtype=np.float32)
        several = max(list(task.roles.values()).count(role) for role in roles) > 1
        who = who[:, : who.shape[1] if several else len(roles)]
        super().__init__(
            task,
            max(len(seen) for seen in task.seen.values()),
            max(len(names) for names in task.actions.values()),
            roles,
            who if len(task.agents) > 1 else who[:, :0],
        )


class RoleView(View):
    """For one policy of a role's agents: the observation, and, where there are several agents, a column for each that is 1 for the asked.

    Raises:
        ValueError: the task has no such role.
    """

    def __init__(self, task: HospitalTask, role: str) -> None:
        if role not in task.actions:
            raise ValueError(f"{task.id} has no role {role!r}; there are {', '.join(task.actions)}")
        agents = [agent for agent, its in task.roles.items() if its == role]
        who = np.array([[float(agent == one) for one in agents] for agent in task.agents], dtype=np.float32)
        super().__init__(task, len(task.seen[role]), len(task.actions[role]), (role,), who if len(agents) > 1 else who[:, :0])


def places_in(task: HospitalTask, role: str) -> dict[str, float]:
    """Return where each agent of a role stands among them: 0 for the first, 1 for the last."""
    agents = [agent for agent, its in task.roles.items() if its == role]
    return {agent: number / max(len(agents) - 1, 1) for number, agent in enumerate(agents)}
