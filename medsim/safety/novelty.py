"""How unlike the training patients an observation is: a detector that any policy can be given."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

__all__ = ["Counted", "Detector", "Mahalanobis", "auroc"]

Floats = npt.NDArray[np.float64]

SHRINKAGE = 0.05  # chosen: towards independent columns, so that columns that hardly vary do not rule
ALARM = 0.99  # of the training observations lie below the threshold


class Detector(ABC):
    """Scores rows (m, k), higher the stranger; ``threshold``: above it an observation is flagged."""

    threshold: float

    @abstractmethod
    def score(self, rows: Floats) -> Floats:
        """Return the scores, (m,)."""

    def set_threshold(self, rows: Floats) -> None:
        """Set the threshold by training rows."""
        self.threshold = float(np.quantile(self.score(rows), ALARM))


class Mahalanobis(Detector):
    """The squared distance from the training mean in units of the training spread, correlations taken into account."""

    def __init__(self, rows: Floats) -> None:
        self.mean, self.spread = rows.mean(axis=0), rows.std(axis=0)
        self.kept = self.spread > 1e-9
        z = (rows[:, self.kept] - self.mean[self.kept]) / self.spread[self.kept]
        covariance = (1.0 - SHRINKAGE) * np.cov(z, rowvar=False).reshape(z.shape[1], z.shape[1]) + SHRINKAGE * np.eye(z.shape[1])
        self.root = np.linalg.cholesky(np.linalg.inv(covariance))
        self.set_threshold(rows)

    def score(self, rows: Floats) -> Floats:
        """Return the squared distances."""
        z = (rows[:, self.kept] - self.mean[self.kept]) / self.spread[self.kept]
        return np.asarray(((z @ self.root) ** 2).sum(axis=1))


class Counted(Detector):
    """How rare a code was in training, as the negative logarithm of its share."""

    def __init__(self, rows: Floats, codes: int) -> None:
        counts = np.bincount(rows[:, 0].astype(np.int64), minlength=codes).astype(np.float64)
        self.surprise = -np.log((counts + 1.0) / (counts.sum() + codes))
        self.set_threshold(rows)

    def score(self, rows: Floats) -> Floats:
        """Return the surprises."""
        return np.asarray(self.surprise[rows[:, 0].astype(np.int64)])


def auroc(scores: Floats, labels: npt.NDArray[np.bool_]) -> float:
    """Return the probability that a labelled one scores above another, ties counted half; NaN if there is none of either."""
    from scipy.stats import rankdata

    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return float("nan")
    return float((rankdata(scores)[labels].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))
