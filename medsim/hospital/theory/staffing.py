"""How many servers a load needs: the square-root rule of Halfin and Whitt, and the exact smallest numbers beside it.

Source: Halfin and Whitt, Operations Research 29:567 (1981) (citation from memory, to be verified). Loads are in servers (Erlang).
"""

import math
from dataclasses import dataclass

from medsim.hospital.theory.erlang import erlang_c
from medsim.hospital.theory.validity import fraction, not_negative, positive

__all__ = [
    "SquareRootStaffing",
    "beds_for_blocking",
    "beta_for_delay",
    "halfin_whitt_delay",
    "offered_load",
    "servers_for_delay",
    "square_root_staffing",
]


def offered_load(arrival_rate: float, mean_stay: float) -> float:
    """Return the servers that would be busy on average if nobody had to wait: arrival rate times mean stay."""
    return not_negative("arrival_rate", arrival_rate) * positive("mean_stay", mean_stay)


def halfin_whitt_delay(beta: float) -> float:
    """Return the limiting probability of waiting when servers = load + β √load: 1 / (1 + β Φ(β) / φ(β)).

    Args:
        beta: quality of service, above 0: 0.5 makes about half of the patients wait, 2 about one in fifty.
    """
    b = positive("beta", beta)
    cumulative = 0.5 * math.erfc(-b / math.sqrt(2.0))
    density = math.exp(-b * b / 2.0) / math.sqrt(2.0 * math.pi)
    return density / (density + b * cumulative)


def beta_for_delay(p_wait: float) -> float:
    """Return the β of the square-root rule for a target probability of waiting, by bisection."""
    target = fraction("p_wait", p_wait)
    low, high = 1e-300, 40.0  # the probability falls from 1 to below 1e-300 between them
    for _ in range(200):
        middle = 0.5 * (low + high)
        if halfin_whitt_delay(middle) > target:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@dataclass(frozen=True, kw_only=True)
class SquareRootStaffing:
    """Servers by the square-root rule, with what M/M/c really gives with them."""

    servers: int
    beta: float
    offered_load: float  # in servers
    target_p_wait: float
    p_wait: float  # exact, by Erlang C
    utilisation: float  # of each server


def square_root_staffing(load: float, p_wait: float) -> SquareRootStaffing:
    """Return the servers for a load by the rule a + β √a, rounded up, with β for a target probability of waiting.

    Args:
        load: offered load in servers, above 0.
        p_wait: target share of patients who wait, 0..1.
    """
    a, beta = positive("load", load), beta_for_delay(p_wait)
    servers = max(math.ceil(a + beta * math.sqrt(a)), math.floor(a) + 1)
    return SquareRootStaffing(
        servers=servers, beta=beta, offered_load=a, target_p_wait=p_wait, p_wait=erlang_c(servers, a), utilisation=a / servers
    )


def servers_for_delay(load: float, p_wait: float) -> int:
    """Return the smallest number of servers with which M/M/c makes at most this share of the patients wait, exactly."""
    target = fraction("p_wait", p_wait)
    servers = math.floor(positive("load", load)) + 1
    while erlang_c(servers, load) > target:
        servers += 1
    return servers


def beds_for_blocking(load: float, p_blocked: float) -> int:
    """Return the smallest number of beds with which M/G/c/c refuses at most this share of the patients, exactly."""
    target, beds, blocking = fraction("p_blocked", p_blocked), 0, 1.0
    positive("load", load)
    while blocking > target:
        beds += 1
        blocking = load * blocking / (beds + load * blocking)
    return beds
