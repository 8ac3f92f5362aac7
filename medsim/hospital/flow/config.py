"""A hospital on paper: its units, who arrives, who works when, and how patients move on.

A configuration is data: it can be written to a file and read back, fitted to an encounter table (``medsim.hospital.calibration``), or be
a textbook queue (one unit, exponential stays), which is how the simulators are held against theory.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medsim.hospital.harm import HarmModel

__all__ = ["ACUITIES", "DISCIPLINES", "LAWS", "Arrivals", "Group", "HospitalConfig", "Stay", "Unit"]

ACUITIES = 5  # 1: immediate to 5: non-urgent, as in the Australasian and Manchester triage scales
LAWS = ("lognormal", "exponential", "constant")
DISCIPLINES = ("fifo", "priority", "preemptive", "accumulating", "agent")
HOURS_OF_WEEK = 168


@dataclass(frozen=True, kw_only=True)
class Stay:
    """How long patients stay in a unit, in hours.

    Args:
        law: "lognormal", "exponential" (whose standard deviation is its mean) or "constant". mean_h, sd_h: of the stay itself.
    """

    law: str = "lognormal"
    mean_h: float
    sd_h: float = 0.0

    def __post_init__(self) -> None:
        one_of("law of a stay", self.law, LAWS)
        number("mean_h of a stay", self.mean_h, 1e-9, 1e6)
        number("sd_h of a stay", self.sd_h, 0.0, 1e6)
        if self.law == "lognormal" and self.sd_h <= 0.0:
            raise ValueError(
                f"a lognormal stay needs an sd_h above 0, not {self.sd_h!r}; law='constant' has none, law='exponential' its mean"
            )


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A place with beds.

    Args:
        beds: how many patients can be treated at once. stays: one for all acuities, or five.
        exits: where patients go next: unit -> probability, one mapping for all acuities, or five; the rest go home.
        discipline: who is next: "fifo"; "priority" (lowest triage number first); "preemptive" (and who is in bed with a higher number makes
            way, to be resumed); "accumulating" (waiting times ``accumulation[triage - 1]`` is largest); "agent" (an agent is asked).
        choose_by: what an agent chooses between: "triage" categories, or the "source" that patients wait in.
        may_hold: whether an agent that could take somebody may keep the bed free; otherwise its mask forbids doing nothing.
        clinicians: how many treat at the same time, by hour of the day (24), or one number, or none: as many as there are beds.
        nurses: likewise; patients_per_nurse: the ratio that is safe (0: not looked at).
        waiting_places: how many from outside may wait; more are turned away. None: any number.
        blocks: a patient who has to wait for the next unit keeps the bed (boarding); otherwise they wait elsewhere.
        patience_h: mean of the exponential time after which one leaves the queue unseen, by triage (5), or none: nobody leaves.
        reserved_beds: how many free beds a triage category must leave free (5): trunk reservation, or none.
        crowding_from, crowding: above this share of beds taken, stays shorten by e**(-crowding * (share - crowding_from)).
        start_share: share of beds that are taken at the start, by patients in the middle of their stays.
    """

    name: str
    beds: int
    stays: tuple[Stay, ...]
    exits: tuple[Mapping[str, float], ...] = ({},)
    discipline: str = "fifo"
    choose_by: str = "triage"
    may_hold: bool = True
    clinicians: tuple[int, ...] = ()
    nurses: tuple[int, ...] = ()
    patients_per_nurse: float = 0.0
    waiting_places: int | None = None
    blocks: bool = False
    patience_h: tuple[float, ...] = ()
    accumulation: tuple[float, ...] = (16.0, 8.0, 4.0, 2.0, 1.0)  # chosen: each category twice as urgent as the next
    reserved_beds: tuple[int, ...] = ()
    crowding_from: float = 1.0
    crowding: float = 0.0
    start_share: float = 0.0

    def __post_init__(self) -> None:
        what = f"of unit {self.name!r}"
        whole(f"beds {what}", self.beds, 0, 100_000)
        one_of(f"discipline {what}", self.discipline, DISCIPLINES)
        one_of(f"choose_by {what}", self.choose_by, ("triage", "source"))
        if not isinstance(self.may_hold, bool):
            raise ValueError(f"may_hold {what} must be True or False, not {self.may_hold!r}")
        length(f"stays {what}", self.stays, (1, ACUITIES))
        length(f"exits {what}", self.exits, (1, ACUITIES))
        for name in ("clinicians", "nurses"):
            length(f"{name} {what}", getattr(self, name), (0, 1, 24))
            for count in getattr(self, name):
                whole(f"{name} {what}", count, 0, 100_000)
        length(f"patience_h {what}", self.patience_h, (0, ACUITIES))
        for mean in self.patience_h:
            number(f"patience_h {what}", mean, 1e-9, math.inf)
        length(f"accumulation {what}", self.accumulation, (ACUITIES,))
        length(f"reserved_beds {what}", self.reserved_beds, (0, ACUITIES))
        for count in self.reserved_beds:
            whole(f"reserved_beds {what}", count, 0, 100_000)
        if self.waiting_places is not None:
            whole(f"waiting_places {what}", self.waiting_places, 0, 10**9)
        number(f"patients_per_nurse {what}", self.patients_per_nurse, 0.0, 1000.0)
        number(f"crowding {what}", self.crowding, 0.0, 100.0)
        number(f"crowding_from {what}", self.crowding_from, 0.0, 1.0)
        number(f"start_share {what}", self.start_share, 0.0, 1.0)
        for exits in self.exits:
            for target, share in exits.items():
                number(f"probability of {target!r} after unit {self.name!r}", share, 0.0, 1.0)
            if sum(exits.values()) > 1.0 + 1e-9:
                raise ValueError(f"exits {what} must sum to 1 at most, not {sum(exits.values()):g}")


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """A stream of patients from outside.

    Args:
        unit: where they go first. rates_per_h: one rate, or 24 by hour of the day, or 168 by hour of the week (Monday 00:00 first).
        acuity: shares of the true acuities 1 to 5.
    """

    name: str
    unit: str
    rates_per_h: tuple[float, ...]
    acuity: tuple[float, ...] = (0.0, 0.0, 1.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        what = f"of arrivals {self.name!r}"
        length(f"rates_per_h {what}", self.rates_per_h, (1, 24, HOURS_OF_WEEK))
        for rate in self.rates_per_h:
            number(f"rates_per_h {what}", rate, 0.0, 1e6)
        length(f"acuity {what}", self.acuity, (ACUITIES,))
        shares("acuity " + what, self.acuity)


@dataclass(frozen=True, kw_only=True)
class Group:
    """People who are triaged alike: their share, and how often they are under-triaged, as a multiple of the hospital's rate."""

    name: str
    share: float
    under_triage: float = 1.0


@dataclass(frozen=True, kw_only=True)
class HospitalConfig:
    """A hospital.

    Args:
        under_triage, over_triage: probabilities that the triage category is one less urgent, one more urgent than the true acuity.
        targets_min: minutes within which each triage category is to be seen in ``seen_in``, the unit whose waits are judged.
        waiting_weights: what an hour of waiting in ``seen_in`` costs, by true acuity; boarding_weight: what an hour of waiting for a bed in
            the units called ward and icu costs, whoever waits and wherever.
        flexible_beds: beds that the manager opens in one of two units (``flexible_between``); float_nurses: whom they send to any unit
            with nurses, where each also treats as one more clinician; manager_every_h: how often they are asked (0: never).
        reconsider_h: after how long an agent that did nothing is asked again, if nothing has changed before.
        sources: setting -> where its value comes from, for ``provenance``.
    """

    name: str
    units: tuple[Unit, ...]
    arrivals: tuple[Arrivals, ...]
    under_triage: float = 0.0
    over_triage: float = 0.0
    groups: tuple[Group, ...] = (Group(name="everybody", share=1.0),)
    seen_in: str = ""
    targets_min: tuple[float, ...] = (0.0, 10.0, 30.0, 60.0, 120.0)
    waiting_weights: tuple[float, ...] = (16.0, 8.0, 4.0, 2.0, 1.0)
    boarding_weight: float = 2.0
    leaving_weight: float = 10.0
    early_step_down_weight: float = 10.0
    overtime_weight: float = 2.0
    flexible_beds: int = 0
    flexible_between: tuple[str, ...] = ()
    float_nurses: int = 0
    manager_every_h: float = 0.0
    reconsider_h: float = 0.5
    readmission_per_day_cut: float = 0.1
    harm: HarmModel = field(default_factory=HarmModel)
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [unit.name for unit in self.units]
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"a hospital needs units with different names, not {names}")
        for stream in self.arrivals:
            one_of(f"unit of arrivals {stream.name!r}", stream.unit, tuple(names))
        for unit in self.units:
            for exits in unit.exits:
                for target in exits:
                    one_of(f"exit of unit {unit.name!r}", target, tuple(names))
        if self.seen_in:
            one_of("seen_in", self.seen_in, tuple(names))
        length("flexible_between", self.flexible_between, (0, 2))
        for name in self.flexible_between:
            one_of("flexible_between", name, tuple(names))
        whole("flexible_beds", self.flexible_beds, 0, 100_000)
        if self.flexible_beds and not self.flexible_between:
            raise ValueError("flexible_beds need flexible_between: the two units between which they are shared")
        whole("float_nurses", self.float_nurses, 0, 100_000)
        number("under_triage", self.under_triage, 0.0, 1.0)
        number("over_triage", self.over_triage, 0.0, 1.0 - self.under_triage)
        number("manager_every_h", self.manager_every_h, 0.0, 1e6)
        number("reconsider_h", self.reconsider_h, 1e-3, 1e6)
        length("targets_min", self.targets_min, (ACUITIES,))
        length("waiting_weights", self.waiting_weights, (ACUITIES,))
        length("groups", self.groups, tuple(range(1, 9)))
        shares("groups", tuple(group.share for group in self.groups))

    def unit_number(self, name: str) -> int:
        """Return a unit's number.

        Raises:
            ValueError: there is no unit of that name.
        """
        one_of("unit", name, tuple(unit.name for unit in self.units))
        return [unit.name for unit in self.units].index(name)

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as plain lists, dicts, numbers and texts, for a file."""
        plain: dict[str, Any] = dataclasses.asdict(self)
        return plain

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> "HospitalConfig":
        """Return the configuration that ``as_dict`` described.

        Raises:
            ValueError: a name is unknown, or a value is not allowed.
        """
        given = dict(plain)
        given["units"] = tuple(
            built(Unit, {**unit, "stays": tuple(built(Stay, stay) for stay in unit["stays"])}) for unit in given.get("units", ())
        )
        given["arrivals"] = tuple(built(Arrivals, stream) for stream in given.get("arrivals", ()))
        if "groups" in given:
            given["groups"] = tuple(built(Group, group) for group in given["groups"])
        if "harm" in given:
            given["harm"] = built(HarmModel, given["harm"])
        config: HospitalConfig = built(HospitalConfig, given)
        return config

    def scaled(self, factor: float) -> "HospitalConfig":
        """Return a hospital of another size: arrivals, beds and staff times a factor; a unit with beds keeps one at least.

        Raises:
            ValueError: the factor is not from 0.01 to 100.
        """
        number("the factor of a hospital's size", factor, 0.01, 100.0)

        def size(count: int) -> int:
            return max(1, math.floor(count * factor + 0.5)) if count else 0

        units = tuple(
            dataclasses.replace(
                unit, beds=size(unit.beds), clinicians=tuple(map(size, unit.clinicians)), nurses=tuple(map(size, unit.nurses))
            )
            for unit in self.units
        )
        arrivals = tuple(
            dataclasses.replace(stream, rates_per_h=tuple(rate * factor for rate in stream.rates_per_h)) for stream in self.arrivals
        )
        beds, nurses = size(self.flexible_beds), size(self.float_nurses)
        return dataclasses.replace(self, units=units, arrivals=arrivals, flexible_beds=beds, float_nurses=nurses)


def built(kind: Any, plain: Mapping[str, Any]) -> Any:
    """Return a dataclass from a mapping, lists as tuples.

    Raises:
        ValueError: a name is unknown or missing.
    """
    fields = {one.name: one for one in dataclasses.fields(kind)}
    for name in plain:
        if name not in fields:
            raise ValueError(f"unknown setting {name!r} of {kind.__name__}; there are {', '.join(fields)}")
    missing = [
        name
        for name, one in fields.items()
        if name not in plain and one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{kind.__name__} lacks {', '.join(missing)}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()})


def number(name: str, value: Any, low: float, high: float) -> None:
    """Raise ValueError unless a value is a number from low to high."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")


def whole(name: str, value: Any, low: int, high: int) -> None:
    """Raise ValueError unless a value is a whole number from low to high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ValueError unless a value is allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")


def length(name: str, value: Any, allowed: tuple[int, ...]) -> None:
    """Raise ValueError unless a sequence has an allowed length."""
    if not isinstance(value, tuple) or len(value) not in allowed:
        raise ValueError(f"{name} must be a tuple of {' or '.join(map(str, allowed))}, not {value!r}")


def shares(name: str, values: tuple[float, ...]) -> None:
    """Raise ValueError unless numbers are shares of a whole."""
    if min(values) < 0.0 or abs(sum(values) - 1.0) > 1e-6:
        raise ValueError(f"{name} must be shares that sum to 1, not {values!r}")
