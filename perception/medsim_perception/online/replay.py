"""Replay: a bounded sample of everything that was ever learnt from, and fine-tuning that mixes it with what is new.

Vitter's reservoir (ACM Trans Math Softw 1985;11:37-57) keeps every example of the stream with the same chance, however long it gets;
mixing it into each batch is what keeps a network from forgetting (Rolnick et al., "Experience replay for continual learning", NeurIPS
2019).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Examples:
    """Inputs and their labels."""

    x: Tensor  # (n, ...)
    y: Tensor  # (n, ...)

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"there must be one label for each input, not {len(self.y)} for {len(self.x)}")

    def at(self, rows: Tensor | slice) -> Examples:
        """Some of them, by numbers, a mask or a slice."""
        return Examples(self.x[rows], self.y[rows])

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.x)


def joined(parts: list[Examples]) -> Examples:
    """All examples of several parts, in order."""
    return Examples(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))


class Replay:
    """A reservoir of at most `capacity` examples; examples given are copied."""

    def __init__(self, capacity: int, seed: int = 0) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be 1 or more, not {capacity}")
        self.capacity, self.offered = capacity, 0
        self.rng = np.random.default_rng(seed)
        self.kept: Examples | None = None

    def __len__(self) -> int:
        return 0 if self.kept is None else self.kept.n

    def add(self, new: Examples) -> None:
        """Offer examples to the reservoir."""
        room = min(self.capacity - len(self), new.n)
        if room > 0:
            part = Examples(new.x[:room].clone(), new.y[:room].clone())
            self.kept = part if self.kept is None else joined([self.kept, part])
        self.offered += room
        for k in range(room, new.n):
            self.offered += 1
            place = int(self.rng.integers(self.offered))
            if place < self.capacity and self.kept is not None:
                self.kept.x[place], self.kept.y[place] = new.x[k], new.y[k]

    def examples(self) -> Examples:
        """A copy of what is kept; raises ValueError where nothing is."""
        if self.kept is None:
            raise ValueError("the replay is empty: add examples first")
        return Examples(self.kept.x.clone(), self.kept.y.clone())


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How a candidate is trained from the model that serves."""

    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]
    steps: int = 150
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    new_share: float = 0.5  # of each batch; the rest is replay

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2 or not 0 < self.new_share <= 1:
            raise ValueError(
                f"steps must be 1 or more, batch_size 2 or more, new_share in 0..1, not {self.steps}, {self.batch_size}, {self.new_share}"
            )


def fine_tuned(model: nn.Module, new: Examples, old: Examples | None, how: FineTuning, seed: int = 0) -> nn.Module:
    """A copy of the model, trained on new examples mixed with old ones (None: without replay); the model given is left as it is."""
    candidate = copy.deepcopy(model).train().requires_grad_(True)
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(candidate.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    n_new = how.batch_size if old is None else max(1, round(how.batch_size * how.new_share))
    for step in range(how.steps):
        for group in optimizer.param_groups:
            group["lr"] = how.learning_rate * 0.5 * (1 + np.cos(np.pi * step / how.steps))
        batch = new.at(torch.from_numpy(rng.integers(new.n, size=n_new)))
        if old is not None and n_new < how.batch_size:
            batch = joined([batch, old.at(torch.from_numpy(rng.integers(old.n, size=how.batch_size - n_new)))])
        loss = how.loss(candidate, batch.x, batch.y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(candidate.parameters(), 1.0)
        optimizer.step()
    return candidate.eval()
