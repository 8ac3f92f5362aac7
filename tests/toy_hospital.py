"""A hospital of two roles so small that its best policy is known, for tests of learning.

An emergency department shows one patient after the other to a ``door`` agent: acuity 1 (urgent) or 2. "admit" takes a bed if one is free,
"nothing" sends the patient home. An urgent patient who is sent home, or finds no bed, costs 10; another one 1. Every 4 h a ``manager`` may
"open" a third bed for 4 h, at a cost of 2. Patients come at a quarter past and a
quarter to every hour, 30 % of them urgent; a stay is 1 h. Two beds hold everybody
who comes, so the best policy is known: admit all, open nothing, and the return is 0.
"""

from collections.abc import Callable, Mapping
from typing import Any

import simpy

from medsim.hospital.board import Board, Occupant, Place
from medsim.hospital.decisions import Desk, Request, legal
from medsim.hospital.draws import ACUITY, Draws
from medsim.hospital.event_log import EventLog
from medsim.hospital.policy import DoNothing, FunctionHospitalPolicy, HospitalPolicy, RandomHospitalPolicy
from medsim.hospital.shells import HospitalParallelEnv
from medsim.hospital.task import HospitalTask, Ledger, Seen
from medsim.registry import HospitalCard, Scores

ROLES = {"door": "door", "manager": "manager"}
ACTIONS = {"door": ("nothing", "admit"), "manager": ("nothing", "open", "close")}


class ToyModel:
    """One episode."""

    def __init__(self, key: Any, horizon_h: float, stay_h: float) -> None:
        self.env = simpy.Environment()
        self.desk = Desk(self.env, horizon_h)
        self.draws, self.log = Draws(key), EventLog()
        self.request: Request | None = None
        self.outcome = ""
        self.beds, self.busy, self.open_until_h, self.stay_h = 2, 0, 0.0, stay_h
        self.acuity, self.arrived, self.lost = 0, 0, 0
        self.ledger = self._zeros()
        self.env.process(self.arrivals())
        self.env.process(self.shifts())

    @staticmethod
    def _zeros() -> Ledger:
        return Ledger(terms={"lost": 0.0, "beds": 0.0}, costs={"urgent_refused": 0.0}, local={"door": 0.0, "manager": 0.0})

    @property
    def time_h(self) -> float:
        return float(self.env.now)

    def open_beds(self) -> int:
        return self.beds + (self.env.now < self.open_until_h)

    def arrivals(self) -> Any:
        number = 0
        yield self.env.timeout(0.25)
        while True:
            self.arrived += 1
            self.acuity = 1 if self.draws.uniform(ACUITY, number) < 0.3 else 2
            free = self.busy < self.open_beds()
            admitted = free and (yield self.desk.ask("door", legal(2, [1]), "arrival")) == 1
            if admitted:
                self.busy += 1
                self.log.add(self.time_h, "admitted", number, "ward", self.acuity)
                self.env.process(self.stay())
            else:
                self.lose()
            number += 1
            yield self.env.timeout(0.5)

    def lose(self) -> None:
        self.lost += 1
        cost = 10.0 if self.acuity == 1 else 1.0
        self.ledger.terms["lost"] -= cost
        self.ledger.local["door"] -= cost
        self.ledger.costs["urgent_refused"] += float(self.acuity == 1)

    def stay(self) -> Any:
        yield self.env.timeout(self.stay_h - 1e-6)
        self.busy -= 1

    def shifts(self) -> Any:
        while True:
            action = yield self.desk.ask("manager", legal(3, [1]), "shift")
            if action == 1:
                self.open_until_h = self.env.now + 4.0
                self.ledger.terms["beds"] -= 2.0
                self.ledger.local["manager"] -= 2.0
            yield self.env.timeout(4.0)

    def run(self) -> None:
        self.request = self.desk.run()
        if self.request is None:
            self.outcome = "horizon"

    def answer(self, action: int) -> None:
        self.desk.answer(action)

    def observe(self, agent: str) -> list[float]:
        if agent == "manager":
            return [float(self.busy), self.time_h]
        return [float(self.acuity), float(self.open_beds() - self.busy), self.time_h % 24.0]

    def state(self) -> list[float]:
        return [float(self.busy), float(self.acuity), self.time_h]

    def drain(self) -> Ledger:
        ledger, self.ledger = self.ledger, self._zeros()
        return ledger

    def metrics(self) -> dict[str, float]:
        return {"lost_share": self.lost / max(self.arrived, 1)}

    def board(self) -> Board:
        beds = tuple(Occupant("p") if bed < self.busy else None for bed in range(3))
        return Board(time_h=self.time_h, places=(Place("ward", beds, open_beds=self.open_beds()),))


def toy_task(**options: Any) -> HospitalTask:
    settings: Mapping[str, Any] = {"horizon_h": 24.0, "stay_h": 1.0, "local_rewards": False, "mask_in_observation": False, **options}
    unknown = set(settings) - {"horizon_h", "stay_h", "local_rewards", "mask_in_observation"}
    if unknown:
        raise ValueError(f"unknown option {sorted(unknown)[0]!r}; allowed are horizon_h, stay_h, local_rewards, mask_in_observation")
    return HospitalTask(
        id="medsim/Toy-v0",
        config=None,
        roles=ROLES,
        actions=ACTIONS,
        seen={
            "door": (Seen(name="acuity", high=5), Seen(name="beds free", high=3), Seen(name="hour", high=24)),
            "manager": (Seen(name="beds busy", high=3), Seen(name="time h", high=100)),
        },
        state_names=("beds busy", "acuity", "time h"),
        term_names=("lost", "beds"),
        cost_names=("urgent_refused",),
        make_model=lambda key: ToyModel(key, settings["horizon_h"], settings["stay_h"]),
        horizon_h=settings["horizon_h"],
        mask_in_observation=settings["mask_in_observation"],
        local_rewards=settings["local_rewards"],
    )


class ToyEnv(HospitalParallelEnv):
    """The toy for PettingZoo."""

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(toy_task(**options), render_mode)


def best() -> HospitalPolicy:
    """Admit everybody, open nothing."""
    return FunctionHospitalPolicy("best", lambda agent, seen, mask: int(agent == "door" and mask[1]))


POLICIES: dict[str, Callable[[], HospitalPolicy]] = {"random": RandomHospitalPolicy, "nothing": DoNothing, "best": best}

CARD = HospitalCard(
    id="medsim/Toy-v0",
    question="a door and a manager",
    entry_point="tests.toy_hospital:ToyEnv",
    several_agents=True,
    task="tests.toy_hospital:toy_task",
    policies="tests.toy_hospital",
    floor_policy="random",
    protocol_policy="best",
    ceiling_policy="best",
    scores=Scores(floor=-93.0, protocol=0.0, ceiling=0.0, command="medsim evaluate medsim/Toy-v0 --policy all"),
    episodes=6,
)
