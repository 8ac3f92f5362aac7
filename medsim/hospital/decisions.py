"""How a SimPy process asks an agent: it yields a request, and goes on with the answer.

    action = yield desk.ask("icu", mask, "transfer")

The environment runs SimPy to the next request (``Desk.run``), and no further: no polling, no threads. Requests of the same moment are
answered one after the other, in the order in which they were made. A mask is that of the moment at which its process asked: where an
answer changes what others may do, only one process may ask at a time (the site of ``flow.model`` is one process that asks them all).
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import simpy

__all__ = ["NOTHING", "AskingModel", "Desk", "Request", "allowed_action", "checked_action", "legal"]

NOTHING = 0  # action 0 of every agent: it does nothing
Mask = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Request:
    """A question to an agent.

    Attributes:
        mask: (actions,), int8: 1 where an action is legal; NOTHING is, unless there must be a choice.
        what: the kind of question, for the event log.
    """

    agent: str
    mask: Mask
    what: str


def legal(actions: int, allowed: "list[int] | tuple[int, ...]" = ()) -> Mask:
    """Return the mask of an agent with so many actions, of which these are allowed, and doing nothing."""
    mask = np.zeros(actions, dtype=np.int8)
    mask[NOTHING] = 1
    mask[list(allowed)] = 1
    return mask


class Desk:
    """Where processes of one hospital leave their requests."""

    def __init__(self, env: simpy.Environment, horizon_h: float) -> None:
        self.env = env
        self.pending: deque[tuple[Request, simpy.Event]] = deque()
        self.over = False
        self.wake = env.event()
        end = env.timeout(horizon_h)
        assert end.callbacks is not None
        end.callbacks.append(self._finish)

    def _finish(self, event: simpy.Event) -> None:
        self.close()

    def close(self) -> None:
        """End the episode: nobody is asked any more."""
        self.over = True
        self._wake_up()

    def _wake_up(self) -> None:
        if not self.wake.triggered:
            self.wake.succeed()

    def ask(self, agent: str, mask: Mask, what: str) -> simpy.Event:
        """Return the event that happens with the agent's answer, an action that the mask allows."""
        answer = self.env.event()
        self.pending.append((Request(agent, mask, what), answer))
        self._wake_up()
        return answer

    def run(self) -> Request | None:
        """Run the model to the next request and return it; None once the horizon is reached."""
        while not self.pending and not self.over:
            self.wake = self.env.event()
            self.env.run(until=self.wake)
        return None if self.over else self.pending[0][0]

    def answer(self, action: int) -> None:
        """Answer the request that ``run`` returned."""
        self.pending.popleft()[1].succeed(action)


class AskingModel:
    """What every SimPy model does for its shell. A model calls ``open_desk`` first, and may override ``catch_up``, ``count_the_rest``."""

    env: simpy.Environment
    desk: Desk
    request: Request | None
    outcome: str

    def open_desk(self, horizon_h: float, outcome: str = "watching_ended") -> None:
        """Make the SimPy environment and the desk; outcome: what the episode's end is called, unless the model says something else."""
        self.env = simpy.Environment()
        self.desk = Desk(self.env, horizon_h)
        self.request, self.outcome = None, outcome
        self.counted = False  # whether the end has been

    @property
    def time_h(self) -> float:
        """Hours since the episode's start."""
        return float(self.env.now)

    def run(self) -> None:
        """Run to the next request, or to the end; sets ``request``."""
        self.request = self.desk.run()
        self.catch_up()
        if self.request is None and not self.counted:
            self.counted = True
            self.count_the_rest()

    def answer(self, action: int) -> None:
        """Answer the request with an action that its mask allows, or do nothing; ``run`` goes on.

        Raises:
            RuntimeError: nobody is asked. ValueError: the action is not allowed; nothing has happened then.
        """
        self.desk.answer(allowed_action(self.request, action))
        self.request = None

    def catch_up(self) -> None:
        """Count the time until now."""

    def count_the_rest(self) -> None:
        """Count, once, what the end cuts off."""


def allowed_action(request: Request | None, action: Any) -> int:
    """Return an action that answers a request: one that its mask allows, or NOTHING.

    Raises:
        RuntimeError: there is no request. ValueError: the action is not allowed.
    """
    if request is None:
        raise RuntimeError("nobody is asked: call run() before answer()")
    number = checked_action(request.agent, action, len(request.mask))
    if number != NOTHING and not request.mask[number]:
        raise ValueError(
            f"action {number} of agent {request.agent!r} is not allowed now; allowed are {np.flatnonzero(request.mask).tolist()}"
        )
    return number


def checked_action(agent: str, action: Any, actions: int) -> int:
    """Return an action as a whole number.

    Raises:
        ValueError: it is none of the agent's actions.
    """
    whole = isinstance(action, (int, np.integer)) and not isinstance(action, bool)
    whole = whole or (isinstance(action, np.ndarray) and action.shape == () and np.issubdtype(action.dtype, np.integer))
    if not whole or not 0 <= int(action) < actions:
        raise ValueError(f"the action of agent {agent!r} must be a whole number from 0 to {actions - 1}, not {action!r}")
    return int(action)
