"""Classes of patients by priority: how long each waits, what is conserved, and which order costs least.

Class 0 is served first. Times are in the unit of the rates. Second moments are E[S²]; where none are given, services are exponential.
Formulas: Cobham, Operations Research 2:70 (1954) for non-pre-emptive priority; Kleinrock, Queueing Systems vol. 2 (1976), chapter 3,
for pre-emption, the conservation law and the c-mu rule (citations from memory, to be verified).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from medsim.hospital.theory.erlang import erlang_c, mmc
from medsim.hospital.theory.validity import lengths_agree, not_negative, positive, stable, whole

__all__ = [
    "PriorityQueue",
    "cmu_order",
    "cobham",
    "conserved_work",
    "fifo_cost_rate",
    "mmc_preemptive",
    "mmc_priority",
    "preemptive_resume",
    "static_order_cost_rate",
]


@dataclass(frozen=True, kw_only=True)
class PriorityQueue:
    """A queue with classes in steady state, the first served first; one entry for each class."""

    arrival_rates: tuple[float, ...]
    mean_services: tuple[float, ...]
    utilisation: float  # of each server, all classes together
    mean_waits: tuple[float, ...]  # time not in service (with pre-emption: interruptions too)
    mean_times_in_system: tuple[float, ...]
    mean_queue_lengths: tuple[float, ...]  # patients of the class who are not in service
    mean_numbers: tuple[float, ...]  # patients of the class in the system

    @property
    def mean_wait(self) -> float:
        """The wait of a patient of any class."""
        return sum(self.mean_queue_lengths) / sum(self.arrival_rates)

    @property
    def work_in_waits(self) -> float:
        """The sum over classes of load times wait, which no order of a single server without pre-emption can change."""
        return sum(
            rate * service * wait for rate, service, wait in zip(self.arrival_rates, self.mean_services, self.mean_waits, strict=True)
        )


def _classes(
    arrival_rates: Sequence[float], mean_services: Sequence[float], second_moments: Sequence[float] | None
) -> tuple[list[float], list[float], list[float]]:
    moments = [2.0 * mean * mean for mean in mean_services] if second_moments is None else list(second_moments)
    lengths_agree(arrival_rates=arrival_rates, mean_services=mean_services, second_moments=moments)
    rates = [positive("an arrival rate", rate) for rate in arrival_rates]
    means = [positive("a mean service", mean) for mean in mean_services]
    for mean, moment in zip(means, moments, strict=True):
        if not moment >= mean * mean * (1.0 - 1e-12):
            raise ValueError(f"a second moment cannot be below the mean's square, {mean * mean:g}, as {moment!r} is")
    stable(sum(rate * mean for rate, mean in zip(rates, means, strict=True)), 1)
    return rates, means, moments


def _queue(rates: Sequence[float], means: Sequence[float], waits: Sequence[float], utilisation: float) -> PriorityQueue:
    return PriorityQueue(
        arrival_rates=tuple(rates),
        mean_services=tuple(means),
        utilisation=utilisation,
        mean_waits=tuple(waits),
        mean_times_in_system=tuple(wait + mean for wait, mean in zip(waits, means, strict=True)),
        mean_queue_lengths=tuple(rate * wait for rate, wait in zip(rates, waits, strict=True)),
        mean_numbers=tuple(rate * (wait + mean) for rate, wait, mean in zip(rates, waits, means, strict=True)),
    )


def _cumulative(loads: Sequence[float]) -> list[float]:
    """Return the loads of the first 0, 1, ..., all classes."""
    sums = [0.0]
    for load in loads:
        sums.append(sums[-1] + load)
    return sums


def cobham(arrival_rates: Sequence[float], mean_services: Sequence[float], second_moments: Sequence[float] | None = None) -> PriorityQueue:
    """Return M/G/1 with non-pre-emptive priority: W_k = W0 / ((1 - σ_{k-1}) (1 - σ_k)), with W0 = Σ λ_i E[S_i²] / 2.

    Raises:
        ValueError: the sequences differ in length, a number is not positive, or the total load is not below 1.
    """
    rates, means, moments = _classes(arrival_rates, mean_services, second_moments)
    residual = sum(rate * moment for rate, moment in zip(rates, moments, strict=True)) / 2.0
    sums = _cumulative([rate * mean for rate, mean in zip(rates, means, strict=True)])
    waits = [residual / ((1.0 - before) * (1.0 - after)) for before, after in pairwise(sums)]
    return _queue(rates, means, waits, sums[-1])


def mmc_priority(arrival_rates: Sequence[float], service_rate: float, servers: int) -> PriorityQueue:
    """Return M/M/c with non-pre-emptive priority, all classes served at one rate: W_k = C / (c μ (1 - σ_{k-1}) (1 - σ_k)).

    Raises:
        ValueError: a rate is not positive, or the offered load is not below the number of servers.
    """
    lengths_agree(arrival_rates=arrival_rates)
    rates = [positive("an arrival rate", rate) for rate in arrival_rates]
    mu, c = positive("service_rate", service_rate), whole("servers", servers)
    base = erlang_c(c, sum(rates) / mu) / (c * mu)
    sums = _cumulative([rate / (c * mu) for rate in rates])
    waits = [base / ((1.0 - before) * (1.0 - after)) for before, after in pairwise(sums)]
    return _queue(rates, [1.0 / mu] * len(rates), waits, sums[-1])


def preemptive_resume(
    arrival_rates: Sequence[float], mean_services: Sequence[float], second_moments: Sequence[float] | None = None
) -> PriorityQueue:
    """Return M/G/1 with pre-emptive resume priority: T_k = E[S_k] / (1 - σ_{k-1}) + R_k / ((1 - σ_{k-1}) (1 - σ_k)).

    R_k is half the sum of λ_i E[S_i²] over the classes up to k. A wait is all the time that a patient is not being served.

    Raises:
        ValueError: the sequences differ in length, a number is not positive, or the total load is not below 1.
    """
    rates, means, moments = _classes(arrival_rates, mean_services, second_moments)
    sums = _cumulative([rate * mean for rate, mean in zip(rates, means, strict=True)])
    residuals = _cumulative([rate * moment / 2.0 for rate, moment in zip(rates, moments, strict=True)])[1:]
    waits = [
        mean / (1.0 - before) + residual / ((1.0 - before) * (1.0 - after)) - mean
        for mean, residual, before, after in zip(means, residuals, sums, sums[1:], strict=False)
    ]
    return _queue(rates, means, waits, sums[-1])


def mmc_preemptive(arrival_rates: Sequence[float], service_rate: float, servers: int) -> PriorityQueue:
    """Return M/M/c with pre-emptive priority, all classes served at one rate: the first k classes together are an M/M/c of their own.

    Raises:
        ValueError: a rate is not positive, or the offered load is not below the number of servers.
    """
    lengths_agree(arrival_rates=arrival_rates)
    rates = [positive("an arrival rate", rate) for rate in arrival_rates]
    totals = _cumulative(rates)
    utilisation = stable(totals[-1] / positive("service_rate", service_rate), whole("servers", servers))
    queues = [0.0] + [mmc(total, service_rate, servers).mean_queue_length for total in totals[1:]]
    waits = [(after - before) / rate for before, after, rate in zip(queues, queues[1:], rates, strict=False)]
    return _queue(rates, [1.0 / service_rate] * len(rates), waits, utilisation)


def conserved_work(arrival_rates: Sequence[float], mean_services: Sequence[float], second_moments: Sequence[float] | None = None) -> float:
    """Return Σ ρ_i W_i of M/G/1, the same under every non-pre-emptive order that never idles: ρ W0 / (1 - ρ)."""
    rates, means, moments = _classes(arrival_rates, mean_services, second_moments)
    load = sum(rate * mean for rate, mean in zip(rates, means, strict=True))
    residual = sum(rate * moment for rate, moment in zip(rates, moments, strict=True)) / 2.0
    return load * residual / (1.0 - load)


def cmu_order(mean_services: Sequence[float], costs: Sequence[float]) -> tuple[int, ...]:
    """Return the classes in the order of the c-mu rule: by cost of waiting over mean service, greatest first; ties by number.

    Optimal for M/G/1 without pre-emption and with costs linear in the wait.

    Args:
        mean_services: mean service of each class, in time units.
        costs: cost of one patient of the class waiting for one time unit.
    """
    lengths_agree(mean_services=mean_services, costs=costs)
    indices = [not_negative("a cost", cost) / positive("a mean service", mean) for cost, mean in zip(costs, mean_services, strict=True)]
    return tuple(sorted(range(len(indices)), key=lambda k: (-indices[k], k)))


def static_order_cost_rate(
    order: Sequence[int],
    arrival_rates: Sequence[float],
    mean_services: Sequence[float],
    costs: Sequence[float],
    second_moments: Sequence[float] | None = None,
) -> float:
    """Return the cost per time unit of patients waiting in M/G/1 when the classes are served in a fixed order, without pre-emption.

    Args:
        order: the classes, first served first: a permutation of 0..n-1.
        arrival_rates: of each class.
        mean_services: of each class.
        costs: of one waiting patient of the class per time unit; those in service cost nothing.
        second_moments: E[S²] of each class; exponential services without.

    Raises:
        ValueError: the order is no permutation, or what ``cobham`` refuses.
    """
    rates, means, moments = _classes(arrival_rates, mean_services, second_moments)
    lengths_agree(arrival_rates=rates, costs=costs)
    if sorted(order) != list(range(len(rates))):
        raise ValueError(f"order must name each of the classes 0..{len(rates) - 1} once, not {tuple(order)}")
    queue = cobham([rates[k] for k in order], [means[k] for k in order], [moments[k] for k in order])
    return sum(not_negative("a cost", costs[k]) * length for k, length in zip(order, queue.mean_queue_lengths, strict=True))


def fifo_cost_rate(
    arrival_rates: Sequence[float], mean_services: Sequence[float], costs: Sequence[float], second_moments: Sequence[float] | None = None
) -> float:
    """Return the cost per time unit of patients waiting in M/G/1 when all classes are served in the order of arrival."""
    rates, means, moments = _classes(arrival_rates, mean_services, second_moments)
    lengths_agree(arrival_rates=rates, costs=costs)
    load = sum(rate * mean for rate, mean in zip(rates, means, strict=True))
    wait = conserved_work(rates, means, moments) / load
    return wait * sum(not_negative("a cost", cost) * rate for cost, rate in zip(costs, rates, strict=True))
