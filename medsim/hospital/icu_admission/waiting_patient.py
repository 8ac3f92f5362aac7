"""A patient of the unit with a queue: who they are, how triage sees them, and how likely they come back."""

from collections.abc import Sequence
from dataclasses import dataclass

import simpy

from medsim.core.portable import exp, log
from medsim.hospital.board import Occupant, Place
from medsim.hospital.icu_admission.settings import HIGH, KINDS, LOW

__all__ = ["BASE_RISK", "BOARDING_LIMIT_H", "SHOWN_ACUITY", "Patient", "chance_to_come_back", "place", "triaged"]

BOARDING_LIMIT_H = 4.0  # the customary limit, as in the four-hour standard
MOST_DAYS_CUT = 10.0  # chosen: beyond, the default's probability is 0.997 and no longer changes
SHOWN_ACUITY = (1, 3, 4)  # chosen: colours of the bed board, and the acuity in the event log
# Of death, without delay: high acuity Churpek 2016, J Hosp Med 11:757 (24.5 %); low acuity Chalfin 2007, Crit Care Med 35:1477 (8.4 % of
# those who boarded less than 6 h); after a planned operation: chosen, a quarter of the lower acuity's
BASE_RISK = (0.245, 0.084, 0.021)


@dataclass(slots=True, eq=False, kw_only=True)
class Patient:
    """Someone who needs the unit; hours.

    Attributes:
        who: numbers their random draws. kind: the true class. seen_as: the class by triage. visit: 0, or how often they have come back.
        forecast_h: the stay that is expected for them. in_bed_since_h: of one found at the start, before it. charged_h: of their waiting,
        how much has been accounted for. called: happens when a bed is free for them.
    """

    who: int
    kind: int
    seen_as: int
    visit: int
    stay_h: float
    forecast_h: float
    arrived_h: float
    called: simpy.Event
    in_bed_since_h: float = 0.0
    charged_h: float = 0.0


def triaged(kind: int, u: float, undertriage: float, overtriage: float) -> int:
    """Return the class that triage sees; u: a uniform number. Only emergencies are mistaken for each other."""
    if kind == HIGH:
        return LOW if u < undertriage else HIGH
    if kind == LOW:
        return HIGH if u < overtriage else LOW
    return kind


def chance_to_come_back(base: float, odds_ratio_per_day: float, days_cut: float) -> float:
    """Return the probability of a readmission, whose odds rise with the days that are cut off the stay."""
    odds = base / (1.0 - base) * exp(log(odds_ratio_per_day) * min(days_cut, MOST_DAYS_CUT))
    return odds / (1.0 + odds)


def place(beds: Sequence[Patient | None], waiting: Sequence[Patient], now_h: float) -> Place:
    """Return the unit as the bed board shows it: classes as triaged, the most urgent first in the queue."""
    queue = sorted(waiting, key=lambda one: one.seen_as)
    late = tuple(shown(one, "late" if now_h - one.arrived_h > BOARDING_LIMIT_H else "") for one in queue)
    return Place("icu", tuple(None if one is None else shown(one, "") for one in beds), late)


def shown(patient: Patient, flag: str) -> Occupant:
    """Return a patient as the bed board shows them."""
    return Occupant(f"{KINDS[patient.seen_as][0]}{patient.who}", SHOWN_ACUITY[patient.seen_as], flag)
