"""Off-policy evaluation: estimators on courses that can be written out whole, so that what is unbiased is so to the last digit."""

import itertools

import numpy as np
import pytest

import medsim
from medsim.core.decision_tables import DecisionTable
from medsim.core.tabular import TabularTask
from medsim.evaluation.counterfactual import record_trajectories
from medsim.evaluation.off_policy import ESTIMATORS, Evidence, estimate, evaluate_off_policy, lower_bound, magic, values_of
from medsim.evaluation.off_policy.magic import blend, partial_returns
from medsim.evaluation.off_policy.tables import count_model, table_evidence
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.table import TablePolicy

STATES, ACTIONS, STEPS, DISCOUNT = 2, 2, 3, 0.9
RNG = np.random.default_rng(3)
MOVES = RNG.dirichlet(np.ones(STATES), size=(STATES, ACTIONS))
REWARDS = RNG.normal(size=(STATES, ACTIONS))
BEHAVIOUR, TARGET = (RNG.dirichlet(np.ones(ACTIONS) * 3, size=STATES) for _ in range(2))


def true_values():
    """q (steps, states, actions) and v (steps + 1, states) of the target."""
    q, v = np.zeros((STEPS, STATES, ACTIONS)), np.zeros((STEPS + 1, STATES))
    for step in reversed(range(STEPS)):
        q[step] = REWARDS + DISCOUNT * MOVES @ v[step + 1]
        v[step] = (TARGET * q[step]).sum(1)
    return q, v


def every_course(q=None, v=None):
    """All courses from state 0 as evidence, and the probability of each under the behaviour."""
    rows, chances = [], []
    for actions in itertools.product(range(ACTIONS), repeat=STEPS):
        for later in itertools.product(range(STATES), repeat=STEPS - 1):
            states = (0, *later)
            chance = np.prod([BEHAVIOUR[s, a] for s, a in zip(states, actions, strict=True)])
            chance *= np.prod([MOVES[states[t], actions[t], states[t + 1]] for t in range(STEPS - 1)])
            rows.append((states, actions))
            chances.append(chance)
    states, actions = (np.array([row[k] for row in rows]) for k in (0, 1))
    at = np.arange(STEPS)
    model = {} if q is None else {"q": q[at, states, actions], "v": v[at, states]}
    evidence = Evidence(
        rewards=REWARDS[states, actions], target=TARGET[states, actions], behaviour=BEHAVIOUR[states, actions], discount=DISCOUNT, **model
    )
    return evidence, np.array(chances)


@pytest.mark.parametrize("name", ["is", "pdis", "wis", "cwpdis"])
def test_importance_sampling_over_all_courses_is_the_policys_value(name):
    evidence, chances = every_course()
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)
    assert values_of(evidence, [name], chances[None])[name][0] == pytest.approx(true_values()[1][0, 0], abs=1e-12)


@pytest.mark.parametrize("name", ["dr", "wdr"])
def test_doubly_robust_is_right_whatever_the_model_says(name):
    q = RNG.normal(size=(STEPS, STATES, ACTIONS))
    evidence, chances = every_course(q, (TARGET * q).sum(-1))
    assert values_of(evidence, [name], chances[None])[name][0] == pytest.approx(true_values()[1][0, 0], abs=1e-12)
    assert abs(values_of(evidence, ["dm"], chances[None])["dm"][0] - true_values()[1][0, 0]) > 0.1


def test_the_right_model_is_right_and_takes_most_of_the_spread():
    q, v = true_values()
    evidence, chances = every_course(q, v[:-1])
    counts = np.random.default_rng(0).multinomial(100, chances, size=500).astype(float)
    drawn = values_of(evidence, list(ESTIMATORS), counts)
    assert np.ptp(drawn["dm"]) == pytest.approx(0.0, abs=1e-12)
    assert drawn["dr"].std() < drawn["pdis"].std() < drawn["is"].std() * 1.05
    assert drawn["wis"].std() < drawn["is"].std()


def test_a_written_out_example():
    evidence = Evidence(
        rewards=np.array([[1.0, 2.0], [3.0, 0.0]]), target=np.array([[0.5, 0.5], [0.1, 1.0]]),
        behaviour=np.array([[0.25, 0.5], [0.2, 1.0]]),
        discount=0.5, q=np.array([[1.0, 1.0], [2.0, 0.0]]), v=np.array([[1.0, 0.5], [1.0, 0.0]]),
    )  # fmt: skip  # ratios 2, 2 and 0.5, 0.5; returns 2 and 3
    said = {name: estimate(evidence, name) for name in ESTIMATORS}
    assert said["is"] == pytest.approx((2 * 2 + 0.5 * 3) / 2)
    assert said["wis"] == pytest.approx((2 * 2 + 0.5 * 3) / 2.5)
    assert said["pdis"] == pytest.approx((2 * 1 + 0.5 * 2 * 2 + 0.5 * 3) / 2)
    assert said["cwpdis"] == pytest.approx((2 * 1 + 0.5 * 3) / 2.5 + 0.5 * (2 * 2) / 2.5)
    assert said["dm"] == pytest.approx(1.0)
    assert said["dr"] == pytest.approx(((2 * 0 + 1) + 0.5 * (2 * 1 + 2 * 0.5) + (0.5 * 1 + 1)) / 2)
    assert said["wdr"] == pytest.approx((2 * 0 + 0.5 * 1) / 2.5 + 1 + 0.5 * (2 * 1 / 2.5 + 2 * 0.5 / 2.5))
    assert evidence.effective_sample_size == pytest.approx(2.5**2 / (4 + 0.25))


def test_on_policy_the_importance_sampling_family_is_the_mean_return():
    task_id, expert = "medsim/ICUSepsis-v0", reference_policies("medsim/ICUSepsis-v0")["expert"]()
    episodes = record_trajectories(task_id, expert, 300, seed=2)
    evidence = table_evidence(episodes, expert, expert)
    mean = np.mean([one.value for one in episodes])  # its discount is 1
    for name in ("is", "pdis", "wis", "cwpdis"):
        assert estimate(evidence, name) == pytest.approx(mean, abs=1e-12)
    assert evidence.effective_sample_size == pytest.approx(300)


def test_on_policy_a_counted_model_is_near_the_exact_value():
    task_id = "medsim/SepsisSCM-v0"
    policy = reference_policies(task_id)["random"]()
    policy = TablePolicy("even", lambda task: DecisionTable(observation="any", probabilities=np.full((1, 1, 8), 1 / 8)))
    episodes = record_trajectories(task_id, policy, 2000, seed=4)
    found = evaluate_off_policy(table_evidence(episodes, policy, policy))
    truth = exact_score(task_id, policy)
    assert truth is not None
    for name in ("dm", "wdr", "dr", "wis"):
        assert found.estimates[name].value == pytest.approx(truth.exact.value, abs=0.1)
    assert found.enough
    assert found.refusal == ""


def test_a_policy_far_from_what_was_done_is_not_ranked():
    task_id = "medsim/ICUSepsis-v0"
    policies = reference_policies(task_id)
    expert, optimal = policies["expert"](), policies["optimal"]()
    found = evaluate_off_policy(table_evidence(record_trajectories(task_id, expert, 500, seed=3), expert, optimal))
    assert not found.enough
    assert "500 episodes are worth" in found.refusal


def test_magic_lies_between_the_model_and_wdr_and_finds_the_model_that_is_right():
    q, v = true_values()
    good, chances = every_course(q, v[:-1])
    drawn = np.random.default_rng(1).choice(len(chances), size=200, p=chances / chances.sum())

    def some(evidence):
        return Evidence(
            **{name: getattr(evidence, name)[drawn] for name in ("rewards", "target", "behaviour", "q", "v")}, discount=DISCOUNT
        )

    sample = some(good)
    parts = partial_returns(sample)
    assert parts[:, 0].sum() == pytest.approx(estimate(sample, "dm"))
    assert parts[:, -1].sum() == pytest.approx(estimate(sample, "wdr"))
    assert magic(sample) == pytest.approx(v[0, 0], abs=0.02)
    wrong, _ = every_course(q + 3.0, v[:-1] + 3.0)
    assert abs(magic(some(wrong)) - estimate(some(wrong), "dm")) > 2.0


def test_the_blend_is_the_best_corner_or_better():
    error = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    np.testing.assert_allclose(blend(error), [0.25, 0.5, 0.25], atol=1e-5)
    np.testing.assert_allclose(blend(np.diag([1.0, 0.0, 5.0])), [0.0, 1.0, 0.0], atol=1e-5)


def test_the_counted_model_holds_what_was_seen():
    policy = TablePolicy("even", lambda task: DecisionTable(observation="any", probabilities=np.full((1, 1, 8), 1 / 8)))
    episodes = record_trajectories("medsim/SepsisSCM-v0", policy, 50, seed=1)
    task = medsim.registry.make_task("medsim/SepsisSCM-v0")
    assert isinstance(task, TabularTask)
    model = count_model(episodes, task.tables.states, task.tables.actions)
    assert model.tries.sum() == sum(len(one.actions) for one in episodes)
    first = episodes[0]
    assert model.tries[first.states[0], first.actions[0]] >= 1
    followed = model.followed(np.full(model.rewards.shape, 1 / 8))
    visited = model.tries.sum(1) > 0
    np.testing.assert_allclose(followed[visited].sum(1), 1.0)
    assert (followed[model.tries == 0] == 0).all()


@pytest.mark.parametrize("name", ["hoeffding", "bernstein", "t", "bootstrap"])
def test_bounds_hold_as_often_as_they_say(name):
    rng = np.random.default_rng(0)
    held = [lower_bound(rng.beta(2, 5, size=200), name, width=1.0, risk=0.1) <= 2 / 7 for _ in range(300)]
    assert np.mean(held) >= 0.86  # 0.9 less two and a half standard errors
    if name in ("t", "bootstrap"):
        assert np.mean(held) <= 0.95


def test_bernsteins_bound_is_tighter_than_hoeffdings_where_numbers_differ_little():
    values = np.full(500, 0.5) + np.random.default_rng(0).normal(0, 0.01, 500)
    assert lower_bound(values, "bernstein", width=1.0) > lower_bound(values, "hoeffding", width=1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"behaviour": np.array([[0.5, 0.0]])}, r"behaviour says 0.0 at \[0, 1\]"),
        ({"target": np.array([[0.5]])}, r"target must have the shape of the rewards, \(1, 2\), not \(1, 1\)"),
        ({"target": np.array([[0.5, np.nan]])}, "target must be finite; it is not in episode 0"),
        ({"target": np.array([[0.5, -0.1]])}, "must not be below 0"),
        ({"q": np.zeros((1, 2))}, "a model gives both q and v"),
        ({"discount": 1.5}, "discount must be from 0 to 1, not 1.5"),
        ({"rewards": np.zeros((0, 2))}, "of at least one"),
    ],
)
def test_wrong_evidence_is_refused_by_name(change, said):
    with pytest.raises(ValueError, match=said):
        Evidence(**{"rewards": np.zeros((1, 2)), "target": np.full((1, 2), 0.5), "behaviour": np.full((1, 2), 0.5), **change})


def test_what_is_not_there_is_refused_by_name():
    evidence = Evidence(rewards=np.zeros((3, 2)), target=np.full((3, 2), 0.5), behaviour=np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="no estimator is called 'vdm'"):
        estimate(evidence, "vdm")
    with pytest.raises(ValueError, match="needs a model"):
        estimate(evidence, "dr")
    with pytest.raises(ValueError, match="no bound is called 'normal'"):
        lower_bound(np.zeros(5), "normal", width=1.0)
    with pytest.raises(ValueError, match="more than the width"):
        lower_bound(np.array([0.0, 2.0]), "hoeffding", width=1.0)
    assert set(evaluate_off_policy(evidence).estimates) == {"is", "pdis", "wis", "cwpdis"}
