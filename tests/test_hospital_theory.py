"""Queueing theory in closed form and by exact solution: against values computed elsewhere, identities, and direct solutions."""

import itertools
import math

import numpy as np
import pytest

from medsim.hospital import theory
from medsim.hospital.theory import (
    AdmissionSystem,
    beds_for_blocking,
    beta_for_delay,
    birth_death,
    cmu_order,
    cobham,
    conserved_work,
    erlang_a,
    erlang_b,
    erlang_c,
    fifo_cost_rate,
    halfin_whitt_delay,
    jackson,
    mean_census_profile,
    mg1,
    mg_infinity,
    mgcc,
    mm1,
    mmc,
    mmc_preemptive,
    mmc_priority,
    mmck,
    offered_load,
    preemptive_resume,
    servers_for_delay,
    sinusoidal_census,
    square_root_staffing,
    static_order_cost_rate,
    stroke_unit_load,
    stroke_unit_table,
    tandem,
    traffic_equations,
)

ED_WARD_ICU = {
    "external_rates": (6.0, 0.0, 0.0),
    "routing": ((0.0, 0.25, 0.08), (0.0, 0.0, 0.05), (0.0, 0.70, 0.0)),
    "service_rates": (0.8, 0.08, 0.05),
    "servers": (10, 35, 20),
}


def printed(value, decimals):
    """A value that was printed with so many decimals: equal to within half a unit of the last one."""
    return pytest.approx(value, abs=0.500001 * 10.0**-decimals, rel=0.0)


# Single queues


def test_mm1_has_the_textbook_numbers():
    queue = mm1(0.8, 1.0)
    assert (queue.mean_number, queue.mean_queue_length) == (pytest.approx(4.0), pytest.approx(3.2))
    assert (queue.mean_time_in_system, queue.mean_wait) == (pytest.approx(5.0), pytest.approx(4.0))


@pytest.mark.parametrize(
    ("servers", "load", "blocking"), [(5, 3, 0.11005435), (10, 8, 0.12166106), (20, 16, 0.06441092), (30, 25, 0.05260317)]
)
def test_erlang_b_has_the_known_values(servers, load, blocking):
    assert erlang_b(servers, load) == printed(blocking, 8)
    assert mgcc(load / 2.5, 2.5, servers).p_blocked == printed(blocking, 8)


@pytest.mark.parametrize(("servers", "load", "p_wait"), [(10, 8, 0.40918015), (10, 9, 0.66873152), (20, 16, 0.25607779)])
def test_erlang_c_has_the_known_values(servers, load, p_wait):
    assert erlang_c(servers, load) == printed(p_wait, 8)


def test_erlang_b_at_a_real_load_is_the_ratio_of_poisson_terms():
    load = 8.3555
    terms = [load**n / math.factorial(n) for n in range(13)]
    assert erlang_b(12, load) == pytest.approx(terms[-1] / sum(terms), rel=1e-14)
    assert erlang_b(0, load) == 1.0
    assert erlang_b(2000, 1900.5) == pytest.approx(birth_death(np.full(2000, 1900.5), np.arange(1.0, 2001))[-1], rel=1e-10)


def test_mmc_waits_have_the_known_mean_and_ninetieth_percentile():
    queue = mmc(9.0, 1.0, 10)
    assert queue.mean_wait == printed(0.668732, 6)
    assert queue.wait_quantile(0.9) == printed(1.900212, 6)
    assert queue.p_wait_longer_than(queue.wait_quantile(0.9)) == pytest.approx(0.1)
    assert queue.wait_quantile(0.2) == 0.0  # a third does not wait at all
    assert mmc(20.0, 2.0, 12).mean_wait == printed(0.112347, 6)


def test_mmc_with_room_for_some_only_has_the_known_values():
    queue = mmck(2.5, 1.0, 3, 5)
    assert queue.p_blocked == printed(0.136923, 6)
    assert queue.mean_wait == printed(0.203066, 6)
    assert queue.mean_number == printed(2.595846, 6)


def test_mmck_becomes_mmc_as_the_room_grows_and_erlangs_loss_system_without_any():
    endless, roomy, roomless = mmc(9.0, 1.0, 10), mmck(9.0, 1.0, 10, 400), mmck(9.0, 1.0, 10, 10)
    for name in ("mean_wait", "mean_time_in_system", "mean_queue_length", "mean_number", "p_wait"):
        assert getattr(roomy, name) == pytest.approx(getattr(endless, name), rel=1e-12)
    assert (roomless.p_blocked, roomless.p_wait, roomless.mean_wait) == (pytest.approx(erlang_b(10, 9.0)), 0.0, 0.0)


def test_mmc_probabilities_are_those_of_its_birth_death_chain():
    queue, chain = mmc(9.0, 1.5, 8), birth_death(np.full(500, 9.0), 1.5 * np.minimum(np.arange(1, 501), 8))
    assert [queue.p_number(n) for n in range(40)] == pytest.approx(chain[:40], rel=1e-12)


@pytest.mark.parametrize(("sd", "wait"), [(0.0, 2.0), (1.0, 4.0), (1.5, 6.5)])
def test_mg1_waits_grow_with_the_variance_of_the_service(sd, wait):
    assert mg1(0.8, 1.0, sd).mean_wait == pytest.approx(wait, rel=1e-12)


def test_littles_law_holds_in_every_queue():
    limited = mmck(2.5, 1.0, 3, 5)
    assert limited.mean_number == pytest.approx(2.5 * (1.0 - limited.p_blocked) * limited.mean_time_in_system, rel=1e-12)
    for queue in (mmc(9.0, 1.0, 10), mm1(0.8, 1.0), mg1(0.8, 1.0, 1.5)):
        assert queue.mean_number == pytest.approx(queue.arrival_rate * queue.mean_time_in_system, rel=1e-12)
        assert queue.mean_queue_length == pytest.approx(queue.arrival_rate * queue.mean_wait, rel=1e-12)
    loss = mgcc(8.0, 1.0, 10)
    assert loss.mean_occupied == pytest.approx(np.arange(11) @ loss.probabilities) == pytest.approx(loss.admission_rate)


# Abandonment


def test_patients_who_leave_as_fast_as_they_are_served_make_an_infinite_server_queue():
    queue = erlang_a(12.0, 1.5, 5, 1.5)
    assert queue.mean_number == pytest.approx(8.0, rel=1e-12)
    assert queue.p_wait == pytest.approx(mg_infinity(12.0, 1 / 1.5).p_at_least(5), rel=1e-10)


def test_endless_patience_makes_mmc_and_none_makes_erlangs_loss_system():
    patient, impatient = erlang_a(9.0, 1.0, 10, 1e-8), erlang_a(9.0, 1.0, 10, 1e9)
    assert (patient.p_wait, patient.mean_wait) == (pytest.approx(erlang_c(10, 9.0), rel=1e-6), pytest.approx(0.668732, rel=1e-5))
    assert impatient.p_abandon == pytest.approx(erlang_b(10, 9.0), rel=1e-6)


def test_abandonment_carries_off_what_an_overloaded_unit_cannot_serve():
    queue = erlang_a(200.0, 1.0, 100, 0.05)
    assert queue.p_abandon == pytest.approx(0.5, rel=1e-6)
    chain = birth_death(np.full(900, 12.0), [min(n, 10) + 0.4 * max(n - 10, 0) for n in range(1, 901)])
    assert erlang_a(12.0, 1.0, 10, 0.4).mean_number == pytest.approx(chain @ np.arange(901), rel=1e-12)


# Priorities


def test_non_preemptive_waits_are_cobhams():
    assert cobham((0.2, 0.6), (1.0, 1.0)).mean_waits == pytest.approx((1.0, 5.0))
    assert cobham((0.2, 0.6), (1.0, 1.0)).mean_times_in_system == pytest.approx((2.0, 6.0))
    assert list(cobham((0.1, 0.3, 0.3), (1.0,) * 3).mean_waits) == [printed(wait, 5) for wait in (0.77778, 1.29630, 3.88889)]


def test_many_servers_with_priorities_have_the_known_waits():
    waits = mmc_priority((1.0, 3.0, 4.0), 1.0, 10).mean_waits
    assert list(waits) == [printed(wait, 7) for wait in (0.0454645, 0.0757741, 0.3409835)]


def test_preemption_shortens_the_first_class_stay_and_lengthens_the_last():
    assert preemptive_resume((0.2, 0.6), (1.0, 1.0)).mean_times_in_system == pytest.approx((1.25, 6.25))
    assert mmc_preemptive((0.2, 0.6), 1.0, 1).mean_times_in_system == pytest.approx((1.25, 6.25))


def test_no_order_changes_the_work_that_waits():
    rates, means, moments = (0.1, 0.3, 0.2), (1.0, 0.5, 2.0), (2.0, 0.25, 9.0)
    for order in itertools.permutations(range(3)):
        queue = cobham(*([values[k] for k in order] for values in (rates, means, moments)))
        assert queue.work_in_waits == pytest.approx(conserved_work(rates, means, moments), rel=1e-12)
    assert conserved_work((0.1, 0.3, 0.3), (1.0,) * 3) == printed(1.63333, 5)


def test_priorities_leave_the_mean_wait_of_equal_services_as_it_is():
    assert mmc_priority((1.0, 3.0, 4.0), 1.0, 10).mean_wait == pytest.approx(mmc(8.0, 1.0, 10).mean_wait, rel=1e-12)
    assert mmc_preemptive((1.0, 3.0, 4.0), 1.0, 10).mean_wait == pytest.approx(mmc(8.0, 1.0, 10).mean_wait, rel=1e-12)
    assert cobham((0.8,), (1.0,)).mean_waits == pytest.approx((4.0,))


def test_preemption_by_many_servers_agrees_with_the_chain_of_both_classes_solved_directly():
    rates, mu, c, most = (1.2, 1.0), 1.0, 3, 40
    states = list(itertools.product(range(most + 1), range(most + 1)))
    place = {state: k for k, state in enumerate(states)}
    generator = np.zeros((len(states), len(states)))
    for (first, second), k in place.items():
        served = min(first, c)
        moves = {(first + 1, second): rates[0], (first, second + 1): rates[1]}
        moves |= {(first - 1, second): mu * served, (first, second - 1): mu * min(second, c - served)}
        for state, rate in moves.items():
            if state in place:
                generator[k, place[state]] += rate
                generator[k, k] -= rate
    balance = np.vstack([generator.T[1:], np.ones(len(states))])
    p = np.linalg.solve(balance, np.eye(len(states))[-1])
    numbers = p @ np.array(states)
    assert mmc_preemptive(rates, mu, c).mean_numbers == pytest.approx(numbers, rel=1e-4)  # the chain holds at most 40 of each class


def test_costs_of_fixed_orders_have_the_known_values():
    rates, means, costs = (0.25, 0.3), (1 / 0.8, 1 / 1.25), (4.0, 1.0)
    assert cmu_order(means, costs) == (0, 1)
    assert static_order_cost_rate((0, 1), rates, means, costs) == printed(1.415580, 6)
    assert static_order_cost_rate((1, 0), rates, means, costs) == printed(1.943083, 6)
    assert fifo_cost_rate(rates, means, costs) == printed(1.692542, 6)


def test_the_c_mu_rule_is_the_best_of_all_orders_of_three_classes():
    rates, means, costs = (0.05, 0.25, 0.45), (1 / 0.6, 1 / 1.2, 1 / 2.0), (10.0, 3.0, 1.0)
    by_order = {order: static_order_cost_rate(order, rates, means, costs) for order in itertools.permutations(range(3))}
    assert min(by_order, key=by_order.__getitem__) == cmu_order(means, costs) == (0, 1, 2)
    assert min(by_order.values()) == printed(1.28135, 5)
    assert max(by_order.values()) == printed(1.74844, 5)
    assert fifo_cost_rate(rates, means, costs) == printed(1.49483, 5)


# Networks


def test_two_stations_in_a_row_take_the_sum_of_their_times():
    assert tandem(0.5, (1.0, 0.8)).mean_time_in_network == printed(5.3333, 4)
    assert tandem(0.5, (1.0, 0.8)).mean_time_in_network == pytest.approx(1 / 0.5 + 1 / 0.3)


def test_emergency_ward_and_icu_with_feedback_have_the_known_numbers():
    network = jackson(**ED_WARD_ICU)
    assert list(network.arrival_rates) == [printed(rate, 6) for rate in (6.0, 1.902591, 0.575130)]
    numbers = [station.mean_number for station in network.stations]
    assert numbers == [printed(8.41983, 5), printed(23.8266, 4), printed(11.52431, 5)]
    assert network.mean_time_in_network == printed(7.295123, 6)


def test_the_product_form_satisfies_global_balance():
    routing = np.array([[0.0, 0.5], [0.3, 0.1]])
    gamma, mu, servers = np.array([1.0, 0.4]), (1.0, 0.9), (2, 3)
    network = jackson(gamma, routing, mu, servers)

    def rate(station, number):
        return mu[station] * min(number, servers[station])

    for a, b in ((0, 0), (1, 0), (2, 3), (4, 5)):
        flow_out = gamma.sum() + rate(0, a) + rate(1, b) * (1.0 - routing[1, 1])
        arrived = sum(gamma[k] * network.p_numbers((a - (k == 0), b - (k == 1))) for k in (0, 1) if (a, b)[k] > 0)
        left = rate(0, a + 1) * (1.0 - routing[0].sum()) * network.p_numbers((a + 1, b))
        left += rate(1, b + 1) * (1.0 - routing[1].sum()) * network.p_numbers((a, b + 1))
        moved = rate(0, a + 1) * routing[0, 1] * network.p_numbers((a + 1, b - 1)) if b else 0.0
        moved += rate(1, b + 1) * routing[1, 0] * network.p_numbers((a - 1, b + 1)) if a else 0.0
        assert flow_out * network.p_numbers((a, b)) == pytest.approx(arrived + left + moved, rel=1e-12)


# Arrivals that change


def test_the_census_follows_the_arrivals_damped_and_late():
    census = sinusoidal_census(10.0, 0.6, 24.0, 0.25)
    assert census.mean == pytest.approx(40.0)
    assert census.amplitude == printed(16.5749, 4)
    assert census.lag == printed(3.088, 3)
    times, step = np.linspace(0.0, 24.0, 9), 1e-5  # m'(t) = λ(t) - μ m(t)
    for t in times:
        slope = (census.at(t + step) - census.at(t - step)) / (2 * step)
        assert slope == pytest.approx(10.0 * (1 + 0.6 * math.sin(2 * math.pi * t / 24)) - 0.25 * census.at(t), abs=1e-6)


def test_the_census_of_an_hourly_profile_is_that_of_its_differential_equation():
    rates, mu = np.array([2.0] * 6 + [9.0] * 6 + [14.0] * 6 + [7.0] * 6), 0.2
    start = 0.0
    for _ in range(40):  # days, each hour solved exactly
        census = [start]
        for rate in rates:
            census.append(rate / mu + (census[-1] - rate / mu) * math.exp(-mu))
        start = census[-1]
    ours = mean_census_profile(rates, lambda age: np.exp(-mu * age), 1 / mu)
    assert ours == pytest.approx(census[:-1], rel=1e-9)


def test_lognormal_stays_give_the_mean_census_and_the_swing_of_their_characteristic_function():
    mu, sigma = 0.742 + math.log(24.0), 1.0  # an intensive care stay with a median of 2.1 days
    mean = math.exp(mu + sigma**2 / 2)

    def survival(age):
        return np.array([0.5 * math.erfc((math.log(a) - mu) / (sigma * math.sqrt(2.0))) for a in age])

    rates = 1.0 + 0.55 * np.sin(2 * np.pi * (np.arange(24) + 0.5 - 9.5) / 24)
    census = mean_census_profile(rates, survival, mean)
    assert census.mean() == pytest.approx(rates.mean() * mean, rel=1e-6)
    z, omega = np.linspace(-8.0, 8.0, 200_001), 2 * math.pi / 24
    weights = np.exp(-z * z / 2)
    characteristic = np.sum(weights * np.exp(1j * omega * np.exp(mu + sigma * z))) / weights.sum()
    assert np.ptp(census) / 2 == pytest.approx(0.55 * abs(1 - characteristic) / omega, rel=0.01)  # arrivals step by the hour


def test_the_family_medicine_ward_is_a_poisson_census():
    mean_stay_d = math.exp(0.49 + 0.83 / 2)  # doi 10.1177/1460458214565949
    ward = mg_infinity(3.28, mean_stay_d)
    assert ward.mean == printed(8.11, 2)
    assert ward.mean == pytest.approx(8.28, rel=0.025)  # the published census
    beds = ward.quantile(0.95)
    assert ward.p_at_least(beds + 1) <= 0.05 < ward.p_at_least(beds)
    assert sum(ward.pmf(n) for n in range(60)) == pytest.approx(1.0)


# Loss systems


@pytest.mark.parametrize(
    ("reserve", "refused"), [(0, (0.12166, 0.12166)), (1, (0.04938, 0.21397)), (2, (0.02138, 0.30638)), (3, (0.00991, 0.40648))]
)
def test_a_reserve_of_beds_shifts_refusals_from_one_class_to_the_other(reserve, refused):
    system = AdmissionSystem(beds=10, arrival_rates=(3.0, 5.0), refusal_costs=(10.0, 1.0))
    assert list(system.trunk_reservation(reserve).p_refused) == [printed(p, 5) for p in refused]


@pytest.mark.parametrize(
    ("cost", "reserve", "best", "admit_all"),
    [(2, 0, 1.338272, 1.338272), (5, 1, 1.810507, None), (10, 2, 2.173130, 4.258137), (20, 3, 2.627218, 7.907969)],
)
def test_the_best_reserve_grows_with_the_cost_of_refusing_the_urgent(cost, reserve, best, admit_all):
    system = AdmissionSystem(beds=10, arrival_rates=(3.0, 5.0), refusal_costs=(float(cost), 1.0))
    optimum = system.optimum()
    assert optimum.reserves == (0, reserve)
    assert np.array_equal(optimum.admit, system.reservation((0, reserve)))
    assert optimum.cost_rate == printed(best, 6)
    if admit_all is not None:
        assert system.evaluate(lambda occupied, group: True).cost_rate == printed(admit_all, 6)


def test_no_policy_of_a_small_unit_beats_the_optimum():
    system = AdmissionSystem(beds=4, arrival_rates=(1.0, 3.0), refusal_costs=(6.0, 1.0), service_rate=0.8)
    tables = (np.array(bits).reshape(4, 2) for bits in itertools.product((0, 1), repeat=8))
    costs = [system.evaluate(table).cost_rate for table in tables]
    assert min(costs) == pytest.approx(system.optimum().cost_rate, rel=1e-12)
    assert system.evaluate(np.zeros((4, 2))).cost_rate == pytest.approx(9.0)  # nobody is admitted: 1 x 6 + 3 x 1


# The published stroke unit


def test_the_loads_of_the_stroke_units_follow_from_flows_and_stays():
    assert stroke_unit_load("acute") == printed(8.3555, 4)
    assert stroke_unit_load("rehabilitation") == printed(9.7182, 4)
    assert stroke_unit_load("pooled", "+5 %") == pytest.approx(1.05 * (8.3555 + 9.7182), rel=1e-5)


def test_the_published_base_rows_of_both_stroke_units_are_reproduced_at_two_decimals():
    base = [row for row in stroke_unit_table() if row.published.scenario == "base" and row.published.unit != "pooled"]
    assert [row.difference for row in base] == [0.0] * 12


def test_other_published_rows_of_the_stroke_unit_differ_where_we_say_so():
    off = {(r.published.unit, r.published.scenario, r.published.beds): r.difference for r in stroke_unit_table() if r.difference}
    assert off == {
        ("acute", "+5 %", 12): 0.01,
        ("acute", "no complex neurology", 11): 0.01,
        ("acute", "no complex neurology", 15): -0.01,
        ("rehabilitation", "+5 %", 14): -0.01,
        ("rehabilitation", "+5 %", 16): 0.01,
        ("pooled", "base", 22): 0.01,
        ("pooled", "base", 26): 0.001,
    }
    more = [row for row in stroke_unit_table() if (row.published.unit, row.published.scenario) == ("acute", "+5 %")]
    assert [row.one_in for row in more] == [row.published.one_in for row in more] == [6, 9, 13, 21, 34]


# Staffing


def test_the_halfin_whitt_delay_is_approached_as_the_unit_grows():
    for beta in (0.2, 0.5, 1.0, 2.0):
        errors = [abs(erlang_c(round(a + beta * math.sqrt(a)), a) / halfin_whitt_delay(beta) - 1.0) for a in (100.0, 10_000.0, 1_000_000.0)]
        assert errors[2] < 0.005
        assert errors[2] < errors[0]
        assert beta_for_delay(halfin_whitt_delay(beta)) == pytest.approx(beta, rel=1e-9)


def test_the_square_root_rule_is_within_one_server_of_the_exact_number():
    for load, target in itertools.product((2.5, 8.0, 25.0, 90.0, 400.0), (0.05, 0.2, 0.5)):
        rule, exact = square_root_staffing(load, target), servers_for_delay(load, target)
        assert abs(rule.servers - exact) <= 1
        assert erlang_c(exact, load) <= target
        assert exact - 1 <= load or erlang_c(exact - 1, load) > target
        assert rule.p_wait == erlang_c(rule.servers, load)


def test_beds_for_a_share_of_refusals_are_the_fewest_that_suffice():
    beds = beds_for_blocking(stroke_unit_load("acute"), 0.05)
    assert beds == 13
    assert erlang_b(13, 8.3555) <= 0.05 < erlang_b(12, 8.3555)
    assert offered_load(3.28, 2.5) == pytest.approx(8.2)


# Wrong use


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mmc(10.0, 1.0, 10), "offered load of 10 on 10 server"),
        (lambda: mm1(-1.0, 1.0), "arrival_rate must be a finite number above 0, not -1"),
        (lambda: mmc(1.0, 1.0, 1.5), "servers must be a whole number of at least 1, not 1.5"),
        (lambda: mmck(1.0, 1.0, 5, 3), "capacity must be a whole number of at least 5, not 3"),
        (lambda: mg1(1.2, 1.0, 0.0), "offered load of 1.2"),
        (lambda: cobham((0.5, 0.6), (1.0, 1.0)), "offered load of 1.1"),
        (lambda: cobham((0.5,), (1.0,), (0.5,)), "second moment"),
        (lambda: preemptive_resume((0.5,), (1.0, 1.0)), "one entry for each class"),
        (lambda: static_order_cost_rate((0, 0), (0.1, 0.1), (1.0, 1.0), (1.0, 1.0)), "each of the classes 0..1 once"),
        (lambda: traffic_equations((1.0, 0.0), ((0.0, 1.0), (1.0, 0.0))), "nobody ever leaves"),
        (lambda: jackson((1.0,), ((0.5,),), (1.0,), (2,)), "offered load of 2 on 2"),
        (lambda: sinusoidal_census(1.0, 1.5, 24.0, 1.0), "relative_amplitude"),
        (lambda: mean_census_profile((1.0,) * 24, lambda age: np.exp(-age), 2.0), "does not agree with a mean_stay of 2"),
        (lambda: AdmissionSystem(beds=3, arrival_rates=(1.0,), refusal_costs=(1.0, 2.0)), "one entry for each class"),
        (lambda: AdmissionSystem(beds=3, arrival_rates=(1.0,), refusal_costs=(1.0,)).evaluate([[1], [2], [0]]), "0..1, not 2"),
        (lambda: AdmissionSystem(beds=3, arrival_rates=(1.0,), refusal_costs=(1.0,)).evaluate([[1], [0]]), r"\(3, 1\), not \(2, 1\)"),
        (lambda: stroke_unit_load("theatre"), "not 'theatre'"),
        (lambda: beta_for_delay(1.0), "p_wait must lie between 0 and 1"),
    ],
)
def test_wrong_use_names_what_it_saw(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_everything_that_theory_exports_is_there_and_sorted():
    assert all(hasattr(theory, name) for name in theory.__all__)
    public = {name for name, value in vars(theory).items() if getattr(value, "__module__", "").startswith("medsim.hospital.theory.")}
    assert public | {"STROKE_UNIT_DELAYS"} == set(theory.__all__)
