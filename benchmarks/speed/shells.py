"""What the shells add to the bare kernel: ``gym.make_vec`` and the Stable-Baselines3 ``VecEnv``."""

from typing import Any

import numpy as np

from benchmarks.speed.batches import GLUCOSE, SEED, bare_batch, batch_work, own_basal_actions, repeated, vector_work
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.rates import DAY_IN_STEPS
from benchmarks.speed.timing import Work, interleave, quotients
from medsim.core import kernels as k

__all__ = ["measure", "sb3_work", "why_no_agents"]

BATCH = 4096


def why_no_agents() -> str | None:
    """Return why nothing can be trained here, or None if it can."""
    try:
        import medsim_agents.vec_env  # noqa: F401
    except ImportError as error:
        return f'Stable-Baselines3 cannot be used ({error}): pip install -e ".[agents]"'
    return None


def sb3_work(n: int, steps: int, **options: Any) -> Work:
    """Return the work of stepping our Stable-Baselines3 environment from the start of its episodes."""
    from medsim_agents import make_vec_env

    env = make_vec_env(GLUCOSE, n, seed=SEED, **options)
    env.reset()
    actions = own_basal_actions(env.batch, bool(options.get("compat")))

    def begin() -> None:
        env.seed(SEED)
        env.reset()

    return Work(units=n * steps, run=repeated(lambda: env.step(actions), steps), prepare=begin)


def measure(plan: Plan) -> Found:
    """Time whole days and the step in which all episodes begin again, each shell beside the kernel in its mode of autoreset."""
    n, steps = plan.scaled(BATCH, 64), plan.scaled(DAY_IN_STEPS[False] + 1, 5)
    works = {
        "kernel, next-step": batch_work(bare_batch(n, mode=k.NEXT_STEP), steps),
        "gym.make_vec": vector_work(n, steps),
        "kernel, same-step": batch_work(bare_batch(n, mode=k.SAME_STEP), steps),
        "SB3 VecEnv": sb3_work(n, steps),
    }
    timings = interleave(works, plan.repeats, "shells over the kernel")
    pairs = {"vector_overhead": ("gym.make_vec", "kernel, next-step"), "sb3_overhead": ("SB3 VecEnv", "kernel, same-step")}
    values = {
        name: (100.0 * (np.array(quotients(timings[shell].cpu, timings[kernel].cpu)) - 1.0)).tolist()
        for name, (shell, kernel) in pairs.items()
    }
    return Found(values=values, timings=timings)
