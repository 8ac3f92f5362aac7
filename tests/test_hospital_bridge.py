"""From environments with several agents to Stable-Baselines3: batches of hospitals, and the three kinds of VecEnv."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("sb3_contrib")
import gymnasium as gym
from pettingzoo import ParallelEnv
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO

from medsim.hospital.batch import NOBODY, ShellBatch, make_decision_batch, play_batch
from medsim.hospital.draws import key_of
from medsim.hospital.evaluation import play_episode
from medsim.hospital.icu_admission import icu_admission_task
from medsim.hospital.policy import DoNothing, FunctionHospitalPolicy
from medsim.hospital.shells import HospitalEnv, HospitalShell
from medsim_agents.multi_agent import DecisionVecEnv, ModelActs, ParallelVecEnv, RoleVecEnv
from medsim_agents.multi_agent.acting import everyone
from medsim_agents.multi_agent.parallel import hospital_others, model_acts
from medsim_agents.multi_agent.role_normalisation import VecNormalizeByRole, scale_by_role
from medsim_agents.multi_agent.timed import share_counted, timed
from medsim_agents.multi_agent.views import RoleView, SharedView
from tests.toy_hospital import POLICIES, ToyEnv, best, toy_task

SMALL = {"n_steps": 32, "batch_size": 64, "n_epochs": 2, "device": "cpu", "policy_kwargs": {"net_arch": [16, 16]}}


def legal_choice(masks, rng):
    return np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])


def course_of(env, steps, seed=0):
    """What a VecEnv shows and pays under random legal actions."""
    rng = np.random.default_rng(seed)
    seen, paid = [env.reset()], []
    for _ in range(steps):
        observations, rewards, ended, _ = env.step(legal_choice(env.env_method("action_masks"), rng))
        seen.append(observations)
        paid.append((rewards, ended))
    return np.array(seen), np.array(paid)


def weights(model):
    return np.concatenate([value.detach().numpy().ravel() for value in model.policy.state_dict().values()])


# A batch of hospitals


@pytest.mark.parametrize("name", POLICIES)
def test_a_batch_plays_the_same_episodes_as_one_hospital_after_the_other(name):
    task = toy_task()
    played = play_batch(ShellBatch(task, 4), everyone(task, 4, dict.fromkeys(task.actions, POLICIES[name])), seed=5)
    alone = [play_episode(task, POLICIES[name](), seed=5, slot=slot) for slot in range(4)]
    assert played.returns.tolist() == [sum(one.terms.values()) for one in alone]
    assert played.costs[:, 0].tolist() == [one.costs["urgent_refused"] for one in alone]
    assert played.decisions.tolist() == [one.decisions for one in alone]


def test_a_batch_shows_the_asked_agent_and_zeros_beyond_its_own_numbers():
    batch = ShellBatch(toy_task(), 3)
    batch.seed(0)
    batch.reset()
    assert [batch.task.agents[agent] for agent in batch.agent] == ["manager"] * 3
    assert batch.observations.shape == (3, 3)
    assert batch.observations[0].tolist() == [0.0, 0.0, 0.0]
    assert batch.masks.tolist() == [[1, 1, 0]] * 3
    batch.step(np.zeros(3, dtype=np.int64))
    assert [batch.task.agents[agent] for agent in batch.agent] == ["door"] * 3
    assert batch.masks.tolist() == [[1, 1, 0]] * 3
    assert batch.observations[:, 1].tolist() == [2.0] * 3
    assert batch.time_h.tolist() == [0.25] * 3


def test_a_forbidden_choice_does_nothing_and_is_a_cost_and_one_outside_the_space_is_refused():
    batch = ShellBatch(toy_task(), 2)
    batch.seed(0)
    batch.reset()
    with pytest.raises(ValueError, match="the action in hospital 1 must be from 0 to 2, not 3"):
        batch.step(np.array([0, 3]))
    assert batch.time_h.tolist() == [0.0, 0.0]
    batch.step(np.array([2, 1]))  # "close" is never allowed; "open" costs 2
    assert batch.costs[:, -1].tolist() == [1.0, 0.0]
    assert batch.rewards.tolist() == [0.0, -2.0]
    assert batch.local[:, 1].tolist() == [0.0, -2.0]


def test_hospitals_outside_the_mask_and_those_that_ended_stand_still():
    batch = ShellBatch(toy_task(horizon_h=2.0), 2)
    batch.seed(0)
    batch.reset()
    batch.step(np.array([1, 1]), np.array([True, False]))
    assert batch.time_h.tolist() == [0.25, 0.0]
    assert batch.rewards.tolist() == [-2.0, 0.0]
    while not batch.ended[0]:
        batch.step(np.array([1, 1]), np.array([True, False]))
    assert batch.agent.tolist() == [NOBODY, 1]
    batch.step(np.array([1, 0]))
    assert batch.rewards[0] == 0.0
    batch.reset(batch.ended)
    assert batch.time_h.tolist() == [0.0, 0.25]
    assert batch.key(0) == key_of(0, 0, 1)
    assert batch.key(1) == key_of(0, 1, 0)


@pytest.mark.parametrize("make", [toy_task, lambda: icu_admission_task(horizon_days=3.0)], ids=["toy", "icu"])
def test_the_last_steps_costs_add_up_to_the_episodes(make):
    env, rng, sums, met = DecisionVecEnv(make(), 3, seed=4), np.random.default_rng(0), 0.0, 0
    env.reset()
    for _ in range(150):
        _, _, ended, infos = env.step(rng.integers(0, env.action_space.n, 3))  # forbidden ones too
        sums = sums + env.last_costs
        for row in np.flatnonzero(ended):
            assert infos[row]["episode"]["costs"] == dict(zip(env.cost_names, sums[row].tolist(), strict=True))
            met += sums[row].sum() > 0.0
            sums[row] = 0.0
    assert met >= 3
    assert env.cost_names[-1] == "forbidden_action"
    env.reset()
    assert not env.last_costs.any()


def test_a_batch_comes_back_to_a_snapshot_to_the_bit():
    task, rng = toy_task(), np.random.default_rng(0)
    one, other = ShellBatch(task, 3), ShellBatch(task, 3)
    one.seed([3, 4, 5], [7, 8, 9])
    one.reset()
    for _ in range(80):
        one.step(legal_choice(one.masks, rng))
        one.reset(one.ended) if one.ended.any() else None
    other.restore(pickle.loads(pickle.dumps(one.snapshot())))
    for _ in range(80):
        for name in ("agent", "observations", "masks", "ended", "time_h"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        actions = legal_choice(one.masks, rng)
        for batch in (one, other):
            batch.step(actions)
        assert np.array_equal(one.rewards, other.rewards)
        for batch in (one, other):
            batch.reset(batch.ended) if batch.ended.any() else None


def test_a_task_with_a_batch_of_its_own_is_asked_for_it():
    class Quick:
        def __init__(self, task):
            self.task = task

        def make_batch(self, n):
            return ("own", n)

    assert make_decision_batch(Quick(toy_task()), 3) == ("own", 3)
    assert isinstance(make_decision_batch(toy_task(), 3), ShellBatch)
    with pytest.raises(ValueError, match="1 hospital or more, not 0"):
        make_decision_batch(toy_task(), 0)


def test_a_batch_that_was_not_begun_together_or_with_the_wrong_seeds_is_refused():
    batch = ShellBatch(toy_task(), 2)
    with pytest.raises(ValueError, match="need as many seeds"):
        batch.seed([1, 2, 3])
    with pytest.raises(ValueError, match="must begin all hospitals"):
        batch.reset(np.array([True, False]))


# Every decision a step of one policy


def test_a_shared_policy_is_told_who_is_asked():
    task = toy_task()
    view = SharedView(task)
    rows = view(np.array([0, 1]), np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 0.0]], dtype=np.float32))
    assert rows.tolist() == [[1.0, 2.0, 3.0, 1.0, 0.0], [1.0, 2.0, 0.0, 0.0, 1.0]]
    assert view.space.high.tolist() == [5.0, 100.0, 24.0, 1.0, 1.0]
    env = DecisionVecEnv(task, 3, seed=0)
    seen, _ = course_of(env, 120)
    assert all(env.observation_space.contains(row) for row in seen.reshape(-1, 5))
    assert np.ptp(seen, axis=(0, 1)).min() > 0.0
    with pytest.raises(ValueError, match="has no role 'icu'; there are door, manager"):
        RoleView(task, "icu")


def test_an_episode_ends_as_a_time_limit_with_its_sums_and_the_next_begins():
    env, task = DecisionVecEnv(toy_task(), 2, seed=0), toy_task()
    env.reset()
    steps, ended = 0, np.zeros(2, dtype=bool)
    while not ended.any():
        observations, _, ended, infos = env.step(env.action_masks()[:, 1].astype(np.int64))  # whatever is allowed is done
        steps += 1
    alone = play_episode(task, FunctionHospitalPolicy("all", lambda agent, seen, mask: int(mask[1])), seed=0)
    assert infos[0]["TimeLimit.truncated"]
    assert infos[0]["episode"]["l"] == steps == alone.decisions
    assert infos[0]["episode"]["r"] == sum(alone.terms.values()) == -2.0 * 6
    assert infos[0]["episode"]["costs"] == {"urgent_refused": 0.0, "forbidden_action": 0.0}
    assert infos[0]["terminal_observation"].shape == (5,)
    assert observations[0].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_every_episode_has_its_own_sums_also_after_a_return_to_a_snapshot():
    def to_the_end(env):
        for _ in range(100):
            _, _, ended, infos = env.step(np.zeros(1, dtype=np.int64))
            if ended[0]:
                return infos[0]["episode"]
        raise AssertionError("no episode ended")

    env, other = DecisionVecEnv(toy_task(), 1, seed=0), DecisionVecEnv(toy_task(), 1, seed=9)
    env.reset()
    to_the_end(env)
    for _ in range(20):
        env.step(np.zeros(1, dtype=np.int64))
    other.restore(env.snapshot())
    one, again = to_the_end(env), to_the_end(other)
    alone = play_episode_after(1, DoNothing())
    assert one["l"] == again["l"] == alone.decisions
    assert one["r"] == again["r"] == sum(alone.terms.values())
    assert one["costs"] == again["costs"] == {**alone.costs, "forbidden_action": 0.0}


def play_episode_after(episodes, policy):
    """The next episode of seed 0 after some."""
    shell = HospitalShell(toy_task(), None)
    shell.begin(0, None)
    begin = shell.begin
    shell.begin = lambda seed, options: [begin(None, None) for _ in range(episodes)]
    return play_episode(toy_task(), policy, seed=0, shell=shell)


def test_copies_differ_seeds_differ_and_a_seed_gives_its_course_again():
    one, same, other = (course_of(DecisionVecEnv(toy_task(), 2, seed=seed), 60) for seed in (1, 1, 2))
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], same[1])
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0][:, 0], one[0][:, 1])


def test_local_rewards_are_those_of_whoever_acted():
    env = DecisionVecEnv(toy_task(local_rewards=True), 1, seed=0)
    env.reset()
    assert env.step(np.array([1]))[1].tolist() == [-2.0]  # the manager's bed
    assert env.step(np.array([0]))[1].tolist() in ([-10.0], [-1.0])  # the door's refusal


@pytest.mark.parametrize("algorithm", [MaskablePPO, PPO])
def test_one_seed_trains_the_same_weights_and_another_others(algorithm):
    trained = [weights(algorithm("MlpPolicy", DecisionVecEnv(toy_task(), 4), seed=seed, **SMALL).learn(256)) for seed in (0, 0, 1)]
    assert np.array_equal(trained[0], trained[1])
    assert not np.array_equal(trained[0], trained[2])


def test_a_masked_policy_never_does_what_is_forbidden():
    env = DecisionVecEnv(toy_task(), 4, seed=0)
    model = MaskablePPO("MlpPolicy", env, seed=0, **SMALL).learn(256)
    assert model.ep_info_buffer
    assert all(one["costs"]["forbidden_action"] == 0.0 for one in model.ep_info_buffer)


def test_a_hospital_with_nothing_to_decide_is_refused_rather_than_waited_for():
    with pytest.raises(ValueError, match="had no decision to make in 100 episodes"):
        RoleVecEnv(toy_task(horizon_h=0.2), 1, "door", {"manager": DoNothing}, seed=0).reset()


# A role on its own clock


def test_a_managers_step_is_four_hours_and_holds_what_the_others_earned_in_them():
    task = toy_task()
    env = RoleVecEnv(task, 2, "manager", {"door": DoNothing}, seed=3)
    env.reset()
    rewards, ended, steps = np.zeros(2), np.zeros(2, dtype=bool), 0
    while not ended.all():
        assert env.batch.time_h.tolist() == [4.0 * steps] * 2
        _, paid, ended, infos = env.step(np.zeros(2, dtype=np.int64))
        rewards += paid
        steps += 1
    assert steps == 6
    alone = [play_episode(task, DoNothing(), seed=3, slot=slot) for slot in range(2)]
    assert rewards.tolist() == [sum(one.terms.values()) for one in alone]
    assert [info["episode"]["r"] for info in infos] == rewards.tolist()


def test_a_units_step_is_its_next_event_and_managers_act_in_between():
    opened = []

    def open_at_noon(agent, seen, mask):
        opened.append(seen[1])
        return int(seen[1] == 12.0)

    env = RoleVecEnv(toy_task(), 1, "door", {"manager": lambda: FunctionHospitalPolicy("noon", open_at_noon)}, seed=0)
    env.reset()
    assert opened == [0.0]
    ended, rewards = np.zeros(1, dtype=bool), []
    while not ended.any():
        _, paid, ended, infos = env.step(np.ones(1, dtype=np.int64))
        rewards.append(float(paid[0]))
    assert opened[:6] == [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    assert sum(rewards) == -2.0
    assert infos[0]["episode"]["l"] == len(rewards) == 48
    assert np.flatnonzero(rewards).tolist() == [23]  # the door's step from 11:45 to 12:15 holds the bed opened at 12


def test_what_was_earned_before_the_first_step_is_in_the_return_and_no_step():
    env = RoleVecEnv(toy_task(), 1, "door", {"manager": lambda: FunctionHospitalPolicy("open", lambda *seen: 1)}, seed=0)
    env.reset()
    ended, rewards = np.zeros(1, dtype=bool), 0.0
    while not ended.any():
        _, paid, ended, infos = env.step(np.ones(1, dtype=np.int64))
        rewards += float(paid[0])
    assert (rewards, infos[0]["episode"]["r"]) == (-10.0, -12.0)


def test_costs_that_come_evenly_count_by_the_mean_of_the_discount_over_their_time():
    before_h, hours = np.array([0.0, 2.0, 3.0]), np.array([6.0, 1e-13, 0.5])
    grid = np.linspace(0.0, 1.0, 200_001)
    mean = [(0.8 ** (before + grid * length)).mean() for before, length in zip(before_h, hours, strict=True)]
    np.testing.assert_allclose(share_counted(0.8, before_h, hours), mean, rtol=1e-6)
    assert share_counted(1.0, before_h, hours).tolist() == [1.0] * 3


def test_with_a_discount_by_the_hour_a_step_says_what_counts_after_it_and_later_rewards_in_it_count_less():
    def open_at_noon(agent, seen, mask):
        return int(seen[1] == 12.0)

    both = []
    for gamma_h in (None, 0.5):
        others = {"manager": lambda: FunctionHospitalPolicy("noon", open_at_noon)}
        env, ended, rewards = RoleVecEnv(toy_task(), 1, "door", others, seed=0, gamma_h=gamma_h), np.zeros(1, dtype=bool), []
        env.reset()
        while not ended.any():
            before_h = env.batch.time_h.copy()
            _, paid, ended, infos = env.step(np.ones(1, dtype=np.int64))
            rewards.append(float(paid[0]))
            hours = 24.0 - before_h if ended.any() else env.batch.time_h - before_h
            assert env.discounts == pytest.approx(1.0 if gamma_h is None else gamma_h**hours)
        assert infos[0]["episode"]["r"] == -2.0
        both.append(rewards)
    # the bed opened at 12 falls into the door's step from 11:45 to 12:15, evenly over its last quarter of an hour
    assert both[0][23] == -2.0
    assert both[1][23] == pytest.approx(-2.0 * np.mean(0.5 ** np.linspace(0.25, 0.5, 100_001)), rel=1e-5)
    with pytest.raises(ValueError, match=r"gamma_h must be above 0 and at most 1, not 0.0"):
        RoleVecEnv(toy_task(), 1, "door", {"manager": DoNothing}, gamma_h=0.0)


@pytest.mark.parametrize("algorithm", [MaskablePPO, PPO])
def test_returns_of_rollouts_discount_each_step_by_its_own_time(algorithm):
    import torch

    env = RoleVecEnv(toy_task(), 3, "door", {"manager": DoNothing}, seed=0, gamma_h=0.7)
    model = algorithm("MlpPolicy", env, seed=0, gae_lambda=1.0, gamma=0.3, **SMALL)
    plain = model.rollout_buffer
    own = timed(model).rollout_buffer
    assert isinstance(own, type(plain))
    rng = np.random.default_rng(0)
    rewards, discounts = rng.normal(size=(32, 3)), rng.uniform(0.5, 1.0, (32, 3))
    ends = np.zeros((33, 3))
    ends[20, 1] = ends[32, 2] = 1.0  # before the step
    for step in range(32):
        env.discounts = discounts[step]
        seen, values = np.zeros((3, *env.observation_space.shape)), torch.as_tensor(rng.normal(size=3))
        own.add(seen, np.zeros((3, 1)), rewards[step], ends[step], values, torch.zeros(3))
    last = np.array([1.0, 2.0, 3.0])
    own.compute_returns_and_advantage(torch.as_tensor(last), ends[32])
    expected, after = np.zeros((32, 3)), last
    for step in reversed(range(32)):
        after = rewards[step] + discounts[step] * (1.0 - ends[step + 1]) * after
        expected[step] = after
    np.testing.assert_allclose(own.returns, expected, rtol=1e-4, atol=1e-5)
    model.learn(96)
    assert not np.array_equal(model.rollout_buffer.discounts[0], np.ones(3))


def test_a_role_without_a_policy_is_named():
    with pytest.raises(ValueError, match="manager of medsim/Toy-v0 need a policy to act by while door learns"):
        RoleVecEnv(toy_task(), 1, "door", {})


def test_a_trained_model_acts_for_another_role():
    task = toy_task()
    door = RoleVecEnv(task, 4, "door", {"manager": DoNothing}, seed=0)
    model = MaskablePPO("MlpPolicy", door, seed=0, **SMALL)
    env = RoleVecEnv(task, 2, "manager", {"door": ModelActs(model, None, role="door")}, seed=0)
    assert course_of(env, 12)[1].shape == (12, 2, 2)
    with pytest.raises(ValueError, match="trained on other observations or actions"):
        RoleVecEnv(task, 2, "manager", {"door": ModelActs(MaskablePPO("MlpPolicy", env, **SMALL), None, role="door")}, seed=0).reset()


def test_others_that_act_do_greedily_what_their_model_predicts_and_draw_from_its_distribution():
    import torch

    task = toy_task()
    for algorithm in (MaskablePPO, PPO):
        env = RoleVecEnv(task, 4, "door", {"manager": DoNothing}, seed=0)
        model = algorithm("MlpPolicy", env, seed=0, **{**SMALL, "learning_rate": 1e-2}).learn(512)
        masked = algorithm is MaskablePPO
        greedy = ModelActs(model, None, role="door", masks=masked)
        greedy.bind(task)
        rng = np.random.default_rng(0)
        seen = rng.uniform(0.0, 5.0, (400, 3)).astype(np.float32)[:, : model.observation_space.shape[0]]
        masks = np.array([[1, 1, 0], [1, 0, 0]], dtype=np.int8)[rng.integers(2, size=400)]
        told = {"action_masks": masks[:, :2].astype(bool)} if masked else {}
        nobody = np.zeros(400, dtype=np.int64)
        assert np.array_equal(greedy.act(nobody, seen, masks)[0], model.predict(seen, deterministic=True, **told)[0])
        draws = ModelActs(model, None, role="door", masks=masked, deterministic=False)
        draws.bind(task)
        one, own = np.repeat(seen[:1], 40_000, axis=0), np.repeat(np.array([[1, 1, 0]], dtype=np.int8), 40_000, axis=0)
        torch.manual_seed(0)
        drawn = draws.act(np.zeros(40_000, dtype=np.int64), one, own)[0]
        probability = model.policy.get_distribution(torch.as_tensor(seen[:1])).distribution.probs[0, 1].item()
        assert 0.05 < probability < 0.95
        assert abs(drawn.mean() - probability) < 4.0 * np.sqrt(probability * (1.0 - probability) / 40_000)
        own[:, 1] = 0
        assert not masked or not draws.act(np.zeros(40_000, dtype=np.int64), one, own)[0].any()


def test_a_model_sees_what_is_scaled_as_in_training_and_its_mask_and_a_number_beyond_an_agents_own_is_nothing():
    class Noted:
        observation_space, action_space = SharedView(toy_task()).space, SharedView(toy_task()).action_space
        policy = None

        def predict(self, seen, state, episode_start, deterministic, action_masks):
            self.told = seen.tolist(), action_masks.tolist(), deterministic
            return np.array([2, 2]), None

    acts = ModelActs(Noted(), lambda rows: rows * 10.0, deterministic=False)
    acts.bind(toy_task())
    seen, masks = np.array([[1, 2, 3], [1, 2, 0]], dtype=np.float32), np.array([[1, 1, 0], [1, 0, 1]], dtype=np.int8)
    assert acts.act(np.array([0, 1]), seen, masks)[0].tolist() == [0, 2]  # the door has no third action
    assert acts.model.told == ([[10, 20, 30, 10, 0], [10, 20, 0, 0, 10]], [[True, True, False], [True, False, True]], False)


# Normalisation by role


def test_each_roles_numbers_are_normalised_by_their_own_statistics():
    env = VecNormalizeByRole(DecisionVecEnv(toy_task(), 4, seed=0), norm_reward=False)
    seen, _ = course_of(env, 400)
    rows = np.concatenate([seen[200:].reshape(-1, 5)])
    door = rows[rows[:, 3] == 1.0]
    assert abs(door[:, 0].mean()) < 0.2
    assert 0.8 < door[:, 0].std() < 1.2
    manager = rows[rows[:, 4] == 1.0]  # few rows: statistics of all together would be the door's
    assert abs(manager[:, 1].mean()) < 0.2
    assert 0.8 < manager[:, 1].std() < 1.2
    assert set(np.unique(rows[:, 3:])) == {0.0, 1.0}
    raw = env.get_original_obs()
    scale = scale_by_role(env)
    np.testing.assert_allclose(scale(raw)[:, :2], env.normalize_obs(raw)[:, :2], atol=1e-5)
    np.testing.assert_allclose(env.unnormalize_obs(env.normalize_obs(raw)), raw, atol=1e-4)


def test_statistics_by_role_are_kept_and_put_back(tmp_path):
    from medsim_agents.normalisation import normaliser_state, read_scale, restore_normaliser

    one = VecNormalizeByRole(DecisionVecEnv(toy_task(), 2, seed=0))
    course_of(one, 60)
    other = VecNormalizeByRole(DecisionVecEnv(toy_task(), 2, seed=0))
    restore_normaliser(other, copy.deepcopy(normaliser_state(one)))
    rows = one.get_original_obs()
    assert np.array_equal(one.normalize_obs(rows), other.normalize_obs(rows))
    scale_by_role(one).write(tmp_path / "scale.json")
    assert read_scale(tmp_path / "scale.json") == scale_by_role(one)


# Any PettingZoo environment


class Corridor(ParallelEnv):
    """Walkers step towards an end; "short" dies on the way, "guide" is of another kind. Not of this project's making in its habits: its
    resets without a seed draw from nowhere, its agents die one by one, and its masks are in the observation or nowhere."""

    metadata = {"name": "corridor"}

    def __init__(self, masks=False, limit=10):
        self.possible_agents, self.masks, self.limit = ["long", "short", "guide"], masks, limit
        box = gym.spaces.Box(-1.0, 20.0, (2,), dtype=np.float32)
        mask = gym.spaces.Box(0, 1, (2,), dtype=np.int8)
        walker = gym.spaces.Dict({"observation": box, "action_mask": mask}) if masks else box
        self.observation_spaces = {"long": walker, "short": walker, "guide": gym.spaces.Box(0.0, 1.0, (1,), dtype=np.float32)}
        self.action_spaces = {"long": gym.spaces.Discrete(2), "short": gym.spaces.Discrete(2), "guide": gym.spaces.Discrete(3)}

    def observation_space(self, agent):
        return self.observation_spaces[agent]

    def action_space(self, agent):
        return self.action_spaces[agent]

    def see(self):
        seen = {}
        for agent in self.agents:
            row = np.array([self.time, self.luck], dtype=np.float32)
            masked = {"observation": row, "action_mask": np.array([1, self.time % 2], dtype=np.int8)}
            seen[agent] = np.zeros(1, dtype=np.float32) if agent == "guide" else masked if self.masks else row
        return seen

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        self.luck = float(np.random.default_rng(seed).random())
        return self.see(), {agent: {} for agent in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.last, self.time = actions, self.time + 1
        acted = list(self.agents)
        dies = {agent: agent == "short" and self.time == 3 for agent in acted}
        cut = dict.fromkeys(acted, self.time == self.limit)
        seen, rewards = self.see(), {agent: float(actions[agent] == 1) for agent in acted}
        self.agents = [agent for agent in acted if not dies[agent] and not cut[agent]]
        return seen, rewards, dies, cut, {agent: {} for agent in acted}


def guided(env, agent, observation, mask):
    return 2


def test_an_agent_that_dies_ends_its_row_and_stands_idle_until_the_copy_begins_anew():
    env = ParallelVecEnv(Corridor, 2, agents=["long", "short"], others=guided, seed=0)
    env.reset()
    ends = []
    for step in range(10):
        observations, rewards, ended, infos = env.step(np.ones(4, dtype=np.int64))
        ends.append(ended.tolist())
        assert env.copies[0].last["guide"] == 2
        if step == 2:
            assert not infos[1]["TimeLimit.truncated"]
            assert infos[1]["terminal_observation"][0] == 3.0
            assert infos[1]["episode"]["r"] == infos[1]["episode"]["l"] == 3
        if 2 < step < 9:
            assert rewards.tolist() == [1.0, 0.0, 1.0, 0.0]
            assert observations[1].tolist() == [0.0, 0.0]
            assert env.action_masks()[1].tolist() == [True, False]
    assert [step for step, row in enumerate(ends) if row[0]] == [9]
    assert [step for step, row in enumerate(ends) if row[1]] == [2, 9]
    assert infos[0]["TimeLimit.truncated"]
    assert infos[0]["episode"]["r"] == 10.0
    assert "episode" not in infos[1]
    assert observations[:, 0].tolist() == [0.0] * 4


def test_copies_and_episodes_differ_and_a_seed_gives_all_of_them_again():
    def luck(seed):
        env = ParallelVecEnv(lambda: Corridor(limit=2), 3, agents=["long"], others=guided)
        env.seed(seed)
        return [env.reset()[:, 1].tolist(), *(env.step(np.zeros(3, dtype=np.int64))[0][:, 1].tolist() for _ in range(8))]

    one, same, other = luck(0), luck(0), luck(1)
    assert one == same
    assert one != other
    assert len({value for row in one for value in row}) == 3 * 5  # three copies, five episodes
    assert not {value for row in one for value in row} & {value for row in other for value in row}


def test_masks_in_observations_are_taken_out_of_them_and_reach_maskable_ppo():
    env = ParallelVecEnv(lambda: Corridor(masks=True), 2, agents=["long", "short"], others=guided, seed=0)
    assert env.observation_space.shape == (2,)
    env.reset()
    assert env.env_method("action_masks")[0].tolist() == [True, False]
    env.step(np.zeros(4, dtype=np.int64))
    assert env.env_method("action_masks", indices=0)[0].tolist() == [True, True]
    model = MaskablePPO("MlpPolicy", env, seed=0, **SMALL).learn(128)
    assert model.ep_info_buffer


def test_agents_of_different_kinds_are_not_taken_for_one_role():
    with pytest.raises(ValueError, match="long and guide have different spaces and cannot share a policy"):
        ParallelVecEnv(Corridor, 1)
    with pytest.raises(ValueError, match="guide do not learn here: others must say who acts for them"):
        ParallelVecEnv(Corridor, 1, agents=["long", "short"])
    with pytest.raises(ValueError, match="there is no agent 'tall'"):
        ParallelVecEnv(Corridor, 1, agents=["tall"])


@pytest.mark.parametrize("algorithm", [PPO, DQN])
@pytest.mark.parametrize("outside", ["rock, paper, scissors", "corridor"])
def test_an_environment_from_outside_trains_reproducibly(algorithm, outside):
    settings = SMALL if algorithm is PPO else {"learning_starts": 20, "device": "cpu", "buffer_size": 500}

    def bridge():
        if outside == "corridor":
            return ParallelVecEnv(Corridor, 3, agents=["long", "short"], others=guided)
        pytest.importorskip("pygame")  # that game wants it
        from pettingzoo.classic import rps_v2
        from pettingzoo.utils.conversions import aec_to_parallel

        return ParallelVecEnv(lambda: aec_to_parallel(rps_v2.raw_env(max_cycles=15)), 3)

    trained = [weights(algorithm("MlpPolicy", bridge(), seed=seed, **settings).learn(192)) for seed in (0, 0, 1)]
    assert np.array_equal(trained[0], trained[1])
    assert not np.array_equal(trained[0], trained[2])


@pytest.mark.parametrize("options", [{}, {"mask_in_observation": True}])
def test_a_hospital_goes_through_the_general_bridge_with_reference_policies_beside_the_learner(options):
    env = ParallelVecEnv(lambda: ToyEnv(**options), 2, agents=["door"], others=hospital_others(best), seed=0)
    env.reset()
    ended = np.zeros(2, dtype=bool)
    total = np.zeros(2)
    while not ended.all():
        _, rewards, ended, infos = env.step(env.action_masks()[:, 1].astype(np.int64))
        total += rewards
    assert total.tolist() == [0.0, 0.0]
    assert infos[0]["TimeLimit.truncated"]


def test_a_trained_model_acts_for_others_in_the_general_bridge():
    door = ParallelVecEnv(ToyEnv, 2, agents=["door"], others=hospital_others(DoNothing), seed=0)
    model = MaskablePPO("MlpPolicy", door, seed=0, **SMALL)
    env = ParallelVecEnv(ToyEnv, 2, agents=["manager"], others={"door": model_acts(model)}, seed=0)
    assert course_of(env, 30)[1].shape == (30, 2, 2)


# One agent


class Door(HospitalEnv):
    """The toy with its door alone."""

    def __init__(self, **options):
        task = toy_task(**options)
        from dataclasses import replace

        super().__init__(replace(task, roles={"door": "door"}, actions={"door": task.actions["door"]}, seen={"door": task.seen["door"]},
                                 make_model=lambda key: DoorModel(task.make_model(key))))  # fmt: skip


class DoorModel:
    """The toy's model, its manager doing nothing."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)

    def run(self):
        self.model.run()
        while self.model.request is not None and self.model.request.agent == "manager":
            self.model.answer(0)
            self.model.run()


@pytest.mark.parametrize("algorithm", [MaskablePPO, PPO, DQN])
def test_a_hospital_with_one_agent_trains_with_and_without_masks(algorithm):
    settings = {"learning_starts": 50, "device": "cpu"} if algorithm is DQN else SMALL
    for env in (Door(), DecisionVecEnv(Door().task, 2)):
        model = algorithm("MlpPolicy", env, seed=0, **settings).learn(150)
        assert model.num_timesteps >= 150
    assert SharedView(Door().task).space.shape == (3,)
