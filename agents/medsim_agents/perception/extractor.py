"""Encoders inside a Stable-Baselines3 policy, where they can learn on."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from medsim_perception.state import PerceivedState

__all__ = ["ClinicalExtractor"]

SMALLEST_SPREAD = 1e-6


class ClinicalExtractor(BaseFeaturesExtractor):
    """Features of multimodal observations: the perceived state, standardised, by encoders that learn with the policy or stay as they are.

    ``PPO("MultiInputPolicy", env, policy_kwargs={"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs":
    {"state": perceived_sepsis()}})``; with ``sb3_contrib.RecurrentPPO("MultiInputLstmPolicy", ...)`` where memory is needed. Each
    extractor learns with copies of the state's encoders. No layer normalises over a batch, so that a policy is the same one in rollouts
    and updates.

    Encoders that stay as they are (``trainable=False``) belong into a ``PerceptionVecWrapper``, which is several times faster.

    Args:
        observation_space: of a multimodal environment; state: how it is perceived.
        trainable: whether the encoders learn.
        centre, spread: of each number of the perceived state, such as a ``VecNormalize`` has found them; None: a layer norm over the
            numbers as shares of their bounds.

    Raises:
        ValueError: the observations lack an array that a sense reads, or centre or spread has another length than the state.
    """

    def __init__(self, observation_space: spaces.Dict, state: PerceivedState, *, trainable: bool = True, centre: Any = None,
                 spread: Any = None) -> None:  # fmt: skip
        state.refuse_unless_readable(observation_space)
        size = len(state.names)
        super().__init__(observation_space, features_dim=size)
        self.state = copy.deepcopy(state)
        self.encoders = nn.ModuleList(self.state.encoders())
        self.trainable = trainable
        self.encoders.requires_grad_(trainable)
        bound = torch.from_numpy(state.space.high.copy())
        self.register_buffer("centre", checked(centre, size, torch.zeros(size)))
        self.register_buffer("spread", checked(spread, size, bound).clamp(min=SMALLEST_SPREAD))
        self.norm: nn.Module = nn.LayerNorm(size) if centre is None and spread is None else nn.Identity()

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return the features, (n, numbers of the state)."""
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            rows = self.state.tensor(observations)
        return self.norm(((rows - self.centre) / self.spread).clamp(-10.0, 10.0))

    def apply(self, fn: Callable[[nn.Module], None]) -> "ClinicalExtractor":
        """Apply a function to all modules but the encoders: policies draw the weights of their extractor anew in this way."""
        self.norm.apply(fn)
        return self

    def train(self, mode: bool = True) -> "ClinicalExtractor":
        """Switch to training; the encoders always answer as they do in use, so that rollouts and updates agree."""
        super().train(mode)
        self.encoders.eval()
        return self


def checked(values: Any, size: int, default: Tensor) -> Tensor:
    """Return numbers as a tensor, or the default for None.

    Raises:
        ValueError: there are not as many as the state has.
    """
    if values is None:
        return default
    given = torch.as_tensor(values, dtype=torch.float32).clone()
    if given.shape != (size,):
        raise ValueError(f"centre and spread must be {size} numbers, as many as the perceived state has, not {tuple(given.shape)}")
    return given
