"""Where to send a patient when two hospitals serve at different rates: the exact optimum, and the exact value of any policy.

Two M/M/c queues in parallel; each arrival is sent to one of them at once and stays there. What is minimised is the mean number of patients
in both, waiting and in service, hence (Little) their mean time. Time is in the unit of the rates.

Join the shortest queue means here: the hospital with the smaller share of patients to beds, n / beds (the same order as by signed share of
free beds, (beds - n) / beds), ties to hospital 0. A share of free beds that stops at zero is another rule (``most_free_beds``), under
which a full hospital 0 gets every patient while both are full.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.theory.erlang import mmc
from medsim.hospital.theory.validity import positive, stable, whole

__all__ = ["RoutingOptimum", "RoutingValue", "TwoHospitals"]

Array = npt.NDArray[np.float64]
RoutingPolicy = Callable[[int, int], float | bool] | Sequence[Sequence[float]] | npt.NDArray[np.generic]

MOST_IMPROVEMENTS = 500  # chosen: policy iteration takes about forty, most of them in states that are hardly ever visited
ROUNDING = 1e-12  # chosen: differences below this share of the relative costs' range are rounding, and change no decision


@dataclass(frozen=True, kw_only=True)
class RoutingValue:
    """What a policy of routing gives in steady state."""

    mean_number: float  # patients in both hospitals: the cost rate
    mean_numbers: tuple[float, float]  # in each hospital
    mean_time_in_system: float
    p_at_limit: float  # probability that a hospital holds as many patients as the table can: should be negligible


@dataclass(frozen=True, kw_only=True)
class RoutingOptimum:
    """The policy of least mean number of patients."""

    policy: npt.NDArray[np.int64]  # (limit + 1, limit + 1): 0 or 1 by patients in hospital 0 and in hospital 1
    value: RoutingValue
    residual: float  # by how much the optimality equation is missed, in patients: the mean number is optimal to within it
    improvements: int  # rounds of policy iteration

    @property
    def mean_number(self) -> float:
        """The least mean number of patients in both hospitals."""
        return self.value.mean_number


@dataclass(frozen=True, kw_only=True)
class TwoHospitals:
    """Two hospitals that share a stream of patients, each with its own beds, rate of treatment and queue.

    Args:
        arrival_rate: patients per time unit, to both together.
        service_rates: patients per time unit and bed, of each hospital.
        beds: of each hospital.
        limit: the most patients that a hospital can hold in the computation; whoever would exceed it is sent to the other one, and is lost
            when both are at it. At 80, cases up to a load of about 0.9 lose less than 1e-6 of the mean.
    """

    arrival_rate: float
    service_rates: tuple[float, float]
    beds: tuple[int, int]
    limit: int = 80

    def __post_init__(self) -> None:
        """Refuse numbers that make no pair of hospitals, and a load that both together cannot carry."""
        positive("arrival_rate", self.arrival_rate)
        if len(self.service_rates) != 2 or len(self.beds) != 2:
            raise ValueError(f"two service rates and two numbers of beds are needed, not {self.service_rates} and {self.beds}")
        capacity = sum(positive("a service rate", mu) * whole("beds", c) for mu, c in zip(self.service_rates, self.beds, strict=True))
        stable(self.arrival_rate / capacity, 1, "the pair of hospitals")
        whole("limit", self.limit, max(self.beds) + 1)

    def table(self, policy: RoutingPolicy) -> Array:
        """Return a policy as the probability to send to hospital 1, (limit + 1, limit + 1), by patients in hospital 0 and in 1.

        Args:
            policy: such a table (0 or 1, booleans, or probabilities), or a function of (patients in 0, patients in 1).

        Raises:
            ValueError: the table has another shape, or an entry is not within 0..1.
        """
        side = self.limit + 1
        if callable(policy):
            chosen = np.array([[float(policy(n0, n1)) for n1 in range(side)] for n0 in range(side)])
        else:
            chosen = np.asarray(policy, dtype=np.float64)
        if chosen.shape != (side, side):
            raise ValueError(f"a policy's table must be of shape (limit + 1, limit + 1) = {(side, side)}, not {chosen.shape}")
        if not np.all((chosen >= 0.0) & (chosen <= 1.0)):
            bad = chosen[~((chosen >= 0.0) & (chosen <= 1.0))][0]
            raise ValueError(f"a policy's entries are hospital 0 or 1, or probabilities of 1, not {bad}")
        return chosen

    def evaluate(self, policy: RoutingPolicy) -> RoutingValue:
        """Return exactly what a policy gives in steady state; ``table`` says what a policy may be.

        A policy that overloads one hospital fills it to the limit: ``p_at_limit`` tells, and the mean number is then a lower bound.
        """
        return self._solve(self.table(policy))[0]

    def optimum(self) -> RoutingOptimum:
        """Return the policy of least mean number of patients, by policy iteration from joining the shortest queue."""
        policy = self.shortest_queue()
        for improvements in range(1, MOST_IMPROVEMENTS + 1):
            value, relative = self._solve(policy.astype(np.float64))
            gain = self._cost_of_hospital_1_over_0(relative)
            noise = ROUNDING * float(np.ptp(relative))
            better = np.where(gain < -noise, 1, np.where(gain > noise, 0, policy))
            if np.array_equal(better, policy):
                residual = self.arrival_rate * float(np.abs(np.where(policy == 1, np.maximum(gain, 0.0), np.minimum(gain, 0.0))).max())
                return RoutingOptimum(policy=policy, value=value, residual=residual, improvements=improvements)
            policy = better
        raise RuntimeError(f"policy iteration has not settled after {MOST_IMPROVEMENTS} rounds")

    def shortest_queue(self) -> npt.NDArray[np.int64]:
        """Return the policy that joins the smaller share of patients to beds, ties to hospital 0, (limit + 1, limit + 1)."""
        n = np.arange(self.limit + 1)
        # compared as n1 c0 < n0 c1, in whole numbers, so that ties are ties
        return (n[None, :] * self.beds[0] < n[:, None] * self.beds[1]).astype(np.int64)

    def most_free_beds(self) -> npt.NDArray[np.int64]:
        """Return the policy that joins the greater share of free beds, 0 when full, ties to hospital 0: blind to queues."""
        n = np.arange(self.limit + 1)
        taken = [np.minimum(n, c) / c for c in self.beds]
        return (taken[1][None, :] < taken[0][:, None]).astype(np.int64)

    def shortest_expected_wait(self) -> npt.NDArray[np.int64]:
        """Return the policy that joins where the patient's own treatment would begin earliest on average, ties to hospital 0."""
        n = np.arange(self.limit + 1)
        waits = [np.maximum(n + 1 - c, 0) / (c * mu) for c, mu in zip(self.beds, self.service_rates, strict=True)]
        return (waits[1][None, :] < waits[0][:, None]).astype(np.int64)

    def random_split(self, share_to_1: float | None = None) -> RoutingValue:
        """Return what a coin gives, exactly and without a limit; by default it splits in proportion to beds times rate of treatment.

        Raises:
            ValueError: the share is not strictly within 0..1, or overloads a hospital.
        """
        capacities = [mu * c for mu, c in zip(self.service_rates, self.beds, strict=True)]
        share = capacities[1] / sum(capacities) if share_to_1 is None else share_to_1
        if not 0.0 < share < 1.0:
            raise ValueError(f"share_to_1 must lie between 0 and 1, both excluded, not {share!r}")
        rates = (self.arrival_rate * (1.0 - share), self.arrival_rate * share)
        first, second = (mmc(rate, mu, c).mean_number for rate, mu, c in zip(rates, self.service_rates, self.beds, strict=True))
        return RoutingValue(
            mean_number=first + second,
            mean_numbers=(first, second),
            mean_time_in_system=(first + second) / self.arrival_rate,
            p_at_limit=0.0,
        )

    def _cost_of_hospital_1_over_0(self, relative: Array) -> Array:
        """Return what sending to hospital 1 costs more than to 0, in each state, 0 where a limit leaves no choice."""
        gain = np.zeros_like(relative)
        gain[:-1, :-1] = relative[:-1, 1:] - relative[1:, :-1]
        return gain

    def _balance(self, chosen: Array) -> Any:
        """Return the sparse generator of the numbers in both hospitals, over (limit + 1)² states, with -1 in the empty state's column."""
        from scipy import sparse

        side = self.limit + 1
        n0, n1 = (grid.ravel() for grid in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
        share = np.where(n0 == self.limit, 1.0, np.where(n1 == self.limit, 0.0, chosen.ravel()))
        at = np.arange(side * side)
        moves = (
            (n0 < self.limit, side, self.arrival_rate * (1.0 - share)),
            (n1 < self.limit, 1, self.arrival_rate * share),
            (n0 > 0, -side, self.service_rates[0] * np.minimum(n0, self.beds[0])),
            (n1 > 0, -1, self.service_rates[1] * np.minimum(n1, self.beds[1])),
        )
        leaving = sum(np.where(possible, rate, 0.0) for possible, _, rate in moves)
        rows = np.concatenate([at, *(at[possible] for possible, _, _ in moves)])
        columns = np.concatenate([at, *(at[possible] + jump for possible, jump, _ in moves)])
        rates = np.concatenate([-leaving, *(rate[possible] for possible, _, rate in moves)])
        rates[columns == 0] = 0.0
        entries = (np.append(rates, np.full(at.size, -1.0)), (np.append(rows, at), np.append(columns, np.zeros_like(at))))
        return sparse.coo_matrix(entries, shape=(at.size, at.size)).tocsc()

    def _solve(self, chosen: Array) -> tuple[RoutingValue, Array]:
        """Return a policy's value and its relative cost of each state, from one factorisation of the generator."""
        from scipy.sparse.linalg import splu

        side = self.limit + 1
        counts = np.arange(side)
        total = (counts[:, None] + counts[None, :]).ravel().astype(np.float64)
        # Q h - g 1 = -cost with h = 0 in the empty state, whose column therefore holds -1 and whose unknown is g. The transpose of this
        # system is p Q = 0 with p summing to 1. Neither divides by the probability of a state, which may be as small as 1e-60.
        factors = splu(self._balance(chosen))
        relative = factors.solve(-total)
        relative[0] = 0.0
        p = np.maximum(factors.solve(-np.eye(1, side * side).ravel(), trans="T"), 0.0)
        grid = (p / p.sum()).reshape(side, side)
        numbers = (float(grid.sum(axis=1) @ counts), float(grid.sum(axis=0) @ counts))
        mean = numbers[0] + numbers[1]
        value = RoutingValue(
            mean_number=mean,
            mean_numbers=numbers,
            mean_time_in_system=mean / (self.arrival_rate * (1.0 - float(grid[-1, -1]))),
            p_at_limit=float(grid[-1].sum() + grid[:-1, -1].sum()),
        )
        return value, relative.reshape(side, side)
