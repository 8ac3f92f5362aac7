"""Figures of an episode, and its bed board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsim.hospital.board import Board, Occupant, Place
from medsim.hospital.regional_network import ambulances as amb

if TYPE_CHECKING:
    from medsim.hospital.regional_network.hospital import Hospital
    from medsim.hospital.regional_network.meters import Census
    from medsim.hospital.regional_network.model import RegionalNetwork

__all__ = ["board", "metrics"]

LATE_H = 4.0  # from when on a boarding patient is marked


def mean_time_h(censuses: list[Census]) -> float:
    """Return the mean time in several places, over all who came to any of them."""
    arrived = sum(census.arrived for census in censuses)
    return sum(census.patient_hours()[1] for census in censuses) / arrived if arrived else 0.0


def metrics(model: RegionalNetwork) -> dict[str, float]:
    """Return figures of the episode so far; means are over all who came, and those who still wait count until now."""
    hospitals, counts, calls = model.hospitals, model.counts, model.calls
    hours = max(model.time_h, 1e-9) * max(len(model.fleet.all), 1)
    late = model.meters.amount("response_above_8_min")
    return {
        "calls": float(calls.arrived),
        "calls_reached": float(calls.left),
        "mean_response_min": 60.0 * calls.mean_time_h(),
        "share_of_urgent_above_8_min": late / counts["high_acuity_calls"] if counts["high_acuity_calls"] else 0.0,
        "arrivals": float(sum(one.department.arrived for one in hospitals)),
        "left_department": float(sum(one.department.left for one in hospitals)),
        "in_department": float(sum(one.department.present for one in hospitals)),
        "mean_wait_min": 60.0 * mean_time_h([one.waiting for one in hospitals]),
        "mean_boarding_h": mean_time_h([one.boarding for one in hospitals]),
        "mean_offload_min": 60.0 * model.handovers.mean_time_h(),
        "transfers_offered": float(counts["offers"]),
        "transfers": float(counts["transfers"]),
        "diversions": float(counts["diversions"]),
        "diversion_h": model.meters.amount("diverting"),
        "ambulances_in_use": 1.0 - model.meters.amount(f"ambulances {amb.AVAILABLE}") / hours if model.fleet.all else 0.0,
    }


def board(model: RegionalNetwork) -> Board:
    """Return the bed board: emergency departments by patient, wards and ambulances as lines."""
    lines = [f"calls waiting: {len(model.waiting_calls)}"]
    lines.append("ambulances: " + ", ".join(f"{model.fleet.count(state)} {state.replace('_', ' ')}" for state in amb.STATES))
    for hospital in model.hospitals:
        lines.append(f"{hospital.name}: beds {hospital.beds.taken}/{hospital.beds.capacity}, boarding {hospital.boarding.present}")
    return Board(time_h=model.time_h, places=tuple(department(hospital) for hospital in model.hospitals), lines=tuple(lines))


def department(hospital: Hospital) -> Place:
    """Return one emergency department; colours are the triage's, not the true acuity."""
    since, now = hospital.boarding.since, hospital.env.now
    beds: list[Occupant | None] = [Occupant(str(one.number % 1000), one.triage) for one in hospital.in_treatment.values()]
    for number, one in hospital.boarders.items():
        beds.append(Occupant(str(number % 1000), one.triage, "late" if now - since[number] > LATE_H else "boarding"))
    beds += [None] * (hospital.places.capacity - len(beds))
    queue = tuple(Occupant(str(one.number % 1000), one.triage) for one in hospital.places.waiting())
    return Place(hospital.name, tuple(beds), queue, note="diverts" if hospital.diverting else "")
