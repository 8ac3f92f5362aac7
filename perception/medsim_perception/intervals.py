"""How sure a figure is: intervals over seeds, and over the items that were judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "bootstrap_interval", "line", "mean_interval"]

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with its interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean and Student's t interval over independent values, such as seeds; the interval of a single value is NaN."""
    from scipy.stats import t

    _check_level(level)
    v = line(values, "values")
    mean = float(v.mean())
    if v.size < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf((1 + level) / 2, v.size - 1) * v.std(ddof=1) / np.sqrt(v.size))
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """The statistic of the arrays and its percentile interval over items drawn again with replacement (arrays share the first axis).

    `groups`, (n,), names whom each item belongs to: whole groups are then drawn, as for several images of a patient. Draws for which the
    statistic raises ValueError (one class only) are left out; raises ValueError where more than half are.
    """
    _check_level(level)
    columns = [np.asarray(one) for one in arrays]
    if not columns or any(one.ndim == 0 or len(one) != len(columns[0]) or len(one) == 0 for one in columns):
        raise ValueError(f"arrays must share their first axis, not have the shapes {[one.shape for one in columns]}")
    members = _members(len(columns[0]), groups)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        picked = np.concatenate([members[one] for one in rng.integers(len(members), size=len(members))])
        try:
            found.append(float(statistic(*(one[picked] for one in columns))))
        except ValueError:
            continue
    value = float(statistic(*columns))
    if 2 * len(found) < draws:
        raise ValueError(f"the statistic cannot be worked out in {draws - len(found)} of {draws} draws: too few items of a class")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _members(n: int, groups: ArrayLike | None) -> list[NDArray[np.int64]]:
    if groups is None:
        return list(np.arange(n)[:, None])
    names = np.asarray(groups)
    if names.shape != (n,):
        raise ValueError(f"groups must have the shape ({n},), not {names.shape}")
    _, which = np.unique(names, return_inverse=True)
    order = np.argsort(which, kind="stable")
    return np.split(order, np.cumsum(np.bincount(which))[:-1])


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def line(values: ArrayLike, name: str) -> Floats:
    """Values as floats, (n,); raises ValueError naming them where there are none, or not all are finite."""
    v = np.asarray(values, np.float64)
    if v.ndim != 1 or v.size == 0:
        raise ValueError(f"{name} must have the shape (n,) with n of at least 1, not {v.shape}")
    if not np.isfinite(v).all():
        raise ValueError(f"{name} must be finite, and {int((~np.isfinite(v)).sum())} of {v.size} are not")
    return v
