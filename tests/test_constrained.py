"""Agents that keep named harms below limits: the multipliers, the critic's advantages, and that a limit is kept where it costs return."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer

from medsim.cli.verbs import parse_settings
from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.exact import Problem
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.scoring import exact_score
from medsim.policies.policy import FunctionPolicy
from medsim.registry import make_task
from medsim_agents import load_policy, plan_training, train
from medsim_agents.constrained import REMEMBERED, Latest, PPOLagrangian, standardised
from medsim_agents.construction import load_model
from medsim_agents.policies import DrawnPolicy
from medsim_agents.run_folder import read_run
from medsim_agents.saute import Budget, PPOSaute, SautePolicy, SauteVecEnv
from medsim_agents.vec_env import make_vec_env
from medsim_agents.verbs import sort_settings

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
    return made(multiplier_rate_final=0.0).learn(100_000)


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
    model = made({"ventilation": 2.0}, multiplier_rate=0.5, multiplier_most=10.0)
    for _ in range(18):
        model.move_multipliers([np.array([4.0])])
    assert model.multipliers["ventilation"] == pytest.approx(9.0)
    for _ in range(500):
        model.move_multipliers([np.array([0.0])])
    assert model.multipliers["ventilation"] == 0.0
    model.move_multipliers([])
    assert model.episode_costs["ventilation"] == pytest.approx(0.0, abs=1e-6)


def test_a_controller_answers_at_once_to_a_violation_and_to_its_rise():
    plain, pid = (made({"ventilation": 2.0}, multiplier_most=10.0, **more) for more in ({}, {"proportional": 1.0, "derivative": 2.0}))
    for model in (plain, pid):
        model.move_multipliers([np.array([4.0])])
    assert plain.multipliers["ventilation"] == pytest.approx(0.1)
    assert pid.multipliers["ventilation"] == pytest.approx(0.1 + 1.0 + 2.0)


def test_multipliers_stop_at_their_most_and_leave_it_at_once():
    model = made({"ventilation": 2.0, "death": 0.1}, multiplier_most=0.5, caution=0.0)
    for _ in range(20):
        model.move_multipliers([np.array([4.0, 0.0])])
    assert model.multipliers == {"ventilation": 0.5, "death": 0.0}
    while model.episode_costs["ventilation"] >= 2.0:
        model.move_multipliers([np.array([0.0, 0.0])])
    assert model.multipliers["ventilation"] < 0.5


def test_the_latest_costs_are_a_weighted_mean_with_its_standard_error():
    costs = np.random.default_rng(0).exponential(size=(40, 2))
    once = Latest(np.zeros(2), np.zeros(2))
    once.add(costs)
    np.testing.assert_allclose(once.mean, costs.mean(axis=0))
    np.testing.assert_allclose(once.standard_error, costs.std(axis=0) / np.sqrt(40.0))
    one_by_one = Latest(np.zeros(2), np.zeros(2))
    for cost in costs:
        one_by_one.add(cost[None])
    weights = REMEMBERED ** np.arange(39, -1, -1)
    mean = np.average(costs, axis=0, weights=weights)
    np.testing.assert_allclose(one_by_one.mean, mean)
    variance = np.average((costs - mean) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(one_by_one.standard_error, np.sqrt(variance * (weights**2).sum()) / weights.sum())


def test_multipliers_move_in_steps_of_at_most_their_rate_which_may_change_to_the_end_of_a_training():
    model = made({"ventilation": 2.0}, multiplier_rate_final=0.0)
    model.move_multipliers([np.array([2000.0])])
    assert model.multipliers["ventilation"] == pytest.approx(0.1)
    model._current_progress_remaining = 0.25
    model.move_multipliers([np.array([2000.0])])
    assert model.multipliers["ventilation"] == pytest.approx(0.125)
    steady = made({"ventilation": 2.0})
    steady._current_progress_remaining = 0.25
    steady.move_multipliers([np.array([2000.0])])
    assert steady.multipliers["ventilation"] == pytest.approx(0.1)


def test_caution_adds_standard_errors_to_the_mean_cost():
    episodes = [np.array([cost]) for cost in (1.0, 2.8)]  # mean 1.9, standard error 0.636
    for caution, moved in ((0.0, 0.0), (1.0, 0.1 * (1.9 + 0.9 / np.sqrt(2.0) - 2.0) / 2.0)):
        model = made({"ventilation": 2.0}, caution=caution)
        model.move_multipliers(episodes)
        assert model.multipliers["ventilation"] == pytest.approx(moved)


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
        ({"caution": -1.0}, "must not be below 0"),
        ({"multiplier_most": 0.0}, "multiplier_most must be above 0"),
        ({"cost_gae_lambda": 2.0}, "cost_gae_lambda must be from 0 to 1"),
    ],
)
def test_wrong_limits_are_refused_by_name(change, said):
    with pytest.raises(ValueError, match=said):
        made(**change)


def test_there_must_be_a_limit():
    with pytest.raises(ValueError, match="there must be a limit"):
        PPOLagrangian("MlpPolicy", make_vec_env(ENV, 4, seed=0), device="cpu")


# In the registry


def planned(name, **changes):
    small = {"steps": 2560, "n_envs": 16, "n_steps": 20, "batch_size": 80, "n_epochs": 2, "validation_patients": 8, "curve_points": 2}
    return plan_training(ENV, name, **{**small, "cost_limits": {"death": 0.1, "ventilation": 3.0}, **changes})


class Broken(RuntimeError):
    """What breaks a training in these tests."""


def learnt(folder, name):
    model = load_model(name, folder / "model.zip")
    parts = [*model.policy.state_dict().values()]
    if name != "ppo-saute":
        parts += [*model.cost_critic.state_dict().values(), torch.tensor(list(model.multipliers.values()))]
        parts += [value for part in model.cost_optimizer.state_dict()["state"].values() for value in part.values()]
        parts += [torch.tensor([*model.integral, *model.violation, *model.latest.mean])]
    return parts


@pytest.mark.parametrize("name", ["ppo-lagrangian", "ppo-pid-lagrangian", "ppo-saute"])
def test_a_broken_training_goes_on_with_multipliers_critic_and_budgets_to_the_bit(name, tmp_path):
    made = 0

    def break_it(count):
        nonlocal made
        made += count
        if made >= 1600:
            raise Broken

    whole = train(planned(name), tmp_path / "whole")
    with pytest.raises(Broken):
        train(planned(name), tmp_path / "broken", break_it, checkpoint_every_s=0.0)
    broken = train(planned(name), tmp_path / "broken")
    assert isinstance(load_policy(broken), SautePolicy if name == "ppo-saute" else DrawnPolicy)
    one, other = learnt(whole, name), learnt(broken, name)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert (whole / "curve.csv").read_text().split(",")[5] == (broken / "curve.csv").read_text().split(",")[5]
    if name != "ppo-saute":
        assert load_model(name, broken / "model.zip").multipliers["ventilation"] > 0.0


def test_limits_and_what_an_algorithm_adds_are_in_the_record_and_on_the_command_line(tmp_path):
    run = read_run(train(planned("ppo-pid-lagrangian", steps=320), tmp_path))
    settings = run["training"]["hyperparameters"]
    assert settings["cost_limits"] == {"death": 0.1, "ventilation": 3.0}
    assert (settings["proportional"], settings["derivative"]) == (1.0, 1.0)
    assert """--set 'cost_limits={"death": 0.1, "ventilation": 3.0}'""" in run["command"]
    assert sort_settings("ppo-lagrangian", parse_settings(['cost_limits={"death": 0.1}'])) == ({"cost_limits": {"death": 0.1}}, {})


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, r"ppo-lagrangian needs cost_limits, such as \{\"death\": 1.0\}; costs of medsim/SepsisSCM-v0 are death, ventilation"),
        ({"hunger": 1.0}, "cost_limits: there is no cost 'hunger'; costs of medsim/SepsisSCM-v0 are death"),
        ({"death": -0.1}, "cost_limits: death must be a number, 0 or more, not -0.1"),
        ({"death": "few"}, "cost_limits: death must be a number, 0 or more, not 'few'"),
    ],
)
def test_wrong_limits_are_refused_before_anything_is_trained(limits, said):
    with pytest.raises(ValueError, match=said):
        planned("ppo-lagrangian", cost_limits=limits)


def test_a_limited_agent_of_discrete_actions_acts_by_the_chances_it_has_learnt(trained):
    policy = DrawnPolicy("agent", trained, None, {})
    found, again = evaluate(ENV, policy, patients=2000), evaluate(ENV, policy, patients=500)
    assert np.array_equal(found.returns[:500], again.returns)
    exact = exact_score(ENV, policy).exact
    assert found.costs["ventilation"].mean() == pytest.approx(exact.costs["ventilation"], abs=0.2)
    assert exact.costs["ventilation"] <= 3.3
    env = PatientVectorEnv(make_task(ENV), 64, autoreset_mode="disabled", threads=1)
    seen, _ = env.reset(seed=0)
    policy.begin(env)
    chances = policy.probabilities(seen)
    actions, likelihoods = policy.decide(seen)
    assert np.array_equal(chances[np.arange(64), actions], likelihoods)
    assert np.array_equal(likelihoods, policy.likelihood(seen, actions))
    assert len(set(actions.tolist())) > 1


# Budgets


def test_a_budget_counts_down_and_is_overspent_below_nothing():
    budget = Budget({"b": 2.0, "a": 0.0}, ("a", "b"), 2)
    assert budget.left.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    budget.spend(np.array([[0.0, 2.0], [0.0, 3.0]]))
    assert budget.left[:, 0].tolist() == [0.0, -0.5]
    assert budget.spent.tolist() == [False, True]  # the limit itself may be spent
    budget.spend(np.array([[0.5, 0.0], [0.0, 5.0]]))
    assert budget.spent.tolist() == [True, True]
    assert budget.beside(np.zeros((2, 3), dtype=np.float32)).tolist() == [[0, 0, 0, 0, -0.5], [0, 0, 0, -1, 0]]
    with pytest.raises(ValueError, match="cost_limits must be of a, b, 0 or more, not 'c'"):
        Budget({"c": 1.0}, ("a", "b"), 2)


def test_a_spent_budget_replaces_rewards_and_an_early_end_is_charged_for_what_was_not_lived():
    plain, env = make_vec_env(ENV, 32, seed=5), SauteVecEnv(make_vec_env(ENV, 32, seed=5), {"ventilation": 2.0}, unsafe_reward=-0.5)
    assert np.array_equal(env.reset()[:, :-1], plain.reset())
    rng, spent, steps, early = np.random.default_rng(0), np.zeros(32), np.zeros(32), 0
    for _ in range(60):
        actions = rng.integers(0, 8, 32)
        seen, rewards, ended, infos = plain.step(actions)
        shown, given, also_ended, told = env.step(actions)
        spent, steps = spent + plain.last_costs[:, 1], steps + 1
        over = spent > 2.0
        assert np.array_equal(ended, also_ended)
        assert np.array_equal(given[~over], rewards[~over])
        assert given[over].tolist() == (-0.5 * (1 + np.where(ended, 20 - steps, 0)))[over].tolist()
        early += (over & ended & (steps < 20)).sum()
        for row in np.flatnonzero(ended):
            assert np.array_equal(told[row]["terminal_observation"][:-1], infos[row]["terminal_observation"])
            assert told[row]["terminal_observation"][-1] == max(1.0 - spent[row] / 2.0, -1.0)
            assert told[row]["episode"]["costs"] == infos[row]["episode"]["costs"]
        spent, steps = np.where(ended, 0.0, spent), np.where(ended, 0, steps)
        assert np.array_equal(shown[:, :-1], seen)
        assert shown[:, -1].tolist() == np.maximum(1.0 - spent / 2.0, -1.0).tolist()
    assert early > 0


def best_within(budget):
    """What the best policy is worth that sees the whole state and ventilates so many steps at most, by dynamic programming."""
    task = make_task(ENV, observation="full")
    problem = Problem(task)
    ventilates = task.tables.costs["ventilation"][1].reshape(problem.states, problem.actions) > 0.0
    values = np.zeros((budget + 1, problem.states))
    for _ in range(problem.horizon):
        worth = [problem.q_values(left) for left in values]
        poorer = [np.full_like(worth[0], -np.inf), *worth[:-1]]
        values = np.array([np.where(ventilates, less, same).max(axis=1) for less, same in zip(poorer, worth, strict=True)])
    return float(task.start @ values[budget])


def test_with_a_budget_nearly_every_patient_stays_within_it_and_does_no_better_than_the_best_that_does():
    env = SauteVecEnv(make_vec_env(ENV, 64, seed=0), {"ventilation": 3.0})
    learning = {**SETTINGS, "gamma": 1.0, "ent_coef": 0.01}
    model = PPOSaute("MlpPolicy", env, cost_limits={"ventilation": 3.0}, **learning).learn(100_000)
    found = evaluate(ENV, SautePolicy("saute", model, None, {}), patients=2000)
    assert np.mean(found.costs["ventilation"] <= 3.0) > 0.97
    noise = 3.0 / np.sqrt(2000)
    assert 0.0 < found.returns.mean() < best_within(3) + noise  # the random policy: -0.72
    assert (best_within(0), best_within(20)) == pytest.approx((0.2344, 0.5808), abs=1e-4)


def test_a_budgets_policy_refuses_observations_and_environments_that_it_was_not_trained_for():
    env = SauteVecEnv(make_vec_env(ENV, 4, seed=0), {"ventilation": 3.0})
    model = PPOSaute("MlpPolicy", env, cost_limits={"ventilation": 3.0}, **SETTINGS)
    with pytest.raises(ValueError, match="was trained on other observations"):
        evaluate(ENV, SautePolicy("saute", model, None, {}), options={"observation": "full"}, patients=2)
    with pytest.raises(ValueError, match="a budget is shown beside rows of numbers, not beside Discrete"):
        SauteVecEnv(make_vec_env(ENV, 4, observation="index"), {"ventilation": 3.0})
