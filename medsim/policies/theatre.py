"""Reference policies of ``medsim/Theatre-v0``.

All but the first two are list scheduling: they put the kinds of cases in an order, and a free room takes the first that it may. Some hold
rooms on purpose, for emergencies, or where a case would probably run into overtime.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.streams import Key
from medsim.hospital.decisions import NOTHING
from medsim.hospital.policy import DoNothing, HospitalPolicy, NamedPolicy, RandomHospitalPolicy
from medsim.hospital.task import HospitalTask
from medsim.hospital.theatre.kinds import ELECTIVES, EMERGENCIES, KINDS

__all__ = ["BEST", "LIST", "POLICIES", "FirstCome", "Rule", "RulePolicy"]

Vector = npt.NDArray[np.float32]
Mask = npt.NDArray[np.int8]
LONGEST_FIRST = tuple(sorted(ELECTIVES, key=lambda kind: -KINDS[kind].expected_h))
SHORTEST_FIRST = tuple(sorted(ELECTIVES, key=lambda kind: KINDS[kind].expected_h))
LIST = -1  # in a rule's order: the electives as they are listed
HOUR = "hour of the day, from 08:00"


class FirstCome(NamedPolicy):
    """Whoever has waited longest; electives, who all came at 08:00, in the order of their list."""

    name = "first-come"

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return the kind of the first who came."""
        best = min(np.flatnonzero(mask)[1:], key=lambda action: self.came(agent, seen, int(action) - 1))
        return int(best)

    def came(self, agent: str, seen: Vector, kind: int) -> tuple[float, float]:
        """Return when the first of a kind came, as hours before now, negative, and their place on the list."""
        name = KINDS[kind].name
        if kind in EMERGENCIES:
            return -self.value(agent, seen, f"{name}, longest wait, h"), 0.0
        return -self.value(agent, seen, HOUR), self.value(agent, seen, f"{name}, first's place on the list")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A list-scheduling rule.

    Attributes:
        order: kinds, first to last; LIST stands for all electives in the order of their list.
        keep: rooms that no elective takes while fewer are free. until_h: until which hour of the day they are kept.
        gap_h: they are kept only if the next of the taken rooms is expected free later than in so many hours.
        slack: an elective begins only if its expected end and so many standard deviations lie within the session and its overtime.
        late_h: hour of the day from which no expedited case begins: it waits until the end, and is handed over.
    """

    order: Sequence[int]
    keep: int = 0
    until_h: float = 9.0
    gap_h: float = 0.0
    slack: float = -10.0
    late_h: float = 24.0


class RulePolicy(NamedPolicy):
    """A room takes the first kind in the rule's order that its mask and the rule's reserves allow."""

    def __init__(self, name: str, rule: Rule) -> None:
        self.name, self.rule = name, rule

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Learn the names and when the session ends."""
        super().begin(task, key)
        config: Any = task.config
        self.end_h = config.session_h + config.allowed_overtime_h

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return the first kind that may begin, or nothing."""
        for place in self.rule.order:
            for kind in self.by_list(agent, seen) if place == LIST else (place,):
                if mask[kind + 1] and self.may_begin(agent, seen, kind):
                    return kind + 1
        return NOTHING

    def by_list(self, agent: str, seen: Vector) -> list[int]:
        """Return the kinds of electives in the order of the first of each on the list."""
        return sorted(ELECTIVES, key=lambda kind: self.value(agent, seen, f"{KINDS[kind].name}, first's place on the list"))

    def may_begin(self, agent: str, seen: Vector, kind: int) -> bool:
        """Return whether the rule lets a case of this kind begin now."""
        rule, hour = self.rule, self.value(agent, seen, HOUR)
        if kind in EMERGENCIES:
            return KINDS[kind].name != "expedited" or hour < rule.late_h
        few = self.value(agent, seen, "rooms free") <= rule.keep
        if few and hour < rule.until_h and self.value(agent, seen, "next taken room expected free in, h") >= rule.gap_h:
            return False
        return bool(hour + KINDS[kind].expected_h * (1.0 + rule.slack * KINDS[kind].variation) <= self.end_h)


def by_length(longest: bool) -> tuple[int, ...]:
    """Return all kinds by expected duration; the more urgent first where it is the same."""
    return tuple(sorted(range(len(KINDS)), key=lambda kind: (-KINDS[kind].expected_h if longest else KINDS[kind].expected_h, kind)))


# the best of a grid on training episodes, by benchmarks/hospital/theatre_rule.py: -9.301 on 2000 of them, 0.085 (standard error 0.041)
# more than without a room kept; electives: short, medium, major, long
BEST = Rule(order=(*EMERGENCIES, 3, 4, 6, 5), keep=1, until_h=3.0, gap_h=2.0)

POLICIES: dict[str, Callable[[], HospitalPolicy]] = {
    "random": RandomHospitalPolicy,
    "nothing": DoNothing,
    "first-come": FirstCome,
    "urgency-first": lambda: RulePolicy("urgency-first", Rule(order=(*EMERGENCIES, LIST))),
    "longest-first": lambda: RulePolicy("longest-first", Rule(order=by_length(True))),
    "shortest-first": lambda: RulePolicy("shortest-first", Rule(order=by_length(False))),
    "emergencies-longest": lambda: RulePolicy("emergencies-longest", Rule(order=(*EMERGENCIES, *LONGEST_FIRST))),
    "emergencies-shortest": lambda: RulePolicy("emergencies-shortest", Rule(order=(*EMERGENCIES, *SHORTEST_FIRST))),
    "one-room-kept": lambda: RulePolicy("one-room-kept", Rule(order=(*EMERGENCIES, *LONGEST_FIRST), keep=1)),
    "slack": lambda: RulePolicy("slack", Rule(order=(*EMERGENCIES, *LONGEST_FIRST), slack=0.5)),
    "searched": lambda: RulePolicy("searched", BEST),
}
