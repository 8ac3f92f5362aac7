"""The clairvoyant bound: a return that no policy exceeds, computed with all actual durations and arrivals known.

What is left out, so that the bound holds for every policy: blocked rooms, intensive care, whether cases of different kinds fit together.
With ``p`` a case's time in the room and cleaning, ``E`` a session's end and ``L`` an elective's last start, four relaxations are added:

1. Electives that are done wait no less than they would in order of ascending ``p`` on empty rooms (the sum of starting times of jobs on
   parallel machines is least in that order); those cancelled wait until ``L``. The best number to cancel is taken, the ``k`` of which
   are given the shortest waits, and leave the shortest cases to do.
2. An emergency starts at any moment from its arrival on, as if it were alone; whichever moment is cheapest is taken.
3. Rooms used outside sessions, all together, are no less than all use less the sessions' capacity; and no less than the sum of what each
   case must use outside when it starts at its own best moment. Any mixture of the two with weights ``m`` and ``1 - m`` is no more than the
   overtime, either; the best of a grid of ``m`` is taken.
4. Use that is cut off by the end of watching counts as far as it goes.
"""

import numpy as np

from medsim.hospital.theatre.cases import Case, last_start_h
from medsim.hospital.theatre.kinds import CANCELLATION, KINDS, MAJOR, OVERTIME
from medsim.hospital.theatre.options import DAY_H, TheatreConfig

__all__ = ["ex_post_bound"]

MIXTURES = tuple(float(m) for m in np.linspace(0.0, 1.0, 21))


def ex_post_bound(cases: list[Case], config: TheatreConfig) -> float:
    """Return the clairvoyant bound: the team's return (not positive) is no higher under any policy.

    Args:
        cases: all cases of the episode, as ``draw_cases`` gives them or as ``TheatreModel.cases`` holds them.
    """
    return -max(cost_bound(cases, config, mixture) for mixture in MIXTURES)


def cost_bound(cases: list[Case], config: TheatreConfig, mixture: float) -> float:
    """Return a cost that every policy has at least, for one mixture of the two bounds on overtime."""
    capacity_h = config.session_h * config.rooms * config.days
    total = -mixture * OVERTIME * capacity_h
    decided = False
    for day in range(int(config.days)):
        today = [case for case in cases if not case.emergency and case.arrival_h == day * DAY_H]
        decided = decided or any(case.kind != MAJOR and last_start_h(config, case) > case.arrival_h for case in today)
        if not decided:
            continue  # what happens before the first decision is not counted, and there may be none before these are cancelled
        total += electives_bound(today, config, mixture)
    return total + sum(emergency_bound(case, config, mixture) for case in cases if case.emergency)


def electives_bound(cases: list[Case], config: TheatreConfig, mixture: float) -> float:
    """Return the least cost of a day's list: waiting, cancellations, and the mixture's share of the use of rooms."""
    occupied = np.sort([case.duration_h + config.turnover_h for case in cases])
    used = np.sort([min(case.duration_h + config.turnover_h, config.horizon_h - last_start_h(config, case)) for case in cases])
    cut_off = np.sort([last_start_h(config, case) - case.arrival_h for case in cases])
    waiting = KINDS[MAJOR].waiting  # the same for all electives
    costs = []
    for cancelled in range(len(cases) + 1):
        done = len(cases) - cancelled
        waits = sum_of_starts(occupied[:done], int(config.rooms)) + float(np.sum(cut_off[:cancelled]))
        costs.append(waiting * waits + CANCELLATION * cancelled + mixture * OVERTIME * float(np.sum(used[:done])))
    return min(costs)


def sum_of_starts(durations: "np.ndarray[tuple[int], np.dtype[np.float64]]", rooms: int) -> float:
    """Return the least sum of starting times of jobs with ascending durations on so many parallel machines."""
    free = [0.0] * rooms
    total = 0.0
    for number, duration in enumerate(durations):
        total += free[number % rooms]  # in ascending order, machines become free in turn
        free[number % rooms] += float(duration)
    return total


def emergency_bound(case: Case, config: TheatreConfig, mixture: float) -> float:
    """Return the least cost of an emergency on its own: it is piecewise linear in the start, so that one of its corners is cheapest."""
    occupied = case.duration_h + config.turnover_h
    horizon = config.horizon_h
    corners = [case.arrival_h, horizon - occupied, horizon]
    for day in range(int(config.days)):
        for edge in (day * DAY_H, day * DAY_H + config.session_h):
            corners += [edge, edge - occupied]
    return min(emergency_cost(case, config, mixture, start) for start in corners if case.arrival_h <= start <= horizon)


def emergency_cost(case: Case, config: TheatreConfig, mixture: float, start_h: float) -> float:
    """Return the cost of an emergency that starts then: waiting, and both bounds' shares of the use of rooms."""
    end_h = min(start_h + case.duration_h + config.turnover_h, config.horizon_h)
    used_h = end_h - start_h
    inside_h = sum(overlap(start_h, end_h, day * DAY_H, day * DAY_H + config.session_h) for day in range(int(config.days)))
    waiting = KINDS[case.kind].waiting * (start_h - case.arrival_h)
    return waiting + OVERTIME * (mixture * used_h + (1.0 - mixture) * (used_h - inside_h))


def overlap(start_h: float, end_h: float, opens_h: float, closes_h: float) -> float:
    """Return the hours that two spans share."""
    return max(0.0, min(end_h, closes_h) - max(start_h, opens_h))
