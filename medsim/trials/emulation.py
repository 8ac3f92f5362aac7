"""How a trial is emulated.

Every patient goes through every arm: the same person, with the same fate and noise, so that arms differ by treatment alone. All arms
share a run-in, at whose end patients are enrolled by the trial's criteria on their state then. Deaths are scored by their probability
(``deaths="expected"``), which removes the noise of drawing them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from medsim.core.model import field_names
from medsim.core.task import Task
from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import Policy

__all__ = ["Arm", "Course", "follow", "run_arms"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to treat: a policy, and options of the environment that differ from the other arms'."""

    name: str
    policy: Callable[[], Policy]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happened to n patients in one arm: measures at the start and after every step, (steps + 1, n), and who they are, (n,)."""

    measures: dict[str, Array]
    patients: dict[str, Array]

    @property
    def death(self) -> Array:
        """Probability of death by day 28 (n,)."""
        return np.asarray(self.measures["death_probability"][-1])


def open_batch(task: Task, patients: int, threads: int = 1) -> PatientVectorEnv:
    """Return the patients of a task, without autoreset."""
    return PatientVectorEnv(task, patients, autoreset_mode=AutoresetMode.DISABLED, threads=threads)


def follow(env: PatientVectorEnv, policy: Policy, steps: int, keep: tuple[str, ...], progress: Callable[[int], None] | None = None) -> Array:
    """Treat for some steps from where the patients are; returns the measures named in ``keep``, (steps, len(keep), n)."""
    columns = [env.batch.measure_names.index(name) for name in keep]
    policy.begin(env)
    seen = np.empty((steps, len(keep), env.num_envs))
    for step in range(steps):
        env.step_running(policy.act(env.batch.obs))
        seen[step] = env.batch.measures[columns]
        if progress is not None:
            progress(1)
    return seen


def run_arms(arms: list[tuple[Task, Policy]], patients: int, seed: int, keep: tuple[str, ...], *, run_in: Policy | None = None,
             run_in_steps: int = 0, threads: int = 1, progress: Callable[[int], None] | None = None) -> list[Course]:  # fmt: skip
    """Return the course of the same patients in every arm.

    Args:
        arms: task (whose deaths must be "expected") and policy of each; a run-in is shared by arms of one task.
        keep: measures to keep; ``death_probability`` is always kept.
    """
    keep = tuple(dict.fromkeys((*keep, "death_probability")))
    courses = []
    shared: dict[int, tuple[PatientVectorEnv, dict[str, Any], Array]] = {}
    for task, policy in arms:
        if id(task) not in shared:
            env = open_batch(task, patients, threads)
            env.reset(seed=seed)
            first = np.stack([env.batch.measures[env.batch.measure_names.index(name)] for name in keep])[None]
            if run_in is not None:
                first = np.concatenate([first, follow(env, run_in, run_in_steps, keep, progress)])
            shared[id(task)] = (env, env.snapshot(), first)
        env, start, first = shared[id(task)]
        env.restore(start)
        rest = follow(env, policy, task.horizon_steps - (run_in_steps if run_in is not None else 0), keep, progress)
        measures = np.concatenate([first, rest])
        who = dict(zip(field_names(task.model.params), env.batch.record("params"), strict=True))
        courses.append(Course(measures={name: measures[:, number] for number, name in enumerate(keep)}, patients=who))
    return courses
