"""What is told of a hospital's episode: figures, the ledger of rewards and costs, the board. Shared by both engines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medsim.hospital.board import Board, Occupant, Place
from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.plan import Plan
from medsim.hospital.flow.rules import FIRST_AT_START
from medsim.hospital.flow.seen import MANAGER, action_names
from medsim.hospital.flow.situation import ARRANGEMENT, COSTS, NOW, TERMS, Situation, Tally
from medsim.hospital.task import Ledger

__all__ = ["People", "flow_board", "flow_metrics", "group_gaps", "hidden_state", "ledger_of", "state_names"]

BESIDE_H = 4.0  # a boarder is marked late on the board beyond this


@dataclass(frozen=True)
class People:
    """Who is where, unit by unit.

    Attributes:
        beds: (number, triage from 0, whether they wait for another bed), or None. queues: (since, number, triage), in order.
    """

    beds: list[list[tuple[int, int, bool] | None]]
    queues: list[list[tuple[float, int, int]]]


def ledger_of(t: Tally, owners: Mapping[str, tuple[str, ...]]) -> Ledger:
    """Return the terms and costs counted since the last call, and begin anew."""
    terms = dict(zip(TERMS, t.terms.tolist(), strict=True))
    costs = dict(zip(COSTS, t.costs.tolist(), strict=True))
    t.terms.fill(0.0)
    t.costs.fill(0.0)
    return Ledger(terms=terms, costs=costs, local={agent: sum(terms[name] for name in names) for agent, names in owners.items()})


def share(part: float, whole: float) -> float:
    """Return a part of a whole; 0 of nothing."""
    return float(part / whole) if whole > 0.0 else 0.0


def flow_metrics(config: HospitalConfig, plan: Plan, s: Situation, t: Tally, warm_up_h: float = 0.0) -> dict[str, float]:
    """Return figures of an episode so far, since the end of the warm-up.

    ``wait_for_UNIT_h``: hours in the unit's queue for each who asked for a bed there, whether they got it, left, or still wait;
    ``wait_of_those_seen_h``: from arrival until seen, of those who were; ``left_unseen_share``; ``occupied_UNIT_share`` of the beds that
    the unit has for certain; ``turned_away``; and ``group_gaps``.
    """
    counted_h = max(float(s.clock[NOW]) - warm_up_h, 0.0)
    found: dict[str, float] = {}
    if plan.seen_in >= 0:
        found["wait_of_those_seen_h"] = share(t.seen_wait_h.sum(), t.seen.sum())
        found["left_unseen_share"] = share(t.left[plan.seen_in].sum(), t.asked[plan.seen_in].sum())
        found |= group_gaps(plan, t)
    for number, unit in enumerate(config.units):
        found[f"wait_for_{unit.name}_h"] = share(t.queue_h[number], t.asked[number].sum())
        found[f"occupied_{unit.name}_share"] = share(t.bed_h[number], counted_h * max(float(plan.beds[number]), 1.0))
    found["turned_away"] = float(t.turned_away.sum())
    return found


def group_gaps(plan: Plan, t: Tally) -> dict[str, float]:
    """Return how unequally groups of people were treated at equal true acuity.

    ``group_wait_ratio``: the longest over the shortest mean wait to be seen among groups, each standardised to the acuity mix of all;
    ``group_icu_gap``: the largest difference in the share of requests for intensive care met within 4 h, standardised likewise. Only
    acuities of which every group had somebody count. 1 and 0: no gap.
    """
    waits = standardised(t.seen_wait_h, t.seen)
    access = standardised(t.icu_in_time, t.icu_asked)
    ratio = float(waits.max() / waits.min()) if len(waits) > 1 and waits.min() > 0.0 else 1.0
    return {"group_wait_ratio": ratio, "group_icu_gap": float(access.max() - access.min()) if len(access) > 1 else 0.0}


def standardised(sums: Any, counts: Any) -> Any:
    """Return each group's mean (G,) over the acuity mix of all groups, from sums and counts (G, 5)."""
    common = (counts > 0.0).all(axis=0)
    if not common.any():
        return np.zeros(1)
    weights = counts[:, common].sum(axis=0)
    return (sums[:, common] / counts[:, common]) @ (weights / weights.sum())


def state_names(config: HospitalConfig) -> tuple[str, ...]:
    """Return the names of the true state."""
    names = [unit.name for unit in config.units]
    return (
        "time_h",
        "arrangement",
        *(f"{name} in_bed true_acuity_{acuity}" for name in names for acuity in range(1, 6)),
        *(f"{name} waiting true_acuity_{acuity}" for name in names for acuity in range(1, 6)),
    )


def hidden_state(plan: Plan, s: Situation, people: list[tuple[int, int, int]]) -> list[float]:
    """Return the true state, from everybody's (unit of the bed, unit waited for, true acuity)."""
    counts = np.zeros((2, len(plan.beds), 5))
    for bed, queue, acuity in people:
        if bed >= 0:
            counts[0, bed, acuity] += 1
        if queue >= 0:
            counts[1, queue, acuity] += 1
    return [float(s.clock[NOW]), float(s.manager[ARRANGEMENT]), *counts.ravel().tolist()]


def label_of(number: int) -> str:
    """Return a few letters for a patient: their number, or that of those who were there at the start behind an s."""
    return f"s{number - FIRST_AT_START}" if number >= FIRST_AT_START else str(number % 10_000)


def flow_board(config: HospitalConfig, plan: Plan, s: Situation, people: People, asked: str = "") -> Board:
    """Return what a bed board shows now; asked: the agent whose answer is waited for."""
    now_h, places = float(s.clock[NOW]), []
    for number, unit in enumerate(config.units):
        beds = tuple(
            None if one is None else Occupant(label_of(one[0]), one[1] + 1, "boarding" if one[2] else "") for one in people.beds[number]
        )
        late = plan.targets_h if number == plan.seen_in else np.full(5, BESIDE_H)
        queue = tuple(Occupant(label_of(who), k + 1, "late" if now_h - since > late[k] else "") for since, who, k in people.queues[number])
        nurses = f"{int(s.nursing[number])} nurses" if plan.per_nurse[number] > 0.0 else ""
        clinicians = f"{int(s.working[number])} clinicians" if unit.clinicians else ""
        note = ", ".join(part for part in (nurses, clinicians) if part)
        places.append(Place(unit.name, beds, queue, int(s.opened[number]), note))
    arranged = int(s.manager[ARRANGEMENT])
    arrangement = (action_names(config, MANAGER, plan)[arranged],) if config.manager_every_h and arranged else ()
    question = (f"asked now: {asked}",) if asked else ()
    return Board(now_h, tuple(places), (*arrangement, *question))
