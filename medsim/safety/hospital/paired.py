"""Figures of two policies on the same episodes: differences with intervals that are right for the worst of several."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medsim.safety.figures import Figure, around, mean_of

__all__ = ["PER_CENT", "gap_of", "positive", "ratio_difference", "ratio_of", "relative"]

Floats = npt.NDArray[np.float64]
PER_CENT = "% of the protocol's loss"


def positive(figure: Figure) -> Figure:
    """Return how much less a figure below 0 is, as a figure above 0."""
    return replace(figure, value=-figure.value, low=-figure.high, high=-figure.low)


def relative(own: Floats, standard: Floats, scale: Floats, says: str, *, unit: str = PER_CENT, comparisons: int = 1) -> Figure:
    """Return the mean difference of losses (n,) on the same episodes, in per cent of the mean of ``scale``, which is taken as known.

    Where that mean is 0, a difference is without measure: it is 0 if there is none, else infinite, which no gate passes.
    """
    mean = float(scale.mean())
    if mean > 0.0:
        return mean_of(100.0 * (own - standard) / mean, unit, says, comparisons=comparisons)
    worse = 0.0 if np.array_equal(own, standard) else math.inf
    return Figure(value=worse, low=worse, high=worse, unit=unit, says=says)


def ratio_of(sums: Floats, unit: str = "", says: str = "", *, scale: float = 1.0) -> Figure:
    """Return the mean over patients from episodes' (sum, patients), (n, 2): the ratio of the sums, with a linearised t interval."""
    value, residuals = linearised(sums)
    return around(scale * value, scale * residuals, unit, says)


def linearised(sums: Floats) -> tuple[float, Floats]:
    """Return the ratio of sums, and each episode's share in its error, (n,); 0 of nobody."""
    patients = float(sums[:, 1].mean())
    if patients <= 0.0:
        return 0.0, np.zeros(len(sums))
    value = float(sums[:, 0].mean()) / patients
    return value, (sums[:, 0] - value * sums[:, 1]) / patients


def ratio_difference(own: Floats, standard: Floats, unit: str = "", says: str = "", *, scale: float = 1.0, comparisons: int = 1) -> Figure:
    """Return the difference of means over patients on the same episodes, each from (sum, patients), (n, 2); exactly 0 if they are equal."""
    (mine, residuals), (theirs, others) = linearised(own), linearised(standard)
    return around(scale * (mine - theirs), scale * (residuals - others), unit, says, comparisons=comparisons)


def gap_of(own: dict[str, tuple[Floats, float]], standard: dict[str, Floats], unit: str, says: str) -> Figure:
    """Return how far apart two classes are in their difference to the protocol: the class that loses most less the one that gains most.

    Args:
        own: class -> ((n, 2) sums and patients, margin that the difference is divided by); standard: the same of the protocol.

    The interval is widened for all pairs of classes (Bonferroni), since the two are chosen by what was found.
    """
    found = {}
    for name, (sums, margin) in own.items():
        (mine, residuals), (theirs, others) = linearised(sums), linearised(standard[name])
        found[name] = ((mine - theirs) / margin, (residuals - others) / margin)
    least, most = (pick(found, key=lambda name: found[name][0]) for pick in (min, max))
    pairs = max(len(found) * (len(found) - 1) // 2, 1)
    return around(found[most][0] - found[least][0], found[most][1] - found[least][1], unit, says, comparisons=pairs)
