"""``medsim/Sepsis-v0``: a step through ``gym.make``, a batch of 4,096, what begins an episode, and how far the kernel is from its floor.

Actions are random and drawn beforehand. A batch is timed over a whole course of 72 one-hour steps and the step in which those still alive
begin again, with noise, laboratory samples, rewards and autoreset; who dies earlier begins again earlier. What integration costs comes from
the difference between steps of 10 minutes and of 1: the rest of an hour is the same. See ``operations`` for the floor.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.speed.batches import SEED, repeated
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.operations import counted, floor_seconds, operation_works
from benchmarks.speed.timing import Timing, Work, interleave, quotients
from medsim.core import kernels as k
from medsim.core.batch import Batch
from medsim.registry import make_task

__all__ = ["measure"]

SEPSIS = "medsim/Sepsis-v0"
BATCH = 4096
COURSE_STEPS = 72
SUBSTEP_MINUTES = (5, 10, 1)  # the default first
ROUNDS = 5


def substeps(minutes: int) -> int:
    """Return how many integration steps an hour has."""
    return 60 // minutes


def drawn_actions(steps: int, n: int) -> Any:
    """Return random actions of the grid (steps, n), the same ones each time."""
    return np.random.default_rng(SEED).integers(0, 25, size=(steps, n))


@dataclass
class Course:
    """Steps of a batch with actions that were drawn beforehand."""

    step: Any  # takes the actions of a step
    actions: Any  # (steps, n)

    def run(self) -> None:
        """Step through them."""
        for actions in self.actions:
            self.step(actions)


def single_work(steps: int) -> Work:
    """Return the work of one patient after the other through ``gym.make``, resets included."""
    env = gym.make(SEPSIS)
    actions = [int(action) for action in drawn_actions(steps, 1)[:, 0]]

    def run() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return Work(units=steps, run=run, prepare=lambda: env.reset(seed=SEED))


def vector_work(n: int, steps: int, minutes: int) -> Work:
    """Return the work of a batch through ``gym.make_vec``."""
    env = gym.make_vec(SEPSIS, num_envs=n, substep_minutes=minutes)
    course = Course(env.step, drawn_actions(steps, n))
    return Work(units=n * steps, run=course.run, prepare=lambda: env.reset(seed=SEED))


def kernel_work(n: int, steps: int, minutes: int) -> Work:
    """Return the work of the same batch without its shell."""
    batch = bare_batch(n, minutes)

    def step(actions: Any) -> None:
        batch.actions[:, 0] = actions
        batch.step()

    course = Course(step, drawn_actions(steps, n))

    def begin() -> None:
        batch.seed(SEED)
        batch.reset()

    return Work(units=n * steps, run=course.run, prepare=begin)


def bare_batch(n: int, minutes: int = SUBSTEP_MINUTES[0]) -> Batch:
    """Return the batch inside a vector environment."""
    task = make_task(SEPSIS, substep_minutes=minutes)
    return Batch(task.model, task.view, n, task.settings, mode=k.NEXT_STEP, threads=1)


def reset_work(n: int, times: int) -> Work:
    """Return the work of beginning episodes; its unit is one of them."""
    batch = bare_batch(n)
    return Work(units=n * times, run=repeated(batch.reset, times), prepare=lambda: batch.seed(SEED))


def works_of(plan: Plan) -> dict[str, Work]:
    """Return everything that is timed."""
    n, steps = plan.scaled(BATCH, 64), plan.scaled(COURSE_STEPS + 1, 5)
    works = {
        "gym.make": single_work(plan.scaled(20 * COURSE_STEPS, COURSE_STEPS)),
        "beginning an episode": reset_work(n, plan.scaled(3, 1)),
    }
    for minutes in SUBSTEP_MINUTES:
        works[f"gym.make_vec, {minutes} min"] = vector_work(n, steps, minutes)
        works[f"kernel, {minutes} min"] = kernel_work(n, steps, minutes)
    return works | operation_works(plan.scaled(20_000, 500))


def integration(timings: dict[str, Timing]) -> list[float]:
    """Return seconds of one integration step of one patient, round by round."""
    fine, coarse = (np.array(timings[f"kernel, {minutes} min"].cpu) for minutes in (1, 10))
    return list((fine - coarse) / (substeps(1) - substeps(10)))


def measure(plan: Plan) -> Found:
    """Time everything in turn, and count."""
    timings = interleave(works_of(plan), min(plan.repeats, ROUNDS), "sepsis")
    task = make_task(SEPSIS)
    a_substep = substeps(SUBSTEP_MINUTES[0])
    counts = counted(task.model, task.settings, 1.0 / a_substep)
    thousand = {name.removeprefix("1,000 x "): timing.cpu for name, timing in timings.items() if name.startswith("1,000 x ")}
    floors = [floor_seconds(counts, dict(zip(thousand, rounds, strict=True))) for rounds in zip(*thousand.values(), strict=True)]
    values = {
        "sepsis_single_us": [1e6 * seconds for seconds in timings["gym.make"].cpu],
        "sepsis_reset_us": [1e6 * seconds for seconds in timings["beginning an episode"].cpu],
        "sepsis_floor_us": [1e6 * a_substep * floor for floor in floors],
        "sepsis_integration_v_floor": quotients(integration(timings), floors),
        "sepsis_step_v_floor": quotients(timings[f"kernel, {SUBSTEP_MINUTES[0]} min"].cpu, [a_substep * floor for floor in floors]),
    }
    for minutes in SUBSTEP_MINUTES:
        values[f"sepsis_{minutes}_min_rate"] = [1.0 / seconds for seconds in timings[f"gym.make_vec, {minutes} min"].cpu]
        values[f"sepsis_{minutes}_min_kernel_rate"] = [1.0 / seconds for seconds in timings[f"kernel, {minutes} min"].cpu]
    middle = {kind: float(np.median(seconds)) for kind, seconds in thousand.items()}
    more = {
        "operations": counts,
        "operations_with_polynomials": counted(task.model, task.settings, 1.0 / a_substep, polynomials=True),
        "floor_ns": {kind: 1e6 * number * middle[kind] for kind, number in counts.items()},
        "integration_ns": 1e9 * float(np.median(integration(timings))),
    }
    return Found(values=values, timings=timings, more=more)
