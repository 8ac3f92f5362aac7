"""Who a picture is of: rows of stream keys."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.streams import MASK, seed_words

__all__ = ["checked_keys", "checked_size", "image_keys"]

Keys = npt.NDArray[np.int64]  # (n, 5)
SMALLEST, LARGEST = 16, 512  # pixels a side: below, a rib is no pixel wide; above, the noise's counter is too short


def image_keys(seed: int, n: int, first_patient: int = 0, image: int = 0) -> Keys:
    """Return the keys of n patients, one row each: seed_low, seed_high, slot (the patient), episode (0), step (the image's number).

    Args:
        seed: of the population, 0 or larger.
        n: how many patients.
        first_patient: number of the first; keys of other numbers are other patients.
        image: which picture of each patient: anatomy stays, noise and exposure differ.

    Returns:
        (n, 5) int64.

    Raises:
        ValueError: a number is negative or not whole.
    """
    for name, value in (("n", n), ("first_patient", first_patient), ("image", image)):
        if isinstance(value, bool) or int(value) != value or value < 0:
            raise ValueError(f"{name} must be a whole number, 0 or larger, not {value!r}")
    keys = np.zeros((int(n), 5), dtype=np.int64)
    keys[:, 0], keys[:, 1] = seed_words(seed)
    keys[:, 2] = first_patient + np.arange(int(n))
    keys[:, 4] = image
    return keys


def checked_keys(keys: Any) -> Keys:
    """Return keys as (n, 5) int64.

    Raises:
        ValueError: they have another shape, are not whole numbers, or lie outside 0 .. 2**32 - 1.
    """
    given = np.asarray(keys)
    if given.ndim != 2 or given.shape[1] != 5 or given.dtype.kind not in "iu":
        raise ValueError(f"keys must be whole numbers of shape (n, 5), as image_keys returns, not {given.dtype} of shape {given.shape}")
    if given.size and (int(given.min()) < 0 or int(given.max()) > MASK):
        raise ValueError(f"keys must lie within 0 .. {MASK}, not within {given.min()} .. {given.max()}")
    return np.ascontiguousarray(given, dtype=np.int64)


def checked_size(size: Any) -> int:
    """Return the side of a picture in pixels.

    Raises:
        ValueError: it is not a whole number within 16 .. 512.
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size must be a whole number of pixels within {SMALLEST} .. {LARGEST}, not {size!r}")
    return int(size)
