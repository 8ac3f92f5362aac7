"""An encounter table: one row for each stay of an encounter in a unit; what is written on the encounter as a whole repeats in its rows.

    column            what it says                                                              without it
    encounter         number or name of the encounter (or: encounter_id, stay_id, patient)      every row is an encounter
    arrival_time      when the patient came to the hospital                                     (needed, and an end of the stays)
    triage_acuity     triage category 1 (most urgent) to 5; blank: not known                    all are 3
    triage_time       when they were triaged: checked; waiting counts from arrival              nothing
    provider_time     when treatment began, in the unit where they were then                    treatment begins at unit_in
    disposition_time  when treatment ended there, and only a place elsewhere was missing        treatment ends at unit_out
    departure_time    when they left the hospital                                               the last unit_out
    unit              the unit's name                                                           one unit, "ed"
    unit_in           when they took a place in the unit                                        arrival_time, in the first row
    unit_out          when they left it; blank: still there when the table was drawn            departure_time, in the last row
    disposition       how it ended; "left without being seen" counts (and LWBS, did not wait)   nobody left unseen
    died              1, true or yes: died in hospital                                          nobody

Times are local and ISO 8601 (2024-03-05 14:30:00), without a time zone. A row that contradicts itself is reported with its line and reason,
and leaves the fit with its whole encounter, since half an encounter would count as another route through the hospital; a repeated row
leaves alone. A line is that of the file, the header being line 1; of a DataFrame it is the position of the row plus 2. Where there is a
column patient or patient_id instead of encounter, patient and arrival_time together are the encounter.
"""

import csv
from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "MAPPINGS", "BadRow", "Encounters", "Mapping", "read_table", "renamed", "tidy"]

COLUMNS = (
    "encounter", "arrival_time", "triage_acuity", "triage_time", "provider_time", "disposition_time", "departure_time",
    "unit", "unit_in", "unit_out", "disposition", "died",
)  # fmt: skip
TIMES = ("arrival_time", "triage_time", "provider_time", "disposition_time", "departure_time", "unit_in", "unit_out")
ALSO_CALLED = ("encounter_id", "stay_id")
PERSONS = ("patient", "patient_id")
LEFT_UNSEEN = frozenset({"left without being seen", "lwbs", "did not wait", "dnw", "left before treatment"})
DIED = frozenset({"1", "1.0", "true", "yes", "y", "expired", "died"})
LINE = "line"
MISSING_TEXT = frozenset({"", "nan", "nat", "none", "null", "na", "n/a"})

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BadRow:
    """A row that could not be used: its line, and why."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Another table's column names: our name -> theirs; constants: columns that it lacks, our name -> the value of every row."""

    columns: MappingOf[str, str]
    constants: MappingOf[str, str] = field(default_factory=dict)
    note: str = ""


MAPPINGS = {
    "mimic-iv-ed": Mapping(
        columns={
            "encounter": "stay_id", "arrival_time": "intime", "departure_time": "outtime", "triage_acuity": "acuity",
            "disposition": "disposition",
        },
        constants={"unit": "ed"},
        note="MIMIC-IV-ED: edstays joined with triage on stay_id (edstays alone lacks acuity). It says neither when treatment began nor "
        "when it ended, so a stay is the whole time in the department. Its dates are shifted patient by patient, so that neither census "
        "nor dispersion can be read from it.",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Encounters:
    """The good rows as arrays, in order of encounter and time; hours from Monday 00:00 before the first arrival.

    Attributes:
        encounter: (n,) numbers from 0. unit: (n,) an index of ``units``. acuity: (n,) 1 to 5, 0 where it is not known.
        came: (n,) when they began to wait for the unit: arrival, or the end of treatment in the unit before.
        began: (n,) start of treatment in the unit, NaN: not yet, or never. ended: (n,) its end, NaN: not yet.
        left: (n,) when they gave up the place, NaN: still there. unseen: (n,) left without being seen.
        first: (n,) first stay of its encounter. arrival: (n,) at the hospital. died: (n,).
        end: when the table was drawn. monday: the date of hour 0.
    """

    encounter: Ints
    unit: Ints
    units: tuple[str, ...]
    acuity: Ints
    came: Floats
    began: Floats
    ended: Floats
    left: Floats
    unseen: npt.NDArray[np.bool_]
    first: npt.NDArray[np.bool_]
    arrival: Floats
    died: npt.NDArray[np.bool_]
    end: float
    monday: str
    has_acuity: bool
    bad: tuple[BadRow, ...] = ()
    rows: int = 0
    with_bad: int = 0

    def where(self, keep: npt.NDArray[np.bool_]) -> "Encounters":
        """Return some of the rows."""
        from dataclasses import replace

        names = ("encounter", "unit", "acuity", "came", "began", "ended", "left", "unseen", "first", "arrival", "died")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})


def read_table(path: Path) -> tuple[Any, tuple[BadRow, ...]]:
    """Return a comma-separated file as a DataFrame of texts whose index is the line, and the lines that have too many or few fields.

    Raises:
        ValueError: the file is empty, no text in UTF-8, not separated by commas, or names a column twice. OSError: it cannot be read.
    """
    import pandas as pd

    rows, lines, bad = [], [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = header_of(path, next(reader, []))
            for row in reader:
                if len(row) == len(header):
                    rows.append(row)
                    lines.append(reader.line_num)
                elif row:
                    bad.append(BadRow(reader.line_num, f"has {len(row)} fields, the header {len(header)}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} is no CSV text in UTF-8 ({error}): a spreadsheet or a compressed file has to be saved as 'CSV UTF-8' first"
        ) from error
    return pd.DataFrame(rows, columns=header, index=pd.Index(lines, name=LINE), dtype=str), tuple(bad)


def header_of(path: Path, names: list[str]) -> list[str]:
    """Return a table's column names.

    Raises:
        ValueError: there are none, one stands twice, or they are not separated by commas.
    """
    header = [name.strip() for name in names]
    if not header:
        raise ValueError(f"{path} is empty: it needs a first line that names the columns")
    for sign, shown in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
        if sum(name.count(sign) for name in header) >= len(header):
            raise ValueError(f"{path} looks separated by {shown}: write it with commas (its first line is {','.join(names)[:60]!r})")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ValueError(f"{path} names {', '.join(twice)} twice")
    return header


def renamed(frame: Any, mapping: Mapping | None = None) -> Any:
    """Return a table under our names; columns that are not ours are left out.

    Raises:
        ValueError: a name to map from or to is unknown, or arrival_time is missing.
    """
    mapping = mapping or Mapping(columns={})
    for ours, theirs in mapping.columns.items():
        if ours not in COLUMNS:
            raise ValueError(f"a column can be mapped to {', '.join(COLUMNS)}, not to {ours!r}")
        if theirs not in frame.columns:
            raise ValueError(f"the table has no column {theirs!r} to take {ours} from; it has {', '.join(map(str, frame.columns))}")
    named = frame.rename(columns={theirs: ours for ours, theirs in mapping.columns.items()})
    if "encounter" not in named.columns:
        named = with_encounters(named)
    for ours, value in mapping.constants.items():
        if ours not in named.columns:
            named[ours] = value
    if "arrival_time" not in named.columns:
        raise ValueError(
            f"the table needs a column arrival_time; it has {', '.join(map(str, frame.columns))}. "
            "Name it with --map THEIRS=arrival_time, or take a ready mapping: " + ", ".join(MAPPINGS)
        )
    return named[[name for name in COLUMNS if name in named.columns]]


def with_encounters(frame: Any) -> Any:
    """Return a table that has a column encounter, if it has one of another name for it, or one of persons."""
    for name in ALSO_CALLED:
        if name in frame.columns:
            return frame.rename(columns={name: "encounter"})
    for name in PERSONS:
        if name in frame.columns and "arrival_time" in frame.columns:
            people, times = texts(frame, name, ""), texts(frame, "arrival_time", "")
            return frame.assign(encounter=[f"{who} {when}" if who else "" for who, when in zip(people, times, strict=True)])
    return frame


def line_numbers(frame: Any) -> Ints:
    """Return each row's line."""
    if frame.index.name == LINE:
        return np.asarray(frame.index, dtype=np.int64)
    return np.arange(len(frame), dtype=np.int64) + 2


def texts(frame: Any, name: str, default: str) -> list[str]:
    """Return a column as stripped texts, missing ones empty; a column that is not there has one value everywhere."""
    if name not in frame.columns:
        return [default] * len(frame)
    values = (str(value).strip() for value in frame[name])
    return ["" if value.lower() in MISSING_TEXT else value for value in values]


def tidy(frame: Any, *, end: str | None = None, bad_rows: Iterable[BadRow] = ()) -> Encounters:
    """Return a table (under our names) as arrays, with its bad rows.

    Args:
        end: when the table was drawn (ISO 8601); none: the latest time in it.
        bad_rows: rows that were already found to be bad; they are kept in the count.

    Raises:
        ValueError: no good row is left.
    """
    from medsim.hospital.calibration.rows import arranged

    return arranged(frame, end, tuple(bad_rows))
