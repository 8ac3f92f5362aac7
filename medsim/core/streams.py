"""Counter-based random streams: every draw is a function of who, when and what for.

A word of randomness is Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) of the counter
(index, episode, slot, stream) under the key (seed_low, seed_high). Nothing is carried from draw to draw, so patient k has the
same course alone, in any batch, in any order, process or thread, and a new purpose moves no other purpose's draws.
"""

import math
from typing import NamedTuple

from medsim.core.inlining import compiled_once
from medsim.core.portable import exp, log

__all__ = ["Key", "fresh_seed", "log_normal", "normal", "normal_quantile", "seed_words", "uniform", "words"]

MASK = 0xFFFFFFFF


class Key(NamedTuple):
    """Who a draw is for: the seed in two 32-bit halves, the patient's slot and the episode's number."""

    seed_low: int
    seed_high: int
    slot: int
    episode: int
    step: int


@compiled_once
def words(key: Key, index: int, stream: int) -> tuple[int, int, int, int]:
    """Return four independent 32-bit words for the index-th draw of a stream (its purpose's number)."""
    c0 = index & MASK
    c1 = key.episode & MASK
    c2 = key.slot & MASK
    c3 = stream & MASK
    k0 = key.seed_low
    k1 = key.seed_high
    for _ in range(10):
        p0 = c0 * 0xD2511F53
        p1 = c2 * 0xCD9E8D57
        c0 = ((p1 >> 32) & MASK) ^ c1 ^ k0
        c1 = p1 & MASK
        c2 = ((p0 >> 32) & MASK) ^ c3 ^ k1
        c3 = p0 & MASK
        k0 = (k0 + 0x9E3779B9) & MASK
        k1 = (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def uniform(word: int) -> float:
    """Return a number in (0, 1), never its ends, from a 32-bit word."""
    return (word + 0.5) * 2.3283064365386963e-10  # 2**-32


def normal(word: int) -> float:
    """Return a standard normal number from a 32-bit word."""
    return normal_quantile(uniform(word))


@compiled_once
def normal_quantile(p: float) -> float:
    """Return the normal quantile of a probability not below 2**-33: algorithm AS 241 (Wichura, Appl Stat 1988;37:477-484)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _central_numerator(r) / _central_denominator(r)
    r = math.sqrt(-log(p if q < 0.0 else 1.0 - p)) - 1.6  # the root stays below 5: no third branch
    value = _tail_numerator(r) / _tail_denominator(r)
    return -value if q < 0.0 else value


@compiled_once
def log_normal(word: int, cv: float, limit_sd: float) -> float:
    """Return a log-normal factor of median 1 and coefficient of variation cv, cut at limit_sd standard deviations."""
    z = normal(word)
    z = min(max(z, -limit_sd), limit_sd)
    return exp(z * math.sqrt(log(1.0 + cv * cv)))


def _central_numerator(r: float) -> float:
    return ((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r + 45921.953931549871457) * r
             + 13731.693765509461125) * r + 1971.5909503065514427) * r + 133.14166789178437745) * r + 3.387132872796366608  # fmt: skip


def _central_denominator(r: float) -> float:
    return ((((((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r + 21213.794301586595867) * r
             + 5394.1960214247511077) * r + 687.1870074920579083) * r + 42.313330701600911252) * r + 1.0  # fmt: skip


def _tail_numerator(r: float) -> float:
    return ((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r
              + 1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.7694972214606914055) * r
            + 4.6303378461565452959) * r + 1.42343711074968357734  # fmt: skip


def _tail_denominator(r: float) -> float:
    return ((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r
              + 0.14810397642748007459) * r + 0.68976733498510000455) * r + 1.6763848301838038494) * r
            + 2.05319162663775882187) * r + 1.0  # fmt: skip


def seed_words(seed: int) -> tuple[int, int]:
    """Return a seed of any size as the two 32-bit halves of a stream key.

    Raises:
        ValueError: the seed is not a whole number, or negative.
    """
    if isinstance(seed, bool) or int(seed) != seed or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or larger, not {seed!r}")
    seed = int(seed)
    if seed < 2**64:
        return seed & MASK, seed >> 32
    import numpy as np

    low, high = np.random.SeedSequence(seed).generate_state(2)
    return int(low), int(high)


def fresh_seed() -> int:
    """Return a 64-bit seed from the operating system's entropy, for users who give none."""
    import secrets

    return secrets.randbits(64)
