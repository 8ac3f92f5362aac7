"""Estimators of a policy's value from episodes of another: importance sampling, a model's answer, and both together.

Notation: n episodes of T steps at most; the cumulative ratio of an episode up to a step is the product of target over behaviour
probabilities of the actions taken. After an episode's end ratios are 1 and rewards 0, so that it counts on with its last ratio. All
estimators are functions of sums over episodes, so they are computed for many resamples of the episodes at once.

    is      importance sampling of the return
    pdis    per-decision importance sampling (Precup, Sutton, Singh, ICML 2000)
    wis     is, weighted: ratios divided by their mean (consistent, biased towards the behaviour policy)
    cwpdis  pdis, ratios of each step divided by their mean (Thomas 2015, section 3.7)
    dm      the direct method: the model's value of each first state
    dr      doubly robust (Jiang, Li, ICML 2016)
    wdr     dr, with ratios weighted as in cwpdis (Thomas, Brunskill, ICML 2016)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["ESTIMATORS", "Evidence", "estimate", "values_of"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Logged episodes as estimators take them.

    Attributes:
        rewards: (n, T), 0 after an episode's end.
        target, behaviour: (n, T), probability of each action taken under the policy asked about and under the one that acted (densities
            for continuous actions), 1 after the end.
        discount: of each step, 0..1.
        q, v: (n, T), what a model says the action taken and the state before it are worth under the policy asked about; 0 after the end.
            None where there is no model: then ``dm``, ``dr`` and ``wdr`` cannot be had.

    Raises:
        ValueError: shapes differ, there is no episode, something is not finite, a behaviour probability is not above 0, or a model is half
            there.
    """

    rewards: Array
    target: Array
    behaviour: Array
    discount: float = 1.0
    q: Array | None = None
    v: Array | None = None

    def __post_init__(self) -> None:
        if self.rewards.ndim != 2 or 0 in self.rewards.shape:
            raise ValueError(f"rewards must be (episodes, steps) of at least one, not {self.rewards.shape}")
        if (self.q is None) != (self.v is None):
            raise ValueError("a model gives both q and v")
        for name in ("target", "behaviour", "q", "v"):
            values = getattr(self, name)
            if values is not None and values.shape != self.rewards.shape:
                raise ValueError(f"{name} must have the shape of the rewards, {self.rewards.shape}, not {values.shape}")
            if values is not None and not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite; it is not in episode {int(np.argwhere(~np.isfinite(values))[0][0])}")
        if not np.isfinite(self.rewards).all():
            raise ValueError(f"rewards must be finite; they are not in episode {int(np.argwhere(~np.isfinite(self.rewards))[0][0])}")
        if (self.behaviour <= 0.0).any():
            where = np.argwhere(self.behaviour <= 0.0)[0]
            raise ValueError(f"what was done had a probability above 0; behaviour says {self.behaviour[tuple(where)]} at {where.tolist()}")
        if (self.target < 0.0).any():
            raise ValueError(f"target probabilities must not be below 0, and the least is {self.target.min()}")
        if not 0.0 <= self.discount <= 1.0:
            raise ValueError(f"discount must be from 0 to 1, not {self.discount}")

    @property
    def n(self) -> int:
        """Episodes."""
        return len(self.rewards)

    @cached_property
    def ratios(self) -> Array:
        """Cumulative ratios, (n, T)."""
        return np.asarray(np.cumprod(self.target / self.behaviour, axis=1))

    @cached_property
    def before(self) -> Array:
        """Cumulative ratios of the steps before, (n, T): 1 at the first."""
        return np.concatenate([np.ones((self.n, 1)), self.ratios[:, :-1]], axis=1)

    @cached_property
    def discounts(self) -> Array:
        """(T,)."""
        return np.asarray(self.discount ** np.arange(self.rewards.shape[1]))

    @cached_property
    def returns(self) -> Array:
        """Discounted returns of what happened, (n,)."""
        return np.asarray(self.rewards @ self.discounts)

    @property
    def effective_sample_size(self) -> float:
        """How many episodes of the target policy the ratios of whole episodes are worth: (sum of ratios)^2 / sum of their squares."""
        last = self.ratios[:, -1]
        squares = float((last**2).sum())
        return float(last.sum()) ** 2 / squares if squares > 0.0 else 0.0


Counts = Array  # (resamples, n): how often each episode counts
Estimator = Callable[[Evidence, Counts], Array]  # to (resamples,)


def importance_sampling(evidence: Evidence, counts: Counts) -> Array:
    """``is``."""
    return np.asarray(counts @ (evidence.ratios[:, -1] * evidence.returns) / counts.sum(axis=1))


def per_decision(evidence: Evidence, counts: Counts) -> Array:
    """``pdis``."""
    return np.asarray(counts @ ((evidence.ratios * evidence.rewards) @ evidence.discounts) / counts.sum(axis=1))


def weighted(evidence: Evidence, counts: Counts) -> Array:
    """``wis``."""
    last = evidence.ratios[:, -1]
    return divided(counts @ (last * evidence.returns), counts @ last)


def per_decision_weighted(evidence: Evidence, counts: Counts) -> Array:
    """``cwpdis``."""
    return np.asarray(divided(counts @ (evidence.ratios * evidence.rewards), counts @ evidence.ratios) @ evidence.discounts)


def direct(evidence: Evidence, counts: Counts) -> Array:
    """``dm``."""
    return np.asarray(counts @ model_of(evidence)[1][:, 0] / counts.sum(axis=1))


def doubly_robust(evidence: Evidence, counts: Counts) -> Array:
    """``dr``."""
    q, v = model_of(evidence)
    each = (evidence.ratios * (evidence.rewards - q) + evidence.before * v) @ evidence.discounts
    return np.asarray(counts @ each / counts.sum(axis=1))


def weighted_doubly_robust(evidence: Evidence, counts: Counts) -> Array:
    """``wdr``."""
    q, v = model_of(evidence)
    after = divided(counts @ (evidence.ratios * (evidence.rewards - q)), counts @ evidence.ratios)
    ahead = divided(counts @ (evidence.before * v), counts @ evidence.before)
    return np.asarray((after + ahead) @ evidence.discounts)


def model_of(evidence: Evidence) -> tuple[Array, Array]:
    """Return q and v; raises ValueError where there is no model."""
    if evidence.q is None or evidence.v is None:
        raise ValueError("this estimator needs a model's q and v: fit one, or choose one of is, pdis, wis, cwpdis")
    return evidence.q, evidence.v


def divided(above: Array, below: Array) -> Array:
    """Return a quotient, 0 where nothing counts: the target policy does none of what was done, and nothing is known of it."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)


ESTIMATORS: Mapping[str, Estimator] = {
    "is": importance_sampling, "pdis": per_decision, "wis": weighted, "cwpdis": per_decision_weighted, "dm": direct, "dr": doubly_robust,
    "wdr": weighted_doubly_robust,
}  # fmt: skip
NEED_A_MODEL = ("dm", "dr", "wdr")


def estimate(evidence: Evidence, name: str) -> float:
    """Return what an estimator says of the policy's value.

    Raises:
        ValueError: there is none of that name, or it needs a model.
    """
    return float(values_of(evidence, [name], np.ones((1, evidence.n)))[name][0])


def values_of(evidence: Evidence, names: Sequence[str], counts: Counts) -> dict[str, Array]:
    """Return what estimators say, (resamples,) each, where episodes count as often as ``counts`` (resamples, n) says.

    Raises:
        ValueError: there is no estimator of a name, or it needs a model.
    """
    unknown = [name for name in names if name not in ESTIMATORS]
    if unknown:
        raise ValueError(f"no estimator is called {unknown[0]!r}; there are {', '.join(ESTIMATORS)}")
    return {name: ESTIMATORS[name](evidence, counts) for name in names}
