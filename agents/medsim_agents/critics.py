"""What a trained model's own critic says of how patients will fare, where it has one that can be asked step by step without a memory.

Critics of Stable-Baselines3 are in the units of the rewards they learnt from, which are normalised as a rule: their order tells, not their
size.
"""

from collections.abc import Callable
from typing import Any

import torch

from medsim_agents.offline.choices import Choices
from medsim_agents.offline.learner import Learner

__all__ = ["critic_of"]

Tensor = torch.Tensor
Critic = Callable[[Any], Tensor]  # from what the model reads, (n, ...) or a dict of such, to values (n,)


def critic_of(model: Any) -> Critic | None:
    """Return the values (n,) that a model gives to what it reads if it goes on acting without exploration, or None if it gives none."""
    if isinstance(model, Learner):
        critic = critic_of_learner(model)
        return None if critic is None else (lambda seen: critic(model.encoding.seen(seen)))
    policy = model.policy
    found = critic_of_policy(policy)
    if found is None:
        return None

    def asked(seen: Any) -> Tensor:
        policy.set_training_mode(False)
        return found(policy.obs_to_tensor(seen)[0])

    return asked


def critic_of_policy(policy: Any) -> Critic | None:
    """Return the same of a policy of Stable-Baselines3, from tensors."""
    if hasattr(policy, "lstm_actor"):
        return None  # its critic has a memory of its own
    if hasattr(policy, "predict_values"):
        return lambda seen: policy.predict_values(seen)[:, 0]
    if hasattr(policy, "quantile_net"):
        return lambda seen: policy.quantile_net(seen).mean(dim=1).max(dim=1).values  # of (n, quantiles, actions)
    if hasattr(policy, "q_net"):
        return lambda seen: policy.q_net(seen).max(dim=1).values
    return lambda seen: of_doses(policy.critic(seen, policy._predict(seen, deterministic=True)))


def of_doses(said: Any) -> Tensor:
    """Return what critics of doses say, (n,): the least of several; of quantiles (n, critics, quantiles) their mean."""
    if isinstance(said, torch.Tensor):
        return said.mean(dim=(1, 2))
    return torch.cat(said, dim=1).min(dim=1).values


def critic_of_learner(learner: Learner) -> Critic | None:
    """Return the same of an offline learner, from tensors; behaviour cloning has none."""
    nets = learner.networks
    if "v" in nets:
        return lambda seen: nets["v"](seen)[:, 0]
    if "q" not in nets:
        return None
    if isinstance(learner, Choices):
        return lambda seen: learner.scores(seen).max(dim=1).values
    return lambda seen: nets["q"](seen, learner.act(seen, True)).min(dim=0).values
