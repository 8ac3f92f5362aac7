"""Where the numbers of a hospital come from."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from medsim.core.task import Provenance
from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.harm import harm_provenance

__all__ = ["CITATION", "provenance_of"]

CITATION = (
    "medsim HospitalFlow: emergency department, wards and intensive care as a network of queues with blocking, held against queueing "
    "theory; each preset names the sources of its numbers. Research simulation, not medical advice."
)
UNITS = {
    "beds": "beds", "mean_h": "h", "sd_h": "h", "clinicians": "by hour of the day", "nurses": "by hour of the day", "patience_h": "h",
    "rates_per_h": "1 / h", "targets_min": "min", "reconsider_h": "h", "manager_every_h": "h", "waiting_weights": "reward / h",
    "boarding_weight": "reward / h", "overtime_weight": "reward / h", "leaving_weight": "reward", "early_step_down_weight": "reward",
    "patients_per_nurse": "patients", "exits": "probability", "acuity": "share", "start_share": "share", "share": "share",
    "under_triage": "probability", "over_triage": "probability", "readmission_per_day_cut": "1 / day", "flexible_beds": "beds",
    "float_nurses": "nurses", "crowding_from": "share", "crowding": "log per share", "accumulation": "1 / h", "waiting_places": "places",
}  # fmt: skip
TEXTS = ("name", "discipline", "choose_by", "may_hold", "blocks", "unit")  # how it works, no quantity
OURS = {
    "waiting_weights": "chosen: each acuity weighs twice the next, as in accumulating priority",
    "boarding_weight": "chosen: waiting for a bed weighs as much as waiting of acuity 4 to be seen",
    "leaving_weight": "chosen: leaving unseen weighs ten hours of waiting of acuity 5",
    "early_step_down_weight": "chosen: as much as somebody who leaves unseen",
    "overtime_weight": "chosen: an hour of overtime weighs two of waiting of acuity 5",
    "reconsider_h": "chosen: an agent that did nothing is asked again after half an hour",
    "readmission_per_day_cut": (
        "chosen: 10 % a day cut off; that early discharge brings some back is from Kc and Terwiesch 2012, Manuf Serv Oper Manag 14(1)"
    ),
    "accumulation": "chosen: each category twice as fast as the next",
}


def provenance_of(hospital: HospitalConfig) -> list[Provenance]:
    """Return every number of a hospital with its unit and source."""
    rows = []
    for name, value in numbers_of(hospital):
        unit = UNITS.get(name.rpartition(".")[2], "")
        rows.append(Provenance(name=name, value=value, unit=unit, source=source_of(hospital, name)))
    return [*rows, *harm_provenance(hospital.harm)]


def numbers_of(hospital: HospitalConfig) -> Iterator[tuple[str, float | str]]:
    """Yield the name and value of every setting; several numbers together are a text."""
    for field in dataclasses.fields(hospital):
        value = getattr(hospital, field.name)
        if field.name in ("units", "arrivals", "groups"):
            for one in value:
                yield from parts_of(f"{field.name}.{one.name}", one)
        elif field.name not in ("name", "harm", "sources", "seen_in", "flexible_between"):
            yield field.name, plain(value)


def parts_of(name: str, one: Any) -> Iterator[tuple[str, float | str]]:
    """Yield the settings of a unit, a stream of arrivals or a group."""
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        if field.name == "stays":
            for number, stay in enumerate(value):
                place = f"{name}.stays" + (f".acuity_{number + 1}" if len(value) > 1 else "")
                yield f"{place}.law", stay.law
                yield f"{place}.mean_h", float(stay.mean_h)
                yield f"{place}.sd_h", float(stay.sd_h)
        elif field.name not in TEXTS and value not in ((), None):
            yield f"{name}.{field.name}", plain(value)


def plain(value: Any) -> float | str:
    """Return a number as it is, and anything else as a text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, tuple) and len(value) > 24:
        return f"{len(value)} numbers, mean {sum(value) / len(value):.4g}"
    return str(value)


def source_of(hospital: HospitalConfig, name: str) -> str:
    """Return where a setting comes from: what the configuration says of it, or of what it is a part of."""
    place = name
    while place:
        if place in hospital.sources:
            return hospital.sources[place]
        place = place.rpartition(".")[0]
    return OURS.get(name.rpartition(".")[2], "the configuration that was given, or its default")
