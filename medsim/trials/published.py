"""What trials found, as published, or computed from the counts that they published."""

import math
from dataclasses import dataclass

from medsim.trials.effects import Z95

__all__ = ["Published", "from_counts"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a trial itself found: the effect and its 95 % interval, the source, and the arms' risks of death in percent."""

    effect: str
    estimate: float
    low: float
    high: float
    source: str
    risks_percent: tuple[float, ...] = ()

    def holds(self, value: float) -> bool:
        """Return whether a value lies inside the published interval."""
        return self.low <= value <= self.high


def from_counts(effect: str, deaths: tuple[int, int], patients: tuple[int, int], source: str) -> Published:
    """Return a risk difference or odds ratio with Wald's (Woolf's) interval, from two arms' deaths and patients.

    Raises:
        ValueError: the effect is another one, or a count leaves no deaths or no survivors.
    """
    (a, b), (n, m) = deaths, patients
    if not (0 < a < n and 0 < b < m):
        raise ValueError(f"counts need deaths and survivors in both arms, not {deaths} of {patients}")
    p, q = a / n, b / m
    if effect == "risk difference, points":
        middle, error = 100.0 * (p - q), 100.0 * Z95 * math.sqrt(p * (1.0 - p) / n + q * (1.0 - q) / m)
        low, high = middle - error, middle + error
    elif effect == "odds ratio":
        log_ratio, error = math.log(p / (1.0 - p) * (1.0 - q) / q), Z95 * math.sqrt(1.0 / a + 1.0 / (n - a) + 1.0 / b + 1.0 / (m - b))
        middle, low, high = (math.exp(log_ratio + side * error) for side in (0.0, -1.0, 1.0))
    else:
        raise ValueError(f"counts give a risk difference, points, or an odds ratio, not {effect!r}")
    return Published(effect=effect, estimate=middle, low=low, high=high, source=source, risks_percent=(100.0 * p, 100.0 * q))
