"""How well an explanation finds what truly made the answer's subject, given the mask of it.

Pointing game (Zhang et al. 2018): is the highest place inside the mask? Overlap: the highest places, as many as the mask has, against the
mask. Both come with what a map of random numbers would score. Ties are shared: a constant map scores exactly what chance does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["overlap_at_area", "overlap_by_chance", "pointing", "pointing_by_chance", "smoothed"]

Floats = NDArray[np.float64]


def pointing(maps: ArrayLike, masks: ArrayLike) -> Floats:
    """1 where the highest value of a map lies in its mask, 0 where not, (n,); of several as high, the share that does.

    Args:
        maps: (n, ...), finite.
        masks: bool, the same shape, none of them empty.
    """
    values, inside = flat(maps, masks)
    highest = values == values.max(1, keepdims=True)
    return np.asarray((highest & inside).sum(1) / highest.sum(1))


def pointing_by_chance(masks: ArrayLike, within: Any = None) -> Floats:
    """What a random place scores, (n,): the mask's share of the picture, or of the part `within` (bool, the masks' shape)."""
    inside = flat_masks(masks)
    there = np.ones_like(inside) if within is None else flat_masks(within)
    if there.shape != inside.shape:
        raise ValueError(f"within must have the masks' shape {np.shape(masks)}, not {np.shape(within)}")
    return np.asarray((inside & there).sum(1) / there.sum(1))


def overlap_at_area(maps: ArrayLike, masks: ArrayLike) -> Floats:
    """Intersection over union of a mask with as many of the map's highest places as the mask has, (n,); arguments as of `pointing`.

    Places that are as high as the last one share what is left of the area.
    """
    values, inside = flat(maps, masks)
    area = inside.sum(1)
    last = -np.sort(-values, axis=1)[np.arange(len(area)), area - 1][:, None]
    above, tied = values > last, values == last
    share = (area - above.sum(1)) / tied.sum(1)
    common = (above & inside).sum(1) + share * (tied & inside).sum(1)
    return np.asarray(common / (2 * area - common))


def overlap_by_chance(masks: ArrayLike) -> Floats:
    """What as many random places would score, (n,): the overlap at the mean number of places in common."""
    inside = flat_masks(masks)
    area = inside.sum(1)
    common = area * area / inside.shape[1]
    return np.asarray(common / (2 * area - common))


def smoothed(maps: ArrayLike, sd_pixels: float) -> Floats:
    """Maps (..., h, w) under a Gaussian; attributions of single pixels are read as those of their surroundings."""
    from scipy.ndimage import gaussian_filter

    values = np.asarray(maps, np.float64)
    if not sd_pixels >= 0 or values.ndim < 2:
        raise ValueError(f"sd_pixels must be 0 or more and maps (..., h, w), not {sd_pixels} and {values.shape}")
    return np.asarray(gaussian_filter(values, sd_pixels, axes=(values.ndim - 2, values.ndim - 1)))


def flat(maps: ArrayLike, masks: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Both as (n, places); raises ValueError where they do not fit."""
    values, inside = np.asarray(maps, np.float64), flat_masks(masks)
    if values.shape != np.shape(masks):
        raise ValueError(f"maps and masks must have one shape (n, ...), not {values.shape} and {np.shape(masks)}")
    if not np.isfinite(values).all():
        raise ValueError("maps must be finite")
    return values.reshape(inside.shape), inside


def flat_masks(masks: Any) -> NDArray[np.bool_]:
    """Masks as (n, places); raises ValueError where one is empty."""
    given = np.asarray(masks)
    if given.dtype != bool or given.ndim < 2 or 0 in given.shape:
        raise ValueError(f"masks must be bool, (n, ...), not {given.dtype} {given.shape}")
    inside = given.reshape(len(given), -1)
    empty = np.flatnonzero(~inside.any(1))
    if len(empty):
        raise ValueError(f"every mask must have a place in it, and {len(empty)} of {len(inside)} have none (the first: {empty[0]})")
    return inside
