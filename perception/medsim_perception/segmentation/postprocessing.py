"""What tidies a mask: specks go, holes are filled, and of lungs one remains on each side.

A net answers pixel by pixel and knows no anatomy; these few rules do. All take bool masks (h, w) and return new ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fill_holes", "largest_component", "largest_on_each_side", "tidy_chest", "without_specks"]

Mask = NDArray[np.bool_]
SPECK = 1 / 1024  # chosen: of the picture's area; four pixels of 64 x 64, about 1 cm2 of a chest
NEIGHBOURS = np.ones((3, 3), dtype=bool)  # pixels that touch at a corner belong together


def largest_component(mask: Any) -> Mask:
    """The largest connected part of a mask; of several as large, the topmost."""
    labels, sizes = components(mask)
    return labels == 1 + int(np.argmax(sizes)) if len(sizes) else np.zeros(labels.shape, bool)


def largest_on_each_side(mask: Any) -> Mask:
    """For the left and the right half of the picture, the part that has the most pixels there: two lungs stay two.

    A part is kept whole, wherever its rest lies; one that fills both halves is kept alone.
    """
    labels, sizes = components(mask)
    middle = labels.shape[1] // 2
    kept = np.zeros(labels.shape, bool)
    for half in (labels[:, :middle], labels[:, middle:]):
        inside = np.bincount(half.ravel(), minlength=len(sizes) + 1)[1:]
        if inside.any():
            kept |= labels == 1 + int(np.argmax(inside))
    return kept


def without_specks(mask: Any, smallest: float = SPECK) -> Mask:
    """A mask without parts smaller than a share of the picture's area."""
    if not 0.0 <= smallest <= 1.0:
        raise ValueError(f"smallest must be a share of the picture's area, 0 .. 1, not {smallest}")
    labels, sizes = components(mask)
    kept: Mask = np.concatenate([[False], sizes >= smallest * labels.size])[labels]
    return kept


def fill_holes(mask: Any) -> Mask:
    """A mask with what it encloses."""
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes(checked(mask)), bool)


def tidy_chest(masks: Any, names: tuple[str, ...] = ("lungs", "heart", "consolidation", "effusion")) -> NDArray[np.bool_]:
    """Masks of a chest, (..., k, h, w) in the order of `names`, tidied by what is known of each.

    Lungs: the largest part on each side, without holes. Heart: the largest part, without holes. Everything else: no specks, and nothing
    outside the lungs where `names` has them.
    """
    given = np.asarray(masks)
    if given.dtype != bool or given.ndim < 3 or given.shape[-3] != len(names):
        raise ValueError(f"masks must be bool, (..., {len(names)}, h, w) for {', '.join(names)}, not {given.dtype} {given.shape}")
    images = given.reshape(-1, *given.shape[-3:])
    tidied = np.stack([tidy_one(image, names) for image in images]) if len(images) else images
    return tidied.reshape(given.shape)


def tidy_one(masks: Mask, names: tuple[str, ...]) -> Mask:
    """The masks of one chest, (k, h, w)."""
    found = dict(zip(names, masks, strict=True))
    whole = fill_holes(largest_on_each_side(found["lungs"])) if "lungs" in found else None
    for name, mask in found.items():
        if name == "lungs":
            assert whole is not None
            found[name] = whole
        elif name == "heart":
            found[name] = fill_holes(largest_component(mask))
        else:
            found[name] = without_specks(mask if whole is None else mask & whole)
    return np.stack([found[name] for name in names])


def components(mask: Any) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Numbers of the connected parts, (h, w), from 1 on, and their sizes in pixels."""
    from scipy.ndimage import label

    labels, n = label(checked(mask), structure=NEIGHBOURS)
    return np.asarray(labels, np.int32), np.bincount(labels.ravel(), minlength=n + 1)[1:]


def checked(mask: Any) -> Mask:
    """The mask; raises ValueError unless it is bool, (h, w)."""
    given = np.asarray(mask)
    if given.dtype != bool or given.ndim != 2 or 0 in given.shape:
        raise ValueError(f"a mask must be bool, (h, w), not {given.dtype} {given.shape}")
    return given
