"""Who comes: everything about a patient that chance decides, keyed by the patient's number and so the same under every policy."""

import math
from dataclasses import dataclass, field

import simpy

from medsim.hospital.draws import ACUITY, DISPATCH, DURATION, ROUTE, START, STAY, TRAVEL, TRIAGE, Draws
from medsim.hospital.regional_network import region as r
from medsim.hospital.regional_network.region import Place2D

__all__ = ["Patient", "call", "noisy_level", "present_at_start", "walk_in"]

TO_SCENE, TO_HOSPITAL, TO_PICK_UP = range(3)  # parts of a patient's stream TRAVEL
AT_SCENE, TRANSFER = range(2)  # parts of the stream DURATION
LEVELS = 5  # acuity and triage: 1 the most urgent, 5 the least
STAY_MEAN_H = math.exp(r.STAY_MU + 0.5 * r.STAY_SIGMA**2)
STAY_SD_H = STAY_MEAN_H * math.sqrt(math.exp(r.STAY_SIGMA**2) - 1.0)


@dataclass(eq=False, kw_only=True)
class Patient:
    """One patient.

    Attributes:
        acuity: true, 1 the most urgent to 5, hidden from all agents; category: what the call was taken for, 0 if there was none.
        triage: what the hospital takes it for; treatment_h: on a place of the emergency department; admitted: needs a bed after it.
        stay_h: in the bed; hospital: where they are, or are going to; -1 none yet. moving: promised to another hospital.
        placed: happens when the emergency department takes them; collected: when an ambulance takes them to another hospital.
    """

    number: int
    acuity: int
    triage: int
    treatment_h: float
    admitted: bool
    stay_h: float
    category: int = 0
    scene: Place2D = (0.0, 0.0)
    hospital: int = -1
    arrived_h: float = 0.0  # at the hospital
    moving: bool = False
    placed: simpy.Event = field(repr=False)
    collected: simpy.Event = field(repr=False)


def noisy_level(level: int, u: float, errors: tuple[float, float]) -> int:
    """Return an urgency as it is judged: one level too urgent, or one too little, with probabilities ``errors``, by a number in (0, 1)."""
    too_urgent, too_little = errors
    shift = -1 if u < too_urgent else 1 if u > 1.0 - too_little else 0
    return min(max(level + shift, 1), LEVELS)


def person(env: simpy.Environment, draws: Draws, number: int, shares: tuple[float, ...]) -> Patient:
    """Return a patient with what is common to all ways of coming."""
    acuity = 1 + draws.category(ACUITY, number, shares)
    mean_h = r.TREATMENT_MIN[acuity - 1] / 60.0
    return Patient(
        number=number,
        acuity=acuity,
        triage=noisy_level(acuity, draws.uniform(TRIAGE, number), r.TRIAGE_ERRORS),
        treatment_h=draws.lognormal(STAY, number, 0, mean=mean_h, sd=r.TREATMENT_SPREAD * mean_h),
        admitted=draws.uniform(ROUTE, number) < r.ADMITTED[acuity - 1],
        stay_h=draws.lognormal(STAY, number, 1, mean=STAY_MEAN_H, sd=STAY_SD_H),
        placed=env.event(),
        collected=env.event(),
    )


def walk_in(env: simpy.Environment, draws: Draws, number: int) -> Patient:
    """Return somebody who comes by themselves."""
    return person(env, draws, number, r.WALK_IN_ACUITY)


def call(env: simpy.Environment, draws: Draws, number: int, side_km: float) -> Patient:
    """Return somebody for whom an ambulance is called, uniformly in the square."""
    patient = person(env, draws, number, r.AMBULANCE_ACUITY)
    patient.category = noisy_level(patient.acuity, draws.uniform(DISPATCH, number), r.DISPATCH_ERRORS)
    patient.scene = (side_km * draws.uniform(DISPATCH, number, 1), side_km * draws.uniform(DISPATCH, number, 2))
    return patient


def present_at_start(env: simpy.Environment, draws: Draws, number: int) -> Patient:
    """Return somebody who is under treatment when the episode begins: their treatment is what is left of it."""
    patient = walk_in(env, draws, number)
    mean_h = r.TREATMENT_MIN[patient.acuity - 1] / 60.0
    mean, sd = r.length_biased(mean_h, r.TREATMENT_SPREAD * mean_h)
    patient.treatment_h = draws.lognormal(START, number, 0, mean=mean, sd=sd) * draws.uniform(START, number, 1)
    return patient


def bed_left_h(draws: Draws, number: int) -> float:
    """Return how long a bed that is taken when the episode begins stays taken, in hours."""
    mean, sd = r.length_biased(STAY_MEAN_H, STAY_SD_H)
    return draws.lognormal(START, number, 2, mean=mean, sd=sd) * draws.uniform(START, number, 3)


def travel_h(draws: Draws, patient: Patient, part: int, km: float) -> float:
    """Return how long an ambulance's way takes for a patient: the same luck on every road."""
    return r.expected_travel_h(km) * draws.lognormal(TRAVEL, patient.number, part, mean=1.0, sd=r.TRAVEL_SPREAD)


def scene_h(draws: Draws, patient: Patient) -> float:
    """Return how long a crew is at the scene."""
    return draws.lognormal(DURATION, patient.number, AT_SCENE, mean=r.SCENE_H, sd=r.SCENE_SPREAD * r.SCENE_H)


def transfer_h(draws: Draws, patient: Patient) -> float:
    """Return how long a transfer takes, from one hospital's door to the other's."""
    return draws.lognormal(DURATION, patient.number, TRANSFER, mean=r.TRANSFER_H, sd=r.TRANSFER_SPREAD * r.TRANSFER_H)
