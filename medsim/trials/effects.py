"""Effects of treatment from probabilities of death, patient by patient, with intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Effect", "area_under_roc", "logistic_slope", "odds_ratio", "per_unit_odds_ratio", "risk_difference"]

Array = npt.NDArray[np.float64]
Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect with a 95 % interval (over which patients came, not over the model's truth)."""

    name: str
    estimate: float
    low: float
    high: float


def risk_difference(treated: Array, control: Array) -> Effect:
    """Return the difference of the risks of death in percentage points; patients are paired."""
    each = 100.0 * (treated - control)
    error = Z95 * float(each.std(ddof=1)) / np.sqrt(len(each))
    mean = float(each.mean())
    return Effect(name="risk difference, points", estimate=mean, low=mean - error, high=mean + error)


def odds_ratio(treated: Array, control: Array) -> Effect:
    """Return the odds ratio of death, with an interval by the delta method over pairs."""
    p, q = float(treated.mean()), float(control.mean())
    slopes = np.array([1.0 / (p * (1.0 - p)), -1.0 / (q * (1.0 - q))])
    variance = slopes @ np.cov(np.stack([treated, control])) @ slopes / len(treated)
    log_ratio, error = float(np.log(p / (1.0 - p) * (1.0 - q) / q)), Z95 * float(np.sqrt(variance))
    return Effect(name="odds ratio", estimate=float(np.exp(log_ratio)), low=float(np.exp(log_ratio - error)), high=float(np.exp(log_ratio + error)))


def per_unit_odds_ratio(exposures: Array, deaths: Array) -> Effect:
    """Return the odds ratio of death per unit of an exposure, (arms,), from deaths (arms, n) of the same patients at every level.

    The interval comes from leaving out a twentieth of the patients at a time (jackknife).
    """

    def slope(some: Array) -> float:
        return logistic_slope(np.repeat(exposures, some.shape[1]), some.ravel())[1]

    folds = min(20, deaths.shape[1])
    parts = np.array([slope(deaths[:, np.arange(deaths.shape[1]) % folds != fold]) for fold in range(folds)])
    error = Z95 * float(np.sqrt((folds - 1) / folds * ((parts - parts.mean()) ** 2).sum()))
    whole = slope(deaths)
    return Effect(name="odds ratio per hour", estimate=float(np.exp(whole)), low=float(np.exp(whole - error)), high=float(np.exp(whole + error)))


def logistic_slope(x: Array, death: Array, weight: Array | None = None) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of probabilities of death (n,) on x (n,), by Newton's method."""
    w = np.ones_like(x) if weight is None else weight
    design = np.column_stack([np.ones_like(x), x - x.mean()])
    beta = np.zeros(2)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-design @ beta))
        hessian = design.T @ (design * (w * p * (1.0 - p))[:, None])
        step = np.linalg.solve(hessian, design.T @ (w * (death - p)))
        beta += step
        if np.abs(step).max() < 1e-10:
            break
    return float(beta[0] - beta[1] * x.mean()), float(beta[1])


def area_under_roc(score: Array, death: Array, weight: Array | None = None) -> float:
    """Return the chance that a patient who dies has a higher score than one who lives, ties half; death may be a probability."""
    w = np.ones_like(score) if weight is None else weight
    values, place = np.unique(score, return_inverse=True)
    cases, controls = np.bincount(place, w * death, len(values)), np.bincount(place, w * (1.0 - death), len(values))
    below = np.concatenate([[0.0], np.cumsum(controls)[:-1]])
    return float((cases * (below + 0.5 * controls)).sum() / (cases.sum() * controls.sum()))
