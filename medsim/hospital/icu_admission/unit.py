"""What both models of a unit have: beds, who is in them, an account of what comes in, and a desk for questions."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import simpy

from medsim.core.streams import Key
from medsim.hospital.decisions import AskingModel
from medsim.hospital.draws import Draws
from medsim.hospital.event_log import EventLog
from medsim.hospital.task import Ledger

__all__ = ["Census", "Unit"]

P = TypeVar("P")


class Census(Generic[P]):
    """Who is somewhere, kept in two ways that must agree (Little's law): as a number over time, and as each person's time."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.since: dict[P, float] = {}
        self.left_after_h = 0.0  # times of those who have left, added up
        self.area_h = 0.0
        self.seen_h = env.now

    def _advance(self) -> None:
        self.area_h += len(self.since) * (self.env.now - self.seen_h)
        self.seen_h = self.env.now

    def enter(self, who: P) -> None:
        """Someone comes."""
        self._advance()
        self.since[who] = self.env.now

    def leave(self, who: P) -> None:
        """Someone goes."""
        self._advance()
        self.left_after_h += self.env.now - self.since.pop(who)

    def number_integral_h(self) -> float:
        """Return the number present, integrated over time up to now."""
        return self.area_h + len(self.since) * (self.env.now - self.seen_h)

    def individual_sum_h(self) -> float:
        """Return the sum of everybody's time here, up to now for those who are still present."""
        return self.left_after_h + sum(self.env.now - since for since in self.since.values())


class Unit(AskingModel, Generic[P]):
    """An intensive care unit that asks the agent ``icu``; a model derives from it and says how patients come and go."""

    def __init__(self, beds: int, horizon_h: float, key: Key, log: bool, terms: Sequence[str], costs: Sequence[str]) -> None:
        self.open_desk(horizon_h)
        self.draws = Draws(key)
        self.log = EventLog(log)
        self.beds: list[P | None] = [None] * beds
        self.in_bed: Census[P] = Census(self.env)
        self.terms, self.costs = dict.fromkeys(terms, 0.0), dict.fromkeys(costs, 0.0)

    @property
    def free_beds(self) -> int:
        """How many beds are empty."""
        return len(self.beds) - len(self.in_bed.since)

    @property
    def busy_share(self) -> float:
        """The share of beds that are busy; 1 of a unit without beds."""
        return len(self.in_bed.since) / len(self.beds) if self.beds else 1.0

    def take_bed(self, patient: P) -> None:
        """A patient takes the first empty bed."""
        self.beds[self.beds.index(None)] = patient
        self.in_bed.enter(patient)

    def leave_bed(self, patient: P) -> None:
        """A patient leaves their bed."""
        self.beds[self.beds.index(patient)] = None
        self.in_bed.leave(patient)

    def drain(self) -> Ledger:
        """Return what has come in since the last call."""
        ledger = Ledger(terms=dict(self.terms), costs=dict(self.costs))
        self.terms, self.costs = dict.fromkeys(self.terms, 0.0), dict.fromkeys(self.costs, 0.0)
        return ledger
