"""Episodes as a clinician's records would hold them, and with each decision the probability that it had."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.steps import Steps, done_by
from medsim.policies.chance import decide
from medsim.policies.policy import Policy
from medsim.registry import make_task

__all__ = ["Episodes", "collect"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Episodes:
    """Logged episodes of n patients and at most T steps; after an episode's end rows repeat the last observation, zeros and ones.

    Attributes:
        env_id, options: the environment as the data show it; policy: the name of the one that acted; seed: of the patients, whose slots
            are 0, 1, ...
        observations: (n, T + 1, ...), or a dict of such arrays; actions: (n, T) or (n, T, a).
        rewards, probabilities: (n, T); costs: by name, (n, T).
        lengths: (n,) steps; terminated: (n,), whether the course ended by itself and not because watching did.
        outcomes: (n,).
        acted_on: the options under which the policy saw the patients, if it saw other things than the data hold (confounding).
    """

    env_id: str
    options: Mapping[str, Any]
    policy: str
    seed: int
    observations: Array | dict[str, Array]
    actions: Array
    rewards: Floats
    probabilities: Floats
    costs: Mapping[str, Floats]
    lengths: npt.NDArray[np.int64]
    terminated: npt.NDArray[np.bool_]
    outcomes: list[str]
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    discount: float = 1.0
    acted_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Episodes."""
        return len(self.lengths)

    @property
    def steps(self) -> int:
        """Steps of all episodes together."""
        return int(self.lengths.sum())

    @property
    def returns(self) -> Floats:
        """Undiscounted returns, (n,)."""
        return np.asarray(self.rewards.sum(axis=1))

    def there(self) -> npt.NDArray[np.bool_]:
        """Return which steps happened, (n, T)."""
        return np.asarray(np.arange(self.rewards.shape[1]) < self.lengths[:, None])

    def seen_at(self, step: int) -> Any:
        """Return what was seen before a step, (n, ...) or a dict of such arrays."""
        return at_step(self.observations, step)


def at_step(observations: Any, step: int) -> Any:
    """Return observations (n, T + 1, ...), or a dict of such arrays, before a step, (n, ...)."""
    if isinstance(observations, dict):
        return {name: values[:, step] for name, values in observations.items()}
    return observations[:, step]


def collect(env_id: str, policy: Policy, episodes: int, *, seed: int = 0, cohort: str = "train", options: Mapping[str, Any] | None = None,
            hidden: Mapping[str, Any] | None = None, progress: Callable[[int], None] | None = None) -> Episodes:  # fmt: skip
    """Return the first episodes of a seed under a policy.

    Args:
        env_id: the environment; policy: acts, by chance if it is to be evaluated against others (``medsim.policies.chance``).
        episodes: how many, one a patient; seed, cohort: who they are.
        options: of the environment, over the policy's own, as the data show it.
        hidden: options of what the policy sees, if that is not what the data hold: ``{"observation": "full"}`` for a clinician who knows
            what was not written down. It decides on the same patients, to the bit, and the data are confounded.
        progress: called with 1 after every step.

    Raises:
        ValueError: an option is not allowed, episodes is below 1, or the two environments take different actions.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be 1 or more, not {episodes}")
    shown = {**policy.options, **(options or {}), "cohort": cohort}
    env = patients_of(env_id, shown, episodes)
    decider = patients_of(env_id, {**shown, **hidden}, episodes) if hidden else env
    if decider.single_action_space != env.single_action_space:
        raise ValueError(f"what the policy sees must leave its actions as they are, not {decider.single_action_space}")
    log = Log(env, seed)
    seen = log.observations[0] if decider is env else decider.reset(seed=seed)[0]
    policy.begin(decider)
    for _ in range(env.task.horizon_steps):
        actions, probability = decide(policy, seen)
        log.step(actions, probability)
        if progress is not None:
            progress(1)
        if not log.steps.alive.any():
            break
        if decider is env:
            seen = log.observations[-1]
        else:
            decider.step_running(actions)
            seen = decider.observations()
    return log.episodes(env_id, shown, policy.name, seed, hidden or {})


def patients_of(env_id: str, options: Mapping[str, Any], n: int) -> PatientVectorEnv:
    """Return a batch that stands still where an episode has ended."""
    return PatientVectorEnv(make_task(env_id, **options), n, autoreset_mode=AutoresetMode.DISABLED, threads=1)


class Log:
    """What is written down of a batch, step after step."""

    def __init__(self, env: PatientVectorEnv, seed: int) -> None:
        self.env = env
        self.observations = [env.reset(seed=seed)[0]]
        self.steps = Steps(env)
        self.actions: list[Array] = []
        self.probabilities: list[Floats] = []
        self.terminated = np.zeros(env.num_envs, dtype=np.bool_)

    def step(self, actions: Array, probability: Floats) -> None:
        """Step the patients whose episode is running, and write down what happened."""
        there, ended = self.steps.take(actions)
        self.actions.append(done_by(there, actions))
        self.probabilities.append(np.where(there, probability, 1.0))
        self.terminated |= ended & self.env.batch.ends[0].astype(np.bool_)
        self.observations.append(self.env.observations())

    def episodes(self, env_id: str, options: Mapping[str, Any], policy: str, seed: int, hidden: Mapping[str, Any]) -> Episodes:
        """Return all of it."""
        first, steps = self.observations[0], self.steps
        seen = (
            {name: np.stack([one[name] for one in self.observations], axis=1) for name in first}
            if isinstance(first, dict) else np.stack(self.observations, axis=1)
        )  # fmt: skip
        costs = np.stack(steps.costs, axis=-1)  # (names, n, T)
        return Episodes(
            env_id=env_id, options=dict(options), policy=policy, seed=seed, observations=seen, actions=np.stack(self.actions, axis=1),
            rewards=np.stack(steps.rewards, axis=1), probabilities=np.stack(self.probabilities, axis=1),
            costs={name: costs[k] for k, name in enumerate(self.env.batch.cost_names)}, lengths=steps.lengths, terminated=self.terminated,
            outcomes=steps.outcomes(), observation_space=self.env.single_observation_space,
            action_space=self.env.single_action_space, discount=float(getattr(self.env.task, "discount", 1.0)), acted_on=dict(hidden),
        )  # fmt: skip
