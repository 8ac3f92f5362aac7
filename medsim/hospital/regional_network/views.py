"""What each role sees of the region, and the true state. Nothing hidden is in what is seen: no true acuity, no future, no stay to come."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medsim.hospital.regional_network import ambulances as amb
from medsim.hospital.regional_network.ambulances import STATES
from medsim.hospital.regional_network.region import distance_km, expected_travel_h
from medsim.hospital.task import Seen

if TYPE_CHECKING:
    from medsim.hospital.regional_network.hospital import Hospital
    from medsim.hospital.regional_network.model import RegionalNetwork, Subject

__all__ = ["coordinator_seen", "ems_seen", "hospital_seen", "observe", "pairs", "state", "state_names"]

FAR_MIN = 180.0  # shown as the travel time to an ambulance that is not there
CLOCK = (Seen(name="hour of day, sine", low=-1.0, high=1.0), Seen(name="hour of day, cosine", low=-1.0, high=1.0))
ASKED = {"ems": ("dispatch", "destination"), "hospital": ("diversion", "transfer"), "coordinator": ("round",)}


def pairs(hospitals: int) -> list[tuple[int, int]]:
    """Return (from, to) of the coordinator's moves, in the order of its actions from 1 on."""
    return [(i, j) for i in range(hospitals) for j in range(hospitals) if i != j]


def asked_seen(role: str) -> tuple[Seen, ...]:
    """Return what tells a role which question is asked."""
    return tuple(Seen(name=f"asked: {what}", high=1.0) for what in ASKED[role])


def site_seen(i: int, more: tuple[Seen, ...] = ()) -> tuple[Seen, ...]:
    """Return what is seen of another hospital."""
    return (
        Seen(name=f"hospital {i}: waiting", high=200.0),
        Seen(name=f"hospital {i}: places free", high=100.0),
        Seen(name=f"hospital {i}: boarding", high=100.0),
        Seen(name=f"hospital {i}: beds free", high=200.0),
        Seen(name=f"hospital {i}: on the way", high=50.0),
        *more,
    )


def site_values(model: RegionalNetwork, hospital: Hospital) -> list[float]:
    """Return the numbers of ``site_seen``."""
    on_the_way = sum(goal == hospital.number for goal in model.bound_for.values())
    return [
        float(hospital.waiting.present), float(hospital.places.free), float(hospital.boarding.present), float(hospital.beds.free),
        float(on_the_way),
    ]  # fmt: skip


def ems_seen(hospitals: int, candidates: int, ambulances: int) -> tuple[Seen, ...]:
    """Return what ``ems`` sees."""
    travel = tuple(Seen(name=f"ambulance {k}: travel (min)", high=FAR_MIN) for k in range(candidates))
    sites: list[Seen] = []
    for i in range(hospitals):
        more = (
            Seen(name=f"hospital {i}: travel (min)", high=FAR_MIN),
            Seen(name=f"hospital {i}: ambulances blocked", high=50.0),
            Seen(name=f"hospital {i}: diverts", high=1.0),
        )
        sites += site_seen(i, more)
    return (
        *CLOCK,
        *asked_seen("ems"),
        Seen(name="category of the call", high=5.0),
        Seen(name="waited (min)", high=1440.0),
        Seen(name="calls waiting", high=200.0),
        Seen(name="ambulances available", high=float(max(ambulances, 1))),
        *travel,
        *sites,
    )


def hospital_seen() -> tuple[Seen, ...]:
    """Return what a hospital sees: itself, and the mean of the others."""
    limits = {
        "waiting, triage 1-2": 100.0, "waiting, triage 3-5": 200.0, "places free": 100.0, "load": 10.0, "boarding": 100.0,
        "longest boarding (h)": 168.0, "beds free": 200.0, "ambulances blocked": 50.0, "on the way": 50.0, "diversion left (h)": 24.0,
        "others: mean load": 10.0, "others: share that diverts": 1.0,
    }  # fmt: skip
    return (*CLOCK, *asked_seen("hospital"), *(Seen(name=name, high=high) for name, high in limits.items()))


def coordinator_seen(hospitals: int, ambulances: int) -> tuple[Seen, ...]:
    """Return what the coordinator sees."""
    sites: list[Seen] = []
    for i in range(hospitals):
        sites += site_seen(i, (Seen(name=f"hospital {i}: longest boarding (h)", high=168.0),))
    return (
        *CLOCK, *asked_seen("coordinator"), Seen(name="calls waiting", high=200.0),
        Seen(name="ambulances available", high=float(max(ambulances, 1))), *sites,
    )  # fmt: skip


def observe(model: RegionalNetwork, agent: str) -> list[float]:
    """Return what an agent sees, in the order of its role's ``Seen``; what a question is about is shown to who is asked."""
    subject = model.subject if model.subject is not None and model.subject.agent == agent else None
    role = agent if agent in ("ems", "coordinator") else "hospital"
    angle = 2.0 * math.pi * model.time_h / 24.0
    first = [math.sin(angle), math.cos(angle), *(float(subject is not None and subject.what == what) for what in ASKED[role])]
    if role == "ems":
        return first + ems_values(model, subject)
    if role == "coordinator":
        return first + coordinator_values(model)
    return first + hospital_values(model, model.hospitals[int(agent.removeprefix("hospital_"))])


def ems_values(model: RegionalNetwork, subject: Subject | None) -> list[float]:
    """Return what ``ems`` sees after the clock and the question."""
    patient = subject.patient if subject is not None else None
    since = model.time_h if patient is None else model.called_h[patient.number]
    travel = [60.0 * expected_travel_h(km) for _, km in (subject.candidates if subject is not None else ())]
    values = [
        float(patient.category) if patient is not None else 0.0,
        60.0 * (model.time_h - since),
        float(len(model.waiting_calls)),
        float(model.fleet.count(amb.AVAILABLE)),
        *travel,
        *[FAR_MIN] * (model.candidates - len(travel)),
    ]
    for hospital in model.hospitals:
        way = 0.0 if patient is None else 60.0 * expected_travel_h(distance_km(patient.scene, model.region.sites[hospital.number]))
        values += [*site_values(model, hospital), way, float(model.blocked_at(hospital)), float(hospital.diverting)]
    return values


def hospital_values(model: RegionalNetwork, hospital: Hospital) -> list[float]:
    """Return what a hospital sees after the clock and the question."""
    urgent = sum(patient.triage <= 2 for patient in hospital.places.waiting())
    _, free, boarding, beds, on_the_way = site_values(model, hospital)
    others = [other for other in model.hospitals if other is not hospital]
    return [
        float(urgent), float(hospital.waiting.present - urgent), free, hospital.load, boarding, hospital.boarding.longest_h(), beds,
        float(model.blocked_at(hospital)), on_the_way, max(hospital.diverting_until_h - model.time_h, 0.0),
        sum(other.load for other in others) / max(len(others), 1),
        sum(other.diverting for other in others) / max(len(others), 1),
    ]  # fmt: skip


def coordinator_values(model: RegionalNetwork) -> list[float]:
    """Return what the coordinator sees after the clock and the question."""
    values = [float(len(model.waiting_calls)), float(model.fleet.count(amb.AVAILABLE))]
    for hospital in model.hospitals:
        values += [*site_values(model, hospital), hospital.boarding.longest_h()]
    return values


def state_names(hospitals: int) -> tuple[str, ...]:
    """Return the names of the true state."""
    calls = [f"calls waiting, true acuity {level}" for level in range(1, 6)]
    fleet = [f"ambulances {one}" for one in STATES]
    own = (
        *(f"waiting, true acuity {level}" for level in range(1, 6)), "in treatment", "in treatment, to be admitted", "boarding",
        "beds taken",        "on the way", "diversion left (h)",
    )  # fmt: skip
    return ("time (h)", *calls, *fleet, *(f"hospital {i}: {name}" for i in range(hospitals) for name in own))


def state(model: RegionalNetwork) -> list[float]:
    """Return the true state, in the order of ``state_names``."""
    calls = [patient.acuity for patient, _ in model.waiting_calls.values()]
    values = [model.time_h, *(float(calls.count(level)) for level in range(1, 6)), *(float(model.fleet.count(one)) for one in STATES)]
    for hospital in model.hospitals:
        waiting = [patient.acuity for patient in hospital.places.waiting()]
        treated = hospital.in_treatment.values()
        values += [
            *(float(waiting.count(level)) for level in range(1, 6)), float(len(treated)), float(sum(one.admitted for one in treated)),
            float(hospital.boarding.present), float(hospital.beds.taken), site_values(model, hospital)[-1],
            max(hospital.diverting_until_h - model.time_h, 0.0),
        ]  # fmt: skip
    return values
