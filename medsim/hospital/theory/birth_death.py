"""The steady state of a birth-death chain, from which the queues with limits, reserves and abandonment follow."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["birth_death"]

Array = npt.NDArray[np.float64]


def birth_death(births: Sequence[float] | Array, deaths: Sequence[float] | Array) -> Array:
    """Return the stationary probabilities of a birth-death chain on 0..n, summing to 1.

    Computed in logarithms, so that neither a thousand beds nor a hundredfold overload overflows.

    Args:
        births: (n,) rates from state k to k + 1, at least 0; after a rate of 0 the states above have probability 0.
        deaths: (n,) rates from state k + 1 to k, above 0.

    Raises:
        ValueError: the two differ in length, or a rate is negative, infinite or (a death) zero.
    """
    up, down = np.asarray(births, dtype=np.float64), np.asarray(deaths, dtype=np.float64)
    if up.shape != down.shape or up.ndim != 1:
        raise ValueError(f"births and deaths must be two sequences of one length, not of shapes {up.shape} and {down.shape}")
    if not (np.all(np.isfinite(up)) and np.all(up >= 0.0)):
        raise ValueError(f"birth rates must be finite and at least 0, not {up[~(np.isfinite(up) & (up >= 0.0))][0]}")
    if not (np.all(np.isfinite(down)) and np.all(down > 0.0)):
        raise ValueError(f"death rates must be finite and above 0, not {down[~(np.isfinite(down) & (down > 0.0))][0]}")
    with np.errstate(divide="ignore"):  # a birth rate of 0 has the logarithm minus infinity, and probability 0 above it
        steps = np.log(up) - np.log(down)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())
