"""Hourly tables become tensors, and tensors tables: the layout of YAIB (van de Water et al., ICLR 2024), checked before anything is learnt.

YAIB keeps three tables: `dyn` (stay_id, time as a timedelta, one column a measurement, NaN where not measured), `sta` (stay_id, age, sex,
height, weight) and `outc` (stay_id, label). Columns, units and ranges are `medsim.treatments.harmonised`'s. What is wrong with a table
raises `TableError` that names the column, the row and the stay, and hands over what could be read (`partial`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medsim.core.charts import NEVER_H
from medsim.treatments.harmonised import COLUMNS, STATICS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMN_NAMES", "STATIC_NAMES", "Charts", "TableError", "from_long_tables", "hours_since_measured", "to_long_tables"]

COLUMN_NAMES = tuple(column.name for column in COLUMNS)
STATIC_NAMES = tuple(column.name for column in STATICS)
SEXES = {"Male": 1.0, "Female": 0.0}

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Charts:
    """Charts of n stays, T hours each, oldest first."""

    values: Floats  # (n, T, F): in the columns' units, 0 where not measured
    mask: Floats  # (n, T, F): 1 where measured
    hours_since: Floats  # (n, T, F): hours from the last measurement to the row's hour; NEVER_H if never, or that long ago
    statics: Floats  # (n, S): NaN where unknown
    stay_ids: NDArray[np.int64]  # (n,)
    first_h: NDArray[np.int64]  # (n,): hour of the first row
    columns: tuple[str, ...] = COLUMN_NAMES
    static_names: tuple[str, ...] = STATIC_NAMES

    def __len__(self) -> int:
        return len(self.stay_ids)

    def select(self, stays: Any) -> Charts:
        """The charts of some stays, by position or by a mask."""
        names = ("values", "mask", "hours_since", "statics", "stay_ids", "first_h")
        return Charts(**{name: getattr(self, name)[stays] for name in names}, columns=self.columns, static_names=self.static_names)


class TableError(ValueError):
    """A table cannot be used as it is; `partial` holds the charts of the stays that can, or None."""

    def __init__(self, message: str, partial: Charts | None = None) -> None:
        super().__init__(message)
        self.partial = partial


def from_long_tables(
    dynamic: pd.DataFrame, static: pd.DataFrame | None = None, *, hours: int | None = None, columns: Sequence[str] = COLUMN_NAMES
) -> Charts:
    """Charts of long tables, one row an hour, stays in the order in which they first appear.

    Args:
        dynamic: stay_id, time (a timedelta, or a number of hours), and any of `columns`; columns that are left out count as never measured.
        static: stay_id and any of age, sex ("Male", "Female"), height, weight.
        hours: rows of a window: of each stay the last ones; where there are fewer, the first rows are empty. None: the longest stay's.

    Whether values lie in their columns' plausible ranges is not checked.

    Raises TableError: the table is empty, has a column that nobody knows, an hour twice or out of order, a time that is no whole hour, a
    value that is no number or infinite, or a stay that has nothing measured in its window; where single stays are at fault, all of them
    are looked at and the error's `partial` has the rest.
    """
    _check_names(dynamic, ("stay_id", "time"), columns, "dynamic")
    if len(dynamic) == 0:
        raise TableError("the dynamic table is empty: it has no rows")
    stays, first_at = np.unique(dynamic["stay_id"].to_numpy(), return_index=True)
    stays = stays[np.argsort(first_at)]
    row_h = _row_hours(dynamic)
    table = _numbers(dynamic, columns)
    place = {stay: number for number, stay in enumerate(stays.tolist())}
    of_row = dynamic["stay_id"].map(place).to_numpy()
    order = np.argsort(of_row, kind="stable")
    faults = _faults_of_time(of_row[order], row_h[order], stays, order)
    last_h = np.full(len(stays), -(10**9))
    np.maximum.at(last_h, of_row, row_h)
    earliest = np.full(len(stays), 10**9)
    np.minimum.at(earliest, of_row, row_h)
    span = int((last_h - earliest).max()) + 1 if hours is None else hours
    values = np.full((len(stays), span, len(columns)), np.nan, np.float64)
    at = row_h - last_h[of_row] + span - 1
    kept = at >= 0
    values[of_row[kept], at[kept]] = table[kept]
    for number in np.flatnonzero(np.isnan(values).all(axis=(1, 2))):
        faults.setdefault(int(number), f"stay {stays[number]} has no measurement in its window of {span} h: the window is all missing")
    charts = _charts(values, _statics(static, stays), stays, last_h - span + 1, columns)
    if faults:
        good = np.setdiff1d(np.arange(len(stays)), list(faults))
        message = "; ".join(list(faults.values())[:3]) + (f"; and {len(faults) - 3} more stays" if len(faults) > 3 else "")
        raise TableError(message, charts.select(good) if good.size else None)
    return charts


def to_long_tables(charts: Charts) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables `dyn` and `sta` of charts, rows before hour 0 left out: what `from_long_tables` reads back."""
    import pandas as pd

    row_h = charts.first_h[:, None] + np.arange(charts.values.shape[1])
    stay, row = np.nonzero(row_h >= 0)
    cells = np.where(charts.mask > 0, charts.values, np.nan).astype(np.float64)[stay, row]
    dynamic = pd.DataFrame(cells, columns=list(charts.columns))
    dynamic.insert(0, "time", pd.to_timedelta(row_h[stay, row], unit="h"))
    dynamic.insert(0, "stay_id", charts.stay_ids[stay])
    static = pd.DataFrame(charts.statics.astype(np.float64), columns=list(charts.static_names))
    static.insert(0, "stay_id", charts.stay_ids)
    if "sex" in static:
        static["sex"] = static["sex"].map({number: word for word, number in SEXES.items()})
    return dynamic, static


def hours_since_measured(mask: NDArray[Any]) -> Floats:
    """Hours from the last measurement to each row, (n, T, F); `NEVER_H` where there was none in the window, or that long ago."""
    rows = np.arange(mask.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(mask > 0, rows, -NEVER_H), axis=1)
    return np.minimum(rows - last, NEVER_H).astype(np.float32)


def _charts(values: NDArray[np.float64], statics: Floats, stays: NDArray[Any], first_h: NDArray[Any], columns: Sequence[str]) -> Charts:
    mask = (~np.isnan(values)).astype(np.float32)
    return Charts(
        values=np.nan_to_num(values).astype(np.float32), mask=mask, hours_since=hours_since_measured(mask), statics=statics,
        stay_ids=np.asarray(stays), first_h=np.asarray(first_h, np.int64), columns=tuple(columns),
    )  # fmt: skip


def _check_names(table: pd.DataFrame, needed: Sequence[str], columns: Sequence[str], which: str) -> None:
    for name in needed:
        if name not in table.columns:
            raise TableError(f"the {which} table lacks the column {name!r}; it has {', '.join(map(str, table.columns))}")
    unknown = [str(name) for name in table.columns if name not in needed and name not in columns]
    if unknown:
        raise TableError(f"the {which} table has the unknown column {unknown[0]!r}; known are {', '.join((*needed, *columns))}")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise TableError(f"the {which} table has the column {twice[0]!r} twice")


def shown(value: Any) -> str:
    """A cell as an error shows it."""
    return repr(value) if isinstance(value, str) else str(value)


def _row_hours(table: pd.DataFrame) -> NDArray[np.int64]:
    import pandas as pd

    times = table["time"]
    if pd.api.types.is_timedelta64_dtype(times):
        hours = times.dt.total_seconds().to_numpy() / 3600.0
    else:
        hours = pd.to_numeric(times, errors="coerce").to_numpy(np.float64)
    odd = ~np.isfinite(hours) | (hours != np.round(hours))
    if odd.any():
        row = int(np.argmax(odd))
        raise TableError(f"row {row} (stay {table['stay_id'].iloc[row]}): time must be a whole number of hours, not {times.iloc[row]!r}")
    return np.asarray(hours, np.int64)


def _numbers(table: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    import pandas as pd

    out = np.full((len(table), len(columns)), np.nan)
    for place, name in enumerate(columns):
        if name not in table:
            continue
        raw = table[name]
        out[:, place] = pd.to_numeric(raw, errors="coerce").to_numpy(np.float64)
        odd = np.isinf(out[:, place]) | (np.isnan(out[:, place]) & raw.notna().to_numpy())
        if odd.any():
            row = int(np.argmax(odd))
            raise TableError(
                f"column {name!r}, row {row} (stay {table['stay_id'].iloc[row]}): {shown(raw.iloc[row])} is not a finite number"
            )
    return out


def _faults_of_time(of_row: NDArray[Any], row_h: NDArray[np.int64], stays: NDArray[Any], rows: NDArray[Any]) -> dict[int, str]:
    """What is wrong with the order of hours, by stay; rows of a stay lie together here, in the table's order."""
    faults: dict[int, str] = {}
    step = np.diff(row_h)
    for at in np.flatnonzero((np.diff(of_row) == 0) & (step <= 0)):
        what = "twice" if step[at] == 0 else f"after hour {row_h[at]}: time does not run forwards"
        faults.setdefault(int(of_row[at]), f"stay {stays[of_row[at]]}, row {rows[at + 1]}: hour {row_h[at + 1]} stands {what}")
    return faults


def _statics(table: pd.DataFrame | None, stays: NDArray[Any]) -> Floats:
    import pandas as pd

    out = np.full((len(stays), len(STATIC_NAMES)), np.nan, np.float32)
    if table is None:
        return out
    _check_names(table, ("stay_id",), STATIC_NAMES, "static")
    if table["stay_id"].duplicated().any():
        row = int(np.argmax(table["stay_id"].duplicated().to_numpy()))
        raise TableError(f"the static table, row {row}: stay {table['stay_id'].iloc[row]} stands twice")
    found = table.set_index("stay_id").reindex(stays)
    for place, name in enumerate(STATIC_NAMES):
        if name not in found:
            continue
        raw = found[name]
        if name == "sex" and not pd.api.types.is_numeric_dtype(raw):
            unknown = raw.notna() & ~raw.isin(list(SEXES))
            if unknown.any():
                raise TableError(f"column 'sex', stay {raw.index[unknown][0]}: must be Male or Female, not {raw[unknown].iloc[0]!r}")
            raw = raw.map(SEXES)
        numbers = pd.to_numeric(raw, errors="coerce")
        odd = (numbers.isna() & raw.notna()) | np.isinf(numbers)
        if odd.any():
            raise TableError(f"column {name!r}, stay {raw.index[odd][0]}: {shown(raw[odd].iloc[0])} is not a finite number")
        out[:, place] = numbers.to_numpy(np.float32)
    return out
