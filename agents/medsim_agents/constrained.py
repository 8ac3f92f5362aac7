"""PPO that keeps named harms below limits: PPO-Lagrangian, one multiplier for each cost (Ray, Achiam, Amodei 2019), or a PID controller of
them (Stooke, Achiam, Abbeel, ICML 2020).

Stable-Baselines3's PPO does the learning, unchanged: after a rollout a critic of its own says what each cost will come to, and the
advantage that PPO is given is that of the reward less each cost's times its multiplier, over one plus their sum. All advantages are in
units of their own spread, so that multipliers mean the same whatever a cost is counted in. Once a rollout each multiplier moves by how far
the mean cost of the latest episodes, and a standard error more, is above its limit, in units of that limit and by no more than one: who has
learnt nothing breaks a limit many times over, and a multiplier that leaps then takes most of the training to come back.

Where one policy keeps all limits with room to spare, the best multipliers are finite: at most the return that it gives up, over that room
(Nedic, Ozdaglar, SIAM J Optim 2009;19:1757-1780). One that rises without end tells that the limits cannot be kept together, and by then the
reward is drowned. ``multiplier_most`` caps each: with k limits the reward's advantage keeps a weight of at least 1 / (1 + k * most).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from torch import Tensor, nn

__all__ = ["PPOLagrangian", "Recorder"]

Floats = npt.NDArray[np.float64]

MOST = 2.0  # chosen: those that have learnt nothing break limits many times over, and at 10 nobody learnt; kept limits need less than 1
REMEMBERED = 0.97  # chosen: each episode weighs so much of the one after it: the latest 65 or so count
SMALLEST_SPREAD = 1e-8


class PPOLagrangian(PPO):
    """PPO with limits on costs.

    Args:
        policy, env: as PPO's; the environment is a ``MedsimVecEnv``, within wrappers or not, which has ``last_costs``.
        cost_limits: name -> the most that the mean episode may cost, at least one; costs without a limit are left alone.
        multiplier_rate: how fast multipliers move with the violation (the integral part), at most so much a rollout; it changes in a
            line to multiplier_rate_final at the end of the training (None: it stays).
        multiplier_start: where multipliers begin; multiplier_most: none is larger.
        caution: how many standard errors of the mean cost are added to it, so that a limit is kept and not met half of the time.
        proportional, derivative: the other parts of a PID controller; 0: the plain Lagrangian.
        cost_learning_rate, cost_net: of the critic of costs; cost_gae_lambda: of its advantages.
        more: PPO's own.

    Attributes:
        multipliers: name -> its value now; episode_costs: name -> mean of the latest episodes.

    Raises:
        ValueError: a limit is of no cost of the environment, or below 0; a number is out of range; the environment has no costs.
    """

    def __init__(self, policy: Any, env: Any, *, cost_limits: Mapping[str, float] | None = None, multiplier_rate: float = 0.1,
                 multiplier_rate_final: float | None = None, multiplier_start: float = 0.0, multiplier_most: float = MOST,
                 caution: float = 1.0, proportional: float = 0.0, derivative: float = 0.0, cost_learning_rate: float = 1e-3,
                 cost_net: Sequence[int] = (64, 64), cost_gae_lambda: float = 0.95, **more: Any) -> None:  # fmt: skip
        self.cost_limits = {name: float(limit) for name, limit in (cost_limits or {}).items()}
        self.multiplier_rate, self.proportional, self.derivative = float(multiplier_rate), float(proportional), float(derivative)
        self.multiplier_rate_final = self.multiplier_rate if multiplier_rate_final is None else float(multiplier_rate_final)
        self.multiplier_start, self.multiplier_most = float(multiplier_start), float(multiplier_most)
        self.caution, self.cost_learning_rate = float(caution), float(cost_learning_rate)
        self.cost_net, self.cost_gae_lambda = tuple(cost_net), float(cost_gae_lambda)
        rates = (self.multiplier_rate, self.multiplier_rate_final, self.proportional, self.derivative)
        if min(*rates, self.multiplier_start, self.caution) < 0.0:
            raise ValueError("rates and starts of multipliers, and caution, must not be below 0")
        if not self.multiplier_most > 0.0 or self.multiplier_start > self.multiplier_most:
            raise ValueError(f"multiplier_most must be above 0 and not below multiplier_start, not {multiplier_most}")
        if not 0.0 <= self.cost_gae_lambda <= 1.0 or not self.cost_learning_rate > 0.0:
            raise ValueError(
                f"cost_gae_lambda must be from 0 to 1 and cost_learning_rate above 0, not {cost_gae_lambda} and {cost_learning_rate}"
            )
        super().__init__(policy, env, **more)

    def _setup_model(self) -> None:
        super()._setup_model()
        if not self.cost_limits:
            raise ValueError("there must be a limit: cost_limits={name of a cost: the most that the mean episode may cost}")
        wrong = [f"{name}={limit:g}" for name, limit in self.cost_limits.items() if limit < 0.0]
        if wrong:
            raise ValueError(f"limits must not be below 0: {', '.join(wrong)}")
        if self.env is not None:
            self.refuse_unless_costed()
        k = len(self.cost_limits)
        if not hasattr(self, "latest"):  # else it is loaded, and goes on
            self.integral, self.weights = np.full(k, self.multiplier_start), np.full(k, self.multiplier_start)
            self.violation, self.latest = np.zeros(k), Latest(np.zeros(k), np.zeros(k))
        sizes = (self.policy.features_dim, *self.cost_net)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.Tanh()]
        self.cost_critic = nn.Sequential(*layers, nn.Linear(sizes[-1], k)).to(self.device)
        self.cost_optimizer = torch.optim.Adam(self.cost_critic.parameters(), self.cost_learning_rate)

    def refuse_unless_costed(self) -> None:
        """Raise ValueError if the environment has not every cost that there is a limit for."""
        base: Any = self.env.unwrapped if self.env is not None else None
        names = tuple(getattr(base, "cost_names", ()))
        unknown = [name for name in self.cost_limits if name not in names]
        if unknown:
            raise ValueError(f"there is no cost {unknown[0]!r}; the environment has {', '.join(names) or 'none'}")

    @property
    def multipliers(self) -> dict[str, float]:
        """Name -> multiplier now."""
        return dict(zip(self.cost_limits, self.weights.tolist(), strict=True))

    @property
    def episode_costs(self) -> dict[str, float]:
        """Name -> mean cost of the latest episodes (NaN before one has ended)."""
        return dict(zip(self.cost_limits, self.latest.mean.tolist(), strict=True))

    def collect_rollouts(self, env: Any, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """Collect as PPO does, and put what costs mean into the advantages."""
        base: Any = env.unwrapped
        rows = [base.cost_names.index(name) for name in self.cost_limits]
        recorder = Recorder(callback, base, rows)
        going_on = super().collect_rollouts(env, recorder, rollout_buffer, n_rollout_steps)
        if going_on:
            self.weigh(rollout_buffer, recorder)
        return going_on

    def weigh(self, buffer: Any, recorder: "Recorder") -> None:
        """Learn what costs come to, move the multipliers, and replace the buffer's advantages."""
        costs = np.stack(recorder.costs)  # (steps, envs, k)
        seen = buffer.observations
        with torch.no_grad():
            values = self.cost_values(seen).reshape(costs.shape)
            last = self.cost_values_of(self._last_obs)
            for step, i, final in recorder.cut:
                one = {name: part[None] for name, part in final.items()} if isinstance(final, dict) else final[None]
                costs[step, i] += self.gamma * self.cost_values_of(one)[0]
        advantages = self.cost_advantages(costs, values, last, buffer.episode_starts)
        self.move_multipliers(recorder.episodes)
        total = standardised(buffer.advantages)
        for number, weight in enumerate(self.weights):
            total = total - weight * standardised(advantages[..., number])
        buffer.advantages = (total / (1.0 + self.weights.sum())).astype(buffer.advantages.dtype)
        self.learn_costs(seen, advantages + values)
        for name, weight, mean in zip(self.cost_limits, self.weights, self.latest.mean, strict=True):
            self.logger.record(f"costs/{name}", mean)
            self.logger.record(f"multipliers/{name}", weight)

    def cost_advantages(self, costs: Floats, values: Floats, last: Floats, starts: npt.NDArray[Any]) -> Floats:
        """Return generalised advantages of costs, (steps, envs, k); ``starts`` (steps, envs) says where an episode begins."""
        advantages, ahead = np.zeros_like(costs), np.zeros_like(last)
        for step in reversed(range(len(costs))):
            ends = self._last_episode_starts if step == len(costs) - 1 else starts[step + 1]
            going = 1.0 - np.asarray(ends, dtype=np.float64)[:, None]
            following = last if step == len(costs) - 1 else values[step + 1]
            surprise = costs[step] + self.gamma * following * going - values[step]
            ahead = surprise + self.gamma * self.cost_gae_lambda * going * ahead
            advantages[step] = ahead
        return advantages

    def move_multipliers(self, episodes: list[Floats]) -> None:
        """Move each multiplier by the violation of its limit, as the episodes that have ended show it."""
        if not episodes:
            return
        self.latest.add(np.array(episodes))
        limits = np.array(list(self.cost_limits.values()))
        above = self.latest.mean + self.caution * self.latest.standard_error - limits
        violation = np.clip(above / np.where(limits > 0.0, limits, 1.0), -1.0, 1.0)
        rate = self.multiplier_rate_final + (self.multiplier_rate - self.multiplier_rate_final) * self._current_progress_remaining
        self.integral = np.clip(self.integral + rate * violation, 0.0, self.multiplier_most)
        rising = np.maximum(violation - self.violation, 0.0)
        self.violation = violation
        self.weights = np.clip(self.integral + self.proportional * violation + self.derivative * rising, 0.0, self.multiplier_most)

    def learn_costs(self, seen: Any, targets: Floats) -> None:
        """Fit the critic of costs to what they came to."""
        n = targets.shape[0] * targets.shape[1]
        flat = torch.as_tensor(targets.reshape(n, -1), dtype=torch.float32, device=self.device)
        with torch.no_grad():
            features = self.features_of(flattened(seen))
        for _ in range(self.n_epochs):
            for rows in torch.split(torch.randperm(n, device=self.device), self.batch_size):
                loss = nn.functional.mse_loss(self.cost_critic(features[rows]), flat[rows])
                self.cost_optimizer.zero_grad()
                torch.autograd.backward(loss)
                self.cost_optimizer.step()

    def features_of(self, observations: Any) -> Tensor:
        """Return the policy's features of a batch of observations, (n, features)."""
        found = self.policy.extract_features(obs_as_tensor(observations, self.device), self.policy.vf_features_extractor)
        assert isinstance(found, Tensor)
        return found

    def cost_values(self, seen: Any) -> Floats:
        """Return what costs will come to from a rollout's observations, (steps * envs, k)."""
        return self.cost_values_of(flattened(seen))

    def cost_values_of(self, observations: Any) -> Floats:
        """Return what costs will come to from observations, (n, k)."""
        return np.asarray(self.cost_critic(self.features_of(observations)).cpu().numpy(), dtype=np.float64)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, others = super()._get_torch_save_params()
        return [*modules, "cost_critic", "cost_optimizer"], others

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "cost_critic", "cost_optimizer"]


@dataclass
class Latest:
    """Costs of the latest episodes: each episode's weight is a fixed share of the next one's, those of one rollout weigh alike.

    Attributes:
        first, second: weighted sums of costs and of their squares, (k,); weight, squares: sums of weights and of their squares.
    """

    first: Floats
    second: Floats
    weight: float = 0.0
    squares: float = 0.0

    def add(self, episodes: Floats) -> None:
        """Take in the episodes of a rollout, (m, k)."""
        kept = REMEMBERED ** len(episodes)
        new = 1.0 - kept
        self.first = kept * self.first + new * episodes.mean(axis=0)
        self.second = kept * self.second + new * (episodes**2).mean(axis=0)
        self.weight, self.squares = kept * self.weight + new, kept**2 * self.squares + new**2 / len(episodes)

    @property
    def mean(self) -> Floats:
        """Their mean, (k,); NaN before one has ended."""
        return self.first / self.weight if self.weight > 0.0 else np.full_like(self.first, np.nan)

    @property
    def standard_error(self) -> Floats:
        """The standard error of the mean, (k,)."""
        variance = np.maximum(self.second / self.weight - self.mean**2, 0.0)
        return np.asarray(np.sqrt(variance * self.squares) / self.weight)


class Recorder(BaseCallback):
    """Notes the costs of every step beside what another callback does."""

    def __init__(self, inner: BaseCallback, base: Any, rows: list[int]) -> None:
        super().__init__()
        self.inner, self.base, self.rows = inner, base, rows
        self.costs: list[Floats] = []
        self.cut: list[tuple[int, int, Any]] = []  # step, environment, last observation of an episode that was cut short
        self.episodes: list[Floats] = []  # costs of episodes that have ended, (k,) each

    def on_rollout_start(self) -> None:
        """Hand on."""
        self.inner.on_rollout_start()

    def on_rollout_end(self) -> None:
        """Hand on."""
        self.inner.on_rollout_end()

    def update_locals(self, locals_: dict[str, Any]) -> None:
        """Hand on."""
        super().update_locals(locals_)
        self.inner.update_locals(locals_)

    def on_step(self) -> bool:
        """Note the step's costs, and hand on."""
        now, names = np.asarray(self.base.last_costs, dtype=np.float64), self.base.cost_names
        self.costs.append(now[:, self.rows])
        for i in np.flatnonzero(self.locals["dones"]).tolist():
            info = self.locals["infos"][i]
            if info.get("TimeLimit.truncated", False):
                self.cut.append((len(self.costs) - 1, i, info["terminal_observation"]))
            self.episodes.append(np.array([info["episode"]["costs"][names[row]] for row in self.rows]))
        return self.inner.on_step()

    def _on_step(self) -> bool:
        return True


def standardised(values: npt.NDArray[Any]) -> Floats:
    """Return values in units of their spread, around 0."""
    centred = values.astype(np.float64) - values.mean()
    return np.asarray(centred / (centred.std() + SMALLEST_SPREAD))


def flattened(seen: Any) -> Any:
    """Return a rollout's observations as one batch, or a dict of such."""
    if isinstance(seen, dict):
        return {name: part.reshape(-1, *part.shape[2:]) for name, part in seen.items()}
    return seen.reshape(-1, *seen.shape[2:])
