"""Stays in a unit by maximum likelihood, with those that were not over when the table was drawn counted as censored.

Leaving them out would keep the short ones: whoever came late and stays long is missing (length bias). Four laws are fitted: exponential,
lognormal, gamma, Weibull; Akaike's criterion chooses. The distance of a law to the data is Kolmogorov's, to the Kaplan-Meier curve.
Configurations know lognormal, exponential and constant stays. They take the lognormal of the best law's mean and standard deviation or the
exponential of its mean, whichever is nearer to the data by Kolmogorov's distance: both leave the load as it is (Little). The distances of
the best law and of what is taken are reported.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.draws import lognormal_parameters
from medsim.hospital.flow.config import Stay

__all__ = ["FAMILIES", "StayFit", "StayLaw", "fit_stays", "kaplan_meier", "ks_distance"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
FAMILIES = ("lognormal", "gamma", "weibull", "exponential")
LEAST = 10  # chosen: ended stays below which nothing but an exponential law is fitted
SHORTEST_H = 0.5 / 60.0  # chosen: half a minute, for stays that begin and end in the same minute


@dataclass(frozen=True, kw_only=True)
class StayLaw:
    """A fitted law.

    Attributes:
        family: one of ``FAMILIES``. parameters: of scipy's form: lognormal (mu, sigma), gamma and weibull (shape, scale in h),
            exponential (mean in h). errors: their standard errors, from the observed information.
        mean_h, sd_h: of the law. aic: Akaike's criterion. ks: distance to the data.
    """

    family: str
    parameters: tuple[float, ...]
    errors: tuple[float, ...]
    mean_h: float
    sd_h: float
    aic: float
    ks: float


@dataclass(frozen=True, kw_only=True)
class StayFit:
    """Stays of a group of patients in a unit: how many ended and were censored, the laws, best first, and the one a configuration takes."""

    ended: int
    censored: int
    laws: tuple[StayLaw, ...]
    taken: Stay
    taken_ks: float

    @property
    def best(self) -> StayLaw:
        """The law of the smallest Akaike's criterion."""
        return self.laws[0]


def fit_stays(lengths_h: Floats, over: Bools) -> StayFit:
    """Return the laws fitted to lengths of stay in hours, and the one that a configuration takes.

    Args:
        lengths_h: (n,) stays, or how long they had lasted when the table was drawn. over: (n,) whether they had ended.

    Raises:
        ValueError: no stay has ended, or a length is negative.
    """
    lengths = np.asarray(lengths_h, dtype=np.float64)
    over = np.asarray(over, dtype=np.bool_)
    if not over.any():
        raise ValueError(f"stays need at least one that has ended, and of {len(lengths)} none has")
    if not (lengths >= 0.0).all():
        raise ValueError(f"stays must be 0 h or longer, not {float(lengths[~(lengths >= 0.0)][0]):g} h")
    lengths = np.maximum(lengths, SHORTEST_H)
    counts = {"ended": int(over.sum()), "censored": int((~over).sum())}
    if np.ptp(lengths[over]) == 0.0 and over.sum() >= LEAST:
        return constant_stay(float(lengths[over][0]), counts)
    families = FAMILIES if over.sum() >= LEAST else ("exponential",)
    laws = tuple(sorted((fitted(family, lengths, over) for family in families), key=lambda law: law.aic))
    taken, distance = taken_for(laws[0], lengths, over)
    return StayFit(**counts, laws=laws, taken=taken, taken_ks=distance)


def constant_stay(length_h: float, counts: dict[str, int]) -> StayFit:
    """Return the fit of stays that are all the same."""
    law = StayLaw(family="constant", parameters=(length_h,), errors=(0.0,), mean_h=length_h, sd_h=0.0, aic=-np.inf, ks=0.0)
    return StayFit(**counts, laws=(law,), taken=Stay(law="constant", mean_h=length_h), taken_ks=0.0)


def taken_for(law: StayLaw, lengths: Floats, over: Bools) -> tuple[Stay, float]:
    """Return the stay of a configuration, of a fitted law's mean, that is nearest to the data, and its Kolmogorov distance."""
    able = (Stay(law="exponential", mean_h=law.mean_h, sd_h=law.mean_h), Stay(law="lognormal", mean_h=law.mean_h, sd_h=law.sd_h))
    found = [(stay, ks_distance(lengths, over, frozen_stay(stay))) for stay in able]
    return min(found, key=lambda one: one[1])


def frozen(family: str, parameters: tuple[float, ...]) -> Any:
    """Return scipy's distribution of a law."""
    from scipy import stats

    if family == "lognormal":
        return stats.lognorm(parameters[1], scale=np.exp(parameters[0]))
    if family == "gamma":
        return stats.gamma(parameters[0], scale=parameters[1])
    if family == "weibull":
        return stats.weibull_min(parameters[0], scale=parameters[1])
    return stats.expon(scale=parameters[0])


def frozen_stay(stay: Stay) -> Any:
    """Return scipy's distribution of a lognormal or exponential stay of a configuration."""
    if stay.law == "exponential":
        return frozen("exponential", (stay.mean_h,))
    return frozen("lognormal", lognormal_parameters(stay.mean_h, stay.sd_h))


def natural(family: str, free: Floats) -> tuple[float, ...]:
    """Return parameters from numbers without limits: all are logarithms but the lognormal's mu."""
    values = np.exp(np.clip(free, -50.0, 50.0))
    if family == "lognormal":
        values[0] = free[0]
    return tuple(float(value) for value in values)


def fitted(family: str, lengths: Floats, over: Bools) -> StayLaw:
    """Return one law of greatest likelihood."""
    from scipy import optimize

    ended, open_ended = lengths[over], lengths[~over]
    logs = np.log(ended)
    sums = (len(ended), float(ended.sum()), float(logs.sum()), float((logs**2).sum()))

    def loss(free: Floats) -> float:
        parameters = natural(family, free)
        total = -log_density(family, parameters, sums, ended) - log_survival(family, parameters, open_ended)
        return total if np.isfinite(total) else 1e300

    if family == "exponential":
        free = np.array([np.log(lengths.sum() / over.sum())])
    else:
        start = start_of(family, lengths)
        found = optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-7, "maxiter": 2000})
        free = np.asarray(found.x, dtype=np.float64)
    parameters = natural(family, free)
    law = frozen(family, parameters)
    slopes = np.array(parameters)
    if family == "lognormal":
        slopes[0] = 1.0
    errors = standard_errors(loss, free) * slopes
    return StayLaw(
        family=family,
        parameters=parameters,
        errors=tuple(float(error) for error in errors),
        mean_h=float(law.mean()),
        sd_h=float(law.std()),
        aic=2.0 * len(free) + 2.0 * loss(free),
        ks=ks_distance(lengths, over, law),
    )


def log_density(family: str, parameters: tuple[float, ...], sums: tuple[int, float, float, float], lengths: Floats) -> float:
    """Return the log-likelihood of stays that have ended; ``sums``: their number, sum, sum of logarithms and of their squares."""
    n, total, logs, squares = sums
    if family == "exponential":
        return -n * math.log(parameters[0]) - total / parameters[0]
    if family == "lognormal":
        mu, sigma = parameters
        deviations = squares - 2.0 * mu * logs + n * mu * mu
        return -logs - n * (math.log(sigma) + 0.5 * math.log(2.0 * math.pi)) - deviations / (2.0 * sigma * sigma)
    shape, scale = parameters
    if family == "gamma":
        return (shape - 1.0) * logs - total / scale - n * (math.lgamma(shape) + shape * math.log(scale))
    powers = float(np.exp(shape * np.log(lengths / scale)).sum())
    return n * math.log(shape / scale) + (shape - 1.0) * (logs - n * math.log(scale)) - powers


def log_survival(family: str, parameters: tuple[float, ...], lengths: Floats) -> float:
    """Return the log-likelihood of stays that go on."""
    from scipy import special

    if not len(lengths):
        return 0.0
    if family == "exponential":
        return -float(lengths.sum()) / parameters[0]
    if family == "lognormal":
        mu, sigma = parameters
        return float(special.log_ndtr((mu - np.log(lengths)) / sigma).sum())
    shape, scale = parameters
    if family == "gamma":
        return float(np.log(np.maximum(special.gammaincc(shape, lengths / scale), 1e-300)).sum())
    return -float(np.exp(shape * np.log(lengths / scale)).sum())


def start_of(family: str, lengths: Floats) -> Floats:
    """Return where to start the search: the moments, as if all had ended."""
    if family == "lognormal":
        logs = np.log(lengths)
        return np.array([logs.mean(), np.log(max(float(logs.std()), 1e-3))])
    mean, spread = float(lengths.mean()), max(float(lengths.std()), 1e-3 * float(lengths.mean()))
    shape = float(np.clip((mean / spread) ** 2, 0.1, 1e3))
    if family == "gamma":
        return np.array([np.log(shape), np.log(mean / shape)])
    return np.array([0.5 * np.log(shape), np.log(mean)])


def standard_errors(loss: Callable[[Floats], float], free: Floats, step: float = 1e-3) -> Floats:
    """Return standard errors from the curvature of the negative log-likelihood at its minimum; NaN where it has none."""
    size = len(free)
    curvature = np.zeros((size, size))
    steps = np.eye(size) * step
    for i in range(size):
        for j in range(size):
            plus, minus = loss(free + steps[i] + steps[j]), loss(free - steps[i] - steps[j])
            mixed = loss(free + steps[i] - steps[j]) + loss(free - steps[i] + steps[j])
            curvature[i, j] = (plus + minus - mixed) / (4.0 * step * step)
    if not np.isfinite(curvature).all() or np.linalg.matrix_rank(curvature) < size:
        return np.full(size, np.nan)
    variances = np.diag(np.linalg.inv(curvature))
    return np.sqrt(np.where(variances > 0.0, variances, np.nan))


def kaplan_meier(lengths_h: Floats, over: Bools) -> tuple[Floats, Floats]:
    """Return the times (m,) at which stays ended, and the share that had ended by then (m,): the Kaplan-Meier estimate."""
    times: Floats = np.unique(lengths_h[over])
    ended = np.bincount(np.searchsorted(times, lengths_h[over]), minlength=len(times))
    at_risk = len(lengths_h) - np.searchsorted(np.sort(lengths_h), times, side="left")
    return times, np.asarray(1.0 - np.cumprod(1.0 - ended / at_risk), dtype=np.float64)


def ks_distance(lengths_h: Floats, over: Bools, law: Any) -> float:
    """Return the greatest distance between a law and the Kaplan-Meier curve, up to the last stay that ended."""
    times, share = kaplan_meier(lengths_h, over)
    expected = law.cdf(times)
    before = np.concatenate([[0.0], share[:-1]])
    return float(np.maximum(np.abs(share - expected), np.abs(before - expected)).max())
