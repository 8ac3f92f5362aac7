"""What happened to many patients under a policy: all that the sections of a safety evaluation look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.model import field_names
from medsim.core.task import Task
from medsim.core.vector import PatientVectorEnv
from medsim.datasets.episodes import at_step, patients_of
from medsim.evaluation.steps import Steps, done_by
from medsim.policies.policy import Policy

__all__ = ["Courses", "follow", "kept_of"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Courses:
    """One episode of each of n patients, T steps at most; after an episode's end there are zeros, and measures stay as they were.

    Attributes:
        policy: its name; task: in which it acted; seed: of the patients, whose slots are 0, 1, ...
        observations: of the first patients only, (kept, T + 1, ...), or a dict of such arrays.
        actions: (n, T) or (n, T, a); rewards: (n, T); costs: by name, (n, T); measures: by name, (n, T + 1), the first at the start.
        params: who the patients are, by name, (n,); lengths: steps, (n,); outcomes: (n,); outcome_time_h: (n,).
    """

    policy: str
    task: Task
    seed: int
    observations: Array | dict[str, Array]
    actions: Array
    rewards: Floats
    costs: Mapping[str, Floats]
    measures: Mapping[str, Floats]
    params: Mapping[str, Floats]
    lengths: npt.NDArray[np.int64]
    outcomes: npt.NDArray[np.str_]
    outcome_time_h: Floats

    @property
    def n(self) -> int:
        """Patients."""
        return len(self.lengths)

    @property
    def returns(self) -> Floats:
        """Undiscounted returns, (n,)."""
        return np.asarray(self.rewards.sum(axis=1))

    def seen_at(self, step: int) -> Any:
        """Return what was seen of the kept patients before a step, (kept, ...) or a dict of such arrays."""
        return at_step(self.observations, step)

    def there(self) -> npt.NDArray[np.bool_]:
        """Return which steps happened, (n, T)."""
        return np.asarray(np.arange(self.rewards.shape[1]) < self.lengths[:, None])

    def last(self, measure: str) -> Floats:
        """Return a measure at the end of each course, (n,)."""
        return np.asarray(self.measures[measure][np.arange(self.n), self.lengths])


def kept_of(observations: Any, count: int) -> Any:
    """Return the first rows of observations (n, ...), or of a dict of such arrays, as copies."""
    if isinstance(observations, dict):
        return {name: values[:count].copy() for name, values in observations.items()}
    return observations[:count].copy()


def follow(env_id: str, policy: Policy, n: int, *, seed: int, options: Mapping[str, Any] | None = None, keep: int = 0,
           prepare: Callable[[PatientVectorEnv], None] | None = None, reset_options: dict[str, Any] | None = None,
           progress: Callable[[float], None] | None = None) -> Courses:  # fmt: skip
    """Return the courses of the first n patients of a seed under a policy.

    Args:
        options: of the environment, over the policy's own; keep: of how many patients observations are kept.
        prepare: called once, when the patients have begun: may change who they are from here on.
        progress: called after every step with the share of the whole that it is.

    Raises:
        ValueError: an option is not allowed, or n is below 1.
    """
    env = patients_of(env_id, {**policy.options, **(options or {})}, n)
    batch, steps = env.batch, env.task.horizon_steps
    seen, _ = env.reset(seed=seed, options=reset_options)
    params = dict(zip(field_names(env.task.model.params), batch.record("params"), strict=True))
    if prepare is not None:
        prepare(env)
    policy.begin(env)
    rows = Rows(env, seen, keep)
    for step in range(steps):
        rows.step(policy.act(seen))
        seen = env.observations()
        rows.look(seen)
        if progress is not None:
            progress(1.0 / steps)
        if not rows.steps.alive.any():
            if progress is not None:
                progress((steps - step - 1) / steps)
            break
    return rows.courses(policy.name, env.task, seed, params)


class Rows:
    """What is written down of a batch, step after step."""

    def __init__(self, env: PatientVectorEnv, seen: Any, keep: int) -> None:
        self.env, self.keep, self.steps = env, min(keep, env.num_envs), Steps(env)
        self.observations: list[Any] = []
        self.look(seen)
        self.actions: list[Array] = []
        self.measures: list[Floats] = [env.batch.measures.copy()]

    def look(self, seen: Any) -> None:
        """Keep what is seen of the first patients."""
        if self.keep:
            self.observations.append(kept_of(seen, self.keep))

    def step(self, actions: Any) -> None:
        """Step the patients whose episode is running, and write down what happened."""
        actions = np.asarray(actions)
        there, _ = self.steps.take(actions)
        self.actions.append(done_by(there, actions))
        self.measures.append(np.where(there, self.env.batch.measures, self.measures[-1]))

    def courses(self, policy: str, task: Task, seed: int, params: Mapping[str, Floats]) -> Courses:
        """Return all of it."""
        steps, measures, batch = self.steps, np.stack(self.measures, axis=-1), self.env.batch
        costs = np.stack(steps.costs, axis=-1)
        first: Any = self.observations[0] if self.keep else np.zeros((0, 1))
        seen: Any = np.stack(self.observations, axis=1) if self.keep and not isinstance(first, dict) else first
        if isinstance(first, dict):
            seen = {name: np.stack([one[name] for one in self.observations], axis=1) for name in first}
        return Courses(
            policy=policy, task=task, seed=seed, observations=seen, actions=np.stack(self.actions, axis=1),
            rewards=np.stack(steps.rewards, axis=1), costs={name: costs[k] for k, name in enumerate(batch.cost_names)},
            measures={name: measures[k] for k, name in enumerate(batch.measure_names)}, params=params, lengths=steps.lengths,
            outcomes=np.array(steps.outcomes()), outcome_time_h=steps.times_h,
        )  # fmt: skip
