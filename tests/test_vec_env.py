"""The Stable-Baselines3 shell: the same patients as the other shells, ends told apart, costs, and what wrappers ask for."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecNormalize

import medsim  # noqa: F401  registers the environments
from medsim_agents import make_vec_env
from medsim_agents.vec_env import doses_of

ENV = "medsim/Glucose-v0"
OWN_BASAL, TEN_TIMES = 2, 7  # actions
HORIZON = 288


def until_somebody_ends(env, action, most=HORIZON):
    """Step with one action for all; return (step's number, what the step gave) of the first step in which an episode ends."""
    for step in range(1, most + 1):
        observations, rewards, ended, infos = env.step(np.full(env.num_envs, action))
        if ended.any():
            return step, observations, rewards, ended, infos
    raise AssertionError(f"no episode ended in {most} steps")


# Who the patients are


def test_a_seed_gives_the_same_batch_as_the_vector_shell_to_the_bit():
    ours, theirs = make_vec_env(ENV, 9, seed=5), gym.make_vec(ENV, num_envs=9, autoreset_mode="same_step")
    actions = np.random.default_rng(0).integers(0, 8, (40, 9))
    assert np.array_equal(ours.reset(), theirs.reset(seed=5)[0])
    for row in actions:
        observations, rewards, ended, _ = ours.step(row)
        expected, their_rewards, terminated, truncated, info = theirs.step(row)
        assert np.array_equal(observations, expected)
        assert np.array_equal(rewards, their_rewards.astype(np.float32))
        assert np.array_equal(ended, terminated | truncated)
        assert np.array_equal(ours.last_costs.T, list(info["costs"].values()))


def test_slot_k_is_the_patient_of_one_environment_with_that_slot():
    batch, single = make_vec_env(ENV, 10, seed=77), gym.make(ENV)
    first = batch.reset()
    for slot in (0, 7, 9):
        observation, _ = single.reset(seed=77, options={"slot": slot})
        assert np.array_equal(first[slot], observation)
    stepped, rewards, _, _ = batch.step(np.full(10, 4))
    observation, reward, _, _, _ = single.step(4)
    assert np.array_equal(stepped[9], observation)
    assert rewards[9] == np.float32(reward)


def test_seed_holds_for_the_next_reset_and_episodes_then_go_on():
    env = make_vec_env(ENV, 8)
    assert env.seed(3) == [3] * 8
    first, second = env.reset(), env.reset()
    env.seed(3)
    assert np.array_equal(env.reset(), first)
    assert np.array_equal(env.reset(), second)
    assert not np.array_equal(first, second)


def test_options_hold_for_the_next_reset():
    env = make_vec_env(ENV, 8, seed=0, random_start=False)
    env.set_options({"patient": "adult#001"})
    assert len(np.unique(env.reset()[:, 22])) == 1
    names = [f"adult#00{number}" for number in range(1, 9)]
    env.set_options([{"patient": name} for name in names])
    assert len(np.unique(env.reset()[:, 22])) == 8
    with pytest.raises(ValueError, match=r"differ in 'patient' alone"):
        env.set_options([{"meals": [(60 * hour, 20.0)]} for hour in range(8)])
    with pytest.raises(ValueError, match="unknown reset option 'nonsense'"):
        (env.set_options({"nonsense": 1}), env.reset())


def test_a_snapshot_brings_back_patients_and_episode_statistics():
    env = make_vec_env(ENV, 9, seed=1)
    env.reset()
    for _ in range(20):
        env.step(np.full(9, TEN_TIMES))
    kept = env.snapshot()
    one = until_somebody_ends(env, TEN_TIMES)
    other_env = make_vec_env(ENV, 9, seed=2)
    other_env.reset()
    other_env.restore(kept)
    other = until_somebody_ends(other_env, TEN_TIMES)
    i = int(np.argmax(one[3]))
    assert one[0] == other[0]
    assert np.array_equal(one[1], other[1])
    for name in ("r", "l", "cost", "costs"):
        assert one[4][i]["episode"][name] == other[4][i]["episode"][name]


# How episodes end


def test_the_horizon_truncates_and_the_final_observation_is_kept():
    env, twin = make_vec_env(ENV, 8, seed=4), gym.make_vec(ENV, num_envs=8, autoreset_mode="disabled")
    env.reset(), twin.reset(seed=4)
    step, observations, _, ended, infos = until_somebody_ends(env, OWN_BASAL)
    for _ in range(step):
        expected, _, _, truncated, _ = twin.step(np.full(8, OWN_BASAL))
    assert step == HORIZON
    assert ended.all()
    assert truncated.all()
    for i, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert info["outcome"] == "day_completed"
        assert info["outcome_time_h"] == 24.0
        assert np.array_equal(info["terminal_observation"], expected[i])
        assert info["terminal_observation"][24] == 24.0
        assert observations[i, 24] == 0.0  # already the next episode


def test_an_early_death_is_not_truncated():
    env = make_vec_env(ENV, 8, seed=0)
    env.reset()
    step, observations, _, ended, infos = until_somebody_ends(env, TEN_TIMES)
    assert step < HORIZON
    for i in np.flatnonzero(ended):
        assert infos[i]["TimeLimit.truncated"] is False
        assert infos[i]["outcome"] == "severe_hypoglycaemia"
        assert infos[i]["outcome_time_h"] == pytest.approx(step / 12.0)
        assert infos[i]["terminal_observation"][24] == pytest.approx(step / 12.0)
        assert observations[i, 24] == 0.0
    assert all(infos[i] == {} for i in np.flatnonzero(~ended))


def test_episode_statistics_are_the_sums_of_the_steps():
    env = make_vec_env(ENV, 8, seed=0)
    env.reset()
    returns, costs = np.zeros(8), np.zeros((8, len(env.cost_names)))
    for _ in range(HORIZON):
        _, rewards, ended, infos = env.step(np.full(8, TEN_TIMES))
        returns += rewards
        costs += env.last_costs
        for i in np.flatnonzero(ended):
            episode = infos[i]["episode"]
            assert episode["r"] == pytest.approx(returns[i], rel=1e-5)
            assert list(episode["costs"].values()) == costs[i].tolist()
            assert episode["cost"] == pytest.approx(costs[i].sum())
            assert infos[i]["costs"] == dict(zip(env.cost_names, env.last_costs[i].tolist(), strict=True))
            assert infos[i]["cost"] == pytest.approx(env.last_costs[i].sum())
            returns[i], costs[i] = 0.0, 0.0
    assert costs.sum() >= 0.0


# What is handed out


def test_returned_arrays_are_the_callers_own():
    env = make_vec_env(ENV, 8, seed=0)
    first = env.reset()
    kept = first.copy()
    step = env.step(np.full(8, OWN_BASAL))
    copies = [array.copy() for array in step[:3]]
    costs, kept_costs = env.last_costs, env.last_costs.copy()
    env.step(np.full(8, TEN_TIMES))
    assert np.array_equal(first, kept)
    assert all(np.array_equal(array, copy) for array, copy in zip(step[:3], copies, strict=True))
    costs += 1.0
    assert np.array_equal(costs - 1.0, kept_costs)


def test_a_wrong_action_is_refused_by_name_and_nothing_has_happened():
    env, twin = make_vec_env(ENV, 8, seed=0), make_vec_env(ENV, 8, seed=0)
    env.reset(), twin.reset()
    with pytest.raises(ValueError, match="action 8 of environment 3"):
        env.step(np.array([0, 0, 0, 8, 0, 0, 0, 0]))
    assert np.array_equal(env.step(np.full(8, 1))[0], twin.step(np.full(8, 1))[0])
    doses = make_vec_env(ENV, 8, seed=0, action="continuous")
    doses.reset()
    with pytest.raises(ValueError, match=r"nan.* of environment 0"):
        doses.step(np.full((8, 1), np.nan))


def test_wrappers_find_what_they_ask_for_and_are_told_what_there_is_not():
    env = make_vec_env(ENV, 3, seed=0)
    assert env.get_attr("render_mode") == [None] * 3
    assert env.get_attr("task", indices=[1])[0].id == ENV
    assert env.env_is_wrapped(Monitor) == [True] * 3
    assert env.env_is_wrapped(gym.wrappers.TimeLimit) == [False] * 3
    assert len(env.env_method("provenance", indices=0)) == 1
    env.set_attr("label", "a", indices=[2])
    assert env.get_attr("label") == [None, None, "a"]
    assert not env.has_attr("action_masks")
    for wrong in (lambda: env.env_method("action_masks"), lambda: env.get_attr("nonsense"), lambda: env.set_attr("task", None)):
        with pytest.raises(AttributeError):
            wrong()


def test_masks_of_a_task_reach_the_algorithm_that_asks():
    env = make_vec_env(ENV, 3, seed=0)
    object.__setattr__(env.task, "masks", lambda batch: np.arange(8) < 5 + np.zeros((batch.n, 1)))
    try:
        assert env.has_attr("action_masks")
        assert np.array_equal(np.stack(env.env_method("action_masks"))[0], [True] * 5 + [False] * 3)
        assert env.get_attr("action_masks")[2]().sum() == 5
    finally:
        object.__delattr__(env.task, "masks")


def test_stable_baselines_learns_and_evaluates_on_it():
    env = VecNormalize(make_vec_env(ENV, 8, seed=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PPO("MlpPolicy", env, n_steps=HORIZON, batch_size=8 * HORIZON, n_epochs=1, seed=0, device="cpu").learn(8 * HORIZON)
        mean, _ = evaluate_policy(model, make_vec_env(ENV, 4, seed=1), n_eval_episodes=4)
    assert np.isfinite(mean)
    assert len(model.ep_info_buffer) >= 8
    assert {"r", "l", "t", "cost", "costs"} <= set(model.ep_info_buffer[0])


# Charts: observations that are dicts of arrays

CHARTED = {"env_id": "medsim/Sepsis-v0", "observation": "ehr"}


def test_charts_are_those_of_the_vector_shell_and_the_last_one_of_an_episode_is_kept():
    ours, theirs = make_vec_env(n=9, seed=5, **CHARTED), gym.make_vec("medsim/Sepsis-v0", 9, observation="ehr", autoreset_mode="same_step")
    seen, expected = ours.reset(), theirs.reset(seed=5)[0]
    ends = 0
    for _ in range(80):
        assert seen.keys() == expected.keys() == set(ours.observation_space.keys())
        assert all(np.array_equal(seen[name], expected[name]) for name in seen)
        seen, _, ended, infos = ours.step(np.zeros(9, dtype=np.int64))
        expected, _, _, _, info = theirs.step(np.zeros(9, dtype=np.int64))
        for i in np.flatnonzero(ended):
            last = infos[i]["terminal_observation"]
            assert all(np.array_equal(last[name], info["final_obs"][name][i]) for name in seen)
            assert ours.observation_space.contains(last)
            ends += 1
    assert ends >= 9


def test_stable_baselines_learns_from_charts():
    env = VecNormalize(make_vec_env(n=4, seed=0, **CHARTED))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PPO("MultiInputPolicy", env, n_steps=80, batch_size=80, n_epochs=1, seed=0, device="cpu").learn(640)
        mean, _ = evaluate_policy(model, make_vec_env(n=2, seed=1, **CHARTED), n_eval_episodes=2)
    assert np.isfinite(mean)
    assert len(model.ep_info_buffer) >= 4


def test_doses_can_be_given_as_numbers_from_minus_one_to_one():
    space = spaces.Box(np.float32([0.0, 1.0]), np.float32([1000.0, 3.0]))
    np.testing.assert_allclose(doses_of(np.array([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [-7.0, 7.0]]), space),
                               [[0.0, 1.0], [1000.0, 3.0], [250.0, 1.5], [0.0, 3.0]])  # fmt: skip
    unit, plain = (make_vec_env("medsim/Sepsis-v0", 4, seed=3, action="continuous", unit_actions=given) for given in (True, False))
    unit.reset(), plain.reset()
    assert unit.action_space.low.tolist() == [-1.0, -1.0]
    numbers = np.float32([[-1.0, 0.5], [0.2, 0.0], [1.0, -1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(unit.step(numbers)[0], plain.step(doses_of(numbers, plain.action_space))[0])
