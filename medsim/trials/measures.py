"""What is reported of the arms' treatment, and the subgroups of patients."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Shown", "Subgrouping", "weighted_median"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A figure of an arm's treatment, over the enrolled.

    Args:
        measure: of the environment. how: its ``mean`` then, over those alive; the mean ``total`` since the course began (the run-in
            included), the ``median total`` since randomisation, or the ``percent ever`` above ``above`` since randomisation, as if
            nobody had died by then.
        at_h: hours since the course began. published: what the trial's arms received, in words.
    """

    name: str
    label: str
    measure: str
    how: Literal["mean", "total", "median total", "percent ever"]
    at_h: float = 24.0
    above: float = 0.0
    published: tuple[str, ...] = ()

    def summary(self, measures: Mapping[str, Array], alive: Array, begins: int, step_h: float) -> float:
        """Return the figure from measures and chances to be alive, (steps + 1, n); randomisation is after step ``begins``."""
        values, last = measures[self.measure], round(self.at_h / step_h)
        if self.how == "mean":
            return float(np.average(values[last], weights=alive[last]))
        weight = alive[begins]
        if self.how == "total":
            return float(np.average(values[1 : last + 1].sum(axis=0), weights=weight))
        since = values[begins + 1 : last + 1]
        if self.how == "percent ever":
            return float(100.0 * np.average(since.max(axis=0) > self.above, weights=weight))
        return weighted_median(since.sum(axis=0), weight)


def weighted_median(values: Array, weight: Array) -> float:
    """Return the value up to which half of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])


@dataclass(frozen=True, kw_only=True)
class Subgrouping:
    """Groups of the enrolled by a parameter: yes and no (``parts`` 0), or so many of equal size.

    Args:
        caution: what the model assumes about this that the trial did not find, said wherever the subgroups are shown.
    """

    label: str
    parameter: str
    parts: int = 0
    caution: str = ""

    def groups(self, patients: Mapping[str, Array]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
        """Yield each group's name and who belongs to it, (n,)."""
        values = patients[self.parameter]
        if self.parts == 0:
            yield f"{self.label}: yes", values > 0.5
            yield f"{self.label}: no", values <= 0.5
            return
        cuts = [-np.inf, *np.quantile(values, np.arange(1, self.parts) / self.parts), np.inf]
        for low, high in pairwise(cuts):
            if low == -np.inf:
                name = f"{self.label} up to {high:.0f}"
            elif high == np.inf:
                name = f"{self.label} above {low:.0f}"
            else:
                name = f"{self.label} {low:.0f} to {high:.0f}"
            yield name, (values > low) & (values <= high)
