"""The flow of patients through a hospital as SimPy processes.

A patient arrives, waits for a bed in a unit, is treated, and moves on: to another unit, for whose bed they may have to wait in the bed
that they hold (boarding), or home. Units give their beds by a rule, or an agent is asked. The clock changes shifts and asks the
manager. The site asks the agents, one after the other, whenever something has happened that leaves them a choice.
"""

import math
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from medsim.core.streams import Key
from medsim.hospital.arrival_chart import Triage, arrival_chart
from medsim.hospital.board import Board
from medsim.hospital.decisions import NOTHING, AskingModel
from medsim.hospital.draws import DECLINE, draw_uniform
from medsim.hospital.event_log import EventLog
from medsim.hospital.flow.config import ACUITIES, HospitalConfig
from medsim.hospital.flow.plan import plan_of
from medsim.hospital.flow.report import People, flow_board, flow_metrics, hidden_state, ledger_of
from medsim.hospital.flow.rules import (
    FIRST_AT_START,
    HOME,
    acuity_of,
    group_of,
    next_arrival_h,
    next_unit,
    patience_h,
    readmitted,
    residual_stay_h,
    shorter_stay,
    stay_h,
    triage_of,
)
from medsim.hospital.flow.seen import agents_of, seen_of
from medsim.hospital.flow.situation import (
    AGENT,
    DUE,
    PREEMPTIVE,
    STEP_DOWN,
    accrue,
    arrange,
    can_start,
    change_shift,
    earliest_source,
    fill_mask,
    first_triage,
    manager_actions,
    new_situation,
    new_tally,
    next_by_rule,
    note_cut_off,
    note_refusal,
    note_start,
    observe,
    unit_actions,
)
from medsim.hospital.task import Ledger

__all__ = ["FlowModel", "Patient", "Ward"]

OVER, MADE_WAY, STEPPED_DOWN = "over", "made way", "stepped down"  # how a treatment ends
Process = Generator[simpy.Event, Any, Any]


@dataclass(eq=False)
class Patient:
    """A person on their way; acuity and triage count from 0, units by number, -1 for none."""

    number: int
    acuity: int
    triage: int
    group: int
    arrived_h: float
    visit: int = 0  # units entered so far
    bed: int = -1  # the unit whose bed they hold
    queue: int = -1  # the unit that they wait for
    source: int = -1  # where they wait, or came from
    asked_h: float = 0.0  # when they asked for the bed that they wait for, or wait for again
    visit_asked_h: float = 0.0  # when they asked for the bed that they hold
    began_h: float = 0.0  # of this part of the treatment; when it was interrupted, if it was
    lay_down_h: float = 0.0  # in the bed that they hold
    stay_h: float = 0.0  # that is left when treatment begins
    interrupted: bool = False
    cut_h: float = 0.0  # by which the last stay in intensive care was shortened
    bed_ready: simpy.Event | None = None
    treatment: simpy.Process | None = None


@dataclass(eq=False)
class Ward:
    """The people of a unit: who lies in its beds, and who waits for them, by source and triage."""

    name: str
    beds: list[Patient | None]
    free: list[int]
    queues: dict[tuple[int, int], deque[Patient]] = field(default_factory=dict)

    def put_to_bed(self, patient: Patient) -> None:
        """Give a patient a free bed."""
        self.beds[self.free.pop()] = patient

    def clear_bed(self, patient: Patient) -> None:
        """Take a patient out of their bed."""
        bed = self.beds.index(patient)
        self.beds[bed] = None
        self.free.append(bed)

    def treated(self) -> list[Patient]:
        """Return who is being treated here (and not ready to leave)."""
        return [patient for patient in self.beds if patient is not None and patient.queue < 0]


class FlowModel(AskingModel):
    """One episode of a hospital.

    Args:
        config: the hospital; key: the episode's random key; horizon_h: how long it is watched.
        warm_up_h: when all that has been counted is forgotten. owners: agent -> the terms that are its own reward.
        log: whether to keep an event log. triage: who reads the chart of those who arrive; None: nurses, who err at the hospital's rates.
    """

    def __init__(
        self,
        config: HospitalConfig,
        key: Key,
        *,
        horizon_h: float,
        warm_up_h: float = 0.0,
        log: bool = True,
        owners: Mapping[str, tuple[str, ...]] | None = None,
        triage: Triage | None = None,
    ) -> None:
        self.triage = triage
        self.config, self.key, self.horizon_h, self.warm_up_h = config, key, horizon_h, warm_up_h
        self.owners = owners or {}
        self.agents = agents_of(config)
        self.plan = plan_of(config)
        self.seen = np.zeros(len(seen_of(config, self.plan)))
        self.names = [unit.name for unit in config.units]
        self.outside = len(self.names)
        self.open_desk(horizon_h)
        self.log = EventLog(log)
        self.s, self.t = new_situation(self.plan), new_tally(self.plan)
        most = self.plan.beds + self.plan.flexible_beds * np.isin(np.arange(self.outside), self.plan.flexible)
        self.wards = [
            Ward(name, [None] * int(beds), list(range(int(beds) - 1, -1, -1))) for name, beds in zip(self.names, most, strict=True)
        ]
        self.asked_again = [0] * self.outside  # how often each unit's agent has been left in peace
        self.something = self.env.event()
        arrange(self.plan, self.s, 2 if self.plan.nursed.size else 0, 0)
        self.people_at_start()
        self.env.process(self.clock())
        if warm_up_h > 0.0:
            self.env.process(self.forget())
        for stream in range(len(self.plan.stream_unit)):
            self.env.process(self.arrivals(stream))
        self.env.process(self.site())

    # Patients

    def arrivals(self, stream: int) -> Process:
        """Patients of one stream arrive as long as the episode is watched."""
        plan, candidate, count = self.plan, 0, 0
        while True:
            time_h, candidate = next_arrival_h(self.key, stream, candidate, self.env.now, self.horizon_h, plan.rates, plan.top_rate[stream])
            if time_h == math.inf:
                return
            yield self.env.timeout(time_h - self.env.now)
            number = count * len(plan.stream_unit) + stream
            patient = self.somebody(number, acuity_of(self.key, number, plan.acuity, stream))
            count += 1
            self.log_event("arrives", patient, int(plan.stream_unit[stream]))
            self.env.process(self.journey(patient, int(plan.stream_unit[stream])))

    def somebody(self, number: int, acuity: int) -> Patient:
        """Return a new patient."""
        group = group_of(self.key, number, self.plan.groups)
        return Patient(number, acuity, self.category_of(number, acuity, group), group, self.env.now)

    def category_of(self, number: int, acuity: int, group: int) -> int:
        """Return a new patient's triage category, from 0: by the rates of the hospital's nurses, or by who reads the chart at the door."""
        if self.triage is None:
            under, over = self.plan.triage[group]
            return triage_of(self.key, number, acuity, under, over)
        category = self.triage(arrival_chart(self.key, number, acuity))
        if category not in range(1, ACUITIES + 1):
            raise ValueError(f"triage must return a category from 1 to {ACUITIES}, not {category!r}")
        return int(category) - 1

    def journey(self, patient: Patient, unit: int) -> Process:
        """A patient's way through the hospital, from the door to home."""
        if self.joins_queue(patient, unit):
            yield from self.goes_through(patient)

    def goes_through(self, patient: Patient) -> Process:
        """The way of somebody who is in a bed, or waits for one."""
        while True:
            if patient.queue >= 0:
                got_bed = yield from self.wait(patient, patient.queue)
                if not got_bed:
                    return
            end = yield from self.treatment(patient)
            if end == OVER:
                unit = self.goes_on(patient)
                if unit == HOME:
                    self.goes_home(patient)
                    return
                self.joins_queue(patient, unit)

    def joins_queue(self, patient: Patient, unit: int) -> bool:
        """Ask for a bed in a unit; returns False for one from outside for whom there is no place."""
        plan, s = self.plan, self.s
        source = self.outside if patient.visit == 0 else patient.bed
        self.catch_up()
        self.t.asked[unit, patient.triage] += 1
        if source == self.outside and s.queued[unit] >= plan.places[unit] and not can_start(plan, s, unit, patient.triage):
            note_refusal(plan, self.t, unit, patient.triage, patient.acuity, False, 0.0)
            self.log_event("is turned away", patient, unit)
            return False
        if unit == plan.icu:
            self.t.icu_asked[patient.group, patient.acuity] += 1
        if source != self.outside:
            if plan.blocks[source]:
                s.boarding[source] += 1
            else:
                self.leaves_unit(patient)
        patient.source, patient.asked_h = source, self.env.now
        patient.bed_ready = self.env.event()
        self.enqueue(patient, unit, first=False)
        self.log_event("asks for a bed", patient, unit)
        s.dirty[unit] = 1
        self.settle()
        return True

    def enqueue(self, patient: Patient, unit: int, *, first: bool) -> None:
        """Put a patient into a unit's queue, in front of it if they have to be resumed."""
        queue = self.wards[unit].queues.setdefault((patient.source, patient.triage), deque())
        queue.appendleft(patient) if first else queue.append(patient)
        patient.queue = unit
        self.s.waiting[unit, patient.source, patient.triage] += 1
        self.s.head_h[unit, patient.source, patient.triage] = queue[0].asked_h
        self.s.queued[unit] += 1
        if unit == self.plan.seen_in and not patient.interrupted:
            self.s.unseen[patient.acuity] += 1

    def dequeue(self, patient: Patient) -> None:
        """Take a patient out of the queue in which they wait."""
        unit, s = patient.queue, self.s
        queue = self.wards[unit].queues[patient.source, patient.triage]
        queue.remove(patient)
        patient.queue = -1
        s.waiting[unit, patient.source, patient.triage] -= 1
        s.head_h[unit, patient.source, patient.triage] = queue[0].asked_h if queue else 0.0
        s.queued[unit] -= 1
        if unit == self.plan.seen_in and not patient.interrupted:
            s.unseen[patient.acuity] -= 1

    def wait(self, patient: Patient, unit: int) -> Process:
        """Wait for the bed; returns False if the patient's patience ends first."""
        assert patient.bed_ready is not None
        mean_h = self.plan.patience_h[unit, patient.triage]
        if patient.bed >= 0 or mean_h <= 0.0 or patient.interrupted:
            yield patient.bed_ready
            return True
        patience = self.env.timeout(patience_h(self.key, patient.number, unit, mean_h))
        yield patient.bed_ready | patience
        if patient.bed_ready.triggered:
            return True
        self.catch_up()
        self.dequeue(patient)
        waited_h = self.env.now - patient.asked_h
        self.t.queue_sum_h[unit] += waited_h
        note_refusal(self.plan, self.t, unit, patient.triage, patient.acuity, True, self.env.now - patient.arrived_h)
        self.log_event("leaves unseen", patient, unit)
        self.s.dirty[unit] = 1
        self.settle()
        return False

    def treatment(self, patient: Patient) -> Process:
        """The stay in a bed; returns how it ends: over, or interrupted by somebody more urgent, or by an early step-down."""
        patient.treatment = self.env.active_process
        try:
            yield self.env.timeout(patient.stay_h)
        except simpy.Interrupt as interrupt:
            return interrupt.cause  # whoever interrupts has put the patient into the queue where they wait now
        self.catch_up()
        self.s.treating[patient.bed] -= 1
        self.s.dirty[patient.bed] = 1
        return OVER

    def goes_on(self, patient: Patient) -> int:
        """Return the unit to which a patient goes next, or HOME."""
        plan, unit = self.plan, patient.bed
        if patient.cut_h > 0.0:
            cut_h, patient.cut_h = patient.cut_h, 0.0
            if draw_uniform(self.key, DECLINE, patient.number, patient.visit) < readmitted(plan.readmission_per_day_cut, cut_h):
                return int(plan.icu)
        return next_unit(self.key, patient.number, patient.visit, plan.exits, unit, patient.acuity)

    def goes_home(self, patient: Patient) -> None:
        """A patient leaves the hospital."""
        self.log_event("goes home", patient, patient.bed)
        self.leaves_unit(patient)
        self.settle()

    # Beds

    def leaves_unit(self, patient: Patient) -> None:
        """A visit to a unit is over."""
        self.t.gone[patient.bed, patient.triage] += 1
        self.t.sojourn_h[patient.bed, patient.triage] += self.env.now - patient.visit_asked_h
        self.vacates(patient)

    def vacates(self, patient: Patient) -> None:
        """A bed becomes free."""
        unit, patient.bed = patient.bed, -1
        self.wards[unit].clear_bed(patient)
        self.s.occupied[unit] -= 1
        self.s.dirty[unit] = 1
        self.t.bed_sum_h[unit] += self.env.now - patient.lay_down_h

    def moves(self, patient: Patient) -> None:
        """A patient gets the bed that they wait for, and leaves the one that they hold."""
        plan, s, unit = self.plan, self.s, patient.queue
        self.dequeue(patient)
        if patient.bed >= 0:
            s.boarding[patient.bed] -= 1
            self.leaves_unit(patient)
        if patient.interrupted:
            self.t.queue_sum_h[unit] += self.env.now - patient.began_h
            patient.interrupted = False
        else:
            self.starts_visit(patient, unit)
            a = patient.acuity
            stay = stay_h(self.key, patient.number, patient.visit, plan.law[unit, a], plan.mu[unit, a], plan.sigma[unit, a])
            share = (s.occupied[unit] + 1) / s.opened[unit]
            patient.stay_h = shorter_stay(stay, share, plan.crowding[unit, 0], plan.crowding[unit, 1])
        self.lies_down(patient, unit)
        assert patient.bed_ready is not None
        patient.bed_ready.succeed()

    def starts_visit(self, patient: Patient, unit: int) -> None:
        """Count the beginning of a visit."""
        patient.visit += 1
        patient.visit_asked_h = patient.asked_h
        waited_h, since_h = self.env.now - patient.asked_h, self.env.now - patient.arrived_h
        note_start(self.plan, self.t, unit, patient.triage, patient.acuity, patient.group, waited_h, since_h, patient.source)
        self.log_event("gets a bed", patient, unit)

    def lies_down(self, patient: Patient, unit: int) -> None:
        """A patient is in a bed and treatment begins."""
        self.wards[unit].put_to_bed(patient)
        patient.bed, patient.began_h, patient.lay_down_h = unit, self.env.now, self.env.now
        self.s.occupied[unit] += 1
        self.s.treating[unit] += 1

    def people_at_start(self) -> None:
        """Beds that are taken at the start, by patients in the middle of their stays."""
        plan, number = self.plan, FIRST_AT_START
        for unit in range(self.outside):
            for _ in range(int(plan.started[unit])):
                patient = self.somebody(number, acuity_of(self.key, number, plan.start_mix, unit))
                patient.visit, patient.source = 1, self.outside
                a = patient.acuity
                patient.stay_h = residual_stay_h(self.key, number, plan.law[unit, a], plan.mu[unit, a], plan.sigma[unit, a])
                self.lies_down(patient, unit)
                self.env.process(self.goes_through(patient))
                number += 1

    def settle(self) -> None:
        """Give the beds that rules give, until nothing changes; then agents may have a choice."""
        while self.s.dirty.any():
            for unit in range(self.outside):
                if self.s.dirty[unit]:
                    self.s.dirty[unit] = 0
                    self.s.held[unit] = 0
                    if self.plan.discipline[unit] != AGENT:
                        self.give_beds(unit)
            self.swap_if_stuck()
        if not self.something.triggered:
            self.something.succeed()

    def give_beds(self, unit: int) -> None:
        """Give a unit's beds by its rule."""
        while True:
            found = next_by_rule(self.plan, self.s, unit, self.env.now)
            if found < 0:
                if self.plan.discipline[unit] != PREEMPTIVE or not self.makes_way(unit):
                    return
                continue
            self.moves(self.wards[unit].queues[found // 5, found % 5][0])

    def makes_way(self, unit: int) -> bool:
        """Interrupt who is least urgent, and came last, if somebody more urgent waits; returns whether a bed became free."""
        treated = self.wards[unit].treated()
        if not treated or self.s.treating[unit] > self.s.working[unit] or self.s.occupied[unit] > self.s.opened[unit]:
            return False
        last = max(treated, key=lambda patient: (patient.triage, patient.began_h, patient.number))
        if not any(earliest_source(self.plan, self.s, unit, triage) >= 0 for triage in range(last.triage)):
            return False
        last.stay_h -= self.env.now - last.began_h
        self.s.treating[unit] -= 1
        self.vacates(last)
        last.interrupted, last.began_h, last.bed_ready = True, self.env.now, self.env.event()
        last.asked_h = last.visit_asked_h
        self.enqueue(last, unit, first=True)
        self.log_event("makes way", last, unit)
        assert last.treatment is not None
        last.treatment.interrupt(MADE_WAY)
        return True

    def swap_if_stuck(self) -> None:
        """Let two patients change beds where each waits for the other's unit, and both are full: else nobody could ever move."""
        for a in range(self.outside):
            for b in range(a + 1, self.outside):
                if self.full(a) and self.full(b):
                    one, other = self.boarder(a, b), self.boarder(b, a)
                    if one is not None and other is not None:
                        self.change_places(one, other)
                        return

    def full(self, unit: int) -> bool:
        """Return whether no bed of a unit is free."""
        return bool(self.s.occupied[unit] >= self.s.opened[unit])

    def boarder(self, unit: int, target: int) -> Patient | None:
        """Return who, in a bed of a unit, waits for another: the most urgent, then the first."""
        for triage in range(5):
            for patient in self.wards[target].queues.get((unit, triage), ()):
                if patient.bed == unit:
                    return patient
        return None

    def change_places(self, one: Patient, other: Patient) -> None:
        """Move two patients into each other's beds: the first leaves theirs for a moment."""
        a, b, s = one.bed, other.bed, self.s
        s.boarding[a] -= 1
        self.leaves_unit(one)
        self.moves(other)
        self.moves(one)
        s.dirty[a] = s.dirty[b] = 1

    # Staff, and the agents

    def clock(self) -> Process:
        """Change shifts on the hour, and let the manager be asked."""
        plan, hour = self.plan, 0
        if not plan.manager_every_h and not (np.ptp(plan.clinicians, axis=1).any() or np.ptp(plan.nurses, axis=1).any()):
            return
        while True:
            self.catch_up()
            if plan.manager_every_h and hour % plan.manager_every_h == 0.0:
                self.s.manager[DUE] = 1
            change_shift(plan, self.s, hour % 24)
            self.settle()
            yield self.env.timeout(1.0)
            hour += 1

    def site(self) -> Process:
        """Ask whoever has a choice, after everything that happens: the manager first, then unit by unit."""
        while True:
            yield self.something
            self.something = self.env.event()
            asked = self.who_has_a_choice()
            while asked is not None:
                agent, unit, mask = asked
                action = yield self.desk.ask(agent, mask, "arrangement" if unit < 0 else "bed")
                self.do(unit, action)
                asked = self.who_has_a_choice()

    def who_has_a_choice(self) -> tuple[str, int, Any] | None:
        """Return an agent, its unit (-1: the manager) and its mask, or None."""
        if self.s.manager[DUE]:
            return self.agents[-1], -1, np.ones(manager_actions(self.plan), dtype=np.int8)
        for unit in range(self.outside):
            if self.plan.discipline[unit] == AGENT and not self.s.held[unit]:
                mask = np.zeros(unit_actions(self.plan, unit), dtype=np.int8)
                if fill_mask(self.plan, self.s, unit, mask):
                    return self.names[unit], unit, mask
        return None

    def do(self, unit: int, action: int) -> None:
        """Do what an agent has decided."""
        if unit < 0:
            self.s.manager[DUE] = 0
            if action != NOTHING:
                arrange(self.plan, self.s, action, int(self.env.now) % 24)
        elif action == NOTHING:
            self.s.held[unit] = 1
            self.asked_again[unit] += 1
            self.env.process(self.ask_again(unit, self.asked_again[unit]))
        else:
            self.take(unit, action)
        self.settle()

    def take(self, unit: int, action: int) -> None:
        """Take the patient whom an agent has chosen, or step one down."""
        plan, s = self.plan, self.s
        if not plan.by_source[unit]:
            triage = action - 1
            source = earliest_source(plan, s, unit, triage)
        elif action - 1 < int((plan.sources[unit] >= 0).sum()):
            source = int(plan.sources[unit, action - 1])
            triage = first_triage(plan, s, unit, source)
        else:
            self.steps_down(unit)
            return
        self.moves(self.wards[unit].queues[source, triage][0])

    def steps_down(self, unit: int) -> None:
        """Send the patient with the least left to do to the ward early; the ward has to have them, too."""
        now_h = self.env.now
        patient = min(self.wards[unit].treated(), key=lambda one: (one.began_h + one.stay_h, one.number))
        patient.cut_h = patient.began_h + patient.stay_h - now_h
        self.t.terms[STEP_DOWN] -= self.plan.prices[2]
        self.s.treating[unit] -= 1
        self.log_event("is stepped down early", patient, unit)
        self.joins_queue(patient, int(self.plan.ward))
        assert patient.treatment is not None
        patient.treatment.interrupt(STEPPED_DOWN)

    def ask_again(self, unit: int, count: int) -> Process:
        """End the peace of an agent that did nothing, unless something has ended it before."""
        yield self.env.timeout(self.plan.reconsider_h)
        if self.s.held[unit] and self.asked_again[unit] == count:
            self.s.held[unit] = 0
            self.settle()

    # What shells ask for

    def forget(self) -> Process:
        """Forget, at the end of the warm-up, what has been counted."""
        yield self.env.timeout(self.warm_up_h)
        self.catch_up()
        for counts in self.t:
            counts.fill(0.0)

    def catch_up(self) -> None:
        """Count the time until now."""
        accrue(self.plan, self.s, self.t, self.env.now)

    def count_the_rest(self) -> None:
        """Count, at the horizon, the waits and stays that it cuts off."""
        for patient in self.people():
            if patient.queue >= 0:
                since_h = patient.began_h if patient.interrupted else patient.asked_h
                self.t.queue_sum_h[patient.queue] += self.env.now - since_h
                if not patient.interrupted:
                    note_cut_off(self.plan, self.t, patient.queue, patient.triage, patient.source, self.env.now - since_h,
                                 self.env.now - patient.arrived_h)  # fmt: skip
            if patient.bed >= 0:
                self.t.bed_sum_h[patient.bed] += self.env.now - patient.lay_down_h

    def people(self) -> list[Patient]:
        """Return everybody who is in a bed or waits for one, once."""
        lying = [patient for ward in self.wards for patient in ward.beds if patient is not None]
        waiting = [patient for ward in self.wards for queue in ward.queues.values() for patient in queue]
        return sorted({*lying, *waiting}, key=lambda patient: patient.number)

    def observe(self, agent: str) -> list[float]:
        """Return what an agent sees."""
        observe(self.plan, self.s, self.agents.index(agent), self.seen)
        return self.seen.tolist()

    def state(self) -> list[float]:
        """Return the true state."""
        return hidden_state(self.plan, self.s, [(one.bed, one.queue, one.acuity) for one in self.people()])

    def drain(self) -> Ledger:
        """Return what has come in since the last call."""
        self.catch_up()
        return ledger_of(self.t, self.owners)

    def metrics(self) -> dict[str, float]:
        """Return figures of the episode so far."""
        return flow_metrics(self.config, self.plan, self.s, self.t, self.warm_up_h)

    def board(self) -> Board:
        """Return what a bed board shows now."""
        beds = [[None if one is None else (one.number, one.triage, one.queue >= 0) for one in ward.beds] for ward in self.wards]
        queues = [
            sorted(((one.asked_h, one.number, one.triage) for queue in ward.queues.values() for one in queue), key=lambda row: row[::2])
            for ward in self.wards
        ]
        asked = self.request.agent if self.request is not None else ""
        return flow_board(self.config, self.plan, self.s, People(beds=beds, queues=queues), asked)

    def log_event(self, event: str, patient: Patient, unit: int) -> None:
        """Add an event to the log."""
        self.log.add(self.env.now, event, patient.number, self.names[unit], patient.acuity + 1, patient.triage + 1)
