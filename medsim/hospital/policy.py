"""What a policy of a hospital is: it answers one question at a time, for whichever agent is asked."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medsim.core.streams import Key
from medsim.hospital.decisions import NOTHING
from medsim.hospital.draws import POLICY, draw_uniform
from medsim.hospital.task import HospitalTask

__all__ = ["DoNothing", "FunctionHospitalPolicy", "HospitalPolicy", "NamedPolicy", "RandomHospitalPolicy"]

Vector = npt.NDArray[np.float32]
Mask = npt.NDArray[np.int8]


class HospitalPolicy(Protocol):
    """Decides for all agents of a hospital."""

    name: str
    options: Mapping[str, Any]  # of the environment that it acts in

    def begin(self, task: HospitalTask, key: Key) -> None:
        """An episode begins; ``key`` is that of its random streams, for policies that draw: purpose POLICY is theirs."""

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return the action of the agent that is asked, from what it sees and what its mask allows."""


class RandomHospitalPolicy:
    """Uniform over the legal actions, doing nothing among them; the same hospital and decision always get the same number drawn."""

    name = "random"
    options: Mapping[str, Any] = {}

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Remember the episode's key."""
        self.key, self.count = key, 0

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return a legal action."""
        self.count += 1
        legal = np.flatnonzero(mask)
        return int(legal[int(draw_uniform(self.key, POLICY, self.count, 0) * len(legal))])


class DoNothing:
    """Every agent always does nothing."""

    name = "nothing"
    options: Mapping[str, Any] = {}

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Nothing is carried."""

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return 0."""
        return NOTHING


class NamedPolicy:
    """A base for policies that read what is seen by name, and choose actions by name.

    ``self.value(agent, seen, "beds free")`` reads a number; ``self.number(agent, "admit")`` is an action's number.
    """

    name = ""
    options: Mapping[str, Any] = {}

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Learn where each name stands."""
        self.task = task
        self.columns = {role: {name: k for k, name in enumerate(task.names_seen(role))} for role in task.seen}
        self.numbers = {role: {name: k for k, name in enumerate(names)} for role, names in task.actions.items()}

    def value(self, agent: str, seen: Vector, name: str) -> float:
        """Return a number that the agent sees."""
        return float(seen[self.columns[self.task.roles[agent]][name]])

    def number(self, agent: str, name: str) -> int:
        """Return an action's number."""
        return self.numbers[self.task.roles[agent]][name]


class FunctionHospitalPolicy:
    """A function (agent, what it sees, mask) -> action as a policy."""

    def __init__(self, name: str, function: Callable[[str, Vector, Mask], int], options: Mapping[str, Any] | None = None) -> None:
        self.name, self.function = name, function
        self.options: Mapping[str, Any] = dict(options or {})

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Nothing is carried from decision to decision."""

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return the function's action."""
        return self.function(agent, seen, mask)
