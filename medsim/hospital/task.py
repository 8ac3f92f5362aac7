"""A hospital before it has a shell: who decides what, what they see, and how one episode's model is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.streams import Key
from medsim.core.task import Provenance
from medsim.hospital.board import Board
from medsim.hospital.decisions import Request
from medsim.hospital.event_log import EventLog

__all__ = ["DecisionModel", "HospitalTask", "Ledger", "Seen"]

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One number of an observation: its name with the unit, and its limits, at which it is cut."""

    name: str
    high: float
    low: float = 0.0


@dataclass(kw_only=True)
class Ledger:
    """What has come in since it was last read.

    Attributes:
        terms: of the team's reward, by name; costs: harms by name, never negative.
        local: agent -> the part of the reward that is its own, where the model tells them apart.
    """

    terms: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    local: dict[str, float] = field(default_factory=dict)


class DecisionModel(Protocol):
    """One episode of a hospital, from its start to the horizon. Whatever moves it (SimPy, arrays), shells use only this."""

    request: Request | None  # the question that waits for an answer; None: the episode is over
    log: EventLog
    outcome: str  # what ended the episode, once it is over

    @property
    def time_h(self) -> float:
        """Hours since the episode's start."""

    def run(self) -> None:
        """Run to the next request, or to the end; sets ``request``."""

    def answer(self, action: int) -> None:
        """Answer the request with an action that its mask allows; ``run`` goes on."""

    def observe(self, agent: str) -> list[float]:
        """Return what an agent sees: numbers in the order of the task's ``seen`` for its role. Nothing hidden."""

    def state(self) -> list[float]:
        """Return the true state, in the order of the task's ``state_names``."""

    def drain(self) -> Ledger:
        """Return what has come in since the last call, with every name of the task, and begin a new ledger."""

    def metrics(self) -> dict[str, float]:
        """Return figures of the episode so far, such as mean waits in hours."""

    def board(self) -> Board:
        """Return what a bed board shows now."""


@dataclass(frozen=True, kw_only=True)
class HospitalTask:
    """What a shell needs to know.

    Args:
        roles: agent -> role, in the order of the agents; agents of a role see and do the same kind of thing.
        actions: role -> the names of its actions; number 0 is always "nothing".
        seen: role -> what it sees. make_model: makes the model of one episode from its random key; ``run`` has not been called yet.
        horizon_h: how long an episode is watched; its end is a truncation unless ``ends_by_itself``.
    """

    id: str
    config: Any
    roles: Mapping[str, str]
    actions: Mapping[str, tuple[str, ...]]
    seen: Mapping[str, tuple[Seen, ...]]
    state_names: tuple[str, ...]
    term_names: tuple[str, ...]
    cost_names: tuple[str, ...]
    make_model: Callable[[Key], DecisionModel]
    horizon_h: float
    ends_by_itself: bool = False
    mask_in_observation: bool = False
    local_rewards: bool = False
    expose_state: bool = False
    citation: str = ""
    provenance: Callable[[], list[Provenance]] = list

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents, in order."""
        return tuple(self.roles)

    def action_space(self, role: str) -> spaces.Discrete:
        """Return a role's action space."""
        return spaces.Discrete(len(self.actions[role]))

    def observation_space(self, role: str) -> spaces.Box | spaces.Dict:
        """Return the space of what a role sees; with ``mask_in_observation`` a Dict of ``observation`` and ``action_mask``."""
        low, high = self.limits(role)
        box = spaces.Box(low, high, dtype=np.float32)
        if not self.mask_in_observation:
            return box
        return spaces.Dict({"observation": box, "action_mask": spaces.Box(0, 1, (len(self.actions[role]),), dtype=np.int8)})

    def limits(self, role: str) -> tuple[Vector, Vector]:
        """Return the lowest and highest numbers that a role can see."""
        low = np.array([one.low for one in self.seen[role]], dtype=np.float32)
        high = np.array([one.high for one in self.seen[role]], dtype=np.float32)
        return low, high

    def names_seen(self, role: str) -> tuple[str, ...]:
        """Return the names of what a role sees, in order."""
        return tuple(one.name for one in self.seen[role])
