"""What acts by table: a probability of every action for everything that can be seen, and for every step if the step matters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DecisionTable", "constant_table", "deterministic_table", "soft_table"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class DecisionTable:
    """Action probabilities (steps, codes, actions) by the codes of an observation mode; one step only: every step alike."""

    observation: str
    probabilities: Array
    facts: Mapping[str, Any] = field(default_factory=dict)  # how it was made

    def __post_init__(self) -> None:
        table = self.probabilities
        if table.ndim != 3 or not np.isfinite(table).all() or (table < 0.0).any() or not np.allclose(table.sum(axis=-1), 1.0, atol=1e-6):
            raise ValueError(f"action probabilities must be (steps, codes, actions), not negative, and sum to 1; shape {table.shape}")

    @property
    def steps(self) -> int:
        """How many steps have rows of their own."""
        return len(self.probabilities)

    def at(self, step: int) -> Array:
        """Return the probabilities (codes, actions) at a step, counted from 0."""
        return np.asarray(self.probabilities[min(step, self.steps - 1)])


def deterministic_table(observation: str, actions: npt.NDArray[Any], count: int, **facts: Any) -> DecisionTable:
    """Return the table of actions (codes,) or (steps, codes)."""
    return DecisionTable(observation=observation, probabilities=np.eye(count)[np.atleast_2d(actions)], facts=facts)


def constant_table(observation: str, codes: int, action: int, count: int) -> DecisionTable:
    """Return the table of one action, whatever is seen."""
    return deterministic_table(observation, np.full(codes, action), count)


def soft_table(table: DecisionTable, epsilon: float) -> DecisionTable:
    """Return a table that takes, with probability epsilon, one of the actions that a deterministic table does not take."""
    taken = table.probabilities
    others = (1.0 - taken) / (taken.shape[-1] - 1)
    return DecisionTable(observation=table.observation, probabilities=(1.0 - epsilon) * taken + epsilon * others, facts=table.facts)
