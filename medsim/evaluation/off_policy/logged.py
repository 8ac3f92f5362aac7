"""Evidence for a policy from logged episodes of any environment: the policy is asked about each decision, with what was seen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.datasets.episodes import Episodes, patients_of
from medsim.evaluation.off_policy.estimators import Evidence
from medsim.policies.chance import likelihood
from medsim.policies.policy import Policy

__all__ = ["logged_evidence", "probabilities_under"]

Array = npt.NDArray[np.float64]


def probabilities_under(episodes: Episodes, policy: Policy) -> Array:
    """Return how probable each logged decision would have been under a policy, (n, T); 1 after an episode's end.

    A policy with a memory remembers what was seen along the episode, not what it would have done itself.

    Raises:
        ValueError: the policy needs other observations or actions than the data hold.
    """
    options: Mapping[str, Any] = {**episodes.options, **policy.options}
    env = patients_of(episodes.env_id, options, episodes.n)
    for name in ("observation", "action"):
        needed, there = getattr(env, f"single_{name}_space"), getattr(episodes, f"{name}_space")
        if needed != there:
            raise ValueError(f"{policy.name} needs the {name}s {needed}, and the data hold {there}")
    env.reset(seed=episodes.seed)
    policy.begin(env)
    steps = episodes.rewards.shape[1]
    each = [likelihood(policy, episodes.seen_at(step), episodes.actions[:, step]) for step in range(steps)]
    return np.where(episodes.there(), np.stack(each, axis=1), 1.0)


def logged_evidence(episodes: Episodes, policy: Policy, *, q: Array | None = None, v: Array | None = None) -> Evidence:
    """Return the evidence that logged episodes give of a policy; ``q`` and ``v``: of a model, as in ``Evidence``.

    Raises:
        ValueError: the policy needs other observations or actions than the data hold, or whoever acted left no probabilities above 0.
    """
    return Evidence(
        rewards=episodes.rewards, target=probabilities_under(episodes, policy), behaviour=episodes.probabilities,
        discount=episodes.discount, q=q, v=v,
    )  # fmt: skip
