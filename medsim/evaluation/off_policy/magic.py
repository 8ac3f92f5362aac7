"""MAGIC (Thomas, Brunskill, ICML 2016): a blend of weighted doubly robust returns that trust the model after j steps.

Returns of length j use ratios for j steps and the model afterwards; the first is the model alone, the last is ``wdr``. The blend has the
least mean square error that a covariance over episodes and a bias, taken as the distance from wdr's confidence interval, predict.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from medsim.evaluation.off_policy.estimators import Evidence, divided, model_of, values_of

__all__ = ["magic"]

Array = npt.NDArray[np.float64]

MOST_LENGTHS = 25  # chosen: lengths that are blended; all of them for short episodes, evenly spread ones for long
LEVEL = 0.1  # of wdr's interval, as in the paper: its 10th and 90th percentiles
RESAMPLES = 200


def magic(evidence: Evidence, *, seed: int = 0) -> float:
    """Return MAGIC's estimate; ``seed`` is that of the bootstrap of wdr's interval.

    Raises:
        ValueError: there is no model.
    """
    parts = partial_returns(evidence)  # (n, lengths): each episode's share of the estimate
    values = parts.sum(axis=0)
    low, high = interval_of_wdr(evidence, np.random.default_rng(seed))
    bias = np.where(values > high, values - high, np.where(values < low, values - low, 0.0))
    covariance = np.atleast_2d(np.cov(parts * evidence.n, rowvar=False)) / evidence.n
    return float(blend(covariance + np.outer(bias, bias)) @ values)


def partial_returns(evidence: Evidence) -> Array:
    """Return each episode's share of the returns of every length, (n, lengths): the model alone first, wdr last."""
    q, v = model_of(evidence)
    n, steps = evidence.rewards.shape
    weights = divided(evidence.ratios, evidence.ratios.sum(axis=0))
    ahead = divided(evidence.before, evidence.before.sum(axis=0))
    corrected = np.cumsum(evidence.discounts * (weights * (evidence.rewards - q) + ahead * v), axis=1)
    beyond = evidence.discounts[1:] * ahead[:, 1:] * v[:, 1:]  # the model's word on what follows the step before
    returns = corrected + np.concatenate([beyond, np.zeros((n, 1))], axis=1)
    every = np.concatenate([(v[:, 0] / n)[:, None], returns], axis=1)
    return np.asarray(every[:, np.unique(np.linspace(0, steps, min(steps + 1, MOST_LENGTHS)).round().astype(np.int64))])


def interval_of_wdr(evidence: Evidence, rng: np.random.Generator) -> tuple[float, float]:
    """Return the percentiles of wdr over resampled episodes."""
    counts = rng.multinomial(evidence.n, np.full(evidence.n, 1.0 / evidence.n), size=RESAMPLES).astype(np.float64)
    low, high = np.quantile(values_of(evidence, ["wdr"], counts)["wdr"], (LEVEL, 1.0 - LEVEL))
    return float(low), float(high)


def blend(error: Array) -> Array:
    """Return the weights, not negative and summing to 1, that make weights' error matrix least."""
    size = len(error)
    scale = max(float(np.abs(error).max()), 1e-300)
    found = minimize(
        lambda x: x @ error @ x / scale, np.full(size, 1.0 / size), jac=lambda x: 2.0 * error @ x / scale, method="SLSQP",
        bounds=[(0.0, 1.0)] * size, constraints={"type": "eq", "fun": lambda x: x.sum() - 1.0, "jac": lambda x: np.ones(size)},
    )  # fmt: skip
    corner = np.eye(size)[int(np.diag(error).argmin())]
    return np.asarray(found.x) if found.success and found.fun <= float(np.diag(error).min()) / scale + 1e-9 else corner
