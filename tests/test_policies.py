"""Reference policies and evaluation: doses as written down, and the ranking that any clinician would expect."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from medsim.core.streams import Key, uniform, words
from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.rollout import evaluate, rollout
from medsim.policies import reference_policies
from medsim.policies.clairvoyant import ClairvoyantPolicy
from medsim.policies.glucose import BasalBolus, FixedBasal, NoInsulin, PidInsulinFeedback
from medsim.policies.policy import Draws, FunctionPolicy, RandomPolicy
from medsim.registry import card, make_task

GLUCOSE = "medsim/Glucose-v0"


def env_for(policy, n=4, **options):
    task = make_task(GLUCOSE, **{**policy.options, "cohort": "test", **options})
    return PatientVectorEnv(task, n, autoreset_mode=AutoresetMode.DISABLED, threads=1)


def observation(env, **values):
    """Return an observation of patients at rest but for the values given."""
    rest = {"cgm_mg_per_dl": 120.0, "own_basal_u_per_h": 1.0, "carb_ratio_g_per_u": 10.0, "correction_mg_per_dl_per_u": 20.0}
    rest.update({name: 120.0 for name in env.task.view.names if name.endswith("_ago_mg_per_dl")}, **values)
    return np.array([[rest.get(name, 0.0) for name in env.task.view.names]] * env.num_envs, dtype=np.float32)


def test_a_meal_of_fifty_grams_gets_five_units_at_a_ratio_of_ten():
    policy = BasalBolus()
    env = env_for(policy)
    policy.begin(env)
    np.testing.assert_allclose(policy.act(observation(env, announced_carbs_g=50.0)), [[1.0, 5.0]] * 4)


def test_a_correction_is_added_above_150_less_the_insulin_on_board():
    policy = BasalBolus()
    env = env_for(policy)
    policy.begin(env)
    high = policy.act(observation(env, announced_carbs_g=50.0, cgm_mg_per_dl=200.0))
    np.testing.assert_allclose(high[:, 1], 5.0 + 60.0 / 20.0)
    covered = policy.act(observation(env, announced_carbs_g=50.0, cgm_mg_per_dl=200.0, insulin_on_board_u=10.0))
    np.testing.assert_allclose(covered[:, 1], 5.0)


def test_no_meal_no_bolus():
    policy = BasalBolus()
    env = env_for(policy)
    policy.begin(env)
    np.testing.assert_array_equal(policy.act(observation(env, cgm_mg_per_dl=300.0))[:, 1], 0.0)


def test_the_pid_at_its_target_gives_the_basal_rate_and_stays_there():
    policy = PidInsulinFeedback()
    env = env_for(policy)
    policy.begin(env)
    for _ in range(100):
        doses = policy.act(observation(env))
    np.testing.assert_allclose(doses[:, 0], 1.0, rtol=1e-3)


def test_the_pid_gives_more_when_glucose_is_high_and_rising_and_less_after_insulin():
    policy = PidInsulinFeedback()
    env = env_for(policy)
    policy.begin(env)
    rising = observation(env, cgm_mg_per_dl=200.0, cgm_15_min_ago_mg_per_dl=170.0)
    first = policy.act(rising)[0, 0]
    assert first > 2.0
    later = [policy.act(rising)[0, 0] for _ in range(6)]
    assert later[-1] < first, "insulin under way is fed back"


def test_the_random_policy_gives_a_patient_the_same_actions_in_any_batch():
    def actions(n):
        policy = RandomPolicy()
        env = env_for(policy, n)
        seen, _ = env.reset(seed=4)
        policy.begin(env)
        return np.array([policy.act(seen)[:3] for _ in range(50)])

    np.testing.assert_array_equal(actions(3), actions(9))
    assert set(np.unique(actions(9))) == set(range(8))


def test_every_policy_meets_the_same_meals_and_noise():
    traces = [rollout(env_for(policy, 5), policy, seed=1) for policy in (FixedBasal(), BasalBolus())]
    np.testing.assert_array_equal(traces[0].measures["carbs_g"][1:], traces[1].measures["carbs_g"][1:])
    first = [trace.measures["cgm_mg_per_dl"][0] for trace in traces]
    np.testing.assert_array_equal(*first)


def test_the_protocol_beats_basal_alone_beats_nothing_in_range_and_return():
    results = [evaluate(GLUCOSE, policy, patients=40) for policy in (NoInsulin(), FixedBasal(), BasalBolus())]
    returns = [result.returns.mean() for result in results]
    ranges = [result.metrics["time_in_range"].mean() for result in results]
    assert returns == sorted(returns)
    assert ranges == sorted(ranges)
    assert results[2].metrics["time_in_range"].mean() > 0.70, "the consensus' target for most adults"


def test_the_clairvoyant_plan_beats_the_protocol_for_every_patient():
    plan = evaluate(GLUCOSE, ClairvoyantPolicy(candidates=24, rounds=8), patients=6)
    protocol = evaluate(GLUCOSE, BasalBolus(), patients=6)
    assert (plan.returns > protocol.returns).all()


def test_a_search_returns_the_course_that_it_promised():
    policy = ClairvoyantPolicy(candidates=8, rounds=2)
    first = evaluate(GLUCOSE, policy, patients=3)
    again = evaluate(GLUCOSE, ClairvoyantPolicy(candidates=8, rounds=2), patients=3)
    np.testing.assert_array_equal(first.returns, again.returns)


def test_the_first_patients_of_a_longer_list_are_the_shorter_list():
    short = evaluate(GLUCOSE, BasalBolus(), patients=5)
    long = evaluate(GLUCOSE, BasalBolus(), patients=20)
    np.testing.assert_array_equal(short.returns, long.returns[:5])


def test_a_function_is_a_policy_and_its_record_is_complete():
    steady = FunctionPolicy("own basal", lambda seen: np.full(len(seen), 2))
    result = evaluate(GLUCOSE, steady, patients=7)
    record = result.record()
    assert len(record["returns"]) == 7
    assert sum(record["outcomes"].values()) == 7
    np.testing.assert_allclose(np.sum(list(result.costs.values()), axis=0), result.cost)


def test_the_cards_scores_place_floor_and_ceiling_at_zero_and_one():
    scores = card(GLUCOSE).scores
    assert scores.normalised(scores.floor) == 0.0
    assert scores.normalised(scores.ceiling) == 1.0
    assert 0.0 < scores.normalised(scores.protocol) < 1.0


def test_the_cards_scores_are_what_the_policies_reach_on_the_test_list():
    scores, makers = card(GLUCOSE).scores, reference_policies(GLUCOSE)
    assert evaluate(GLUCOSE, makers["random"]()).returns.mean() == pytest.approx(scores.floor, abs=0.005)
    assert evaluate(GLUCOSE, makers["basal-bolus"]()).returns.mean() == pytest.approx(scores.protocol, abs=0.005)


def test_a_rollout_refuses_an_environment_that_begins_again_by_itself():
    env = PatientVectorEnv(make_task(GLUCOSE), 2, autoreset_mode="same_step", threads=1)
    with pytest.raises(ValueError, match="disabled"):
        rollout(env, RandomPolicy(), seed=0)


def test_draws_of_all_patients_at_once_are_those_of_each_alone():
    env = env_for(RandomPolicy(), n=7)
    env.reset(seed=2**40 + 3)
    draws = Draws(env, 1_000_005)
    for step in (0, 5, 287):
        each = [[uniform(word) for word in words(Key(*(int(number) for number in row[:4]), 0), step, 1_000_005)] for row in env.batch.ids]
        np.testing.assert_array_equal(draws.at(step), each)
