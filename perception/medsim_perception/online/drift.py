"""Detectors of drift: has what a model sees, or how wrong it is, changed since it was trained?

`KolmogorovSmirnov` and `MeanDiscrepancy` compare windows of features with a reference and need no labels; `PageHinkley` follows the
model's errors and needs them. Each is calibrated by the reference to a chosen rate of false alarms, takes a stream in pieces of any size,
and stays alarmed until it is made anew. Sources: Page, Biometrika 1954;41:100-115; Gretton et al., J Mach Learn Res 2012;13:723-773;
Rabanser et al., NeurIPS 2019 (windows of features by Kolmogorov-Smirnov with Bonferroni's correction).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
RESAMPLES = 2000  # windows drawn from the reference to set a threshold; false-alarm rates below 1 in 1,000 need more


class Detector(ABC):
    """Something that watches a stream."""

    def __init__(self) -> None:
        self.seen = 0
        self.alarmed_at: int | None = None

    @property
    def alarmed(self) -> bool:
        """Whether drift was found."""
        return self.alarmed_at is not None

    def update(self, values: ArrayLike) -> bool:
        """Watch more of the stream, one row (or number) at a time; returns whether drift has been found so far."""
        for row in np.asarray(values, np.float64):
            self.seen += 1
            if self.watch(row) and self.alarmed_at is None:
                self.alarmed_at = self.seen
        return self.alarmed

    @abstractmethod
    def watch(self, row: Floats) -> bool:
        """Whether this row gives the alarm."""


class WindowDetector(Detector):
    """Windows of a stream of features, one after the other, each compared with a reference (n, d)."""

    def __init__(self, reference: ArrayLike, window: int, false_alarms: float) -> None:
        super().__init__()
        self.reference = np.asarray(reference, np.float64)
        if self.reference.ndim != 2 or not np.isfinite(self.reference).all():
            raise ValueError(f"a reference must be finite and (n, d), not {self.reference.shape}")
        if not 2 <= window <= len(self.reference) // 2:
            raise ValueError(f"window must be 2 to half the reference ({len(self.reference) // 2}), not {window}")
        if not 0 < false_alarms < 1:
            raise ValueError(f"false_alarms, a chance for each window, must lie between 0 and 1, not {false_alarms}")
        self.window, self.false_alarms = window, false_alarms
        self.rows: list[Floats] = []

    def watch(self, row: Floats) -> bool:
        """Compare when a window is full."""
        if row.shape != self.reference.shape[1:] or not np.isfinite(row).all():
            raise ValueError(f"rows must be {self.reference.shape[1]} finite features, not {row.shape}")
        self.rows.append(row)
        if len(self.rows) < self.window:
            return False
        window, self.rows = np.stack(self.rows), []
        return self.differs(window)

    @abstractmethod
    def differs(self, window: Floats) -> bool:
        """Whether a full window does not look like the reference."""


class KolmogorovSmirnov(WindowDetector):
    """Each feature's distribution by itself, with Bonferroni's correction for the number of features."""

    def differs(self, window: Floats) -> bool:
        """Whether the smallest p value, times the number of features, is below the rate of false alarms."""
        return self.p_value(window) < self.false_alarms

    def p_value(self, window: Floats) -> float:
        """The corrected p value of a window."""
        from scipy.stats import ks_2samp

        d = window.shape[1]
        smallest = min(float(ks_2samp(window[:, k], self.reference[:, k], method="asymp").pvalue) for k in range(d))
        return float(min(1.0, d * smallest))


class MeanDiscrepancy(WindowDetector):
    """Maximum mean discrepancy with a Gaussian kernel of median width: sees changes that no single feature shows.

    The threshold is a quantile of the discrepancies of windows drawn from the reference itself.
    """

    def __init__(self, reference: ArrayLike, window: int = 50, false_alarms: float = 0.005, *, seed: int = 0, landmarks: int = 200) -> None:
        super().__init__(reference, window, false_alarms)
        rng = np.random.default_rng(seed)
        self.centre, self.scale = self.reference.mean(0), self.reference.std(0) + 1e-9
        points = self.scaled(self.reference)
        self.landmarks = points[rng.permutation(len(points))[:landmarks]]
        distances = _squared_distances(self.landmarks, self.landmarks)
        self.width = float(np.median(distances[distances > 0]))
        kernels = np.exp(-_squared_distances(points, self.landmarks) / self.width)
        self.expected = kernels.mean(0)
        rows = rng.integers(len(points), size=(RESAMPLES, window))
        self.threshold = float(np.quantile(((kernels[rows].mean(1) - self.expected) ** 2).mean(1), 1 - false_alarms))

    def scaled(self, rows: Floats) -> Floats:
        """Features with the reference's mean 0 and deviation 1."""
        scaled: Floats = (rows - self.centre) / self.scale
        return scaled

    def differs(self, window: Floats) -> bool:
        """Whether the discrepancy exceeds the threshold."""
        return self.discrepancy(window) > self.threshold

    def discrepancy(self, window: Floats) -> float:
        """The squared distance of the mean embeddings, at the landmarks (a finite-set test: Chwialkowski et al., NeurIPS 2015)."""
        kernels = np.exp(-_squared_distances(self.scaled(window), self.landmarks) / self.width)
        return float(((kernels.mean(0) - self.expected) ** 2).mean())


class PageHinkley(Detector):
    """Page's cumulative sum of a model's errors: alarms when they have risen by more than `slack` deviations for long enough.

    The reference holds errors on data like those of training; the threshold is such that a stream of `run_length` errors drawn from it
    gives a false alarm with the chance `false_alarms`.
    """

    def __init__(
        self, reference_errors: ArrayLike, *, slack: float = 0.25, run_length: int = 1000, false_alarms: float = 0.02, seed: int = 0
    ) -> None:
        super().__init__()
        errors = np.asarray(reference_errors, np.float64)
        if errors.ndim != 1 or len(errors) < 30 or not np.isfinite(errors).all():
            raise ValueError(f"reference errors must be finite and (n,), n of at least 30, not {errors.shape}")
        if slack < 0 or run_length < 1 or not 0 < false_alarms < 1:
            raise ValueError(
                f"slack must be 0 or more, run_length 1 or more, false_alarms between 0 and 1, not {slack}, {run_length}, {false_alarms}"
            )
        self.mean, self.sd, self.slack, self.sum = float(errors.mean()), float(errors.std()) + 1e-12, slack, 0.0
        rng = np.random.default_rng(seed)
        drawn = (errors[rng.integers(len(errors), size=(400, run_length))] - self.mean) / self.sd - slack
        sums = np.cumsum(drawn, 1)
        highest = (sums - np.minimum(0, np.minimum.accumulate(sums, 1))).max(1)
        self.threshold = float(np.quantile(highest, 1 - false_alarms))

    def watch(self, row: Floats) -> bool:
        """Add one error."""
        error = float(row)
        if not np.isfinite(error):
            raise ValueError(f"errors must be finite, not {error}")
        self.sum = max(0.0, self.sum + (error - self.mean) / self.sd - self.slack)
        return self.sum > self.threshold


def _squared_distances(a: Floats, b: Floats) -> Floats:
    distances: Floats = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0)
    return distances
