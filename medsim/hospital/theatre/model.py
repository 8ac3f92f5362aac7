"""A surgical suite as SimPy processes. Times in hours from 08:00 of the first day.

Every operating room is a process: it asks which kind of case comes next, operates, keeps the patient until there is a bed to go to, and
is cleaned. Rooms that are free at the same moment take turns, so that each sees what is left. Patients go on to recovery, or from the
room straight to intensive care; an emergency for whom intensive care has no bed waits for one in a bed of recovery.
"""

from collections.abc import Generator
from typing import Any

import simpy

from medsim.core.streams import Key
from medsim.hospital.board import Board
from medsim.hospital.decisions import NOTHING, AskingModel, legal
from medsim.hospital.draws import Draws
from medsim.hospital.event_log import EventLog
from medsim.hospital.harm import NO_HARM, HarmModel
from medsim.hospital.task import Ledger
from medsim.hospital.theatre.account import Account
from medsim.hospital.theatre.beds import Beds
from medsim.hospital.theatre.cases import Case, draw_cases, first_icu_stays, last_start_h
from medsim.hospital.theatre.kinds import ACTIONS, EMERGENCIES, KINDS, MAJOR
from medsim.hospital.theatre.options import DAY_H, TheatreConfig
from medsim.hospital.theatre.views import Room, board_of, metrics_of, seen_by, state_of

__all__ = ["TheatreModel"]

Process = Generator[simpy.Event, Any, Any]


class TheatreModel(AskingModel):
    """One episode of a surgical suite."""

    def __init__(self, config: TheatreConfig, key: Key) -> None:
        self.config = config
        self.harm = HarmModel() if config.harm == "associated" else NO_HARM
        self.open_desk(config.horizon_h, "morning")  # unless the work is done before
        self.log = EventLog(config.log_events)
        self.rooms = {f"theatre_{number}": Room() for number in range(int(config.rooms))}
        self.account = Account(list(self.rooms))
        self.waiting: list[list[Case]] = [[] for _ in KINDS]
        self.recovery, self.icu = Beds(self.env, int(config.recovery_beds)), Beds(self.env, int(config.icu_beds))
        self.in_recovery: list[Case] = []
        self.turn = simpy.Resource(self.env)  # the room that is choosing
        self.change = self.env.event()  # something that may make a held room choose otherwise
        draws = Draws(key)
        self.cases = draw_cases(draws, config)
        self.begin(first_icu_stays(draws, config))

    def begin(self, icu_stays: list[float]) -> None:
        """Start all processes."""
        for stay_h in icu_stays:
            self.icu.ask()
            self.env.process(self.icu_stay(stay_h))
        self.env.process(self.calendar())
        self.env.process(self.emergencies())
        for agent in self.rooms:
            self.env.process(self.operating_room(agent))

    # Who comes

    def calendar(self) -> Process:
        """Sessions begin with their elective lists, and end."""
        for day in range(int(self.config.days)):
            yield self.env.timeout(day * DAY_H - self.env.now)
            self.catch_up()
            self.account.open = True
            self.note("session begins")
            today = [case for case in self.cases if not case.emergency and case.arrival_h == day * DAY_H]
            for case in today:
                self.arrive(case)
                self.env.process(self.cancellation(case))
            self.signal()
            yield self.env.timeout(self.config.session_h)
            self.catch_up()
            self.account.open = False
            self.note("session ends")
        self.finish_if_done()

    def emergencies(self) -> Process:
        """Emergencies arrive."""
        for case in self.cases:
            if case.emergency:
                yield self.env.timeout(max(0.0, case.arrival_h - self.env.now))
                self.catch_up()
                case.arrival_h = self.env.now  # as the clock has it, which adds up steps and may differ in the last bit
                self.arrive(case)
                self.env.process(self.deadline(case))
                self.signal()

    def arrive(self, case: Case) -> None:
        """A case joins those who wait for its kind."""
        self.waiting[case.kind].append(case)
        self.account.waiting[case.kind] += 1
        self.note("arrives", case)

    def cancellation(self, case: Case) -> Process:
        """An elective that has not begun when it is too late is cancelled."""
        yield self.env.timeout(last_start_h(self.config, case) - self.env.now)
        if case.started_h is None:
            self.catch_up()
            case.cancelled_h = self.env.now
            self.leave_queue(case)
            self.account.events["cancelled_electives"] += 1.0
            self.note("cancelled", case)
            self.finish_if_done()

    def deadline(self, case: Case) -> Process:
        """An emergency that has not begun when it is due has waited beyond its target."""
        yield self.env.timeout(case.due_h - self.env.now)
        if case.started_h is None:
            self.account.events["emergency_beyond_due"] += 1.0
            self.note("beyond due", case)

    # Operating rooms

    def operating_room(self, agent: str) -> Process:
        """A room takes case after case."""
        while True:
            if not self.startable():
                yield self.change
                continue
            with self.turn.request() as turn:
                yield turn
                case = yield from self.next_case(agent)
            if case is None:
                yield self.change | self.env.timeout(self.config.hold_h)
            else:
                yield from self.operation(agent, case)

    def startable(self) -> list[int]:
        """Return the kinds of which a case can begin now."""
        icu = self.icu.free > 0
        return [kind for kind, cases in enumerate(self.waiting) if cases and (kind != MAJOR or icu)]

    def next_case(self, agent: str) -> Process:
        """Ask the room for the kind of its next case, and return the first of that kind; None if it takes nothing."""
        kinds = self.startable()
        if not kinds:
            return None
        action = yield self.desk.ask(agent, legal(len(ACTIONS), [kind + 1 for kind in kinds]), "next case")
        if action == NOTHING:
            self.note("held", place=agent)
            return None
        case = self.waiting[action - 1][0]
        self.catch_up()
        self.leave_queue(case)
        self.start(agent, case)
        return case

    def start(self, agent: str, case: Case) -> None:
        """A case begins; a bed of intensive care is kept for an elective that needs one."""
        case.started_h = self.env.now
        self.account.used[agent] = True
        self.rooms[agent] = Room("surgery", case, self.env.now)
        if case.kind == MAJOR:
            self.icu.ask()
        if case.emergency:
            self.harm_of_waiting(case)
        self.note("starts", case, agent)

    def operation(self, agent: str, case: Case) -> Process:
        """Operate, keep the patient until there is a bed, clean the room."""
        yield self.env.timeout(case.duration_h)
        case.surgery_over_h = self.env.now
        self.rooms[agent] = Room("blocked", case, self.env.now)
        self.note("surgery over", case, agent)
        yield from self.leave(agent, case)
        case.out_h = self.env.now
        self.rooms[agent] = Room("turnover", case, self.env.now)
        self.note("leaves theatre", case, agent)
        yield self.env.timeout(self.config.turnover_h)
        self.catch_up()
        self.account.used[agent] = False
        self.rooms[agent] = Room()
        self.note("ready", place=agent)
        self.finish_if_done()

    # Where patients go

    def leave(self, agent: str, case: Case) -> Process:
        """Wait in the room for the bed to which the patient goes."""
        if case.kind == MAJOR:
            self.env.process(self.icu_stay(case.icu_h, case))
        elif case.needs_icu:
            yield from self.leave_for_intensive_care(agent, case)
        else:
            yield from self.blocking(agent, case, self.recovery.ask())
            self.env.process(self.recovering(case))

    def leave_for_intensive_care(self, agent: str, case: Case) -> Process:
        """Leave for intensive care, or for a bed of recovery in which to wait for it, whichever is free first."""
        icu = self.icu.ask()
        if not icu.triggered:
            self.catch_up()
            case.boarding_from_h = self.env.now
            self.account.boarding += 1
            bed = self.recovery.ask()
            yield from self.blocking(agent, case, icu | bed if not bed.triggered else bed)
            if not icu.triggered:
                self.env.process(self.boarding(case, icu))
                return
            self.recovery.withdraw(bed)
            self.stop_boarding(case)
        self.env.process(self.icu_stay(case.icu_h, case))

    def blocking(self, agent: str, case: Case, bed: simpy.Event) -> Process:
        """The room is blocked until there is a bed."""
        if bed.triggered:
            return
        self.catch_up()
        self.account.blocked += 1
        self.note("blocked", case, agent)
        yield bed
        self.catch_up()
        self.account.blocked -= 1

    def recovering(self, case: Case) -> Process:
        """A patient recovers, and leaves for a ward, which always has a bed."""
        self.enter_recovery(case)
        yield self.env.timeout(case.recovery_h)
        self.leave_recovery(case)

    def boarding(self, case: Case, icu: simpy.Event) -> Process:
        """A patient waits in recovery for a bed of intensive care."""
        self.enter_recovery(case)
        yield icu
        self.leave_recovery(case)
        self.stop_boarding(case)
        self.env.process(self.icu_stay(case.icu_h, case))
        self.finish_if_done()

    def icu_stay(self, stay_h: float, case: Case | None = None) -> Process:
        """A bed of intensive care is taken for a while."""
        self.note("enters intensive care", case)
        yield self.env.timeout(stay_h)
        self.icu.give_back()
        self.note("leaves intensive care", case)
        self.signal()

    def enter_recovery(self, case: Case) -> None:
        """A bed of recovery has been given."""
        self.catch_up()
        self.in_recovery.append(case)
        self.account.recovering += 1
        self.note("enters recovery", case)

    def leave_recovery(self, case: Case) -> None:
        """The bed is free for the next."""
        self.catch_up()
        self.in_recovery.remove(case)
        self.account.recovering -= 1
        self.note("leaves recovery", case)
        self.recovery.give_back()

    # Bookkeeping

    def catch_up(self) -> None:
        """Bring the account up to the present moment."""
        self.account.move_to(self.env.now)

    def leave_queue(self, case: Case) -> None:
        """A case waits no more."""
        self.waiting[case.kind].remove(case)
        self.account.waiting[case.kind] -= 1

    def stop_boarding(self, case: Case) -> None:
        """A patient gets the bed of intensive care for which they waited; what the delay is associated with counts now."""
        assert case.boarding_from_h is not None
        self.catch_up()
        self.account.boarding -= 1
        self.add_harm(self.harm.of_icu_delay(self.env.now - case.boarding_from_h))
        case.boarding_from_h = None

    def harm_of_waiting(self, case: Case) -> None:
        """Add the expected excess deaths that an emergency's wait is associated with."""
        if self.config.harm == "associated":
            kind = KINDS[case.kind]
            self.add_harm(self.harm.excess_risk(kind.base_risk, kind.odds_ratio, case.waited_h(self.env.now)))

    def add_harm(self, deaths: float) -> None:
        """Add expected excess deaths; no delay's are 0 but for rounding, which may fall below."""
        self.account.events["expected_excess_deaths"] += max(0.0, deaths)

    def note(self, event: str, case: Case | None = None, place: str = "") -> None:
        """Write an event down."""
        if case is None:
            self.log.add(self.env.now, event, place=place)
        else:
            urgency = case.kind + 1 if case.emergency else 0
            self.log.add(self.env.now, event, case.number, place, acuity=urgency, detail=KINDS[case.kind].name)

    def signal(self) -> None:
        """Something has changed: rooms that are held or have nothing to do look again."""
        changed, self.change = self.change, self.env.event()
        changed.succeed()

    def finish_if_done(self) -> None:
        """End the episode when the last session is over and nobody waits, is operated on, or boards."""
        over = self.env.now >= self.config.last_session_end_h
        busy = any(self.waiting) or any(self.account.used.values()) or self.account.boarding
        if over and not busy and not self.desk.over:
            self.outcome = "work done"
            self.desk.close()

    def count_the_rest(self) -> None:
        """Count what is left when watching ends: emergencies handed over, and what waiting until now is associated with."""
        for case in (case for kind in EMERGENCIES for case in self.waiting[kind]):
            self.account.events["handed_over"] += 1.0
            self.harm_of_waiting(case)
        for case in (case for case in self.cases if case.boarding_from_h is not None):
            self.add_harm(self.harm.of_icu_delay(self.env.now - (case.boarding_from_h or 0.0)))

    # What shells use

    def drain(self) -> Ledger:
        """Return what has come in since the last call."""
        self.catch_up()
        return self.account.drain()

    def observe(self, agent: str) -> list[float]:
        """Return what an agent sees; see ``views.seen_names``."""
        return seen_by(self, agent)

    def state(self) -> list[float]:
        """Return the true state; see ``views.state_names``."""
        return state_of(self)

    def metrics(self) -> dict[str, float]:
        """Return figures of the episode so far."""
        return metrics_of(self)

    def board(self) -> Board:
        """Return what a bed board shows now."""
        return board_of(self)
