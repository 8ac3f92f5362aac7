"""Effects of treatment from probabilities of death, patient by patient, with intervals.

Deaths are probabilities (0 and 1 will do), so an effect is exact for the patients at hand; its 95 % interval says how it would move with
other patients of the same population. Patients are paired: everybody is in every arm. A weight is the chance that a patient counts at
all, such as to be alive at randomisation; the risk of an arm is then the weighted mean. Intervals follow from each patient's influence
on the estimate (the delta method; for regressions the sandwich, a patient with all their arms being one cluster).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Effect",
    "area_under_roc",
    "hazard_ratio",
    "logistic_regression",
    "logistic_slope",
    "odds_ratio",
    "per_unit_odds_ratio",
    "per_unit_risk_difference",
    "risk_difference",
]

Array = npt.NDArray[np.float64]
Z95 = 1.959963984540054
MOST_NEWTON_STEPS, TOLERANCE, WORST_CONDITION = 50, 1e-10, 1e14


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect with a 95 % interval (over which patients came, not over the model's truth)."""

    name: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A scale on which two risks are subtracted: its function of a risk, that function's slope, and whether it is a logarithm's."""

    name: str
    link: Callable[[float], float]
    slope: Callable[[float], float]
    ratio: bool


POINTS = Scale(name="risk difference, points", link=lambda p: 100.0 * p, slope=lambda p: 100.0, ratio=False)
LOG_ODDS = Scale(name="odds ratio", link=lambda p: math.log(p / (1.0 - p)), slope=lambda p: 1.0 / (p * (1.0 - p)), ratio=True)
LOG_HAZARD = Scale(
    name="hazard ratio",
    link=lambda p: math.log(-math.log1p(-p)),
    slope=lambda p: -1.0 / ((1.0 - p) * math.log1p(-p)),
    ratio=True,
)


def risk_difference(treated: Array, control: Array, weight: Array | None = None) -> Effect:
    """Return the difference of the risks of death, treated less control, in percentage points."""
    return contrast(POINTS, treated, control, weight)


def odds_ratio(treated: Array, control: Array, weight: Array | None = None) -> Effect:
    """Return the odds ratio of death, of the arms' risks (marginal: not adjusted for who the patients are).

    Raises:
        ValueError: a risk is 0 or 1.
    """
    return contrast(LOG_ODDS, treated, control, weight)


def hazard_ratio(treated: Array, control: Array, weight: Array | None = None) -> Effect:
    """Return the ratio of the arms' cumulated hazards, -log(1 - risk): the hazard ratio where hazards are proportional.

    Raises:
        ValueError: a risk is 0 or 1.
    """
    return contrast(LOG_HAZARD, treated, control, weight)


def contrast(scale: Scale, treated: Array, control: Array, weight: Array | None) -> Effect:
    """Return the difference of two risks on a scale."""
    w = weights_of(weight, len(treated))
    p, q = float(np.average(treated, weights=w)), float(np.average(control, weights=w))
    if scale.ratio and not (0.0 < p < 1.0 and 0.0 < q < 1.0):
        raise ValueError(f"the {scale.name} needs risks between 0 and 1, not {p:g} and {q:g}")
    influence = scale.slope(p) * (treated - p) - scale.slope(q) * (control - q)
    return effect_of(scale.name, scale.link(p) - scale.link(q), standard_error(influence, w), ratio=scale.ratio)


def weights_of(weight: Array | None, patients: int) -> Array:
    """Return the weights, 1 by default.

    Raises:
        ValueError: there are fewer than two patients.
    """
    if patients < 2:
        raise ValueError(f"an effect with an interval needs 2 patients or more, not {patients}")
    return np.ones(patients) if weight is None else weight


def standard_error(influence: Array, weight: Array) -> float:
    """Return the standard error of a weighted mean of patients' values about their mean, 0."""
    n = len(influence)
    return float(np.sqrt(((weight * influence) ** 2).sum() * n / (n - 1)) / weight.sum())


def effect_of(name: str, estimate: float, error: float, *, ratio: bool) -> Effect:
    """Return an effect from its estimate, of a ratio its logarithm, and standard error."""
    low, high = estimate - Z95 * error, estimate + Z95 * error
    if ratio:
        estimate, low, high = math.exp(estimate), math.exp(low), math.exp(high)
    return Effect(name=name, estimate=estimate, low=low, high=high)


def per_unit_risk_difference(exposures: Array, deaths: Array, weight: Array | None = None) -> Effect:
    """Return by how many percentage points the risk of death rises per unit of an exposure (least squares); arguments as below."""
    w = weights_of(weight, deaths.shape[1])
    lever = exposures - exposures.mean()
    each = 100.0 * lever @ deaths / float(lever @ lever)
    mean = float(np.average(each, weights=w))
    return effect_of("risk difference per unit, points", mean, standard_error(each - mean, w), ratio=False)


def per_unit_odds_ratio(exposures: Array, deaths: Array, weight: Array | None = None, covariates: Array | None = None) -> Effect:
    """Return the odds ratio of death per unit of an exposure, by logistic regression.

    Args:
        exposures: (arms,); deaths: (arms, n), of the same patients at every level; weight: (n,).
        covariates: (n, k) to adjust for. An adjusted odds ratio is further from 1 than a marginal one, although nothing is confounded.
    """
    arms, n = deaths.shape
    w = np.tile(weights_of(weight, n), arms)
    columns = [np.ones(arms * n), np.repeat(exposures - exposures.mean(), n)]
    if covariates is not None:
        spread = np.where(covariates.std(axis=0) > 0.0, covariates.std(axis=0), 1.0)
        columns += list(np.tile((covariates - covariates.mean(axis=0)) / spread, (arms, 1)).T)
    design = np.column_stack(columns)
    y = deaths.ravel()
    beta = logistic_regression(design, y, w)
    p = chance(design @ beta)
    bread = np.linalg.inv(design.T @ (design * (w * p * (1.0 - p))[:, None]))
    scores = (design * (w * (y - p))[:, None]).reshape(arms, n, -1).sum(axis=0)
    variance = (bread @ (scores.T @ scores) @ bread)[1, 1] * n / (n - 1)
    name = "odds ratio per unit" + ("" if covariates is None else ", adjusted")
    return effect_of(name, float(beta[1]), math.sqrt(variance), ratio=True)


def chance(log_odds: Array) -> Array:
    """Return probabilities, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))


def logistic_regression(design: Array, death: Array, weight: Array | None = None) -> Array:
    """Return the coefficients (k,) of the logistic regression of probabilities of death (n,) on a design (n, k), by Newton's method.

    Raises:
        ValueError: there is no finite solution, as when an exposure separates the dead from the living.
    """
    w = np.ones(len(death)) if weight is None else weight
    beta = np.zeros(design.shape[1])
    likely = log_likelihood(design, beta, death, w)
    for _ in range(MOST_NEWTON_STEPS):
        p = chance(design @ beta)
        hessian = design.T @ (design * (w * p * (1.0 - p))[:, None])
        if np.linalg.cond(hessian) > WORST_CONDITION:
            break
        step = np.linalg.solve(hessian, design.T @ (w * (death - p)))
        while (new := log_likelihood(design, beta + step, death, w)) < likely - 1e-9 * abs(likely):
            step = 0.5 * step
        beta, likely = beta + step, new
        if np.abs(step).max() < TOLERANCE * max(1.0, float(np.abs(beta).max())):
            return beta
    raise ValueError("the logistic regression has no finite solution: the exposure separates the dead from the living, or is constant")


def log_likelihood(design: Array, beta: Array, death: Array, weight: Array) -> float:
    """Return the logarithm of the likelihood of a logistic regression."""
    log_odds = design @ beta
    return float((weight * (death * log_odds - np.logaddexp(0.0, log_odds))).sum())


def logistic_slope(x: Array, death: Array, weight: Array | None = None) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of probabilities of death (n,) on x (n,)."""
    middle = float(x.mean())
    beta = logistic_regression(np.column_stack([np.ones(len(x)), x - middle]), death, weight)
    return float(beta[0] - beta[1] * middle), float(beta[1])


def area_under_roc(score: Array, death: Array, weight: Array | None = None) -> float:
    """Return the chance that a patient who dies has a higher score than another who lives, ties half; death may be a probability.

    Raises:
        ValueError: nobody can die, or nobody can live.
    """
    w = np.ones(len(score)) if weight is None else weight
    values, place = np.unique(score, return_inverse=True)
    cases, controls = np.bincount(place, w * death, len(values)), np.bincount(place, w * (1.0 - death), len(values))
    with_themselves = float((w * w * death * (1.0 - death)).sum())  # no pair: nobody both dies and lives
    pairs = float(cases.sum() * controls.sum()) - with_themselves
    if pairs <= 0.0:
        raise ValueError("an area under the curve needs patients who die and others who live")
    below = np.concatenate([[0.0], np.cumsum(controls)[:-1]])
    return float(((cases * (below + 0.5 * controls)).sum() - 0.5 * with_themselves) / pairs)
