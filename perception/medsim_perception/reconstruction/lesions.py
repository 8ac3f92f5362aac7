"""Does a reconstruction keep a tumour, and does it show one where there is none? Measured where the truth is known: on rendered patients.

The same simulated patient is rendered with a tumour and without; both are scanned and reconstructed. A tumour counts as kept if the
reconstruction is, within it, nearer to the patient with it than to the patient without. A tumour is made up if the reconstruction of a
patient without one differs from the truth somewhere, over a disc as large as a tumour, by as much as half of a tumour's contrast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LesionRates", "lesion_rates"]


class LesionRates(NamedTuple):
    """What happens to tumours."""

    kept: float  # share of true tumours that are seen
    contrast: float  # their mean contrast, as a share of the true one
    made_up: float  # share of patients without a tumour in whom one is seen


def lesion_rates(
    reconstruct: Callable[[Tensor], Tensor], without: Tensor, having: Tensor, tumours: Tensor, organs: Tensor, radius_pixels: float
) -> LesionRates:
    """Rates of a function from true images to reconstructed ones, (n, 1, h, w) both.

    `without` and `having` are the same patients without and with a tumour, `tumours` bool (n, h, w) where it is, `organs` bool (n, h, w)
    where one would be looked for, `radius_pixels` that of a tumour. Patients whose tumour covers no pixel are left out. Raises ValueError
    where there is no other.
    """
    shown = tumours.flatten(1).any(1)
    if not bool(shown.any()):
        raise ValueError("no patient has a tumour that covers a pixel")
    inside = tumours[shown, None].float()
    true = _mean_within(having[shown] - without[shown], inside)
    seen = _mean_within(reconstruct(having)[shown] - without[shown], inside)
    contrast = seen / true
    disc = _disc(radius_pixels)
    difference = functional.conv2d(reconstruct(without) - without, disc, padding=disc.shape[-1] // 2)
    strongest = (difference.abs() * organs[:, None]).flatten(1).amax(1)
    made_up = strongest > 0.5 * true.abs().mean()
    return LesionRates(float((contrast > 0.5).float().mean()), float(contrast.mean()), float(made_up.float().mean()))


def _mean_within(images: Tensor, masks: Tensor) -> Tensor:
    return (images * masks).flatten(1).sum(1) / masks.flatten(1).sum(1)


def _disc(radius: float) -> Tensor:
    """Weights (1, 1, k, k) that average over a disc."""
    reach = int(radius)
    line = torch.arange(-reach, reach + 1).float()
    disc = (line[:, None] ** 2 + line**2 <= radius**2).float()
    return (disc / disc.sum())[None, None]
