"""What the region's events are worth: terms of the reward and costs, each an exact integral or a count."""

from collections.abc import Generator
from typing import Any

import simpy

from medsim.hospital.harm import HarmModel
from medsim.hospital.regional_network.meters import Meters
from medsim.hospital.regional_network.patients import Patient
from medsim.hospital.task import Ledger

__all__ = ["COST_NAMES", "TERM_NAMES", "Accounts"]

TERM_NAMES = ("response", "waiting", "boarding", "offload", "transfers")
COST_NAMES = ("response_above_8_min", "offload_delay", "boarding_above_4_h", "diverted_high_acuity", "expected_excess_deaths")
# chosen: points an hour for a patient of acuity 1 to 5; halved from level to level, so that sums are exact in binary
RESPONSE_WEIGHTS, WAITING_WEIGHTS = (16.0, 8.0, 4.0, 2.0, 1.0), (8.0, 4.0, 2.0, 1.0, 0.5)
BOARDING_WEIGHT, OFFLOAD_WEIGHT, TRANSFER_WEIGHT, TRANSIT_WEIGHT = 1.0, 2.0, 1.0, 1.0  # chosen: an hour each, but a transfer once
HIGH_ACUITY = 2  # acuities 1 and 2: "resuscitation" and "emergency" of the Australasian Triage Scale
RESPONSE_STANDARD_H = 8.0 / 60.0  # the customary standard for the most urgent calls
OFFLOAD_STANDARD_H = 15.0 / 60.0  # from memory, to be verified: NHS England, handover of all within 15 minutes
BOARDING_STANDARD_H = 4.0  # RCEM and others count waits for a bed from 4 h on
BASE_RISK_MOST_URGENT = 0.461  # EJEM 2011, n = 23,114: mortality within 30 days of the most urgent triage category
Process = Generator[simpy.Event, Any, None]


class Accounts:
    """The sums of one episode, and what has come in since they were last read."""

    def __init__(self, env: simpy.Environment, meters: Meters, hospitals: int, harm: HarmModel) -> None:
        self.env, self.meters, self.harm = env, meters, harm
        self.hospitals = hospitals
        self.in_need: dict[int, float] = {}  # patient who is ready for a bed and has none -> when they arrived
        self.called_h: dict[int, float] = {}  # most urgent caller not yet reached -> since when
        self.settled_deaths = 0.0
        self.read: dict[str, float] = {}

    def amount(self, name: str) -> float:
        """Return a sum from the episode's beginning until now."""
        return self.expected_deaths() if name == "expected_excess_deaths" else self.meters.amount(name)

    def expected_deaths(self) -> float:
        """Return expected excess deaths until now, with the delays of those who still wait as they are by now."""
        now = self.env.now
        waiting = sum(self.harm.of_admission_delay(now - since) for since in self.in_need.values())
        return self.settled_deaths + waiting + sum(self.of_response(now - since) for since in self.called_h.values())

    def of_response(self, delay_h: float) -> float:
        """Return the excess deaths of one of the most urgent who is reached after so long."""
        return self.harm.excess_risk(BASE_RISK_MOST_URGENT, self.harm.odds_ratio_per_response_hour, delay_h)

    def drain(self) -> Ledger:
        """Return what has come in since the last time; costs are never negative."""
        names = [*("response", "transfers"), *COST_NAMES]
        names += [f"{term} {i}" for term in ("waiting", "boarding", "offload") for i in range(self.hospitals)]
        new = {}
        for name in names:
            amount = self.amount(name)
            new[name] = max(amount - self.read.get(name, 0.0), 0.0)
            self.read[name] = amount
        each = range(self.hospitals)
        terms = {term: -sum(new[f"{term} {i}"] for i in each) for term in ("waiting", "boarding", "offload")}
        local = {f"hospital_{i}": -(new[f"waiting {i}"] + new[f"boarding {i}"] + new[f"offload {i}"]) for i in each}
        local |= {"ems": -new["response"], "coordinator": -new["transfers"]}
        terms |= {"response": -new["response"], "transfers": -new["transfers"]}
        return Ledger(terms={name: terms[name] for name in TERM_NAMES}, costs={name: new[name] for name in COST_NAMES}, local=local)

    def called(self, patient: Patient, reached: simpy.Event) -> Process:
        """A call that waits for its ambulance to arrive; the standard is missed when its time is up, not when the ambulance comes."""
        self.meters.change("response", RESPONSE_WEIGHTS[patient.acuity - 1])
        if patient.acuity == 1:
            self.called_h[patient.number] = self.env.now
        yield reached | self.env.timeout(RESPONSE_STANDARD_H)
        if not reached.triggered:
            if patient.acuity <= HIGH_ACUITY:
                self.meters.add("response_above_8_min", 1.0)
            yield reached

    def reached(self, patient: Patient) -> None:
        """An ambulance has arrived at the scene."""
        self.meters.change("response", -RESPONSE_WEIGHTS[patient.acuity - 1])
        if patient.acuity == 1:
            self.settled_deaths += self.of_response(self.env.now - self.called_h.pop(patient.number))

    def wait_changed(self, patient: Patient, sign: float) -> None:
        """A patient begins (1) or ends (-1) to wait for a place of the emergency department."""
        self.meters.change(f"waiting {patient.hospital}", sign * WAITING_WEIGHTS[patient.acuity - 1])

    def blocked(self, patient: Patient) -> Process:
        """An ambulance that waits until the emergency department takes its patient, or a ward a transferred one."""
        place, offload = patient.placed, f"offload {patient.hospital}"
        if place.triggered:
            return
        self.meters.change(offload, OFFLOAD_WEIGHT)
        yield place | self.env.timeout(OFFLOAD_STANDARD_H)
        if not place.triggered:
            self.meters.change("offload_delay", 1.0)
            yield place
            self.meters.change("offload_delay", -1.0)
        self.meters.change(offload, -OFFLOAD_WEIGHT)

    def boarding_begins(self, patient: Patient, in_bed: simpy.Event) -> Process:
        """A patient is ready for a bed: the clock runs until they are in one, wherever that is."""
        self.in_need[patient.number] = patient.arrived_h
        yield in_bed | self.env.timeout(BOARDING_STANDARD_H)
        if not in_bed.triggered:
            self.meters.change("boarding_above_4_h", 1.0)
            yield in_bed
            self.meters.change("boarding_above_4_h", -1.0)
        self.settled_deaths += self.harm.of_admission_delay(self.env.now - self.in_need.pop(patient.number))

    def place_changed(self, patient: Patient, sign: float) -> None:
        """A boarding patient takes (1) or leaves (-1) a place of the emergency department."""
        self.meters.change(f"boarding {patient.hospital}", sign * BOARDING_WEIGHT)
