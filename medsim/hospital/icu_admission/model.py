"""The unit of ``variant="trunk"``: two classes of patients, beds, and nowhere to wait.

It is the loss system of ``medsim.hospital.theory.loss``, as processes: patients come, find a bed or none, are admitted or refused, stay,
and leave. The model asks about each patient who finds an empty bed; who finds none is refused, whoever decides.
"""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any

from medsim.core.streams import Key
from medsim.hospital.board import Board, Occupant, Place
from medsim.hospital.decisions import legal
from medsim.hospital.draws import ARRIVAL, START
from medsim.hospital.icu_admission.settings import EMERGENCY, TRUNK_KINDS, TrunkConfig
from medsim.hospital.icu_admission.stays import StayLaw, busy_at_start
from medsim.hospital.icu_admission.unit import Unit

__all__ = ["ACTIONS", "COSTS", "TERMS", "LossUnit", "trunk_state_names"]

ACTIONS = ("nothing", "admit")
ADMIT = 1
TERMS = ("refused_emergency", "refused_elective")
COSTS = ("refused_high_acuity", "refused_elective")
SHOWN_ACUITY = (1, 4)  # chosen: colours of the bed board
MASK = legal(len(ACTIONS), (ADMIT,))
STARTERS = 2  # the class of draws of those who are there at the start, beside those of arrivals

Process = Generator[Any, Any, None]


@dataclass(slots=True, eq=False)
class Patient:
    """Someone in, or at, the unit; ``who`` numbers their random draws."""

    who: int
    kind: int
    stay_h: float


def trunk_state_names(config: TrunkConfig) -> tuple[str, ...]:
    """Return the names of the true state."""
    return ("time h", "beds busy", "class at hand", *(f"bed {k} remaining stay h" for k in range(int(config.beds))))


class LossUnit(Unit[Patient]):
    """One episode of ``variant="trunk"``."""

    def __init__(self, config: TrunkConfig, key: Key) -> None:
        super().__init__(int(config.beds), 24.0 * config.horizon_days, key, config.log_events, TERMS, COSTS)
        self.rates = (config.emergencies_per_day, config.electives_per_day)
        self.refusal_costs = (config.emergency_refusal_cost, config.elective_refusal_cost)
        self.stays = StayLaw(shape=config.stay, mean_h=24.0 * config.mean_stay_days, sd_h=24.0 * config.stay_sd_days)
        self.at_hand: Patient | None = None
        self.ends: dict[Patient, float] = {}
        self.arrived, self.refused, self.full = [0, 0], [0, 0], [0, 0]
        self.at_start = self.treated = 0
        self._fill(busy_at_start(self.draws, sum(self.rates) * config.mean_stay_days, int(config.beds)))
        for kind, rate in enumerate(self.rates):
            if rate > 0.0:
                self.env.process(self.arrivals(kind, 24.0 / rate))

    def _fill(self, patients: int) -> None:
        self.at_start = patients
        for number in range(patients):
            who = number * 3 + STARTERS
            kind = self.draws.category(START, who, (self.rates[0] / sum(self.rates), self.rates[1] / sum(self.rates)), 4)
            self.admit(Patient(who, kind, self.stays.in_progress_h(self.draws, who)[1]))

    def arrivals(self, kind: int, gap_h: float) -> Process:
        """Patients of a class come one after the other, ``gap_h`` apart in the mean."""
        for number in count():
            yield self.env.timeout(self.draws.exponential(ARRIVAL, number, kind, mean=gap_h))
            who = number * 3 + kind
            yield from self.arrival(Patient(who, kind, self.stays.stay_h(self.draws, who)))

    def arrival(self, patient: Patient) -> Process:
        """A patient comes: refused for want of a bed, or admitted or refused as the agent says."""
        self.arrived[patient.kind] += 1
        self._note("arrives", patient)
        if self.free_beds == 0:
            self.full[patient.kind] += 1
            self.refuse(patient, "no bed")
            return
        self.at_hand = patient
        action = yield self.desk.ask("icu", MASK, "arrival")
        self.at_hand = None
        if action == ADMIT:
            self.admit(patient)
        else:
            self.refuse(patient, "decided")

    def admit(self, patient: Patient) -> None:
        """A patient takes a bed, and will leave it after their stay."""
        self.take_bed(patient)
        self.ends[patient] = self.env.now + patient.stay_h
        self._note("admitted", patient)
        self.env.process(self.stay(patient))

    def stay(self, patient: Patient) -> Process:
        """A patient is treated for the whole stay, and leaves."""
        yield self.env.timeout(patient.stay_h)
        self.leave_bed(patient)
        del self.ends[patient]
        self.treated += 1
        self._note("leaves", patient)

    def refuse(self, patient: Patient, why: str) -> None:
        """A patient is turned away, which has a cost."""
        self.refused[patient.kind] += 1
        self.terms[TERMS[patient.kind]] -= self.refusal_costs[patient.kind]
        self.costs[COSTS[patient.kind]] += 1.0
        self._note("refused", patient, why)

    def _note(self, event: str, patient: Patient, detail: str = "") -> None:
        self.log.add(self.env.now, event, patient.who, "icu", SHOWN_ACUITY[patient.kind], detail=detail or TRUNK_KINDS[patient.kind])

    def observe(self, agent: str) -> list[float]:
        """Return the share of busy beds and the class of the patient at hand; no class once the watching has ended."""
        hand = self.at_hand
        urgent = hand is not None and hand.kind == EMERGENCY
        return [self.busy_share, float(urgent), float(hand is not None and not urgent)]

    def state(self) -> list[float]:
        """Return the true state, in the order of ``trunk_state_names``; a class of -1: nobody; an empty bed has nothing left to stay."""
        left = [0.0 if one is None else self.ends[one] - self.env.now for one in self.beds]
        return [self.env.now, float(len(self.in_bed.since)), -1.0 if self.at_hand is None else float(self.at_hand.kind), *left]

    def metrics(self) -> dict[str, float]:
        """Return counts, shares refused by class, the cost a day, and both sides of Little's law in hours."""
        days = max(self.env.now / 24.0, 1e-12)
        spent = sum(number * cost for number, cost in zip(self.refused, self.refusal_costs, strict=True))
        found = {"cost_per_day": spent / days, "mean_beds_busy": self.in_bed.number_integral_h() / (24.0 * days)}
        for kind, name in enumerate(TRUNK_KINDS):
            found[f"{name}_arrived"], found[f"{name}_refused"] = float(self.arrived[kind]), float(self.refused[kind])
            found[f"{name}_found_no_bed"] = float(self.full[kind])
            found[f"{name}_share_refused"] = self.refused[kind] / max(self.arrived[kind], 1)
        found |= {"at_start": float(self.at_start), "treated": float(self.treated), "present": float(len(self.in_bed.since))}
        found |= {"bed_number_integral_h": self.in_bed.number_integral_h(), "bed_individual_sum_h": self.in_bed.individual_sum_h()}
        return found

    def board(self) -> Board:
        """Return who is in which bed, and who is at the door."""
        beds = tuple(None if one is None else shown(one) for one in self.beds)
        queue = () if self.at_hand is None else (shown(self.at_hand),)
        refused = f"refused: {self.refused[0]} emergencies, {self.refused[1]} elective"
        return Board(time_h=self.env.now, places=(Place("icu", beds, queue),), lines=(refused,))


def shown(patient: Patient) -> Occupant:
    """Return a patient as the bed board shows them."""
    return Occupant(f"{TRUNK_KINDS[patient.kind][:2]}{patient.who // 3}", SHOWN_ACUITY[patient.kind])
