"""What the safety evaluation of a hospital needs to know: hazards, classes of patients, surges, boards, gates; read from a file each.

``medsim/safety/profiles/NAME.toml``, where every limit stands with its reason. Another file of the same form can be given instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.task import HospitalTask
from medsim.registry import hospital_card
from medsim.safety.hospital.episodes import Episodes
from medsim.safety.hospital.faults import columns_of
from medsim.safety.profile import Gate, Hazard, Option, read_profile

__all__ = ["Amount", "Board", "HospitalCatastrophe", "HospitalProfile", "Measure", "Worse", "check_fits"]
__all__ += ["hospital_profile_path", "load_hospital_profile"]

LOSS = "loss"


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How many episodes: of the sections on ordinary days, of each surge, of each failing agent, of each wrong board."""

    episodes: int
    surged: int
    failed: int
    blinded: int


@dataclass(frozen=True, kw_only=True)
class Worse:
    """A cost, or "loss", of an episode that is this much above the protocol's of the same episode, and this many times it."""

    what: str
    by: float
    times: float = 1.0

    def of(self, own: Episodes, standard: Episodes) -> npt.NDArray[np.bool_]:
        """Return in which episodes, (n,)."""
        mine, theirs = (one.loss if self.what == LOSS else one.costs[self.what] for one in (own, standard))
        return np.asarray((mine - theirs >= self.by) & (mine >= self.times * theirs))


@dataclass(frozen=True, kw_only=True)
class HospitalCatastrophe:
    """What must hardly ever happen in an episode: any of these."""

    name: str
    reason: str
    any: tuple[Worse, ...]

    def of(self, own: Episodes, standard: Episodes) -> npt.NDArray[np.bool_]:
        """Return in which episodes it happened, (n,)."""
        return np.asarray(np.any([one.of(own, standard) for one in self.any], axis=0))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is compared between classes of patients: its name in ``classes_of``, and how much worse than under the protocol it may be.

    Args:
        title: in words; unit: in which it is told; scale: from the model's unit to it; margins: by class, in that unit.
    """

    name: str
    title: str
    unit: str
    reason: str
    margins: Mapping[str, Any]  # numbers
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Board:
    """Numbers of the board that go wrong together: those whose names contain one of these texts; ``noise``: standard deviation."""

    name: str
    contains: tuple[str, ...]
    noise: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class HospitalProfile:
    """All of it.

    ``requires``: options that the hospital must have; ``protocol``: the reference policy that others are put beside, if not the card's;
    ``limits``: in sentences, what the simulation cannot show.
    """

    environment: str
    episode: str  # what an episode is, in words
    catastrophe: HospitalCatastrophe
    limits: tuple[str, ...]
    quick: Amount
    full: Amount
    requires: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""
    hazards: tuple[Hazard, ...] = ()
    measures: tuple[Measure, ...] = ()
    surges: tuple[Option, ...] = ()
    boards: tuple[Board, ...] = ()
    gates: tuple[Gate, ...] = ()


def hospital_profile_path(env_id: str, options: Mapping[str, Any] | None = None) -> Path:
    """Return the file of a hospital's profile: that of the variant among its options, NAME-VARIANT.toml, if there is one, else NAME.toml.

    Raises:
        ValueError: it has none.
    """
    folder, name = Path(__file__).parents[1] / "profiles", hospital_card(env_id).id.partition("/")[2].partition("-v")[0].lower()
    path, variant = folder / f"{name}.toml", folder / f"{name}-{(options or {}).get('variant', '')}.toml"
    if variant.is_file():
        return variant
    if not path.is_file():
        raise ValueError(f"{env_id} has no safety profile; --profile takes a file of your own")
    return path


def load_hospital_profile(path: str | Path) -> HospitalProfile:
    """Return the profile in a file.

    Raises:
        ValueError: the file is no TOML, a name is unknown or missing, or a value is of the wrong kind; the message says which.
    """
    return read_profile(Path(path), HospitalProfile, check)


def check(profile: HospitalProfile) -> None:
    """Raise ValueError if a profile refers to what it does not have, or a number in it is not allowed."""
    hazards = [one.id for one in profile.hazards]
    for gate in profile.gates:
        if (gate.most is None) == (gate.least is None):
            raise ValueError(f"the gate of {gate.figure!r} must have exactly one of most and least")
        if gate.hazard and gate.hazard not in hazards:
            raise ValueError(f"the gate of {gate.figure!r} is for the hazard {gate.hazard!r}; there are {', '.join(hazards)}")
    for measure in profile.measures:
        for name, margin in measure.margins.items():
            if isinstance(margin, bool) or not isinstance(margin, int | float) or not margin > 0.0:
                raise ValueError(f"the margin of {name!r} in {measure.name!r} must be a number above 0, not {margin!r}")
    for amount in (profile.quick, profile.full):
        for name, number in vars(amount).items():
            if number < 2:
                raise ValueError(f"{name} must be 2 or more, not {number}")


def check_fits(profile: HospitalProfile, task: HospitalTask) -> None:
    """Raise ValueError if a profile is not one of this hospital."""
    for name, value in profile.requires.items():
        found = getattr(task.config, name)
        if found != value:
            raise ValueError(f"this safety profile is for {name}={value!r}, not {found!r}; --profile takes a file of your own")
    costs = [one.cost for one in profile.hazards if one.cost] + [one.what for one in profile.catastrophe.any if one.what != LOSS]
    for cost in costs:
        if cost not in (*task.cost_names, "forbidden_action"):
            raise ValueError(f"{task.id} has no cost {cost!r}; there are {', '.join(task.cost_names)}, forbidden_action")
    for board in profile.boards:
        columns_of(task, board.contains)
