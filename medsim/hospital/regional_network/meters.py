"""Exact integrals over time: of rates that change at events, and of the number of patients somewhere."""

import simpy

__all__ = ["Census", "Meters"]


class Meters:
    """Amounts by name that grow at a rate; a rate changes at events only, so that the integral is exact."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.rates: dict[str, float] = {}
        self.amounts: dict[str, float] = {}
        self.since: dict[str, float] = {}

    def change(self, name: str, by: float) -> None:
        """Let a rate (an hour) rise by so much from now on."""
        self.amounts[name] = self.amount(name)
        self.since[name] = self.env.now
        self.rates[name] = self.rates.get(name, 0.0) + by

    def add(self, name: str, amount: float) -> None:
        """Add an amount at once."""
        self.amounts[name] = self.amount(name) + amount
        self.since[name] = self.env.now

    def amount(self, name: str) -> float:
        """Return what has come together up to now; 0 for a name that has never been used."""
        elapsed_h: float = self.env.now - self.since.get(name, 0.0)
        return self.amounts.get(name, 0.0) + self.rates.get(name, 0.0) * elapsed_h


class Census:
    """Who is somewhere: their number integrated over time, and beside it the sum of their times, which must be the same."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.since: dict[int, float] = {}  # patient's number -> when they came
        self.arrived, self.left = 0, 0
        self.integral = 0.0  # patient hours, up to ``last_h``
        self.finished_h = 0.0  # times of those who have left
        self.last_h = 0.0

    def _bring_up(self) -> None:
        self.integral += len(self.since) * (self.env.now - self.last_h)
        self.last_h = self.env.now

    def enter(self, patient: int) -> None:
        """A patient comes."""
        self._bring_up()
        self.since[patient] = self.env.now
        self.arrived += 1

    def leave(self, patient: int) -> float:
        """A patient goes; returns how long they were there, in hours."""
        self._bring_up()
        time_h: float = self.env.now - self.since.pop(patient)
        self.finished_h += time_h
        self.left += 1
        return time_h

    @property
    def present(self) -> int:
        """How many are there now."""
        return len(self.since)

    def longest_h(self) -> float:
        """Return how long the one who came first has been there; 0 if nobody is."""
        return self.env.now - min(self.since.values()) if self.since else 0.0

    def patient_hours(self) -> tuple[float, float]:
        """Return the integral of the number there, and the sum of everybody's time there until now: the two sides of Little's law."""
        self._bring_up()
        return self.integral, self.finished_h + sum(self.env.now - came_h for came_h in self.since.values())

    def mean_time_h(self) -> float:
        """Return the mean time there, in hours, of all who came; those still there count until now."""
        return self.patient_hours()[1] / self.arrived if self.arrived else 0.0
