"""Agents that keep named harms below limits: the multipliers, the critic's advantages, and that a limit is kept where it costs return."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer

from medsim.evaluation.rollout import evaluate
from medsim.policies.policy import FunctionPolicy
from medsim_agents.constrained import PPOLagrangian, standardised
from medsim_agents.vec_env import make_vec_env

ENV = "medsim/SepsisSCM-v0"
SETTINGS = {"n_steps": 20, "batch_size": 320, "n_epochs": 4, "learning_rate": 1e-3, "gamma": 0.99, "device": "cpu", "seed": 0}


def made(limits=None, env=None, **more):
    torch.set_num_threads(1)
    return PPOLagrangian(
        "MlpPolicy", env or make_vec_env(ENV, 64, seed=0), cost_limits=limits or {"ventilation": 3.0}, **{**SETTINGS, **more}
    )


def judged(model, deterministic):
    policy = FunctionPolicy("agent", lambda seen: model.predict(seen, deterministic=deterministic)[0])
    return evaluate(ENV, policy, patients=2000)


@pytest.fixture(scope="module")
def trained():
    return made().learn(100_000)


def test_a_limit_is_kept_that_ppo_breaks(trained):
    free = PPO("MlpPolicy", make_vec_env(ENV, 64, seed=0), **SETTINGS).learn(100_000)
    torch.manual_seed(0)
    assert judged(free, False).costs["ventilation"].mean() > 6.0
    assert judged(trained, False).costs["ventilation"].mean() <= 3.3
    assert trained.episode_costs["ventilation"] <= 3.3


def test_a_saved_agent_goes_on_with_its_multipliers_and_critic(trained, tmp_path):
    trained.save(tmp_path / "agent.zip")
    again = PPOLagrangian.load(tmp_path / "agent.zip", env=make_vec_env(ENV, 64, seed=0), device="cpu")
    assert again.multipliers == trained.multipliers
    assert again.episode_costs == trained.episode_costs
    for one, other in zip(again.cost_critic.parameters(), trained.cost_critic.parameters(), strict=True):
        assert torch.equal(one, other)
    again.learn(1280, reset_num_timesteps=False)


def test_advantages_of_costs_are_those_that_stable_baselines3_has_of_rewards(monkeypatch):
    model, seen = made({"ventilation": 3.0, "death": 0.1}), {}
    advantages = model.cost_advantages

    def noted(costs, values, last, starts):
        seen.update(
            costs=costs.copy(), values=values.copy(), last=last.copy(), starts=starts.copy(), ends=model._last_episode_starts.copy()
        )
        seen["advantages"] = advantages(costs, values, last, starts)
        return seen["advantages"]

    monkeypatch.setattr(model, "cost_advantages", noted)
    model.learn(1280)
    assert seen["starts"][1:].any()  # episodes end within
    for number in range(2):
        buffer = RolloutBuffer(20, model.observation_space, model.action_space, "cpu", model.cost_gae_lambda, model.gamma, 64)
        buffer.rewards, buffer.values = (seen[name][..., number].astype(np.float32) for name in ("costs", "values"))
        buffer.episode_starts = seen["starts"].astype(np.float32)
        buffer.compute_returns_and_advantage(torch.as_tensor(seen["last"][:, number], dtype=torch.float32), seen["ends"])
        np.testing.assert_allclose(seen["advantages"][..., number], buffer.advantages, atol=1e-4)


def test_multipliers_rise_while_a_limit_is_broken_and_fall_to_nothing_afterwards():
    model = made({"ventilation": 2.0}, multiplier_rate=0.5)
    for _ in range(50):
        model.move_multipliers([np.array([4.0])])
    high = model.multipliers["ventilation"]
    assert high > 10
    for _ in range(500):
        model.move_multipliers([np.array([0.0])])
    assert model.multipliers["ventilation"] == 0.0
    model.move_multipliers([])
    assert model.episode_costs["ventilation"] == pytest.approx(0.0, abs=1e-6)


def test_a_controller_answers_at_once_to_a_violation_and_to_its_rise():
    plain, pid = made({"ventilation": 2.0}), made({"ventilation": 2.0}, proportional=1.0, derivative=2.0)
    for model in (plain, pid):
        model.move_multipliers([np.array([4.0])])
    assert plain.multipliers["ventilation"] == pytest.approx(0.1)
    assert pid.multipliers["ventilation"] == pytest.approx(0.1 + 1.0 + 2.0)


def test_standardised_advantages_do_not_depend_on_what_is_counted():
    values = np.random.default_rng(0).normal(size=(5, 7))
    np.testing.assert_allclose(standardised(values), standardised(1000 * values + 3), atol=1e-6)
    np.testing.assert_allclose(standardised(np.full((3, 3), 2.0)), 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limits": {"hunger": 1.0}}, "there is no cost 'hunger'; the environment has death, ventilation, vasopressor"),
        ({"limits": {"death": -1.0}}, "limits must not be below 0: death=-1"),
        ({"multiplier_rate": -1.0}, "must not be below 0"),
        ({"cost_gae_lambda": 2.0}, "cost_gae_lambda must be from 0 to 1"),
    ],
)
def test_wrong_limits_are_refused_by_name(change, said):
    with pytest.raises(ValueError, match=said):
        made(**change)


def test_there_must_be_a_limit():
    with pytest.raises(ValueError, match="there must be a limit"):
        PPOLagrangian("MlpPolicy", make_vec_env(ENV, 4, seed=0), device="cpu")
