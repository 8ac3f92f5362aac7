"""Statistics of scores: against rliable's figures, known distributions and their own definitions."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, trim_mean

from medsim.evaluation import statistics
from medsim.evaluation.statistics import (
    indistinguishable_groups,
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    paired_bootstrap,
    paired_bootstrap_interval,
    pairwise_signs,
    percentile_interval,
    performance_profile,
    probability_of_improvement,
    probability_of_improvement_interval,
    rank_ranges,
    stratified_bootstrap,
    stratified_bootstrap_interval,
)

GOLDENS = json.loads((Path(__file__).parent / "reference" / "rliable_goldens.json").read_text())
X, Y = np.array(GOLDENS["x"]), np.array(GOLDENS["y"])

score_matrices = arrays(
    np.float64,
    st.tuples(st.integers(1, 7), st.integers(1, 5)),
    elements=st.floats(-100, 100).map(lambda value: round(value, 3)),
)
sign_matrices = arrays(np.int8, st.integers(1, 8).map(lambda n: (n, n)), elements=st.integers(-1, 1)).map(
    lambda any_matrix: np.triu(any_matrix, 1) - np.triu(any_matrix, 1).T
)


# Against rliable

OURS = {
    "mean": lambda: mean(X),
    "median": lambda: median(X),
    "interquartile_mean": lambda: interquartile_mean(X),
    "optimality_gap": lambda: optimality_gap(X),
    "optimality_gap_at_1.2": lambda: optimality_gap(X, 1.2),
    "interquartile_mean_of_y": lambda: interquartile_mean(Y),
    "probability_of_improvement": lambda: probability_of_improvement(X, Y),
    "performance_profile": lambda: performance_profile(X, GOLDENS["tau"]),
}
OUR_INTERVALS = {
    "mean": lambda n: stratified_bootstrap_interval(X, mean, repetitions=n),
    "median": lambda n: stratified_bootstrap_interval(X, median, repetitions=n),
    "interquartile_mean": lambda n: stratified_bootstrap_interval(X, repetitions=n),
    "optimality_gap": lambda n: stratified_bootstrap_interval(X, optimality_gap, repetitions=n),
    "probability_of_improvement": lambda n: probability_of_improvement_interval(X, Y, repetitions=n),
}


@pytest.mark.parametrize("name", GOLDENS["point"])
def test_point_estimates_equal_those_of_rliable(name):
    np.testing.assert_allclose(OURS[name](), GOLDENS["point"][name]["value"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", GOLDENS["interval"])
def test_interval_bounds_equal_those_of_rliable_but_for_the_luck_of_the_draw(name):
    np.testing.assert_allclose(OUR_INTERVALS[name](50_000), GOLDENS["interval"][name]["value"], rtol=0, atol=0.002)


# Definitions


def test_the_interquartile_mean_ignores_the_outer_quarters():
    scores = np.array([[-1e9, 0.0, 2.0, 4.0], [5.0, 6.0, 7.0, 1e9]])
    assert interquartile_mean(scores) == np.mean([2, 4, 5, 6])


def test_the_median_is_taken_over_tasks_of_the_mean_over_runs():
    assert median([[0, 10, 100], [2, 10, 300]]) == 10


def test_the_optimality_gap_gives_no_credit_for_excess():
    assert optimality_gap([[0.5, 5.0]]) == pytest.approx(0.25)


def test_the_performance_profile_is_a_share_that_falls():
    profile = performance_profile([[0.0, 1.0], [2.0, 3.0]], [-1, 0, 0.5, 2.5, 3])
    np.testing.assert_array_equal(profile, [1, 0.75, 0.75, 0.25, 0])


def test_a_tie_counts_half_an_improvement():
    assert probability_of_improvement([[1.0], [2.0]], [[1.0]]) == 0.75


@settings(max_examples=50, deadline=None)
@given(score_matrices)
def test_the_interquartile_mean_is_scipys_trimmed_mean(scores):
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores, 0.25, axis=None), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(score_matrices, st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_probability_of_improvement_is_mann_whitneys_u_and_its_two_sides_add_to_one(scores, n_runs, random):
    baseline = np.array([[random.choice(column) for column in scores.T] for _ in range(n_runs)])
    u = [mannwhitneyu(scores[:, k], baseline[:, k]).statistic for k in range(scores.shape[1])]
    expected = np.mean(u) / (len(scores) * n_runs)
    assert probability_of_improvement(scores, baseline) == pytest.approx(expected)
    assert probability_of_improvement(baseline, scores) == pytest.approx(1 - expected)


@pytest.mark.parametrize("statistic", [mean, median, interquartile_mean, optimality_gap])
def test_a_stack_of_matrices_gives_the_figure_of_each(statistic):
    stack = np.random.default_rng(1).normal(size=(3, 4, 5, 6))
    np.testing.assert_allclose(statistic(stack), [[statistic(matrix) for matrix in row] for row in stack])


# Bootstraps


def test_equal_seeds_give_equal_intervals_and_a_generator_moves_on():
    assert (stratified_bootstrap(X, repetitions=50, seed=3) == stratified_bootstrap(X, repetitions=50, seed=3)).all()
    assert (stratified_bootstrap(X, repetitions=50, seed=3) != stratified_bootstrap(X, repetitions=50, seed=4)).any()
    generator = np.random.default_rng(3)
    first, second = (paired_bootstrap([X, X], repetitions=50, seed=generator) for _ in range(2))
    assert (first == paired_bootstrap([X, X], repetitions=50, seed=np.random.default_rng(3))).all()
    assert (first != second).any()


def test_the_size_of_a_chunk_changes_nothing(monkeypatch):
    whole = [stratified_bootstrap(X, repetitions=100), paired_bootstrap([X, Y], repetitions=100)]
    monkeypatch.setattr(statistics, "_CHUNK", 7 * X.size)
    pieces = [stratified_bootstrap(X, repetitions=100), paired_bootstrap([X, Y], repetitions=100)]
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_stratified_bootstrap_never_mixes_tasks():
    scores = np.arange(4) * 1000.0 + np.random.default_rng(0).normal(size=(5, 4))
    columns = stratified_bootstrap(scores, lambda stack: stack.min(axis=-2), repetitions=200)
    assert (np.abs(columns - np.arange(4) * 1000) < 10).all()


def test_a_95_percent_interval_holds_the_true_mean_about_95_percent_of_the_time():
    rng = np.random.default_rng(0)
    experiments = rng.normal(3.0, 1.0, (300, 20, 4))
    bounds = [stratified_bootstrap_interval(x, mean, repetitions=300, seed=k) for k, x in enumerate(experiments)]
    held = np.mean([low <= 3.0 <= high for low, high in bounds])
    assert 0.90 < held < 0.98


def test_the_paired_interval_holds_the_true_mean_when_runs_and_patients_both_vary():
    rng = np.random.default_rng(0)
    held = []
    for k in range(300):
        scores = rng.normal(size=(12, 1)) + rng.normal(size=(1, 40)) + rng.normal(size=(12, 40))
        low, high = percentile_interval(paired_bootstrap([scores], mean, repetitions=300, seed=k))[:, 0]
        held.append(low <= 0 <= high)
    assert 0.88 < np.mean(held) < 0.98


def test_what_the_patients_share_cancels_in_a_paired_difference():
    severity = np.random.default_rng(0).normal(0, 100, (1, 200))
    alone = percentile_interval(paired_bootstrap([severity], mean, repetitions=500))[:, 0]
    low, high = paired_bootstrap_interval(severity + 1, severity, mean, repetitions=500)
    assert np.ptp(alone) > 20
    assert low == pytest.approx(1)
    assert high == pytest.approx(1)


def test_one_run_on_one_patient_has_an_interval_of_no_width():
    np.testing.assert_array_equal(paired_bootstrap([[[2.5]]], repetitions=5), np.full((5, 1), 2.5))


def test_the_paired_probability_of_improvement_knows_runs_from_patients():
    rng = np.random.default_rng(0)
    baseline = np.zeros((1, 100))
    lucky_runs = np.repeat(rng.normal(size=(6, 1)), 100, axis=1)  # a run is good for everyone or for no one
    paired = probability_of_improvement_interval(lucky_runs, baseline, paired=True, repetitions=2000)
    stratified = probability_of_improvement_interval(lucky_runs, baseline, repetitions=2000)
    assert np.ptp(paired) > 5 * np.ptp(stratified)


def test_a_profile_can_be_given_a_band():
    low, high = stratified_bootstrap_interval(X, lambda s: performance_profile(s, [0.5, 1.0]), repetitions=500)
    assert ((low <= performance_profile(X, [0.5, 1.0])) & (performance_profile(X, [0.5, 1.0]) <= high)).all()


# Ties and ranks


def test_rows_that_differ_get_different_letters_and_rows_that_tie_share_one():
    rng = np.random.default_rng(0)
    signs = pairwise_signs(rng.normal([0.0, 5.0, 5.1, 9.0], 0.5, (2000, 4)))
    assert indistinguishable_groups(signs) == ["c", "b", "b", "a"]
    assert rank_ranges(signs) == [(4, 4), (2, 3), (2, 3), (1, 1)]


def test_rounding_tells_nobody_apart():
    same = [np.full((runs, 7), 0.1) for runs in (1, 3, 5, 6)]
    assert not pairwise_signs(paired_bootstrap(same, mean, repetitions=50)).any()


def test_a_row_between_two_that_differ_carries_both_letters():
    signs = [[0, 0, 1], [0, 0, 0], [-1, 0, 0]]
    assert indistinguishable_groups(signs) == ["a", "ab", "b"]
    assert rank_ranges(signs) == [(1, 2), (1, 3), (2, 3)]


@settings(max_examples=100, deadline=None)
@given(sign_matrices)
def test_two_rows_share_a_letter_exactly_where_they_cannot_be_told_apart(signs):
    groups = [set(letters) for letters in indistinguishable_groups(signs)]
    for i, j in np.ndindex(*signs.shape):
        assert bool(groups[i] & groups[j]) == (signs[i, j] == 0)


@settings(max_examples=100, deadline=None)
@given(sign_matrices)
def test_the_best_row_has_the_first_letter(signs):
    best = int(np.argmax(signs.sum(axis=1)))
    assert "a" in indistinguishable_groups(signs)[best]


# Wrong use


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mean([]), r"shape \(0,\)"),
        (lambda: mean([1.0, 2.0]), r"scores\[:, None\]"),
        (lambda: median(np.zeros((0, 3))), r"shape \(0, 3\)"),
        (lambda: interquartile_mean([[1.0, np.nan]]), r"scores\[0, 1\] is nan"),
        (lambda: stratified_bootstrap(np.zeros((2, 2, 2))), r"shape \(2, 2, 2\)"),
        (lambda: stratified_bootstrap(X, repetitions=0), "repetitions is 0"),
        (lambda: stratified_bootstrap_interval(X, level=95), "level is 95"),
        (lambda: percentile_interval([]), "at least one"),
        (lambda: paired_bootstrap([]), "groups are empty"),
        (lambda: paired_bootstrap([X, X[:, :3]]), r"\[8, 3\] tasks"),
        (lambda: paired_bootstrap([X, [[np.inf] * 8]]), "group 1"),
        (lambda: probability_of_improvement(X, Y[:, 1:]), r"\[8, 7\] tasks"),
        (lambda: performance_profile(X, [np.nan]), "thresholds"),
        (lambda: performance_profile(X, []), "at least one"),
        (lambda: pairwise_signs([1.0, 2.0]), "replicates have shape"),
        (lambda: rank_ranges([[0, 1], [1, 0]]), "antisymmetric"),
    ],
)
def test_wrong_use_is_refused_with_what_was_seen_and_what_is_allowed(call, said):
    with pytest.raises(ValueError, match=said) as refusal:
        call()
    assert "allowed" in str(refusal.value)
