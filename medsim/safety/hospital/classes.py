"""What befell the classes of an episode's patients: sums and counts, by measure and class, read from a model of any of the hospitals.

Classes are those of the truth (acuity, kind, the hospital that somebody came to), which no policy sees; where the model
counts by triage only, the class's name says so.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from medsim.hospital.batch import DecisionBatch, ShellBatch
from medsim.hospital.event_log import EventLog
from medsim.hospital.flow.compiled import FlowBatch
from medsim.hospital.flow.model import FlowModel
from medsim.hospital.flow.situation import Tally
from medsim.hospital.icu_admission.model import LossUnit
from medsim.hospital.icu_admission.settings import KINDS as UNIT_KINDS
from medsim.hospital.icu_admission.settings import TRUNK_KINDS
from medsim.hospital.icu_admission.waiting_patient import SHOWN_ACUITY
from medsim.hospital.icu_admission.waiting_unit import WaitingUnit
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
    if isinstance(model, WaitingUnit):
        return {**spans_of(model.log, model.time_h, UNIT_SPANS), **shares_of(model.log, UNIT_SHARES)}
    if isinstance(model, RegionalNetwork):
        return spans_of(model.log, model.time_h, REGION_SPANS)
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


Label = Callable[[int, str], str]  # (acuity, place) of an event -> the class of its patient


def by_acuity(acuity: int, place: str) -> str:
    """Return the acuity as a class."""
    return f"acuity {acuity}"


def by_place(acuity: int, place: str) -> str:
    """Return the hospital as a class."""
    return place


def by_kind(acuity: int, place: str) -> str:
    """Return the class of a patient of the unit with a queue, whose log shows an acuity of its own for each."""
    return UNIT_KINDS[SHOWN_ACUITY.index(acuity)]


Spans = Mapping[str, tuple[str, tuple[str, ...], Label]]  # measure -> the event that begins it, those that end it, its classes
REGION_SPANS: Spans = {
    "response_h": ("call", ("on_scene",), by_acuity),
    "wait_h": ("arrived", ("seen",), by_acuity),
    "hospital_wait_h": ("arrived", ("seen",), by_place),
    "hospital_boarding_h": ("boarding", ("in_bed", "collected"), by_place),
}
UNIT_SPANS: Spans = {"wait_h": ("arrives", ("admitted", "refused"), by_kind)}
Shares = Mapping[str, tuple[str, tuple[str, ...], Label]]  # measure -> the event that is counted, those that it is a share of, its classes
UNIT_SHARES: Shares = {
    "refused": ("refused", ("arrives",), by_kind),
    "left_early": ("leaves early", ("leaves", "leaves early"), by_kind),
}


def spans_of(log: EventLog, end_h: float, spans: Spans) -> Sums:
    """Return the hours between events, by class; what has not ended counts until now."""
    found: dict[str, dict[str, list[float]]] = {}
    for measure, (begins, ends, label_of) in spans.items():
        classes = found.setdefault(measure, {})
        running: dict[int, tuple[float, str]] = {}
        for time_h, event, patient, place, acuity, _, _ in log.rows:
            if event == begins:
                running[patient] = (time_h, label_of(acuity, place))
            elif event in ends and patient in running:
                since_h, label = running.pop(patient)
                add(classes, label, time_h - since_h)
        for since_h, label in running.values():
            add(classes, label, end_h - since_h)
    return {measure: {label: (one[0], one[1]) for label, one in sorted(classes.items())} for measure, classes in found.items()}


def shares_of(log: EventLog, shares: Shares) -> Sums:
    """Return how many events there were of how many, by class."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for measure, (counted, of, label_of) in shares.items():
        events = [(label_of(acuity, place), event) for _, event, _, place, acuity, _, _ in log.rows if event in (counted, *of)]
        found[measure] = {
            label: (float(events.count((label, counted))), float(sum(events.count((label, event)) for event in of)))
            for label in sorted({label for label, _ in events})
        }
    return found


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
