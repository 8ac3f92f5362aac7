"""The people and the events of hospitals as arrays: who is where, lists of who waits, a heap of what will happen.

Functions take one hospital: rows of the arrays (``Crowd``). ``flow.core`` lets things happen to them.
"""

from typing import Any, NamedTuple

import numpy as np

from medsim.core.streams import Key
from medsim.hospital.flow.plan import Plan
from medsim.hospital.flow.rules import group_of, triage_of
from medsim.hospital.flow.situation import Situation

__all__ = ["Crowd", "dequeue", "enqueue", "forget_somebody", "new_crowd", "schedule", "somebody", "take_first"]

# kinds of events
ARRIVES, IS_OVER, GIVES_UP, CLOCK, AGAIN, FORGET, END = range(7)
ASKS, ENDED, NEEDS_ROOM = 1, 2, 3  # why a run stops
NOBODY = -1
KIND_BITS, TOKEN_BITS = 4, 32  # in the number that says what an event is: kind, who, token, from the last bit on
KIND_MASK, WHO_MASK = (1 << KIND_BITS) - 1, (1 << (TOKEN_BITS - KIND_BITS)) - 1
LAST = 1 << 62
# columns of counters
HEAP, SEQUENCE, FREE_SLOTS, HOUR, ASKED_UNIT, STATUS = range(6)
NO_UNIT, THE_MANAGER = -2, -1


class Crowd(NamedTuple):
    """Who is where, with P places for people, B beds, U units, S streams, H places for events.

    Attributes:
        number, acuity, triage, group, visit, bed, place, queue, source, interrupted, token: (P,) of each person: as in ``model.Patient``;
            place: which bed; token: raised whenever the events that they wait for are no longer meant.
        arrived_h .. cut_h: (P,) hours. after, before: (P,) their neighbours in a queue.
        slots: (P,) stack of free places for people. lying: (B,) who lies in each bed; beds: (B,) a stack of free beds for each unit,
            from ``first_bed`` on; free_beds: (U,). head, tail: (U, U + 1, 5) of queues.
        event_h, event_order, event_what: (H,) a heap (what: kind, who and token in one). candidate, count: (S,) of streams.
        again: (U,) how often an agent was left in peace.
        counters: (6,) events, their running number, free places, the hour, the unit that is asked, why the last run stopped.
    """

    number: Any
    acuity: Any
    triage: Any
    group: Any
    visit: Any
    bed: Any
    place: Any
    queue: Any
    source: Any
    interrupted: Any
    token: Any
    arrived_h: Any
    asked_h: Any
    visit_asked_h: Any
    began_h: Any
    lay_down_h: Any
    stay_h: Any
    cut_h: Any
    after: Any
    before: Any
    slots: Any
    lying: Any
    beds: Any
    first_bed: Any
    free_beds: Any
    head: Any
    tail: Any
    event_h: Any
    event_order: Any
    event_what: Any
    candidate: Any
    count: Any
    again: Any
    counters: Any


def new_crowd(plan: Plan, n: int, people: int, events: int) -> Crowd:
    """Return the arrays for n hospitals."""
    units, streams = len(plan.beds), len(plan.stream_unit)
    most = plan.beds + plan.flexible_beds * np.isin(np.arange(units), plan.flexible)
    first = np.concatenate([[0], np.cumsum(most)]).astype(np.int64)
    beds = int(first[-1])

    def whole(*size: int) -> Any:
        return np.zeros((n, *size), dtype=np.int64)

    def hours(*size: int) -> Any:
        return np.zeros((n, *size))

    per_person = [whole(people) for _ in range(11)] + [hours(people) for _ in range(7)] + [whole(people) for _ in range(3)]
    per_bed = [whole(beds), whole(beds), np.tile(first, (n, 1)), whole(units)]
    queues = [whole(units, units + 1, 5), whole(units, units + 1, 5)]
    heap = [hours(events), whole(events), whole(events)]
    return Crowd._make([*per_person, *per_bed, *queues, *heap, whole(streams), whole(streams), whole(units), whole(6)])


# The heap of events


def schedule(c: Crowd, time_h: float, kind: int, who: int, token: int) -> None:
    """Put an event down: it rises to its place in the heap."""
    k = c.counters[HEAP]
    c.counters[HEAP] += 1
    c.counters[SEQUENCE] += 1
    order = c.counters[SEQUENCE] if kind != END else LAST  # at the same time, what was put down first comes first, and the end last
    while k > 0:
        above = (k - 1) // 2
        if not (time_h < c.event_h[above] or (time_h == c.event_h[above] and order < c.event_order[above])):
            break
        move_event(c, above, k)
        k = above
    c.event_h[k] = time_h
    c.event_order[k] = order
    c.event_what[k] = token << TOKEN_BITS | who << KIND_BITS | kind


def move_event(c: Crowd, source: int, target: int) -> None:
    """Move an event to another place of the heap."""
    c.event_h[target] = c.event_h[source]
    c.event_order[target] = c.event_order[source]
    c.event_what[target] = c.event_what[source]


def take_first(c: Crowd) -> int:
    """Take the first event from the heap, and return what it is; the last one sinks to its place."""
    what = c.event_what[0]
    c.counters[HEAP] -= 1
    last = c.counters[HEAP]
    time_h, order = c.event_h[last], c.event_order[last]
    k = 0
    while True:
        child = 2 * k + 1
        if child >= last:
            break
        if child + 1 < last:
            a, b = c.event_h[child], c.event_h[child + 1]
            if b < a or (b == a and c.event_order[child + 1] < c.event_order[child]):
                child += 1
        if not (c.event_h[child] < time_h or (c.event_h[child] == time_h and c.event_order[child] < order)):
            break
        move_event(c, child, k)
        k = child
    move_event(c, last, k)
    return int(what)


# People


def somebody(key: Key, plan: Plan, c: Crowd, now_h: float, number: int, acuity: int) -> int:
    """Return the place of a new patient."""
    c.counters[FREE_SLOTS] -= 1
    p = c.slots[c.counters[FREE_SLOTS]]
    group = group_of(key, number, plan.groups)
    c.number[p] = number
    c.acuity[p] = acuity
    c.group[p] = group
    c.triage[p] = triage_of(key, number, acuity, plan.triage[group, 0], plan.triage[group, 1])
    c.visit[p] = 0
    c.bed[p] = NOBODY
    c.queue[p] = NOBODY
    c.source[p] = plan.beds.shape[0]
    c.interrupted[p] = 0
    c.token[p] += 1
    c.arrived_h[p] = now_h
    c.cut_h[p] = 0.0
    return int(p)


def forget_somebody(c: Crowd, p: int) -> None:
    """Free a patient's place."""
    c.token[p] += 1
    c.number[p] = NOBODY
    c.slots[c.counters[FREE_SLOTS]] = p
    c.counters[FREE_SLOTS] += 1


def enqueue(plan: Plan, s: Situation, c: Crowd, p: int, u: int, first: bool) -> None:
    """Put a patient into a unit's queue, in front of it if they have to be resumed."""
    source, triage = c.source[p], c.triage[p]
    c.after[p] = NOBODY
    c.before[p] = NOBODY
    if s.waiting[u, source, triage] == 0:
        c.head[u, source, triage] = p
        c.tail[u, source, triage] = p
    elif first:
        c.after[p] = c.head[u, source, triage]
        c.before[c.head[u, source, triage]] = p
        c.head[u, source, triage] = p
    else:
        c.before[p] = c.tail[u, source, triage]
        c.after[c.tail[u, source, triage]] = p
        c.tail[u, source, triage] = p
    c.queue[p] = u
    s.waiting[u, source, triage] += 1
    s.head_h[u, source, triage] = c.asked_h[c.head[u, source, triage]]
    s.queued[u] += 1
    if u == plan.seen_in and c.interrupted[p] == 0:
        s.unseen[c.acuity[p]] += 1


def dequeue(plan: Plan, s: Situation, c: Crowd, p: int) -> None:
    """Take a patient out of the queue in which they wait."""
    u, source, triage = c.queue[p], c.source[p], c.triage[p]
    if c.before[p] >= 0:
        c.after[c.before[p]] = c.after[p]
    else:
        c.head[u, source, triage] = c.after[p]
    if c.after[p] >= 0:
        c.before[c.after[p]] = c.before[p]
    else:
        c.tail[u, source, triage] = c.before[p]
    c.queue[p] = NOBODY
    s.waiting[u, source, triage] -= 1
    s.head_h[u, source, triage] = c.asked_h[c.head[u, source, triage]] if c.head[u, source, triage] >= 0 else 0.0
    s.queued[u] -= 1
    if u == plan.seen_in and c.interrupted[p] == 0:
        s.unseen[c.acuity[p]] -= 1
