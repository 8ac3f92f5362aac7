"""CT and MRI slices of patients, with the masks and the factors that made them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.imaging.brain_slice import BRAIN_FACTORS, BRAIN_FIELD_MM, BRAIN_MASKS
from medsim.imaging.ct_slice import CT_FACTORS, CT_FIELD_MM, CT_MASKS
from medsim.imaging.keys import Keys, checked_keys, checked_size
from medsim.imaging.slice_canvas import FINE, Canvas
from medsim.imaging.slice_kernel import slice_kernels

__all__ = ["REGIONS", "SliceImages", "render_brain", "render_ct"]

Array = npt.NDArray[Any]
Numbers = float | Sequence[float] | Array
REGIONS = ("thorax", "abdomen")
LARGEST = 256  # pixels a side: the canvas is four times as wide
LARGEST_TUMOUR_MM = 120.0


@dataclass(frozen=True, kw_only=True)
class SliceImages:
    """Slices of n patients.

    Attributes:
        image: (n, 1, size, size) float32: Hounsfield units (CT), or relative signal 0 .. 1 (brain); the patient's front is up, and
            the right side on the picture's left.
        masks: name -> (n, size, size) bool: what at least half of a pixel is; they do not overlap.
        factors: name -> (n,) float32: what made the picture; places in mm from its middle, x to the right, y down.
    """

    image: npt.NDArray[np.float32]
    masks: dict[str, npt.NDArray[np.bool_]]
    factors: dict[str, npt.NDArray[np.float32]]


def render_ct(keys: Keys, tumour_mm: Numbers | None = None, *, tumour_at_mm: Array | None = None, region: str | None = None,
              size: int = 64) -> SliceImages:  # fmt: skip
    """Render one axial CT slice for each key, 380 mm wide, without noise; it depends on (seed, slot, episode) of the key alone.

    Args:
        keys: (n, 5), as ``image_keys`` returns.
        tumour_mm: diameter of a tumour, 0 .. 120 mm, one for all or (n,); 0 or None: none.
        tumour_at_mm: (n, 2) or (2,), x and y of its middle from the picture's; None: somewhere in a lung, or in the liver.
        region: "thorax" or "abdomen"; None: either, by the patient.
        size: pixels a side, 16 .. 256.

    Returns:
        Hounsfield units; masks ``soft_tissue``, ``bone``, ``lungs``, ``heart``, ``vessels``, ``liver``, ``spleen``, ``kidneys``, ``bowel``,
        ``tumour``.

    Raises:
        ValueError: an argument is not what it must be.
    """
    keys, size = checked_keys(keys), slice_size(size)
    if region is not None and region not in REGIONS:
        raise ValueError(f"region must be one of {', '.join(REGIONS)} or None, not {region!r}")
    tumours = tumour_rows(tumour_mm, tumour_at_mm, len(keys), CT_FIELD_MM)
    regions = np.full(len(keys), -1 if region is None else REGIONS.index(region), dtype=np.int64)
    image, masks, factors = outputs(len(keys), size, len(CT_MASKS), len(CT_FACTORS))
    slice_kernels()["render_cts"](keys, regions, tumours, canvas(size), np.empty(256), image, masks, factors)
    return slices(image, masks, factors, CT_MASKS, CT_FACTORS)


def render_brain(keys: Keys, tumour_mm: Numbers | None = None, *, tumour_at_mm: Array | None = None, size: int = 64) -> SliceImages:
    """Render one axial T1-weighted slice of the brain for each key, 230 mm wide, without noise.

    It depends on (seed, slot, episode) of the key alone.

    Args:
        keys: (n, 5), as ``image_keys`` returns.
        tumour_mm: diameter of a tumour, 0 .. 120 mm, one for all or (n,); 0 or None: none.
        tumour_at_mm: (n, 2) or (2,), x and y of its middle from the picture's; None: somewhere in the hemispheres.
        size: pixels a side, 16 .. 256.

    Returns:
        Relative signal, 0 .. 1; masks ``scalp``, ``skull``, ``csf``, ``grey_matter``, ``white_matter``, ``ventricles``, ``deep_grey``,
        ``tumour``.

    Raises:
        ValueError: an argument is not what it must be.
    """
    keys, size = checked_keys(keys), slice_size(size)
    tumours = tumour_rows(tumour_mm, tumour_at_mm, len(keys), BRAIN_FIELD_MM)
    image, masks, factors = outputs(len(keys), size, len(BRAIN_MASKS), len(BRAIN_FACTORS))
    slice_kernels()["render_brains"](keys, tumours, canvas(size), np.empty(256), image, masks, factors)
    return slices(image, masks, factors, BRAIN_MASKS, BRAIN_FACTORS)


def slice_size(size: Any) -> int:
    """Return the side of a slice in pixels, checked."""
    pixels = checked_size(size)
    if pixels > LARGEST:
        raise ValueError(f"size of a slice must be a whole number of pixels within 16 .. {LARGEST}, not {pixels}")
    return pixels


def tumour_rows(tumour_mm: Numbers | None, at_mm: Array | None, n: int, field_mm: float) -> npt.NDArray[np.float64]:
    """Return tumours as rows for the kernel, (n, 4): diameter, x, y, 1 if it is placed.

    Raises:
        ValueError: a diameter or a place is not a number within its limits, or there are not n.
    """
    rows = np.zeros((n, 4))
    rows[:, 0] = within("tumour_mm", 0.0 if tumour_mm is None else tumour_mm, (n,), 0.0, LARGEST_TUMOUR_MM)
    if at_mm is not None:
        rows[:, 1:3] = within("tumour_at_mm", at_mm, (n, 2), -0.5 * field_mm, 0.5 * field_mm)
        rows[:, 3] = 1.0
    return rows


def within(name: str, given: Any, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Return numbers of a shape, or of its tail, checked."""
    values = np.asarray(given)
    if values.dtype.kind not in "iuf" or values.shape not in (shape, shape[1:]):
        raise ValueError(f"{name} must be numbers of shape {shape} or {shape[1:]}, not {values.dtype} of shape {values.shape}")
    if values.size and not (values.min() >= low and values.max() <= high):  # not a number fails both
        worst = values.ravel()[~((values >= low) & (values <= high)).ravel()][0]
        raise ValueError(f"{name} must lie within {low} .. {high} mm, not {worst}")
    return values


def outputs(n: int, size: int, labels: int, numbers: int) -> tuple[Array, Array, Array]:
    """Return arrays for pictures, masks and factors."""
    return np.empty((n, 1, size, size), dtype=np.float32), np.empty((n, labels, size, size), dtype=np.bool_), np.empty((n, numbers))


def canvas(size: int) -> Canvas:
    """Return a canvas to paint slices of a size on."""
    fine = (FINE * size, FINE * size)
    value, x, y, grain, field = (np.empty(fine) for _ in range(5))
    return Canvas(value, np.empty(fine, dtype=np.uint8), x, y, grain, field, *(np.empty((16, 16)) for _ in range(3)))


def slices(image: Array, masks: Array, factors: Array, mask_names: tuple[str, ...], factor_names: tuple[str, ...]) -> SliceImages:
    """Return pictures with names to their masks and factors."""
    return SliceImages(
        image=image,
        masks={name: masks[:, k] for k, name in enumerate(mask_names)},
        factors={name: factors[:, k].astype(np.float32) for k, name in enumerate(factor_names)},
    )
