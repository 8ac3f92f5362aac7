"""Chest radiographs: physiology in, a picture out, with the masks and the factors that made it."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.imaging.chest_kernel import FACTORS, MASKS, Work, chest_kernels
from medsim.imaging.detector import TABLE
from medsim.imaging.findings import ChestFindings, finding_rows
from medsim.imaging.keys import Keys, checked_keys, checked_size
from medsim.imaging.scanners import SCANNERS, VIEWS

__all__ = ["ChestImages", "render_chest"]


@dataclass(frozen=True, kw_only=True)
class ChestImages:
    """Radiographs of n patients.

    Attributes:
        image: (n, 1, size, size) uint8; bone and fluid white, air black; the patient's right is on the picture's left.
        masks: name -> (n, size, size) bool; empty unless they were asked for. ``lungs`` are the lung fields beside heart, mediastinum
            and diaphragm, whatever fills them; ``effusion``, ``consolidation`` and ``oedema`` are parts of them that do not overlap;
            ``heart`` is its silhouette above the diaphragm.
        factors: name -> (n,) float32: everything that made the picture, in the units that names tell; lengths in half sides of a picture.
    """

    image: npt.NDArray[np.uint8]
    masks: dict[str, npt.NDArray[np.bool_]]
    factors: dict[str, npt.NDArray[np.float32]]


def render_chest(keys: Keys, findings: ChestFindings, *, scanner: str = "a", view: str = "pa", size: int = 64,
                 masks: bool = False) -> ChestImages:  # fmt: skip
    """Render one chest radiograph for each key.

    Anatomy follows from (seed, slot, episode) of a key, noise and exposure from all five numbers: a patient's pictures are the same
    alone and in any batch, and differ in noise from one to the next.

    Args:
        keys: (n, 5), as ``image_keys`` returns.
        findings: numbers for all, or arrays (n,).
        scanner: a name in ``SCANNERS``: "a", the reference, or "b", shifted.
        view: "pa" (standing), or "ap" (at the bedside: the heart is magnified, breath shallower, noise larger).
        size: pixels a side, 16 .. 512.
        masks: whether to return masks.

    Raises:
        ValueError: keys, findings, scanner, view or size are not what they must be.
    """
    keys, size = checked_keys(keys), checked_size(size)
    if scanner not in SCANNERS:
        raise ValueError(f"scanner must be one of {', '.join(SCANNERS)}, not {scanner!r}")
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)}, not {view!r}")
    n = len(keys)
    rows = finding_rows(findings, n)
    image = np.empty((n, 1, size, size), dtype=np.uint8)
    drawn = np.empty((n if masks else 0, len(MASKS), size, size), dtype=np.bool_)
    factors = np.empty((n, len(FACTORS)))
    chest_kernels().render(keys, rows, SCANNERS[scanner], VIEWS[view], work_of(size, SCANNERS[scanner].blur), image, drawn, factors)
    return ChestImages(
        image=image,
        masks={name: drawn[:, k] for k, name in enumerate(MASKS)} if masks else {},
        factors={name: factors[:, k].astype(np.float32) for k, name in enumerate(FACTORS)},
    )


def work_of(size: int, blur: float) -> Work:
    """Return arrays to work in."""
    square, places = (size, size), (32, 32)
    return Work(
        np.empty(square), np.empty(square), np.empty(size), np.empty((16, 16)), np.empty(places), np.empty(places), np.empty(TABLE),
        np.empty(TABLE), half_kernel(size, blur), np.empty(48), np.empty(172), np.empty(8),
    )  # fmt: skip


@lru_cache(maxsize=64)
def half_kernel(size: int, blur: float) -> npt.NDArray[np.float64]:
    """Return half a normal kernel, its middle first, that sums to 1 with the other half; blur: its sd in 1/64 of the side."""
    sd: Any = blur * size / 64.0
    weights = np.array([math.exp(-0.5 * (d / sd) ** 2) for d in range(math.ceil(2.5 * sd) + 1)])
    weights /= weights[0] + 2.0 * weights[1:].sum()
    return weights
