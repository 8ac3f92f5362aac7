"""A Gymnasium environment whose observation is the perceived state."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from medsim_perception.state.perceived import PerceivedState, Rows

__all__ = ["PerceptionWrapper"]


class PerceptionWrapper(gym.Wrapper[NDArray[np.float32], Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment with charts (and a camera) seen through encoders: the observation is a row of named numbers with their uncertainty.

    For training, ``medsim_agents.perception.PerceptionVecWrapper`` reads the images of many patients at once.

    Args:
        env: such as ``gym.make("medsim/Sepsis-v0", observation="multimodal")``; state: how it is perceived (``perceived_sepsis()``).

    Raises:
        ValueError: the environment does not show what the senses read.
    """

    def __init__(self, env: gym.Env[Any, Any], state: PerceivedState) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, state=state)
        gym.Wrapper.__init__(self, env)
        state.refuse_unless_readable(env.observation_space)
        self.state = state
        self.observation_space = state.space
        self._last: Rows | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode; returns the perceived state, (numbers,)."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._last = None
        return self._perceived(observation), info

    def step(self, action: Any) -> tuple[NDArray[np.float32], Any, bool, bool, dict[str, Any]]:
        """Step; returns the perceived state, (numbers,)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._perceived(observation), reward, terminated, truncated, info

    def _perceived(self, observation: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        self._last = self.state.of({name: array[None] for name, array in observation.items()}, self._last)
        return self._last[0].copy()
