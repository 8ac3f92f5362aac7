"""A perceived state: the answers of several senses, side by side in one row of numbers.

A sense reads a batch of observations (dicts of arrays, as environments with charts and cameras show them) and gives named numbers, in plain
units, with their bounds. A picture is read once, when it is new: until the next one, its reading is carried from step to step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["Observations", "PerceivedState", "Rows", "Sense"]

Rows = NDArray[np.float32]  # (n, numbers)
Observations = Mapping[str, NDArray[Any]]  # each (n, ...)


class Sense(Protocol):
    """What reads observations.

    Attributes:
        names: of the numbers that it gives; low, high: their bounds, (numbers,); needs: names of the arrays that it reads.
    """

    names: tuple[str, ...]
    low: Rows
    high: Rows
    needs: tuple[str, ...]

    def read(self, observations: Observations, last: Rows | None) -> Rows:
        """Return the numbers, (n, numbers); ``last`` is what it gave for the same patients a step before, None where that is unknown."""

    def tensor(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return the same of a batch of tensors, with the gradients of what is learnt."""


class PerceivedState:
    """Several senses as one observation.

    Raises:
        ValueError: two numbers have the same name, or there is no sense.
    """

    def __init__(self, senses: Sequence[Sense]) -> None:
        self.senses = tuple(senses)
        self.names = tuple(name for sense in self.senses for name in sense.names)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if not self.senses or twice:
            raise ValueError(f"senses must be one or more, with a name for each number; {twice or 'none'} given twice")
        ends = np.cumsum([len(sense.names) for sense in self.senses])
        self.parts = tuple(slice(int(end) - len(sense.names), int(end)) for end, sense in zip(ends, self.senses, strict=True))
        low, high = (np.concatenate([getattr(sense, end) for sense in self.senses]) for end in ("low", "high"))
        self.space = spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def refuse_unless_readable(self, space: spaces.Space[Any]) -> None:
        """Raise ValueError if observations of a space lack an array that a sense reads."""
        there = set(space.spaces) if isinstance(space, spaces.Dict) else set()
        lacking = sorted({name for sense in self.senses for name in sense.needs} - there)
        if lacking:
            raise ValueError(
                f"observations must have the arrays {', '.join(lacking)} to be perceived: choose observation='multimodal' (or 'ehr', if"
                f" no sense reads images); there are {', '.join(sorted(there)) or 'rows of numbers'}"
            )

    def of(self, observations: Observations, last: Rows | None = None) -> Rows:
        """Return the perceived state of a batch, (n, numbers), within the space; ``last``: that of the same patients a step before."""
        given = [
            sense.read(observations, None if last is None else last[:, part]) for sense, part in zip(self.senses, self.parts, strict=True)
        ]
        return np.clip(np.concatenate(given, axis=1, dtype=np.float32), self.space.low, self.space.high)

    def tensor(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return the perceived state of a batch of tensors, (n, numbers), with the gradients of the encoders."""
        import torch

        rows = torch.cat([sense.tensor(observations) for sense in self.senses], dim=1)
        low, high = (torch.as_tensor(end, device=rows.device) for end in (self.space.low, self.space.high))
        return rows.clamp(low, high)

    def to(self, device: str | torch.device) -> PerceivedState:
        """Move the encoders to a device, where they then read; observations and rows stay arrays. Returns itself."""
        for encoder in self.encoders():
            encoder.to(device)
        return self

    def encoders(self) -> list[nn.Module]:
        """Return the networks of the senses that have one."""
        return [sense.encoder for sense in self.senses if hasattr(sense, "encoder")]
