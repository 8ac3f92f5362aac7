"""Charts whose risk has a known cause: the additive toy that explanations of charts are scored on.

Columns wander around zero and are measured at random hours. In most stays something happens: for two hours one column leaps by three
standard deviations. A leap of a harmful column adds its weight to the log-odds of the outcome; a leap of any other, as large and twice as
frequent, adds nothing. The cause is thus the measured cells of harmful leaps, and whoever only looks for what is unusual is fooled by the
decoys. Risk is additive, so a column's share of it is exact, whichever order it is counted in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLUMNS", "HARM", "STATICS", "Charts", "charts", "hours_since"]

HARM = {"harm_1": 3.0, "harm_2": 2.5, "harm_3": 2.0}  # chosen: log-odds that a leap adds
COLUMNS = (*HARM, "decoy_1", "decoy_2", "decoy_3", "decoy_4", "decoy_5")
STATICS = ("age",)
HOURS, LEAP, LEAP_H = 12, 3.0, 2
MEASURED = 0.8  # chosen: share of cells that are measured
HARMED, FOOLED = 0.35, 0.7  # chosen: chance of a leap of a harmful, and of another column
INTERCEPT = -2.0  # log-odds without harm
NEVER_H = 100.0  # hours since a measurement that never was

Floats = NDArray[np.float32]


class Charts(NamedTuple):
    """Charts of n stays and what is true of them."""

    values: Floats  # (n, 12, 8), 0 where not measured
    mask: NDArray[np.bool_]  # the same shape
    hours_since: Floats  # the same shape
    statics: Floats  # (n, 1): age, which tells nothing
    outcome: NDArray[np.int64]  # (n,)
    cause: NDArray[np.bool_]  # (n, 12, 8): the measured cells that raised the risk
    risk: Floats  # (n, 8): log-odds that each column added


def charts(n: int, seed: int) -> Charts:
    """Charts of n stays; the same arguments give the same numbers. Raises ValueError for n below 1."""
    if n < 1:
        raise ValueError(f"n must be 1 or more, not {n}")
    rng = np.random.default_rng(seed)
    shape, harmful = (n, HOURS, len(COLUMNS)), len(HARM)
    leaps = np.zeros(shape, bool)
    for columns, often in ((np.arange(harmful), HARMED), (np.arange(harmful, len(COLUMNS)), FOOLED)):
        who = np.flatnonzero(rng.random(n) < often)
        which, when = rng.choice(columns, size=len(who)), rng.integers(HOURS - LEAP_H + 1, size=len(who))
        for hour in range(LEAP_H):
            leaps[who, when + hour, which] = True
    mask = rng.random(shape) < MEASURED
    seen = leaps & mask
    weights = np.array([HARM.get(name, 0.0) for name in COLUMNS])
    risk = seen.any(1) * weights
    outcome = rng.random(n) < 1 / (1 + np.exp(-(INTERCEPT + risk.sum(1))))
    values = np.where(mask, rng.standard_normal(shape) + LEAP * leaps, 0.0)
    return Charts(
        values.astype(np.float32), mask, hours_since(mask), rng.normal(60.0, 15.0, (n, 1)).astype(np.float32), outcome.astype(np.int64),
        seen & (weights > 0), risk.astype(np.float32),
    )  # fmt: skip


def hours_since(mask: NDArray[np.bool_]) -> Floats:
    """Hours since the last measurement at each row, (n, T, F), 0 where measured, 100 where there was none yet."""
    if mask.dtype != bool or mask.ndim != 3:
        raise ValueError(f"mask must be bool, (n, T, F), not {mask.dtype} {mask.shape}")
    hour = np.arange(mask.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(mask, hour, -1), axis=1)
    return np.where(last >= 0, hour - last, NEVER_H).astype(np.float32)
