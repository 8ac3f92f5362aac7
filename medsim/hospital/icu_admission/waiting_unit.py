"""The unit of ``variant="queue"``: patients wait for a bed where they are, are sent elsewhere, or take the bed of one who leaves early.

A patient's way is one process (``course``): they arrive, are asked about, wait, get a bed or are sent elsewhere, are discharged, and may
come back. The model asks about a patient when they arrive, when a bed has become free and they are the first to wait for it, and again
after ``review_h``. Who leaves early comes back more often, the more days are cut off: the direction is that of Kc and Terwiesch 2012,
the size is chosen. What a delay is worth in expected excess deaths is an association (``medsim.hospital.harm``), not an effect.
"""

from collections.abc import Generator
from itertools import count
from typing import Any

from medsim.core.portable import log
from medsim.core.streams import Key
from medsim.hospital.board import Board
from medsim.hospital.decisions import legal
from medsim.hospital.draws import ARRIVAL, ROUTE, START, STAY, TRIAGE, draw_lognormal
from medsim.hospital.harm import HarmModel
from medsim.hospital.icu_admission.settings import (
    BACK_AFTER_MEDIAN_H,
    BACK_AFTER_SIGMA,
    ELECTIVE,
    HIGH,
    KINDS,
    LOW,
    QueueConfig,
)  # fmt: skip
from medsim.hospital.icu_admission.stays import StayLaw, busy_at_start
from medsim.hospital.icu_admission.theatre import THEATRE_DAY_H, theatre_hours_left, theatre_to_calendar_h
from medsim.hospital.icu_admission.unit import Census, Unit
from medsim.hospital.icu_admission.waiting_patient import (
    BASE_RISK,
    BOARDING_LIMIT_H,
    SHOWN_ACUITY,
    Patient,
    chance_to_come_back,
    place,
    triaged,
)  # fmt: skip
from medsim.hospital.task import Ledger

__all__ = ["ACTIONS", "COSTS", "TERMS", "WaitingUnit", "queue_state_names"]

ACTIONS = ("nothing", "admit", "refuse", "discharge_early")
ADMIT, REFUSE, DISCHARGE_EARLY = 1, 2, 3
TERMS = ("waiting", "transfers", "readmissions")
COSTS = ("refused_high_acuity", "boarding_above_4_h", "early_discharge_readmissions", "expected_excess_deaths")

WAITING_COST_PER_H = {"acuity": (1.0, 0.4, 0.2), "equal": (0.5, 0.5, 0.5)}  # chosen: the order of urgency, and a mean of it
TRANSFER_COST = (24.0, 12.0, 8.0)  # chosen: a day, 30 h and 40 h of waiting of the class
READMISSION_COST = 72.0  # chosen: three transfers of the high acuity, with which early discharge pays for the urgent only
STARTERS = 3  # the class of draws of those who are there at the start

Process = Generator[Any, Any, None]


def queue_state_names(config: QueueConfig) -> tuple[str, ...]:
    """Return the names of the true state."""
    waiting = [f"waiting {name}" for name in KINDS]
    return (
        "time h",
        "beds busy",
        *waiting,
        "class at hand",
        "later readmissions",
        *(f"bed {k} remaining stay h" for k in range(int(config.beds))),
    )


class WaitingUnit(Unit[Patient]):
    """One episode of ``variant="queue"``."""

    def __init__(self, config: QueueConfig, key: Key) -> None:
        super().__init__(int(config.beds), 24.0 * config.horizon_days, key, config.log_events, TERMS, COSTS)
        self.config = config
        self.harm = HarmModel(odds_ratio_per_icu_delay_hour=config.icu_odds_ratio_per_hour)
        self.waiting_cost_per_h = WAITING_COST_PER_H[config.waiting_costs_per_h]
        emergency = StayLaw(shape="lognormal", mean_h=24.0 * config.emergency_stay_mean_days, sd_h=24.0 * config.emergency_stay_sd_days)
        elective = StayLaw(shape="lognormal", mean_h=24.0 * config.elective_stay_mean_days, sd_h=24.0 * config.elective_stay_sd_days)
        self.stays = (emergency, emergency, elective)
        self.waiting: list[Patient] = []  # in the order of arrival
        self.in_queue: Census[Patient] = Census(self.env)
        self.at_hand: Patient | None = None
        self.question = ""
        self.counts = dict.fromkeys(("at_start", "arrived", "refused", "discharged", "discharged_early", "readmitted", "full"), 0)
        self.still_to_return = 0
        rates = (config.high_acuity_per_day / 24.0, config.low_acuity_per_day / 24.0, config.electives_per_weekday / THEATRE_DAY_H)
        self._fill(rates)
        for kind, rate in enumerate(rates):
            if rate > 0.0:
                self.env.process(self.arrivals(kind, 1.0 / rate))

    def _fill(self, rates: tuple[float, float, float]) -> None:
        """Put patients into beds as if everybody had been admitted for ever."""
        per_h = (rates[0], rates[1], rates[2] * 5.0 * THEATRE_DAY_H / 168.0)
        loads = [rate * stay.mean_h for rate, stay in zip(per_h, self.stays, strict=True)]
        shares = tuple(load / max(sum(loads), 1e-300) for load in loads)
        self.counts["at_start"] = busy_at_start(self.draws, sum(loads), int(self.config.beds))
        for number in range(self.counts["at_start"]):
            who = number * 4 + STARTERS
            kind = self.draws.category(START, who, shares, 4)
            gone_h, left_h = self.stays[kind].in_progress_h(self.draws, who)
            patient = self.patient(who, kind, 0, gone_h + left_h)
            self.take_bed(patient)
            patient.in_bed_since_h -= gone_h
            self.env.process(self.treatment(patient, left_h))

    def patient(self, who: int, kind: int, visit: int, stay_h: float) -> Patient:
        """Return a patient at the door, with what triage says and what stay is forecast."""
        error = draw_lognormal(self.draws.key, STAY, who, 2048 + visit, 0.0, self.config.forecast_sigma)
        u = self.draws.uniform(TRIAGE, who, visit)
        seen_as = triaged(kind, u, self.config.undertriage, self.config.overtriage)
        return Patient(
            who=who,
            kind=kind,
            seen_as=seen_as,
            visit=visit,
            stay_h=stay_h,
            forecast_h=stay_h * error,
            arrived_h=self.env.now,
            called=self.env.event(),
        )

    def take_bed(self, patient: Patient) -> None:
        """A patient takes the first empty bed."""
        super().take_bed(patient)
        patient.in_bed_since_h = self.env.now

    # How patients come

    def arrivals(self, kind: int, gap_h: float) -> Process:
        """Patients of a class come one after the other, ``gap_h`` apart in the mean (electives: in theatre hours)."""
        clock_h = 0.0
        for number in count():
            clock_h += self.draws.exponential(ARRIVAL, number, kind, mean=gap_h)
            comes_h = theatre_to_calendar_h(clock_h) if kind == ELECTIVE else clock_h
            yield self.env.timeout(max(comes_h - self.env.now, 0.0))
            who = number * 4 + kind
            self.env.process(self.course(self.patient(who, kind, 0, self.stays[kind].stay_h(self.draws, who))))

    def course(self, patient: Patient) -> Process:
        """A patient's way through the unit."""
        self.counts["arrived"] += 1
        self.waiting.append(patient)
        self.in_queue.enter(patient)
        self._note("arrives", patient)
        yield from self.wait(patient)
        if patient in self.in_bed.since:
            yield from self.treatment(patient, patient.stay_h)

    def wait(self, patient: Patient) -> Process:
        """Ask about a patient until they have a bed or are sent elsewhere: at arrival, when called to a bed, after each review time."""
        question = "arrival"
        while patient in self.in_queue.since:
            allowed = self.allowed()
            if allowed == [REFUSE] and question == "arrival" and len(self.waiting) > self.config.waiting_places:
                self.counts["full"] += 1
                self.refuse(patient, "no place to wait")  # no other answer could be given
                return
            self.at_hand, self.question = patient, question
            action = yield self.desk.ask("icu", legal(len(ACTIONS), allowed), question)
            self.at_hand = None
            self.carry_out(action, patient)
            if patient in self.in_queue.since:
                patient.called = self.env.event()
                calls = yield patient.called | self.env.timeout(self.config.review_h)
                question = "bed free" if patient.called in calls else "review"

    def allowed(self) -> list[int]:
        """Return what can be done for a patient who waits, beside nothing."""
        if self.free_beds > 0:
            return [ADMIT, REFUSE]
        return [REFUSE, DISCHARGE_EARLY] if self.nearest_to_ready() is not None else [REFUSE]

    def carry_out(self, action: int, patient: Patient) -> None:
        """Do what the agent says; who is left to wait without a place to wait is refused."""
        if action == DISCHARGE_EARLY:
            nearest = self.nearest_to_ready()
            assert nearest is not None  # the mask allows it only then
            self.discharge(nearest, early=True)
        if action in (ADMIT, DISCHARGE_EARLY):
            self.leave_queue(patient)
            self.take_bed(patient)
            self._note("admitted", patient)
        elif action == REFUSE:
            self.refuse(patient, "decided")
        elif len(self.waiting) > self.config.waiting_places:
            self.counts["full"] += 1
            self.refuse(patient, "no place to wait")
        if action != 0:
            self.call_first()

    def call_first(self) -> None:
        """Have the first who waits asked about, if a bed is free: by urgency as triaged, then by arrival."""
        others = [one for one in self.waiting if one is not self.at_hand and not one.called.triggered]
        if others and self.free_beds > 0:
            min(others, key=lambda one: one.seen_as).called.succeed()

    def refuse(self, patient: Patient, why: str) -> None:
        """A patient is sent elsewhere, where intensive care begins later still."""
        self.leave_queue(patient)
        self.counts["refused"] += 1
        self.terms["transfers"] -= TRANSFER_COST[patient.kind]
        self.costs["refused_high_acuity"] += float(patient.kind == HIGH)
        waited_h = self.env.now - patient.arrived_h
        self.costs["expected_excess_deaths"] += self.excess(patient, waited_h, waited_h + self.config.transfer_delay_h)
        self._note("refused", patient, why)

    # How patients go

    def nearest_to_ready(self) -> Patient | None:
        """Return who is forecast to be ready first, among those who have stayed long enough to leave early."""
        known = [one for one in self.in_bed.since if self.env.now - one.in_bed_since_h >= self.config.least_stay_h]
        return min(known, key=lambda one: (one.in_bed_since_h + one.forecast_h, one.who), default=None)

    def treatment(self, patient: Patient, left_h: float) -> Process:
        """A patient is treated until they are ready, or leave early."""
        yield self.env.timeout(left_h)
        if patient in self.in_bed.since:
            self.discharge(patient, early=False)
            self.call_first()

    def discharge(self, patient: Patient, early: bool) -> None:
        """A patient leaves their bed, and may come back."""
        cut_h = max(patient.in_bed_since_h + patient.stay_h - self.env.now, 0.0) if early else 0.0
        self.leave_bed(patient)
        self.counts["discharged_early" if early else "discharged"] += 1
        self._note("leaves early" if early else "leaves", patient)
        config = self.config
        chance = chance_to_come_back(config.base_readmission, config.readmission_odds_per_day, cut_h / 24.0)
        if self.draws.uniform(ROUTE, patient.who, patient.visit) < chance:
            self.still_to_return += 1
            self.env.process(self.return_later(patient, early))

    def return_later(self, patient: Patient, early: bool) -> Process:
        """A patient comes back some days later, as one of high acuity, for a new stay."""
        visit, who = patient.visit + 1, patient.who
        yield self.env.timeout(draw_lognormal(self.draws.key, ROUTE, who, 2048 + visit, log(BACK_AFTER_MEDIAN_H), BACK_AFTER_SIGMA))
        self.still_to_return -= 1
        self.counts["readmitted"] += 1
        self.terms["readmissions"] -= READMISSION_COST
        self.costs["early_discharge_readmissions"] += float(early)
        yield from self.course(self.patient(who, HIGH, visit, self.stays[HIGH].stay_h(self.draws, who, visit)))

    # What it costs

    def excess(self, patient: Patient, from_h: float, to_h: float) -> float:
        """Return the expected excess deaths that a longer delay adds for a patient."""
        ratio, base = self.harm.odds_ratio_per_icu_delay_hour, BASE_RISK[patient.kind]
        return max(self.harm.excess_risk(base, ratio, to_h) - self.harm.excess_risk(base, ratio, from_h), 0.0)

    def leave_queue(self, patient: Patient) -> None:
        """A patient no longer waits."""
        self._charge(patient)
        self.waiting.remove(patient)
        self.in_queue.leave(patient)

    def _charge(self, patient: Patient) -> None:
        """Bring the costs of a patient's waiting up to now: exact integrals, whenever they are read."""
        waited_h, before_h = self.env.now - patient.arrived_h, patient.charged_h
        self.terms["waiting"] -= self.waiting_cost_per_h[patient.kind] * (waited_h - before_h)
        self.costs["boarding_above_4_h"] += max(waited_h - BOARDING_LIMIT_H, 0.0) - max(before_h - BOARDING_LIMIT_H, 0.0)
        self.costs["expected_excess_deaths"] += self.excess(patient, before_h, waited_h)
        patient.charged_h = waited_h

    def drain(self) -> Ledger:
        """Return what has come in since the last call, waiting up to now."""
        for patient in self.waiting:
            self._charge(patient)
        return super().drain()

    def _note(self, event: str, patient: Patient, detail: str = "") -> None:
        acuity, triage = SHOWN_ACUITY[patient.kind], SHOWN_ACUITY[patient.seen_as]
        self.log.add(self.env.now, event, patient.who, "icu", acuity, triage, detail or KINDS[patient.kind])

    # What is seen

    def observe(self, agent: str) -> list[float]:
        """Return what the task's ``seen`` names: classes as triaged, and forecasts in place of what is left to stay."""
        now, hand = self.env.now, self.at_hand
        seen_as = -1 if hand is None else hand.seen_as
        forecast_h = [max(one.in_bed_since_h + one.forecast_h - now, 0.0) for one in self.in_bed.since]
        return [
            self.busy_share,
            *(float(seen_as == kind) for kind in (HIGH, LOW, ELECTIVE)),
            0.0 if hand is None else now - hand.arrived_h,
            float(hand is not None and self.question == "arrival"),
            *(float(sum(one.seen_as == kind for one in self.waiting)) for kind in (HIGH, LOW, ELECTIVE)),
            max((now - one.arrived_h for one in self.waiting), default=0.0),
            min(forecast_h, default=0.0),
            sum(hours <= 24.0 for hours in forecast_h) / max(len(self.beds), 1),
            now % 24.0,
            theatre_hours_left(now),
        ]

    def state(self) -> list[float]:
        """Return the true state, in the order of ``queue_state_names``; a class of -1: nobody."""
        left = [0.0 if one is None else one.in_bed_since_h + one.stay_h - self.env.now for one in self.beds]
        waiting = [float(sum(one.kind == kind for one in self.waiting)) for kind in (HIGH, LOW, ELECTIVE)]
        hand = -1.0 if self.at_hand is None else float(self.at_hand.kind)
        return [self.env.now, float(len(self.in_bed.since)), *waiting, hand, float(self.still_to_return), *left]

    def metrics(self) -> dict[str, float]:
        """Return counts, the mean wait, the mean number of busy beds, and both sides of Little's law of beds and of waiting, in hours."""
        found = {name: float(number) for name, number in self.counts.items()}
        found |= {"present": float(len(self.in_bed.since)), "waiting_now": float(len(self.waiting))}
        found["mean_wait_h"] = self.in_queue.individual_sum_h() / max(self.counts["arrived"], 1)
        found["mean_beds_busy"] = self.in_bed.number_integral_h() / max(self.env.now, 1e-12)
        for name, census in (("bed", self.in_bed), ("wait", self.in_queue)):
            found[f"{name}_number_integral_h"] = census.number_integral_h()
            found[f"{name}_individual_sum_h"] = census.individual_sum_h()
        return found

    def board(self) -> Board:
        """Return who is in which bed and who waits, by urgency."""
        lines = (f"refused: {self.counts['refused']}", f"left early: {self.counts['discharged_early']}, back: {self.counts['readmitted']}")
        return Board(time_h=self.env.now, places=(place(self.beds, self.waiting, self.env.now),), lines=lines)
