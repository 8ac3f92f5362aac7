"""Policies that decide by chance, and how probable what they do is: what logged data need to be evaluated off-policy.

Every choice is a function of patient, episode and step (streams of their own), so the same patient gets the same choice in any batch.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from scipy.special import ndtr, ndtri

from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import Draws, Policy

__all__ = ["ByChance", "Jittered", "Softened", "decide", "likelihood", "with_chance"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

SOFTENED_STREAM, JITTERED_STREAM = 1_000_005, 1_000_006  # streams of their own, away from the models' purposes


@runtime_checkable
class ByChance(Protocol):
    """A policy that knows how probable its decisions are; both methods stand for a step, as ``act`` does."""

    def decide(self, observations: Any) -> tuple[Array, Floats]:
        """Return the actions (n,) or (n, a), and the probability (or density) of each, (n,)."""

    def likelihood(self, observations: Any, actions: Array) -> Floats:
        """Return how probable (or dense) these actions would have been, (n,)."""


def decide(policy: Policy, observations: Any) -> tuple[Array, Floats]:
    """Return a policy's actions and the probability of each, (n,): 1 for a policy that does not decide by chance."""
    if isinstance(policy, ByChance):
        return policy.decide(observations)
    actions = np.asarray(policy.act(observations))
    return actions, np.ones(len(actions))


def likelihood(policy: Policy, observations: Any, actions: Array) -> Floats:
    """Return how probable actions would have been under a policy, (n,): 0 or 1 for one that does not decide by chance."""
    if isinstance(policy, ByChance):
        return policy.likelihood(observations, actions)
    same = np.asarray(policy.act(observations)) == actions
    return np.asarray(same if same.ndim == 1 else same.all(axis=1), dtype=np.float64)


def with_chance(policy: Policy, space: spaces.Space[Any], epsilon: float, spread: float) -> Policy:
    """Return a policy that decides by chance: softened where it chooses actions of the space, jittered where it doses.

    Raises:
        ValueError: epsilon or the spread, whichever is used, is out of its range.
    """
    return Softened(policy, epsilon) if isinstance(space, spaces.Discrete) else Jittered(policy, spread)


class Softened:
    """Another policy of discrete actions that, with a probability, takes any action instead, all alike.

    Args:
        policy: the other one; epsilon: the probability, above 0 and at most 1.

    Raises:
        ValueError: epsilon is outside that, or, when it begins, the actions are not discrete.
    """

    def __init__(self, policy: Policy, epsilon: float) -> None:
        if not 0.0 < epsilon <= 1.0:
            raise ValueError(f"epsilon must be above 0 and at most 1, not {epsilon}")
        self.policy, self.epsilon = policy, float(epsilon)
        self.name, self.options = f"{policy.name} softened by {epsilon:g}", policy.options

    def begin(self, env: PatientVectorEnv) -> None:
        """Begin the other policy, and remember who the patients are."""
        if not isinstance(env.single_action_space, spaces.Discrete):
            raise ValueError(f"{self.name} needs discrete actions, and {env.task.id} takes {env.single_action_space}: jitter it")
        self.count = int(env.single_action_space.n)
        self.draws = Draws(env, SOFTENED_STREAM)
        self.policy.begin(env)

    def act(self, observations: Any) -> Array:
        """Return the actions (n,)."""
        return self.decide(observations)[0]

    def decide(self, observations: Any) -> tuple[Array, Floats]:
        """Return actions (n,) and their probabilities (n,)."""
        drawn, meant = self.draws(), np.asarray(self.policy.act(observations), dtype=np.int64)
        other = np.minimum((drawn[:, 1] * self.count).astype(np.int64), self.count - 1)
        actions = np.where(drawn[:, 0] < self.epsilon, other, meant)
        return actions, self.probability(actions, meant)

    def likelihood(self, observations: Any, actions: Array) -> Floats:
        """Return the probabilities (n,) of actions (n,)."""
        return self.probability(actions, np.asarray(self.policy.act(observations), dtype=np.int64))

    def probabilities(self, observations: Any) -> Floats:
        """Return the probability of every action, (n, actions); it stands for a step, as ``act`` does."""
        meant = np.asarray(self.policy.act(observations), dtype=np.int64)
        return self.probability(np.arange(self.count), meant[:, None])

    def probability(self, actions: Array, meant: Array) -> Floats:
        """Return the probabilities of actions where others are meant."""
        return np.asarray(self.epsilon / self.count + (1.0 - self.epsilon) * (actions == meant))


class Jittered:
    """Another policy of continuous doses, each dose drawn from a normal distribution around what it means, cut at the action's bounds.

    Args:
        policy: the other one; spread: the standard deviation, as a share of each dose's range, above 0.

    Raises:
        ValueError: the spread is not above 0, or, when it begins, the actions are not doses of at most four kinds.
    """

    def __init__(self, policy: Policy, spread: float) -> None:
        if not spread > 0.0:
            raise ValueError(f"spread must be above 0, not {spread}")
        self.policy, self.spread = policy, float(spread)
        self.name, self.options = f"{policy.name} jittered by {spread:g}", policy.options

    def begin(self, env: PatientVectorEnv) -> None:
        """Begin the other policy, and remember who the patients are and how doses are bounded."""
        space = env.single_action_space
        if not isinstance(space, spaces.Box) or space.shape is None or len(space.shape) != 1 or space.shape[0] > 4:
            raise ValueError(f"{self.name} needs at most four continuous doses, and {env.task.id} takes {space}: soften it")
        self.low, self.high = space.low.astype(np.float64), space.high.astype(np.float64)
        self.draws = Draws(env, JITTERED_STREAM)
        self.policy.begin(env)

    def act(self, observations: Any) -> Array:
        """Return the doses (n, a)."""
        return self.decide(observations)[0]

    def decide(self, observations: Any) -> tuple[Array, Floats]:
        """Return doses (n, a) and their densities (n,)."""
        drawn = self.draws()[:, : len(self.low)]
        meant = self.meant(observations)
        below, above = self.cut(meant)
        scale = self.spread * (self.high - self.low)
        doses = np.clip(meant + scale * ndtri(below + drawn * (above - below)), self.low, self.high)
        return doses, self.density(doses, meant)

    def likelihood(self, observations: Any, actions: Array) -> Floats:
        """Return the densities (n,) of doses (n, a)."""
        return self.density(np.asarray(actions, dtype=np.float64), self.meant(observations))

    def meant(self, observations: Any) -> Floats:
        """Return the other policy's doses, within bounds."""
        return np.clip(np.asarray(self.policy.act(observations), dtype=np.float64), self.low, self.high)

    def cut(self, meant: Floats) -> tuple[Floats, Floats]:
        """Return the shares of the uncut distribution below the bounds."""
        scale = self.spread * (self.high - self.low)
        return np.asarray(ndtr((self.low - meant) / scale)), np.asarray(ndtr((self.high - meant) / scale))

    def density(self, doses: Floats, meant: Floats) -> Floats:
        """Return the density of doses around what is meant, with regard to shares of each dose's range."""
        below, above = self.cut(meant)
        z = (doses - meant) / (self.spread * (self.high - self.low))
        each = np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * self.spread * (above - below))
        return np.asarray(each.prod(axis=1))
