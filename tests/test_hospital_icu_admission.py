"""``medsim/ICUAdmission-v0``: the unit without a waiting room against queueing theory, the unit with a queue by what must balance."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from medsim.hospital.draws import Draws, key_of
from medsim.hospital.evaluation import play_episode
from medsim.hospital.icu_admission import (
    IcuAdmissionEnv,
    admission_system,
    exact_cost_rate,
    gap_closed,
    icu_admission_task,
    policy_table,
)
from medsim.hospital.icu_admission.exact import optimum
from medsim.hospital.icu_admission.stays import StayLaw
from medsim.hospital.icu_admission.theatre import theatre_hours_left, theatre_to_calendar_h
from medsim.hospital.icu_admission.waiting_patient import chance_to_come_back
from medsim.hospital.policy import FunctionHospitalPolicy
from medsim.hospital.theory.loss import AdmissionSystem
from medsim.policies.icu_admission import POLICIES, Reserve

BOTH = pytest.mark.parametrize("variant", ["trunk", "queue"])
QUIET = {"log_events": False}
REFUSED = {0: (0.12166, 0.12166), 1: (0.04938, 0.21397), 2: (0.02138, 0.30638), 3: (0.00991, 0.40648)}  # hospital theory, 5 digits
EXTREMES = [
    {"emergencies_per_day": 0, "electives_per_day": 0},
    {"beds": 0},
    {"emergencies_per_day": 300, "electives_per_day": 500},
    {"variant": "queue", "high_acuity_per_day": 0, "low_acuity_per_day": 0, "electives_per_weekday": 0},
    {"variant": "queue", "beds": 0},
    {"variant": "queue", "waiting_places": 0},
    {"variant": "queue", "high_acuity_per_day": 100, "low_acuity_per_day": 100, "electives_per_weekday": 100},
]


def replications(policy, *, count=12, days=250.0, **options):
    """Return the shares refused (count, 2) by replication and class."""
    task = icu_admission_task(horizon_days=days, **QUIET, **options)
    played = [play_episode(task, policy, seed=5, slot=slot).metrics for slot in range(count)]
    return np.array([[one["emergency_share_refused"], one["elective_share_refused"]] for one in played])


def z_scores(samples, expected):
    """Return how many standard errors the means of the columns are from what is expected."""
    return (samples.mean(axis=0) - expected) / (samples.std(axis=0, ddof=1) / np.sqrt(len(samples)))


def trajectory(env, seed, steps=60):
    """Return everything that random legal actions lead to."""
    rng = np.random.default_rng(1)
    seen, info = env.reset(seed=seed)
    rows = [(seen.tolist(), info["costs"])]
    for _ in range(steps):
        action = rng.choice(np.flatnonzero(info["action_mask"]))
        seen, reward, _, _, info = env.step(int(action))
        rows.append((seen.tolist(), reward, info["costs"], info["reward_terms"], info["time_h"], info["action_mask"].tolist()))
    return rows


def play_out(env, choose, seed=3):
    """Play an episode and return its return, its costs and the last info."""
    _, info = env.reset(seed=seed)
    total, costs, over = 0.0, [], False
    while not over:
        seen, reward, terminated, truncated, info = env.step(choose(info["action_mask"]))
        assert env.observation_space.contains(seen)
        assert not terminated
        total, over = total + reward, truncated
        costs.append(info["costs"])
    return total, costs, info


# The optimum


def test_two_beds_in_reserve_are_best():
    best = optimum()
    assert best.reserves == (0, 2)
    assert best.cost_rate == pytest.approx(2.173130, abs=5e-7)
    assert exact_cost_rate(lambda busy, kind: True) == pytest.approx(4.258137, abs=5e-7)


@pytest.mark.parametrize(("ratio", "reserve", "cost"), [(2, 0, 1.338272), (5, 1, 1.810507), (10, 2, 2.173130), (20, 3, 2.627218)])
def test_the_reserve_grows_with_the_cost_of_refusing_an_emergency(ratio, reserve, cost):
    best = optimum(emergency_refusal_cost=ratio)
    assert best.reserves[1] == reserve
    assert best.cost_rate == pytest.approx(cost, abs=5e-7)


def test_the_gap_is_0_for_admitting_everybody_and_1_for_the_optimum():
    assert gap_closed(exact_cost_rate(policy_table(POLICIES["admit-all"]()))) == pytest.approx(0.0, abs=1e-12)
    assert gap_closed(exact_cost_rate(policy_table(POLICIES["optimal"]()))) == pytest.approx(1.0, abs=1e-12)
    one_in_reserve = 3.0 * 10.0 * REFUSED[1][0] + 5.0 * REFUSED[1][1]
    by_hand = (4.258137 - one_in_reserve) / (4.258137 - 2.173130)
    assert gap_closed(exact_cost_rate(policy_table(POLICIES["trunk-1"]()))) == pytest.approx(by_hand, abs=2e-4)
    with pytest.raises(ValueError, match="no gap"):
        gap_closed(1.3, emergency_refusal_cost=2.0)


def test_a_table_is_read_from_a_policy_as_from_a_function():
    by_function = policy_table(lambda agent, seen, mask: int(seen[1] == 1.0 or seen[0] < 0.75))
    np.testing.assert_array_equal(by_function, policy_table(Reserve("two", 2)))
    np.testing.assert_array_equal(by_function, admission_system().reservation([0, 2]))
    np.testing.assert_array_equal(by_function, policy_table(POLICIES["searched"]()))


def test_exact_costs_agree_with_the_linear_equations_of_the_chain():
    table = np.random.default_rng(4).random((10, 2)) < 0.6
    up = table @ np.array([3.0, 5.0])
    generator = np.diag(up, 1) + np.diag(np.arange(1.0, 11.0), -1)
    generator -= np.diag(generator.sum(axis=1))
    p = np.linalg.lstsq(np.vstack([generator.T, np.ones(11)]), np.append(np.zeros(11), 1.0), rcond=None)[0]
    refusing = np.vstack([~table, [True, True]])
    assert exact_cost_rate(table) == pytest.approx(p @ (refusing @ np.array([30.0, 5.0])), abs=1e-9)


# The model against theory


@pytest.mark.parametrize("reserve", [0, 1, 2, 3])
def test_refusals_agree_with_theory(reserve):
    expected = AdmissionSystem(beds=10, arrival_rates=(3.0, 5.0), refusal_costs=(10.0, 1.0)).trunk_reservation(reserve).p_refused
    assert expected == pytest.approx(REFUSED[reserve], abs=1e-5)
    assert np.abs(z_scores(replications(Reserve("r", reserve)), expected)).max() < 4.0


@pytest.mark.parametrize("stay", [{"stay": "lognormal", "stay_sd_days": 1.5}, {"stay": "fixed"}], ids=["lognormal", "fixed"])
def test_refusals_are_insensitive_to_the_law_of_stays(stay):
    assert np.abs(z_scores(replications(Reserve("all"), **stay), 0.12166106)).max() < 4.0


@pytest.mark.parametrize("shape", ["exponential", "lognormal", "fixed"])
def test_a_stay_in_progress_is_longer_by_its_variance(shape):
    law = StayLaw(shape=shape, mean_h=24.0, sd_h=12.0)
    draws = Draws(key_of(8))
    sd_h = {"exponential": 24.0, "lognormal": 12.0, "fixed": 0.0}[shape]
    gone, left = np.array([law.in_progress_h(draws, who) for who in range(4000)]).T
    expected = 24.0 * (1.0 + (sd_h / 24.0) ** 2) / 2.0  # the mean of the residual life
    assert abs(gone.mean() - expected) < 4.0 * gone.std() / np.sqrt(4000)
    assert abs(left.mean() - expected) < 4.0 * left.std() / np.sqrt(4000)


def test_the_first_hours_are_already_in_steady_state():
    task = icu_admission_task(horizon_days=0.25, **QUIET)
    busy = np.array([task.make_model(key_of(2, slot)).state()[1] for slot in range(1500)])
    mean = 8.0 * (1.0 - 0.12166106)
    assert abs(busy.mean() - mean) < 4.0 * busy.std() / np.sqrt(len(busy))


def test_the_optimal_policy_beats_admitting_everybody_with_intervals_apart():
    task = icu_admission_task(**QUIET)
    returns = {}
    for name in ("optimal", "admit-all"):
        played = [play_episode(task, POLICIES[name](), seed=20260, slot=slot) for slot in range(40)]
        returns[name] = np.array([sum(one.terms.values()) for one in played])
    low = returns["optimal"].mean() - 2.02 * returns["optimal"].std(ddof=1) / np.sqrt(40)
    high = returns["admit-all"].mean() + 2.02 * returns["admit-all"].std(ddof=1) / np.sqrt(40)
    assert low > high


# Bookkeeping


@BOTH
@pytest.mark.parametrize("policy", ["random", "nothing", "admit-all"])
def test_littles_law_holds_to_the_last_digits(variant, policy):
    played = play_episode(icu_admission_task(variant=variant, **QUIET), POLICIES[policy](), seed=9).metrics
    for place in ("bed", "wait") if variant == "queue" else ("bed",):
        assert played[f"{place}_number_integral_h"] == pytest.approx(played[f"{place}_individual_sum_h"], rel=1e-9, abs=1e-9)
    assert played["bed_number_integral_h"] > 0.0


@pytest.mark.parametrize("policy", ["random", "nothing", "early-discharge"])
def test_whoever_came_was_refused_treated_waits_or_is_there(policy):
    m = play_episode(icu_admission_task(**QUIET), POLICIES[policy](), seed=9).metrics
    came = m["at_start"] + m["emergency_arrived"] + m["elective_arrived"]
    assert came == m["treated"] + m["emergency_refused"] + m["elective_refused"] + m["present"]
    m = play_episode(icu_admission_task(variant="queue", **QUIET), POLICIES[policy](), seed=9).metrics
    assert m["at_start"] + m["arrived"] == m["refused"] + m["discharged"] + m["discharged_early"] + m["present"] + m["waiting_now"]


def test_waiting_costs_are_the_exact_integral():
    options = {"variant": "queue", "waiting_costs_per_h": "equal", **QUIET}
    played = play_episode(icu_admission_task(**options), POLICIES["nothing"](), seed=4)
    assert played.terms["waiting"] == pytest.approx(-0.5 * played.metrics["wait_individual_sum_h"], rel=1e-9)
    assert played.costs["refused_high_acuity"] > 0.0


def test_boarding_counts_the_hours_beyond_the_fourth():
    env = IcuAdmissionEnv(variant="queue", beds=0, waiting_places=200, horizon_days=10)
    _, costs, _ = play_out(env, lambda mask: 0)
    total = sum(one["boarding_above_4_h"] for one in costs)
    arrivals = env.event_log().query("event == 'arrives'").time_h.to_numpy()
    assert total == pytest.approx(np.maximum(240.0 - arrivals - 4.0, 0.0).sum(), rel=1e-9)


def test_the_true_state_tells_when_each_patient_leaves():
    env = IcuAdmissionEnv(expose_state=True)
    env.reset(seed=11)
    *_, info = env.step(1)
    left = [value for name, value in info["state"].items() if "remaining" in name and value > 0.0]
    now = info["time_h"]
    expected = sorted(now + value for value in left if now + value < 720.0)
    while "outcome" not in info:
        *_, info = env.step(0)
    log = env.event_log().query("event == 'leaves' and time_h > @now").time_h
    assert len(expected) > 3
    assert sorted(log) == pytest.approx(expected)


# The unit with a queue


def test_the_searched_rule_beats_admitting_everybody_on_the_same_episodes():
    task = icu_admission_task(variant="queue", **QUIET)
    rules = {
        name: [play_episode(task, POLICIES[name](), seed=20260, slot=slot) for slot in range(20)] for name in ("searched", "admit-all")
    }
    returns = {name: np.array([sum(one.terms.values()) for one in played]) for name, played in rules.items()}
    better = returns["searched"] - returns["admit-all"]
    assert better.mean() > 2.09 * better.std(ddof=1) / np.sqrt(20)  # the paired interval of 95 % is above 0


def test_early_discharge_brings_patients_back_more_often_the_more_is_cut():
    chances = [chance_to_come_back(0.037, 2.5, days) for days in (0.0, 1.0, 3.0, 30.0)]
    assert chances[0] == pytest.approx(0.037)
    assert chances[1] / (1 - chances[1]) == pytest.approx(2.5 * 0.037 / 0.963)
    assert chances == sorted(chances)
    assert chances[-1] < 1.0


def test_no_excess_deaths_without_an_association():
    options = {"variant": "queue", **QUIET}
    with_harm, without = (
        play_episode(icu_admission_task(icu_odds_ratio_per_hour=ratio, **options), POLICIES["admit-all"](), seed=2) for ratio in (1.03, 1.0)
    )
    assert without.costs["expected_excess_deaths"] == 0.0
    assert with_harm.costs["expected_excess_deaths"] > 0.0
    assert with_harm.terms == without.terms


def test_operations_end_on_weekdays_from_10_to_18():
    times = [theatre_to_calendar_h(hours) for hours in (0.0, 7.9, 8.0, 39.9, 40.0)]
    assert times == pytest.approx([10.0, 17.9, 34.0, 4 * 24 + 17.9, 168 + 10.0])
    assert [theatre_hours_left(time) for time in (0.0, 14.0, 20.0, 5 * 24.0, 6 * 24 + 12.0, 168.0)] == [40.0, 36.0, 32.0, 0.0, 0.0, 40.0]
    env = IcuAdmissionEnv(variant="queue")
    play_out(env, lambda mask: int(mask[1]))
    electives = env.event_log().query("event == 'arrives' and detail == 'elective'").time_h.to_numpy()
    assert len(electives) > 10
    assert ((electives % 24 >= 10) & (electives % 24 <= 18) & (electives % 168 < 120)).all()


def test_triage_hides_the_true_class():
    env = IcuAdmissionEnv(variant="queue", horizon_days=300, undertriage=0.25, overtriage=0.4)
    play_out(env, lambda mask: int(mask[1]))
    came = env.event_log().query("event == 'arrives' and acuity < 4")
    shares = came.assign(wrong=came.acuity != came.triage).groupby("acuity").wrong.agg(["mean", "count"])
    for acuity, share in ((1, 0.25), (3, 0.4)):
        mean, count = shares.loc[acuity]
        assert abs(mean - share) < 4.0 * np.sqrt(share * (1 - share) / count)


def test_a_free_bed_is_offered_to_the_most_urgent_who_waits():
    env = IcuAdmissionEnv(variant="queue", beds=3)
    play_out(env, lambda mask: int(mask[1]))
    log = env.event_log()
    waiting = {}
    for row in log.itertuples():
        if row.event == "arrives":
            waiting[row.patient] = row.triage
        elif row.event in ("admitted", "refused"):
            triage = waiting.pop(row.patient)
            assert row.event == "refused" or triage <= min(waiting.values(), default=9)


def test_an_early_discharge_frees_the_bed_for_the_patient_at_hand():
    env = IcuAdmissionEnv(variant="queue", beds=4)
    play_out(env, lambda mask: 3 if mask[3] else int(mask[1]))
    log = env.event_log()
    early = log.index[log.event == "leaves early"]
    assert len(early) > 10
    assert (log.event[early + 1] == "admitted").all()
    assert (log.time_h[early + 1].to_numpy() == log.time_h[early].to_numpy()).all()


def test_a_patient_who_is_held_is_asked_about_again_when_nothing_else_happens():
    env = IcuAdmissionEnv(variant="queue", high_acuity_per_day=0.05, low_acuity_per_day=0, electives_per_weekday=0, review_h=2.0)
    _, info = env.reset(seed=1)
    times = []
    for _ in range(4):
        times.append(info["time_h"])
        *_, info = env.step(0)
    assert np.diff(times) == pytest.approx([2.0, 2.0, 2.0])


# The contract


@BOTH
@pytest.mark.parametrize("mask_in_observation", [False, True])
def test_gymnasiums_checker_is_content(variant, mask_in_observation):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*not having a spec.*")
        env = IcuAdmissionEnv(variant=variant, render_mode="rgb_array", mask_in_observation=mask_in_observation)
        check_env(env, skip_render_check=False)


@BOTH
def test_the_same_key_gives_the_same_trajectory(variant):
    one, two = IcuAdmissionEnv(variant=variant), IcuAdmissionEnv(variant=variant)
    assert trajectory(one, 7) == trajectory(two, 7)
    assert trajectory(one, 7) != trajectory(one, 8)


@BOTH
def test_policies_on_one_seed_meet_the_same_arrivals(variant):
    def arrivals(choose):
        env = IcuAdmissionEnv(variant=variant, **({"base_readmission": 0.0} if variant == "queue" else {}))
        play_out(env, choose)
        return env.event_log().query("event == 'arrives'")[["time_h", "patient", "triage", "acuity"]].to_numpy().tolist()

    assert arrivals(lambda mask: 0) == arrivals(lambda mask: int(mask[1]))


@BOTH
def test_an_action_outside_the_space_is_refused_by_name(variant):
    env = IcuAdmissionEnv(variant=variant)
    env.reset(seed=0)
    for wrong in (-1, 9, 0.5, None, "admit"):
        with pytest.raises(ValueError, match="action of agent 'icu'"):
            env.step(wrong)


def test_an_action_that_the_mask_forbids_is_counted_and_does_nothing():
    env, held = IcuAdmissionEnv(variant="queue", beds=0), IcuAdmissionEnv(variant="queue", beds=0)
    env.reset(seed=3)
    held.reset(seed=3)
    forbidden, nothing = env.step(1), held.step(0)
    assert forbidden[4]["costs"]["forbidden_action"] == 1.0
    assert forbidden[4]["forbidden_action"]
    assert forbidden[1] == nothing[1]
    assert forbidden[0].tolist() == nothing[0].tolist()


@pytest.mark.parametrize("options", [{"beds": 0}, {"emergencies_per_day": 0}, {"electives_per_day": 0}], ids=str)
@pytest.mark.parametrize("name", list(POLICIES))
def test_policies_bear_a_unit_without_beds_and_classes_that_never_come(options, name):
    played = play_episode(icu_admission_task(horizon_days=5, **QUIET, **options), POLICIES[name](), seed=2)
    assert (played.decisions == 0) == (options == {"beds": 0})


@pytest.mark.parametrize("options", EXTREMES, ids=str)
@pytest.mark.parametrize("how", ["nothing", "legal", "any"])
def test_extremes_break_nothing(options, how):
    env = IcuAdmissionEnv(horizon_days=6, **QUIET, **options)
    rng = np.random.default_rng(0)
    choices = {
        "nothing": lambda mask: 0,
        "legal": lambda mask: int(rng.choice(np.flatnonzero(mask))),
        "any": lambda mask: int(rng.integers(len(mask))),
    }
    total, costs, info = play_out(env, choices[how])
    assert info["outcome"] == "watching_ended"
    assert info["time_h"] == 144.0
    assert np.isfinite(total)
    assert all(value >= 0.0 for one in costs for value in one.values())
    metrics = env.shell.present_model().metrics()
    assert metrics["bed_number_integral_h"] == pytest.approx(metrics["bed_individual_sum_h"], rel=1e-9, abs=1e-9)


@BOTH
def test_everything_seen_moves_and_nothing_hidden_is_seen(variant):
    env = IcuAdmissionEnv(variant=variant, expose_state=True)
    _, info = env.reset(seed=5)
    rows, over = [], False
    while not over:
        seen, _, _, over, info = env.step(int(info["action_mask"][1]))
        rows.append(seen)
    assert (np.ptp(np.array(rows), axis=0) > 0.0).all()
    assert set(info["state"]) == set(env.task.state_names)
    assert not set(env.task.names_seen("icu")) & {"class at hand", "bed 0 remaining stay h"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "ward"}, "variant must be one of 'trunk', 'queue'"),
        ({"beds": 2.5}, "beds must be a whole number"),
        ({"waiting_places": 3}, "unknown option 'waiting_places'"),
        ({"variant": "queue", "stay": "fixed"}, "unknown option 'stay'"),
        ({"emergencies_per_day": -1}, "emergencies_per_day"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        IcuAdmissionEnv(**options)


def test_the_optimum_is_refused_where_none_is_known():
    with pytest.raises(ValueError, match="variant='trunk' only"):
        play_episode(icu_admission_task(variant="queue"), POLICIES["optimal"](), seed=0)


@BOTH
@pytest.mark.parametrize("name", [name for name in POLICIES if name != "optimal"])
def test_reference_policies_only_do_what_is_legal(variant, name):
    task = icu_admission_task(variant=variant, **QUIET)
    assert play_episode(task, POLICIES[name](), seed=1).costs.get("forbidden_action", 0.0) == 0.0
    policy = POLICIES[name]()

    def checked(agent, seen, mask):
        action = policy.act(agent, seen, mask)
        assert mask[action]
        return action

    policy.begin(task, key_of(1))
    play_episode(task, FunctionHospitalPolicy("checked", checked), seed=1)


@BOTH
def test_every_number_has_a_name_and_a_source(variant):
    rows = IcuAdmissionEnv(variant=variant).provenance()
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.source for row in rows)


@BOTH
def test_both_boards_can_be_drawn(variant):
    for mode in ("rgb_array", "ansi"):
        env = IcuAdmissionEnv(variant=variant, render_mode=mode)
        env.reset(seed=0)
        assert len(env.render()) > 0
