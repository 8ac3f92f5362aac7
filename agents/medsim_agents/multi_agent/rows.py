"""What every ``VecEnv`` of this package shares: action masks, what wrappers ask of single environments, and episodes' sums."""

import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

__all__ = ["Array", "EpisodeSums", "RowVecEnv"]

Array = npt.NDArray[Any]
Indices = None | int | Iterable[int]
MASKS = "action_masks"  # the method that sb3-contrib's MaskablePPO asks for
FIXED = ("render_mode", "observation_space", "action_space", "metadata", MASKS)


class RowVecEnv(VecEnv):
    """Rows that step together, with action masks."""

    def __init__(self, n: int, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self._labels: dict[str, list[Any]] = {}
        self._actions: Array | None = None
        super().__init__(n, observation_space, action_space)

    @abstractmethod
    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are legal now, (n, actions)."""

    def step_async(self, actions: Array) -> None:
        """Take the actions (n,) or (n, a)."""
        self._actions = np.asarray(actions)

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return an attribute of rows: what they share, or what ``set_attr`` gave them.

        Raises:
            AttributeError: they have none of that name.
        """
        chosen = list(self._get_indices(indices))
        if attr_name in self._labels:
            return [self._labels[attr_name][i] for i in chosen]
        if attr_name == MASKS:
            return [lambda row=row: self.action_masks()[row] for row in chosen]
        if attr_name == "render_mode":
            return [None for _ in chosen]
        if attr_name in FIXED:
            return [getattr(self, attr_name) for _ in chosen]
        raise AttributeError(f"rows have no attribute {attr_name!r}; there are {', '.join((*FIXED, *self._labels))}")

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Give rows a label of their own, for ``get_attr``; it changes nothing in the simulation.

        Raises:
            AttributeError: the name is taken by what is fixed when the environment is made.
        """
        if attr_name in FIXED:
            raise AttributeError(f"{attr_name} is fixed when the environment is made")
        values = self._labels.setdefault(attr_name, [None] * self.num_envs)
        for i in self._get_indices(indices):
            values[i] = value

    def env_method(self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any) -> list[Any]:
        """Return ``action_masks`` of rows.

        Raises:
            AttributeError: any other method.
        """
        if method_name != MASKS:
            raise AttributeError(f"rows have no method {method_name!r}; there is {MASKS}")
        masks = self.action_masks()
        return [masks[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Indices = None) -> list[bool]:
        """Return whether rows do what a wrapper does: ``Monitor``'s episode statistics are kept inside, no other."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]


class EpisodeSums:
    """Return, length and costs of the episode at hand, for each of n rows."""

    def __init__(self, n: int, cost_names: Sequence[str] = ()) -> None:
        self.cost_names = tuple(cost_names)
        self.returns, self.lengths = np.zeros(n), np.zeros(n, dtype=np.int64)
        self.costs = np.zeros((n, len(self.cost_names)))
        self.began = time.monotonic()

    def clear(self, rows: Any = ...) -> None:
        """Begin anew in some rows, or all."""
        for sums in (self.returns, self.lengths, self.costs):
            sums[rows] = 0

    def info(self, row: int) -> dict[str, Any]:
        """Return what ``Monitor`` would say of the episode: ``r``, ``l``, ``t``; and ``costs`` by name where there are some."""
        said = {"r": float(self.returns[row]), "l": int(self.lengths[row]), "t": round(time.monotonic() - self.began, 6)}
        if not self.cost_names:
            return said
        costs = self.costs[row].tolist()
        return {**said, "cost": sum(costs), "costs": dict(zip(self.cost_names, costs, strict=True))}

    def snapshot(self) -> dict[str, Array]:
        """Return copies of the sums."""
        return {"returns": self.returns.copy(), "lengths": self.lengths.copy(), "costs": self.costs.copy()}

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Return to a snapshot."""
        for name, values in snapshot.items():
            getattr(self, name)[...] = values
