"""Small networks over what is seen, and over what is seen and done."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from medsim_agents.offline.encoding import Encoding

__all__ = ["Twins", "follow", "over_doses", "over_seen"]

Tensor = torch.Tensor


def over_seen(encoding: Encoding, outputs: int, net_arch: Sequence[int]) -> nn.Sequential:
    """Return a network from what is seen to so many numbers; a code has a row of its own in the first layer."""
    first = nn.Embedding(encoding.codes, net_arch[0]) if encoding.scale is None else nn.Linear(len(encoding.scale.mean), net_arch[0])
    return nn.Sequential(first, nn.ReLU(), *between(net_arch), nn.Linear(net_arch[-1], outputs))


def over_doses(encoding: Encoding, outputs: int, net_arch: Sequence[int], more: int | None = None) -> nn.Sequential:
    """Return a network from what is seen beside doses (or ``more`` numbers) to so many numbers.

    Raises:
        ValueError: what is seen is a code.
    """
    if encoding.scale is None:
        raise ValueError("doses are learnt from rows of numbers, and the data hold codes")
    inputs = len(encoding.scale.mean) + (encoding.doses if more is None else more)
    return nn.Sequential(nn.Linear(inputs, net_arch[0]), nn.ReLU(), *between(net_arch), nn.Linear(net_arch[-1], outputs))


def between(net_arch: Sequence[int]) -> list[nn.Module]:
    """Return the layers after the first."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(net_arch):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers


class Twins(nn.Module):
    """Two critics of doses."""

    def __init__(self, encoding: Encoding, net_arch: Sequence[int]) -> None:
        super().__init__()
        self.pair = nn.ModuleList(over_doses(encoding, 1, net_arch) for _ in range(2))

    def forward(self, seen: Tensor, doses: Tensor) -> Tensor:
        """Return both values, (2, n)."""
        both = torch.cat([seen, doses], dim=1)
        return torch.stack([one(both)[:, 0] for one in self.pair])


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, tau: float) -> None:
    """Move a target network a share of the way to another."""
    for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
        slow.lerp_(fast, tau)
