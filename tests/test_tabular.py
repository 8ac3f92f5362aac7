"""Courses that are tables: sampling, dynamic programming on a case that can be done by hand, learning, files, and the command."""

import json

import gymnasium as gym
import numpy as np
import pytest

from medsim.cli.main import main
from medsim.core.decision_tables import DecisionTable, deterministic_table, soft_table
from medsim.core.tabular import alias_cells
from medsim.core.tabular_kernels import STATE
from medsim.evaluation.exact import Problem, backward_induction, evaluate_table, policy_iteration, value_iteration
from medsim.evaluation.q_learning import QLearning, learn
from medsim.evaluation.scoring import exact_score
from medsim.policies.policy import FunctionPolicy
from medsim.policies.table import load_table, save_table
from medsim.registry import make_task

SCM = "medsim/SepsisSCM-v0"


def test_an_alias_table_keeps_the_probabilities():
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 90):
        p = rng.dirichlet(np.full(count, 0.3))
        cells = alias_cells(p, np.arange(count) + 5)
        shares = np.zeros(count + 5)
        for cell in cells.tolist():
            first = (cell >> 32) / 2**31
            shares[(cell >> 16) & 0xFFFF] += first / count
            shares[cell & 0xFFFF] += (1.0 - first) / count
        np.testing.assert_allclose(shares[5:], p, atol=1e-9)


def test_a_fair_share_of_every_state_is_drawn():
    task = make_task(SCM)
    n = 200_000
    batch = task.make_batch(n, mode=2)
    batch.seed(3)
    batch.reset()
    found = np.bincount(batch.lanes[:, STATE], minlength=1440) / n
    assert (np.abs(found - task.start) <= 5.0 * (task.start * (1.0 - task.start) / n) ** 0.5).all()


def test_threads_change_nothing():
    courses = []
    for threads in (1, 2):
        env = gym.make_vec(SCM, num_envs=101, threads=threads)
        env.reset(seed=4)
        courses.append(np.stack([env.step(np.arange(101) % 8)[0] for _ in range(30)]))
    np.testing.assert_array_equal(*courses)


# Dynamic programming


def test_values_of_one_policy_obey_bellmans_equation_and_the_visits_agree():
    task = make_task(SCM, horizon="infinite")
    problem = Problem(task)
    actions, values, _ = policy_iteration(problem)
    np.testing.assert_allclose(problem.q_values(values).max(axis=1), values, atol=1e-9)
    table = deterministic_table("full_no_deadline", actions, 8)
    assert evaluate_table(problem, table).value == pytest.approx(task.start @ values, abs=1e-12)


def test_value_iteration_and_policy_iteration_agree():
    problem = Problem(make_task(SCM, horizon="infinite", version="icml2019"))
    by_values, values, _ = value_iteration(problem, tolerance=1e-12)
    by_policies, exact, _ = policy_iteration(problem)
    np.testing.assert_allclose(values, exact, atol=1e-9)
    assert np.mean(by_values == by_policies) > 0.99  # but for what is as good to 1e-9


def test_no_policy_beats_backward_induction_and_its_value_is_what_it_promises():
    task = make_task(SCM)
    problem = Problem(task)
    plan, values = backward_induction(problem)
    best = evaluate_table(problem, deterministic_table("full", plan, 8))
    assert best.value == pytest.approx(task.start @ values, abs=1e-12)
    rng = np.random.default_rng(1)
    for _ in range(5):
        other = DecisionTable(observation="full", probabilities=rng.dirichlet(np.ones(8), (20, 1440)))
        assert evaluate_table(problem, other).value < best.value


def test_exact_values_are_the_mean_of_rollouts():
    from medsim.evaluation.rollout import evaluate
    from medsim.policies import reference_policies

    policy = reference_policies(SCM)["physician-soft"]()
    exact = exact_score(SCM, policy).exact
    played = evaluate(SCM, policy, patients=8000, seed=9)
    assert abs(played.returns.mean() - exact.value) < 4.0 * played.returns.std() / 8000**0.5
    for name, value in exact.costs.items():
        assert abs(played.costs[name].mean() - value) < 4.0 * played.costs[name].std() / 8000**0.5
    assert abs(played.metrics["length"].mean() - exact.length) < 4.0 * played.metrics["length"].std() / 8000**0.5


def test_a_policy_of_the_steps_left_is_valued_by_the_step():
    """A function of the observation is asked at every number of steps left."""
    columns = {name: k for k, name in enumerate(make_task(SCM).view.names)}
    late = FunctionPolicy("late", lambda seen: np.where(seen[:, columns["steps_left"]] > 10, 0, 6))
    by_hand = np.repeat(np.eye(8)[[0, 6]], [10, 10], axis=0)[:, None]
    wanted = evaluate_table(Problem(make_task(SCM, cohort="test")), DecisionTable(observation="any", probabilities=by_hand))
    assert exact_score(SCM, late).exact.value == pytest.approx(wanted.value, abs=1e-12)


def test_a_policy_with_a_memory_has_no_exact_value():
    class Counts:
        name, options = "counts", {}

        def begin(self, env):
            self.seen = 0

        def act(self, observations):
            self.seen += 1
            return np.full(len(observations), self.seen % 8)

    assert exact_score(SCM, Counts()) is None
    assert exact_score("medsim/Glucose-v0", FunctionPolicy("none", lambda seen: np.zeros(len(seen), dtype=int))) is None


def test_the_probabilities_of_a_policy_are_used_where_it_tells_them():
    class Half(FunctionPolicy):
        def probabilities(self, observations):
            return np.tile([0.5, 0, 0, 0, 0, 0, 0.5, 0], (len(observations), 1))

    half = DecisionTable(observation="any", probabilities=np.array([[[0.5, 0, 0, 0, 0, 0, 0.5, 0]]]))
    wanted = evaluate_table(Problem(make_task(SCM, cohort="test")), half).value
    assert exact_score(SCM, Half("half", lambda seen: seen)).exact.value == pytest.approx(wanted, abs=1e-12)


def test_a_soft_table_errs_as_often_as_it_says():
    table = soft_table(deterministic_table("index", np.array([2, 0]), 8), 0.07)
    np.testing.assert_allclose(table.probabilities[0, 0], [0.01, 0.01, 0.93, 0.01, 0.01, 0.01, 0.01, 0.01])


# Learning and the command


def test_q_learning_finds_most_of_what_there_is_to_gain():
    task = make_task(SCM, observation="index")
    found = learn(task, QLearning(steps=600_000, patients=512, seed=1))
    again = learn(task, QLearning(steps=600_000, patients=512, seed=1))
    assert found.curve[-1][1] > 0.0 > -0.7164
    assert found.curve == again.curve


@pytest.mark.parametrize(("options", "observation"), [([], "full"), (["--set", "horizon=infinite"], "full")])
def test_what_solve_writes_evaluate_takes(options, observation, tmp_path, capsys):
    file = tmp_path / "policy.npz"
    assert main(["solve", SCM, "--method", "value-iteration", "--out", str(file), "--json", *options]) == 0
    solved = json.loads(capsys.readouterr().out)
    assert solved["observation"] == observation
    assert main(["evaluate", SCM, "--policy", str(file), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["exact"] is True
    assert result["return"] == pytest.approx(solved["return"], abs=1e-12)
    assert result["return"] == pytest.approx(0.7437 if options else 0.5808, abs=6e-5)
    assert main(["evaluate", SCM, "--policy", str(file), "--json", "--rollouts", "--patients", "50"]) == 0
    (played,) = json.loads(capsys.readouterr().out)
    assert played["exact"] is False
    assert len(played["returns"]) == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "medsim/Glucose-v0", "--method", "q-learning"], "is no table"),
        (["solve", SCM, "--method", "value-iteration", "--set", "observation=index"], "hides a part of the state"),
        (["solve", SCM, "--method", "policy-iteration"], "without a deadline"),
        (["solve", SCM, "--method", "q-learning", "--steps", "0"], "--steps must be 1 or more"),
        (["solve", SCM, "--method", "value-iteration", "--gamma", "1.5"], "discount must be from 0 to 1"),
        (["evaluate", SCM, "--policy", "nothing.npz"], "is not a policy file"),
        (["evaluate", "medsim/Glucose-v0", "--policy", "random", "--patients", "1", "--gamma", "0.9"], "--gamma is for exact values"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_value(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_policy_file_keeps_the_policy_and_is_refused_elsewhere(tmp_path):
    file = tmp_path / "half.npz"
    table = DecisionTable(observation="index", probabilities=np.full((1, 720, 8), 0.125), facts={"made": "by hand"})
    save_table(file, table, SCM, {"version": "icml2019"}, "half")
    policy = load_table(file, SCM)
    assert policy.options == {"version": "icml2019"}
    assert exact_score(SCM, policy).exact.value == pytest.approx(-0.7588, abs=6e-5)
    with pytest.raises(ValueError, match="a policy for medsim/SepsisSCM-v0, not for medsim/ICUSepsis-v0"):
        load_table(file, "medsim/ICUSepsis-v0")
