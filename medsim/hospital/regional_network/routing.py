"""Two hospitals that share a stream of patients: where each is sent, in the case whose optimum is known exactly.

The same chain as ``medsim.hospital.theory.routing.TwoHospitals``: Poisson arrivals, exponential treatment, unlimited queues, first come
first served, no travel. ``ems`` is asked at each arrival. Research simulation, not medical advice.
"""

from collections.abc import Generator
from typing import Any

import simpy

from medsim.core.streams import Key
from medsim.hospital.board import Board, Occupant, Place
from medsim.hospital.decisions import AskingModel, legal
from medsim.hospital.draws import ARRIVAL, STAY, Draws
from medsim.hospital.event_log import EventLog
from medsim.hospital.regional_network.meters import Census
from medsim.hospital.task import Ledger, Seen

__all__ = ["ROUTING_ACTIONS", "ROUTING_SEEN", "ROUTING_TERMS", "TwoHospitalRouting"]

ROUTING_ACTIONS = ("nothing", "hospital 0", "hospital 1")
ROUTING_SEEN = (Seen(name="patients in hospital 0", high=1000.0), Seen(name="patients in hospital 1", high=1000.0))
ROUTING_TERMS = ("number_in_system",)
Process = Generator[simpy.Event, Any, None]


class TwoHospitalRouting(AskingModel):
    """One episode of the routing problem, from two empty hospitals on.

    Args:
        arrivals_per_h: Poisson; treated_per_h: of each server of a hospital; servers: of each hospital.
    """

    def __init__(
        self,
        key: Key,
        *,
        arrivals_per_h: float,
        treated_per_h: tuple[float, float],
        servers: tuple[int, int],
        horizon_h: float,
        keep_log: bool = True,
    ) -> None:
        self.arrivals_per_h, self.treated_per_h, self.capacity = arrivals_per_h, treated_per_h, servers
        self.open_desk(horizon_h, "horizon")
        self.draws, self.log = Draws(key), EventLog(keep_log)
        self.servers = [simpy.Resource(self.env, capacity=count) for count in servers]
        self.census = (Census(self.env), Census(self.env))
        self.drained_h = 0.0  # patient hours
        if arrivals_per_h > 0.0:
            self.env.process(self.arrivals())

    def arrivals(self) -> Process:
        """Patients arrive, and each is sent to a hospital at once."""
        number = 0
        while True:
            yield self.env.timeout(self.draws.exponential(ARRIVAL, number, mean=1.0 / self.arrivals_per_h))
            self.log.add(self.env.now, "call", number)
            action = yield self.desk.ask("ems", legal(len(ROUTING_ACTIONS), (1, 2)), "destination")
            self.env.process(self.stay(number, max(action - 1, 0)))
            number += 1

    def stay(self, number: int, hospital: int) -> Process:
        """A patient waits for a server of a hospital, is treated, and leaves."""
        place = f"hospital_{hospital}"
        self.census[hospital].enter(number)
        self.log.add(self.env.now, "arrived", number, place)
        with self.servers[hospital].request() as server:
            yield server
            self.log.add(self.env.now, "seen", number, place)
            yield self.env.timeout(self.draws.exponential(STAY, number, mean=1.0 / self.treated_per_h[hospital]))
        self.census[hospital].leave(number)
        self.log.add(self.env.now, "went_home", number, place)

    def observe(self, agent: str) -> list[float]:
        """Return how many patients are in each hospital, the one to be sent not among them."""
        return [float(census.present) for census in self.census]

    def state(self) -> list[float]:
        """Return the same: nothing is hidden, since stays are memoryless."""
        return self.observe("ems")

    def patient_hours(self) -> float:
        """Return the number in both hospitals integrated until now."""
        return sum(census.patient_hours()[0] for census in self.census)

    def drain(self) -> Ledger:
        """Return minus the patient hours since the last call."""
        now = self.patient_hours()
        new, self.drained_h = now - self.drained_h, now
        return Ledger(terms={"number_in_system": -new}, costs={}, local={"ems": -new})

    def metrics(self) -> dict[str, float]:
        """Return figures of the episode so far."""
        arrived = [census.arrived for census in self.census]
        hours = sum(census.patient_hours()[1] for census in self.census)
        return {
            "mean_number_in_system": self.patient_hours() / self.time_h if self.time_h > 0.0 else 0.0,
            "mean_time_in_system_h": hours / sum(arrived) if sum(arrived) else 0.0,
            "arrivals": float(sum(arrived)),
            "share_to_hospital_1": arrived[1] / sum(arrived) if sum(arrived) else 0.0,
        }

    def balance(self) -> dict[str, Census]:
        """Return the censuses by name."""
        return {f"hospital_{i}": census for i, census in enumerate(self.census)}

    def board(self) -> Board:
        """Return what a bed board shows."""
        places = []
        for i, census in enumerate(self.census):
            everybody = [Occupant(str(number % 1000)) for number in census.since]
            free = [None] * max(self.capacity[i] - len(everybody), 0)
            places.append(Place(f"hospital_{i}", (*everybody[: self.capacity[i]], *free), tuple(everybody[self.capacity[i] :])))
        return Board(time_h=self.time_h, places=tuple(places), lines=(f"{self.treated_per_h} treated an hour and server",))
