"""The rhythm of a day and a week from the few figures that are published of it.

Publications give shares of arrivals in blocks of hours, not rates by hour. ``smoothest_day`` is the smoothest day that has these shares:
among all with them, the one whose second differences around the clock have the least sum of squares. It says no more than the figures do.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medsim.hospital.draws import lognormal_parameters
from medsim.hospital.flow.config import Stay

__all__ = ["block", "by_block", "by_shift", "census_weights", "smoothest_day", "weekday_hours", "weekly"]

Floats = npt.NDArray[np.float64]


def block(first: int, last: int) -> Floats:
    """Return weights (24,) that add the hours from ``first`` to before ``last``."""
    weights = np.zeros(24)
    weights[first:last] = 1.0
    return weights


def smoothest_day(conditions: Sequence[tuple[Floats, float]]) -> Floats:
    """Return hourly shares of a day (24,), sum 1, that meet linear conditions: weights (24,) and what the weighted sum must be.

    Raises:
        ValueError: the conditions need a negative share, or contradict each other.
    """
    rows = np.array([np.ones(24), *(weights for weights, _ in conditions)])
    wanted = np.array([1.0, *(value for _, value in conditions)])
    bend = np.roll(np.eye(24), 1, axis=1) + np.roll(np.eye(24), -1, axis=1) - 2.0 * np.eye(24)
    system = np.block([[2.0 * bend.T @ bend, rows.T], [rows, np.zeros((len(rows), len(rows)))]])
    solution = np.linalg.lstsq(system, np.concatenate([np.zeros(24), wanted]), rcond=None)[0]
    shares: Floats = solution[:24]
    if np.abs(rows @ shares - wanted).max() > 1e-9:
        raise ValueError(f"no day meets these conditions: they contradict each other: {wanted[1:].tolist()}")
    if shares.min() < 0.0:
        raise ValueError(f"the smoothest day with these conditions has a negative share, {shares.min():.4f}")
    return shares


def weekly(per_day: float, shares: Floats, monday: float) -> tuple[float, ...]:
    """Return rates per hour for each hour of the week (168); Monday has ``monday`` times the mean, the other days share the rest alike."""
    others = (7.0 - monday) / 6.0
    return tuple(round(per_day * factor * float(share), 6) for factor in (monday, *[others] * 6) for share in shares)


def weekday_hours(per_week: float, first: int, last: int) -> tuple[float, ...]:
    """Return rates per hour (168) of patients who come on Mondays to Fridays, evenly from ``first`` to before ``last`` o'clock."""
    rate = per_week / (5.0 * (last - first))
    return tuple(rate if day < 5 and first <= hour < last else 0.0 for day in range(7) for hour in range(24))


def by_block(night: int, morning: int, afternoon: int, evening: int) -> tuple[int, ...]:
    """Return a roster by hour (24): 0 to 6, 6 to 12, 12 to 18, 18 to 24 o'clock."""
    return (*[night] * 6, *[morning] * 6, *[afternoon] * 6, *[evening] * 6)


def by_shift(day: int, night: int) -> tuple[int, ...]:
    """Return a roster by hour (24): the day from 8 to 20 o'clock."""
    return (*[night] * 8, *[day] * 12, *[night] * 4)


def census_weights(clock: int, mix: Sequence[float], stays: Sequence[Stay]) -> Floats:
    """Return weights (24,) on hourly arrivals whose sum is the mean census at a full hour, without queues.

    The census of lognormal stays by acuity with shares ``mix``: arrivals of each hour times the probability of being there still.
    """
    step = 1.0 / 12.0
    ago = np.arange(0.0, 240.0, step) + step / 2.0
    hours = np.floor(clock - ago).astype(np.int64) % 24
    weights = np.zeros(24)
    for share, stay in zip(mix, stays, strict=True):
        mu, sigma = lognormal_parameters(stay.mean_h, stay.sd_h)
        there = [0.5 * math.erfc((math.log(age) - mu) / (sigma * math.sqrt(2.0))) for age in ago]
        np.add.at(weights, hours, share * step * np.array(there))
    return weights
