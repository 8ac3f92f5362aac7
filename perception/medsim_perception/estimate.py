"""An answer with its uncertainty, as every encoder gives it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Estimate"]


class Estimate(NamedTuple):
    """An answer in the targets' own units with its uncertainty."""

    mean: Tensor  # (n, targets)
    sd: Tensor  # (n, targets): mean +- 1.645 sd is the 90 % interval
