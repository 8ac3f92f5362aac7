"""Heads to learn from, made of an averaged real brain: slices of MNI152 turned, bent and recoloured in a random skull and scalp."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medsim_perception.reconstruction.phantoms import MODALITIES, Canvas, finished, head_rest, scatter_details, smooth_noise, wrap_in_head
from medsim_perception.reconstruction.real_slices import MRI_TEMPLATE, volume

__all__ = ["random_heads"]

STEP_MM = 2  # chosen: of the slices that are kept; finer than any picture that is made of them
SIDE = 112  # of the kept slices, pixels: 224 mm
SMALLEST_MM2 = 2000  # chosen: slices with less brain are no heads
STACKS = ((2, 30, 165), (1, 40, 195), (0, 35, 162))  # axis and range (mm) of axial, coronal and sagittal slices that hold brain


@lru_cache(maxsize=1)
def template_slices() -> Tensor:
    """Slices of MNI152, (m, 2, 112, 112): brightness 0..1, and the distance from the brain's edge in half widths, negative inside.

    Raises FileNotFoundError where the template is absent.
    """
    from scipy.ndimage import distance_transform_edt

    brain, slices = volume(MRI_TEMPLATE), []
    for axis, first, last in STACKS:
        for place in range(first, last, 3):
            plane = np.rot90(np.take(brain, place, axis=axis))
            if (plane > 0.02).sum() < SMALLEST_MM2:
                continue
            slices.append(_centred(plane).reshape(SIDE, STEP_MM, SIDE, STEP_MM).mean((1, 3)))
    levels = [(distance_transform_edt(one <= 0.02) - distance_transform_edt(one > 0.02)) * (2 / SIDE) for one in slices]
    return torch.from_numpy(np.stack([np.stack(slices), np.stack(levels)], 1).astype(np.float32))


def _centred(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """A plane (1 mm) cut to what is not empty, in the middle of a square."""
    rows, columns = (np.flatnonzero((plane > 0.02).any(axis)) for axis in (1, 0))
    part = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    square = np.zeros((SIDE * STEP_MM, SIDE * STEP_MM), np.float32)
    top, left = ((SIDE * STEP_MM - length) // 2 for length in part.shape)
    square[top : top + part.shape[0], left : left + part.shape[1]] = part
    return square


def random_heads(rng: np.random.Generator, n: int, modality: str, size: int = 64) -> Tensor:
    """Heads (n, 1, size, size) in 0..1, as `random_phantoms` gives; raises FileNotFoundError without the template, ValueError."""
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}, not {modality!r}")
    slices = template_slices()
    canvas = Canvas(rng, n, size)
    chosen = slices[torch.from_numpy(rng.integers(len(slices), size=n))]
    reach = (chosen[:, 1] < 0).flatten(1).sum(1).div(math.pi).sqrt() * (2 / SIDE)  # radius of a disc as large
    scale = reach / canvas.draw(0.4, 0.72)[:, 0, 0]
    fine = functional.grid_sample(chosen, _places(canvas, scale, 2 * size), align_corners=False, padding_mode="border")
    brain, outside = functional.avg_pool2d(fine, 2).unbind(1)
    if modality == "ct":
        head_rest(canvas)
    wrap_in_head(canvas, outside / scale[:, None, None], modality)
    canvas.paint(canvas.cover(outside), _coloured(canvas, brain, modality))
    scatter_details(canvas, (canvas.image > 0.02).float(), modality)
    return finished(canvas, modality)


def _places(canvas: Canvas, scale: Tensor, side: int) -> Tensor:
    """Where to look in the slices, (n, side, side, 2): turned, mirrored, stretched and bent."""
    angle = canvas.draw(-0.6, 0.6)[:, 0, 0] + (math.pi / 2) * torch.from_numpy(canvas.rng.integers(4, size=canvas.n))
    mirror = torch.where(canvas.draw(0, 1)[:, 0, 0] < 0.5, -1.0, 1.0)
    stretch, shift = canvas.draw(0.9, 1.1)[:, 0, 0], 0.03 * torch.randn(canvas.n, 2, generator=canvas.generator)
    rows = [
        torch.stack([mirror * scale * torch.cos(angle), -mirror * scale * torch.sin(angle), shift[:, 0]], 1),
        torch.stack([scale * stretch * torch.sin(angle), scale * stretch * torch.cos(angle), shift[:, 1]], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), [canvas.n, 1, side, side], align_corners=False)
    bends = [0.04 * smooth_noise(canvas.generator, canvas.n, side, 5) for _ in range(2)]
    return grid + torch.stack(bends, -1)


def _coloured(canvas: Canvas, brain: Tensor, modality: str) -> Tensor:
    """The brain's brightness on another scale: Hounsfield units of fluid to white matter, or another contrast of MRI."""
    if modality == "ct":
        return (1000 + canvas.draw(0, 15) + canvas.draw(20, 45) * brain) / 3000
    bright = canvas.draw(0.35, 1.0) * brain ** canvas.draw(0.6, 1.8)
    inverted = canvas.draw(0.4, 1.0) * (1 - 0.8 * brain)
    return torch.where(canvas.draw(0, 1) < 0.85, bright, inverted)
