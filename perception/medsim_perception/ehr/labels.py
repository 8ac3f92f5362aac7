"""What is asked of a chart: outcomes within a horizon that begins after the window's last hour, so that no label is made of what was seen.

All functions take whole courses (n, T), with one row an hour, and the row of the window's last hour for each stay, (n,). Labels are
floats: 1, 0, or NaN where nobody can know, because the course was left before the horizon without the event.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LACTATE_MMOL_PER_L", "MAP_MMHG", "dies_within", "happens_within", "last_value_within", "shock_hours"]

MAP_MMHG, LACTATE_MMOL_PER_L = 65.0, 2.0
"""Septic shock: vasopressors to keep a mean pressure of 65 mmHg, and lactate above 2 mmol/L (Singer et al., JAMA 2016;315:801-810)."""
CARRIED_H = 4.0  # chosen: an older lactate says nothing about this hour; gases are taken every 4 h

Floats = NDArray[np.float64]


def shock_hours(map_mmhg: ArrayLike, lactate_mmol_per_l: ArrayLike, norepinephrine: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Which hours are hours of shock, (n, T): pressure below 65 mmHg, or lactate above 2 mmol/L while norepinephrine runs.

    Values are NaN where not measured; a lactate counts for 4 hours. Without norepinephrine (tables that do not have it) the pressure
    alone counts.
    """
    pressure, lactate = np.asarray(map_mmhg, np.float64), np.asarray(lactate_mmol_per_l, np.float64)
    _same_shape(pressure, lactate)
    low = pressure < MAP_MMHG
    if norepinephrine is None:
        return np.asarray(low)
    dose = np.asarray(norepinephrine, np.float64)
    _same_shape(pressure, dose)
    return np.asarray(low | ((_carried(lactate) > LACTATE_MMOL_PER_L) & (dose > 0.0)))


def happens_within(events: ArrayLike, last_rows: ArrayLike, known_rows: ArrayLike, horizon_h: int) -> Floats:
    """Whether an event happens in the `horizon_h` rows after the window, (n,).

    Args:
        events: (n, T) booleans; last_rows: the window's last row; known_rows: the last row of the course.
    """
    happened, rows, _, ahead = _ahead(events, last_rows, horizon_h)
    known = np.asarray(known_rows)[:, None]
    found = (happened.astype(bool) & ahead & (rows <= known)).any(1)
    complete = np.asarray(known_rows) >= np.asarray(last_rows) + horizon_h
    return np.where(found, 1.0, np.where(complete, 0.0, np.nan))


def last_value_within(values: ArrayLike, last_rows: ArrayLike, horizon_h: int) -> Floats:
    """The last value measured in the `horizon_h` rows after the window, NaN where there is none; values (n, T), NaN where not measured."""
    table, rows, _, ahead = _ahead(values, last_rows, horizon_h)
    at = np.where(ahead & ~np.isnan(table), rows, -1).max(1)
    return np.where(at >= 0, np.take_along_axis(table, np.maximum(at, 0)[:, None], 1)[:, 0], np.nan)


def dies_within(died_h: ArrayLike, last_hours: ArrayLike, horizon_h: float = np.inf) -> Floats:
    """Whether a patient who is alive at the window's end dies within so many hours; `died_h` is infinite where they do not."""
    died, now = np.asarray(died_h, np.float64), np.asarray(last_hours, np.float64)
    if (died < now).any():
        row = int(np.argmax(died < now))
        raise ValueError(f"stay in row {row} died at hour {died[row]:g}, before its window ends at hour {now[row]:g}")
    return (np.isfinite(died) & (died <= now + horizon_h)).astype(np.float64)


def _ahead(table: ArrayLike, last_rows: ArrayLike, horizon_h: int) -> tuple[Floats, NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    if horizon_h < 1:
        raise ValueError(f"horizon_h must be 1 or more, not {horizon_h}")
    array, last = np.asarray(table, np.float64), np.asarray(last_rows)
    if array.ndim != 2 or last.shape != array.shape[:1]:
        raise ValueError(f"a table (n, T) needs the last row of n windows, not shapes {array.shape} and {last.shape}")
    rows = np.arange(array.shape[1])[None]
    return array, rows, last, (rows > last[:, None]) & (rows <= last[:, None] + horizon_h)


def _carried(values: Floats) -> Floats:
    rows = np.arange(values.shape[1])[None]
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=1)
    kept = np.take_along_axis(values, np.maximum(last, 0), 1)
    return np.where((last >= 0) & (rows - last < CARRIED_H), kept, np.nan)


def _same_shape(first: Floats, second: Floats) -> None:
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"columns must have one shape (n, T), not {first.shape} and {second.shape}")
