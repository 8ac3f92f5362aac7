"""Random numbers of a hospital: one stream for each purpose, keyed by who it is for.

Every draw is a function of (seed, slot, episode), of a purpose and of whom it is for: the number of an arrival, of a patient, of a
patient's visit to a unit. Nothing is carried from draw to draw, so two policies on one seed meet the same arrivals, acuities, lengths of
stay and patience, however differently they order events; and the SimPy models and the compiled core, which call these same functions,
meet the same ones, too.
"""

import math

from medsim.core.inlining import compiled_once
from medsim.core.portable import exp, log
from medsim.core.streams import Key, normal_quantile, seed_words, uniform, words

__all__ = [
    "ACUITY", "ARRIVAL", "CHART", "CLOCK", "DECLINE", "DISPATCH", "DURATION", "ELECTIVE", "FAULT", "GROUP", "PATIENCE", "POLICY", "ROUTE",
    "START", "STAY", "THINNING", "TRAVEL", "TRIAGE", "Draws", "category_of", "draw_exponential", "draw_lognormal", "draw_normal",
    "draw_uniform", "key_of", "lognormal_parameters",
]  # fmt: skip

# Purposes: streams of their own. Give a new purpose a new number; never renumber.
ARRIVAL, THINNING, ACUITY, TRIAGE, STAY, ROUTE, PATIENCE, DURATION = 1, 2, 3, 4, 5, 6, 7, 8
TRAVEL, GROUP, START, DECLINE, DISPATCH, ELECTIVE, POLICY, CLOCK = 9, 10, 11, 12, 13, 14, 15, 16
CHART, FAULT = 17, 18


def key_of(seed: int, slot: int = 0, episode: int = 0) -> Key:
    """Return the key of an episode's streams.

    Raises:
        ValueError: the seed is negative or no whole number.
    """
    low, high = seed_words(seed)
    return Key(low, high, slot, episode, 0)


@compiled_once
def draw_uniform(key: Key, purpose: int, who: int, part: int) -> float:
    """Return a number in (0, 1) for a purpose; who: such as a patient's number; part: such as the number of their visit, below 4096."""
    one, _, _, _ = words(key, int(who), purpose * 4096 + int(part))
    return uniform(one)


@compiled_once
def draw_exponential(key: Key, purpose: int, who: int, part: int, mean: float) -> float:
    """Return an exponential number with a mean, in the mean's unit."""
    return -mean * log(draw_uniform(key, purpose, who, part))


@compiled_once
def draw_normal(key: Key, purpose: int, who: int, part: int) -> float:
    """Return a standard normal number."""
    return normal_quantile(draw_uniform(key, purpose, who, part))


@compiled_once
def draw_lognormal(key: Key, purpose: int, who: int, part: int, mu: float, sigma: float) -> float:
    """Return a lognormal number: e to the power of a normal one with mean mu and standard deviation sigma."""
    return exp(mu + sigma * draw_normal(key, purpose, who, part))


class Draws:
    """The streams of one episode, for models that are written as processes."""

    def __init__(self, key: Key) -> None:
        self.key = key

    def uniform(self, purpose: int, who: int, part: int = 0) -> float:
        """Return a number in (0, 1)."""
        return draw_uniform(self.key, purpose, who, part)

    def exponential(self, purpose: int, who: int, part: int = 0, *, mean: float) -> float:
        """Return an exponential number with a mean."""
        return draw_exponential(self.key, purpose, who, part, mean)

    def lognormal(self, purpose: int, who: int, part: int = 0, *, mean: float, sd: float) -> float:
        """Return a lognormal number with a mean and a standard deviation (of the number itself, not of its logarithm)."""
        mu, sigma = lognormal_parameters(mean, sd)
        return draw_lognormal(self.key, purpose, who, part, mu, sigma)

    def category(self, purpose: int, who: int, shares: "tuple[float, ...]", part: int = 0) -> int:
        """Return a number from 0 with probabilities ``shares``, which sum to 1."""
        return category_of(self.uniform(purpose, who, part), shares)


def category_of(u: float, shares: "tuple[float, ...]") -> int:
    """Return which of the shares a number in (0, 1) falls into; rounding's remainder belongs to the last that is not zero."""
    total = 0.0
    last = 0
    for number, share in enumerate(shares):
        total += share
        if share > 0.0:
            last = number
            if u < total:
                return number
    return last


def lognormal_parameters(mean: float, sd: float) -> tuple[float, float]:
    """Return mu and sigma of a lognormal number with a mean and a standard deviation.

    Raises:
        ValueError: the mean is not positive, or the standard deviation negative.
    """
    if not mean > 0.0 or not sd >= 0.0:
        raise ValueError(f"a lognormal number needs a positive mean and a standard deviation of 0 or more, not {mean!r} and {sd!r}")
    variance = math.log1p((sd / mean) ** 2)
    return math.log(mean) - 0.5 * variance, math.sqrt(variance)
