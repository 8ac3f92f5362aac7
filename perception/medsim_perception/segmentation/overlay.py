"""Pictures of masks over images, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOURS", "overlay", "side_by_side"]

Rgb = tuple[int, int, int]
COLOURS: dict[str, Rgb] = {  # Okabe & Ito 2008: told apart by colour-blind readers too
    "lungs": (86, 180, 233),
    "heart": (213, 94, 0),
    "oedema": (0, 158, 115),
    "consolidation": (240, 228, 66),
    "effusion": (204, 121, 167),
}


def overlay(
    image: Any, masks: Mapping[str, Any], *, colours: Mapping[str, Rgb] = COLOURS, opacity: float = 0.35, outline: bool = True
) -> NDArray[np.uint8]:
    """A grey image with coloured masks over it, (h, w, 3) uint8; later masks lie above earlier ones.

    Args:
        image: (h, w) or (1, h, w), uint8 or floats in 0..1.
        masks: name -> (h, w) bool.
        colours: name -> red, green, blue in 0..255.
        opacity: of the filling, 0..1; with `outline` the pixels along the edge are opaque.

    Raises ValueError for other shapes or types, and for a mask without a colour.
    """
    grey = grey_of(image)
    picture = np.repeat(grey[..., None], 3, axis=2)
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity must lie within 0 .. 1, not {opacity}")
    for name, mask in masks.items():
        inside = np.asarray(mask)
        if inside.shape != grey.shape or inside.dtype != bool:
            raise ValueError(f"the mask {name!r} must be bool of shape {grey.shape}, not {inside.dtype} {inside.shape}")
        if name not in colours:
            raise ValueError(f"there is no colour for {name!r}; there are: {', '.join(colours)}")
        share = np.where(inside, opacity, 0.0)
        if outline:
            share[inside & ~inner(inside)] = 1.0
        picture += share[..., None] * (np.array(colours[name]) / 255 - picture)
    return np.rint(255 * picture).astype(np.uint8)


def side_by_side(pictures: list[NDArray[np.uint8]], gap: int = 2) -> NDArray[np.uint8]:
    """Pictures of one height, (h, w, 3) each, in a row with white gaps."""
    if not pictures or len({p.shape[0] for p in pictures}) != 1:
        raise ValueError(f"pictures must be one or more of one height, not of shapes {[p.shape for p in pictures]}")
    white = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    return np.concatenate([part for p in pictures for part in (white, p)][1:], axis=1)


def grey_of(image: Any) -> NDArray[np.float64]:
    """An image as floats in 0..1, (h, w)."""
    given = np.asarray(image)
    if given.ndim == 3 and given.shape[0] == 1:
        given = given[0]
    if given.ndim != 2 or given.dtype.kind not in "uf" or (given.dtype.kind == "u" and given.dtype != np.uint8):
        raise ValueError(f"an image must be (h, w) or (1, h, w), uint8 or floats in 0..1, not {given.dtype} {np.asarray(image).shape}")
    grey = given / 255 if given.dtype == np.uint8 else given.astype(np.float64)
    if not (grey.min() >= 0.0 and grey.max() <= 1.0):
        raise ValueError(f"an image of floats must lie in 0..1, not in {grey.min():g}..{grey.max():g}")
    return np.asarray(grey, np.float64)


def inner(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask whose four neighbours are in it too."""
    wide = np.pad(mask, 1)
    return wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
