"""Charts as events: the Medical Event Data Standard (MEDS), one row a measurement, in and out.

MEDS keeps `subject_id` (int64), `time` (a timestamp, null for facts without one), `code` (text) and `numeric_value` (float32), sorted by
subject and time, in parquet files (Arnrich et al., MEDS, ICLR 2024 workshop; from memory, not verified). Codes are `column//unit`, such as
`map//mmHg`, statics `static//age//years`. Hour 0 of a stay is `ORIGIN`, since charts know hours and not dates. Reading what was written
gives the same charts, to the bit, in the order of their ids; hours in which nothing was measured at the beginning or the end of a chart
are kept by events without a value, `chart//begins` and `chart//ends`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsim.core.files import write_whole
from medsim.treatments.harmonised import COLUMNS, STATICS
from medsim_perception.ehr.tables import COLUMN_NAMES, Charts, TableError, from_long_tables

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ORIGIN", "code_of", "from_events", "read_meds", "read_yaib", "to_events", "write_meds", "write_yaib"]

ORIGIN = np.datetime64("2000-01-01T00:00:00", "us")  # chosen
BEGINS, ENDS, STATIC = "chart//begins", "chart//ends", "static"
FIELDS = ("subject_id", "time", "code", "numeric_value")
CODES = {column.name: f"{column.name}//{column.unit or '1'}" for column in COLUMNS}
STATIC_CODES = {column.name: f"{STATIC}//{column.name}//{1 if column.name == 'sex' else column.unit}" for column in STATICS}  # sex: 1 male


def code_of(column: str) -> str:
    """The code of a column of the chart, or of a static; raises ValueError for another name."""
    known = {**CODES, **STATIC_CODES}
    if column not in known:
        raise ValueError(f"column must be one of {', '.join(known)}, not {column!r}")
    return known[column]


def to_events(charts: Charts) -> pd.DataFrame:
    """The events of charts, sorted by subject id, time (none first) and the chart's order of columns."""
    import pandas as pd

    hours = charts.values.shape[1]
    stay, row, column = np.nonzero(charts.mask > 0)
    parts = [
        _events(
            charts,
            stay,
            charts.first_h[stay] + row,
            np.array([CODES[c] for c in charts.columns])[column],
            charts.values[stay, row, column],
            2,
        )
    ]
    everyone = np.arange(len(charts))
    nothing = np.full(len(charts), np.nan, np.float32)
    parts.append(_events(charts, everyone, charts.first_h, np.repeat(BEGINS, len(charts)), nothing, 1))
    parts.append(_events(charts, everyone, charts.first_h + hours - 1, np.repeat(ENDS, len(charts)), nothing, 3))
    who, which = np.nonzero(~np.isnan(charts.statics))
    facts = _events(
        charts,
        who,
        np.zeros(len(who), np.int64),
        np.array([STATIC_CODES[s] for s in charts.static_names])[which],
        charts.statics[who, which],
        0,
    )
    facts["time"] = np.datetime64("NaT", "us")
    table = pd.concat([facts, *parts], ignore_index=True)
    table = table.sort_values(["subject_id", "time", "rank"], kind="stable", na_position="first", ignore_index=True)
    return table[list(FIELDS)]


def _events(charts: Charts, stay: Any, hour: Any, code: Any, value: Any, rank: int) -> pd.DataFrame:
    import pandas as pd

    time = ORIGIN + np.asarray(hour).astype("timedelta64[h]").astype("timedelta64[us]")
    table = {"rank": rank, "subject_id": charts.stay_ids[stay].astype(np.int64), "time": time, "code": code}
    return pd.DataFrame({**table, "numeric_value": np.asarray(value, np.float32)})


def from_events(events: pd.DataFrame) -> Charts:
    """Charts of MEDS events; times are cut to the hour that they lie in, and of several values in an hour the last counts.

    Raises TableError naming the column, the row or the code: a column is missing, the table is empty, a code is unknown, a measurement
    has no time or no value, and what `from_long_tables` raises.
    """
    import pandas as pd

    lacking = [name for name in FIELDS if name not in events.columns]
    if lacking:
        raise TableError(f"the events lack the column {lacking[0]!r}; MEDS has {', '.join(FIELDS)}")
    if len(events) == 0:
        raise TableError("the events are empty: there are no rows")
    names = {
        **{code: name for name, code in CODES.items()},
        **{code: name for name, code in STATIC_CODES.items()},
        BEGINS: BEGINS,
        ENDS: ENDS,
    }
    column = events["code"].map(names)
    _refuse(events, column.isna(), "unknown code")
    is_static = events["code"].isin(list(STATIC_CODES.values()))
    is_mark = events["code"].isin([BEGINS, ENDS])
    _refuse(events, events["time"].isna() & ~is_static, "a measurement without a time")
    _refuse(events, events["numeric_value"].isna() & ~is_mark, "a measurement without a value")
    hour = np.floor((events["time"].to_numpy("datetime64[us]") - ORIGIN) / np.timedelta64(1, "h"))
    cells = pd.DataFrame(
        {"stay_id": events["subject_id"], "time": hour, "column": column, "value": events["numeric_value"].astype(np.float64)}
    )
    timed = cells[~is_static.to_numpy()]
    wide = timed.drop_duplicates(["stay_id", "time", "column"], keep="last").pivot(
        index=["stay_id", "time"], columns="column", values="value"
    )
    wide = wide.drop(columns=[BEGINS, ENDS], errors="ignore").reset_index()
    place = {stay: number for number, stay in enumerate(timed["stay_id"].drop_duplicates().tolist())}
    wide = wide.iloc[np.lexsort([wide["time"], wide["stay_id"].map(place)])]
    facts = cells[is_static.to_numpy()].drop_duplicates(["stay_id", "column"], keep="last")
    return from_long_tables(wide, facts.pivot(index="stay_id", columns="column", values="value").reset_index())


def write_meds(charts: Charts, path: str | Path) -> None:
    """Write the events of charts as a parquet file, whole or not at all; raises ModuleNotFoundError that says what to install without
    pyarrow."""
    write_whole(Path(path), _rendered(to_events(charts)))


def read_meds(path: str | Path) -> Charts:
    """Charts of a MEDS parquet file; TableError names the file and what is wrong in it, ModuleNotFoundError what to install."""
    try:
        return from_events(_read(Path(path)))
    except TableError as error:
        raise TableError(f"{path}: {error}", error.partial) from error


def write_yaib(charts: Charts, folder: str | Path) -> None:
    """Write charts as YAIB's `dyn.parquet` and `sta.parquet`, each whole or not at all; raises as `write_meds` does."""
    from medsim_perception.ehr.tables import to_long_tables

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    contents = [_rendered(table) for table in to_long_tables(charts)]
    for name, content in zip(("dyn", "sta"), contents, strict=True):
        write_whole(place / f"{name}.parquet", content)


def read_yaib(folder: str | Path, *, hours: int | None = None) -> Charts:
    """Charts of YAIB's `dyn.parquet` and `sta.parquet` in a folder; errors name the folder."""
    place = Path(folder)
    try:
        return from_long_tables(_read(place / "dyn.parquet"), _read(place / "sta.parquet"), hours=hours, columns=COLUMN_NAMES)
    except TableError as error:
        raise TableError(f"{place}: {error}", error.partial) from error


def _refuse(events: pd.DataFrame, wrong: Any, what: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy()))
        one = events.iloc[row]
        raise TableError(f"row {row} (subject {one['subject_id']}): {what}: code {one['code']!r}")


def _needs_pyarrow() -> None:
    try:
        import pyarrow  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise ModuleNotFoundError("parquet tables need the package pyarrow: pip install 'medsim[tables]'") from error


def _rendered(table: pd.DataFrame) -> bytes:
    """A table as the bytes of a parquet file."""
    _needs_pyarrow()
    return table.to_parquet(None, engine="pyarrow", index=False)


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    _needs_pyarrow()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow's own errors, which this module does not import
        raise TableError(f"{path} cannot be read as a table ({error})") from error
