"""How the cost of a step grows: with the batch, with the length of an episode."""

import time
from collections.abc import Callable

import numpy as np

from benchmarks.speed.batches import bare_batch, begin, repeated, vector_work
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.timing import Work, interleave, spread
from medsim.core.batch import Batch

__all__ = ["measure"]

SMALL, LARGE = (1, 2, 4, 8, 16, 32, 64), (128, 256, 1024, 4096, 16384, 65536)
LENGTHS = (36, 72, 144, 288, 576, 1152, 2016)  # steps of 5 minutes: 3 hours to a week
ENV_STEPS = 100_000  # a run of each batch size, about


def one_by_one(batch: Batch) -> None:
    """Step a batch by the kernel that takes patients one after the other."""
    batch.kernels.step_lanes(0, batch.n, batch.block, batch.ids, batch.settings, batch.actions, batch.obs, batch.out, batch.ends)


def in_tiles(batch: Batch) -> None:
    """Step a batch by the kernel that integrates 16 patients at a time."""
    batch.kernels.step_tiles(0, len(batch.block), batch.block, batch.ids, batch.settings, batch.actions, batch.obs, batch.out, batch.ends)


def kernel_work(n: int, env_steps: int, step: Callable[[Batch], None], **options: str) -> Work:
    """Return the work of stepping n patients by one kernel, in episodes that do not end."""
    batch = bare_batch(n, **options)
    batch.settings[batch.model.settings._fields.index("horizon_steps")] = np.inf  # type: ignore[attr-defined]
    steps = steps_for(n, env_steps)
    return Work(units=n * steps, run=repeated(lambda: step(batch), steps), prepare=lambda: begin(batch))


def steps_for(n: int, env_steps: int) -> int:
    """Return how often to step n patients: few steps of many, many of few."""
    return min(2000, max(3, env_steps // n))


def by_batch(plan: Plan) -> dict[str, dict[str, list[float]]]:
    """Return microseconds a step of one patient, against the size of the batch."""
    env_steps = plan.scaled(ENV_STEPS, 200)
    small, large = (SMALL, LARGE) if not plan.quick else ((1, 16), (64,))
    works: dict[tuple[str, int], Work] = {}
    for n in small:
        works["one by one", n] = kernel_work(n, env_steps, one_by_one)
    for n in small + large:
        works["in tiles", n] = kernel_work(n, env_steps, in_tiles)
        works["in tiles, fast", n] = kernel_work(n, env_steps, in_tiles, fidelity="fast")
        works["gym.make_vec", n] = vector_work(n, min(280, steps_for(n, env_steps)))
    timings = interleave({f"{name} {n}": work for (name, n), work in works.items()}, 2 if plan.quick else 5, "growth with the batch")
    lines: dict[str, dict[str, list[float]]] = {}
    for name, n in works:
        measured = spread([1e6 * seconds for seconds in timings[f"{name} {n}"].cpu])
        line = lines.setdefault(name, {"batch": [], "us": [], "q1": [], "q3": []})
        for key, value in (("batch", n), ("us", measured.median), ("q1", measured.q1), ("q3", measured.q3)):
            line[key].append(value)
    return lines


def by_length(plan: Plan) -> dict[str, list[float]]:
    """Return microseconds a step of one patient, in each stretch of a week."""
    lengths = LENGTHS if not plan.quick else LENGTHS[:1]
    batch = bare_batch(plan.scaled(1024, 16), days=7)
    rounds = []
    for _ in range(2 if plan.quick else 5):
        begin(batch)
        done, costs = 0, []
        for length in lengths:
            start = time.process_time()
            repeated(batch.step, length - done)()
            costs.append(1e6 * (time.process_time() - start) / (length - done) / batch.n)
            done = length
        rounds.append(costs)
    q1, us, q3 = np.percentile(rounds, [25, 50, 75], axis=0).tolist()
    return {"steps": list(lengths), "us": us, "q1": q1, "q3": q3}


def measure(plan: Plan) -> Found:
    """Time kernels and the vector environment over batch sizes, and a week in stretches."""
    return Found(more={"batch": by_batch(plan), "length": by_length(plan)})
