"""How a trial is emulated.

Every patient goes through every arm: the same person, with the same fate and noise, so that arms differ by treatment alone. All arms
share a run-in, at whose end patients are enrolled by the trial's criteria on their state then. Deaths are scored by their probability
(``deaths="expected"``), which removes the noise of drawing them: nobody dies within the course, but everybody has a chance to have died.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from medsim.core.model import field_names
from medsim.core.task import Task
from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import Policy

__all__ = ["Arm", "Course", "each_arm", "follow", "run_arms"]

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
        """Probability of death by the end, day 28 (n,)."""
        return np.asarray(self.measures["death_probability"][-1])

    def until(self, step: int) -> "Course":
        """Return the course up to and including the state after a step."""
        return Course(measures={name: values[: step + 1] for name, values in self.measures.items()}, patients=self.patients)


def open_batch(task: Task, patients: int, threads: int = 1) -> PatientVectorEnv:
    """Return the patients of a task, without autoreset."""
    return PatientVectorEnv(task, patients, autoreset_mode=AutoresetMode.DISABLED, threads=threads)


def follow(
    env: PatientVectorEnv, policy: Policy, steps: int, keep: tuple[str, ...], progress: Callable[[int], None] | None = None
) -> Array:
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


@dataclass(frozen=True, kw_only=True)
class Start:
    """Patients at randomisation: the environment that took them there, their state, and the measures until then, (steps + 1, kept, n)."""

    env: PatientVectorEnv
    snapshot: dict[str, Any]
    seen: Array

    def place(self, task: Task, threads: int) -> PatientVectorEnv:
        """Return an environment of a task with the patients as they are at randomisation.

        Raises:
            ValueError: its observations are not those of the run-in.
        """
        if task is self.env.task:
            self.env.restore(self.snapshot)
            return self.env
        env = open_batch(task, self.env.num_envs, threads)
        if task.view is not self.env.task.view:
            raise ValueError(
                f"an arm that observes {task.view_name!r} cannot follow a run-in that observes {self.env.task.view_name!r}: "
                "use policies with the same observation"
            )
        env.restore({**self.snapshot, "settings": env.batch.settings.copy()})
        return env


def begin(task: Task, patients: int, seed: int, keep: tuple[str, ...], run_in: Policy | None, steps: int, threads: int,
          progress: Callable[[int], None] | None) -> Start:  # fmt: skip
    """Return the patients of a task after a run-in."""
    env = open_batch(task, patients, threads)
    env.reset(seed=seed)
    seen = np.stack([env.batch.measures[env.batch.measure_names.index(name)] for name in keep])[None]
    if run_in is not None:
        seen = np.concatenate([seen, follow(env, run_in, steps, keep, progress)])
    return Start(env=env, snapshot=env.snapshot(), seen=seen)


def each_arm(arms: list[tuple[Task, Policy]], patients: int, seed: int, keep: tuple[str, ...], *, run_in: Policy | None = None,
             run_in_steps: int = 0, run_in_task: Task | None = None, threads: int = 1,
             progress: Callable[[int], None] | None = None) -> Iterator[Course]:  # fmt: skip
    """Yield the course of the same patients in every arm, one after the other.

    Args:
        arms: task (whose deaths must be "expected") and policy of each.
        keep: measures to keep; ``death_probability`` is always kept.
        run_in: how everybody is treated for ``run_in_steps`` before randomisation, in ``run_in_task`` (default: the first arm's): it is
            simulated once, and every arm goes on from there.

    Raises:
        ValueError: a measure is unknown, or an arm's observations are not those of the run-in.
    """
    keep = tuple(dict.fromkeys((*keep, "death_probability")))
    known = field_names(arms[0][0].model.measures)
    for name in keep:
        if name not in known:
            raise ValueError(f"no measure is called {name!r}; there are {', '.join(known)}")
    start: Start | None = None
    if run_in is not None:
        start = begin(run_in_task or arms[0][0], patients, seed, keep, run_in, run_in_steps, threads, progress)
    for task, policy in arms:
        if start is None or (run_in is None and start.env.task is not task):
            start = begin(task, patients, seed, keep, None, 0, threads, progress)
        env = start.place(task, threads)
        rest = follow(env, policy, task.horizon_steps - (len(start.seen) - 1), keep, progress)
        seen = np.concatenate([start.seen, rest])
        who = dict(zip(field_names(task.model.params), env.batch.record("params"), strict=True))
        yield Course(measures={name: seen[:, number] for number, name in enumerate(keep)}, patients=who)


def run_arms(arms: list[tuple[Task, Policy]], patients: int, seed: int, keep: tuple[str, ...], *, run_in: Policy | None = None,
             run_in_steps: int = 0, threads: int = 1, progress: Callable[[int], None] | None = None) -> list[Course]:  # fmt: skip
    """Return the courses of ``each_arm`` as a list."""
    return list(each_arm(arms, patients, seed, keep, run_in=run_in, run_in_steps=run_in_steps, threads=threads, progress=progress))
