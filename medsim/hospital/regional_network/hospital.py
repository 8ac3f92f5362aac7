"""One hospital of the region: an emergency department whose places are held by those who wait for a bed."""

from bisect import insort
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

import simpy

from medsim.hospital.event_log import EventLog
from medsim.hospital.regional_network.meters import Census
from medsim.hospital.regional_network.patients import Patient

__all__ = ["Hospital", "Places"]

Process = Generator[simpy.Event, Any, None]


class Places:
    """Places or beds, given by priority (the smallest first), then in the order of asking. There may be none of them."""

    def __init__(self, env: simpy.Environment, capacity: int) -> None:
        self.env, self.capacity, self.taken = env, capacity, 0
        self.queue: list[tuple[int, int, Patient, simpy.Event]] = []
        self.order = count()

    @property
    def free(self) -> int:
        """How many are free."""
        return self.capacity - self.taken

    def ask(self, patient: Patient, priority: int = 0) -> simpy.Event:
        """Return the event that happens when the patient is given one."""
        given = self.env.event()
        insort(self.queue, (priority, next(self.order), patient, given), key=lambda row: row[:2])
        self._give()
        return given

    def waiting(self) -> list[Patient]:
        """Return who waits, in the order in which they will be given one."""
        return [row[2] for row in self.queue]

    def withdraw(self, patient: Patient) -> None:
        """Take a patient out of the queue."""
        self.queue = [row for row in self.queue if row[2] is not patient]

    def give_back(self) -> None:
        """Make one free, for the next who waits."""
        self.taken -= 1
        self._give()

    def _give(self) -> None:
        while self.queue and self.taken < self.capacity:
            self.taken += 1
            self.queue.pop(0)[3].succeed()


class Hospital:
    """An emergency department and its wards; ``hear`` is called with (event, hospital, patient) at every event: the model counts there."""

    def __init__(self, env: simpy.Environment, number: int, ed_places: int, beds: int, log: EventLog) -> None:
        self.env, self.number, self.log = env, number, log
        self.name = f"hospital_{number}"
        self.places, self.beds = Places(env, ed_places), Places(env, beds)
        self.department, self.waiting, self.boarding = Census(env), Census(env), Census(env)
        self.in_treatment: dict[int, Patient] = {}
        self.boarders: dict[int, Patient] = {}
        self.diverting_until_h = 0.0
        self.hear: Callable[[str, Hospital, Patient], None] = lambda event, hospital, patient: None

    @property
    def diverting(self) -> bool:
        """Whether ambulances are asked to go elsewhere."""
        return bool(self.env.now < self.diverting_until_h)

    @property
    def load(self) -> float:
        """Patients in the emergency department, treated or waiting, to its places."""
        return self.department.present / max(self.places.capacity, 1)

    def note(self, event: str, patient: Patient) -> None:
        """Write an event down and tell the model of it."""
        self.log.add(self.env.now, event, patient.number, self.name, patient.acuity, patient.triage)
        self.hear(event, self, patient)

    def visit(self, patient: Patient) -> Process:
        """A patient's way through the hospital, from the door of the emergency department to home."""
        patient.hospital, patient.arrived_h = self.number, self.env.now
        self.department.enter(patient.number)
        self.waiting.enter(patient.number)
        self.note("arrived", patient)
        yield self.places.ask(patient, patient.triage)
        self.waiting.leave(patient.number)
        patient.placed.succeed()
        self.note("seen", patient)
        yield from self.treat(patient)

    def treat(self, patient: Patient) -> Process:
        """What follows on a place: treatment, then home, or the wait for a bed."""
        self.in_treatment[patient.number] = patient
        yield self.env.timeout(patient.treatment_h)
        del self.in_treatment[patient.number]
        if not patient.admitted:
            self.leave_department(patient, "went_home")
            return
        self.boarders[patient.number] = patient
        self.boarding.enter(patient.number)
        self.note("boarding", patient)
        given = self.beds.ask(patient)
        yield given | patient.collected
        del self.boarders[patient.number]
        self.boarding.leave(patient.number)
        if patient.collected.triggered:
            self.leave_department(patient, "collected")
            return
        self.leave_department(patient, "in_bed")
        yield from self.stay(patient)

    def leave_department(self, patient: Patient, event: str) -> None:
        """Make the patient's place free."""
        self.department.leave(patient.number)
        self.places.give_back()
        self.note(event, patient)

    def stay(self, patient: Patient) -> Process:
        """A stay in a bed that has been given."""
        yield self.env.timeout(patient.stay_h)
        self.beds.give_back()
        self.note("discharged", patient)

    def begin_treated(self, patient: Patient) -> Process:
        """A patient whose treatment has begun before the episode: the place is theirs."""
        patient.hospital = self.number
        self.places.taken += 1
        self.department.enter(patient.number)
        patient.placed.succeed()
        return self.treat(patient)

    def begin_in_bed(self, left_h: float) -> Process:
        """A bed that has been taken before the episode: it stays so for so long."""
        self.beds.taken += 1
        return self.emptied(left_h)

    def emptied(self, left_h: float) -> Process:
        """The rest of a stay that began before the episode."""
        yield self.env.timeout(left_h)
        self.beds.give_back()
