"""Single queues in steady state: Erlang's formulas, M/M/1, M/M/c, M/M/c/K, M/G/c/c and M/G/1.

Times are in the unit of the rates (rates per hour give hours); numbers are patients; probabilities are 0..1. Arrivals are Poisson and
patients are served in the order of arrival. Formulas: Kleinrock, Queueing Systems vol. 1 (1975), chapters 3 and 5
(chapter numbers from memory, to be verified).
"""

import math
from dataclasses import dataclass

import numpy as np

from medsim.hospital.theory.birth_death import birth_death
from medsim.hospital.theory.validity import fraction, not_negative, positive, stable, whole

__all__ = [
    "LimitedQueue",
    "LossQueue",
    "MultiServerQueue",
    "SingleServerQueue",
    "erlang_b",
    "erlang_c",
    "mg1",
    "mgcc",
    "mm1",
    "mmc",
    "mmck",
]


def erlang_b(servers: int, offered_load: float) -> float:
    """Return the probability that all servers are busy when none may wait (Erlang B, the blocking of M/G/c/c).

    By the recursion B(k) = a B(k-1) / (k + a B(k-1)), which is stable for any load.

    Args:
        servers: number of servers (beds), at least 0.
        offered_load: arrival rate times mean stay, in servers (Erlang); any real number of at least 0.
    """
    load = not_negative("offered_load", offered_load)
    blocking = 1.0
    for k in range(1, whole("servers", servers, 0) + 1):
        blocking = load * blocking / (k + load * blocking)
    return blocking


def erlang_c(servers: int, offered_load: float) -> float:
    """Return the probability that a patient must wait in M/M/c (Erlang C).

    Raises:
        ValueError: the offered load (in servers) is not below the number of servers.
    """
    load = not_negative("offered_load", offered_load)
    stable(load, whole("servers", servers))
    blocking = erlang_b(servers, load)
    return servers * blocking / (servers - load * (1.0 - blocking))


@dataclass(frozen=True, kw_only=True)
class MultiServerQueue:
    """M/M/c in steady state, served in the order of arrival; times in the unit of the rates."""

    arrival_rate: float
    service_rate: float  # of each server
    servers: int
    offered_load: float  # in servers
    utilisation: float  # of each server, 0..1
    p_wait: float  # probability that a patient waits at all
    mean_wait: float  # Wq, over all patients, those who do not wait too
    mean_time_in_system: float  # W
    mean_queue_length: float  # Lq, patients
    mean_number: float  # L, patients waiting and in service

    def p_wait_longer_than(self, time: float) -> float:
        """Return the probability that a patient waits longer than a time."""
        spare = self.servers * self.service_rate - self.arrival_rate
        return self.p_wait * math.exp(-spare * not_negative("time", time))

    def wait_quantile(self, probability: float) -> float:
        """Return the wait that this share of the patients does not exceed (0.9: the 90th percentile); 0 if so many do not wait."""
        rest = 1.0 - fraction("probability", probability)
        spare = self.servers * self.service_rate - self.arrival_rate
        return max(0.0, math.log(self.p_wait / rest) / spare)

    def p_number(self, number: int) -> float:
        """Return the probability of exactly this many patients in the system."""
        n, c, load = whole("number", number, 0), self.servers, self.offered_load
        p_all_busy_exactly = self.p_wait * (1.0 - self.utilisation)
        if n >= c:
            return p_all_busy_exactly * float(self.utilisation ** (n - c))
        return p_all_busy_exactly * math.exp(math.lgamma(c + 1) - math.lgamma(n + 1) - (c - n) * math.log(load))


def mmc(arrival_rate: float, service_rate: float, servers: int) -> MultiServerQueue:
    """Return M/M/c in steady state: Poisson arrivals, exponential services, ``servers`` servers with one queue.

    Args:
        arrival_rate: patients per time unit.
        service_rate: patients per time unit and server.
        servers: at least 1.

    Raises:
        ValueError: a rate is not positive, or the offered load is not below the number of servers.
    """
    load = positive("arrival_rate", arrival_rate) / positive("service_rate", service_rate)
    utilisation = stable(load, whole("servers", servers))
    p_wait = erlang_c(servers, load)
    wait = p_wait / (servers * service_rate - arrival_rate)
    return MultiServerQueue(
        arrival_rate=float(arrival_rate),
        service_rate=float(service_rate),
        servers=int(servers),
        offered_load=load,
        utilisation=utilisation,
        p_wait=p_wait,
        mean_wait=wait,
        mean_time_in_system=wait + 1.0 / service_rate,
        mean_queue_length=arrival_rate * wait,
        mean_number=arrival_rate * wait + load,
    )


def mm1(arrival_rate: float, service_rate: float) -> MultiServerQueue:
    """Return M/M/1 in steady state (``mmc`` with one server)."""
    return mmc(arrival_rate, service_rate, 1)


@dataclass(frozen=True, kw_only=True)
class LimitedQueue:
    """M/M/c/K in steady state: whoever finds ``capacity`` patients goes away. Times in the unit of the rates."""

    arrival_rate: float
    service_rate: float
    servers: int
    capacity: int  # K: places, those in service included
    p_blocked: float  # share of the arrivals that go away
    p_wait: float  # share of those admitted who wait
    mean_wait: float  # of those admitted
    mean_time_in_system: float  # of those admitted
    mean_queue_length: float
    mean_number: float
    probabilities: tuple[float, ...]  # (capacity + 1,) of each number in the system


def mmck(arrival_rate: float, service_rate: float, servers: int, capacity: int) -> LimitedQueue:
    """Return M/M/c/K in steady state; it is stable under any load.

    Raises:
        ValueError: a rate is not positive, or the capacity (K, those in service included) is below the number of servers.
    """
    lam, mu = positive("arrival_rate", arrival_rate), positive("service_rate", service_rate)
    c = whole("servers", servers)
    places = whole("capacity", capacity, c)
    p = birth_death(np.full(places, lam), mu * np.minimum(np.arange(1, places + 1), c))
    number = np.arange(places + 1)
    accepted = lam * (1.0 - float(p[-1]))
    queue = float(p @ np.maximum(number - c, 0))
    return LimitedQueue(
        arrival_rate=lam,
        service_rate=mu,
        servers=c,
        capacity=places,
        p_blocked=float(p[-1]),
        p_wait=float(p[c:-1].sum()) * lam / accepted,
        mean_wait=queue / accepted,
        mean_time_in_system=float(p @ number) / accepted,
        mean_queue_length=queue,
        mean_number=float(p @ number),
        probabilities=tuple(float(x) for x in p),
    )


@dataclass(frozen=True, kw_only=True)
class LossQueue:
    """M/G/c/c in steady state: a unit whose arrivals go elsewhere when it is full. It depends on the stay through its mean alone."""

    arrival_rate: float
    mean_stay: float
    beds: int
    offered_load: float  # in beds
    p_blocked: float
    mean_occupied: float  # beds
    occupancy: float  # mean share of the beds, 0..1
    admission_rate: float
    probabilities: tuple[float, ...]  # (beds + 1,) of each number of occupied beds


def mgcc(arrival_rate: float, mean_stay: float, beds: int) -> LossQueue:
    """Return M/G/c/c (Erlang's loss system) in steady state, for any distribution of the stay with this mean."""
    load = positive("arrival_rate", arrival_rate) * positive("mean_stay", mean_stay)
    c = whole("beds", beds)
    blocked = erlang_b(c, load)
    occupied = load * (1.0 - blocked)
    return LossQueue(
        arrival_rate=float(arrival_rate),
        mean_stay=float(mean_stay),
        beds=c,
        offered_load=load,
        p_blocked=blocked,
        mean_occupied=occupied,
        occupancy=occupied / c,
        admission_rate=arrival_rate * (1.0 - blocked),
        probabilities=tuple(float(x) for x in birth_death(np.full(c, load), np.arange(1.0, c + 1))),
    )


@dataclass(frozen=True, kw_only=True)
class SingleServerQueue:
    """M/G/1 in steady state; times in the unit of the rates."""

    arrival_rate: float
    mean_service: float
    service_sd: float
    utilisation: float
    mean_wait: float
    mean_time_in_system: float
    mean_queue_length: float
    mean_number: float


def mg1(arrival_rate: float, mean_service: float, service_sd: float) -> SingleServerQueue:
    """Return M/G/1 in steady state by Pollaczek and Khinchine: Wq = λ E[S²] / (2 (1 - ρ)).

    Args:
        arrival_rate: patients per time unit.
        mean_service: mean service in time units.
        service_sd: its standard deviation in time units: 0 is M/D/1, the mean itself is M/M/1.

    Raises:
        ValueError: a number is not positive (the deviation: negative), or the load is not below 1.
    """
    lam, mean, sd = positive("arrival_rate", arrival_rate), positive("mean_service", mean_service), not_negative("service_sd", service_sd)
    utilisation = stable(lam * mean, 1)
    wait = lam * (mean * mean + sd * sd) / (2.0 * (1.0 - utilisation))
    return SingleServerQueue(
        arrival_rate=lam,
        mean_service=mean,
        service_sd=sd,
        utilisation=utilisation,
        mean_wait=wait,
        mean_time_in_system=wait + mean,
        mean_queue_length=lam * wait,
        mean_number=lam * (wait + mean),
    )
