"""What a surgical suite keeps count of: exact integrals over time of how many wait, of rooms used, blocked, and of boarders."""

from medsim.hospital.task import Ledger
from medsim.hospital.theatre.kinds import CANCELLATION, ELECTIVES, EMERGENCIES, HANDED_OVER, KINDS, OVERTIME

__all__ = ["COSTS", "TERMS", "Account"]

TERMS = ("elective_waiting", "emergency_waiting", "overtime", "cancellations", "handed_over")
COSTS = ("overtime_h", "emergency_beyond_due", "cancelled_electives", "room_blocked_h", "icu_boarding_h", "expected_excess_deaths")
EVENTS = ("emergency_beyond_due", "cancelled_electives", "handed_over", "expected_excess_deaths")


class Account:
    """Numbers of the moment, and their integrals up to ``time_h``.

    Attributes:
        waiting: how many wait, by kind; used: which rooms hold a case or are being cleaned; open: whether the session is on.
        hours: name -> integral in hours; events: name -> sum so far.
    """

    def __init__(self, agents: list[str]) -> None:
        self.agents = agents
        self.time_h = 0.0
        self.open = False
        self.waiting = [0] * len(KINDS)
        self.used = dict.fromkeys(agents, False)
        self.blocked = self.boarding = self.recovering = 0
        self.waiting_h = [0.0] * len(KINDS)
        self.overtime_h = dict.fromkeys(agents, 0.0)
        self.session_used_h = self.blocked_h = self.boarding_h = self.recovery_h = 0.0
        self.events = dict.fromkeys(EVENTS, 0.0)
        self.told = self.totals()

    def move_to(self, now_h: float) -> None:
        """Bring the integrals up to the present moment; to be called before any number changes."""
        passed = now_h - self.time_h
        self.time_h = now_h
        for kind, count in enumerate(self.waiting):
            self.waiting_h[kind] += passed * count
        self.blocked_h += passed * self.blocked
        self.boarding_h += passed * self.boarding
        self.recovery_h += passed * self.recovering
        if self.open:
            self.session_used_h += passed * sum(self.used.values())
            return
        for agent, used in self.used.items():
            self.overtime_h[agent] += passed * used

    def totals(self) -> dict[str, float]:
        """Return everything that terms and costs are made of, up to ``time_h``."""
        return {
            "elective_waiting": sum(KINDS[kind].waiting * self.waiting_h[kind] for kind in ELECTIVES),
            "emergency_waiting": sum(KINDS[kind].waiting * self.waiting_h[kind] for kind in EMERGENCIES),
            "room_blocked_h": self.blocked_h,
            "icu_boarding_h": self.boarding_h,
            **self.events,
            **self.overtime_h,
        }

    def drain(self) -> Ledger:
        """Return what has come in since the last call."""
        totals = self.totals()
        new = {name: total - self.told[name] for name, total in totals.items()}
        self.told = totals
        overtime_h = sum(new[agent] for agent in self.agents)
        terms = {
            "elective_waiting": -new["elective_waiting"],
            "emergency_waiting": -new["emergency_waiting"],
            "overtime": -OVERTIME * overtime_h,
            "cancellations": -CANCELLATION * new["cancelled_electives"],
            "handed_over": -HANDED_OVER * new["handed_over"],
        }
        shared = sum(value for name, value in terms.items() if name != "overtime") / len(self.agents)
        costs = {name: overtime_h if name == "overtime_h" else new[name] for name in COSTS}
        return Ledger(terms=terms, costs=costs, local={agent: shared - OVERTIME * new[agent] for agent in self.agents})
