"""A simulated hospital's event log as visits, and as an encounter table that can be fitted again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.flow.config import HospitalConfig

__all__ = ["Visits", "encounter_table", "visits_of_log"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Visits to units, each array (n,): when patients asked for a bed, got it, were ready to leave it, left it; NaN: not (yet)."""

    patient: npt.NDArray[np.int64]
    acuity: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    came: Floats
    began: Floats
    ended: Floats
    left: Floats
    unseen: npt.NDArray[np.bool_]


def visits_of_log(log: Any, blocks: Mapping[str, bool]) -> Visits:
    """Return the visits of a simulated hospital's event log; ``blocks``: unit -> whether those who wait for another keep their beds.

    Who was in a bed at the start has no visit there: the log does not say since when. Interrupted treatments are not followed.
    """
    rows = log[log["event"].isin(["asks for a bed", "gets a bed", "leaves unseen", "goes home"])]
    rows = rows.sort_values("patient", kind="stable").reset_index(drop=True)
    events, times, people = rows["event"].to_numpy(), rows["time_h"].to_numpy(dtype=np.float64), rows["patient"].to_numpy()

    asks = events == "asks for a bed"
    next_event, next_time = following(people, events, times, 1)
    second_event, second_time = following(people, events, times, 2)
    third_event, third_time = following(people, events, times, 3)
    unseen = asks & (next_event == "leaves unseen")
    began = np.where(asks & (next_event == "gets a bed"), next_time, np.nan)
    moved_on = np.where(third_event == "gets a bed", third_time, np.nan)
    ended = np.where(np.isnan(began), np.nan, second_time)
    keeps = np.array([blocks[name] for name in rows["place"]], dtype=bool)
    left = np.where((second_event == "asks for a bed") & keeps, moved_on, second_time)
    left = np.where(unseen, next_time, np.where(np.isnan(began), np.nan, left))
    names = list(blocks)
    return Visits(
        patient=people[asks].astype(np.int64),
        acuity=rows["triage"].to_numpy(dtype=np.int64)[asks],
        unit=np.array([names.index(name) for name in rows["place"]], dtype=np.int64)[asks],
        came=times[asks],
        began=began[asks],
        ended=ended[asks],
        left=left[asks],
        unseen=unseen[asks],
    )


def following(people: Any, events: Any, times: Floats, steps: int) -> tuple[Any, Floats]:
    """Return the same person's event so many steps later, and its time; "" and NaN where there is none."""
    there = np.zeros(len(people), dtype=bool)
    there[: max(len(people) - steps, 0)] = people[steps:] == people[:-steps]
    number = np.minimum(np.arange(len(people)) + steps, max(len(people) - 1, 0))
    return np.where(there, events[number], ""), np.where(there, times[number], np.nan)


def encounter_table(log: Any, config: HospitalConfig, *, start: str = "2024-01-01") -> Any:
    """Return an event log as an encounter table (a pandas DataFrame with the columns of ``encounters``), for a fit or as an example.

    Args:
        start: the date of hour 0, a Monday.

    A visit is a row. unit_in is the request for a bed and provider_time its beginning where patients wait to be seen (``seen_in``);
    elsewhere unit_in is the beginning. Whoever waits for a first bed elsewhere when the log ends has no row for it.
    """
    import pandas as pd

    blocks = {unit.name: unit.blocks for unit in config.units}
    visits = visits_of_log(log, blocks)
    arrivals = log[log["event"] == "arrives"].drop_duplicates("patient").set_index("patient")["time_h"]
    names = np.array(list(blocks))[visits.unit]
    seen_here = names == config.seen_in
    table = pd.DataFrame({
        "encounter": visits.patient,
        "arrival_time": arrivals.reindex(visits.patient).to_numpy(),
        "triage_acuity": visits.acuity,
        "provider_time": np.where(seen_here, visits.began, np.nan),
        "disposition_time": visits.ended,
        "unit": names,
        "unit_in": np.where(seen_here, visits.came, visits.began),
        "unit_out": visits.left,
        "disposition": np.where(visits.unseen, "left without being seen", ""),
    })  # fmt: skip
    table = table[table["arrival_time"].notna() & table["unit_in"].notna()].reset_index(drop=True)
    for name in ("arrival_time", "provider_time", "disposition_time", "unit_in", "unit_out"):
        table[name] = pd.Timestamp(start) + pd.to_timedelta(table[name], unit="h")
    return table
