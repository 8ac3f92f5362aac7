"""Charts as rows of a table: minimum, maximum, mean and last value of each column, and how much of it is missing.

What linear models and boosted trees learn from, so that a network always stands beside them; scikit-learn is imported only here, when used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["boosted_trees", "feature_names", "logistic", "summary_features"]

SUMMARIES = ("min", "max", "mean", "last", "missing")
Floats = NDArray[np.float64]


def summary_features(values: ArrayLike, mask: ArrayLike, statics: ArrayLike) -> Floats:
    """Features (n, 5 F + S) of charts (n, T, F): the five summaries, NaN where a column was never measured, and the statics."""
    seen = np.asarray(mask) > 0
    raw = np.asarray(values, np.float64)
    if raw.ndim != 3 or raw.shape != seen.shape or raw.shape[1] == 0:
        raise ValueError(f"values and mask must have one shape (n, T, F), not {raw.shape} and {seen.shape}")
    count = seen.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (raw * seen).sum(1) / count
    low, high = np.where(seen, raw, np.inf).min(1), np.where(seen, raw, -np.inf).max(1)
    last_at = raw.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
    last = np.take_along_axis(raw, last_at[:, None], axis=1)[:, 0]
    never = count == 0
    parts = [np.where(never, np.nan, part) for part in (low, high, mean, last)]
    return np.concatenate([*parts, 1.0 - count / raw.shape[1], np.asarray(statics, np.float64)], axis=1)


def feature_names(columns: tuple[str, ...], statics: tuple[str, ...]) -> list[str]:
    """The names of `summary_features`."""
    return [f"{column}_{summary}" for summary in SUMMARIES for column in columns] + list(statics)


def logistic(c: float = 0.01) -> Any:
    """Logistic regression on standardised features, medians of training in place of what is missing; `c` is its inverse penalty."""
    from sklearn.impute import SimpleImputer  # type: ignore[import-untyped]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(fill, StandardScaler(), LogisticRegression(C=c, max_iter=5000))


def boosted_trees(seed: int, *, regression: bool = False) -> Any:
    """Scikit-learn's histogram gradient boosting as it comes, which takes missing values as they are."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor  # type: ignore[import-untyped]

    return (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(random_state=seed)
