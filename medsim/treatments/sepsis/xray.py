"""The chest X-ray of a patient in septic shock: portable, so antero-posterior, every few hours or when it is ordered.

It shows what no column of the chart holds: lung water, consolidation, pleural fluid. How a picture is made of them: ``medsim.imaging``.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.images import Camera

__all__ = ["IMAGE_PIXELS", "ORDERED", "chest_camera"]

IMAGE_PIXELS = 64  # chosen: a hundred times smaller than a film, and still enough to read lung water from (docs/perception.md)
ORDERED = 0.5  # of a continuous action's last number: an X-ray is ordered from here on


def take_xray(seen: Mapping[str, npt.NDArray[Any]], keys: npt.NDArray[np.int64], *, scanner: str) -> npt.NDArray[np.uint8]:
    """Return the X-rays of some patients, (m, 1, 64, 64)."""
    from medsim.imaging import ChestFindings, render_chest
    from medsim.imaging.findings import LIMITS

    drawn = {name: np.clip(values, *LIMITS[name]) for name, values in seen.items()}  # a lung is white long before the renderer's limit
    findings = ChestFindings(**drawn)
    return render_chest(keys, findings, scanner=scanner, view="ap", size=IMAGE_PIXELS, masks=False).image


def ordered(actions: npt.NDArray[np.float64], *, column: int, lowest: float) -> npt.NDArray[np.bool_]:
    """Return who gets an X-ray by actions (n, numbers), (n,)."""
    return np.asarray(actions[:, column] >= lowest)


def chest_camera(*, every_h: float | None, scanner: str, ordered_from: float, in_column: int) -> Camera:
    """Return the camera.

    Args:
        every_h: hours between pictures, or None: the agent orders them.
        scanner: of ``medsim.imaging.SCANNERS``.
        ordered_from, in_column: if the agent orders them: from which value of which number of an action a picture is ordered.
    """
    return Camera(
        shape=(1, IMAGE_PIXELS, IMAGE_PIXELS),
        sees=("lung_water_ml_per_kg", "consolidation", "effusion_ml"),
        take=partial(take_xray, scanner=scanner),
        every_h=every_h,
        ordered=partial(ordered, column=in_column, lowest=ordered_from) if every_h is None else None,
    )
