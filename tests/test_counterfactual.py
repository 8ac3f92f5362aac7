"""Counterfactual episodes against their definition."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from medsim.core.decision_tables import DecisionTable
from medsim.core.streams import Key
from medsim.evaluation.counterfactual import Trajectory, counterfactual, counterfactuals, next_state, noise_given, record_trajectories
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.policies.policy import FunctionPolicy
from medsim.policies.table import TablePolicy
from medsim.registry import make_task

SCM = "medsim/SepsisSCM-v0"


def policy(name: str) -> Any:
    return reference_policies(SCM)[name]()


@lru_cache(maxsize=4)
def factual(name: str, patients: int) -> list[Trajectory]:
    return record_trajectories(SCM, policy(name), patients, seed=11)


def same(a: Trajectory, b: Trajectory) -> bool:
    return a.states.tolist() == b.states.tolist() and a.actions.tolist() == b.actions.tolist() and a.outcome == b.outcome


@pytest.mark.parametrize("name", ["physician-soft", "random", "optimal-diabetes-seen"])
@pytest.mark.parametrize("seed", [0, 1])
def test_treated_the_same_way_a_patient_has_the_same_course(name: str, seed: int) -> None:
    facts = factual(name, 300)
    assert all(map(same, facts, counterfactuals(facts, policy(name), behaviour=policy(name), seed=seed)))


@pytest.mark.parametrize("name", ["none", "antibiotics", "optimal-diabetes-seen"])
def test_averaged_over_what_happened_the_counterfactuals_are_the_intervention(name: str) -> None:
    again = counterfactuals(factual("physician-soft", 6000), policy(name), seed=2)
    values = np.array([one.value for one in again])
    exact = exact_score(SCM, policy(name)).exact
    assert abs(values.mean() - exact.value) < 4.0 * values.std() / len(values) ** 0.5
    lengths = np.array([len(one.actions) for one in again])
    assert abs(lengths.mean() - exact.length) < 4.0 * lengths.std() / len(lengths) ** 0.5


def test_the_posterior_noise_reproduces_what_happened_and_is_gumbel_on_average() -> None:
    p = np.array([0.5, 0.3, 0.2])
    rng = np.random.default_rng(0)
    noise = []
    for _ in range(20_000):
        happened = int(rng.choice(3, p=p))
        top, e = -np.log(rng.exponential()), rng.exponential(size=3)
        found = [noise_given(p[k], k == happened, top, e[k]) for k in range(3)]
        assert int(np.argmax(np.log(p) + found)) == happened
        noise.append(found)
    gumbel = np.array(noise)
    np.testing.assert_allclose(gumbel.mean(axis=0), np.euler_gamma, atol=0.04)  # averaged over what happens, the noise is what it was
    np.testing.assert_allclose(gumbel.var(axis=0), np.pi**2 / 6.0, rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(gumbel.T)[np.triu_indices(3, 1)], 0.0, atol=0.03)


def test_what_happened_stays_unless_something_else_became_relatively_more_likely() -> None:
    matrix = make_task(SCM).tables.transitions.tocsr()
    first, to, p = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data
    rng = np.random.default_rng(3)
    running = np.flatnonzero(make_task(SCM).tables.outcome_of == 0)
    changed = 0
    for number in range(1500):
        state = int(rng.choice(running[running < 720]))
        fact, other = state * 8 + int(rng.integers(8)), state * 8 + int(rng.integers(8))
        before, after = matrix[[fact]].toarray().ravel(), matrix[[other]].toarray().ravel()
        happened = int(rng.choice(1440, p=before))
        found = next_state(Key(5, 0, number, 0, 0), 0, other, fact, happened, first, to, p)
        if found != happened:
            changed += 1
            assert after[found] * before[happened] > after[happened] * before[found]  # its odds grew more
    assert changed > 100


def test_another_seed_is_another_guess_at_what_is_not_known_and_the_same_seed_the_same() -> None:
    facts = factual("physician-soft", 300)
    runs = [counterfactuals(facts, policy("random"), seed=seed) for seed in (1, 1, 2)]
    assert all(map(same, runs[0], runs[1]))
    assert not all(map(same, runs[0], runs[2]))


def test_one_trajectory_and_a_policy_are_enough() -> None:
    fact = factual("physician-soft", 300)[4]
    found = counterfactual(fact, policy("optimal-diabetes-seen"), seed=3)
    assert found.states[0] == fact.states[0]
    assert (found.states >= 720).all() == (fact.states >= 720).all(), "diabetes is the patient's own"
    assert len(found.states) == len(found.actions) + 1 == len(found.rewards) + 1


def test_plain_python_gives_the_same_counterfactuals(run_python: Callable[..., Any]) -> None:
    code = """
from medsim.evaluation.counterfactual import counterfactuals, record_trajectories
from medsim.policies import reference_policies
made = reference_policies("medsim/SepsisSCM-v0")
facts = record_trajectories("medsim/SepsisSCM-v0", made["physician"](), 12, seed=1)
print([one.states.tolist() for one in counterfactuals(facts, made["random"](), seed=4)])
"""
    assert run_python(code).stdout == run_python(code, MEDSIM_JIT="0").stdout


def test_environments_that_are_no_tables_and_policies_with_a_memory_are_refused() -> None:
    with pytest.raises(ValueError, match="is none"):
        record_trajectories("medsim/Glucose-v0", FunctionPolicy("off", lambda seen: np.zeros(len(seen), dtype=int)), 2)
    with pytest.raises(ValueError, match="may remember"):
        counterfactual(factual("physician-soft", 300)[0], policy("pomdp"))


def test_a_table_made_by_hand_is_a_policy() -> None:
    always = TablePolicy("ventilate", lambda task: DecisionTable(observation="any", probabilities=np.eye(8)[2][None, None]))
    assert (counterfactual(factual("physician-soft", 300)[0], always).actions == 2).all()
