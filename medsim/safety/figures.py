"""Figures of a safety evaluation, each with a 95 % interval, and how they are computed from patients."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Figure", "around", "cvar_of", "difference_of", "exactly", "mean_of", "plain", "share_of", "widened"]

Floats = npt.NDArray[np.float64]

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number, with the ends of its 95 % interval (both the number itself where it is exact), its unit, and what it says in words."""

    value: float
    low: float
    high: float
    unit: str = ""
    says: str = ""

    def record(self) -> dict[str, Any]:
        """Return the figure as plain data."""
        return asdict(self)

    def text(self) -> str:
        """Return the number with its interval."""
        return f"{self.bare()} {self.unit}" if self.unit else self.bare()

    def bare(self) -> str:
        """Return the same without its unit."""
        return plain(self.value) if self.low == self.high else f"{plain(self.value)} ({plain(self.low)} to {plain(self.high)})"


def plain(value: float) -> str:
    """Return a number in three significant digits, as people write it."""
    if not math.isfinite(value):
        return "not known"
    if value == 0.0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 6)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if text not in ("-0", "") else "0"


def exactly(value: float, says: str, unit: str = "") -> Figure:
    """Return a number without an interval."""
    return Figure(value=value, low=value, high=value, unit=unit, says=says)


def around(value: float, residuals: Floats, unit: str = "", says: str = "", *, comparisons: int = 1) -> Figure:
    """Return a figure whose error is that of the mean of residuals (n,), with its t interval.

    ``comparisons``: of so many figures this is the worst, and the interval is as much wider (Bonferroni). It has no length where residuals
    are all alike, and no end where there is a single one that is not 0.
    """
    from scipy.stats import t

    n = residuals.size
    if float(np.ptp(residuals)) == 0.0 and (n > 1 or value == 0.0):
        return Figure(value=value, low=value, high=value, unit=unit, says=says)
    if n == 1:
        return Figure(value=value, low=-math.inf, high=math.inf, unit=unit, says=says)
    half = float(t.ppf(1.0 - (1.0 - LEVEL) / 2.0 / comparisons, n - 1)) * float(residuals.std(ddof=1)) / math.sqrt(n)
    return Figure(value=value, low=value - half, high=value + half, unit=unit, says=says)


def widened(figure: Figure, comparisons: int) -> Figure:
    """Return a figure of many patients as the worst of so many (Bonferroni): the same as ``around`` but for the tails of t."""
    from scipy.stats import norm

    factor = float(norm.ppf(1.0 - (1.0 - LEVEL) / 2.0 / comparisons) / norm.ppf(0.5 + LEVEL / 2.0))
    return replace(
        figure, low=figure.value - factor * (figure.value - figure.low), high=figure.value + factor * (figure.high - figure.value)
    )


def mean_of(values: npt.ArrayLike, unit: str = "", says: str = "", *, comparisons: int = 1) -> Figure:
    """Return the mean of the values (n,) of patients, or episodes, with its t interval; ``comparisons``: as in ``around``.

    Raises:
        ValueError: there is no patient.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.size == 0:
        raise ValueError("a mean needs a patient or more")
    return around(float(found.mean()), found, unit, says, comparisons=comparisons)


def difference_of(values: npt.ArrayLike, baseline: npt.ArrayLike, unit: str = "", says: str = "", *, scale: float = 1.0,
                  comparisons: int = 1) -> Figure:  # fmt: skip
    """Return the mean difference of the same patients' values (n,), with its t interval: exactly 0 where nothing differs."""
    differences = scale * (np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64))
    return mean_of(differences, unit, says, comparisons=comparisons)


def share_of(happened: npt.ArrayLike, unit: str = "", says: str = "", *, scale: float = 1.0) -> Figure:
    """Return the share (0..1, times ``scale``) of patients to whom something happened (n,), with its exact interval.

    The interval is Clopper and Pearson's (1934). Where it happened to nobody, its upper end is the one-sided 95 % bound, close to 3/n: the
    rule of three.
    """
    from scipy.stats import beta

    found = np.asarray(happened, dtype=np.bool_)
    n, count = found.size, int(found.sum())
    if n == 0:
        raise ValueError("a share needs a patient or more")
    risk = (1.0 - LEVEL) / 2.0
    low = float(beta.ppf(risk, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1.0 - risk, count + 1, n - count)) if 0 < count < n else (1.0 if count else 1.0 - (1.0 - LEVEL) ** (1.0 / n))
    return Figure(value=scale * count / n, low=scale * low, high=scale * high, unit=unit, says=says)


def cvar_of(values: npt.ArrayLike, share: float, unit: str = "", says: str = "") -> Figure:
    """Return the mean of the worst share of patients (the lowest values), with its bootstrap interval from a fixed seed."""
    found = np.sort(np.asarray(values, dtype=np.float64))
    rng = np.random.default_rng(0)
    # how often each patient is drawn, in order of their values: the worst of a resample are the first, until the share is full
    drawn = [worst_mean(found, rng.multinomial(found.size, np.full(found.size, 1.0 / found.size)), share) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0))
    return Figure(
        value=worst_mean(found, np.ones(found.size, dtype=np.int64), share), low=float(low), high=float(high), unit=unit, says=says
    )


def worst_mean(ordered: Floats, counts: npt.NDArray[np.int64], share: float) -> float:
    """Return the mean of the lowest share of values in ascending order, each there so many times; a part of the last one counts."""
    wanted = share * float(counts.sum())
    before = np.concatenate([[0.0], np.cumsum(counts)[:-1]])
    weights = np.clip(wanted - before, 0.0, counts)
    return float((weights * ordered).sum() / wanted)
