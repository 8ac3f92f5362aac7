"""How things stand in a hospital, and what has been counted: arrays that the SimPy model and the compiled core keep alike.

The functions below read and write these arrays, and are the only place where rules about numbers stand: when a bed may be given, which
actions are legal, what an hour costs, what is seen. Who waits where is each engine's own.
"""

from typing import Any, NamedTuple

import numpy as np

from medsim.hospital.flow.plan import Plan
from medsim.hospital.flow.rules import admission_harm, icu_harm, nurse_harm_per_h

__all__ = ["COSTS", "TERMS", "Situation", "Tally", "new_situation", "new_tally"]

TERMS = ("waiting", "waiting_for_beds", "left_unseen", "early_step_down", "overtime")
COSTS = ("target_breaches", "boarding_above_4_h", "unsafe_nurse_ratio_h", "refused_high_acuity", "overtime_h", "expected_excess_deaths")
WAITING, BEDS, LEFT, STEP_DOWN, OVERTIME = range(5)  # rows of terms
BREACH, BOARDED, UNSAFE, REFUSED, OVERTIME_H, DEATHS = range(6)  # rows of costs
HIGH_ACUITY = 1  # acuities 0 and 1 (immediate, emergency) are high
BOARDING_LIMIT_H = 4.0  # the English four-hour standard, applied to the wait for a bed
ICU_IN_TIME_H = 4.0  # chosen: access to intensive care counts as timely within the same four hours
NOW = 0  # of clock
DUE, ARRANGEMENT = 0, 1  # of manager
AGENT, PREEMPTIVE = 4, 2  # disciplines: an agent is asked; who is more urgent interrupts
BED_SHARES = 3  # the manager gives none, half or all flexible beds to the second of the two units


class Situation(NamedTuple):
    """How things stand now, with U units.

    Attributes:
        waiting: (U, U + 1, 5) who waits for a unit, by source (U: outside) and triage; head_h: since when the first of them has.
        queued, occupied, treating, boarding: (U,) patients that wait for the unit; in its beds; treated; in its beds and ready to leave.
        opened, working, nursing: (U,) open beds, clinicians and nurses on duty.
        held: (U,) 1 while an agent that did nothing is left in peace; dirty: (U,) 1 until a change has been looked at.
        unseen: (5,) who waits to be seen, by true acuity. manager: (2,) whether they are due, and the arrangement in force.
        clock: (1,) the time up to which all is counted, in hours.
    """

    waiting: Any
    head_h: Any
    queued: Any
    occupied: Any
    treating: Any
    boarding: Any
    opened: Any
    working: Any
    nursing: Any
    held: Any
    dirty: Any
    unseen: Any
    manager: Any
    clock: Any


class Tally(NamedTuple):
    """What has been counted, with U units and G groups.

    Attributes:
        terms, costs: (5,), (6,) since they were last drained.
        bed_h, queue_h: (U,) patient-hours in beds and in queues; bed_sum_h, queue_sum_h: (U,) the same, summed over those who have left.
        asked, started, wait_h, late, turned_away, left: (U, 5) by triage: requests, beds given, hours waited for them, waits beyond the
            category's target, those for whom there was no place, those who gave up.
        gone, sojourn_h: (U, 5) visits that ended, and the hours from asking for the bed until then.
        seen, seen_wait_h: (G, 5) by group and true acuity: patients seen, and the hours from arrival until then.
        icu_asked, icu_in_time: (G, 5): requests for intensive care, those met within 4 h.
    """

    terms: Any
    costs: Any
    bed_h: Any
    queue_h: Any
    bed_sum_h: Any
    queue_sum_h: Any
    asked: Any
    started: Any
    wait_h: Any
    late: Any
    turned_away: Any
    left: Any
    gone: Any
    sojourn_h: Any
    seen: Any
    seen_wait_h: Any
    icu_asked: Any
    icu_in_time: Any


def new_situation(plan: Plan, shape: tuple[int, ...] = ()) -> Situation:
    """Return the situation of an empty hospital, or of several."""
    units = len(plan.beds)

    def whole(*size: int) -> Any:
        return np.zeros((*shape, *size), dtype=np.int64)

    return Situation(
        waiting=whole(units, units + 1, 5), head_h=np.zeros((*shape, units, units + 1, 5)), queued=whole(units), occupied=whole(units),
        treating=whole(units), boarding=whole(units), opened=whole(units), working=whole(units), nursing=whole(units), held=whole(units),
        dirty=whole(units), unseen=whole(5), manager=whole(2), clock=np.zeros((*shape, 1)),
    )  # fmt: skip


def new_tally(plan: Plan, shape: tuple[int, ...] = ()) -> Tally:
    """Return a tally of nothing, or several."""
    units, groups = len(plan.beds), len(plan.groups)

    def zeros(*size: int) -> Any:
        return np.zeros((*shape, *size))

    return Tally(
        terms=zeros(len(TERMS)), costs=zeros(len(COSTS)), bed_h=zeros(units), queue_h=zeros(units), bed_sum_h=zeros(units),
        queue_sum_h=zeros(units), asked=zeros(units, 5), started=zeros(units, 5), wait_h=zeros(units, 5), late=zeros(units, 5),
        turned_away=zeros(units, 5), left=zeros(units, 5), gone=zeros(units, 5), sojourn_h=zeros(units, 5),
        seen=zeros(groups, 5), seen_wait_h=zeros(groups, 5), icu_asked=zeros(groups, 5), icu_in_time=zeros(groups, 5),
    )  # fmt: skip


# The clock


def accrue(plan: Plan, s: Situation, t: Tally, now_h: float) -> None:
    """Count the time since the last event: everything is constant between events, so the integrals are exact."""
    dt = now_h - s.clock[NOW]
    if dt <= 0.0:
        return
    s.clock[NOW] = now_h
    waiting, overtime, unsafe, deaths = 0, 0, 0.0, 0.0
    for u in range(plan.beds.shape[0]):
        t.bed_h[u] += s.occupied[u] * dt
        t.queue_h[u] += s.queued[u] * dt
        if u == plan.ward or u == plan.icu:
            waiting += s.queued[u]
        if s.treating[u] > s.working[u]:
            overtime += s.treating[u] - s.working[u]
        if plan.per_nurse[u] > 0.0 and s.occupied[u] > s.nursing[u] * plan.per_nurse[u]:
            unsafe += 1.0
            deaths += nurse_harm_per_h(s.occupied[u], s.nursing[u], plan.per_nurse[u], plan.mean_stay_h[u], plan.harm)
    if plan.seen_in >= 0:
        weighted = 0.0
        for acuity in range(5):
            weighted += plan.weights[acuity] * s.unseen[acuity]
        t.terms[WAITING] -= weighted * dt
    t.terms[BEDS] -= plan.prices[0] * waiting * dt
    t.terms[OVERTIME] -= plan.prices[3] * overtime * dt
    t.costs[OVERTIME_H] += overtime * dt
    t.costs[UNSAFE] += unsafe * dt
    t.costs[DEATHS] += deaths * dt


def change_shift(plan: Plan, s: Situation, hour: int) -> None:
    """Put on duty who works in an hour of the day, and mark the units where that changes something.

    A float nurse also treats, where clinicians are counted: one patient more can be seen at a time.
    """
    for u in range(plan.beds.shape[0]):
        more = floating(plan, s, u)
        if plan.clinicians[u, hour] + more != s.working[u] or plan.nurses[u, hour] + more != s.nursing[u]:
            s.dirty[u] = 1
        s.working[u] = plan.clinicians[u, hour] + more
        s.nursing[u] = plan.nurses[u, hour] + more


def arrange(plan: Plan, s: Situation, arrangement: int, hour: int) -> None:
    """Put the manager's arrangement in force: 1 + 3 x (which unit's nurses are helped) + (none, half, all flexible beds to the second)."""
    s.manager[ARRANGEMENT] = arrangement
    for u in range(plan.beds.shape[0]):
        opened = plan.beds[u] + flexible_beds(plan, s, u)
        if opened != s.opened[u]:
            s.dirty[u] = 1
        s.opened[u] = opened
    change_shift(plan, s, hour)


def flexible_beds(plan: Plan, s: Situation, u: int) -> int:
    """Return how many of the flexible beds are open in a unit."""
    if plan.flexible_beds == 0 or s.manager[ARRANGEMENT] == 0:
        return 0
    second = plan.flexible_beds * ((s.manager[ARRANGEMENT] - 1) % BED_SHARES) // (BED_SHARES - 1)
    if u == plan.flexible[1]:
        return int(second)
    return int(plan.flexible_beds - second) if u == plan.flexible[0] else 0


def floating(plan: Plan, s: Situation, u: int) -> int:
    """Return how many of the float nurses are in a unit."""
    if plan.float_nurses == 0 or s.manager[ARRANGEMENT] == 0:
        return 0
    return plan.float_nurses if plan.nursed[(s.manager[ARRANGEMENT] - 1) // BED_SHARES] == u else 0


# What may be done


def can_start(plan: Plan, s: Situation, u: int, triage: int) -> bool:
    """Return whether a unit can take a patient of a triage category into a bed now."""
    free = s.opened[u] - s.occupied[u]
    return bool(free > plan.reserved[u, triage] and s.treating[u] < s.working[u])


def can_step_down(plan: Plan, s: Situation, u: int) -> bool:
    """Return whether intensive care may send a patient to the ward early: it is full, and more want in than are on their way out."""
    full = s.occupied[u] >= s.opened[u]
    return bool(u == plan.icu and plan.ward >= 0 and full and s.queued[u] > s.boarding[u] and s.treating[u] > 0)


def fill_mask(plan: Plan, s: Situation, u: int, mask: Any) -> bool:
    """Set the legal actions of a unit's agent, and return whether there is any besides doing nothing, which is legal if it may hold.

    By triage: action 1 + k takes a patient of category k. By source: action 1 + k takes one from the k-th source of the unit. After the
    sources stands the early step-down.
    """
    choice = False
    for k in range(mask.shape[0]):
        mask[k] = 0
    units = plan.beds.shape[0]
    if plan.by_source[u] == 0:
        for triage in range(5):
            if can_start(plan, s, u, triage) and waits(s, u, triage, units):
                mask[1 + triage] = 1
                choice = True
        mask[0] = plan.may_hold[u] if choice else 1
        return choice
    sources = 0
    for k in range(units + 1):
        source = plan.sources[u, k]
        if source >= 0:
            sources += 1
            if first_triage(plan, s, u, source) >= 0:
                mask[1 + k] = 1
                choice = True
    if can_step_down(plan, s, u):
        mask[1 + sources] = 1
        choice = True
    mask[0] = plan.may_hold[u] if choice else 1
    return choice


def waits(s: Situation, u: int, triage: int, units: int) -> bool:
    """Return whether a patient of a triage category waits for a unit, whatever the source."""
    found = False
    for source in range(units + 1):
        found = found or s.waiting[u, source, triage] > 0
    return found


def first_triage(plan: Plan, s: Situation, u: int, source: int) -> int:
    """Return the most urgent triage category that waits for a unit in a source and can be taken now; -1: none."""
    for triage in range(5):
        if s.waiting[u, source, triage] > 0 and can_start(plan, s, u, triage):
            return triage
    return -1


def earliest_source(plan: Plan, s: Situation, u: int, triage: int) -> int:
    """Return the source in which the first patient of a triage category has waited longest; -1: nobody waits."""
    found = -1
    for source in range(plan.beds.shape[0] + 1):
        if s.waiting[u, source, triage] > 0 and (found < 0 or s.head_h[u, source, triage] < s.head_h[u, found, triage]):
            found = source
    return found


def next_by_rule(plan: Plan, s: Situation, u: int, now_h: float) -> int:
    """Return 5 x source + triage of who is next by the unit's discipline, among those who can be taken now; -1: nobody."""
    best, best_value = -1, 0.0
    discipline = plan.discipline[u]
    for triage in range(5):
        source = earliest_source(plan, s, u, triage)
        if source >= 0 and can_start(plan, s, u, triage):
            since = s.head_h[u, source, triage]
            if discipline == 1 or discipline == 2:  # priority, preemptive: triage counts upwards, so the first found is next
                return int(5 * source + triage)
            value = plan.accumulation[u, triage] * (now_h - since) if discipline == 3 else -since
            if best < 0 or value > best_value:
                best, best_value = 5 * source + triage, value
    return int(best)


def unit_actions(plan: Plan, u: int) -> int:
    """Return how many actions a unit's agent has, doing nothing among them."""
    if plan.by_source[u] == 0:
        return 6
    count = 2 if u == plan.icu and plan.ward >= 0 else 1
    for k in range(plan.beds.shape[0] + 1):
        count += 1 if plan.sources[u, k] >= 0 else 0
    return count


def manager_actions(plan: Plan) -> int:
    """Return how many actions the manager has, doing nothing among them."""
    return int(1 + BED_SHARES * plan.nursed.shape[0])


# What is counted when something happens to somebody


def note_start(plan: Plan, t: Tally, u: int, triage: int, acuity: int, group: int, waited_h: float, since_arrival_h: float,
               source: int) -> None:  # fmt: skip
    """Count a bed given; source: the unit they come from, or U for outside."""
    t.started[u, triage] += 1.0
    t.wait_h[u, triage] += waited_h
    t.queue_sum_h[u] += waited_h
    if waited_h > plan.targets_h[triage]:
        t.late[u, triage] += 1.0
    if u == plan.seen_in:
        t.seen[group, acuity] += 1.0
        t.seen_wait_h[group, acuity] += since_arrival_h
        if since_arrival_h > plan.targets_h[triage]:
            t.costs[BREACH] += 1.0
    note_wait_for_bed(plan, t, u, source, waited_h, since_arrival_h)
    if u == plan.icu and waited_h <= ICU_IN_TIME_H:
        t.icu_in_time[group, acuity] += 1.0


def note_wait_for_bed(plan: Plan, t: Tally, u: int, source: int, waited_h: float, since_arrival_h: float) -> None:
    """Count the harm of a wait for a bed that is over, or is cut off by the horizon."""
    units = plan.beds.shape[0]
    if source < units and plan.blocks[source] == 1 and waited_h > BOARDING_LIMIT_H:
        t.costs[BOARDED] += waited_h - BOARDING_LIMIT_H
    if u == plan.icu:
        t.costs[DEATHS] += icu_harm(waited_h, plan.harm)
    elif u == plan.ward and source < units and source != plan.icu:
        t.costs[DEATHS] += admission_harm(since_arrival_h, plan.harm)


def note_cut_off(plan: Plan, t: Tally, u: int, triage: int, source: int, waited_h: float, since_arrival_h: float) -> None:
    """Count a wait that the horizon cuts off."""
    note_wait_for_bed(plan, t, u, source, waited_h, since_arrival_h)
    if u == plan.seen_in and since_arrival_h > plan.targets_h[triage]:
        t.costs[BREACH] += 1.0


def note_refusal(plan: Plan, t: Tally, u: int, triage: int, acuity: int, left: bool, since_arrival_h: float) -> None:
    """Count somebody who was turned away, or left unseen."""
    if left:
        t.left[u, triage] += 1.0
        if u == plan.seen_in and since_arrival_h > plan.targets_h[triage]:
            t.costs[BREACH] += 1.0
    else:
        t.turned_away[u, triage] += 1.0
    t.terms[LEFT] -= plan.prices[1]
    if acuity <= HIGH_ACUITY:
        t.costs[REFUSED] += 1.0


# What is seen


def observe(plan: Plan, s: Situation, role: int, out: Any) -> None:
    """Write what everybody sees on the bed board, and a mark of the role (0 .. roles - 1, the manager last) into ``out``.

    The order is that of ``flow.environment.seen_by``.
    """
    now_h, units = s.clock[NOW], plan.beds.shape[0]
    hour = now_h % 24.0
    out[0] = hour
    out[1] = (now_h // 24.0) % 7.0
    k = 2
    for u in range(units):
        out[k] = s.opened[u] - s.occupied[u]
        out[k + 1] = s.treating[u]
        out[k + 2] = s.boarding[u]
        out[k + 3] = s.nursing[u] * plan.per_nurse[u] - s.occupied[u]
        k += 4
        if plan.clinicians[u, 0] < 1_000_000:
            out[k] = s.working[u] - s.treating[u]
            k += 1
        if plan.by_source[u] == 1:
            for j in range(units + 1):
                if plan.sources[u, j] >= 0:
                    k = see_queue(s, u, plan.sources[u, j], now_h, out, k)
        elif plan.discipline[u] == AGENT:
            for triage in range(5):
                source = earliest_source(plan, s, u, triage)
                count = 0
                for one in range(units + 1):
                    count += s.waiting[u, one, triage]
                out[k] = count
                out[k + 1] = now_h - s.head_h[u, source, triage] if source >= 0 else 0.0
                k += 2
        else:
            out[k] = s.queued[u]
            k += 1
    out[k] = s.manager[ARRANGEMENT]
    for j in range(k + 1, out.shape[0]):
        out[j] = 1.0 if j - k - 1 == role else 0.0


def see_queue(s: Situation, u: int, source: int, now_h: float, out: Any, k: int) -> int:
    """Write how many wait for a unit in a source, how many of them are urgent, and the longest wait in hours; return the next place."""
    count, urgent, longest = 0, 0, 0.0
    for triage in range(5):
        if s.waiting[u, source, triage] > 0:
            count += s.waiting[u, source, triage]
            urgent += s.waiting[u, source, triage] if triage <= HIGH_ACUITY else 0
            longest = max(longest, now_h - s.head_h[u, source, triage])
    out[k] = count
    out[k + 1] = urgent
    out[k + 2] = longest
    return k + 3
