"""Where patients go next: shares with Wilson's intervals, by acuity where there are enough."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.hospital.calibration.encounters import Encounters
from medsim.hospital.flow.config import ACUITIES

__all__ = ["HOME", "RouteFit", "Transition", "fit_routing", "transition_counts", "wilson"]

Ints = npt.NDArray[np.int64]
HOME = "home"
LEAST = 50  # chosen: departures of an acuity from a unit below which it shares the routing of all
Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A share of a unit's departures: of an acuity (0: of all), to a unit or home, with its 95 % interval."""

    acuity: int
    target: str
    count: int
    departures: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class RouteFit:
    """The exits of a unit: transitions with intervals, and the exits that a configuration takes (one mapping, or five)."""

    unit: str
    transitions: tuple[Transition, ...]
    exits: tuple[dict[str, float], ...]
    by_acuity: tuple[int, ...]  # acuities that have their own


def wilson(count: int, total: int, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's interval of a share of ``total``.

    Raises:
        ValueError: the count is not from 0 to the total, or the total is 0.
    """
    if not 0 <= count <= total or total == 0:
        raise ValueError(f"a share needs a count from 0 to its total, which is 1 or more, not {count} of {total}")
    share, spread = count / total, z * z / total
    middle = share + spread / 2.0
    half = z * np.sqrt(share * (1.0 - share) / total + spread / (4.0 * total))
    return float(max(0.0, (middle - half) / (1.0 + spread))), float(min(1.0, (middle + half) / (1.0 + spread)))


def transition_counts(table: Encounters) -> Ints:
    """Return departures (units, 6, units + 1): by acuity (0: not known) and next unit, the last for home.

    Who left unseen or is still there has not departed. A stay whose end is known but whose encounter has no further row went home.
    """
    counts = np.zeros((len(table.units), ACUITIES + 1, len(table.units) + 1), dtype=np.int64)
    goes_on = np.append(~table.first[1:], False)
    following = np.append(table.unit[1:], 0)
    target = np.where(goes_on, following, len(table.units))
    departed = ~np.isnan(table.left) & ~table.unseen & ~np.isnan(table.began)
    np.add.at(counts, (table.unit[departed], table.acuity[departed], target[departed]), 1)
    return counts


def fit_routing(table: Encounters) -> tuple[RouteFit, ...]:
    """Return the exits of every unit, in order."""
    counts = transition_counts(table)
    return tuple(unit_routing(name, counts[number], table.units) for number, name in enumerate(table.units))


def unit_routing(unit: str, counts: Ints, units: tuple[str, ...]) -> RouteFit:
    """Return the exits of a unit from its departures (6, units + 1)."""
    everyone = counts.sum(axis=0)
    own = tuple(acuity for acuity in range(1, ACUITIES + 1) if counts[acuity].sum() >= LEAST)
    transitions = [*transitions_of(0, everyone, units), *(one for acuity in own for one in transitions_of(acuity, counts[acuity], units))]
    if len(own) < 2:
        return RouteFit(unit=unit, transitions=tuple(transitions), exits=(exits_of(everyone, units),), by_acuity=())
    exits = tuple(exits_of(counts[acuity] if acuity in own else everyone, units) for acuity in range(1, ACUITIES + 1))
    return RouteFit(unit=unit, transitions=tuple(transitions), exits=exits, by_acuity=own)


def transitions_of(acuity: int, counts: Ints, units: tuple[str, ...]) -> list[Transition]:
    """Return the shares of departures (units + 1) with intervals, those that occurred."""
    total = int(counts.sum())
    found = []
    for target, count in zip((*units, HOME), counts.tolist(), strict=True):
        if count:
            low, high = wilson(count, total)
            found.append(Transition(acuity=acuity, target=target, count=count, departures=total, share=count / total, low=low, high=high))
    return found


def exits_of(counts: Ints, units: tuple[str, ...]) -> dict[str, float]:
    """Return the probabilities of the next unit; the rest go home."""
    total = int(counts.sum())
    return {name: float(count) / total for name, count in zip(units, counts[:-1].tolist(), strict=True) if count}
