"""What is found in a chest: the few numbers of physiology that a radiograph shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.imaging.keys import Keys, checked_keys

__all__ = ["LIMITS", "LOBES", "NORMAL_LUNG_WATER_ML_PER_KG", "ChestFindings", "finding_rows", "random_findings"]

Array = npt.NDArray[Any]
Numbers = float | Sequence[float] | Array

# mL per kg of predicted weight: Tagami et al., Crit Care 2010;14:R162, 7.4 (sd 3.3)
NORMAL_LUNG_WATER_ML_PER_KG = 7.4
LOBES = ("right upper", "right middle", "right lower", "left upper", "left lower")  # by the number that ``lobe`` gives
LIMITS = {  # what can be drawn
    "lung_water_ml_per_kg": (0.0, 60.0),
    "consolidation": (0.0, 0.5),
    "effusion_ml": (0.0, 4000.0),
    "heart_size": (0.3, 0.75),
    "lobe": (0, len(LOBES) - 1),
}
DRAWN = -1.0  # stands for: as the patient's own stream says


@dataclass(frozen=True, kw_only=True)
class ChestFindings:
    """What is found in n chests: each a number for all or an array (n,).

    Args:
        lung_water_ml_per_kg: extravascular lung water, mL per kg of predicted weight, 0 .. 60; normal 7.4.
        consolidation: share of the lung fields (less what fluid covers) that is consolidated, 0 .. 0.5.
        effusion_ml: pleural fluid, mL, both sides together, 0 .. 4000.
        heart_size: cardiothoracic ratio as a PA view shows it, 0.3 .. 0.75 (above 0.5 is enlarged); None: the patient's own.
        lobe: where consolidation begins, a number of ``LOBES``; None: the patient's own.
    """

    lung_water_ml_per_kg: Numbers = NORMAL_LUNG_WATER_ML_PER_KG
    consolidation: Numbers = 0.0
    effusion_ml: Numbers = 0.0
    heart_size: Numbers | None = None
    lobe: int | Sequence[int] | Array | None = None


def finding_rows(findings: ChestFindings, n: int) -> npt.NDArray[np.float64]:
    """Return findings as rows for the kernel, (n, 5) in the order of ``LIMITS``, -1 for what the patient's stream says.

    Raises:
        ValueError: an array is not of length n, or a value is not a number within its limits.
    """
    rows = np.empty((n, len(LIMITS)), dtype=np.float64)
    for column, (name, (low, high)) in enumerate(LIMITS.items()):
        given = getattr(findings, name)
        if given is None:
            rows[:, column] = DRAWN
            continue
        values = np.asarray(given)
        if values.dtype.kind not in "iuf" or values.shape not in ((), (n,)):
            raise ValueError(f"{name} must be a number or numbers of shape ({n},), not {values.dtype} of shape {values.shape}")
        if values.size and not (values.min() >= low and values.max() <= high):  # not a number fails both
            worst = values[~((values >= low) & (values <= high))].flat[0] if values.ndim else values[()]
            raise ValueError(f"{name} must lie within {low} .. {high}, not {worst}")
        if name == "lobe" and not np.array_equal(values, np.rint(values)):
            raise ValueError(f"lobe must be whole numbers within {low} .. {high} ({', '.join(LOBES)}), not {values.tolist()}")
        rows[:, column] = values
    return rows


def random_findings(keys: Keys) -> ChestFindings:
    """Return findings drawn independently and broadly, to train encoders on: each (n,), by the patient's stream.

    Lung water is uniform over 4 .. 35 mL/kg; half have consolidation, up to 0.45; half an effusion, up to 2500 mL; heart sizes are
    normal around 0.48 (sd 0.06) within 0.34 .. 0.7; all lobes are alike. chosen: every value often enough to be learned.

    Raises:
        ValueError: keys are not those of ``image_keys``.
    """
    from medsim.imaging.chest_kernel import chest_kernels

    keys = checked_keys(keys)
    rows = np.empty((len(keys), len(LIMITS)))
    chest_kernels().draw_findings(keys, np.empty(8), rows)
    return ChestFindings(
        lung_water_ml_per_kg=rows[:, 0], consolidation=rows[:, 1], effusion_ml=rows[:, 2], heart_size=rows[:, 3],
        lobe=rows[:, 4].astype(np.int64),
    )  # fmt: skip
