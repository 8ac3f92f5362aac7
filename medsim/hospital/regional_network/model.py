"""A region as SimPy processes: calls and ambulances, emergency departments, diversion, and transfers between hospitals.

Research simulation, not medical advice. Time is in hours, from a midnight on. Whoever decides takes the floor first (``self.floor``), so
that one question is asked at a time, from what the answers before it have made of the region.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from medsim.core.streams import Key
from medsim.hospital.board import Board
from medsim.hospital.decisions import NOTHING, AskingModel, legal
from medsim.hospital.draws import ARRIVAL, THINNING, Draws
from medsim.hospital.event_log import EventLog
from medsim.hospital.harm import HarmModel
from medsim.hospital.regional_network import ambulances as amb
from medsim.hospital.regional_network import figures, views
from medsim.hospital.regional_network import patients as p
from medsim.hospital.regional_network import region as r
from medsim.hospital.regional_network.hospital import Hospital
from medsim.hospital.regional_network.ledger import HIGH_ACUITY, TRANSFER_WEIGHT, TRANSIT_WEIGHT, Accounts
from medsim.hospital.regional_network.meters import Census, Meters
from medsim.hospital.task import Ledger

__all__ = ["RegionalNetwork", "Subject"]

HOLD_H = 10.0 / 60.0  # chosen: whoever holds a call, or a crew at the scene, is asked again after ten minutes
COORDINATOR_H = 2.0  # chosen: the coordinator's round
DIVERSION_H, ASK_DIVERSION_H, QUIET_H = 2.0, 2.0, 0.5  # chosen: how long a diversion lasts; asked every; at least between two questions
LOAD_THRESHOLDS = (1.0, 1.25, 1.5, 2.0)  # chosen: patients to places; a hospital that rises past one is asked
HOSPITAL_NUMBERS, AT_START = 1_000_000, 900_000  # patients' numbers: calls from 0, walk-ins of hospital i from (i + 1) million
DIVERT, ACCEPT = 1, 2  # a hospital's actions
Process = Generator[simpy.Event, Any, None]
Decision = Generator[simpy.Event, Any, bool]


@dataclass(frozen=True)
class Subject:
    """What a question is about: shown to the agent that is asked, and to no other."""

    agent: str
    what: str
    patient: p.Patient | None = None
    candidates: tuple[tuple[amb.Ambulance, float], ...] = ()


class Bell:
    """An event that can happen again and again: ``wait()`` returns the next one."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env, self.next = env, env.event()

    def ring(self) -> None:
        """Let it happen now."""
        happening, self.next = self.next, self.env.event()
        happening.succeed()


class RegionalNetwork(AskingModel):
    """One episode of a region."""

    def __init__(self, key: Key, region: r.Region, candidates: int, horizon_h: float, harm: HarmModel, keep_log: bool) -> None:
        self.region, self.candidates, self.horizon_h = region, candidates, horizon_h
        self.open_desk(horizon_h, "horizon")
        self.draws, self.log = Draws(key), EventLog(keep_log)
        self.meters = Meters(self.env)
        self.accounts = Accounts(self.env, self.meters, region.hospitals, harm)
        self.fleet = amb.Fleet(self.env, region, self.meters)
        self.subject: Subject | None = None
        self.calls, self.handovers, self.transit = Census(self.env), Census(self.env), Census(self.env)
        self.waiting_calls: dict[int, tuple[p.Patient, simpy.Event]] = {}
        self.called_h: dict[int, float] = {}  # caller, until they are on the way to a hospital -> when they called
        self.blocked: dict[int, int] = {}  # patient in a blocked ambulance -> hospital
        self.bound_for: dict[int, int] = {}  # patient on the way by ambulance -> hospital
        self.in_bed: dict[int, simpy.Event] = {}  # patient who is ready for a bed -> happens when they are in one
        self.counts = dict.fromkeys(("offers", "declined", "transfers", "diversions", "diverted", "high_acuity_calls"), 0)
        self.floor = simpy.Resource(self.env, capacity=1)
        self.news = Bell(self.env)
        self.load_rises = [Bell(self.env) for _ in region.sites]
        self.load_level = [0] * region.hospitals
        places = zip(region.ed_places, region.beds, strict=True)
        self.hospitals = [Hospital(self.env, i, ed, beds, self.log) for i, (ed, beds) in enumerate(places)]
        self._open()

    def _open(self) -> None:
        start = self.env.process
        for hospital in self.hospitals:
            hospital.hear = self.hear
            self._fill(hospital)
            start(self.walk_ins(hospital.number))
            start(self.watch_load(hospital))
        start(self.take_calls())
        start(self.dispatch_desk())
        start(self.coordinate())

    def _fill(self, hospital: Hospital) -> None:
        first = (hospital.number + 1) * HOSPITAL_NUMBERS + AT_START
        for k in range(round(r.PLACES_IN_USE * hospital.places.capacity)):
            self.env.process(hospital.begin_treated(p.present_at_start(self.env, self.draws, first + k)))
        for k in range(round(r.BEDS_IN_USE * hospital.beds.capacity)):
            self.env.process(hospital.begin_in_bed(p.bed_left_h(self.draws, first + 50_000 + k)))

    # Who comes

    def arrivals(self, first: int, mean_per_h: float) -> Generator[simpy.Event, Any, int]:
        """Wait for the next arrival after candidate ``first`` and return its number: a Poisson process thinned to the hour of the day."""
        peak = mean_per_h * (1.0 + r.PROFILE_AMPLITUDE)
        number = first
        while True:
            yield self.env.timeout(self.draws.exponential(ARRIVAL, number, mean=1.0 / peak))
            if self.draws.uniform(THINNING, number) * (1.0 + r.PROFILE_AMPLITUDE) < r.hourly_factor(self.env.now):
                return number
            number += 1

    def walk_ins(self, i: int) -> Process:
        """People come to a hospital by themselves."""
        number, mean_per_h = (i + 1) * HOSPITAL_NUMBERS, self.region.walk_ins_per_h * self.region.walk_in_share(i)
        while mean_per_h > 0.0:
            number = yield from self.arrivals(number, mean_per_h)
            self.env.process(self.hospitals[i].visit(p.walk_in(self.env, self.draws, number)))
            number += 1

    def take_calls(self) -> Process:
        """Ambulances are called."""
        number = 0
        while self.region.calls_per_h > 0.0:
            number = yield from self.arrivals(number, self.region.calls_per_h)
            patient, reached = p.call(self.env, self.draws, number, self.region.side_km), self.env.event()
            self.waiting_calls[number] = patient, reached
            self.called_h[number] = self.env.now
            self.calls.enter(number)
            self.counts["high_acuity_calls"] += patient.acuity <= HIGH_ACUITY
            x, y = patient.scene
            self.note("call", patient, detail=f"{x:.3f},{y:.3f}")
            self.env.process(self.accounts.called(patient, reached))
            self.news.ring()
            number += 1

    # Ambulances

    def ask(self, subject: Subject, allowed: list[int]) -> Generator[simpy.Event, Any, int]:
        """Ask the subject's agent and return its action; the floor must have been taken."""
        self.subject = subject
        action: int = yield self.desk.ask(subject.agent, legal(self.actions_of(subject.agent), allowed), subject.what)
        self.subject = None
        return action

    def actions_of(self, agent: str) -> int:
        """Return how many actions an agent has."""
        n = self.region.hospitals
        return {"ems": 1 + self.candidates + n, "coordinator": 1 + n * (n - 1)}.get(agent, 1 + ACCEPT)

    def dispatch_desk(self) -> Process:
        """Send ambulances to calls, the most urgent category first; whatever is held waits for news, or ten minutes."""
        while True:
            news = self.news.next
            if not self.waiting_calls or not self.fleet.count(amb.AVAILABLE):
                yield news
            elif not (yield from self.dispatch()):
                yield news | self.env.timeout(HOLD_H)

    def dispatch(self) -> Decision:
        """Ask which ambulance goes to the most urgent call; returns whether any does."""
        with self.floor.request() as floor:
            yield floor
            patient, reached = min(self.waiting_calls.values(), key=lambda row: (row[0].category, row[0].number))
            candidates = self.fleet.nearest(patient.scene, self.candidates)
            if not candidates:  # a transfer has taken the last one
                return True
            action = yield from self.ask(Subject("ems", "dispatch", patient, tuple(candidates)), [1 + k for k in range(len(candidates))])
            if action == NOTHING:
                self.note("held", patient)
                return False
            ambulance, km = candidates[action - 1]
            del self.waiting_calls[patient.number]
            self.fleet.set(ambulance, amb.TO_SCENE)
        self.env.process(self.mission(ambulance, patient, km, reached))
        return True

    def mission(self, ambulance: amb.Ambulance, patient: p.Patient, km: float, reached: simpy.Event) -> Process:
        """An ambulance's way to the scene, to a hospital, and until it is clear again."""
        self.note("dispatched", patient, f"ambulance_{ambulance.number}")
        yield self.env.timeout(p.travel_h(self.draws, patient, p.TO_SCENE, km))
        self.reach(ambulance, patient, reached)
        yield self.env.timeout(p.scene_h(self.draws, patient))
        hospital = yield from self.destination(patient)
        self.fleet.set(ambulance, amb.TO_HOSPITAL)
        self.bound_for[patient.number] = hospital.number
        km = r.distance_km(patient.scene, self.region.sites[hospital.number])
        yield self.env.timeout(p.travel_h(self.draws, patient, p.TO_HOSPITAL, km))
        del self.bound_for[patient.number]
        self.env.process(hospital.visit(patient))
        yield from self.hand_over(ambulance, patient, hospital)

    def reach(self, ambulance: amb.Ambulance, patient: p.Patient, reached: simpy.Event) -> None:
        """The ambulance is at the scene: the response time ends, which began with the call."""
        self.fleet.set(ambulance, amb.AT_SCENE)
        reached.succeed()
        self.accounts.reached(patient)
        response_h = self.calls.leave(patient.number)
        self.note("on_scene", patient, f"ambulance_{ambulance.number}", f"{response_h:.6f}")

    def destination(self, patient: p.Patient) -> Generator[simpy.Event, Any, Hospital]:
        """Ask where the patient is taken until there is an answer."""
        while True:
            with self.floor.request() as floor:
                yield floor
                open_ones = [i for i, hospital in enumerate(self.hospitals) if not hospital.diverting]
                allowed = open_ones or list(range(self.region.hospitals))
                action = yield from self.ask(Subject("ems", "destination", patient), [1 + self.candidates + i for i in allowed])
                if action != NOTHING:
                    return self.leave_scene(patient, action - 1 - self.candidates)
            yield self.env.timeout(HOLD_H)

    def leave_scene(self, patient: p.Patient, i: int) -> Hospital:
        """The ambulance leaves for a hospital; count who would have been taken to one that diverts."""
        del self.called_h[patient.number]
        nearest = self.region.nearest(patient.scene)
        if i != nearest and self.hospitals[nearest].diverting:
            self.counts["diverted"] += 1
            if patient.acuity <= HIGH_ACUITY:
                self.meters.add("diverted_high_acuity", 1.0)
        self.note("leaves_scene", patient, self.hospitals[i].name)
        return self.hospitals[i]

    def hand_over(self, ambulance: amb.Ambulance, patient: p.Patient, hospital: Hospital) -> Process:
        """The crew is blocked until the emergency department takes the patient, then hands over and is clear."""
        patient.hospital = hospital.number
        self.fleet.set(ambulance, amb.BLOCKED)
        self.handovers.enter(patient.number)
        self.blocked[patient.number] = hospital.number
        self.env.process(self.accounts.blocked(patient))
        yield patient.placed
        self.handovers.leave(patient.number)
        del self.blocked[patient.number]
        self.fleet.set(ambulance, amb.HANDOVER)
        yield self.env.timeout(r.HANDOVER_H)
        self.fleet.clear(ambulance, self.region.sites[hospital.number])
        self.note("clear", patient, f"ambulance_{ambulance.number}")
        self.news.ring()

    def blocked_at(self, hospital: Hospital) -> int:
        """Return how many ambulances are blocked at a hospital."""
        return sum(at == hospital.number for at in self.blocked.values())

    # Diversion

    def watch_load(self, hospital: Hospital) -> Process:
        """Ask a hospital whether it diverts ambulances: from time to time, and when its load rises past a threshold."""
        i = hospital.number
        yield self.env.timeout(ASK_DIVERSION_H * (i + 1) / (self.region.hospitals + 1))  # one after the other
        while True:
            with self.floor.request() as floor:
                yield floor
                action = yield from self.ask(Subject(hospital.name, "diversion"), [DIVERT])
            if action == DIVERT:
                yield from self.divert(hospital)
            else:
                yield self.env.timeout(QUIET_H)
                yield self.load_rises[i].next | self.env.timeout(ASK_DIVERSION_H - QUIET_H)

    def divert(self, hospital: Hospital) -> Process:
        """A diversion, which lapses by itself."""
        hospital.diverting_until_h = self.env.now + DIVERSION_H
        self.counts["diversions"] += 1
        self.meters.change("diverting", 1.0)
        self.log.add(self.env.now, "diverts", place=hospital.name)
        yield self.env.timeout(DIVERSION_H)
        self.meters.change("diverting", -1.0)
        self.log.add(self.env.now, "diversion_ends", place=hospital.name)

    # Transfers

    def coordinate(self) -> Process:
        """The coordinator's round: it is asked as long as it moves somebody and somebody can be moved."""
        while True:
            yield self.env.timeout(COORDINATOR_H)
            declined: set[tuple[int, int]] = set()
            while (yield from self.offer_move(declined)):
                pass

    def movable(self, hospital: Hospital) -> p.Patient | None:
        """Return who has waited longest for a bed at a hospital and is promised to no other."""
        return next((one for one in hospital.beds.waiting() if one.number in hospital.boarders and not one.moving), None)

    def offer_move(self, declined: set[tuple[int, int]]) -> Decision:
        """Ask the coordinator, then the hospital that it names; returns whether to ask again in this round."""
        with self.floor.request() as floor:
            yield floor
            pairs = views.pairs(self.region.hospitals)
            longest = [self.movable(hospital) for hospital in self.hospitals]
            allowed = [1 + k for k, pair in enumerate(pairs) if longest[pair[0]] is not None and pair not in declined]
            if not allowed or not self.fleet.count(amb.AVAILABLE):
                return False
            action = yield from self.ask(Subject("coordinator", "round"), allowed)
            if action == NOTHING:
                return False
            origin, goal = pairs[action - 1]
            patient = longest[origin]
            assert patient is not None
            self.counts["offers"] += 1
            self.note("offered", patient, self.hospitals[goal].name)
            answer = yield from self.ask(Subject(self.hospitals[goal].name, "transfer", patient), [ACCEPT])
            if answer == ACCEPT:
                self.promise(patient, goal)
            else:
                declined.add((origin, goal))
                self.counts["declined"] += 1
        return True

    def promise(self, patient: p.Patient, goal: int) -> None:
        """Begin a transfer: the nearest ambulance is sent, and the next bed at the other hospital is the patient's in their turn."""
        origin = self.hospitals[patient.hospital]
        ambulance, km = self.fleet.nearest(self.region.sites[origin.number], 1)[0]
        patient.moving = True
        origin.beds.withdraw(patient)
        self.counts["transfers"] += 1
        self.meters.add("transfers", TRANSFER_WEIGHT)
        self.fleet.set(ambulance, amb.TRANSFER)
        self.env.process(self.transfer(ambulance, patient, km, self.hospitals[goal]))

    def transfer(self, ambulance: amb.Ambulance, patient: p.Patient, km: float, goal: Hospital) -> Process:
        """An ambulance fetches a patient, takes them to another hospital and waits there for the bed."""
        bed = goal.beds.ask(patient)
        yield self.env.timeout(p.travel_h(self.draws, patient, p.TO_PICK_UP, km))
        patient.collected.succeed()
        self.meters.change("transfers", TRANSIT_WEIGHT)
        self.transit.enter(patient.number)
        self.bound_for[patient.number] = goal.number
        yield self.env.timeout(p.transfer_h(self.draws, patient))
        yield bed
        del self.bound_for[patient.number]
        self.transit.leave(patient.number)
        self.meters.change("transfers", -TRANSIT_WEIGHT)
        patient.hospital = goal.number
        self.fleet.clear(ambulance, self.region.sites[goal.number])
        self.news.ring()
        goal.note("in_bed_after_transfer", patient)
        yield from goal.stay(patient)

    # Counting

    def note(self, event: str, patient: p.Patient, place: str = "", detail: str = "") -> None:
        """Write an event down; until a hospital has triaged them, patients have their call's category."""
        self.log.add(self.env.now, event, patient.number, place, patient.acuity, patient.category, detail)

    def hear(self, event: str, hospital: Hospital, patient: p.Patient) -> None:
        """Count what a hospital tells."""
        if event == "arrived":
            self.accounts.wait_changed(patient, 1.0)
            level = sum(hospital.load >= threshold for threshold in LOAD_THRESHOLDS)
            if level > self.load_level[hospital.number]:
                self.load_rises[hospital.number].ring()
            self.load_level[hospital.number] = level
        elif event == "seen":
            self.accounts.wait_changed(patient, -1.0)
        elif event == "boarding":
            self.accounts.place_changed(patient, 1.0)
            self.in_bed[patient.number] = self.env.event()
            self.env.process(self.accounts.boarding_begins(patient, self.in_bed[patient.number]))
        elif event in ("in_bed", "collected"):
            self.accounts.place_changed(patient, -1.0)
        if event in ("in_bed", "in_bed_after_transfer"):
            self.in_bed.pop(patient.number).succeed()
        if event in ("went_home", "in_bed", "collected"):
            self.load_level[hospital.number] = sum(hospital.load >= threshold for threshold in LOAD_THRESHOLDS)

    # What a shell uses

    def observe(self, agent: str) -> list[float]:
        """Return what an agent sees."""
        return views.observe(self, agent)

    def state(self) -> list[float]:
        """Return the true state."""
        return views.state(self)

    def drain(self) -> Ledger:
        """Return what has come in since the last call."""
        return self.accounts.drain()

    def metrics(self) -> dict[str, float]:
        """Return figures of the episode so far."""
        return figures.metrics(self)

    def board(self) -> Board:
        """Return what a bed board shows."""
        return figures.board(self)

    def balance(self) -> dict[str, Census]:
        """Return the censuses by name: of calls not yet reached, blocked ambulances, transfers, and of each hospital's queues."""
        own = {"calls": self.calls, "handovers": self.handovers, "transit": self.transit}
        for hospital in self.hospitals:
            parts = {"department": hospital.department, "waiting": hospital.waiting, "boarding": hospital.boarding}
            own |= {f"{hospital.name} {name}": census for name, census in parts.items()}
        return own
