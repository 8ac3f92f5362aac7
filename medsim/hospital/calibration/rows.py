"""From texts to hours: parses an encounter table, finds the rows that contradict themselves, and lays the others out as arrays."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.calibration.encounters import DIED, LEFT_UNSEEN, TIMES, BadRow, Encounters, line_numbers, texts
from medsim.hospital.flow.config import ACUITIES

__all__ = ["arranged"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
ZONE = r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"
HOURS_OF_WEEK = 168


@dataclass
class Faults:
    """The first fault of each row, in the order in which faults are looked for."""

    lines: npt.NDArray[np.int64]
    reasons: dict[int, str] = field(default_factory=dict)
    repeated: set[int] = field(default_factory=set)

    def note(self, rows: Bools, reason: Any) -> None:
        """Note a fault of rows; ``reason``: a text, or a function of the row's number."""
        for row in np.flatnonzero(rows):
            self.reasons.setdefault(int(row), reason if isinstance(reason, str) else reason(int(row)))


def arranged(frame: Any, end: str | None, bad_rows: tuple[BadRow, ...]) -> Encounters:
    """Return a table as arrays; see ``encounters.tidy``."""
    import pandas as pd

    faults = Faults(line_numbers(frame))
    stamps = {name: parsed(texts(frame, name, ""), name, faults) for name in TIMES}
    if not stamps["arrival_time"].notna().any():
        raise ValueError("no row of the table has an arrival_time that can be read: write it as 2024-03-05 14:30:00")
    first_day = stamps["arrival_time"].min().normalize()
    monday = first_day - pd.Timedelta(days=int(first_day.weekday()))
    hours = {name: np.asarray((values - monday) / pd.Timedelta(hours=1), dtype=np.float64) for name, values in stamps.items()}
    drawn = latest(hours) if end is None else end_in_hours(end, monday)
    table = pd.DataFrame(hours)
    table["acuity"] = acuities(texts(frame, "triage_acuity", "3"), faults)
    table["unit"] = texts(frame, "unit", "ed")
    table["encounter"] = texts(frame, "encounter", "")
    if "encounter" not in frame.columns:
        table["encounter"] = np.arange(len(table)).astype(str)
    table["unseen"] = [value.lower().replace("_", " ").replace("-", " ") in LEFT_UNSEEN for value in texts(frame, "disposition", "")]
    table["died"] = [value.lower() in DIED for value in texts(frame, "died", "")]
    judge(table, faults, drawn)
    bad = [BadRow(int(faults.lines[row]), reason) for row, reason in faults.reasons.items()]
    good = leave_out(table, faults)
    if good.empty:
        worst = sorted(bad, key=lambda one: one.line)[0] if bad else None
        raise ValueError("the table has no row that can be used" + (f"; line {worst.line}: {worst.reason}" if worst else ""))
    return laid_out(
        good,
        drawn=drawn,
        monday=str(monday.date()),
        has_acuity="triage_acuity" in frame.columns,
        has_provider="provider_time" in frame.columns and bool(good["provider_time"].notna().any()),
        bad=tuple(sorted([*bad_rows, *bad], key=lambda one: one.line)),
        rows=len(frame) + len(bad_rows),
        with_bad=len(table) - len(good) - len(faults.reasons),
    )


def parsed(values: list[str], name: str, faults: Faults) -> Any:
    """Return texts as times, and note those that are none."""
    import pandas as pd

    series = pd.Series(values, dtype="str")
    zoned = series.str.contains(ZONE, regex=True).to_numpy(dtype=bool)
    faults.note(zoned, lambda row: f"{name} {values[row]!r} has a time zone: give local times without one")
    times = pd.to_datetime(series.where(~zoned, ""), errors="coerce", format="ISO8601")
    faults.note((times.isna() & (series != "")).to_numpy(), lambda row: f"{name} {values[row]!r} is no time such as 2024-03-05 14:30:00")
    return times


def latest(hours: dict[str, Floats]) -> float:
    """Return the latest time of all, in hours."""
    return float(max(np.nanmax(values) for values in hours.values() if np.isfinite(values).any()))


def end_in_hours(end: str, monday: Any) -> float:
    """Return the time at which the table was drawn.

    Raises:
        ValueError: it is no time.
    """
    import pandas as pd

    stamp = pd.to_datetime(end, errors="coerce", format="ISO8601")
    if pd.isna(stamp):
        raise ValueError(f"the end of the table must be a time such as 2024-03-05 14:30:00, not {end!r}")
    return float((stamp - monday) / pd.Timedelta(hours=1))


def acuities(values: list[str], faults: Faults) -> npt.NDArray[np.int64]:
    """Return acuities, 0 where blank, and note those that are none."""
    import pandas as pd

    numbers = pd.to_numeric(pd.Series(values, dtype="str"), errors="coerce").to_numpy(dtype=np.float64)
    blank = np.array([value == "" for value in values], dtype=bool)
    known = np.isin(numbers, np.arange(1, ACUITIES + 1))
    faults.note(~blank & ~known, lambda row: f"triage_acuity {values[row]!r} is none of 1 to {ACUITIES}")
    return np.where(known, numbers, 0.0).astype(np.int64)


def judge(table: Any, faults: Faults, drawn: float) -> None:
    """Note rows that contradict themselves or their encounter, and give rows without unit_in or unit_out the encounter's times."""
    faults.note((table["encounter"] == "").to_numpy(), "the encounter is missing")
    faults.note((table["unit"] == "").to_numpy(), "the unit is missing")
    note_repeated(table, faults)
    faults.note(table["arrival_time"].isna().to_numpy(), "arrival_time is missing")
    groups = table.groupby("encounter", sort=False)
    faults.note((table["arrival_time"] != groups["arrival_time"].transform("min")).to_numpy() & table["arrival_time"].notna().to_numpy(),
                "arrival_time differs within the encounter")  # fmt: skip
    kept = ~np.isin(np.arange(len(table)), sorted(faults.repeated))
    lone = table[kept].groupby("encounter", sort=False)["unit_in"].transform("size").reindex(table.index).fillna(1) == 1
    earliest = table["unit_in"].isna() & (lone | ~table["encounter"].duplicated())
    table["unit_in"] = table["unit_in"].where(~earliest, table["arrival_time"])
    faults.note(table["unit_in"].isna().to_numpy() & kept, "unit_in is missing, and this is not the encounter's first row")
    order_faults(table, faults, drawn)
    sequence_faults(table, faults, kept)


def note_repeated(table: Any, faults: Faults) -> None:
    """Note rows that say the same stay again."""
    repeated = table.duplicated(["encounter", "unit", "unit_in", "arrival_time"]).to_numpy() & (table["encounter"] != "").to_numpy()
    before = set(faults.reasons)
    faults.note(repeated, "repeats an earlier row: the same encounter, unit and unit_in")
    faults.repeated |= {int(row) for row in np.flatnonzero(repeated)} - before


def order_faults(table: Any, faults: Faults, drawn: float) -> None:
    """Note times of one row that are in the wrong order."""
    for early, late in (
        ("arrival_time", "triage_time"), ("arrival_time", "provider_time"), ("provider_time", "disposition_time"),
        ("arrival_time", "unit_in"), ("unit_in", "unit_out"), ("unit_out", "departure_time"), ("arrival_time", "departure_time"),
    ):  # fmt: skip
        faults.note((table[late] < table[early]).to_numpy(), f"{late} is before {early}")
    for name in TIMES:
        faults.note((table[name] > drawn).to_numpy(), f"{name} is after the table was drawn")


def sequence_faults(table: Any, faults: Faults, kept: Bools) -> None:
    """Note rows that begin before the encounter's row before has ended; give the last row the departure for its end."""
    chain = table[kept].sort_values(["encounter", "unit_in"], kind="stable")
    last = ~chain["encounter"].duplicated(keep="last")
    out = chain["unit_out"].where(chain["unit_out"].notna() | ~last, chain["departure_time"])
    table["unit_out"] = out.reindex(table.index)
    before = out.groupby(chain["encounter"]).shift()
    overlap = (chain["unit_in"] < before).reindex(table.index, fill_value=False).to_numpy(dtype=bool)
    open_ended = (out.isna() & ~last).reindex(table.index, fill_value=False).to_numpy(dtype=bool)
    faults.note(overlap, "unit_in is before the encounter's stay before has ended")
    faults.note(open_ended, "unit_out is missing, though the encounter goes on in another row")


def leave_out(table: Any, faults: Faults) -> Any:
    """Return the table without bad rows, and without the other rows of their encounters; repeated rows leave alone."""
    spoilt = [row for row in faults.reasons if row not in faults.repeated]
    names = set(table["encounter"].iloc[spoilt]) - {""}
    bad = np.isin(np.arange(len(table)), sorted(faults.reasons)) | table["encounter"].isin(names).to_numpy()
    return table[~bad]


def laid_out(
    table: Any, *, drawn: float, monday: str, has_acuity: bool, has_provider: bool, bad: tuple[BadRow, ...], rows: int, with_bad: int
) -> Encounters:
    """Return the good rows as arrays in order of encounter and time."""
    import pandas as pd

    starts = table.groupby("encounter", sort=False)["arrival_time"].transform("min")
    order = np.lexsort((table["unit_in"], pd.factorize(table["encounter"])[0], starts))
    table = table.iloc[order].reset_index(drop=True)
    numbers, _ = pd.factorize(table["encounter"])
    codes, names = pd.factorize(table["unit"])
    first = ~table["encounter"].duplicated().to_numpy()
    last = ~table["encounter"].duplicated(keep="last").to_numpy()
    unseen = table.groupby("encounter", sort=False)["unseen"].transform("any").to_numpy() & last
    began, ended = treatment(table, last, unseen, has_provider)
    came = np.where(first, table["arrival_time"], np.roll(ended, 1))
    return Encounters(
        encounter=np.asarray(numbers, dtype=np.int64),
        unit=np.asarray(codes, dtype=np.int64),
        units=tuple(str(name) for name in names),
        acuity=table["acuity"].to_numpy(dtype=np.int64),
        came=came,
        began=began,
        ended=ended,
        left=table["unit_out"].to_numpy(dtype=np.float64),
        unseen=unseen,
        first=first,
        arrival=table["arrival_time"].to_numpy(dtype=np.float64),
        died=table.groupby("encounter", sort=False)["died"].transform("any").to_numpy(),
        end=drawn,
        monday=monday,
        has_acuity=has_acuity,
        bad=bad,
        rows=rows,
        with_bad=with_bad,
    )


def treatment(table: Any, last: Bools, unseen: Bools, has_provider: bool) -> tuple[Floats, Floats]:
    """Return when treatment began and ended in each row: by the provider's and the disposition's time in the row that they fall into."""
    entered, out = table["unit_in"].to_numpy(dtype=np.float64), table["unit_out"].to_numpy(dtype=np.float64)
    closes = np.where(np.isnan(out), np.inf, out)
    provider, disposition = (table[name].to_numpy(dtype=np.float64) for name in ("provider_time", "disposition_time"))
    met = (provider >= entered) & ((provider < closes) | ((provider == closes) & last))
    began = np.where(met, provider, entered)
    decided = (disposition >= began) & (disposition <= closes) & (met if has_provider else np.ones_like(met))
    ended = np.where(decided, disposition, out)
    waits_here = np.isin(table["unit"], list(set(table["unit"][met]))) if has_provider else np.zeros(len(table), dtype=bool)
    waiting = waits_here & last & np.isnan(provider) & np.isnan(out)
    never = unseen | waiting
    return np.where(never, np.nan, began), np.where(never, np.nan, ended)
