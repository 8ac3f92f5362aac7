"""What is shown of a surgical suite: to its agents, to a training critic, on a bed board, and as figures at the end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medsim.hospital.board import Board, Occupant, Place
from medsim.hospital.task import Seen
from medsim.hospital.theatre.cases import Case
from medsim.hospital.theatre.kinds import ELECTIVES, EMERGENCIES, KINDS
from medsim.hospital.theatre.options import DAY_H, TheatreConfig

if TYPE_CHECKING:
    from medsim.hospital.theatre.model import TheatreModel

__all__ = ["Room", "board_of", "metrics_of", "seen_by", "seen_of_theatre", "state_names", "state_of"]

MANY = 100.0  # chosen: where counts of waiting cases are cut
STAGES = ("free", "surgery", "blocked", "turnover")


@dataclass(frozen=True)
class Room:
    """What an operating room does, with whom, since when (hours); free by default."""

    stage: str = "free"
    case: Case | None = None
    since_h: float = 0.0

    def expected_left_h(self, now_h: float, turnover_h: float) -> float:
        """Return the hours that the room is expected to be taken still; a case that overruns may end at any moment."""
        if self.case is None:
            return 0.0
        planned = {"surgery": KINDS[self.case.kind].expected_h, "blocked": 0.0, "turnover": turnover_h}[self.stage]
        left = max(0.0, self.since_h + planned - now_h)
        return left if self.stage == "turnover" else left + turnover_h

    def actually_left_h(self, now_h: float, turnover_h: float) -> float:
        """Return the hours that this stage will last still; 0 for a blocked room, as nobody knows."""
        if self.case is None:
            return 0.0
        lasts = {"surgery": self.case.duration_h, "blocked": 0.0, "turnover": turnover_h}[self.stage]
        return max(0.0, self.since_h + lasts - now_h)


def seen_of_theatre(config: TheatreConfig) -> tuple[Seen, ...]:
    """Return what an operating room sees, in the order of ``seen_by``."""
    rooms, long = float(config.rooms), config.horizon_h
    return (
        Seen(name="hour of the day, from 08:00", high=DAY_H),
        Seen(name="hours of watching left", high=long),
        *(Seen(name=f"{kind.name} waiting", high=MANY) for kind in KINDS),
        *(Seen(name=f"{KINDS[kind].name}, longest wait, h", high=long) for kind in EMERGENCIES),
        *(Seen(name=f"{KINDS[kind].name}, first's place on the list", high=MANY) for kind in ELECTIVES),
        Seen(name="rooms free", high=rooms),
        Seen(name="rooms blocked", high=rooms),
        Seen(name="rooms with an emergency", high=rooms),
        Seen(name="next taken room expected free in, h", high=DAY_H),
        *(Seen(name=f"room {place + 1} by time expected free in, h", high=DAY_H) for place in range(1, int(config.rooms))),
        Seen(name="recovery beds free", high=max(1.0, float(config.recovery_beds))),
        Seen(name="patients waiting for intensive care", high=MANY),
        Seen(name="intensive care beds free", high=max(1.0, float(config.icu_beds))),
        Seen(name="own room taken", high=1.0),
        Seen(name="own expected hours left", high=DAY_H),
    )


def seen_by(model: "TheatreModel", agent: str) -> list[float]:
    """Return what an operating room sees: no actual duration, no stay, no arrival to come."""
    now, turnover_h = model.env.now, model.config.turnover_h
    rooms = list(model.rooms.values())
    left = {name: room.expected_left_h(now, turnover_h) for name, room in model.rooms.items()}
    own = model.rooms[agent]
    first = [cases[0] if cases else None for cases in model.waiting]
    return [
        now % DAY_H,
        model.config.horizon_h - now,
        *(float(len(cases)) for cases in model.waiting),
        *(now - case.arrival_h if (case := first[kind]) else 0.0 for kind in EMERGENCIES),
        *(float(case.position) if (case := first[kind]) else 0.0 for kind in ELECTIVES),
        float(sum(room.case is None for room in rooms)),
        float(sum(room.stage == "blocked" for room in rooms)),
        float(sum(room.case is not None and room.case.emergency for room in rooms)),
        min((left[name] for name, room in model.rooms.items() if room.case is not None), default=0.0),
        *sorted(left.values())[1:],  # the first is the asking room, which is free
        float(model.recovery.free),
        float(model.account.boarding),
        float(model.icu.free),
        float(own.case is not None),
        left[agent],
    ]


def state_names(config: TheatreConfig) -> tuple[str, ...]:
    """Return the names of ``state_of``'s numbers."""
    rooms = [f"theatre_{number}" for number in range(int(config.rooms))]
    return (
        "time_h",
        *(f"{kind.name} waiting" for kind in KINDS),
        *(f"{name} {what}" for name in rooms for what in ("stage", "kind", "hours left")),
        "recovery beds free",
        "patients waiting for intensive care",
        "intensive care beds free",
        "hours to the next emergency",
        "actual hours of work that waits",
    )


def state_of(model: "TheatreModel") -> list[float]:
    """Return the true state, with actual durations and the next arrival (-1: none); a room's kind is -1 where there is no case."""
    now = model.env.now
    rooms: list[float] = []
    for room in model.rooms.values():
        kind = -1.0 if room.case is None else float(room.case.kind)
        rooms += [float(STAGES.index(room.stage)), kind, room.actually_left_h(now, model.config.turnover_h)]
    coming = [case.arrival_h - now for case in model.cases if case.emergency and case.arrival_h > now]
    return [
        float(now),
        *(float(len(cases)) for cases in model.waiting),
        *rooms,
        float(model.recovery.free),
        float(model.account.boarding),
        float(model.icu.free),
        min(coming, default=-1.0),
        sum(case.duration_h for cases in model.waiting for case in cases),
    ]


def metrics_of(model: "TheatreModel") -> dict[str, float]:
    """Return figures of the episode so far; mean waits run until start, cancellation or now; nobody: 0."""
    now = model.env.now
    come = [case for case in model.cases if case.arrival_h <= now]
    figures = {}
    for number, kind in enumerate(KINDS):
        waits = [case.waited_h(now) for case in come if case.kind == number]
        figures[f"mean_wait_{kind.name}_h"] = sum(waits) / len(waits) if waits else 0.0
    emergencies = [case for case in come if case.emergency]
    electives = [case for case in come if not case.emergency]
    open_h = sum(min(max(0.0, now - day * DAY_H), model.config.session_h) for day in range(int(model.config.days)))
    figures |= {
        "emergencies": float(len(emergencies)),
        "emergencies_operated": float(sum(case.started_h is not None for case in emergencies)),
        "electives": float(len(electives)),
        "electives_operated": float(sum(case.started_h is not None for case in electives)),
        "electives_cancelled": float(sum(case.cancelled_h is not None for case in electives)),
        "session_utilisation": model.account.session_used_h / (open_h * len(model.rooms)) if open_h else 0.0,
        "last_out_h": max((case.out_h for case in come if case.out_h is not None), default=0.0),
    }
    return figures


BEGINS_AT_H = 8.0  # of the clock: a board tells the time of day


def occupant(case: Case, now_h: float, flag: str = "") -> Occupant:
    """Return how a case is shown: emergencies by urgency, 1 to 3; electives as 5."""
    label = f"{KINDS[case.kind].name[:3]}{case.number % 1000}"
    late = case.started_h is None and now_h > case.due_h
    return Occupant(label=label, acuity=case.kind + 1 if case.emergency else 5, flag="late" if late else flag)


def board_of(model: "TheatreModel") -> Board:
    """Return what a bed board shows now."""
    now = model.env.now
    rooms = [
        None if room.case is None or room.stage == "turnover" else occupant(room.case, now, "boarding" if room.stage == "blocked" else "")
        for room in model.rooms.values()
    ]
    recovery = [occupant(case, now, "boarding" if case.boarding_from_h is not None else "") for case in model.in_recovery]
    beds = int(model.config.recovery_beds)
    taken = int(model.config.icu_beds) - model.icu.free
    waiting = [occupant(case, now) for cases in model.waiting for case in cases]
    return Board(
        time_h=float(now) + BEGINS_AT_H,
        places=(
            Place(name="theatres", beds=tuple(rooms), queue=tuple(waiting), note="session" if model.account.open else "after hours"),
            Place(name="recovery", beds=(*recovery, *[None] * (beds - len(recovery)))),
            Place(name="intensive care", beds=(*[Occupant(label="icu")] * taken, *[None] * model.icu.free)),
        ),
        lines=(
            f"overtime {sum(model.account.overtime_h.values()):.1f} h",
            f"cancelled {model.account.events['cancelled_electives']:.0f}, beyond due {model.account.events['emergency_beyond_due']:.0f}",
        ),
    )
