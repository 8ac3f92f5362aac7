"""Admission to a unit that refuses when full: several classes of patients, a reserve of beds, and the exact optimum.

Classes share ``beds``; stays are exponential with one rate for all; refusing a patient of a class has a cost. A policy says, by the number
of occupied beds, whom to admit. Class 0 is by custom the most urgent. Time is in the unit of the rates, cost per time unit in that of
the costs. Optimality of trunk reservation: Miller, Management Science 16:234 (1969) (citation from memory, to be verified).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.hospital.theory.birth_death import birth_death
from medsim.hospital.theory.validity import lengths_agree, not_negative, positive, whole

__all__ = ["AdmissionOptimum", "AdmissionSystem", "AdmissionValue"]

Array = npt.NDArray[np.float64]
AdmissionPolicy = Callable[[int, int], float | bool] | Sequence[Sequence[float]] | npt.NDArray[np.generic]

SPAN = 1e-11  # chosen: of one sweep's change, relative to the cost of refusing everybody; r* needs far less
MOST_SWEEPS = 1_000_000  # chosen: far above the few thousand that a hundred beds take


@dataclass(frozen=True, kw_only=True)
class AdmissionValue:
    """What a policy of admission gives in steady state."""

    p_refused: tuple[float, ...]  # by class
    cost_rate: float  # per time unit
    mean_occupied: float  # beds
    probabilities: tuple[float, ...]  # (beds + 1,) of each number of occupied beds


@dataclass(frozen=True, kw_only=True)
class AdmissionOptimum:
    """The policy of least cost rate."""

    admit: npt.NDArray[np.bool_]  # (beds, classes): by occupied beds and class
    reserves: tuple[int, ...]  # by class: free beds that must remain for the others (r*)
    value: AdmissionValue

    @property
    def cost_rate(self) -> float:
        """The least cost per time unit (g*)."""
        return self.value.cost_rate


@dataclass(frozen=True, kw_only=True)
class AdmissionSystem:
    """Classes of patients that compete for the beds of a unit which refuses when full.

    Args:
        beds: at least 1.
        arrival_rates: of each class, per time unit.
        refusal_costs: of one refused patient of each class.
        service_rate: one over the mean stay; the same for all classes.
    """

    beds: int
    arrival_rates: tuple[float, ...]
    refusal_costs: tuple[float, ...]
    service_rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no system, by name."""
        whole("beds", self.beds)
        lengths_agree(arrival_rates=self.arrival_rates, refusal_costs=self.refusal_costs)
        for rate, cost in zip(self.arrival_rates, self.refusal_costs, strict=True):
            positive("an arrival rate", rate)
            not_negative("a refusal cost", cost)
        positive("service_rate", self.service_rate)

    def table(self, policy: AdmissionPolicy) -> Array:
        """Return a policy as the probability to admit, (beds, classes), by occupied beds and class.

        Args:
            policy: such a table (booleans or probabilities), or a function of (occupied beds, class).

        Raises:
            ValueError: the table has another shape, or an entry is not within 0..1.
        """
        shape = (self.beds, len(self.arrival_rates))
        if callable(policy):
            admit = np.array([[float(policy(n, k)) for k in range(shape[1])] for n in range(shape[0])])
        else:
            admit = np.asarray(policy, dtype=np.float64)
        if admit.shape != shape:
            raise ValueError(f"a policy's table must be of shape (beds, classes) = {shape}, not {admit.shape}")
        if not np.all((admit >= 0.0) & (admit <= 1.0)):
            raise ValueError(f"a policy's entries are probabilities to admit, 0..1, not {admit[~((admit >= 0.0) & (admit <= 1.0))][0]}")
        return admit

    def evaluate(self, policy: AdmissionPolicy) -> AdmissionValue:
        """Return exactly what a policy gives in steady state; when full, everybody is refused. ``table`` says what a policy may be."""
        admit = self.table(policy)
        rates = np.array(self.arrival_rates)
        p = birth_death(admit @ rates, self.service_rate * np.arange(1.0, self.beds + 1))
        refused = 1.0 - p[:-1] @ admit
        return AdmissionValue(
            p_refused=tuple(float(x) for x in refused),
            cost_rate=float(refused @ (rates * np.array(self.refusal_costs))),
            mean_occupied=float(p @ np.arange(self.beds + 1)),
            probabilities=tuple(float(x) for x in p),
        )

    def reservation(self, reserves: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return the policy that admits a class while more than its reserve of beds is free, (beds, classes).

        Args:
            reserves: of each class, 0..beds: 0 admits to the last bed, ``beds`` never admits.
        """
        lengths_agree(arrival_rates=self.arrival_rates, reserves=reserves)
        for reserve in reserves:
            if whole("a reserve", reserve, 0) > self.beds:
                raise ValueError(f"a reserve can be at most the {self.beds} beds, not {reserve}")
        free = self.beds - np.arange(self.beds)
        return free[:, None] > np.asarray(reserves)[None, :]

    def trunk_reservation(self, reserve: int) -> AdmissionValue:
        """Return what the system gives when class 0 gets any free bed and all others only while more than ``reserve`` are free."""
        return self.evaluate(self.reservation([0] + [reserve] * (len(self.arrival_rates) - 1)))

    def optimum(self) -> AdmissionOptimum:
        """Return the policy of least cost rate, by relative value iteration; its cost rate is then computed exactly."""
        rates, costs = np.array(self.arrival_rates), np.array(self.refusal_costs)
        value = np.zeros(self.beds + 1)
        scale = rates.sum() + self.beds * self.service_rate
        for _ in range(MOST_SWEEPS):
            change = self._sweep(value, rates, costs) / scale
            value = value + change - change[0]
            if np.ptp(change) * scale <= SPAN * max(float(rates @ costs), 1e-300):
                break
        else:
            raise RuntimeError(f"value iteration has not settled after {MOST_SWEEPS} sweeps")
        admit = value[1:, None] - value[:-1, None] <= costs[None, :]
        reserves = tuple(int(self.beds - n) for n in admit.sum(axis=0))
        return AdmissionOptimum(admit=admit, reserves=reserves, value=self.evaluate(admit))

    def _sweep(self, value: Array, rates: Array, costs: Array) -> Array:
        """Return the right-hand side of the optimality equation, per time unit, for each number of occupied beds."""
        extra = np.append(np.diff(value), np.inf)  # when full, admitting is impossible
        arrivals = np.minimum(costs[None, :], extra[:, None]) @ rates
        departures = self.service_rate * np.arange(self.beds + 1) * np.append(0.0, -np.diff(value))
        return np.asarray(arrivals + departures)
