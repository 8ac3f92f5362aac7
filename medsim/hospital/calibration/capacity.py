"""How many a unit holds and treats at once, and how long people wait before they leave: what a table says only indirectly.

Capacity is the largest census that was seen (or a quantile of it over time): a unit that was never full had more, so it is a lower bound,
and a table with a surge in it has a higher one. Beds that are known should be given.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.hospital.calibration.encounters import Encounters
from medsim.hospital.flow.config import ACUITIES

__all__ = ["PatienceFit", "UnitUse", "census_by_hour", "fit_patience", "occupancy_quantile", "unit_use"]

Floats = npt.NDArray[np.float64]
LEAST_LEFT = 20  # chosen: people of a category who left, below which the category shares the patience of all


@dataclass(frozen=True, kw_only=True)
class UnitUse:
    """How a unit was used.

    Attributes:
        beds: places by the quantile of the census, or as given. largest: the largest census. mean: over time.
        treating: the largest number in treatment at once (census less those who board or wait in a place).
        boarded: share of the stays that went on for more than a minute after treatment had ended.
        midnight: mean census at midnight in the second half of the table, the first being left to fill, since who was there before a
            table is not in it; with no midnight there: the mean over time.
    """

    unit: str
    beds: int
    given: bool
    largest: int
    mean: float
    treating: int
    boarded: float
    midnight: float

    @property
    def start_share(self) -> float:
        """Share of the beds that are taken when a week begins, Monday at midnight, 0 to 1."""
        return min(1.0, max(0.0, self.midnight / self.beds))


@dataclass(frozen=True, kw_only=True)
class PatienceFit:
    """Exponential patience in a unit's queue, by maximum likelihood: hours waited by all, over the number who left.

    Attributes:
        left: (5,) who left unseen, waited_h: (5,) hours waited by all, by category. mean_h: (5,) or empty: nobody left.
    """

    unit: str
    left: tuple[int, ...]
    waited_h: tuple[float, ...]
    mean_h: tuple[float, ...]


def steps(starts: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Return times (m,) at which a census changes, and the census (m,) from each on."""
    times = np.concatenate([starts, ends])
    changes = np.concatenate([np.ones(len(starts)), -np.ones(len(ends))])
    order = np.lexsort((changes, times))  # who leaves at a moment makes room for who comes at it
    return times[order], np.cumsum(changes[order])


def occupancy_quantile(starts: Floats, ends: Floats, quantile: float = 1.0) -> int:
    """Return the census that is not exceeded for a share of the time; 1: the largest."""
    if not len(starts):
        return 0
    times, census = steps(starts, ends)
    if quantile >= 1.0:
        return int(census.max())
    lasted = np.diff(times, append=times[-1])
    order = np.argsort(census, kind="stable")
    share = np.cumsum(lasted[order]) / max(float(lasted.sum()), 1e-12)
    return int(census[order][np.searchsorted(share, quantile).clip(max=len(share) - 1)])


def census_by_hour(starts: Floats, ends: Floats, begin: float, end: float) -> Floats:
    """Return the mean census (24,) at the full hours of the day within [begin, end)."""
    hours = np.arange(np.ceil(begin), end)
    present = np.searchsorted(np.sort(starts), hours, side="right") - np.searchsorted(np.sort(ends), hours, side="right")
    of_day = hours.astype(np.int64) % 24
    seen = np.bincount(of_day, minlength=24)
    return np.bincount(of_day, weights=present, minlength=24) / np.maximum(seen, 1)


def unit_use(table: Encounters, number: int, given: int | None, quantile: float) -> UnitUse:
    """Return how a unit was used."""
    here = (table.unit == number) & ~np.isnan(table.began)
    began = table.began[here]
    left = np.where(np.isnan(table.left[here]), table.end, table.left[here])
    ended = np.where(np.isnan(table.ended[here]), table.end, table.ended[here])
    gone = ~np.isnan(table.left[here])
    beds = given if given is not None else max(1, occupancy_quantile(began, left, quantile))
    first = float(np.nanmin(table.came))
    mean = float((left - began).sum() / max(table.end - first, 1e-9))
    return UnitUse(
        unit=table.units[number],
        beds=beds,
        given=given is not None,
        largest=occupancy_quantile(began, left),
        mean=mean,
        treating=max(1, occupancy_quantile(began, ended, quantile)),
        boarded=float((left - ended > 1.0 / 60.0)[gone].mean()) if gone.any() else 0.0,
        midnight=midnight_census(began, np.where(gone, left, np.inf), (first + table.end) / 2.0, table.end, mean),
    )


def midnight_census(starts: Floats, ends: Floats, begin: float, end: float, otherwise: float) -> float:
    """Return the mean census at the midnights within [begin, end), or another number if there is none."""
    if np.ceil(begin / 24.0) * 24.0 >= end:
        return otherwise
    return float(census_by_hour(starts, ends, begin, end)[0])


def fit_patience(table: Encounters, number: int) -> PatienceFit:
    """Return how long people wait in a unit's queue before they leave unseen, those who were seen or still wait as censored."""
    here = (table.unit == number) & ~np.isnan(table.came)
    until = np.where(table.unseen & ~np.isnan(table.left), table.left, np.where(np.isnan(table.began), table.end, table.began))
    waited = np.maximum(until - table.came, 0.0)
    acuity = np.where(table.acuity == 0, 3, table.acuity)
    left = np.array([int((here & table.unseen & (acuity == k)).sum()) for k in range(1, ACUITIES + 1)])
    hours = np.array([float(waited[here & (acuity == k)].sum()) for k in range(1, ACUITIES + 1)])
    mean: tuple[float, ...] = ()
    if left.sum():
        pooled = hours.sum() / left.sum()
        mean = tuple(float(hours[k] / left[k]) if left[k] >= LEAST_LEFT else float(pooled) for k in range(ACUITIES))
    return PatienceFit(unit=table.units[number], left=tuple(left.tolist()), waited_h=tuple(hours.tolist()), mean_h=mean)
