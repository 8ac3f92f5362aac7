"""What goes wrong between a policy and its hospital: an agent that fails, a board whose numbers are stuck, noisy or blank."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medsim.hospital.batch import DecisionBatch
from medsim.hospital.decisions import NOTHING
from medsim.hospital.draws import FAULT, draw_normal, draw_uniform
from medsim.hospital.task import HospitalTask

__all__ = ["BOARD_FAULTS", "FAILURES", "AgentFails", "BoardFails", "Fault", "columns_of"]

Whole = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float32]
Masks = npt.NDArray[np.int8]

FAILURES = ("random", "first", "silent")  # how an agent fails
BOARD_FAULTS = ("stuck", "noisy", "blank")  # how a number of the board does


class Fault(Protocol):
    """Something that stands between a policy and n hospitals. What is drawn follows from the episode alone, never from the policy."""

    def begin(self, task: HospitalTask, batch: DecisionBatch) -> None:
        """Episodes have begun in all hospitals of a batch."""

    def see(self, rows: Whole, agents: Whole, seen: Rows) -> Rows:
        """Return what the policy is shown (m, K) in place of what is so, for the agents (m,) that are asked in these hospitals."""

    def answer(self, rows: Whole, agents: Whole, masks: Masks, actions: Whole) -> Whole:
        """Return the actions (m,) that reach the hospitals in place of the policy's."""


class AgentFails:
    """One agent does not act by the policy.

    Args:
        agent: which. how: "random", over what it may do; "first": the first that it may do, other than nothing; "silent": nothing.

    Raises:
        ValueError: ``how`` is something else.
    """

    def __init__(self, agent: str, how: str) -> None:
        if how not in FAILURES:
            raise ValueError(f"an agent fails by one of {', '.join(FAILURES)}, not {how!r}")
        self.agent, self.how = agent, how

    def begin(self, task: HospitalTask, batch: DecisionBatch) -> None:
        """Learn the agent's number, and begin to count its decisions."""
        self.number = task.agents.index(self.agent)
        self.keys = [batch.key(row) for row in range(batch.n)]
        self.counts = [0] * batch.n

    def see(self, rows: Whole, agents: Whole, seen: Rows) -> Rows:
        """Return what is so."""
        return seen

    def answer(self, rows: Whole, agents: Whole, masks: Masks, actions: Whole) -> Whole:
        """Return the failed agent's actions among the others'."""
        changed = actions.copy()
        for at in np.flatnonzero(agents == self.number).tolist():
            changed[at] = self.instead(int(rows[at]), masks[at])
        return changed

    def instead(self, row: int, mask: Masks) -> int:
        """Return what the failed agent does."""
        if self.how == "silent":
            return NOTHING
        legal = np.flatnonzero(mask)
        if self.how == "first":
            some = legal[legal != NOTHING]
            return int(some[0]) if len(some) else NOTHING
        self.counts[row] += 1
        return int(legal[int(draw_uniform(self.keys[row], FAULT, self.counts[row], 0) * len(legal))])


class BoardFails:
    """Numbers of the board are wrong for all who see them.

    Args:
        columns: of each agent, by number, which of what it sees. how: "stuck": as at the agent's first decision; "noisy": normal noise of
            this much, another at each decision; "blank": the lowest that can be shown.

    Raises:
        ValueError: ``how`` is something else.
    """

    def __init__(self, columns: Sequence[Whole], how: str, noise: float) -> None:
        if how not in BOARD_FAULTS:
            raise ValueError(f"a board fails by one of {', '.join(BOARD_FAULTS)}, not {how!r}")
        self.columns, self.how, self.noise = columns, how, noise

    def begin(self, task: HospitalTask, batch: DecisionBatch) -> None:
        """Learn the limits of what is seen."""
        self.limits = [task.limits(role) for role in task.roles.values()]
        self.keys = [batch.key(row) for row in range(batch.n)]
        self.first: dict[tuple[int, int], Any] = {}
        self.counts: dict[tuple[int, int], int] = {}

    def see(self, rows: Whole, agents: Whole, seen: Rows) -> Rows:
        """Return what is so, but for the numbers that are wrong."""
        shown = seen.copy()
        for at, (row, agent) in enumerate(zip(rows.tolist(), agents.tolist(), strict=True)):
            if len(self.columns[agent]):
                shown[at, self.columns[agent]] = self.wrong(row, agent, seen[at, self.columns[agent]])
        return shown

    def wrong(self, row: int, agent: int, right: Any) -> Any:
        """Return an agent's wrong numbers (k,)."""
        columns = self.columns[agent]
        low, high = (limit[columns] for limit in self.limits[agent])
        if self.how == "blank":
            return low
        if self.how == "stuck":
            return self.first.setdefault((row, agent), right.copy())
        count = self.counts[row, agent] = self.counts.get((row, agent), 0) + 1
        who = count * len(self.limits) + agent
        noise = [self.noise * draw_normal(self.keys[row], FAULT, who, 1 + part) for part in range(len(columns))]
        return np.clip(right + np.array(noise, dtype=np.float32), low, high)

    def answer(self, rows: Whole, agents: Whole, masks: Masks, actions: Whole) -> Whole:
        """Return the policy's actions."""
        return actions


def columns_of(task: HospitalTask, contains: Sequence[str]) -> list[Whole]:
    """Return, of each agent, the numbers that it sees whose names contain one of these texts.

    Raises:
        ValueError: no agent sees any.
    """
    found = [
        np.array([k for k, name in enumerate(task.names_seen(role)) if any(text in name for text in contains)], dtype=np.int64)
        for role in task.roles.values()
    ]
    if not any(len(columns) for columns in found):
        raise ValueError(f"nobody in {task.id} sees a number whose name contains {' or '.join(map(repr, contains))}")
    return found
