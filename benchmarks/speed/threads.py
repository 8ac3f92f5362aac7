"""Threads: the same batch on one, two and more."""

import os

from benchmarks.speed.batches import bare_batch, batch_work
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.timing import interleave, quotients, spread

__all__ = ["measure", "why_no_threads"]

BATCH = 4096


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def why_no_threads() -> str | None:
    """Return why two threads cannot be timed here, or None if they can."""
    return None if cores() >= 2 else "this machine has one core"


def measure(plan: Plan) -> Found:
    """Time a batch on 1, 2, 4, ... threads, up to the cores of this machine; wall time counts."""
    counts = [2**k for k in range(cores().bit_length()) if 2**k <= (2 if plan.quick else cores())]
    n, steps = plan.scaled(BATCH, 64), plan.scaled(200, 5)
    works = {f"{count} threads": batch_work(bare_batch(n, threads=count), steps) for count in counts}
    timings = interleave(works, plan.repeats, "threads")
    one = timings["1 threads"].wall
    gains = {str(count): quotients(one, timings[f"{count} threads"].wall) for count in counts}
    return Found(
        values={"two_threads": gains["2"]}, timings=timings, more={"gain": {count: vars(spread(gain)) for count, gain in gains.items()}}
    )
