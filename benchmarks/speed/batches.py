"""The environments that are timed, and the work of stepping them."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from benchmarks.speed.timing import Work
from medsim.core import kernels as k
from medsim.core.batch import Batch
from medsim.registry import make_task
from medsim.treatments.glucose.model import PMOL_PER_U, Params

__all__ = ["GLUCOSE", "SEED", "bare_batch", "batch_work", "own_basal_actions", "vector_work"]

GLUCOSE = "medsim/Glucose-v0"
SEED = 20260  # chosen: any
OWN_BASAL = 2  # the discrete action that gives a patient's own basal rate


def own_basal_actions(batch: Batch, compat: bool) -> npt.NDArray[Any]:
    """Return actions that give every patient of a batch their own basal insulin, as the environment takes them."""
    if not compat:
        return np.full(batch.n, OWN_BASAL)
    params = dict(zip(Params._fields, batch.record("params"), strict=True))
    return (params["basal_pmol_per_kg_per_min"] * params["weight_kg"] / PMOL_PER_U).astype(np.float32)[:, None]


def bare_batch(n: int, *, mode: int = k.NEXT_STEP, threads: int = 1, **options: Any) -> Batch:
    """Return the batch inside a vector environment, without its shell, at the start of an episode with actions in place."""
    task = make_task(GLUCOSE, **options)
    batch = Batch(task.model, task.view, n, task.settings, mode=mode, threads=threads)
    begin(batch)
    return batch


def begin(batch: Batch) -> None:
    """Begin the benchmark's episodes, the same ones each time, every patient at their own basal insulin."""
    batch.seed(SEED)
    batch.reset()
    compat = batch.settings[batch.model.settings._fields.index("compat")] > 0.0  # type: ignore[attr-defined]
    batch.actions[:, :1] = own_basal_actions(batch, compat).reshape(batch.n, 1)


def batch_work(batch: Batch, steps: int) -> Work:
    """Return the work of stepping a bare batch from the start of its episodes."""
    return Work(units=batch.n * steps, run=repeated(batch.step, steps), prepare=lambda: begin(batch))


def vector_work(n: int, steps: int, **options: Any) -> Work:
    """Return the work of stepping a vector environment from the start of its episodes."""
    env = gym.make_vec(GLUCOSE, num_envs=n, **options)
    env.reset(seed=SEED)
    actions = own_basal_actions(env.unwrapped.batch, bool(options.get("compat")))  # type: ignore[attr-defined]
    return Work(units=n * steps, run=repeated(lambda: env.step(actions), steps), prepare=lambda: env.reset(seed=SEED))


def repeated(call: Callable[[], object], times: int) -> Callable[[], None]:
    """Return a function that calls another some times."""

    def run() -> None:
        for _ in range(times):
            call()

    return run
