"""Rollouts whose steps take different times: a step's discount follows from its hours.

Discounting by decisions misleads who can put off a decision. An agent that holds a bed is asked again in half an hour, so holding buys it
many short steps with a little of the costs in each, and all later costs count less; giving the bed is one long step with all costs of many
hours. Where the discount counts hours, as in a semi-Markov decision process, time passes equally fast whatever is decided.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.buffers import RolloutBuffer

__all__ = ["TimedRollouts", "share_counted", "timed"]

Array = npt.NDArray[Any]


def share_counted(gamma_h: float, before_h: Array, hours: Array) -> Array:
    """Return what counts now of costs that come evenly over ``hours`` (n,), beginning ``before_h`` (n,) from now: the mean of the discount
    over them; gamma_h: the discount of an hour, above 0."""
    k = -math.log(gamma_h)
    if k == 0.0:
        return np.ones_like(hours)
    spent = np.maximum(k * hours, 1e-9)
    return np.asarray(np.exp(-k * before_h) * -np.expm1(-spent) / spent)


class TimedRollouts:
    """A rollout buffer of SB3's, before which this class stands, with a discount for each step and row, taken from the environment.

    The last step of an episode, which SB3 bootstraps itself before it comes here, keeps the discount of a decision (``gamma``) in that.
    """

    source: Any = None  # the environment: its ``discounts`` (n,) are those of the step that is added
    discounts: Array

    def reset(self) -> None:
        """Forget all steps."""
        me: Any = self
        self.discounts = np.ones((me.buffer_size, me.n_envs), dtype=np.float32)
        super().reset()  # type: ignore[misc]

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Add a step of all rows."""
        me: Any = self
        self.discounts[me.pos] = self.source.discounts
        super().add(*args, **kwargs)  # type: ignore[misc]

    def compute_returns_and_advantage(self, last_values: Any, dones: Array) -> None:
        """Compute advantages by GAE, with each step's own discount, and the returns that values are fitted to."""
        me: Any = self
        values, going_on = last_values.clone().cpu().numpy().flatten(), 1.0 - dones.astype(np.float32)
        advantage = np.zeros(me.n_envs, dtype=np.float32)
        for step in reversed(range(me.buffer_size)):
            discount = self.discounts[step] * going_on
            advantage = me.rewards[step] + discount * values - me.values[step] + discount * me.gae_lambda * advantage
            me.advantages[step] = advantage
            values, going_on = me.values[step], 1.0 - me.episode_starts[step]
        me.returns = me.advantages + me.values


def timed(model: Any) -> Any:
    """Return an on-policy model whose rollouts are discounted by the time that its environment's steps take."""
    old = model.rollout_buffer
    assert isinstance(old, RolloutBuffer)
    kind = type(f"Timed{type(old).__name__}", (TimedRollouts, type(old)), {})
    model.rollout_buffer = kind(
        old.buffer_size, old.observation_space, old.action_space, old.device, gae_lambda=old.gae_lambda, gamma=old.gamma, n_envs=old.n_envs
    )
    model.rollout_buffer.source = model.env.unwrapped
    return model
