"""The first-come, first-served station without events: Kiefer and Wolfowitz's recursion (Trans Am Math Soc 1955;78:1-18).

A customer waits for the server that is free first; all that has to be kept is how long each server is still busy. The draws are those of
``flow.rules``, so the waits are, one by one, those of the event-driven hospital with one unit: an independent check of it, and several
times as fast.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.compile import compiled_together, jit_enabled
from medsim.core.streams import Key
from medsim.hospital.flow.rules import next_arrival_h, stay_h

__all__ = ["fifo_waits"]


def served_in_turn(key: Key, rates: Any, top: float, law: int, mu: float, sigma: float, busy_h: Any, waits: Any) -> None:
    """Serve customers 0, 1, ... of one stream, and write their waits (n,); busy_h: (servers,) zeros, kept in ascending order."""
    servers = busy_h.shape[0]
    now_h, candidate = 0.0, 0
    for k in range(waits.shape[0]):
        time_h, candidate = next_arrival_h(key, 0, candidate, now_h, 1e300, rates, top)
        time_h = now_h + (time_h - now_h)  # as a clock that adds up steps has it
        gap_h = time_h - now_h
        now_h = time_h
        for j in range(servers):
            busy_h[j] = max(busy_h[j] - gap_h, 0.0)
        waits[k] = busy_h[0]
        ready_h = busy_h[0] + stay_h(key, k, 1, law, mu, sigma)
        j = 1
        while j < servers and busy_h[j] < ready_h:
            busy_h[j - 1] = busy_h[j]
            j += 1
        busy_h[j - 1] = ready_h


@lru_cache(maxsize=2)
def _kernel(compiled: bool) -> Any:
    return compiled_together("hospital_recursion", served_in_turn, copied=True)["served_in_turn"] if compiled else served_in_turn


def fifo_waits(key: Key, *, rate_per_h: float, mean_h: float, servers: int, customers: int) -> npt.NDArray[np.float64]:
    """Return the waits in hours (customers,) of the first customers of M/M/c, in order of arrival, from an empty start.

    Raises:
        ValueError: a number is not positive.
    """
    for name, value in (("rate_per_h", rate_per_h), ("mean_h", mean_h), ("servers", servers), ("customers", customers)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, not {value!r}")
    waits = np.zeros(int(customers))
    rates = np.full((1, 168), float(rate_per_h))
    _kernel(jit_enabled())(key, rates, float(rate_per_h), 1, float(mean_h), 0.0, np.zeros(int(servers)), waits)
    return waits
