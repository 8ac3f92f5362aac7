"""What befell the classes of an episode's patients: sums and counts, by measure and class, read from a model of any of the hospitals.

Classes are those of the truth (acuity, kind, the hospital that somebody came to), which no policy sees; where the model
counts by triage only, the class's name says so.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from medsim.hospital.batch import DecisionBatch, ShellBatch
from medsim.hospital.event_log import EventLog
from medsim.hospital.flow.compiled import FlowBatch
from medsim.hospital.flow.model import FlowModel
from medsim.hospital.flow.situation import Tally
from medsim.hospital.icu_admission.model import LossUnit
from medsim.hospital.icu_admission.settings import TRUNK_KINDS
from medsim.hospital.regional_network.model import RegionalNetwork
from medsim.hospital.theatre.kinds import ELECTIVES, KINDS
from medsim.hospital.theatre.model import TheatreModel

__all__ = ["Sums", "classes_of", "stacked_classes"]

Sums = Mapping[str, Mapping[str, tuple[float, float]]]
"""Measure -> class -> (sum, patients that it is of)."""

LEVELS = range(1, 6)  # of acuity and triage, 1 the most urgent


def classes_of(batch: DecisionBatch, row: int) -> Sums:
    """Return what befell the classes of patients in an episode that is over; nothing where the model does not tell them apart."""
    if isinstance(batch, FlowBatch):
        hospitals = batch.hospitals
        tally = Tally(*(values[row] for values in hospitals.t))
        return of_flow(hospitals.config, hospitals.plan, tally)
    if not isinstance(batch, ShellBatch):
        return {}
    model: Any = batch.shells[row].present_model()
    if isinstance(model, FlowModel):
        return of_flow(model.config, model.plan, model.t)
    if isinstance(model, LossUnit):
        return of_unit(model)
    if isinstance(model, RegionalNetwork):
        return of_region(model.log, model.time_h)
    return of_theatre(model) if isinstance(model, TheatreModel) else {}


def of_flow(config: Any, plan: Any, tally: Any) -> Sums:
    """Return waits until seen by acuity and group, who was not seen by triage, and late intensive care by acuity and group."""
    groups = [group.name for group in config.groups]
    late = tally.icu_asked - tally.icu_in_time
    found: dict[str, dict[str, tuple[float, float]]] = {
        "wait_h": by_level("acuity", tally.seen_wait_h.sum(axis=0), tally.seen.sum(axis=0)),
        "icu_late": by_level("acuity", late.sum(axis=0), tally.icu_asked.sum(axis=0)),
        "group_wait_h": by_name(groups, tally.seen_wait_h.sum(axis=1), tally.seen.sum(axis=1)),
        "group_icu_late": by_name(groups, late.sum(axis=1), tally.icu_asked.sum(axis=1)),
    }
    if plan.seen_in >= 0:
        asked, started = tally.asked[plan.seen_in], tally.started[plan.seen_in]
        found["not_seen"] = by_level("triage", asked - started, asked)
    return found


def by_level(kind: str, sums: Any, counts: Any) -> dict[str, tuple[float, float]]:
    """Return sums and counts (5,) by the level's name."""
    return by_name([f"{kind} {level}" for level in LEVELS], sums, counts)


def by_name(names: list[str], sums: Any, counts: Any) -> dict[str, tuple[float, float]]:
    """Return sums and counts (k,) by name."""
    return {name: (float(one), float(of)) for name, one, of in zip(names, sums, counts, strict=True)}


def of_unit(model: LossUnit) -> Sums:
    """Return who was refused, by class."""
    return {"refused": by_name(list(TRUNK_KINDS), model.refused, model.arrived)}


def of_theatre(model: TheatreModel) -> Sums:
    """Return waits until the start, the cancellation or the end, and who was not operated on, by kind."""
    now = model.env.now
    come = [case for case in model.cases if case.arrival_h <= now]
    waits, undone = {}, {}
    for number, kind in enumerate(KINDS):
        cases = [case for case in come if case.kind == number]
        waits[kind.name] = (sum(case.waited_h(now) for case in cases), float(len(cases)))
        undone[kind.name] = (float(sum(case.started_h is None for case in cases)), float(len(cases)))
    electives = {KINDS[number].name for number in ELECTIVES}
    return {
        "wait_h": waits,
        "cancelled": {name: one for name, one in undone.items() if name in electives},
        "handed_over": {name: one for name, one in undone.items() if name not in electives},
    }


SPANS: Mapping[str, tuple[str, tuple[str, ...], str]] = {  # measure -> the event that begins it, those that end it, what its classes are
    "response_h": ("call", ("on_scene",), "acuity"),
    "wait_h": ("arrived", ("seen",), "acuity"),
    "hospital_wait_h": ("arrived", ("seen",), "place"),
    "hospital_boarding_h": ("boarding", ("in_bed", "collected"), "place"),
}


def of_region(log: EventLog, end_h: float) -> Sums:
    """Return response times and waits by acuity, waits and boarding by hospital; what has not ended counts until now."""
    found: dict[str, dict[str, list[float]]] = {}
    for measure, (begins, ends, kind) in SPANS.items():
        classes = found.setdefault(measure, {})
        running: dict[int, tuple[float, str]] = {}
        for time_h, event, patient, place, acuity, _, _ in log.rows:
            if event == begins:
                running[patient] = (time_h, f"acuity {acuity}" if kind == "acuity" else place)
            elif event in ends and patient in running:
                since_h, label = running.pop(patient)
                add(classes, label, time_h - since_h)
        for since_h, label in running.values():
            add(classes, label, end_h - since_h)
    return {measure: {label: (one[0], one[1]) for label, one in sorted(classes.items())} for measure, classes in found.items()}


def add(classes: dict[str, list[float]], label: str, hours: float) -> None:
    """Add a patient's hours to their class."""
    sums = classes.setdefault(label, [0.0, 0.0])
    sums[0] += hours
    sums[1] += 1.0


def stacked_classes(rows: list[Sums]) -> dict[str, dict[str, Any]]:
    """Return measure -> class -> (n, 2) of n episodes; zeros where an episode had nobody of the class."""
    names: dict[str, list[str]] = {}
    for sums in rows:
        for measure, classes in sums.items():
            known = names.setdefault(measure, [])
            known += [label for label in classes if label not in known]
    return {
        measure: {label: np.array([sums.get(measure, {}).get(label, (0.0, 0.0)) for sums in rows]) for label in sorted(labels)}
        for measure, labels in names.items()
    }
