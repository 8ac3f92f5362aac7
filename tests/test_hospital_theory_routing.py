"""Two hospitals that share a stream of patients: the exact optimum and the exact value of any policy of routing."""

import numpy as np
import pytest

from medsim.hospital.theory import TwoHospitals, mm1, mmck

EQUAL = TwoHospitals(arrival_rate=8.0, service_rates=(1.0, 1.0), beds=(5, 5))
SLOWER = TwoHospitals(arrival_rate=8.0, service_rates=(1.0, 0.5), beds=(6, 6))
MUCH_SLOWER = TwoHospitals(arrival_rate=4.2, service_rates=(1.0, 0.25), beds=(4, 4))
SMALL = TwoHospitals(arrival_rate=1.6, service_rates=(1.0, 0.4), beds=(1, 2), limit=12)


@pytest.mark.parametrize(
    ("pair", "best", "shortest_queue"), [(EQUAL, 9.736, 9.736), (SLOWER, 15.337, 15.745), (MUCH_SLOWER, 9.285, 10.492)]
)
def test_the_optimum_and_the_shortest_queue_have_the_known_numbers_of_patients(pair, best, shortest_queue):
    optimum = pair.optimum()
    assert optimum.mean_number == pytest.approx(best, abs=5.001e-4)
    assert optimum.residual < 1e-5
    assert optimum.value.p_at_limit < 1e-5
    assert pair.evaluate(pair.shortest_queue()).mean_number == pytest.approx(shortest_queue, abs=5.001e-4)


def test_between_equal_hospitals_the_shortest_queue_is_optimal():
    optimum = EQUAL.optimum()
    assert optimum.mean_number == pytest.approx(EQUAL.evaluate(EQUAL.shortest_queue()).mean_number, rel=1e-12)
    assert EQUAL.random_split().mean_number == pytest.approx(12.4, abs=0.05)


def test_a_coin_in_proportion_to_capacity_is_two_queues_apart():
    for pair, number in ((SLOWER, 22.0827), (MUCH_SLOWER, 13.7580)):
        shares = np.multiply(pair.service_rates, pair.beds) / np.dot(pair.service_rates, pair.beds)
        roomy = TwoHospitals(arrival_rate=pair.arrival_rate, service_rates=pair.service_rates, beds=pair.beds, limit=120)
        coin = roomy.evaluate(np.full((121, 121), shares[1]))
        assert pair.random_split().mean_number == pytest.approx(number, abs=5.001e-5)
        assert coin.mean_number == pytest.approx(number, rel=2e-5)  # the table holds 120 patients in each


def test_waits_and_free_beds_make_other_rules_than_the_shortest_queue():
    best = MUCH_SLOWER.optimum().mean_number
    by_rule = [MUCH_SLOWER.evaluate(rule()).mean_number for rule in (MUCH_SLOWER.shortest_expected_wait, MUCH_SLOWER.most_free_beds)]
    assert best < by_rule[0] < by_rule[1] < MUCH_SLOWER.evaluate(MUCH_SLOWER.shortest_queue()).mean_number


def test_value_iteration_finds_the_same_optimum_as_policy_iteration():
    lam, (mu_0, mu_1), (c_0, c_1), n = SMALL.arrival_rate, SMALL.service_rates, SMALL.beds, np.arange(SMALL.limit + 1)
    total = lam + mu_0 * c_0 + mu_1 * c_1
    served_0, served_1 = mu_0 * np.minimum(n, c_0)[:, None], mu_1 * np.minimum(n, c_1)[None, :]
    value = np.zeros((n.size, n.size))
    for _ in range(5000):
        to_0 = np.vstack([value[1:], np.full((1, n.size), np.inf)])
        to_1 = np.hstack([value[:, 1:], np.full((n.size, 1), np.inf)])
        arrival = np.minimum(to_0, to_1)
        arrival[-1, -1] = value[-1, -1]  # both at the limit: lost
        down_0, down_1 = np.vstack([value[:1], value[:-1]]), np.hstack([value[:, :1], value[:, :-1]])
        change = n[:, None] + n[None, :] + lam * (arrival - value) + served_0 * (down_0 - value) + served_1 * (down_1 - value)
        value = value + change / total
        value = value - value[0, 0]
    assert np.ptp(change) < 1e-9
    assert SMALL.optimum().mean_number == pytest.approx(change.mean(), rel=1e-9)


def test_no_change_of_a_single_decision_improves_on_the_optimum():
    optimum = SMALL.optimum()
    for state in np.ndindex(optimum.policy.shape):
        other = optimum.policy.copy()
        other[state] = 1 - other[state]
        assert SMALL.evaluate(other).mean_number >= optimum.mean_number - 1e-9


def test_the_optimum_sends_more_to_the_slow_hospital_the_fuller_the_fast_one_is():
    policy = SLOWER.optimum().policy[:40, :40]  # near the limit of the table the choice is not free
    assert np.all(np.diff(policy, axis=0) >= 0)


def test_it_can_be_better_to_queue_for_a_fast_bed_than_to_take_a_free_slow_one():
    optimum = MUCH_SLOWER.optimum()
    assert optimum.policy[4, 0] == 0  # all fast beds taken, all slow ones free
    other = optimum.policy.copy()
    other[4, 0] = 1
    assert MUCH_SLOWER.evaluate(other).mean_number > optimum.mean_number + 1e-3


def test_a_policy_may_be_a_function_a_table_or_probabilities():
    by_function = SMALL.evaluate(lambda in_0, in_1: 1 if in_1 * 1 < in_0 * 2 else 0)
    assert by_function == SMALL.evaluate(SMALL.shortest_queue()) == SMALL.evaluate(SMALL.shortest_queue().tolist())
    assert SMALL.evaluate(np.full((13, 13), 0.5)).mean_number > SMALL.optimum().mean_number


def test_a_hospital_that_gets_nobody_is_empty_and_the_other_a_queue_of_its_own():
    pair = TwoHospitals(arrival_rate=0.6, service_rates=(1.0, 1.0), beds=(1, 1))
    value = pair.evaluate(lambda in_0, in_1: 0)
    assert value.mean_numbers == (pytest.approx(mm1(0.6, 1.0).mean_number, rel=1e-12), pytest.approx(0.0, abs=1e-12))
    assert value.mean_time_in_system == pytest.approx(mm1(0.6, 1.0).mean_time_in_system, rel=1e-12)


def test_a_policy_that_overloads_one_hospital_is_told_by_the_limit():
    value = SLOWER.evaluate(lambda in_0, in_1: 1)  # a queue with 80 places, and what overflows
    alone = mmck(8.0, 0.5, 6, SLOWER.limit)
    assert value.p_at_limit == pytest.approx(alone.p_blocked, rel=1e-4)
    assert value.mean_numbers[1] == pytest.approx(alone.mean_number, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: TwoHospitals(arrival_rate=9.0, service_rates=(1.0, 0.5), beds=(6, 6)), "pair of hospitals is unstable"),
        (lambda: TwoHospitals(arrival_rate=1.0, service_rates=(1.0,), beds=(6, 6)), "two service rates"),
        (
            lambda: TwoHospitals(arrival_rate=1.0, service_rates=(1.0, 1.0), beds=(6, 6), limit=5),
            "limit must be a whole number of at least 7",
        ),
        (lambda: SMALL.evaluate(np.zeros((5, 5))), r"\(13, 13\), not \(5, 5\)"),
        (lambda: SMALL.evaluate(lambda in_0, in_1: 2), "hospital 0 or 1, or probabilities of 1, not 2"),
        (lambda: SMALL.random_split(1.0), "share_to_1 must lie between 0 and 1"),
        (lambda: SLOWER.random_split(0.1), "unstable"),
    ],
)
def test_wrong_use_names_what_it_saw(call, words):
    with pytest.raises(ValueError, match=words):
        call()
