"""Who comes to a surgical suite: the elective lists, the emergencies, who lies in intensive care at first. Nothing depends on decisions."""

import math
from dataclasses import dataclass

from medsim.hospital.draws import ACUITY, ARRIVAL, DURATION, ELECTIVE, ROUTE, START, STAY, Draws, lognormal_parameters
from medsim.hospital.theatre.kinds import (
    ELECTIVES,
    EMERGENCIES,
    ICU_MEAN_H,
    ICU_SD_H,
    KINDS,
    MINIMUM_SHARE,
    RECOVERY_VARIATION,
)
from medsim.hospital.theatre.options import DAY_H, TheatreConfig

__all__ = ["Case", "draw_cases", "first_icu_stays", "last_start_h"]

FIRST_EMERGENCY = 1_000_000  # numbers of emergencies begin here, those of electives with 1000 times the day
FIRST_BED = 2_000_000


@dataclass(eq=False, kw_only=True)
class Case:
    """A patient, what will be true of them, and what has happened so far; times in hours from 08:00 of the first day.

    Attributes:
        position: on the day's elective list, from 1; 0 for emergencies. duration_h: actual time in the operating room; hidden.
        due_h: when an emergency is due.
    """

    number: int
    kind: int
    arrival_h: float
    duration_h: float
    recovery_h: float
    needs_icu: bool
    icu_h: float
    position: int = 0
    due_h: float = math.inf
    started_h: float | None = None
    cancelled_h: float | None = None
    surgery_over_h: float | None = None
    out_h: float | None = None
    boarding_from_h: float | None = None

    @property
    def emergency(self) -> bool:
        """Whether the case is an emergency."""
        return self.kind in EMERGENCIES

    def waited_h(self, now_h: float) -> float:
        """Return for how long the patient has waited, until the start, the cancellation, or now."""
        until = self.started_h if self.started_h is not None else self.cancelled_h
        return (now_h if until is None else until) - self.arrival_h


def draw_cases(draws: Draws, config: TheatreConfig) -> list[Case]:
    """Return all cases of an episode in the order in which they come."""
    return sorted([*elective_cases(draws, config), *emergency_cases(draws, config)], key=lambda case: (case.arrival_h, case.number))


def elective_cases(draws: Draws, config: TheatreConfig) -> list[Case]:
    """Return the electives of all days; every day's come at the session's start."""
    shares = tuple(KINDS[kind].share for kind in ELECTIVES)
    cases = []
    for day in range(int(config.days)):
        for place in range(int(config.electives_per_day)):
            number = 1000 * day + place
            kind = ELECTIVES[draws.category(ELECTIVE, number, shares)]
            cases.append(draw_case(draws, config, number, kind, day * DAY_H, place + 1))
    return cases


def emergency_cases(draws: Draws, config: TheatreConfig) -> list[Case]:
    """Return the emergencies: a Poisson process until the last day's session ends."""
    if config.emergencies_per_day == 0.0:
        return []
    shares = tuple(KINDS[kind].share for kind in EMERGENCIES)
    mean = DAY_H / config.emergencies_per_day
    cases: list[Case] = []
    time_h = draws.exponential(ARRIVAL, FIRST_EMERGENCY, mean=mean)
    while time_h < config.last_session_end_h:
        number = FIRST_EMERGENCY + len(cases)
        cases.append(draw_case(draws, config, number, EMERGENCIES[draws.category(ACUITY, number, shares)], time_h, 0))
        time_h += draws.exponential(ARRIVAL, number + 1, mean=mean)
    return cases


def draw_case(draws: Draws, config: TheatreConfig, number: int, kind_number: int, arrival_h: float, position: int) -> Case:
    """Return a case with all that will be true of it; every draw is keyed by its number."""
    kind = KINDS[kind_number]
    least = MINIMUM_SHARE * kind.expected_h if config.durations == "three-parameter" else 0.0
    spread = config.variability
    return Case(
        number=number,
        kind=kind_number,
        arrival_h=arrival_h,
        position=position,
        due_h=arrival_h + kind.due_h if kind_number in EMERGENCIES else math.inf,
        duration_h=least + draws.lognormal(DURATION, number, mean=kind.expected_h - least, sd=spread * kind.variation * kind.expected_h),
        recovery_h=draws.lognormal(STAY, number, mean=kind.recovery_h, sd=spread * RECOVERY_VARIATION * kind.recovery_h),
        needs_icu=draws.uniform(ROUTE, number) < kind.icu_share,
        icu_h=draws.lognormal(STAY, number, 1, mean=ICU_MEAN_H, sd=ICU_SD_H),
    )


def first_icu_stays(draws: Draws, config: TheatreConfig) -> list[float]:
    """Return the hours left of those who lie in intensive care at first.

    In the long run a stay that is met is longer than most, and one is met at any point of it alike: the hours left are a uniform share
    of a stay drawn in proportion to its length, which for a lognormal is one with mu larger by sigma squared.
    """
    mu, sigma = lognormal_parameters(ICU_MEAN_H, ICU_SD_H)
    longer = math.exp(mu + 1.5 * sigma**2)  # mean of the stays that are met
    variation = math.sqrt(math.expm1(sigma**2))
    stays = []
    for bed in range(FIRST_BED, FIRST_BED + int(config.icu_beds)):
        if draws.uniform(START, bed) < config.icu_occupancy:
            stays.append(draws.uniform(START, bed, 1) * draws.lognormal(STAY, bed, mean=longer, sd=variation * longer))
    return stays


def last_start_h(config: TheatreConfig, case: Case) -> float:
    """Return until when an elective may begin: when it would be expected to end at the session's end plus the overtime allowed."""
    return case.arrival_h + max(0.0, config.session_h + config.allowed_overtime_h - KINDS[case.kind].expected_h)
