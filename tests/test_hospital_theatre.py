"""``medsim/Theatre-v0``: the suite against scheduling theory, queueing theory and its own books."""

import math
from itertools import pairwise, permutations, product
from typing import Any

import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils.conversions import parallel_to_aec

from medsim.hospital.draws import Draws, key_of
from medsim.hospital.evaluation import Played, play_episode
from medsim.hospital.harm import HarmModel
from medsim.hospital.policy import FunctionHospitalPolicy
from medsim.hospital.shells import HospitalShell
from medsim.hospital.theatre import TheatreEnv, ex_post_bound, theatre_task
from medsim.hospital.theatre.cases import draw_cases, first_icu_stays
from medsim.hospital.theatre.kinds import ELECTIVES, ICU_MEAN_H, ICU_SD_H, KINDS, MINIMUM_SHARE
from medsim.hospital.theatre.model import TheatreModel
from medsim.hospital.theatre.options import TheatreConfig
from medsim.hospital.theory.priorities import cobham
from medsim.policies.theatre import LIST, POLICIES, Rule, RulePolicy

BUSY = {"emergencies_per_day": 24.0, "electives_per_day": 12, "recovery_beds": 2, "icu_beds": 2}
SETTINGS: list[dict[str, Any]] = [{}, BUSY, {"days": 3, "rooms": 3}, {"rooms": 2, "variability": 0.0, "allowed_overtime_h": 4.0}]
NO_LIMITS = {"recovery_beds": 100, "icu_beds": 100, "icu_occupancy": 0.0}
TOY = {
    **NO_LIMITS, "rooms": 2, "electives_per_day": 4, "emergencies_per_day": 0.0, "variability": 0.0, "session_h": 5.0,
    "allowed_overtime_h": 6.0,
}  # fmt: skip


def played(policy: Any, slot: int = 0, seed: int = 5, **options: Any) -> tuple[Played, TheatreModel]:
    """Play an episode; return its sums and its model."""
    task = theatre_task(**options)
    shell = HospitalShell(task, None)
    result = play_episode(task, policy, seed=seed, slot=slot, shell=shell)
    model = shell.present_model()
    assert isinstance(model, TheatreModel)
    return result, model


def in_order(kinds: tuple[int, ...]) -> FunctionHospitalPolicy:
    """Return a policy that takes kinds in the order given, whoever asks."""
    left = list(kinds)
    return FunctionHospitalPolicy("in order", lambda agent, seen, mask: left.pop(0) + 1)


# Scheduling theory


def toy_lists() -> list[tuple[int, tuple[int, ...]]]:
    """Return toy instances: slots with their electives' kinds, most of them different."""
    config = theatre_task(**TOY).config
    lists = [(slot, tuple(case.kind for case in draw_cases(Draws(key_of(5, slot)), config))) for slot in range(30)]
    return [(slot, kinds) for slot, kinds in lists if len(set(kinds)) >= 2][:8]


def best_partition(kinds: tuple[int, ...], turnover_h: float, session_h: float) -> tuple[float, float]:
    """Return the least overtime, and the least last exit, over all ways to share the cases among two rooms."""
    overtime, last = math.inf, math.inf
    for rooms in product((0, 1), repeat=len(kinds)):
        work = [[KINDS[kind].expected_h + turnover_h for kind, room in zip(kinds, rooms, strict=True) if room == one] for one in (0, 1)]
        ends = [sum(part) for part in work]
        overtime = min(overtime, sum(max(0.0, end - session_h) for end in ends))
        last = min(last, max(ends) - turnover_h)
    return overtime, last


@pytest.mark.parametrize(("slot", "kinds"), toy_lists())
def test_the_best_order_of_a_toy_list_is_as_good_as_the_best_partition(slot: int, kinds: tuple[int, ...]) -> None:
    results = [played(in_order(order), slot, **TOY) for order in sorted(set(permutations(kinds)))]
    overtime, last = best_partition(kinds, 0.5, 5.0)
    assert min(result.costs["overtime_h"] for result, _ in results) == pytest.approx(overtime, abs=1e-9)
    assert min(result.metrics["last_out_h"] for result, _ in results) == pytest.approx(last, abs=1e-9)


@pytest.mark.parametrize("rooms", [2, 3, 4])
def test_longest_first_stays_within_grahams_bound(rooms: int) -> None:
    options = {**TOY, "rooms": rooms, "electives_per_day": 7, "turnover_h": 0.0, "session_h": 14.0}
    for slot in range(5):
        result, model = played(POLICIES["longest-first"](), slot, **options)
        hours = [KINDS[case.kind].expected_h for case in model.cases]
        best = min(
            max(sum(h for h, r in zip(hours, way, strict=True) if r == room) for room in range(rooms))
            for way in product(range(rooms), repeat=7)
        )
        assert best - 1e-9 <= result.metrics["last_out_h"] <= (4.0 / 3.0 - 1.0 / (3.0 * rooms)) * best + 1e-9


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_beats_the_clairvoyant_bound(name: str, options: dict[str, Any]) -> None:
    for slot in range(6):
        result, model = played(POLICIES[name](), slot, **options)
        bound = ex_post_bound(model.cases, model.config)
        assert sum(result.terms.values()) <= bound + 1e-9 <= 1e-9


def test_the_clairvoyant_bound_is_reached_where_nothing_has_to_be_given_up() -> None:
    options = {**TOY, "rooms": 4, "session_h": 9.0}
    result, model = played(POLICIES["longest-first"](), 0, **options)
    assert sum(result.terms.values()) == pytest.approx(ex_post_bound(model.cases, model.config), abs=1e-12) == 0.0
    late = {**options, "rooms": 1, "electives_per_day": 2, "session_h": 4.0}
    episodes = (played(POLICIES["first-come"](), slot, **late) for slot in range(99))
    result, model = next((result, model) for result, model in episodes if {case.kind for case in model.cases} == {3})
    assert ex_post_bound(model.cases, model.config) == pytest.approx(-(0.05 * 2.4 + 0.8), abs=1e-9)  # the second waits, and runs over
    assert sum(result.terms.values()) == pytest.approx(ex_post_bound(model.cases, model.config), abs=1e-9)


# Queueing theory


def waits_of_one_room(policy: str, days: int = 28, slots: int = 30) -> "np.ndarray[Any, Any]":
    """Return mean waits by class (slots, 3) of one room with emergencies only, of those who came two days before the end."""
    rows = []
    for slot in range(slots):
        options = {"rooms": 1, "days": days, "electives_per_day": 0, "emergencies_per_day": 3.6, **NO_LIMITS, "log_events": False}
        _, model = played(POLICIES[policy](), slot, 11, **options)
        come = [case for case in model.cases if case.arrival_h < (days - 2) * 24.0]
        rows.append([np.mean([case.waited_h(model.time_h) for case in come if case.kind == kind] or [np.nan]) for kind in range(3)])
    return np.array(rows)


def test_waits_for_one_room_follow_cobhams_formula_by_urgency() -> None:
    service = KINDS[0].expected_h + 0.5
    second_moment = service**2 + (KINDS[0].variation * KINDS[0].expected_h) ** 2
    rates = [3.6 / 24.0 * kind.share for kind in KINDS[:3]]
    theory = cobham(rates, [service] * 3, [second_moment] * 3).mean_waits
    waits = waits_of_one_room("urgency-first")
    for kind in range(3):
        seen = waits[:, kind][~np.isnan(waits[:, kind])]
        assert abs(seen.mean() - theory[kind]) < 4.0 * seen.std(ddof=1) / math.sqrt(len(seen))
    assert waits[:, 0].mean() < waits[:, 1].mean() < waits[:, 2].mean()


# Distributions


def test_electives_last_as_long_as_published() -> None:
    shares = [KINDS[kind].share for kind in ELECTIVES]
    means = [60.0 * KINDS[kind].expected_h for kind in ELECTIVES]
    mean = float(np.dot(shares, means))
    second = sum(share * m**2 * (1.0 + KINDS[kind].variation ** 2) for share, m, kind in zip(shares, means, ELECTIVES, strict=True))
    assert mean == pytest.approx(19 + 13 + 115 + 12)
    assert math.sqrt(second - mean**2) == pytest.approx(math.sqrt(9**2 + 8**2 + 64**2 + 8**2), rel=0.01)


def test_emergencies_have_the_published_mean_and_median() -> None:
    config = TheatreConfig(emergencies_per_day=500.0, electives_per_day=0, days=10, durations="lognormal")
    minutes = np.array([60.0 * case.duration_h for case in draw_cases(Draws(key_of(3)), config)])
    assert minutes.mean() == pytest.approx(185.0, rel=0.04)
    assert np.median(minutes) == pytest.approx(150.0, rel=0.04)


def test_both_laws_of_durations_have_the_same_mean_and_spread_and_one_a_least_duration() -> None:
    samples = {}
    for law in ("three-parameter", "lognormal"):
        config = TheatreConfig(emergencies_per_day=0.0, electives_per_day=200, days=20, durations=law)
        cases = draw_cases(Draws(key_of(3)), config)
        samples[law] = np.array([case.duration_h / KINDS[case.kind].expected_h for case in cases])
    for ratios in samples.values():
        assert ratios.mean() == pytest.approx(1.0, abs=0.015)
        assert ratios.std() == pytest.approx(0.28, rel=0.05)
    assert samples["three-parameter"].min() > MINIMUM_SHARE > samples["lognormal"].min()


def test_stays_in_intensive_care_at_the_start_are_those_met_at_a_random_moment() -> None:
    from scipy.stats import norm

    config = TheatreConfig(icu_beds=100, icu_occupancy=1.0)
    stays = np.concatenate([first_icu_stays(Draws(key_of(3, slot)), config) for slot in range(40)])
    sigma = math.sqrt(math.log1p((ICU_SD_H / ICU_MEAN_H) ** 2))
    for t in (12.0, 48.0, 120.0, 400.0):
        d = (math.log(ICU_MEAN_H / t) + 0.5 * sigma**2) / sigma
        longer = norm.cdf(d) - t / ICU_MEAN_H * norm.cdf(d - sigma)  # E(S - t)+ / E(S)
        assert abs(np.mean(stays > t) - longer) < 4.0 * math.sqrt(longer * (1.0 - longer) / len(stays))


# Books


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("name", ["random", "nothing", "searched"])
def test_waiting_obeys_littles_law_and_no_case_is_lost(name: str, options: dict[str, Any]) -> None:
    for slot in range(4):
        _, model = played(POLICIES[name](), slot, **options)
        now = model.time_h
        come = [case for case in model.cases if case.arrival_h <= now]
        for kind in range(len(KINDS)):
            of_kind = [case for case in come if case.kind == kind]
            assert model.account.waiting_h[kind] == pytest.approx(sum(case.waited_h(now) for case in of_kind), abs=1e-9)
            started = sum(case.started_h is not None for case in of_kind)
            cancelled = sum(case.cancelled_h is not None for case in of_kind)
            assert len(of_kind) == started + cancelled + len(model.waiting[kind])
        assert len(come) == len(model.cases)


@pytest.mark.parametrize("name", ["random", "nothing", "searched"])
def test_the_terms_of_the_reward_are_those_of_the_cases(name: str) -> None:
    for slot in range(4):
        result, model = played(POLICIES[name](), slot, **BUSY)
        cases = model.cases
        waiting = [KINDS[case.kind].waiting * case.waited_h(model.time_h) for case in cases]
        of_electives = sum(cost for cost, case in zip(waiting, cases, strict=True) if not case.emergency)
        assert result.terms["elective_waiting"] == pytest.approx(-of_electives, abs=1e-9)
        assert result.terms["emergency_waiting"] == pytest.approx(-(sum(waiting) - of_electives), abs=1e-9)
        assert result.terms["overtime"] == pytest.approx(-result.costs["overtime_h"], abs=1e-9)
        assert result.terms["cancellations"] == -3.0 * sum(case.cancelled_h is not None for case in cases)
        assert result.terms["handed_over"] == -3.0 * sum(case.emergency and case.started_h is None for case in cases)


def spans(model: TheatreModel, first: str, last: str, column: int) -> dict[Any, list[tuple[float, float, int]]]:
    """Return, by place (column 3) or patient (2), spans of time between two kinds of events, with the patient's number."""
    found: dict[Any, list[tuple[float, float, int]]] = {}
    began: dict[Any, tuple[float, int]] = {}
    for row in model.log.rows:
        if row[1] == first:
            assert row[column] not in began
            began[row[column]] = (row[0], row[2])
        elif row[1] == last and row[column] in began:
            start, patient = began.pop(row[column])
            found.setdefault(row[column], []).append((start, row[0], patient))
    for where, (start, patient) in began.items():
        found.setdefault(where, []).append((start, model.time_h, patient))
    return found


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("name", ["random", "searched"])
def test_a_room_has_one_case_at_a_time_and_a_case_one_room(name: str, options: dict[str, Any]) -> None:
    for slot in range(4):
        _, model = played(POLICIES[name](), slot, **options)
        rooms = spans(model, "starts", "ready", 3)
        patients = [patient for used in rooms.values() for _, _, patient in used]
        assert len(patients) == len(set(patients)) == sum(case.started_h is not None for case in model.cases)
        for used in rooms.values():
            assert all(before[1] <= after[0] for before, after in pairwise(used))


@pytest.mark.parametrize("options", SETTINGS)
def test_overtime_and_blocked_hours_are_those_of_the_event_log(options: dict[str, Any]) -> None:
    for slot in range(4):
        result, model = played(POLICIES["random"](), slot, **options)
        overtime = 0.0
        for used in spans(model, "starts", "ready", 3).values():
            for start, end, _ in used:
                days = range(int(model.config.days))
                inside = [max(0.0, min(end, 24.0 * day + model.config.session_h) - max(start, 24.0 * day)) for day in days]
                overtime += end - start - sum(inside)
        assert result.costs["overtime_h"] == pytest.approx(overtime, abs=1e-9)
        blocked = [end - start for used in spans(model, "surgery over", "leaves theatre", 2).values() for start, end, _ in used]
        assert result.costs["room_blocked_h"] == pytest.approx(sum(blocked), abs=1e-9)
        in_recovery = [end - start for used in spans(model, "enters recovery", "leaves recovery", 2).values() for start, end, _ in used]
        assert model.account.recovery_h == pytest.approx(sum(in_recovery), abs=1e-9)


def test_a_room_is_blocked_exactly_while_recovery_is_full() -> None:
    options = {**NO_LIMITS, "recovery_beds": 1, "rooms": 3, "emergencies_per_day": 0.0, "electives_per_day": 9}
    result, model = played(POLICIES["shortest-first"](), **options)
    stays = sorted(span for used in spans(model, "enters recovery", "leaves recovery", 2).values() for span in used)
    assert result.costs["room_blocked_h"] > 0.0
    assert all(before[1] <= after[0] for before, after in pairwise(stays))
    for case in model.cases:
        if case.out_h is not None and case.surgery_over_h is not None and case.out_h > case.surgery_over_h:
            assert any(end == case.out_h for _, end, _ in stays)  # left at the moment at which another's bed became free


def test_beds_given_back_are_neither_lost_nor_doubled() -> None:
    straight_to_icu = 0
    for slot in range(6):
        options = {"days": 14, "rooms": 3, "recovery_beds": 1, "icu_beds": 3}
        _, model = played(POLICIES["urgency-first"](), slot, **options)
        assert model.recovery.free + len(model.in_recovery) == 1
        stays = spans(model, "enters recovery", "leaves recovery", 2)
        ordered = sorted(span for used in stays.values() for span in used)
        assert all(before[1] <= after[0] for before, after in pairwise(ordered))
        blocked = {row[2] for row in model.log.rows if row[1] == "blocked"}
        straight_to_icu += sum(row[1] == "enters intensive care" and row[2] in blocked and row[2] not in stays for row in model.log.rows)
    assert straight_to_icu > 0  # the case in which a bed of recovery that was asked for is not needed any more


def test_expected_excess_deaths_are_those_of_waits_and_of_boarding() -> None:
    harm = HarmModel()
    boarding = 0.0
    for slot in range(6):
        result, model = played(POLICIES["first-come"](), slot, **BUSY)
        expected = sum(
            harm.excess_risk(KINDS[case.kind].base_risk, KINDS[case.kind].odds_ratio, case.waited_h(model.time_h))
            for case in model.cases
            if case.emergency
        )
        entered = {row[2]: row[0] for row in model.log.rows if row[1] == "enters intensive care"}
        for case in model.cases:
            if case.emergency and case.needs_icu and case.surgery_over_h is not None:
                delay = entered.get(case.number, model.time_h) - case.surgery_over_h
                boarding += delay
                expected += harm.of_icu_delay(delay)
        assert result.costs["expected_excess_deaths"] == pytest.approx(expected, abs=1e-9)
        boarding -= result.costs["icu_boarding_h"]
    assert boarding == pytest.approx(0.0, abs=1e-9)
    assert played(POLICIES["first-come"](), **BUSY, harm="none")[0].costs["expected_excess_deaths"] == 0.0


def test_emergencies_beyond_due_are_those_who_waited_longer() -> None:
    for name in ("nothing", "first-come", "searched"):
        result, model = played(POLICIES[name](), **BUSY)
        late = [case.waited_h(model.time_h) > KINDS[case.kind].due_h for case in model.cases if case.emergency]
        assert result.costs["emergency_beyond_due"] == sum(late) > 0


def test_a_major_elective_begins_only_with_a_bed_in_intensive_care() -> None:
    options = {"icu_beds": 2, "icu_occupancy": 0.0, "electives_per_day": 60, "rooms": 8, "emergencies_per_day": 0.0, "recovery_beds": 50}
    _, model = played(RulePolicy("major first", Rule(order=(6, 5, 4, 3))), **options)
    majors = [case for case in model.cases if case.kind == 6]
    assert len(majors) > 2
    assert sum(case.started_h == 0.0 for case in majors) == 2
    assert model.account.boarding_h == 0.0


def test_an_elective_begins_no_later_than_it_is_expected_to_fit() -> None:
    for slot in range(5):
        _, model = played(POLICIES["random"](), slot, electives_per_day=30)
        starts = [
            (case.started_h, KINDS[case.kind].expected_h) for case in model.cases if not case.emergency and case.started_h is not None
        ]
        assert all(start + expected <= 10.0 + 1e-9 for start, expected in starts)
        assert sum(case.cancelled_h is not None for case in model.cases) > 0


# Same chances


def test_the_same_key_and_policy_give_the_same_trajectory_and_policies_meet_the_same_cases() -> None:
    one, two = (played(POLICIES["random"](), 3, **BUSY) for _ in range(2))
    assert one[1].log.rows == two[1].log.rows
    assert one[0] == two[0]
    patients = [
        [(case.number, case.kind, case.arrival_h, case.duration_h, case.recovery_h, case.needs_icu, case.icu_h) for case in model.cases]
        for _, model in (played(POLICIES[name](), 3, **BUSY) for name in POLICIES)
    ]
    assert all(cases == patients[0] for cases in patients)
    assert played(POLICIES["random"](), 4, **BUSY)[1].log.rows != one[1].log.rows


def test_rooms_free_at_the_same_moment_take_turns_and_see_what_is_left() -> None:
    env = TheatreEnv(electives_per_day=2, emergencies_per_day=0.0, rooms=3, **NO_LIMITS)
    _, infos = env.reset(seed=1)
    taken = []
    while any(info["asked"] for info in infos.values()) and infos[env.agents[0]]["time_h"] == 0.0:
        (asked,) = [agent for agent, info in infos.items() if info["asked"]]
        mask = infos[asked]["action_mask"]
        action = int(np.flatnonzero(mask)[-1])
        taken.append((asked, int(sum(mask[1:]))))
        infos = env.step({agent: action if agent == asked else 0 for agent in env.agents})[4]
    assert [agent for agent, _ in taken] == ["theatre_0", "theatre_1"]


# Extremes


@pytest.mark.parametrize("name", ["random", "nothing", "searched"])
@pytest.mark.parametrize(
    "options",
    [
        {"electives_per_day": 0},
        {"emergencies_per_day": 0.0},
        {"electives_per_day": 0, "emergencies_per_day": 0.0},
        {"recovery_beds": 0},
        {"icu_beds": 0},
        {"electives_per_day": 200, "emergencies_per_day": 500.0, "rooms": 20},
        {"electives_per_day": 40, "emergencies_per_day": 100.0, "days": 3, "rooms": 1},
        {"session_h": 1.0, "allowed_overtime_h": 0.0},
    ],
)
def test_extremes_end_in_time_and_the_books_balance(name: str, options: dict[str, Any]) -> None:
    result, model = played(POLICIES[name](), **options)
    assert model.time_h <= model.config.horizon_h
    assert all(math.isfinite(value) for part in (result.terms, result.costs, result.metrics) for value in part.values())
    assert all(value >= 0.0 for value in result.costs.values())
    assert sum(result.terms.values()) <= ex_post_bound(model.cases, model.config) + 1e-9
    for kind, hours in enumerate(model.account.waiting_h):
        assert hours == pytest.approx(sum(case.waited_h(model.time_h) for case in model.cases if case.kind == kind), rel=1e-9, abs=1e-9)


def test_without_a_recovery_bed_rooms_stay_blocked_for_ever() -> None:
    options = {"recovery_beds": 0, "icu_beds": 0, "emergencies_per_day": 0.0}
    _, model = played(RulePolicy("list", Rule(order=(LIST,))), **options)
    assert [room.stage for room in model.rooms.values()] == ["blocked"] * 4
    assert model.outcome == "morning"
    assert sum(case.started_h is not None for case in model.cases) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rooms": 0}, "rooms must be a number from 1 to 20"),
        ({"rooms": 2.5}, "whole"),
        ({"beds": 3}, "unknown option"),
        ({"days": 0}, "days"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        theatre_task(**options)


# Interfaces


@pytest.mark.filterwarnings("error")
def test_pettingzoos_checks_pass() -> None:
    options: list[dict[str, Any]] = [{}, {"mask_in_observation": True, "expose_state": True}, {"local_rewards": True, "rooms": 2}]
    for chosen in options:
        parallel_api_test(TheatreEnv(**chosen), num_cycles=300)
        parallel_seed_test(lambda chosen=chosen: TheatreEnv(**chosen), num_cycles=60)
        seed_test(lambda chosen=chosen: parallel_to_aec(TheatreEnv(**chosen)), num_cycles=60)
    api_test(parallel_to_aec(TheatreEnv()), num_cycles=300)  # it warns of every space that is neither Box nor Discrete


def episode(env: TheatreEnv, seed: int) -> list[tuple[Any, ...]]:
    """Play random legal actions; return every step."""
    generator = np.random.default_rng(seed)
    _, infos = env.reset(seed=seed)
    steps = []
    while env.agents:
        actions = {agent: int(generator.choice(np.flatnonzero(infos[agent]["action_mask"]))) for agent in env.agents}
        step = env.step(actions)
        infos = step[4]
        steps.append(step)
    return steps


def test_observations_lie_inside_their_space_and_each_number_varies() -> None:
    env = TheatreEnv(**BUSY)
    rows = []
    for seed in range(8):
        for observations, *_ in episode(env, seed):
            for agent, seen in observations.items():
                assert env.observation_space(agent).contains(seen)
                rows.append(seen)
    constant = [name for name, spread in zip(env.task.names_seen("theatre"), np.ptp(np.array(rows), axis=0), strict=True) if spread == 0.0]
    assert constant == []


def test_the_episode_ends_by_itself_and_local_rewards_add_up_to_the_teams() -> None:
    team, local = episode(TheatreEnv(), 4), episode(TheatreEnv(local_rewards=True), 4)
    assert all(team[-1][2].values())
    assert not any(team[-1][3].values())
    assert team[-1][4]["theatre_0"]["outcome"] in ("work done", "morning")
    for one, other in zip(team, local, strict=True):
        assert sum(other[1].values()) == pytest.approx(one[1]["theatre_0"], abs=1e-9)


def test_state_and_pictures_are_of_the_present_moment() -> None:
    env = TheatreEnv(render_mode="rgb_array", expose_state=True)
    _, infos = env.reset(seed=2)
    assert env.state().shape == env.state_space.shape == (len(env.task.state_names),)
    assert env.state_space.contains(env.state())
    assert infos["theatre_0"]["state"]["time_h"] == 0.0
    before = env.render()
    assert before.dtype == np.uint8
    assert before.ndim == 3
    env.step({agent: int(infos[agent]["action_mask"].nonzero()[0][-1]) for agent in env.agents})
    assert not np.array_equal(before, env.render())
    text = TheatreEnv(render_mode="ansi")
    text.reset(seed=2)
    assert "recovery" in text.render()


def test_what_is_seen_does_not_hang_on_what_will_be() -> None:
    """Two suites that differ in durations, stays and emergencies to come look the same at 08:00, whatever begins then."""
    seen = []
    for options in ({}, {"variability": 2.0, "emergencies_per_day": 20.0, "durations": "lognormal"}):
        env = TheatreEnv(icu_occupancy=0.0, **options)
        observations, infos = env.reset(seed=6)
        seen.append([])
        while infos["theatre_0"]["time_h"] == 0.0:
            seen[-1].append(np.stack(list(observations.values())))
            actions = {agent: int(np.flatnonzero(infos[agent]["action_mask"])[-1]) for agent in env.agents}
            observations, _, _, _, infos = env.step(actions)
    assert len(seen[0]) == 4
    assert np.array_equal(seen[0], seen[1])


def test_every_number_has_a_source() -> None:
    rows = TheatreEnv().provenance()
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.source for row in rows)
