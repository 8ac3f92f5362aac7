"""Lower bounds of a mean of bounded numbers: how low a policy's value may be, at a confidence.

hoeffding   Hoeffding 1963: distribution-free, needs the range
bernstein   empirical Bernstein (Maurer, Pontil, COLT 2009, theorem 4): distribution-free, needs the range, uses the variance
t           Student's t: approximate, for means of many
bootstrap   percentile: approximate
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["BOUNDS", "lower_bound"]

Array = npt.NDArray[np.float64]

RESAMPLES = 2000


def hoeffding(values: Array, width: float, risk: float) -> float:
    """The mean less the range times sqrt(log(1 / risk) / 2n)."""
    return float(values.mean()) - width * math.sqrt(math.log(1.0 / risk) / (2 * len(values)))


def bernstein(values: Array, width: float, risk: float) -> float:
    """The mean less sqrt(2 variance log(2 / risk) / n) and 7 range log(2 / risk) / 3(n - 1)."""
    n, word = len(values), math.log(2.0 / risk)
    return float(values.mean()) - math.sqrt(2.0 * float(values.var(ddof=1)) * word / n) - 7.0 * width * word / (3.0 * (n - 1))


def student(values: Array, width: float, risk: float) -> float:
    """The mean less t times its standard error."""
    from scipy.stats import t

    return float(values.mean()) - float(t.ppf(1.0 - risk, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))


def percentile(values: Array, width: float, risk: float) -> float:
    """The percentile of the mean over resamples, from a fixed seed."""
    counts = np.random.default_rng(0).multinomial(len(values), np.full(len(values), 1.0 / len(values)), size=RESAMPLES)
    return float(np.quantile(counts @ values / len(values), risk))


BOUNDS: Mapping[str, Callable[[Array, float, float], float]] = {
    "hoeffding": hoeffding, "bernstein": bernstein, "t": student, "bootstrap": percentile,
}  # fmt: skip


def lower_bound(values: Array, name: str, *, width: float, risk: float = 0.05) -> float:
    """Return a number that the mean is above, with probability 1 - ``risk``.

    Args:
        values: (n,), at least two, independent; name: of ``BOUNDS``; width: of the range that the values can have, which ``hoeffding`` and
            ``bernstein`` need (the largest ratio times the range of returns: often so wide that nothing is told).

    Raises:
        ValueError: there is no bound of that name, fewer than two values, a risk not between 0 and 1, or values wider than ``width``.
    """
    if name not in BOUNDS:
        raise ValueError(f"no bound is called {name!r}; there are {', '.join(BOUNDS)}")
    if len(values) < 2 or not 0.0 < risk < 1.0:
        raise ValueError(f"a bound needs two values or more and a risk between 0 and 1, not {len(values)} and {risk}")
    if name in ("hoeffding", "bernstein") and float(np.ptp(values)) > width * (1.0 + 1e-12):
        raise ValueError(f"the values are {float(np.ptp(values)):.6g} apart, more than the width {width:.6g} that they can have")
    return BOUNDS[name](np.asarray(values, dtype=np.float64), width, risk)
