"""Timing competitors in turn, round after round, so that whatever else the machine does falls on all of them alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from medsim.cli.progress import Progress

__all__ = ["Spread", "Timing", "Work", "interleave", "quotients", "spread"]

Clocks = tuple[float, float]  # CPU seconds and wall seconds


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one competitor does in a round.

    Attributes:
        units: how many units (environment steps) a run does; run: does them, and returns its own clocks if it runs elsewhere.
        prepare: done before each run, not timed.
    """

    units: float
    run: Callable[[], Clocks | None]
    prepare: Callable[[], object] | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds a unit, one value a round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    median: float
    q1: float
    q3: float
    repeats: int


def spread(values: list[float]) -> Spread:
    """Return median, quartiles and number of some values."""
    q1, median, q3 = np.percentile(values, [25, 50, 75]).tolist()
    return Spread(median, q1, q3, len(values))


def quotients(one: list[float], other: list[float]) -> list[float]:
    """Return one / other, round by round."""
    return [a / b for a, b in zip(one, other, strict=True)]


def clocked(work: Work) -> Clocks:
    """Run once; CPU time is that of this process, all its threads together."""
    if work.prepare is not None:
        work.prepare()
    cpu, wall = time.process_time(), time.perf_counter()
    own = work.run()
    return own or (time.process_time() - cpu, time.perf_counter() - wall)


def interleave(works: Mapping[str, Work], repeats: int, label: str) -> dict[str, Timing]:
    """Return the timings of competitors: one round that does not count, then ``repeats`` rounds, each begun by the next one."""
    timings = {name: Timing() for name in works}
    names = list(works)
    with Progress((repeats + 1) * len(works), "runs", label) as progress:
        for repeat in range(repeats + 1):
            first = repeat % len(names)
            for name in names[first:] + names[:first]:
                cpu, wall = clocked(works[name])
                if repeat > 0:
                    timings[name].cpu.append(cpu / works[name].units)
                    timings[name].wall.append(wall / works[name].units)
                progress.update()
    return timings
