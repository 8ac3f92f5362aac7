"""How many steps a second: one patient through ``gym.make``, and a batch of 1,024 through ``gym.make_vec``."""

from typing import Any

import gymnasium as gym

from benchmarks.speed.batches import GLUCOSE, SEED, bare_batch, batch_work, own_basal_actions, vector_work
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.timing import Work, interleave

__all__ = ["measure_batches", "measure_single", "single_work"]

BATCH = 1024
COMPAT: dict[str, Any] = {"compat": "simglucose"}
FAST: dict[str, Any] = {"fidelity": "fast"}
DAY_IN_STEPS = {True: 480, False: 288}  # with compat, without


def measure_batches(plan: Plan) -> Found:
    """Time whole days and the step in which all episodes begin again."""
    n = plan.scaled(BATCH, 64)
    works = {}
    for name, options in {"compat": COMPAT, "compat_fast": COMPAT | FAST, "default": {}, "default_fast": FAST}.items():
        steps = plan.scaled(DAY_IN_STEPS["compat" in options] + 1, 5)
        works[f"{name}_rate"] = vector_work(n, steps, **options)
        if "compat" in options:
            works[f"{name}_kernel_rate"] = batch_work(bare_batch(n, **options), steps)
    timings = interleave(works, plan.repeats, "rates of a batch")
    values = {name: [1.0 / seconds for seconds in timing.cpu] for name, timing in timings.items()}
    return Found(values=values, timings=timings)


def single_work(episodes: int, **options: Any) -> Work:
    """Return the work of whole episodes of one patient, resets included, through ``gym.make``."""
    env = gym.make(GLUCOSE, **options)
    env.reset(seed=SEED, options={"patient": "adult#001"})
    action = own_basal_actions(env.unwrapped.batch, "compat" in options)[0]  # type: ignore[attr-defined]

    def run() -> None:
        for _ in range(episodes):
            env.reset(options={"patient": "adult#001"})
            ended = False
            while not ended:
                _, _, terminated, truncated, _ = env.step(action)
                ended = terminated or truncated

    return Work(units=episodes * DAY_IN_STEPS["compat" in options], run=run)


def measure_single(plan: Plan) -> Found:
    """Time single environments, of both step lengths."""
    episodes = plan.scaled(20, 1)
    works = {"single_compat_us": single_work(episodes, **COMPAT), "single_default_us": single_work(episodes)}
    timings = interleave(works, plan.repeats, "a step through gym.make")
    return Found(values={name: [1e6 * seconds for seconds in timing.cpu] for name, timing in timings.items()}, timings=timings)
