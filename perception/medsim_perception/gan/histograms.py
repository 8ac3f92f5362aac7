"""Matching of grey histograms: what a translation of scanners has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["matched_each", "matched_together"]

Grey = NDArray[np.uint8]
LEVELS = 256


def matched_each(images: Grey, like: Grey) -> Grey:
    """Each image by a rising map of its own that gives it the histogram of all of `like` together; uint8, the shape of the images.

    What makes one patient's picture brighter than another's, disease too, is lost with the scanner's look.
    """
    wanted = _shares(like)
    return np.stack([_map(_shares(one), wanted)[one] for one in images]) if len(images) else images.copy()


def matched_together(images: Grey, known: Grey, like: Grey) -> Grey:
    """All images by one rising map, that from the histogram of `known` (pictures by the images' scanner) to that of `like`."""
    return _map(_shares(known), _shares(like))[images]


def _shares(images: Grey) -> NDArray[np.float64]:
    """Share of pixels at or below each level, (256,)."""
    if images.dtype != np.uint8 or images.size == 0:
        raise ValueError(f"images must be uint8 and not empty, not {images.dtype} of shape {images.shape}")
    return np.cumsum(np.bincount(images.ravel(), minlength=LEVELS)) / images.size


def _map(own: NDArray[np.float64], wanted: NDArray[np.float64]) -> Grey:
    middle = own - np.diff(own, prepend=0.0) / 2  # rank of the middle of each level's pixels
    levels: Grey = np.searchsorted(wanted, middle).clip(0, LEVELS - 1).astype(np.uint8)
    return levels
