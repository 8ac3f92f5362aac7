"""The evidence that logged episodes give of a policy, with the model that can be had: counted, fitted, or none."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from gymnasium import spaces

from medsim.core.tabular import TabularTask
from medsim.datasets.episodes import Episodes
from medsim.evaluation.off_policy.estimators import Evidence
from medsim.evaluation.off_policy.logged import logged_evidence
from medsim.evaluation.off_policy.tables import logged_table_evidence
from medsim.evaluation.scoring import table_of
from medsim.policies.policy import Policy
from medsim.registry import make_task

__all__ = ["can_be_counted", "evidence_of", "value_model"]

ValueModel = Callable[..., Evidence]


def can_be_counted(episodes: Episodes, policy: Policy) -> bool:
    """Return whether a model of the policy's values can be counted: what is seen and done are codes, and the policy acts by them."""
    coded = all(isinstance(space, spaces.Discrete) for space in (episodes.observation_space, episodes.action_space))
    task = make_task(episodes.env_id, **{**episodes.options, **policy.options})
    table = table_of(policy, task) if coded and isinstance(task, TabularTask) else None
    return table is not None and table.observation in ("any", task.view_name)


def evidence_of(episodes: Episodes, policy: Policy, fit: ValueModel | None = None, *, seed: int = 0) -> Evidence:
    """Return the evidence that data give of a policy, with a model that ``fit`` fits from ``seed``; else counted, where it can be.

    Raises:
        ValueError: the policy needs other observations or actions than the data hold, or whoever acted left no probabilities above 0.
    """
    if fit is not None:
        return fit(episodes, policy, seed=seed)
    return logged_table_evidence(episodes, policy) if can_be_counted(episodes, policy) else logged_evidence(episodes, policy)


def value_model() -> ValueModel | None:
    """Return the first of the functions that installed packages contribute to fit values (entry-point group ``medsim.value_models``)."""
    for point in entry_points(group="medsim.value_models"):
        found: Any = point.load()
        fit: ValueModel = found
        return fit
    return None
