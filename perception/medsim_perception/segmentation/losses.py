"""Losses of masks: soft Dice and cross-entropy, for classes that exclude each other and for labels that overlap.

Definitions are those of MONAI's DiceLoss and DiceCELoss, to which a test holds them. Dice counts overlap, so that a small structure weighs
as much as a large one (Milletari et al. 2016); cross-entropy has a gradient where there is no overlap yet.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ACTIVATIONS", "dice_cross_entropy", "soft_dice"]

ACTIVATIONS = ("sigmoid", "softmax")
SMOOTH = 1e-5  # MONAI's: what is added above and below the fraction


def soft_dice(logits: Tensor, target: Tensor, *, activation: str = "sigmoid", whole_batch: bool = False, smooth: float = SMOOTH) -> Tensor:
    """One minus the Dice overlap of probabilities with a target, averaged over channels and images; a number.

    Args:
        logits: (n, k, h, w).
        target: (n, k, h, w) of 0 and 1 (or between).
        activation: "sigmoid" for labels that may overlap, "softmax" for classes of which each pixel has one.
        whole_batch: overlap is that of all images together, which steadies labels that most images lack.

    Raises ValueError for another activation, and for shapes that differ.
    """
    target = checked(logits, target, activation)
    p = torch.sigmoid(logits) if activation == "sigmoid" else torch.softmax(logits, dim=1)
    over = (0, 2, 3) if whole_batch else (2, 3)
    both, total = (p * target).sum(over), p.sum(over) + target.sum(over)
    return (1 - (2 * both + smooth) / (total + smooth)).mean()


def dice_cross_entropy(
    logits: Tensor, target: Tensor, *, activation: str = "sigmoid", whole_batch: bool = False, dice_weight: float = 1.0
) -> Tensor:
    """Soft Dice, times `dice_weight`, plus cross-entropy: of each label with "sigmoid", of classes with "softmax"; a number.

    Arguments and errors are those of `soft_dice`.
    """
    dice = soft_dice(logits, target, activation=activation, whole_batch=whole_batch)
    target = target.to(logits.dtype)
    if activation == "sigmoid":
        entropy = functional.binary_cross_entropy_with_logits(logits, target)
    else:
        entropy = functional.cross_entropy(logits, target)
    return dice_weight * dice + entropy


def checked(logits: Tensor, target: Tensor, activation: str) -> Tensor:
    """The target as floats; raises ValueError where shapes or the activation are not what they must be."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {activation!r}")
    if logits.ndim != 4 or logits.shape != target.shape:
        raise ValueError(f"logits and target must have one shape (n, k, h, w), not {tuple(logits.shape)} and {tuple(target.shape)}")
    return target.to(logits.dtype)
