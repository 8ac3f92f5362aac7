"""Fitted Q evaluation (Le, Voloshin, Yue, ICML 2019): what logged episodes say a policy is worth, where no table can be counted.

The value of what was seen and done is fitted to what was earned and the value of what the policy would do then. It begins as the
return that followed in the data, and goes on towards the policy's; nothing is worth more than the best return that followed anything in
the data, nor less than the worst, which keeps values of what was never tried from running off. An episode's end is the end, whether the
course or the watching ended: estimators ask for the return of as many steps. Choices are averaged by their exact probabilities, doses
over draws.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import nn

from medsim.datasets.episodes import Episodes, patients_of
from medsim.evaluation.off_policy import Evidence, logged_evidence
from medsim.policies.chance import ByChance, likelihood
from medsim.policies.policy import Policy
from medsim_agents.offline.encoding import Encoding, encoding_of
from medsim_agents.offline.networks import follow, over_doses, over_seen
from medsim_agents.threads import single_threaded

__all__ = ["FittedQ", "asked", "fit_q", "fitted_values", "fqe_evidence"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Tensor = torch.Tensor

DRAWS = 8  # chosen: of doses, of a policy that decides by chance; their mean's error is small beside the fit's
AT_ONCE = 50_000  # chosen: steps whose values are asked for at once; a million with 8 draws each would take gigabytes
SEED_STEP = 7_919  # between the seeds of draws: the policy's own chance on the same patients, independent of what was logged


@dataclass(frozen=True, kw_only=True)
class FittedQ:
    """How values are fitted.

    Args:
        warm_steps: gradient steps on the returns that followed; steps: afterwards, on the policy's own values.
        tau: how far targets follow at each step: values travel from an end to a start of d steps in about d / tau.
    """

    warm_steps: int = 500
    steps: int = 2000
    batch_size: int = 256
    learning_rate: float = 1e-3
    net_arch: tuple[int, ...] = (64, 64)
    tau: float = 0.05


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Steps as the fit takes them; doses have a row for each draw, (n, draws, a), and choices their probabilities (n, actions).

    Attributes:
        seen, actions: (n,) or (n, ...); rewards, following: (n,), earned at once, and until the end in the data; both in spreads.
        then, asked_then: what was seen then, and what the policy asked about does then; going: (n,) 0 where the episode ended.
    """

    seen: Tensor
    actions: Tensor
    rewards: Tensor
    following: Tensor
    then: Tensor
    asked_then: Tensor
    going: Tensor


def asked(episodes: Episodes, policy: Policy) -> Array:
    """Return what a policy does in everything that was seen: probabilities (n, T + 1, actions), or doses (n, T + 1, draws, a).

    A policy with a memory remembers what was seen along the episode.

    Raises:
        ValueError: the policy needs other observations or actions than the data hold.
    """
    options: Mapping[str, Any] = {**episodes.options, **policy.options}
    env = patients_of(episodes.env_id, options, episodes.n)
    if env.single_observation_space != episodes.observation_space or env.single_action_space != episodes.action_space:
        raise ValueError(f"{policy.name} needs {env.single_observation_space} and {env.single_action_space}, and the data hold others")
    times = episodes.rewards.shape[1] + 1

    def along(seed: int, ask: Any) -> Array:
        env.reset(seed=seed)
        policy.begin(env)
        return np.stack([np.asarray(ask(episodes.seen_at(step))) for step in range(times)], axis=1)

    if isinstance(episodes.action_space, spaces.Discrete):
        count = int(episodes.action_space.n)
        if not isinstance(policy, ByChance):
            return np.eye(count, dtype=np.float32)[along(episodes.seed, policy.act).astype(np.int64)]
        if hasattr(policy, "probabilities"):
            return along(episodes.seed, policy.probabilities).astype(np.float32)
        each = [
            along(episodes.seed, lambda seen, action=action: likelihood(policy, seen, np.full(episodes.n, action)))
            for action in range(count)
        ]
        return np.stack(each, axis=-1).astype(np.float32)
    draws = DRAWS if isinstance(policy, ByChance) else 1
    return np.stack([along(episodes.seed + SEED_STEP * (draw + 1), policy.act) for draw in range(draws)], axis=2)


def fit_q(encoding: Encoding, rows: Rows, discount: float, *, bounds: tuple[float, float] = (-math.inf, math.inf), seed: int = 0,
          settings: FittedQ | None = None) -> nn.Module:  # fmt: skip
    """Return the network of the policy's values, in spreads of rewards, within bounds; the same to the bit for the same seed."""
    told = settings or FittedQ()
    generator = torch.Generator().manual_seed(seed)
    with single_threaded(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        q = over_seen(encoding, encoding.actions, told.net_arch) if encoding.actions else over_doses(encoding, 1, told.net_arch)
        optimizer = torch.optim.Adam(q.parameters(), told.learning_rate, fused=True)
        for _ in range(told.warm_steps):
            at = torch.randint(len(rows.rewards), (told.batch_size,), generator=generator)
            descend(optimizer, value(q, encoding, rows.seen[at], rows.actions[at]) - rows.following[at])
        target = copy.deepcopy(q)
        for _ in range(told.steps):
            at = torch.randint(len(rows.rewards), (told.batch_size,), generator=generator)
            with torch.no_grad():
                goal = rows.rewards[at] + discount * rows.going[at] * expected(target, encoding, rows.then[at], rows.asked_then[at])
            descend(optimizer, value(q, encoding, rows.seen[at], rows.actions[at]) - goal.clamp(*bounds))
            follow(target, q, told.tau)
    return target


def descend(optimizer: torch.optim.Optimizer, error: Tensor) -> None:
    """Make a step that lowers the squared error."""
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward((error**2).mean())
    optimizer.step()


def value(q: nn.Module, encoding: Encoding, seen: Tensor, actions: Tensor) -> Tensor:
    """Return the values (n,) of actions (n,) or doses (n, a)."""
    if encoding.actions:
        found: Tensor = q(seen).gather(1, actions[:, None])[:, 0]
        return found
    of_doses: Tensor = q(torch.cat([seen, actions], dim=1))[:, 0]
    return of_doses


def expected(q: nn.Module, encoding: Encoding, seen: Tensor, doing: Tensor) -> Tensor:
    """Return the values (n,) of what a policy does: by probabilities (n, actions), or the mean of doses (n, draws, a)."""
    if encoding.actions:
        found: Tensor = (q(seen) * doing).sum(dim=1)
        return found
    n, draws, _ = doing.shape
    return value(q, encoding, seen.repeat_interleave(draws, dim=0), doing.reshape(n * draws, -1)).view(n, draws).mean(dim=1)


def fitted_values(episodes: Episodes, policy: Policy, *, seed: int = 0, settings: FittedQ | None = None) -> tuple[Floats, Floats]:
    """Return what the fit says each logged action and each state before it are worth under a policy, q and v (n, T); 0 after the end.

    Raises:
        ValueError: the data hold charts, or the policy needs other observations or actions than they hold.
    """
    encoding, there, doing = encoding_of(episodes), episodes.there(), asked(episodes, policy)
    seen = np.asarray(episodes.observations)
    following = np.zeros_like(episodes.rewards)
    ahead = np.zeros(episodes.n)
    for step in reversed(range(following.shape[1])):
        ahead = episodes.rewards[:, step] + episodes.discount * ahead
        following[:, step] = ahead
    last = np.arange(there.shape[1]) == episodes.lengths[:, None] - 1

    def done(actions: Array) -> Tensor:
        return torch.as_tensor(actions) if encoding.actions else encoding.done(actions)

    def number(values: Array) -> Tensor:
        return torch.as_tensor(values[there].astype(np.float32))

    now = encoding.seen(seen[:, :-1][there])
    actions, asked_now = encoding.done(episodes.actions[there]), done(doing[:, :-1][there])
    rows = Rows(
        seen=now, actions=actions, rewards=number(episodes.rewards / encoding.reward_spread),
        following=number(following / encoding.reward_spread), then=encoding.seen(seen[:, 1:][there]),
        asked_then=done(doing[:, 1:][there]), going=number(~last),
    )  # fmt: skip
    bounds = float(rows.following.min()), float(rows.following.max())
    network = fit_q(encoding, rows, episodes.discount, bounds=bounds, seed=seed, settings=settings)
    q, v = np.zeros_like(episodes.rewards), np.zeros_like(episodes.rewards)
    with torch.no_grad(), single_threaded():
        parts = zip(*(one.split(AT_ONCE) for one in (now, actions, asked_now)), strict=True)
        pairs = [(value(network, encoding, rows, acts), expected(network, encoding, rows, would)) for rows, acts, would in parts]
        for found, column in ((q, 0), (v, 1)):
            found[there] = torch.cat([pair[column] for pair in pairs]).clamp(*bounds).double().numpy() * encoding.reward_spread
    return q, v


def fqe_evidence(episodes: Episodes, policy: Policy, *, seed: int = 0, settings: FittedQ | None = None) -> Evidence:
    """Return the evidence that logged episodes give of a policy, with fitted values as its model (entry point of ``medsim.value_models``).

    Raises:
        ValueError: as of ``fitted_values``, or whoever acted left no probabilities above 0.
    """
    q, v = fitted_values(episodes, policy, seed=seed, settings=settings)
    return logged_evidence(episodes, policy, q=q, v=v)
