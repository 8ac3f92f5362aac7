"""Codes become vectors: an event's code and time are embedded, and a stay is the sum of its events.

For what no fixed column holds: diagnoses, drugs, procedures. Codes that training never met share one vector. A building block for recipes
of your own: no recipe here uses it, since no chart here has such codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

__all__ = ["CodeEmbedding", "EventBags", "Vocabulary", "bags"]


class Vocabulary:
    """The codes of training stays, number 1 upwards, the most frequent first; 0 is any other code."""

    def __init__(self, codes: Iterable[str], fewest: int = 1) -> None:
        counts = Counter(codes)
        self.codes = tuple(sorted((code for code, n in counts.items() if n >= fewest), key=lambda code: (-counts[code], code)))
        self.numbers = {code: number for number, code in enumerate(self.codes, start=1)}

    def __len__(self) -> int:
        return len(self.codes) + 1

    def __call__(self, codes: Iterable[str]) -> list[int]:
        """The numbers of codes, 0 for those that training never met."""
        return [self.numbers.get(code, 0) for code in codes]


class EventBags(NamedTuple):
    """Events of n stays, one after the other."""

    codes: Tensor  # (events,): numbers of a vocabulary
    hours_ago: Tensor  # (events,)
    offsets: Tensor  # (n,): where each stay's events begin


def bags(stays: Sequence[Sequence[tuple[str, float]]], vocabulary: Vocabulary, now_h: ArrayLike) -> EventBags:
    """Events (code, hour) of stays as seen at `now_h`, (n,) hours: later ones are left out, so that nobody sees what is to come."""
    now = np.broadcast_to(np.asarray(now_h, np.float64), (len(stays),))
    kept = [[(code, at) for code, at in stay if at <= now[i]] for i, stay in enumerate(stays)]
    codes = [number for stay in kept for number in vocabulary(code for code, _ in stay)]
    ages = [now[i] - at for i, stay in enumerate(kept) for _, at in stay]
    offsets = np.cumsum([0, *(len(stay) for stay in kept)])[:-1]
    return EventBags(
        torch.tensor(codes, dtype=torch.long), torch.tensor(ages, dtype=torch.float32), torch.from_numpy(offsets.astype(np.int64))
    )


class CodeEmbedding(nn.Module):
    """A stay's vector, (n, width): the sum of its events' vectors, each fading at its own learnt rate; zeros for a stay without events."""

    def __init__(self, vocabulary: Vocabulary, width: int = 32) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(len(vocabulary), width, mode="sum")
        self.log_rate = nn.Embedding(len(vocabulary), 1)
        nn.init.constant_(self.log_rate.weight, float(np.log(1.0 / 168.0)))  # chosen start: a third is left after a week

    def forward(self, events: EventBags) -> Tensor:
        """The vectors of stays."""
        if events.codes.shape != events.hours_ago.shape:
            raise ValueError(f"there must be one age for each code, not {tuple(events.hours_ago.shape)} for {tuple(events.codes.shape)}")
        if (events.hours_ago < 0).any():
            raise ValueError(f"hours_ago must be 0 or more, not {float(events.hours_ago.min()):g}: an event lies in the future")
        weights = torch.exp(-events.hours_ago * self.log_rate(events.codes)[:, 0].exp())
        return torch.as_tensor(self.bag(events.codes, events.offsets, per_sample_weights=weights))
