"""Logged episodes as networks take them: observations by the data's own mean and spread, doses from -1 to 1, rewards by their spread."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from medsim.datasets.episodes import Episodes
from medsim_agents.normalisation import ObservationScale

__all__ = ["Batch", "Encoding", "Transitions", "encoding_of", "transitions_of"]

Array = npt.NDArray[Any]
Tensor = torch.Tensor

EPSILON, CLIP = 1e-8, 10.0  # of the observations' scale: as Stable-Baselines3's VecNormalize has them


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How observations and actions become numbers, and back.

    Attributes:
        codes: how many codes there are, where one is all that is seen; else 0, and ``scale`` says how numbers are normalised.
        actions: how many there are to choose from; 0 where doses are given, between ``low`` and ``high``.
        reward_spread: what rewards were divided by.
    """

    codes: int
    scale: ObservationScale | None
    actions: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    reward_spread: float

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """A space of the kind and shape of what is seen."""
        if self.scale is None:
            return spaces.Discrete(self.codes)
        return spaces.Box(-np.inf, np.inf, (len(self.scale.mean),), dtype=np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The space of what is done."""
        if self.actions:
            return spaces.Discrete(self.actions)
        return spaces.Box(np.array(self.low, dtype=np.float32), np.array(self.high, dtype=np.float32), dtype=np.float32)

    @property
    def doses(self) -> int:
        """How many doses there are in an action."""
        return len(self.low)

    def seen(self, observations: Array) -> Tensor:
        """Return observations (n,) codes or (n, k) as networks take them."""
        if self.scale is None:
            return torch.as_tensor(np.asarray(observations, dtype=np.int64))
        return torch.as_tensor(self.scale(observations))

    def done(self, actions: Array) -> Tensor:
        """Return actions as networks take them: numbers (n,), or doses (n, a) from -1 to 1."""
        if self.actions:
            return torch.as_tensor(np.asarray(actions, dtype=np.int64))
        low, high = np.array(self.low), np.array(self.high)
        return torch.as_tensor((2.0 * (np.asarray(actions) - low) / (high - low) - 1.0).astype(np.float32))

    def ordered(self, actions: Tensor) -> Array:
        """Return actions as the environment takes them."""
        found = actions.detach().numpy()
        if self.actions:
            return np.asarray(found, dtype=np.int64)
        low, high = np.array(self.low), np.array(self.high)
        return np.asarray(np.clip(low + (found.astype(np.float64) + 1.0) / 2.0 * (high - low), low, high), dtype=np.float32)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Encoding":
        """Return the encoding that a file holds."""
        scale = None if found["scale"] is None else ObservationScale.of(found["scale"])
        return cls(
            codes=found["codes"], scale=scale, actions=found["actions"], low=tuple(found["low"]), high=tuple(found["high"]),
            reward_spread=found["reward_spread"],
        )  # fmt: skip


class Batch(NamedTuple):
    """Steps: what was seen, done, earned (in spreads), seen then, and whether anything follows (1 or 0), (n,) or (n, ...) each."""

    seen: Tensor
    actions: Tensor
    rewards: Tensor
    then: Tensor
    going: Tensor


@dataclass(frozen=True, kw_only=True)
class Transitions:
    """All steps of logged episodes, encoded."""

    encoding: Encoding
    steps: Batch

    @property
    def n(self) -> int:
        """How many."""
        return len(self.steps.rewards)

    def drawn(self, size: int, generator: torch.Generator) -> Batch:
        """Return so many steps, drawn with replacement."""
        rows = torch.randint(self.n, (size,), generator=generator)
        return Batch(*(part[rows] for part in self.steps))


def encoding_of(episodes: Episodes) -> Encoding:
    """Return the encoding that data have by themselves.

    Raises:
        ValueError: observations are charts, or actions neither choices nor doses.
    """
    seen, done = episodes.observation_space, episodes.action_space
    if not isinstance(seen, spaces.Discrete | spaces.Box) or not isinstance(episodes.observations, np.ndarray):
        raise ValueError(f"offline learning reads rows of numbers or codes, and the data hold {seen}: choose observation='vector'")
    if not isinstance(done, spaces.Discrete | spaces.Box):
        raise ValueError(f"offline learning knows choices and doses, and the data hold {done}")
    there, scale = episodes.there(), None
    if isinstance(seen, spaces.Box):
        rows = episodes.observations[:, :-1][there].astype(np.float64)
        scale = ObservationScale(mean=tuple(rows.mean(axis=0).tolist()), variance=tuple(rows.var(axis=0).tolist()), epsilon=EPSILON,
                                 clip=CLIP)  # fmt: skip
    spread = float(episodes.rewards[there].std())
    return Encoding(
        codes=0 if isinstance(seen, spaces.Box) else int(seen.n), scale=scale, actions=0 if isinstance(done, spaces.Box) else int(done.n),
        low=tuple(done.low.tolist()) if isinstance(done, spaces.Box) else (),
        high=tuple(done.high.tolist()) if isinstance(done, spaces.Box) else (),
        reward_spread=spread if spread > 0.0 else 1.0,
    )  # fmt: skip


def transitions_of(episodes: Episodes, encoding: Encoding | None = None) -> Transitions:
    """Return all steps that happened; nothing follows where a course ended by itself, and something would where only watching did.

    Raises:
        ValueError: as of ``encoding_of``.
    """
    encoding = encoding_of(episodes) if encoding is None else encoding
    there, seen = episodes.there(), np.asarray(episodes.observations)
    last = np.arange(there.shape[1]) == episodes.lengths[:, None] - 1
    going = ~(last & episodes.terminated[:, None])
    return Transitions(
        encoding=encoding,
        steps=Batch(
            seen=encoding.seen(seen[:, :-1][there]), actions=encoding.done(episodes.actions[there]),
            rewards=torch.as_tensor((episodes.rewards[there] / encoding.reward_spread).astype(np.float32)),
            then=encoding.seen(seen[:, 1:][there]), going=torch.as_tensor(going[there].astype(np.float32)),
        ),
    )  # fmt: skip
