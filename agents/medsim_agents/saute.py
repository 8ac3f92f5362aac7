"""A limit on harm that every episode keeps, not only the mean one: Sauté RL (Sootla, Cowen-Rivers, Jafferjee, Wang, Mguni, Wang,
Bou-Ammar, ICML 2022), state augmentation.

The agent sees how much of each limit is left of its episode, and once one is spent each step is worth ``unsafe_reward`` in place of its
reward. Nothing else changes: any algorithm can learn it, here PPO. Where the paper's episodes all have one length, ours can end early;
death must not spare what the steps to come would have been charged, so an early end is charged all of them at once.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from medsim.core.vector import PatientVectorEnv
from medsim_agents.policies import ModelPolicy

__all__ = ["Budget", "PPOSaute", "SautePolicy", "SauteVecEnv"]

Array = npt.NDArray[Any]
UNSAFE_REWARD = -0.2  # chosen: over the 20 to 288 steps of our courses far worse than what rewards of -1 to 1 can give back


class Budget:
    """What is left of each limit in n episodes, as a share: 1 at the start, below 0 when it is spent.

    Args:
        cost_limits: name -> the most that an episode may cost; of a limit of 0 nothing is left from the start, and any cost overspends it.
        cost_names: of the costs that are spent, in their order.

    Raises:
        ValueError: a limit is of no cost, or below 0.
    """

    def __init__(self, cost_limits: Mapping[str, float], cost_names: tuple[str, ...], n: int) -> None:
        wrong = [name for name, limit in cost_limits.items() if name not in cost_names or limit < 0.0]
        if wrong:
            raise ValueError(f"cost_limits must be of {', '.join(cost_names) or 'costs, and there are none'}, 0 or more, not {wrong[0]!r}")
        limits = np.array([float(limit) for limit in cost_limits.values()])
        self.rows = [cost_names.index(name) for name in cost_limits]
        self.unit, self.full = np.where(limits > 0.0, limits, 1.0), np.where(limits > 0.0, 1.0, 0.0)
        self.left = np.tile(self.full, (n, 1))

    def spend(self, costs: Array) -> None:
        """Spend a step's costs (n, costs)."""
        self.left -= costs[:, self.rows] / self.unit

    def refill(self, rows: Any = ...) -> None:
        """Begin episodes anew."""
        self.left[rows] = self.full

    @property
    def spent(self) -> npt.NDArray[np.bool_]:
        """Whether some limit is overspent, (n,)."""
        return np.asarray((self.left < 0.0).any(axis=1))

    def beside(self, observations: Array, rows: Any = ...) -> Array:
        """Return observations (m, k) with what is left beside them, (m, k + limits), cut at -1."""
        shown = np.maximum(self.left[rows], -1.0).astype(observations.dtype)
        return np.concatenate([observations, shown], axis=1)


class SauteVecEnv(VecEnvWrapper):
    """Patients with a budget of harm. Infos are the patients' own: ``episode`` counts the true return and costs.

    Args:
        venv: a ``MedsimVecEnv`` with rows of numbers as observations; cost_limits: as ``Budget``'s; unsafe_reward: of a step of an episode
            that has overspent.

    Raises:
        ValueError: observations are no rows of numbers, or a limit is wrong.
    """

    def __init__(self, venv: VecEnv, cost_limits: Mapping[str, float], unsafe_reward: float = UNSAFE_REWARD) -> None:
        space = venv.observation_space
        if not isinstance(space, spaces.Box):
            raise ValueError(f"a budget is shown beside rows of numbers, not beside {space}: choose another observation")
        ends = np.ones(len(cost_limits), dtype=space.dtype)
        shown = spaces.Box(np.append(space.low, -ends), np.append(space.high, ends), dtype=space.dtype.type)
        super().__init__(venv, observation_space=shown)
        base: Any = venv.unwrapped
        self.base, self.unsafe_reward = base, float(unsafe_reward)
        self.budget = Budget(cost_limits, base.cost_names, venv.num_envs)
        self.lengths = np.zeros(venv.num_envs, dtype=np.int64)
        self.horizon_steps = int(base.task.horizon_steps)

    base: Any

    def reset(self) -> Array:
        """Begin an episode of every patient, budgets full; returns observations (n, k + limits)."""
        self.budget.refill()
        self.lengths[...] = 0
        observations = self.venv.reset()
        assert isinstance(observations, np.ndarray)
        return self.budget.beside(observations)

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        """Step; returns observations (n, k + limits), rewards (n,), who has ended (n,) and the infos."""
        observations, rewards, ended, infos = self.venv.step_wait()
        assert isinstance(observations, np.ndarray)
        self.budget.spend(self.base.last_costs)
        self.lengths += 1
        charged = 1 + np.where(ended, self.horizon_steps - self.lengths, 0)  # who ends early is charged for the steps not lived
        rewards = np.where(self.budget.spent, self.unsafe_reward * charged, rewards).astype(rewards.dtype)
        rows = np.flatnonzero(ended)
        if len(rows):
            infos = list(infos)
            last = self.budget.beside(np.stack([infos[row]["terminal_observation"] for row in rows]), rows)
            for row, seen in zip(rows.tolist(), last, strict=True):
                infos[row] = {**infos[row], "terminal_observation": seen}
            self.budget.refill(rows)
            self.lengths[rows] = 0
        return self.budget.beside(observations), rewards, ended, infos

    def snapshot(self) -> dict[str, Any]:
        """Return what ``restore`` needs to go on from here, to the bit."""
        inner: Any = self.venv
        return {"inner": inner.snapshot(), "left": self.budget.left.copy(), "lengths": self.lengths.copy()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot of an environment of the same task and size."""
        inner: Any = self.venv
        inner.restore(snapshot["inner"])
        self.budget.left[...], self.lengths[...] = snapshot["left"], snapshot["lengths"]


class PPOSaute(PPO):
    """PPO that learns in a ``SauteVecEnv``, and remembers its limits.

    Args:
        policy, env: as PPO's; cost_limits, unsafe_reward: as the environment's; more: PPO's own.
    """

    def __init__(self, policy: Any, env: Any, *, cost_limits: Mapping[str, float] | None = None, unsafe_reward: float = UNSAFE_REWARD,
                 **more: Any) -> None:  # fmt: skip
        self.cost_limits, self.unsafe_reward = dict(cost_limits or {}), float(unsafe_reward)
        super().__init__(policy, env, **more)


class SautePolicy(ModelPolicy):
    """A ``PPOSaute`` model acting without exploration. It is told its patients' harms as they come, to keep the budget that it sees."""

    memoryless = False  # the budget depends on what has been
    reads_observations = False  # but budgets, too

    def begin(self, env: PatientVectorEnv) -> None:
        """Begin with full budgets."""
        super().begin(env)
        self.batch = env.batch
        self.budget = Budget(self.model.cost_limits, tuple(env.batch.cost_names), env.num_envs)

    def refuse_unless_trained_for(self, env: PatientVectorEnv) -> None:
        """Raise ValueError if observations or actions are not those that the model was trained with."""
        here, there = env.single_observation_space, self.model.observation_space
        more = len(self.model.cost_limits)
        if not isinstance(here, spaces.Box) or (here.shape[0] + more,) != there.shape:
            raise ValueError(
                f"{self.name} was trained on other observations ({there}, {more} of them budgets) than {env.task.id} gives here ({here})"
            )
        self.refuse_other_actions(env)

    def act(self, observations: Any) -> Array:
        """Return the actions (n,) or (n, a) for observations (n, k)."""
        self.budget.spend(self.batch.costs.T)  # of the step before; after reset zeros
        return super().act(self.budget.beside(observations))
