"""The loops over hospitals, compiled, or run as plain Python: begin episodes, answer, run to the next question, tell what is seen."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from medsim.core.compile import compiled_together, jit_enabled
from medsim.core.streams import Key
from medsim.hospital.flow.core import answer_one, begin_one, run_one
from medsim.hospital.flow.crowd import ASKED_UNIT, ASKS, NEEDS_ROOM, NOBODY, STATUS, Crowd
from medsim.hospital.flow.plan import Plan
from medsim.hospital.flow.situation import AGENT, Situation, Tally, observe

__all__ = ["FlowKernels", "flow_kernels"]


def begin_hospitals(keys: Any, mask: Any, plan: Plan, s: Situation, t: Tally, c: Crowd, horizon_h: float, warm_up_h: float) -> None:
    """Begin the episodes of the hospitals whose mask is set, in arrays that are zero; keys: (n, 4)."""
    for e in range(mask.shape[0]):
        if mask[e]:
            key = Key(int(keys[e, 0]), int(keys[e, 1]), int(keys[e, 2]), int(keys[e, 3]), 0)
            begin_one(key, plan, situation_of(s, e), crowd_of(c, e), horizon_h, warm_up_h)


def run_hospitals(keys: Any, todo: Any, actions: Any, plan: Plan, s: Situation, t: Tally, c: Crowd, horizon_h: float, masks: Any,
                  agent: Any, ended: Any) -> int:  # fmt: skip
    """Answer (todo 2) and run (todo 1 or 2) hospitals to their next question; returns how many need room, and are to be run again.

    Afterwards todo is 0 where that is done, and 1 where there is no room; agent: who is asked, a number among the agents, or NOBODY.
    """
    lacking = 0
    for e in range(todo.shape[0]):
        if todo[e] > 0:
            key = Key(int(keys[e, 0]), int(keys[e, 1]), int(keys[e, 2]), int(keys[e, 3]), 0)
            situation, tally, crowd = situation_of(s, e), tally_of(t, e), crowd_of(c, e)
            if todo[e] == 2:
                answer_one(key, plan, situation, tally, crowd, actions[e])
            status = run_one(key, plan, situation, tally, crowd, horizon_h, masks[e])
            crowd.counters[STATUS] = status
            todo[e] = 1 if status == NEEDS_ROOM else 0
            lacking += todo[e]
            if status == ASKS:
                agent[e] = agent_number(plan, crowd.counters[ASKED_UNIT])
            else:
                agent[e] = NOBODY
                ended[e] = status != NEEDS_ROOM
    return lacking


def agent_number(plan: Plan, unit: int) -> int:
    """Return the number of a unit's agent among the agents; -1 stands for the manager, who is the last."""
    number = 0
    for u in range(plan.beds.shape[0] if unit < 0 else unit):
        if plan.discipline[u] == AGENT:
            number += 1
    return number


def observe_hospitals(plan: Plan, s: Situation, which: Any, agents: Any, low: Any, high: Any, row: Any, out: Any) -> None:
    """Write what agents see in hospitals into out (m, K), cut at their limits (K,); row: (K,) to work in."""
    for j in range(which.shape[0]):
        if agents[j] >= 0:
            observe(plan, situation_of(s, which[j]), agents[j], row)
            for k in range(row.shape[0]):
                out[j, k] = min(max(row[k], low[k]), high[k])


def drain_hospitals(t: Tally, todo: Any, terms: Any, costs: Any) -> None:
    """Hand over the terms and costs (n, 5), (n, 6) counted since the last time; zeros for hospitals that were not stepped."""
    for e in range(todo.shape[0]):
        for k in range(terms.shape[1]):
            terms[e, k] = t.terms[e, k] if todo[e] else 0.0
            t.terms[e, k] = 0.0 if todo[e] else t.terms[e, k]
        for k in range(t.costs.shape[1]):
            costs[e, k] = t.costs[e, k] if todo[e] else 0.0
            t.costs[e, k] = 0.0 if todo[e] else t.costs[e, k]


def situation_of(all_of: Situation, e: int) -> Situation:
    """Return the situation of one of several hospitals: views of its rows."""
    return Situation(
        all_of.waiting[e], all_of.head_h[e], all_of.queued[e], all_of.occupied[e], all_of.treating[e], all_of.boarding[e],
        all_of.opened[e], all_of.working[e], all_of.nursing[e], all_of.held[e], all_of.dirty[e], all_of.unseen[e], all_of.manager[e],
        all_of.clock[e],
    )  # fmt: skip


def tally_of(all_of: Tally, e: int) -> Tally:
    """Return the tally of one of several hospitals: views of its rows."""
    return Tally(
        all_of.terms[e], all_of.costs[e], all_of.bed_h[e], all_of.queue_h[e], all_of.bed_sum_h[e], all_of.queue_sum_h[e],
        all_of.asked[e], all_of.started[e], all_of.wait_h[e], all_of.late[e], all_of.turned_away[e], all_of.left[e], all_of.gone[e],
        all_of.sojourn_h[e], all_of.seen[e], all_of.seen_wait_h[e], all_of.icu_asked[e], all_of.icu_in_time[e],
    )  # fmt: skip


def crowd_of(all_of: Crowd, e: int) -> Crowd:
    """Return the people and events of one of several hospitals: views of its rows."""
    return Crowd(
        all_of.number[e], all_of.acuity[e], all_of.triage[e], all_of.group[e], all_of.visit[e], all_of.bed[e], all_of.place[e],
        all_of.queue[e], all_of.source[e], all_of.interrupted[e], all_of.token[e], all_of.arrived_h[e], all_of.asked_h[e],
        all_of.visit_asked_h[e], all_of.began_h[e], all_of.lay_down_h[e], all_of.stay_h[e], all_of.cut_h[e], all_of.after[e],
        all_of.before[e], all_of.slots[e], all_of.lying[e], all_of.beds[e], all_of.first_bed[e], all_of.free_beds[e], all_of.head[e],
        all_of.tail[e], all_of.event_h[e], all_of.event_order[e], all_of.event_what[e],
        all_of.candidate[e], all_of.count[e], all_of.again[e], all_of.counters[e],
    )  # fmt: skip


class FlowKernels:
    """The entry points; ``compiled`` says whether they are machine code."""

    def __init__(self, made: dict[str, Callable[..., Any]], *, compiled: bool) -> None:
        self.begin, self.run = made["begin_hospitals"], made["run_hospitals"]
        self.observe, self.drain = made["observe_hospitals"], made["drain_hospitals"]
        self.compiled = compiled


@lru_cache(maxsize=2)
def kernels_of(compiled: bool) -> FlowKernels:
    """Return the kernels of one kind, the same ones each time."""
    entries = (begin_hospitals, run_hospitals, observe_hospitals, drain_hospitals)
    made = compiled_together("hospital_flow", *entries, copied=True) if compiled else {one.__name__: one for one in entries}
    return FlowKernels(made, compiled=compiled)


def flow_kernels() -> FlowKernels:
    """Return the kernels for this process: compiled, or plain Python with ``MEDSIM_JIT=0``."""
    return kernels_of(jit_enabled())
