"""Census under arrivals that change over the day: systems with as many servers as patients (M_t/G/inf).

The census of such a system at a time is Poisson, with a mean that follows the arrivals damped and late. Times are in the unit of the rates.
Source: Eick, Massey and Whitt, Management Science 39:241 and Operations Research 41:731 (1993) (citations from memory, to be verified).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.hospital.theory.validity import fraction, lengths_agree, not_negative, positive, whole

__all__ = ["PoissonCensus", "SinusoidalCensus", "mean_census_profile", "mg_infinity", "sinusoidal_census"]

Array = npt.NDArray[np.float64]

NODES = 16  # chosen: Gauss-Legendre points in each bin; exponential stays of five bins come out to 1e-9
LONGEST_STAY_PERIODS = 400  # chosen: more than a year of days; what survives beyond is spread evenly over the period


@dataclass(frozen=True, kw_only=True)
class PoissonCensus:
    """The number of patients in M/G/inf at a time: a Poisson variable."""

    mean: float  # patients

    def pmf(self, number: int) -> float:
        """Return the probability of exactly this many patients."""
        n = whole("number", number, 0)
        return math.exp(n * math.log(self.mean) - self.mean - math.lgamma(n + 1))

    def p_at_least(self, number: int) -> float:
        """Return the probability of this many patients or more: that so many beds are all taken."""
        return max(0.0, 1.0 - sum(self.pmf(n) for n in range(whole("number", number, 0))))

    def quantile(self, probability: float) -> int:
        """Return the smallest number of patients that is not exceeded with this probability (0.95: beds for 95 % of the time)."""
        target, n = fraction("probability", probability), 0
        below = self.pmf(0)
        while below < target and n < self.mean + 50.0 * math.sqrt(self.mean) + 50.0:
            n += 1
            below += self.pmf(n)
        return n


def mg_infinity(arrival_rate: float, mean_stay: float) -> PoissonCensus:
    """Return the census of a ward with a bed for everybody: Poisson with mean λ E[S], whatever the stay's distribution."""
    return PoissonCensus(mean=positive("arrival_rate", arrival_rate) * positive("mean_stay", mean_stay))


@dataclass(frozen=True, kw_only=True)
class SinusoidalCensus:
    """The mean census of M_t/M/inf under arrivals λ(t) = mean rate · (1 + relative amplitude · sin(2π t / period))."""

    mean: float  # patients
    amplitude: float  # patients
    lag: float  # how long after the arrivals' peak the census peaks, in time units
    period: float  # in time units

    def at(self, time: float) -> float:
        """Return the mean census at a time, long after the start."""
        return self.mean + self.amplitude * math.sin(2.0 * math.pi * (time - self.lag) / self.period)


def sinusoidal_census(mean_rate: float, relative_amplitude: float, period: float, service_rate: float) -> SinusoidalCensus:
    """Return the mean census of M_t/M/inf under sinusoidal arrivals.

    With ω = 2π / period the swing of the arrivals is divided by √(μ² + ω²) and delayed by atan(ω / μ) / ω.

    Args:
        mean_rate: arrivals per time unit, averaged over the period.
        relative_amplitude: 0..1, of the arrivals' swing about their mean.
        period: in time units.
        service_rate: one over the mean stay.
    """
    rate, mu = positive("mean_rate", mean_rate), positive("service_rate", service_rate)
    omega = 2.0 * math.pi / positive("period", period)
    if not 0.0 <= relative_amplitude <= 1.0:
        raise ValueError(f"relative_amplitude must be from 0 to 1, or arrivals would be negative, not {relative_amplitude!r}")
    return SinusoidalCensus(
        mean=rate / mu, amplitude=rate * relative_amplitude / math.hypot(mu, omega), lag=math.atan(omega / mu) / omega, period=float(period)
    )


def _survival_by_bin(survival: Callable[[Array], Array], bin_width: float, bins: int) -> Array:
    """Return the integral of the survival function over each of the first bins, in time units."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    ages = bin_width * (np.arange(bins)[:, None] + (nodes + 1.0) / 2.0)
    alive = np.asarray(survival(ages.ravel()), dtype=np.float64).reshape(ages.shape)
    if not np.all((alive >= 0.0) & (alive <= 1.0 + 1e-12)):
        raise ValueError(f"survival must return probabilities, 0..1, not values from {alive.min()} to {alive.max()}")
    return alive @ weights * bin_width / 2.0


def mean_census_profile(rates: Sequence[float], survival: Callable[[Array], Array], mean_stay: float, bin_width: float = 1.0) -> Array:
    """Return the mean census of M_t/G/inf at the start of each bin of a repeating profile of arrivals, shape (bins,).

    m(t) = ∫ λ(t - u) P(S > u) du, with arrivals constant within a bin (24 hourly rates of a day, 168 of a week).

    Args:
        rates: (bins,) arrivals per time unit in each bin; the profile repeats.
        survival: P(S > u) of the stay: takes an array of ages in time units, gives an array of probabilities.
        mean_stay: its mean in time units; it must agree with ``survival``, which is checked.
        bin_width: in time units.

    Raises:
        ValueError: a rate is negative, survival leaves 0..1, or its integral is not ``mean_stay`` (to 1e-6 of it, where it ends
            within 400 profiles).
    """
    n = lengths_agree(rates=rates)
    profile = np.array([not_negative("a rate", rate) for rate in rates])
    mean, width = positive("mean_stay", mean_stay), positive("bin_width", bin_width)
    by_lag = _survival_by_bin(survival, width, n * LONGEST_STAY_PERIODS)
    left = mean - float(by_lag.sum())
    still_there = float(survival(np.array([n * width * LONGEST_STAY_PERIODS]))[0])
    if left < -1e-6 * mean or (still_there < 1e-9 and left > 1e-6 * mean):
        raise ValueError(f"survival integrates to {by_lag.sum():.6g}, which does not agree with a mean_stay of {mean:.6g}")
    folded = by_lag.reshape(-1, n).sum(axis=0) + max(left, 0.0) / n
    starts = np.arange(n)
    return np.array([profile[(start - 1 - starts) % n] @ folded for start in starts])
