"""What a policy is: it acts for a whole batch at once."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.streams import Key, uniform, words
from medsim.core.vector import PatientVectorEnv

__all__ = ["Draws", "FunctionPolicy", "NamedColumns", "Policy", "RandomPolicy"]

Array = npt.NDArray[Any]


class Policy(Protocol):
    """Chooses the actions of a batch of patients."""

    name: str
    options: Mapping[str, Any]  # of the environment that it acts in, such as {"action": "continuous"}

    def begin(self, env: PatientVectorEnv) -> None:
        """All patients of ``env`` have just begun an episode."""

    def act(self, observations: Any) -> Array:
        """Return the actions (n,) or (n, a) for observations (n, k), or a dict of arrays (n, ...) where the task has a chart."""


class NamedColumns:
    """Reads observations by name.

    Raises:
        ValueError: observations are not rows of numbers.
    """

    def __init__(self, env: PatientVectorEnv) -> None:
        if isinstance(env.single_observation_space, spaces.Dict):
            same = "".join(f" and, for the same patients, {name}={value!r}" for name, value in env.task.same_patients.items())
            raise ValueError(f"this policy reads numbers by name, and {env.task.id} shows a chart: choose observation='vector'{same}")
        self.columns = {name: number for number, name in enumerate(env.task.view.names)}

    def __call__(self, observations: Array, name: str) -> Array:
        """Return a column as float64 (n,)."""
        return observations[:, self.columns[name]].astype(np.float64)


class FunctionPolicy:
    """A function of the observations as a policy."""

    memoryless = True  # so that its value can be computed exactly where an environment's course is a table

    def __init__(self, name: str, function: Callable[[Array], Array], options: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.function = function
        self.options: Mapping[str, Any] = dict(options or {})

    def begin(self, env: PatientVectorEnv) -> None:
        """Nothing is carried from step to step."""

    def act(self, observations: Array) -> Array:
        """Return the function's actions."""
        return self.function(observations)


class Draws:
    """Uniform numbers of each patient and step, from a stream of a policy's own: the same patient gets the same ones in any batch."""

    def __init__(self, env: PatientVectorEnv, stream: int) -> None:
        low, high, slot, episode = (env.batch.ids[:, column].astype(np.uint64) for column in range(4))
        self.key: Any = Key(low, high, slot, episode, 0)  # type: ignore[arg-type]  # whole columns: the arithmetic is the same
        self.stream, self.step = stream, 0

    def __call__(self) -> npt.NDArray[np.float64]:
        """Return four numbers a patient, (n, 4), of the step; the next call is the next step's."""
        drawn = self.at(self.step)
        self.step += 1
        return drawn

    def at(self, step: int) -> npt.NDArray[np.float64]:
        """Return four numbers a patient, (n, 4), of a step, counted from 0."""
        drawn: Any = words(self.key, step, self.stream)
        return np.column_stack([uniform(word) for word in drawn])


RANDOM_POLICY = 1_000_001  # a stream of its own, away from the models' purposes


class RandomPolicy:
    """Uniform over the action space; the same patient and step always get the same action."""

    name = "random"
    options: Mapping[str, Any] = {}

    def begin(self, env: PatientVectorEnv) -> None:
        """Remember who the patients are."""
        self.space = env.single_action_space
        self.draws = Draws(env, RANDOM_POLICY)

    def decide(self, observations: Array) -> tuple[Array, npt.NDArray[np.float64]]:
        """Return random actions and their probability (doses: density with regard to shares of each dose's range), (n,)."""
        actions = self.act(observations)
        return actions, self.likelihood(observations, actions)

    def likelihood(self, observations: Array, actions: Array) -> npt.NDArray[np.float64]:
        """Return the same for any actions."""
        return np.full(len(actions), 1.0 / int(self.space.n) if isinstance(self.space, spaces.Discrete) else 1.0)

    def act(self, observations: Array) -> Array:
        """Return random actions."""
        draws = self.draws()
        if isinstance(self.space, spaces.Discrete):
            return np.asarray(draws[:, 0] * int(self.space.n), dtype=np.int64)
        assert isinstance(self.space, spaces.Box)
        size = len(self.space.low)
        return np.asarray(self.space.low + draws[:, :size] * (self.space.high - self.space.low), dtype=np.float64)
