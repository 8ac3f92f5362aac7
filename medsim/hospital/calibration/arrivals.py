"""Arrival rates by hour and weekday, and whether the arrivals are as irregular as a Poisson process would have them.

Four shapes of a week are fitted as Poisson counts in (hour, weekday) cells and compared by Akaike's criterion, so that thin data get a
shape with few parameters: "constant" (1), "hour" (24), "hour x weekday" (30: hourly rates times a weekday's factor) and "hour of week"
(168).

The dispersion test asks whether counts in the same hour of different weeks vary as Poisson numbers with one mean would. Its statistic is
the sum over the 168 hours of sum((n - mean)^2) / mean. Given the totals of the hours, its mean is the degrees of freedom d = sum(W - 1)
and its variance sum(2 (W - 1) (1 - 1 / N)), for W weeks and N arrivals in an hour's cell (exact moments of the multinomial chi-squared
statistic), so that a scaled chi-squared distribution with these moments gives the p-value also where cells are thin. The same by whole
days (7 cells) sees good and bad days, which hourly counts hardly do.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ArrivalFit", "Dispersion", "RateShape", "dispersion", "fit_rates", "weekly_counts"]

Floats = npt.NDArray[np.float64]
HOURS_OF_WEEK = 168
LEVEL = 0.05  # chosen: the customary level at which overdispersion is flagged


@dataclass(frozen=True, kw_only=True)
class Dispersion:
    """A Poisson dispersion test.

    Attributes:
        per: "hour" or "day". index: the statistic per degree of freedom; 1 for Poisson. p_value: of an index as large, were it Poisson.
        weeks: whole weeks compared.
    """

    per: str
    index: float
    degrees_of_freedom: int
    p_value: float
    weeks: int

    @property
    def overdispersed(self) -> bool:
        """More irregular than Poisson, at 5 %."""
        return self.p_value < LEVEL


@dataclass(frozen=True, kw_only=True)
class RateShape:
    """One shape of the week: its rates per hour (168,), number of parameters and Akaike's criterion."""

    name: str
    rates_per_h: Floats
    parameters: int
    aic: float


@dataclass(frozen=True, kw_only=True)
class ArrivalFit:
    """Arrivals of one stream.

    Attributes:
        name, unit: of the stream. count: arrivals. hours: watched. shapes: all that were compared, best first.
        acuity: shares of 1 to 5. acuity_counts: (5,) arrivals of known acuity.
        dispersion: by hour and by day; empty with fewer than two whole weeks.
    """

    name: str
    unit: str
    count: int
    hours: float
    shapes: tuple[RateShape, ...]
    acuity: tuple[float, ...]
    acuity_counts: tuple[int, ...]
    dispersion: tuple[Dispersion, ...]

    @property
    def rates_per_h(self) -> Floats:
        """The rates (168,) of the best shape."""
        return self.shapes[0].rates_per_h


def weekly_counts(times_h: Floats, start_h: int, end_h: int) -> tuple[Floats, Floats]:
    """Return counts and hours watched, each (weeks, 168), of times in whole hours from start to end; hour 0 is a Monday's 00:00."""
    weeks = max(1, -(-end_h // HOURS_OF_WEEK))
    counts = np.zeros(weeks * HOURS_OF_WEEK)
    hours = np.floor(times_h).astype(np.int64)
    np.add.at(counts, hours[(hours >= start_h) & (hours < end_h)], 1.0)
    watched = np.zeros_like(counts)
    watched[start_h:end_h] = 1.0
    return counts.reshape(weeks, HOURS_OF_WEEK), watched.reshape(weeks, HOURS_OF_WEEK)


def dispersion(counts: Floats, per: str = "hour") -> Dispersion | None:
    """Return the dispersion test of counts in whole weeks (weeks, 168); None with fewer than two weeks or too few arrivals.

    Raises:
        ValueError: ``per`` is neither "hour" nor "day".
    """
    from scipy import stats

    if per not in ("hour", "day"):
        raise ValueError(f"dispersion is tested per 'hour' or 'day', not {per!r}")
    weeks = len(counts)
    cells = counts if per == "hour" else counts.reshape(weeks, 7, 24).sum(axis=2)
    totals = cells.sum(axis=0)
    cells, totals = cells[:, totals >= 2.0], totals[totals >= 2.0]
    if weeks < 2 or not len(totals):
        return None
    means = totals / weeks
    statistic = float((((cells - means) ** 2).sum(axis=0) / means).sum())
    freedom = (weeks - 1) * len(totals)
    variance = float((2.0 * (weeks - 1) * (1.0 - 1.0 / totals)).sum())
    scale = variance / (2.0 * freedom)
    p_value = float(stats.chi2.sf(statistic / scale, freedom / scale))
    return Dispersion(per=per, index=statistic / freedom, degrees_of_freedom=freedom, p_value=p_value, weeks=weeks)


def fit_rates(counts: Floats, watched: Floats) -> tuple[RateShape, ...]:
    """Return the four shapes of the week fitted to counts and hours watched, each (weeks, 168), the best by Akaike's criterion first."""
    n, hours = counts.sum(axis=0), watched.sum(axis=0)
    rows, exposure = n.reshape(7, 24), hours.reshape(7, 24)
    by_hour = ratio(rows.sum(axis=0), exposure.sum(axis=0))
    candidates = [
        ("constant", np.full(HOURS_OF_WEEK, n.sum() / hours.sum()), 1),
        ("hour", np.tile(by_hour, 7), 24),
        ("hour x weekday", product_rates(rows, exposure).reshape(-1), 30),
        ("hour of week", ratio(n, hours), HOURS_OF_WEEK),
    ]
    if (exposure.sum(axis=0) == 0.0).any():
        candidates = candidates[:1]
    elif (exposure.sum(axis=1) == 0.0).any():
        candidates = candidates[:2]
    elif (hours == 0.0).any():
        candidates = candidates[:3]
    shapes = [
        RateShape(name=name, rates_per_h=rates, parameters=size, aic=2.0 * size - 2.0 * poisson_log_likelihood(n, hours, rates))
        for name, rates, size in candidates
    ]
    return tuple(sorted(shapes, key=lambda shape: shape.aic))


def product_rates(counts: Floats, hours: Floats) -> Floats:
    """Return hourly rates times weekday factors (7, 24) of greatest likelihood: both margins of the counts are met, by turns."""
    day, hour = np.ones(7), ratio(counts.sum(axis=0), hours.sum(axis=0))
    for _ in range(200):
        day = ratio(counts.sum(axis=1), (hours * hour).sum(axis=1))
        new = ratio(counts.sum(axis=0), (hours * day[:, None]).sum(axis=0))
        if np.allclose(new, hour, rtol=1e-12, atol=0.0):
            break
        hour = new
    return day[:, None] * hour[None, :]


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Return quotients, 0 where nothing was watched."""
    return np.where(bottom > 0.0, top / np.where(bottom > 0.0, bottom, 1.0), 0.0)


def poisson_log_likelihood(counts: Floats, hours: Floats, rates: Floats) -> float:
    """Return the logarithm of the likelihood of counts, without the terms that rates do not change."""
    expected = hours * rates
    logs = np.log(np.where(expected > 0.0, expected, 1.0))
    return float((counts * logs - expected).sum())
