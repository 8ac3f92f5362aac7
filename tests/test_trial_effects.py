"""The effects of trials and their intervals, against closed forms, scipy, and simulation."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from medsim.trials.effects import (
    area_under_roc,
    hazard_ratio,
    logistic_regression,
    logistic_slope,
    odds_ratio,
    per_unit_odds_ratio,
    per_unit_risk_difference,
    risk_difference,
)
from medsim.trials.measures import weighted_median
from medsim.trials.published import from_counts

LEVELS = np.array([0.0, 1.0, 3.0])
Z = stats.norm.ppf(0.975)


@pytest.fixture(scope="module")
def patients():
    """Risks of 400 patients in two arms, paired, and their chances to count."""
    rng = np.random.default_rng(1)
    ill = rng.normal(size=400)
    return sigmoid(ill - 0.5), sigmoid(ill - 0.2 + 0.3 * rng.normal(size=400)), rng.uniform(0.2, 1.0, 400)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def log_error(effect):
    """The standard error of a ratio's logarithm, from its interval."""
    assert math.log(effect.high / effect.estimate) == pytest.approx(math.log(effect.estimate / effect.low))
    return math.log(effect.high / effect.low) / (2.0 * Z)


# Two arms


def test_the_risk_difference_is_that_of_a_paired_t_test_with_normal_quantiles(patients):
    treated, control, _ = patients
    found, test = risk_difference(treated, control), stats.ttest_rel(treated, control)
    error = 100.0 * Z * (treated - control).mean() / test.statistic
    assert found.estimate == pytest.approx(100.0 * (treated.mean() - control.mean()))
    assert (found.low, found.high) == pytest.approx((found.estimate - abs(error), found.estimate + abs(error)))


def test_the_odds_ratio_of_unrelated_arms_has_woolfs_interval():
    """All combinations of 30 of 100 deaths with 40 of 100: the arms' correlation is exactly 0."""
    treated = np.repeat(np.arange(100) < 30, 100).astype(float)
    control = np.tile(np.arange(100) < 40, 100).astype(float)
    found, n = odds_ratio(treated, control), 10_000
    assert found.estimate == pytest.approx((30 / 70) / (40 / 60))
    woolf = math.sqrt(1 / 3000 + 1 / 7000 + 1 / 4000 + 1 / 6000)
    assert log_error(found) == pytest.approx(woolf * math.sqrt(n / (n - 1)))


def test_the_hazard_ratio_of_constant_hazards_is_their_ratio():
    treated, control = (np.full(10, 1.0 - math.exp(-rate * 28.0)) for rate in (0.03, 0.02))
    assert hazard_ratio(treated, control).estimate == pytest.approx(1.5)


@pytest.mark.parametrize("effect", [risk_difference, odds_ratio, hazard_ratio])
def test_intervals_hold_the_population_in_95_of_100_samples(effect):
    rng = np.random.default_rng(2)
    ill = rng.normal(size=200_000)
    treated, control = sigmoid(1.5 * ill - 1.0), sigmoid(1.5 * ill - 0.6 + 0.8 * rng.normal(size=200_000))
    weight = rng.uniform(0.3, 1.0, 200_000)
    truth = effect(treated, control, weight).estimate
    samples = [effect(treated[s], control[s], weight[s]) for s in rng.integers(0, 200_000, (1500, 150))]
    assert np.mean([one.low <= truth <= one.high for one in samples]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("effect", [risk_difference, odds_ratio, hazard_ratio])
def test_a_weight_of_two_counts_twice_and_one_of_zero_not_at_all(effect, patients):
    treated, control, _ = patients
    weight = np.repeat([0.0, 1.0, 2.0, 3.0], 100)
    repeated = np.repeat(np.arange(400), weight.astype(int))
    assert effect(treated, control, weight).estimate == pytest.approx(effect(treated[repeated], control[repeated]).estimate)


def test_equal_arms_have_no_effect_at_all(patients):
    risk, _, weight = patients
    assert risk_difference(risk, risk, weight).estimate == 0.0
    assert [odds_ratio(risk, risk, weight).low, hazard_ratio(risk, risk, weight).high] == [1.0, 1.0]


# An exposure in several levels


def risks_by_level(n=150, seed=3):
    rng = np.random.default_rng(seed)
    ill = rng.normal(size=n)
    return sigmoid(LEVELS[:, None] * (0.2 + 0.1 * rng.normal(size=n)) + 1.2 * ill - 1.0), ill


def test_with_two_levels_the_odds_ratio_per_unit_is_that_of_two_arms_with_the_same_interval(patients):
    treated, control, weight = patients
    per_unit, of_arms = (
        per_unit_odds_ratio(np.array([1.0, 0.0]), np.stack([treated, control]), weight),
        odds_ratio(treated, control, weight),
    )
    assert (per_unit.estimate, per_unit.low, per_unit.high) == pytest.approx((of_arms.estimate, of_arms.low, of_arms.high))


@pytest.mark.parametrize("adjusted", [False, True])
def test_the_interval_per_unit_is_that_of_leaving_out_one_patient_at_a_time(adjusted):
    deaths, ill = risks_by_level()
    covariates = ill[:, None] if adjusted else None
    found = per_unit_odds_ratio(LEVELS, deaths, None, covariates)
    n = deaths.shape[1]
    rest = [np.arange(n) != one for one in range(n)]
    parts = [
        math.log(per_unit_odds_ratio(LEVELS, deaths[:, r], None, None if covariates is None else covariates[r]).estimate) for r in rest
    ]
    jackknife = math.sqrt((n - 1) ** 2 / n * np.var(parts, ddof=1))
    assert log_error(found) == pytest.approx(jackknife, rel=0.03)


def test_adjustment_recovers_the_odds_ratio_of_a_patient_which_is_further_from_one_than_the_marginal():
    ill = np.random.default_rng(4).normal(size=500)
    deaths = sigmoid(0.15 * LEVELS[:, None] + 2.0 * ill - 0.5)
    adjusted = per_unit_odds_ratio(LEVELS, deaths, None, ill[:, None])
    assert adjusted.estimate == pytest.approx(math.exp(0.15), rel=1e-8)
    assert 1.0 < per_unit_odds_ratio(LEVELS, deaths).estimate < adjusted.estimate - 0.02


def test_the_risk_difference_per_unit_is_the_regression_line_through_the_arms_risks():
    deaths, _ = risks_by_level()
    found = per_unit_risk_difference(LEVELS, deaths)
    assert found.estimate == pytest.approx(100.0 * stats.linregress(LEVELS, deaths.mean(axis=1)).slope)
    slopes = [100.0 * np.polyfit(LEVELS, patient, 1)[0] for patient in deaths.T]
    assert found.high - found.estimate == pytest.approx(Z * stats.sem(slopes))


def test_logistic_regression_finds_the_greatest_likelihood(patients):
    risk, _, weight = patients
    rng = np.random.default_rng(5)
    design = np.column_stack([np.ones(400), rng.normal(size=400), rng.uniform(size=400)])

    def unlikely(beta):
        log_odds = design @ beta
        return -(weight * (risk * log_odds - np.logaddexp(0.0, log_odds))).sum()

    assert logistic_regression(design, risk, weight) == pytest.approx(optimize.minimize(unlikely, np.zeros(3), tol=1e-12).x, abs=1e-5)


def test_the_logistic_slope_of_two_groups_is_their_log_odds_ratio():
    exposed = np.repeat([10.0, 12.0], 50)
    death = np.concatenate([np.arange(50) < 10, np.arange(50) < 20]).astype(float)
    intercept, slope = logistic_slope(exposed, death)
    assert 2.0 * slope == pytest.approx(math.log((20 / 30) / (10 / 40)))
    assert intercept + 10.0 * slope == pytest.approx(math.log(10 / 40))


def test_logistic_regression_survives_a_start_far_from_its_end():
    x = np.linspace(-1.0, 1.0, 101)
    assert logistic_slope(x, sigmoid(40.0 * x - 12.0))[1] == pytest.approx(40.0, rel=1e-6)


# Scores, medians, counts


def test_the_area_under_the_curve_is_mann_whitneys_u_ties_included():
    rng = np.random.default_rng(6)
    score, death = rng.integers(0, 8, 300).astype(float), (rng.uniform(size=300) < 0.3).astype(float)
    u = stats.mannwhitneyu(score[death == 1.0], score[death == 0.0]).statistic
    assert area_under_roc(score, death) == pytest.approx(u / (death.sum() * (1.0 - death).sum()))


def test_the_area_of_probabilities_is_that_of_all_pairs_of_different_patients():
    rng = np.random.default_rng(7)
    score, death, weight = rng.integers(0, 5, 40).astype(float), rng.uniform(size=40), rng.uniform(size=40)
    chance = np.outer(weight * death, weight * (1.0 - death))
    np.fill_diagonal(chance, 0.0)
    wins = (score[:, None] > score) + 0.5 * (score[:, None] == score)
    assert area_under_roc(score, death, weight) == pytest.approx((chance * wins).sum() / chance.sum())


def test_a_weighted_median_has_half_of_the_weight_below():
    assert weighted_median(np.array([5.0, 1.0, 3.0]), np.ones(3)) == 3.0
    assert weighted_median(np.array([5.0, 1.0, 3.0]), np.array([5.0, 1.0, 1.0])) == 5.0


def test_the_published_intervals_of_both_trials_follow_from_their_counts():
    clovers = from_counts("risk difference, points", (109, 116), (782, 781), "")
    assert [round(one, 1) for one in (clovers.estimate, clovers.low, clovers.high)] == [-0.9, -4.4, 2.6]
    pressure = from_counts("odds ratio", (142, 132), (388, 388), "")
    assert [round(one, 2) for one in (pressure.estimate, pressure.low, pressure.high)] == [1.12, 0.83, 1.50]
    assert pressure.holds(1.0)
    assert not pressure.holds(1.6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: odds_ratio(np.zeros(5), np.full(5, 0.5)), "the odds ratio needs risks between 0 and 1, not 0 and 0.5"),
        (lambda: risk_difference(np.zeros(1), np.zeros(1)), "needs 2 patients or more, not 1"),
        (lambda: logistic_slope(np.arange(6.0), (np.arange(6) > 2).astype(float)), "separates the dead from the living"),
        (lambda: logistic_slope(np.ones(6), np.full(6, 0.5)), "or is constant"),
        (lambda: area_under_roc(np.arange(4.0), np.ones(4)), "patients who die and others who live"),
        (lambda: from_counts("hazard ratio", (1, 2), (5, 5), ""), "not 'hazard ratio'"),
        (lambda: from_counts("odds ratio", (0, 2), (5, 5), ""), r"not \(0, 2\) of \(5, 5\)"),
    ],
)
def test_what_has_no_answer_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
