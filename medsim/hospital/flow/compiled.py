"""The compiled core as shells and learners use it: one episode, or a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.streams import Key
from medsim.hospital.board import Board
from medsim.hospital.decisions import NOTHING, Request, allowed_action
from medsim.hospital.event_log import EventLog
from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.hospitals import Hospitals
from medsim.hospital.flow.report import People, flow_board, flow_metrics, hidden_state, ledger_of
from medsim.hospital.flow.situation import Situation, Tally
from medsim.hospital.shells import FORBIDDEN
from medsim.hospital.task import HospitalTask, Ledger

__all__ = ["CompiledFlow", "FlowBatch"]


class CompiledFlow:
    """One episode of a hospital on the compiled core: a ``DecisionModel`` that can also be cloned. It keeps no event log."""

    def __init__(self, config: HospitalConfig, key: Key, *, horizon_h: float, owners: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.config, self.owners = config, owners or {}
        self.hospitals = Hospitals(config, 1, horizon_h=horizon_h)
        self.hospitals.set_keys([key])
        self.log = EventLog(keep=False)
        self.request: Request | None = None
        self.outcome = ""
        self.begun = False
        self.seen = np.zeros((1, len(self.hospitals.low)), dtype=np.float32)

    @property
    def time_h(self) -> float:
        """Hours since Monday, midnight."""
        return float(self.hospitals.s.clock[0, 0])

    def run(self) -> None:
        """Run to the next request, or to the horizon; sets ``request``."""
        hospitals = self.hospitals
        if not self.begun:
            hospitals.reset()
            self.begun = True
        number = int(hospitals.agent[0])
        if number < 0:
            self.request, self.outcome = None, "watching_ended"
            return
        agent = hospitals.agents[number]
        actions = hospitals.actions[number]
        self.request = Request(agent, hospitals.masks[0, :actions].copy(), "arrangement" if agent == "bed_manager" else "bed")

    def answer(self, action: int) -> None:
        """Answer the request with an action that its mask allows, or do nothing; ``run`` tells what is asked next.

        Raises:
            RuntimeError: nobody is asked. ValueError: the action is not allowed; nothing has happened then.
        """
        self.hospitals.answer(np.array([allowed_action(self.request, action)]))
        self.request = None

    def observe(self, agent: str) -> list[float]:
        """Return what an agent sees, cut at its limits."""
        self.hospitals.observe(np.zeros(1, dtype=np.int64), np.array([self.hospitals.agents.index(agent)]), self.seen)
        numbers: list[float] = self.seen[0].tolist()
        return numbers

    def situation(self) -> tuple[Situation, Tally]:
        """Return how things stand, and what has been counted."""
        return Situation(*(values[0] for values in self.hospitals.s)), Tally(*(values[0] for values in self.hospitals.t))

    def state(self) -> list[float]:
        """Return the true state."""
        c = self.hospitals.c
        there = np.flatnonzero(c.number[0] >= 0)
        people = [(int(c.bed[0, p]), int(c.queue[0, p]), int(c.acuity[0, p])) for p in there]
        return hidden_state(self.hospitals.plan, self.situation()[0], people)

    def drain(self) -> Ledger:
        """Return what has come in since the last call."""
        return ledger_of(self.situation()[1], self.owners)

    def metrics(self) -> dict[str, float]:
        """Return figures of the episode so far."""
        return flow_metrics(self.config, self.hospitals.plan, *self.situation())

    def board(self) -> Board:
        """Return what a bed board shows now."""
        c, plan = self.hospitals.c, self.hospitals.plan
        lying, first = c.lying[0], c.first_bed[0]
        beds: list[list[tuple[int, int, bool] | None]] = [
            [
                None if p < 0 else (int(c.number[0, p]), int(c.triage[0, p]), bool(c.queue[0, p] >= 0))
                for p in lying[first[u] : first[u + 1]]
            ]
            for u in range(len(plan.beds))
        ]
        queues = [
            sorted((float(c.asked_h[0, p]), int(c.number[0, p]), int(c.triage[0, p])) for p in np.flatnonzero(c.queue[0] == u))
            for u in range(len(plan.beds))
        ]
        asked = self.request.agent if self.request is not None else ""
        return flow_board(self.config, plan, self.situation()[0], People(beds=beds, queues=queues), asked)

    def person(self, p: int) -> tuple[int, int, bool]:
        """Return somebody's number and triage, and whether they wait for another bed."""
        c = self.hospitals.c
        return int(c.number[0, p]), int(c.triage[0, p]), bool(c.queue[0, p] >= 0)

    def clone(self) -> "CompiledFlow":
        """Return a copy that goes on by itself from here, with the same chances: both, given the same answers, stay equal to the bit."""
        copy = CompiledFlow(self.config, self.hospitals.key(0), horizon_h=self.hospitals.horizon_h, owners=self.owners)
        copy.restore(self.snapshot())
        return copy

    def snapshot(self) -> dict[str, Any]:
        """Return all that ``restore`` needs to return to this moment; it can be pickled."""
        return {**self.hospitals.snapshot(), "begun": self.begun}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to the moment of a snapshot of the same hospital."""
        self.hospitals.restore(snapshot)
        self.begun = snapshot["begun"]
        self.outcome = ""
        if self.begun:
            self.run()


class FlowBatch:
    """n episodes of a hospital on the compiled core: a ``medsim.hospital.batch.DecisionBatch``."""

    def __init__(self, task: HospitalTask, config: HospitalConfig, n: int, owners: Mapping[str, tuple[str, ...]]) -> None:
        self.task, self.n = task, n
        self.hospitals = Hospitals(config, n, horizon_h=task.horizon_h)
        self.cost_names = (*task.cost_names, FORBIDDEN)
        self.agent, self.masks, self.ended = self.hospitals.agent, self.hospitals.masks, self.hospitals.ended
        self.observations = np.zeros((n, len(self.hospitals.low)), dtype=np.float32)
        self.rewards, self.time_h = np.zeros(n), np.zeros(n)
        self.terms = self.hospitals.terms
        self.costs = np.zeros((n, len(self.cost_names)))
        self.own = np.array([[float(name in owners.get(agent, ())) for agent in task.agents] for name in task.term_names])
        self.local = np.zeros((n, len(task.agents)))
        self.everywhere = np.arange(n)

    def seed(self, seed: int | Sequence[int], slots: Sequence[int] | None = None) -> None:
        """Key the streams from the next reset on: one seed for all or one each, slots 0, 1, ... unless others are given."""
        self.hospitals.seed(seed, slots)

    def key(self, row: int) -> Key:
        """Return the key of a hospital's present episode."""
        return self.hospitals.key(row)

    def reset(self, mask: npt.NDArray[np.bool_] | None = None) -> None:
        """Begin the next episode of all hospitals, or of those in the mask, and run to its first decision."""
        chosen = np.ones(self.n, dtype=np.bool_) if mask is None else np.asarray(mask, dtype=np.bool_)
        self.hospitals.reset(chosen)
        self.hospitals.drain(chosen)  # nothing has been decided yet, so nothing counts yet
        for reported in (self.rewards, self.local, self.costs, self.terms):
            reported[chosen] = 0.0
        self._look(chosen)

    def step(self, actions: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None = None) -> None:
        """Answer in all hospitals, or in those of the mask, and run each to its next decision; those that are over stay as they are.

        Raises:
            ValueError: an action is not from 0 to A - 1, or there are not n; nothing has happened then.
        """
        chosen = ~self.ended if mask is None else np.asarray(mask, dtype=np.bool_) & ~self.ended
        given = np.asarray(actions)
        most = self.masks.shape[1]
        if given.shape != (self.n,) or not np.issubdtype(given.dtype, np.integer):
            raise ValueError(f"actions must be {self.n} whole numbers, not {given.dtype} of shape {given.shape}")
        wrong = np.flatnonzero(chosen & ((given < 0) | (given >= most)))
        if len(wrong):
            raise ValueError(f"the action of hospital {wrong[0]} must be from 0 to {most - 1}, not {given[wrong[0]]}")
        safe = np.where(chosen, given, NOTHING)
        forbidden = chosen & (self.masks[self.everywhere, safe] == 0)
        self.hospitals.answer(np.where(forbidden, NOTHING, safe), chosen)
        self.hospitals.drain(chosen)
        self.costs[:, :-1] = self.hospitals.costs
        self.costs[:, -1] = forbidden
        self.rewards[:] = self.terms.sum(axis=1)
        self.local[:] = self.terms @ self.own
        self._look(chosen)

    def _look(self, chosen: npt.NDArray[np.bool_]) -> None:
        """Write what the asked agents see; where the episode is over, nothing is left to do."""
        rows = np.flatnonzero(chosen & (self.agent >= 0))
        if len(rows) == self.n:
            self.hospitals.observe(self.everywhere, self.agent, self.observations)
        elif len(rows):
            self.observations[rows] = self.observe(rows, self.agent[rows])
        over = chosen & self.ended
        self.masks[over] = 0
        self.masks[over, NOTHING] = 1
        self.time_h[:] = self.hospitals.s.clock[:, 0]

    def observe(self, rows: npt.NDArray[Any], agents: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return what agents see now in these hospitals (m, K), asked or not, also after the end."""
        out = np.zeros((len(rows), self.observations.shape[1]), dtype=np.float32)
        self.hospitals.observe(np.asarray(rows, dtype=np.int64), np.asarray(agents, dtype=np.int64), out)
        return out

    def metrics(self, row: int) -> dict[str, float]:
        """Return figures of a hospital's episode so far."""
        hospitals = self.hospitals
        situation, tally = Situation(*(values[row] for values in hospitals.s)), Tally(*(values[row] for values in hospitals.t))
        return flow_metrics(hospitals.config, hospitals.plan, situation, tally)

    def snapshot(self) -> dict[str, Any]:
        """Return what ``restore`` needs to come back to this moment, to the bit; it can be pickled."""
        reported = {name: getattr(self, name).copy() for name in ("observations", "rewards", "local", "terms", "costs", "time_h")}
        return {"hospitals": self.hospitals.snapshot(), **reported}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to the moment of a snapshot of a batch of the same task and size."""
        self.hospitals.restore(snapshot["hospitals"])
        for name in ("observations", "rewards", "local", "terms", "costs", "time_h"):
            getattr(self, name)[...] = snapshot[name]
