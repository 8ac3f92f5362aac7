"""Off-policy evaluation where the course is a table: a model counted from episodes, and the evidence for a policy that acts by table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from scipy import sparse

from medsim.datasets.episodes import Episodes
from medsim.evaluation.counterfactual import NOWHERE, Trajectory, by_state, table_task
from medsim.evaluation.off_policy.estimators import Evidence
from medsim.evaluation.off_policy.logged import logged_evidence
from medsim.evaluation.scoring import table_of
from medsim.policies.policy import Policy

__all__ = ["CountedModel", "count_logged", "count_model", "logged_table_evidence", "table_evidence"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TOLERANCE = 1e-10
MOST_SWEEPS = 100_000


@dataclass(frozen=True, kw_only=True, eq=False)
class CountedModel:
    """Transitions and rewards as counted.

    Of what was never tried in a state nothing is known: a policy is followed in what was tried, in proportion; where it asks for nothing
    that was, the patient is treated as those of the episodes were. A state where nobody was is worth nothing.

    Attributes:
        go_on: (states x actions, states), the share of tries that led there and went on; rewards: (states, actions), the mean.
        tries: (states, actions).
    """

    go_on: sparse.csr_array
    rewards: Array
    tries: Integers

    def followed(self, policy: Array) -> Array:
        """Return the probabilities (states, actions) with which the model can follow a policy's."""
        tried = policy * (self.tries > 0)
        asked = tried.sum(axis=1, keepdims=True)
        as_done = self.tries / np.maximum(self.tries.sum(axis=1, keepdims=True), 1)
        return np.where(asked > 0.0, tried / np.where(asked > 0.0, asked, 1.0), as_done)

    def values(self, policy: Array, discount: float, horizon: int | None) -> tuple[Array, Array]:
        """Return what actions and states are worth under a policy: q (steps, states, actions) and v (steps, states).

        Args:
            policy: (steps or 1, states, actions) probabilities; horizon: steps to the deadline, each with values of its own; None: there is
                none, and one step stands for all.

        Raises:
            ValueError: without a deadline, values do not settle.
        """
        shape, policy = self.rewards.shape, np.stack([self.followed(one) for one in policy])
        if horizon is not None:
            q, v = np.zeros((horizon, *shape)), np.zeros((horizon + 1, shape[0]))
            for step in reversed(range(horizon)):
                q[step] = self.rewards + discount * (self.go_on @ v[step + 1]).reshape(shape)
                v[step] = (policy[min(step, len(policy) - 1)] * q[step]).sum(axis=1)
            return q, v[:-1]
        worth = np.zeros(shape[0])
        for _ in range(MOST_SWEEPS):
            ahead = self.rewards + discount * (self.go_on @ worth).reshape(shape)
            after = (policy[0] * ahead).sum(axis=1)
            if float(np.abs(after - worth).max()) <= TOLERANCE:
                return ahead[None], after[None]
            worth = after
        raise ValueError(f"values of the counted model do not settle in {MOST_SWEEPS} sweeps: give a discount below 1")

    def along(self, policy: Array, discount: float, horizon: int | None, states: Integers, actions: Integers,
              there: npt.NDArray[np.bool_]) -> tuple[Array, Array]:  # fmt: skip
        """Return q and v along courses, (n, T) each, 0 where ``there`` (n, T) says that an episode is over; the rest as of ``values``."""
        of_pairs, of_states = self.values(policy, discount, horizon)
        row = np.minimum(np.arange(states.shape[1]), len(of_pairs) - 1)
        return np.where(there, of_pairs[row, states, actions], 0.0), np.where(there, of_states[row, states], 0.0)


def count_model(trajectories: Sequence[Trajectory], states: int, actions: int) -> CountedModel:
    """Return the model that episodes show, for so many states and actions."""
    now = np.concatenate([one.states[:-1] for one in trajectories])
    then = np.concatenate([one.states[1:] for one in trajectories])
    ends = np.concatenate([np.arange(len(one.actions)) == len(one.actions) - 1 for one in trajectories])
    pairs = now * actions + np.concatenate([one.actions for one in trajectories])
    rewards = np.concatenate([one.rewards for one in trajectories])
    tries = np.bincount(pairs, minlength=states * actions)
    share = 1.0 / np.maximum(tries, 1)
    going = ~ends
    go_on = sparse.csr_array((share[pairs[going]], (pairs[going], then[going])), shape=(states * actions, states))
    mean = np.bincount(pairs, weights=rewards, minlength=states * actions) * share
    return CountedModel(go_on=go_on, rewards=mean.reshape(states, actions), tries=tries.reshape(states, actions))


def count_logged(episodes: Episodes) -> CountedModel:
    """Return the model that logged episodes show of what was seen, where that is a code: what is hidden behind a code is averaged.

    Raises:
        ValueError: observations or actions are no codes.
    """
    seen, done = episodes.observation_space, episodes.action_space
    if not isinstance(seen, spaces.Discrete) or not isinstance(done, spaces.Discrete):
        raise ValueError(f"a model is counted of codes, and the data hold {seen} and {done}")
    codes = codes_of(episodes)
    courses = [
        Trajectory(
            env_id=episodes.env_id, states=codes[i, : length + 1], actions=episodes.actions[i, :length],
            rewards=episodes.rewards[i, :length], outcome="",
        )
        for i, length in enumerate(episodes.lengths)
    ]  # fmt: skip
    return count_model(courses, int(seen.n), int(done.n))


def codes_of(episodes: Episodes) -> Integers:
    """Return what was seen, as codes (n, T + 1)."""
    assert isinstance(episodes.observations, np.ndarray)
    return np.asarray(episodes.observations, dtype=np.int64)


def logged_table_evidence(episodes: Episodes, policy: Policy) -> Evidence:
    """Return the evidence that logged episodes give of a policy, with a model counted of the codes that they hold.

    Raises:
        ValueError: observations or actions are no codes, or the policy does not act by them.
    """
    task = table_task(episodes.env_id, {**episodes.options, **policy.options})
    table = table_of(policy, task)
    if table is None or table.observation not in ("any", task.view_name) or task.observation_space() != episodes.observation_space:
        raise ValueError(f"{policy.name} does not act by the codes that the data hold ({task.view_name})")
    counted = count_logged(episodes)
    asked = np.broadcast_to(table.probabilities, (table.steps, *counted.rewards.shape))
    horizon = task.horizon_steps if task.has_deadline else None
    codes = codes_of(episodes)[:, :-1]
    q, v = counted.along(asked, episodes.discount, horizon, codes, episodes.actions, episodes.there())
    return logged_evidence(episodes, policy, q=q, v=v)


def table_evidence(trajectories: Sequence[Trajectory], behaviour: Policy, target: Policy, *, model: bool = True) -> Evidence:
    """Return the evidence that episodes of one policy give of another; both act by table.

    Args:
        trajectories: of one environment with one set of options; behaviour: the policy that acted; target: the one asked about.
        model: whether a model is counted from the same episodes.

    Raises:
        ValueError: a policy has a memory, or the course is no table.
    """
    one = trajectories[0]
    task = table_task(one.env_id, dict(one.options))
    steps = max(len(each.actions) for each in trajectories)
    states, actions = np.full((len(trajectories), steps), NOWHERE), np.full((len(trajectories), steps), NOWHERE)
    rewards = np.zeros((len(trajectories), steps))
    for i, each in enumerate(trajectories):
        length = len(each.actions)
        states[i, :length], actions[i, :length], rewards[i, :length] = each.states[:-1], each.actions, each.rewards
    there, at = states >= 0, np.arange(steps)
    acted, asked = (by_state(policy, table_task(one.env_id, {**one.options, **policy.options})) for policy in (behaviour, target))

    def of(table: Array) -> Array:
        return np.where(there, table[np.minimum(at, len(table) - 1), states, actions], 1.0)

    q = v = None
    if model:
        counted = count_model(trajectories, task.tables.states, task.tables.actions)
        horizon = task.horizon_steps if task.has_deadline else None
        q, v = counted.along(asked, task.discount, horizon, states, actions, there)
    return Evidence(rewards=rewards, target=of(asked), behaviour=of(acted), discount=task.discount, q=q, v=v)
