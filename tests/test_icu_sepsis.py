"""``medsim/ICUSepsis-v0``: values that the published figures round to, and the original environment step by step."""

import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from medsim.core.decision_tables import deterministic_table
from medsim.core.tabular_kernels import STATE
from medsim.evaluation.exact import Problem, evaluate_table, policy_iteration
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.registry import card, make_task

ENV = "medsim/ICUSepsis-v0"
needs_tables = pytest.mark.skipif(not card(ENV).available, reason=f"{ENV} needs the package icu-sepsis: pip install 'medsim[icu]'")


def score(name, gamma=None, **options):
    return exact_score(ENV, reference_policies(ENV)[name](), options=options, discount=gamma).exact


@needs_tables
@pytest.mark.parametrize(
    ("name", "gamma", "options", "value", "length"),
    [
        ("random", None, {}, 0.780071, 9.462296),
        ("random-admissible", None, {}, 0.780071, 9.462296),
        ("expert", None, {}, 0.781845, 9.237950),
        ("optimal", None, {}, 0.875142, 10.991744),
        ("worst", None, {}, 0.632990, None),
        ("random", 0.99, {}, 0.719095, None),
        ("expert", 0.99, {}, 0.722158, None),
        ("random", None, {"inadmissible": "terminate"}, 0.008360, 1.0947),
        ("expert", None, {"inadmissible": "terminate"}, 0.415809, 4.6628),
        ("optimal", None, {"inadmissible": "terminate"}, 0.875142, None),
        ("fluid-4-vasopressor-4", None, {}, 0.7637, None),
        ("fluid-3-vasopressor-0", None, {}, 0.7919, None),
        ("fluid-0-vasopressor-0", None, {}, 0.7824, None),
    ],
)
def test_a_policy_is_worth_what_an_independent_computation_says(name, gamma, options, value, length):
    found = score(name, gamma, **options)
    assert found.value == pytest.approx(value, abs=6e-5 if value in (0.7637, 0.7919, 0.7824) else 6e-7)
    if length is not None:
        assert found.length == pytest.approx(length, abs=6e-5)


@needs_tables
@pytest.mark.parametrize(("gamma", "value", "undiscounted"), [(0.99, 0.801334, 0.868180), (0.9, 0.513727, 0.828753)])
def test_the_optimum_for_a_discount(gamma, value, undiscounted):
    problem = Problem(make_task(ENV), gamma)
    found = evaluate_table(problem, deterministic_table("index", policy_iteration(problem)[0], 25))
    assert found.value == pytest.approx(value, abs=6e-7)
    assert found.undiscounted == pytest.approx(undiscounted, abs=6e-7)


@needs_tables
def test_the_optimal_policy_takes_no_inadmissible_action_and_random_ones_do_no_harm_by_it():
    assert score("optimal").costs["inadmissible_action"] == 0.0
    assert score("random").value == pytest.approx(score("random-admissible").value, abs=1e-12)


@needs_tables
def test_the_published_means_are_ours_rounded():
    found = {name: score(name) for name in ("random", "expert", "optimal")}
    assert [round(found[name].value, 2) for name in found] == [0.78, 0.78, 0.88]
    lengths = {"random": 9.45, "expert": 9.22, "optimal": 10.99}  # means of 50,000 episodes
    assert all(found[name].length == pytest.approx(lengths[name], abs=0.03) for name in found)


@needs_tables
def test_frequencies_of_the_environment_are_the_tables_probabilities():
    task = make_task(ENV)
    n, start = 200_000, 103
    batch = task.make_batch(n, mode=2)
    batch.table = np.full((1, 1), float(start))
    batch.ids[:, 5] = 0
    batch.seed(3)
    batch.reset()
    batch.actions[:] = 10
    batch.step()
    found = np.bincount(batch.lanes[:, STATE], minlength=716) / n
    wanted = task.tables.transitions[start * 25 + 10].toarray().ravel()
    assert set(np.flatnonzero(found)) <= set(np.flatnonzero(wanted))
    assert (np.abs(found - wanted) <= 5.0 * (wanted * (1.0 - wanted) / n) ** 0.5 + 1e-5).all()


def test_without_its_package_it_says_what_to_install_and_the_rest_works(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "icu_sepsis" else find(name, *more)
import gymnasium as gym, medsim
from medsim.cli.main import main
assert main(["envs"]) == 0
try:
    gym.make("medsim/ICUSepsis-v0")
except ModuleNotFoundError as error:
    print(error)
"""
    done = run_python(code)
    assert "medsim/SepsisSCM-v0" in done.stdout
    assert "needs: pip install 'medsim[icu]'" in done.stdout
    assert "which is not installed: pip install 'medsim[icu]'" in done.stdout


@needs_tables
def test_the_package_itself_is_never_imported(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    code = "import gymnasium as gym, medsim, sys; gym.make('medsim/ICUSepsis-v0').reset(seed=0); print('icu_sepsis' in sys.modules)"
    assert run_python(code).stdout.strip() == "False"
