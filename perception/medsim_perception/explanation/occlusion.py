"""Occlusion: how much an answer falls when a part of the input is covered (Zeiler & Fergus 2014)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from medsim_perception.explanation.gradients import Answer, answers_of, checked

__all__ = ["occlusion"]


def occlusion(answer: Answer, images: Tensor, cover: Tensor | float, *, window: int = 8, stride: int = 4) -> Tensor:
    """By how much the answer falls where a square is covered, (n, h, w): each pixel has the mean over the squares that cover it.

    Args:
        answer: see `medsim_perception.explanation.gradients.Answer`.
        images: floats (n, c, h, w).
        cover: what a square is replaced with: a number, or images that broadcast to (n, c, h, w).
        window, stride: side of the squares and how far apart they lie, in pixels, 1 <= stride <= window <= h and w.

    With windows of one pixel it is exact for a linear answer: weight times pixel less cover. Raises ValueError for other arguments.
    """
    if images.ndim != 4:
        raise ValueError(f"images must have the shape (n, c, h, w), not {tuple(images.shape)}")
    if not 1 <= stride <= window <= min(images.shape[2:]):
        raise ValueError(f"1 <= stride <= window <= {min(images.shape[2:])} must hold, not stride {stride}, window {window}")
    images = checked(images).detach()
    over = torch.as_tensor(cover, dtype=images.dtype, device=images.device).broadcast_to(images.shape)
    fall, times = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    with torch.no_grad():
        before = answers_of(answer, images)
        for rows, columns in squares(images.shape[2], images.shape[3], window, stride):
            covered = images.clone()
            covered[:, :, rows, columns] = over[:, :, rows, columns]
            fall[:, rows, columns] += (before - answers_of(answer, covered))[:, None, None]
            times[rows, columns] += 1
    return fall / times


def squares(height: int, width: int, window: int, stride: int) -> Iterator[tuple[slice, slice]]:
    """Squares that cover the whole image; the last of a row or column lies against the edge."""
    for top in starts(height, window, stride):
        for left in starts(width, window, stride):
            yield slice(top, top + window), slice(left, left + window)


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along a side."""
    return sorted({*range(0, length - window + 1, stride), length - window})
