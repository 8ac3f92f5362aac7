"""The flow of patients as arrays: the model of ``flow.model`` for many hospitals at once, compiled.

It keeps the same ``Situation`` and ``Tally`` by the same rules and draws the same numbers, so an episode is the SimPy model's, event by
event (a test compares them). Only what SimPy does is written again, here and in ``flow.crowd``: a heap of events, and lists of who waits
where. Everything that an episode depends on stands in arrays, so it can be copied, restored, and branched.

Functions take one hospital: its key, the plan, and rows of the arrays: s, t, c (``Situation``, ``Tally``, ``Crowd``).
"""

import math
from typing import Any

from medsim.core.streams import Key
from medsim.hospital.draws import DECLINE, draw_uniform
from medsim.hospital.flow.crowd import (
    AGAIN,
    ARRIVES,
    ASKED_UNIT,
    ASKS,
    CLOCK,
    END,
    ENDED,
    FORGET,
    FREE_SLOTS,
    GIVES_UP,
    HEAP,
    HOUR,
    IS_OVER,
    KIND_BITS,
    KIND_MASK,
    NEEDS_ROOM,
    NO_UNIT,
    NOBODY,
    THE_MANAGER,
    TOKEN_BITS,
    WHO_MASK,
    Crowd,
    dequeue,
    enqueue,
    forget_somebody,
    schedule,
    somebody,
    take_first,
)
from medsim.hospital.flow.plan import Plan
from medsim.hospital.flow.rules import (
    FIRST_AT_START,
    HOME,
    acuity_of,
    next_arrival_h,
    next_unit,
    patience_h,
    readmitted,
    residual_stay_h,
    shorter_stay,
    stay_h,
)
from medsim.hospital.flow.situation import (
    AGENT,
    PREEMPTIVE,
    Situation,
    Tally,
    accrue,
    arrange,
    can_start,
    change_shift,
    earliest_source,
    fill_mask,
    first_triage,
    manager_actions,
    next_by_rule,
    note_cut_off,
    note_refusal,
    note_start,
    unit_actions,
)

__all__ = ["answer_one", "begin_one", "run_one"]


def joins_queue(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, p: int, u: int) -> None:
    """Ask for a bed in a unit; who comes from outside is turned away if there is no place."""
    units = plan.beds.shape[0]
    source = units if c.visit[p] == 0 else c.bed[p]
    triage, acuity = c.triage[p], c.acuity[p]
    t.asked[u, triage] += 1.0
    if source == units and s.queued[u] >= plan.places[u] and not can_start(plan, s, u, triage):
        note_refusal(plan, t, u, triage, acuity, False, 0.0)
        forget_somebody(c, p)
        return
    if u == plan.icu:
        t.icu_asked[c.group[p], acuity] += 1.0
    if source != units:
        if plan.blocks[source] == 1:
            s.boarding[source] += 1
        else:
            leaves_unit(s, t, c, now_h, p)
    c.source[p] = source
    c.asked_h[p] = now_h
    enqueue(plan, s, c, p, u, False)
    s.dirty[u] = 1
    mean_h = plan.patience_h[u, triage]
    if c.bed[p] < 0 and mean_h > 0.0:
        schedule(c, now_h + patience_h(key, c.number[p], u, mean_h), GIVES_UP, p, c.token[p])


def leaves_unit(s: Situation, t: Tally, c: Crowd, now_h: float, p: int) -> None:
    """A visit to a unit is over."""
    t.gone[c.bed[p], c.triage[p]] += 1.0
    t.sojourn_h[c.bed[p], c.triage[p]] += now_h - c.visit_asked_h[p]
    vacates(s, t, c, now_h, p)


def vacates(s: Situation, t: Tally, c: Crowd, now_h: float, p: int) -> None:
    """A bed becomes free."""
    u = c.bed[p]
    c.bed[p] = NOBODY
    c.lying[c.place[p]] = NOBODY
    c.beds[c.first_bed[u] + c.free_beds[u]] = c.place[p]
    c.free_beds[u] += 1
    s.occupied[u] -= 1
    s.dirty[u] = 1
    t.bed_sum_h[u] += now_h - c.lay_down_h[p]


def moves(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, p: int) -> None:
    """A patient gets the bed that they wait for, and leaves the one that they hold."""
    u = c.queue[p]
    dequeue(plan, s, c, p)
    if c.bed[p] >= 0:
        s.boarding[c.bed[p]] -= 1
        leaves_unit(s, t, c, now_h, p)
    if c.interrupted[p] == 1:
        t.queue_sum_h[u] += now_h - c.began_h[p]
        c.interrupted[p] = 0
    else:
        c.visit[p] += 1
        c.visit_asked_h[p] = c.asked_h[p]
        a = c.acuity[p]
        note_start(plan, t, u, c.triage[p], a, c.group[p], now_h - c.asked_h[p], now_h - c.arrived_h[p], c.source[p])
        stay = stay_h(key, c.number[p], c.visit[p], plan.law[u, a], plan.mu[u, a], plan.sigma[u, a])
        if plan.crowding[u, 1] > 0.0:
            stay = shorter_stay(stay, (s.occupied[u] + 1) / s.opened[u], plan.crowding[u, 0], plan.crowding[u, 1])
        c.stay_h[p] = stay
    lies_down(s, c, now_h, p, u)


def lies_down(s: Situation, c: Crowd, now_h: float, p: int, u: int) -> None:
    """A patient is in a bed and treatment begins."""
    c.free_beds[u] -= 1
    bed = c.beds[c.first_bed[u] + c.free_beds[u]]
    c.lying[bed] = p
    c.place[p] = bed
    c.bed[p] = u
    c.began_h[p] = now_h
    c.lay_down_h[p] = now_h
    s.occupied[u] += 1
    s.treating[u] += 1
    c.token[p] += 1
    schedule(c, now_h + c.stay_h[p], IS_OVER, p, c.token[p])


# Beds


def settle(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float) -> None:
    """Give the beds that rules give, until nothing changes."""
    units = plan.beds.shape[0]
    changing = True
    while changing:
        changing = False
        for u in range(units):
            if s.dirty[u] == 1:
                changing = True
                s.dirty[u] = 0
                s.held[u] = 0
                if plan.discipline[u] != AGENT:
                    give_beds(key, plan, s, t, c, now_h, u)
        if changing:
            swap_if_stuck(key, plan, s, t, c, now_h)


def give_beds(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, u: int) -> None:
    """Give a unit's beds by its rule."""
    while s.queued[u] > 0:
        found = next_by_rule(plan, s, u, now_h)
        if found >= 0:
            moves(key, plan, s, t, c, now_h, c.head[u, found // 5, found % 5])
        elif plan.discipline[u] != PREEMPTIVE or not makes_way(plan, s, t, c, now_h, u):
            return


def last_treated(s: Situation, c: Crowd, u: int) -> int:
    """Return who of a unit is least urgent, and came last; NOBODY if nobody is treated."""
    found = NOBODY
    for bed in range(c.first_bed[u], c.first_bed[u + 1]):
        p = c.lying[bed]
        if p >= 0 and c.queue[p] < 0:
            if found < 0 or c.triage[p] > c.triage[found]:
                found = p
            elif c.triage[p] == c.triage[found]:
                later = c.began_h[p] > c.began_h[found]
                if later or (c.began_h[p] == c.began_h[found] and c.number[p] > c.number[found]):
                    found = p
    return int(found)


def makes_way(plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, u: int) -> bool:
    """Interrupt who is least urgent, and came last, if somebody more urgent waits; returns whether a bed became free."""
    if s.treating[u] > s.working[u] or s.occupied[u] > s.opened[u]:
        return False
    p = last_treated(s, c, u)
    if p < 0:
        return False
    urgent = False
    for triage in range(c.triage[p]):
        if earliest_source(plan, s, u, triage) >= 0:
            urgent = True
    if not urgent:
        return False
    c.stay_h[p] -= now_h - c.began_h[p]
    s.treating[u] -= 1
    vacates(s, t, c, now_h, p)
    c.interrupted[p] = 1
    c.began_h[p] = now_h
    c.asked_h[p] = c.visit_asked_h[p]
    c.token[p] += 1
    enqueue(plan, s, c, p, u, True)
    return True


def swap_if_stuck(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float) -> None:
    """Let two patients change beds where each waits for the other's unit, and both are full: else nobody could ever move."""
    units = plan.beds.shape[0]
    for a in range(units):
        for b in range(a + 1, units):
            if s.boarding[a] > 0 and s.boarding[b] > 0 and s.occupied[a] >= s.opened[a] and s.occupied[b] >= s.opened[b]:
                one, other = boarder(c, a, b), boarder(c, b, a)
                if one >= 0 and other >= 0:
                    s.boarding[a] -= 1
                    leaves_unit(s, t, c, now_h, one)
                    for k in range(2):
                        moves(key, plan, s, t, c, now_h, other if k == 0 else one)
                    s.dirty[a] = 1
                    s.dirty[b] = 1
                    return


def boarder(c: Crowd, u: int, target: int) -> int:
    """Return who, in a bed of a unit, waits for another: the most urgent, then the first."""
    for triage in range(5):
        p = c.head[target, u, triage]
        while p >= 0:
            if c.bed[p] == u:
                return int(p)
            p = c.after[p]
    return NOBODY


# Events


def arrives(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, stream: int, horizon_h: float) -> None:
    """A patient of a stream arrives, and the next one is put down."""
    number = c.count[stream] * plan.stream_unit.shape[0] + stream
    c.count[stream] += 1
    p = somebody(key, plan, c, now_h, number, acuity_of(key, number, plan.acuity, stream))
    next_arrival(key, plan, c, now_h, stream, horizon_h)
    joins_queue(key, plan, s, t, c, now_h, p, plan.stream_unit[stream])


def next_arrival(key: Key, plan: Plan, c: Crowd, now_h: float, stream: int, horizon_h: float) -> None:
    """Put down a stream's next arrival."""
    time_h, candidate = next_arrival_h(key, stream, c.candidate[stream], now_h, horizon_h, plan.rates, plan.top_rate[stream])
    c.candidate[stream] = candidate
    if time_h < math.inf:
        schedule(c, now_h + (time_h - now_h), ARRIVES, stream, 0)


def treatment_ends(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, p: int) -> None:
    """A stay is over: the patient goes on, or home."""
    u = c.bed[p]
    s.treating[u] -= 1
    s.dirty[u] = 1
    target = goes_on(key, plan, c, p)
    if target == HOME:
        leaves_unit(s, t, c, now_h, p)
        forget_somebody(c, p)
    else:
        joins_queue(key, plan, s, t, c, now_h, p, target)


def goes_on(key: Key, plan: Plan, c: Crowd, p: int) -> int:
    """Return the unit to which a patient goes next, or HOME."""
    if c.cut_h[p] > 0.0:
        cut_h = c.cut_h[p]
        c.cut_h[p] = 0.0
        if draw_uniform(key, DECLINE, c.number[p], c.visit[p]) < readmitted(plan.readmission_per_day_cut, cut_h):
            return plan.icu
    return next_unit(key, c.number[p], c.visit[p], plan.exits, c.bed[p], c.acuity[p])


def gives_up(plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, p: int) -> None:
    """A patient leaves a queue unseen."""
    u = c.queue[p]
    dequeue(plan, s, c, p)
    t.queue_sum_h[u] += now_h - c.asked_h[p]
    note_refusal(plan, t, u, c.triage[p], c.acuity[p], True, now_h - c.arrived_h[p])
    forget_somebody(c, p)
    s.dirty[u] = 1


def strikes(plan: Plan, s: Situation, c: Crowd, now_h: float) -> None:
    """The hour strikes: shifts change, and the manager may be asked."""
    hour = c.counters[HOUR]
    if plan.manager_every_h > 0.0 and hour % plan.manager_every_h == 0.0:
        s.manager[0] = 1
    change_shift(plan, s, hour % 24)
    c.counters[HOUR] += 1
    schedule(c, now_h + 1.0, CLOCK, 0, 0)


def happens(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, horizon_h: float, what: int) -> None:
    """Let an event happen."""
    kind, who, token = what & KIND_MASK, (what >> KIND_BITS) & WHO_MASK, what >> TOKEN_BITS
    if kind == ARRIVES:
        arrives(key, plan, s, t, c, now_h, who, horizon_h)
    elif kind == IS_OVER:
        if c.token[who] == token:
            treatment_ends(key, plan, s, t, c, now_h, who)
    elif kind == GIVES_UP:
        if c.token[who] == token and c.queue[who] >= 0:
            gives_up(plan, s, t, c, now_h, who)
    elif kind == CLOCK:
        strikes(plan, s, c, now_h)
    elif kind == AGAIN:
        if s.held[who] == 1 and c.again[who] == token:
            s.held[who] = 0
    elif kind == FORGET:
        forget_counts(t)


def forget_counts(t: Tally) -> None:
    """Forget, at the end of the warm-up, what has been counted."""
    for counts in (t.bed_h, t.queue_h, t.bed_sum_h, t.queue_sum_h, t.terms, t.costs):
        for k in range(counts.shape[0]):
            counts[k] = 0.0
    for table in (t.asked, t.started, t.wait_h, t.late, t.turned_away, t.left, t.gone, t.sojourn_h, t.seen, t.seen_wait_h,
                  t.icu_asked, t.icu_in_time):  # fmt: skip
        for k in range(table.shape[0]):
            for j in range(table.shape[1]):
                table[k, j] = 0.0


# What is asked


def choose_whom_to_ask(plan: Plan, s: Situation, c: Crowd, mask: Any) -> bool:
    """Find who has a choice, set their mask, and return whether there is anybody."""
    if s.manager[0] == 1:
        for k in range(mask.shape[0]):
            mask[k] = 1 if k < manager_actions(plan) else 0
        c.counters[ASKED_UNIT] = THE_MANAGER
        return True
    for u in range(plan.beds.shape[0]):
        if plan.discipline[u] == AGENT and s.held[u] == 0 and s.queued[u] > 0:
            size = unit_actions(plan, u)
            if fill_mask(plan, s, u, mask[:size]):
                for k in range(size, mask.shape[0]):
                    mask[k] = 0
                c.counters[ASKED_UNIT] = u
                return True
    c.counters[ASKED_UNIT] = NO_UNIT
    return False


def answer_one(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, action: int) -> None:
    """Do what the agent that was asked has decided."""
    u, now_h = c.counters[ASKED_UNIT], s.clock[0]
    if u == THE_MANAGER:
        s.manager[0] = 0
        if action != 0:
            arrange(plan, s, action, int(now_h) % 24)
    elif action == 0:
        s.held[u] = 1
        c.again[u] += 1
        schedule(c, now_h + plan.reconsider_h, AGAIN, u, c.again[u])
    else:
        take(key, plan, s, t, c, now_h, u, action)
    c.counters[ASKED_UNIT] = NO_UNIT


def take(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, u: int, action: int) -> None:
    """Take the patient whom an agent has chosen, or step one down."""
    if plan.by_source[u] == 0:
        triage = action - 1
        source = earliest_source(plan, s, u, triage)
    else:
        source = plan.sources[u, action - 1] if action <= plan.beds.shape[0] + 1 else NOBODY
        if source < 0:
            steps_down(key, plan, s, t, c, now_h, u)
            return
        triage = first_triage(plan, s, u, source)
    moves(key, plan, s, t, c, now_h, c.head[u, source, triage])


def steps_down(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, now_h: float, u: int) -> None:
    """Send the patient with the least left to do to the ward early; the ward has to have them, too."""
    found = NOBODY
    for bed in range(c.first_bed[u], c.first_bed[u + 1]):
        p = c.lying[bed]
        if p >= 0 and c.queue[p] < 0:
            ends_h = c.began_h[p] + c.stay_h[p]
            if found < 0 or ends_h < c.began_h[found] + c.stay_h[found]:
                found = p
    c.cut_h[found] = c.began_h[found] + c.stay_h[found] - now_h
    t.terms[3] -= plan.prices[2]
    s.treating[u] -= 1
    c.token[found] += 1
    joins_queue(key, plan, s, t, c, now_h, found, plan.ward)


# One hospital


def begin_one(key: Key, plan: Plan, s: Situation, c: Crowd, horizon_h: float, warm_up_h: float) -> None:
    """Begin an episode, in arrays that are zero but for ``first_bed``."""
    units = plan.beds.shape[0]
    people = c.slots.shape[0]
    for k in range(people):
        c.slots[k] = people - 1 - k
        c.number[k] = NOBODY
        c.bed[k] = NOBODY
        c.queue[k] = NOBODY
    c.counters[FREE_SLOTS] = people
    for u in range(units):
        for source in range(units + 1):
            for triage in range(5):
                c.head[u, source, triage] = NOBODY
                c.tail[u, source, triage] = NOBODY
        for bed in range(c.first_bed[u], c.first_bed[u + 1]):
            c.lying[bed] = NOBODY
            c.beds[bed] = c.first_bed[u + 1] - 1 - (bed - c.first_bed[u])
        c.free_beds[u] = c.first_bed[u + 1] - c.first_bed[u]
    arrange(plan, s, 2 if plan.nursed.shape[0] > 0 else 0, 0)
    schedule(c, horizon_h, END, 0, 0)
    people_at_start(key, plan, s, c)
    if plan.manager_every_h > 0.0 or shifts_change(plan):
        strikes(plan, s, c, 0.0)
    if warm_up_h > 0.0:
        schedule(c, warm_up_h, FORGET, 0, 0)
    for stream in range(plan.stream_unit.shape[0]):
        next_arrival(key, plan, c, 0.0, stream, horizon_h)


def shifts_change(plan: Plan) -> bool:
    """Return whether the staff of some unit depends on the hour."""
    changes = False
    for u in range(plan.beds.shape[0]):
        for hour in range(1, 24):
            differs = plan.clinicians[u, hour] != plan.clinicians[u, 0] or plan.nurses[u, hour] != plan.nurses[u, 0]
            changes = changes or differs
    return changes


def people_at_start(key: Key, plan: Plan, s: Situation, c: Crowd) -> None:
    """Beds that are taken at the start, by patients in the middle of their stays."""
    number = FIRST_AT_START
    for u in range(plan.beds.shape[0]):
        for _ in range(plan.started[u]):
            p = somebody(key, plan, c, 0.0, number, acuity_of(key, number, plan.start_mix, u))
            a = c.acuity[p]
            c.visit[p] = 1
            c.visit_asked_h[p] = 0.0
            c.stay_h[p] = residual_stay_h(key, number, plan.law[u, a], plan.mu[u, a], plan.sigma[u, a])
            lies_down(s, c, 0.0, p, u)
            number += 1


def run_one(key: Key, plan: Plan, s: Situation, t: Tally, c: Crowd, horizon_h: float, mask: Any) -> int:
    """Run to the next question (ASKS), to the horizon (ENDED), or until the arrays are full (NEEDS_ROOM): then call again."""
    while True:
        settle(key, plan, s, t, c, s.clock[0])
        if not has_room(s, c):
            return NEEDS_ROOM
        if c.event_h[0] > s.clock[0] and choose_whom_to_ask(plan, s, c, mask):
            return ASKS
        time_h = c.event_h[0]
        what = take_first(c)
        accrue(plan, s, t, time_h)
        if what & KIND_MASK == END:
            count_the_rest(plan, t, c, time_h)
            c.counters[ASKED_UNIT] = NO_UNIT
            return ENDED
        happens(key, plan, s, t, c, time_h, horizon_h, what)


def has_room(s: Situation, c: Crowd) -> bool:
    """Return whether the arrays hold whatever the next event, or the next answer, can bring: one person more, and everybody moving."""
    moving = 0
    for u in range(s.queued.shape[0]):
        moving += s.queued[u]
    return bool(c.counters[FREE_SLOTS] > 0 and c.counters[HEAP] + 2 * moving + 16 < c.event_h.shape[0])


def count_the_rest(plan: Plan, t: Tally, c: Crowd, now_h: float) -> None:
    """Count, at the horizon, the waits and stays that it cuts off."""
    for p in range(c.number.shape[0]):
        if c.number[p] >= 0:
            if c.queue[p] >= 0:
                since_h = c.began_h[p] if c.interrupted[p] == 1 else c.asked_h[p]
                t.queue_sum_h[c.queue[p]] += now_h - since_h
                if c.interrupted[p] == 0:
                    note_cut_off(plan, t, c.queue[p], c.triage[p], c.source[p], now_h - since_h, now_h - c.arrived_h[p])
            if c.bed[p] >= 0:
                t.bed_sum_h[c.bed[p]] += now_h - c.lay_down_h[p]
