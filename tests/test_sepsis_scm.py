"""``medsim/SepsisSCM-v0``: its tables against the rules they are made of, and every value against an independent enumeration.

``reference/sepsis_scm_values.csv`` holds values by an enumeration of the published simulator that was written apart from this one and
agreed with its code (chi-square 0.956 a degree of freedom over 225,000 transitions).
"""

import csv
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from medsim.evaluation.belief import best_controller, controller_value, upper_bound
from medsim.evaluation.exact import Problem
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.registry import card, make_task
from medsim.treatments.sepsis_scm.model import (
    DEATH,
    DISCHARGE,
    end_of,
    index_of,
    start_probabilities,
    transition_matrix,
    variables,
)

ENV = "medsim/SepsisSCM-v0"
HEART, PRESSURE, OXYGEN, GLUCOSE, ANTIBIOTICS, VASOPRESSOR, VENTILATION, DIABETES = range(8)
ROWS = list(csv.DictReader((Path(__file__).parent / "reference" / "sepsis_scm_values.csv").open(encoding="utf-8")))


def state(**levels):
    at_rest = {"heart": 1, "pressure": 1, "oxygen": 1, "glucose": 2, "antibiotics": 0, "vasopressor": 0, "ventilation": 0, "diabetes": 0}
    return int(index_of([*{**at_rest, **levels}.values()]))


def chances(version, action, column, **levels):
    """Return the distribution of one variable after an action in a state."""
    row = transition_matrix(version, absorbing=False)[state(**levels), action]
    return np.bincount(variables(np.arange(1440))[:, column], weights=row).round(12).tolist()


# The model


@pytest.mark.parametrize("version", ["v2", "icml2019"])
def test_every_row_is_a_distribution_and_diabetes_never_changes(version):
    matrix = transition_matrix(version)
    np.testing.assert_allclose(matrix.sum(axis=-1), 1.0)
    assert (matrix >= 0.0).all()
    assert not matrix[:720, :, 720:].any()
    assert not matrix[720:, :, :720].any()


def test_there_are_416_ways_to_be_dead_one_to_be_discharged_and_37_to_start():
    ends = end_of(np.arange(720))
    assert (ends == DEATH).sum() == 416
    assert (ends == DISCHARGE).sum() == 1
    start = start_probabilities(0.2)
    assert (start[:720] > 0).sum() == (start[720:] > 0).sum() == 37
    assert start[720:].sum() == pytest.approx(0.189729, abs=1e-6)


def test_treatments_do_what_the_paper_says():
    assert chances("v2", 4, HEART, heart=2) == [0.0, 0.5, 0.5]
    assert chances("v2", 0, HEART, heart=1, antibiotics=1) == [0.0, 0.9, 0.1]
    assert chances("v2", 2, OXYGEN, oxygen=0) == [0.3, 0.7]
    assert chances("v2", 0, OXYGEN, ventilation=1) == [0.1, 0.9]
    assert chances("v2", 1, PRESSURE, pressure=0) == [0.3, 0.7, 0.0]
    assert chances("v2", 1, PRESSURE, pressure=0, diabetes=1) == [0.1, 0.5, 0.4]
    assert chances("v2", 1, PRESSURE, diabetes=1) == [0.0, 0.1, 0.9]
    assert chances("v2", 1, GLUCOSE, diabetes=1) == [0.0, 0.0, 0.5, 0.5, 0.0]
    assert chances("v2", 1, GLUCOSE) == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert chances("v2", 0, PRESSURE, vasopressor=1, diabetes=1) == [0.05, 0.95, 0.0]
    assert chances("v2", 5, PRESSURE, pressure=2) == [0.0, 0.15, 0.85]  # antibiotics first, then the vasopressor
    assert chances("v2", 0, HEART) == [0.1, 0.8, 0.1]


def test_the_papers_code_lets_glucose_rise_to_one_only():
    assert chances("icml2019", 0, GLUCOSE, glucose=4) == [0.0, 0.1, 0.0, 0.1, 0.8]
    assert chances("v2", 0, GLUCOSE, glucose=4) == [0.0, 0.0, 0.0, 0.1, 0.9]
    assert chances("icml2019", 0, GLUCOSE, glucose=3, diabetes=1) == chances("v2", 0, GLUCOSE, glucose=3, diabetes=1)


# Values


@pytest.mark.parametrize("row", ROWS, ids=[row["policy"] for row in ROWS])
@pytest.mark.parametrize("version", ["v2", "icml2019"])
@pytest.mark.parametrize(("horizon", "column"), [("20", "20_steps"), ("infinite", "discounted")])
def test_a_policy_is_worth_what_an_independent_enumeration_says(row, version, horizon, column, monkeypatch):
    monkeypatch.setattr("medsim.evaluation.scoring.scale", lambda *arguments: (0.0, 1.0))  # the scale's ends are tested by themselves
    score = exact_score(ENV, reference_policies(ENV)[row["policy"]](), options={"version": version, "horizon": horizon})
    assert score.exact.value == pytest.approx(float(row[f"{version}_{column}"]), abs=6e-5)
    assert sum(score.exact.outcomes.values()) == pytest.approx(1.0)
    if horizon == "20":
        assert score.exact.value == pytest.approx(score.exact.outcomes.get("discharge", 0.0) - score.exact.outcomes["death"])


def test_the_behaviour_policy_is_worth_what_the_paper_measured():
    score = exact_score(ENV, reference_policies(ENV)["physician-soft"](), options={"version": "icml2019"})
    assert 0.2694 < score.exact.value < 0.3510  # the paper's appendix: 0.3097 [0.2694, 0.3510]


@pytest.mark.parametrize(("version", "value"), [("icml2019", 0.4351), ("v2", 0.5643)])
def test_the_optimum_with_diabetes_hidden_lies_between_close_bounds(version, value):
    problem = Problem(make_task(ENV, version=version))
    found = controller_value(problem, best_controller(problem, 65)).value
    assert found == pytest.approx(value, abs=1e-4)
    assert found <= upper_bound(problem, 65) < found + 5e-4


def test_a_controller_is_worth_what_its_plans_say():
    problem = Problem(make_task(ENV))
    plan = best_controller(problem, 17)
    places, nodes = plan.start_nodes(problem.task.start)
    codes = plan.moves.codes[places]
    promised = (plan.plans[0, places, nodes] * np.stack([problem.task.start[codes], problem.task.start[720 + codes]], axis=-1)).sum()
    assert controller_value(problem, plan).value == pytest.approx(promised, abs=1e-12)


def test_the_belief_policy_reaches_its_exact_value_in_rollouts():
    from medsim.evaluation.rollout import evaluate
    from medsim.policies.belief import BeliefPolicy

    policy = BeliefPolicy(points=33)
    returns = evaluate(ENV, policy, patients=3000, seed=5).returns
    exact = policy.exact(make_task(ENV, cohort="test")).value
    assert abs(returns.mean() - exact) < 4.0 * returns.std() / len(returns) ** 0.5


def test_the_card_holds_the_exact_scores():
    scores, policies = card(ENV).scores, reference_policies(ENV)
    for name, stored in ((card(ENV).floor_policy, scores.floor), (card(ENV).protocol_policy, scores.protocol),
                         (card(ENV).ceiling_policy, scores.ceiling)):  # fmt: skip
        assert exact_score(ENV, policies[name]()).exact.value == pytest.approx(stored, abs=6e-5)


# The environment


def test_diabetes_is_seen_in_full_only():
    for observation in ("vector", "index", "projected"):
        view = make_task(ENV, observation=observation).view
        np.testing.assert_array_equal(view.seen(np.arange(720), 20.0), view.seen(np.arange(720, 1440), 20.0))
    assert make_task(ENV, observation="full").view.names[7] == "diabetes"


def test_after_twenty_steps_the_course_is_over_and_without_a_deadline_only_our_watching_is():
    env = gym.make(ENV)
    found = set()
    for slot in range(60):
        observation, _ = env.reset(seed=0, options={"slot": slot})
        assert observation[-1] == 20.0
        for step in range(1, 21):
            observation, reward, terminated, truncated, info = env.step(6)
            assert observation[-1] == 20.0 - step
            assert not truncated
            if terminated:
                found.add((info["outcome"], reward))
                break
    assert found == {("still_treated", 0.0), ("death", -1.0)}
    endless = make_task(ENV, horizon="infinite")
    assert not endless.has_deadline
    assert "steps_left" not in endless.view.names


def test_a_described_patient_has_possible_levels_and_is_not_over_at_the_start():
    env = gym.make(ENV, observation="full")
    observation, _ = env.reset(seed=0, options={"patient": {"like": "diabetic#001", "heart_rate": 1, "blood_pressure": 1, "glucose": 3}})
    assert observation[7] == 1.0
    assert observation[3] == 3.0
    for patient, message in (({"glucose": 7}, "glucose must be a whole number from 0 to 4"), ({"heart_rate": 1, "blood_pressure": 1,
                             "oxygen": 1, "glucose": 2}, "discharge"), ({"glucose": 1.5}, "whole number")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            env.reset(seed=0, options={"patient": patient})
