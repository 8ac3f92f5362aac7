"""Patients who leave unseen: M/M/c+M (Erlang A), in which each waiting patient leaves at a rate of their own."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.hospital.theory.erlang import erlang_b
from medsim.hospital.theory.validity import positive, whole

__all__ = ["AbandonmentQueue", "erlang_a"]

NEGLIGIBLE_LOG = -80.0  # chosen: weights below exp(-80) of the greatest are far beyond double precision
LONGEST_QUEUE = 2**24  # chosen: bounds memory; only patience of about 1e-13 of a service at critical load would need more


@dataclass(frozen=True, kw_only=True)
class AbandonmentQueue:
    """M/M/c+M in steady state; times in the unit of the rates."""

    arrival_rate: float
    service_rate: float
    abandonment_rate: float  # of each waiting patient: one over the mean patience
    servers: int
    offered_load: float  # in servers
    p_wait: float  # share of all arrivals that find every server busy
    p_abandon: float  # share of all arrivals that leave unseen
    mean_wait: float  # in the queue, over all arrivals, until service begins or the patient leaves
    mean_queue_length: float
    mean_busy: float  # servers
    mean_number: float


def _queue_weights(arrival_rate: float, capacity: float, abandonment_rate: float) -> tuple[npt.NDArray[np.float64], float]:
    """Return the weights of 0, 1, 2, ... waiting patients, all over the greatest, and the logarithm of the greatest one."""
    length = 256
    while length <= LONGEST_QUEUE:
        waiting = np.arange(1, length + 1)
        logs = np.concatenate([[0.0], np.cumsum(np.log(arrival_rate / (capacity + waiting * abandonment_rate)))])
        if logs[-1] - logs.max() < NEGLIGIBLE_LOG:
            return np.exp(logs - logs.max()), float(logs.max())
        length *= 2
    raise ValueError(
        f"an abandonment_rate of {abandonment_rate:g} is too small at this load: the queue would grow past {LONGEST_QUEUE} patients"
    )


def erlang_a(arrival_rate: float, service_rate: float, servers: int, abandonment_rate: float) -> AbandonmentQueue:
    """Return M/M/c+M in steady state; it is stable under any load.

    Args:
        arrival_rate: patients per time unit.
        service_rate: patients per time unit and server.
        servers: at least 1.
        abandonment_rate: rate at which each waiting patient leaves; patience is exponential with mean 1 / rate.

    Raises:
        ValueError: a rate is not positive, or patience is so long that the queue cannot be held in memory.
    """
    lam, mu, theta = (
        positive("arrival_rate", arrival_rate),
        positive("service_rate", service_rate),
        positive("abandonment_rate", abandonment_rate),
    )
    c, load = whole("servers", servers), lam / mu
    weights, log_scale = _queue_weights(lam, c * mu, theta)
    # Erlang's B is the weight of "all busy, none waits" over the weights of all states without a queue.
    all_busy = weights.sum()
    not_all_busy = (1.0 / erlang_b(c, load) - 1.0) * np.exp(-log_scale)
    p_wait = float(all_busy / (all_busy + not_all_busy))
    queue = float(weights @ np.arange(weights.size)) / float(all_busy + not_all_busy)
    abandoned = theta * queue / lam
    return AbandonmentQueue(
        arrival_rate=lam,
        service_rate=mu,
        abandonment_rate=theta,
        servers=c,
        offered_load=load,
        p_wait=p_wait,
        p_abandon=abandoned,
        mean_wait=queue / lam,
        mean_queue_length=queue,
        mean_busy=load * (1.0 - abandoned),
        mean_number=queue + load * (1.0 - abandoned),
    )
