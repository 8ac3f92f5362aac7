"""What happens to one patient, as functions of their random key and a few numbers: the SimPy model and the compiled core call these.

Acuities and triage categories count from 0 (most urgent) to 4 here.
"""

import math

from medsim.core.inlining import compiled_once
from medsim.core.portable import exp
from medsim.core.streams import Key
from medsim.hospital.draws import (
    ACUITY,
    ARRIVAL,
    GROUP,
    PATIENCE,
    ROUTE,
    START,
    STAY,
    THINNING,
    TRIAGE,
    draw_exponential,
    draw_lognormal,
    draw_uniform,
)
from medsim.hospital.harm import excess_risk

__all__ = [
    "acuity_of", "admission_harm", "group_of", "icu_harm", "next_arrival_h", "next_unit", "nurse_harm_per_h", "patience_h", "readmitted",
    "residual_stay_h", "shorter_stay", "stay_h", "triage_of",
]  # fmt: skip

HOME = -1
LOGNORMAL, EXPONENTIAL, CONSTANT = 0, 1, 2
HOURS_OF_WEEK = 168
FIRST_AT_START = 1 << 30  # patients who are there at the start are numbered from here


@compiled_once
def next_arrival_h(key: Key, stream: int, candidate: int, time_h: float, end_h: float, rates, top: float) -> tuple[float, int]:  # type: ignore[no-untyped-def]
    """Return the time of a stream's next arrival, and the number of the candidate after it: thinning (Lewis and Shedler 1979).

    Candidates come at the top rate, and one at time t is an arrival with probability rate(t) / top. A time beyond end_h: no more.
    """
    if top <= 0.0:
        return math.inf, candidate
    while time_h <= end_h:
        time_h += draw_exponential(key, ARRIVAL, candidate, stream, 1.0 / top)
        rate = rates[stream, int(time_h) % HOURS_OF_WEEK]
        candidate += 1
        if rate >= top or draw_uniform(key, THINNING, candidate - 1, stream) * top < rate:
            return time_h, candidate
    return math.inf, candidate


@compiled_once
def acuity_of(key: Key, patient: int, shares, row: int) -> int:  # type: ignore[no-untyped-def]
    """Return a patient's true acuity from shares (rows, 5)."""
    for acuity in range(5):
        if shares[row, acuity] >= 1.0:  # nothing to draw
            return acuity
    u = draw_uniform(key, ACUITY, patient, 0)
    total = 0.0
    for acuity in range(4):
        total += shares[row, acuity]
        if u < total:
            return acuity
    return 4


@compiled_once
def group_of(key: Key, patient: int, shares) -> int:  # type: ignore[no-untyped-def]
    """Return the group that a patient belongs to, from shares (G,)."""
    count = shares.shape[0]
    if count == 1:
        return 0
    u = draw_uniform(key, GROUP, patient, 0)
    total = 0.0
    for group in range(count - 1):
        total += shares[group]
        if u < total:
            return group
    return int(count - 1)


@compiled_once
def triage_of(key: Key, patient: int, acuity: int, under: float, over: float) -> int:
    """Return the triage category: the true acuity, or one less urgent (under-triage) or more urgent."""
    if under + over <= 0.0:
        return acuity
    u = draw_uniform(key, TRIAGE, patient, 0)
    if u < under:
        return min(acuity + 1, 4)
    return max(acuity - 1, 0) if u > 1.0 - over else acuity


@compiled_once
def stay_h(key: Key, patient: int, visit: int, law: int, mu: float, sigma: float) -> float:
    """Return how long a patient's visit lasts, in hours, if the unit is not crowded."""
    if law == LOGNORMAL:
        return draw_lognormal(key, STAY, patient, visit, mu, sigma)
    return draw_exponential(key, STAY, patient, visit, mu) if law == EXPONENTIAL else mu


@compiled_once
def residual_stay_h(key: Key, patient: int, law: int, mu: float, sigma: float) -> float:
    """Return the rest of the stay of someone who is in the middle of it: the equilibrium law of renewal theory.

    A stay that is met in the middle is drawn in proportion to its length (a lognormal's mu grows by sigma squared), and uniformly cut.
    """
    if law == EXPONENTIAL:
        return draw_exponential(key, START, patient, 0, mu)
    whole = draw_lognormal(key, START, patient, 1, mu + sigma * sigma, sigma) if law == LOGNORMAL else mu
    return draw_uniform(key, START, patient, 0) * whole


def shorter_stay(stay: float, share: float, crowding_from: float, crowding: float) -> float:
    """Return a stay that begins in a unit of which this share is taken: a full unit sends people home earlier."""
    return stay * exp(-crowding * (share - crowding_from)) if share > crowding_from else stay


@compiled_once
def patience_h(key: Key, patient: int, unit: int, mean_h: float) -> float:
    """Return after how many hours in a unit's queue a patient leaves unseen."""
    return draw_exponential(key, PATIENCE, patient, unit, mean_h)


@compiled_once
def next_unit(key: Key, patient: int, visit: int, exits, unit: int, acuity: int) -> int:  # type: ignore[no-untyped-def]
    """Return where a patient goes after a visit, from exits (U, 5, U); HOME otherwise."""
    most = 0.0
    for target in range(exits.shape[2]):
        most = max(most, exits[unit, acuity, target])
    if most <= 0.0:  # nothing to draw
        return HOME
    u = draw_uniform(key, ROUTE, patient, visit)
    total = 0.0
    for target in range(exits.shape[2]):
        total += exits[unit, acuity, target]
        if u < total:
            return target
    return HOME


def readmitted(plan_rate: float, cut_h: float) -> float:
    """Return the probability that a patient who left intensive care so many hours early has to go back after the ward."""
    return 1.0 - exp(-plan_rate * cut_h / 24.0)


def icu_harm(delay_h: float, harm) -> float:  # type: ignore[no-untyped-def]
    """Return the expected excess deaths of one patient who waited so long for intensive care."""
    return excess_risk(harm[0], harm[1] * delay_h)


def admission_harm(since_arrival_h: float, harm) -> float:  # type: ignore[no-untyped-def]
    """Return the expected excess deaths of one patient who gets, or still awaits, a ward bed so long after arriving."""
    counted_h = min(since_arrival_h, harm[5]) - harm[4]
    return excess_risk(harm[2], harm[3] * counted_h) if counted_h > 0.0 else 0.0


def nurse_harm_per_h(patients: int, nurses: int, per_nurse: float, mean_stay_h: float, harm) -> float:  # type: ignore[no-untyped-def]
    """Return the expected excess deaths an hour in a unit whose nurses have too many patients: linear in the time spent so.

    The published odds ratio is of a whole stay with so many patients more for each nurse; an hour counts as its share of the stay.
    """
    extra = patients / nurses - per_nurse if nurses > 0 else float(patients)
    return patients * harm[2] * (1.0 - harm[2]) * harm[6] * extra / mean_stay_h if extra > 0.0 else 0.0
