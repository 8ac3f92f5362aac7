"""What a policy is worth in truth, which only a simulator can tell: what estimates are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.tabular import TabularTask
from medsim.datasets.episodes import collect
from medsim.evaluation.scoring import value_of
from medsim.policies.policy import Policy
from medsim.registry import make_task

__all__ = ["Truth", "discounted", "exact_value", "true_value"]

OTHERS, OTHERS_SEED = 2000, 1_000_003  # chosen: patients who tell the truth, and their seed, far from those of data


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A policy's value, and its standard error: 0 where it is exact."""

    value: float
    error: float = 0.0


def exact_value(env_id: str, policy: Policy, options: Mapping[str, Any]) -> float | None:
    """Return what a policy is worth under options, which stand over its own, or None where it cannot be told exactly."""
    task = make_task(env_id, **{**policy.options, **options})
    found = value_of(policy, task, None, None) if isinstance(task, TabularTask) else None
    return None if found is None else found.value


def true_value(env_id: str, policy: Policy, options: Mapping[str, Any]) -> Truth:
    """Return what a policy is worth: exactly where that can be, else the mean return of 2,000 other patients of the cohort."""
    exact = exact_value(env_id, policy, options)
    if exact is not None:
        return Truth(value=exact)
    given = dict(options)
    played = collect(env_id, policy, OTHERS, seed=OTHERS_SEED, cohort=given.pop("cohort", "train"), options=given)
    returns = discounted(played.rewards, played.discount)
    return Truth(value=float(returns.mean()), error=float(returns.std(ddof=1)) / len(returns) ** 0.5)


def discounted(rewards: npt.NDArray[np.float64], discount: float) -> npt.NDArray[np.float64]:
    """Return the discounted returns (n,) of rewards (n, T)."""
    return np.asarray(rewards @ discount ** np.arange(rewards.shape[1]))
