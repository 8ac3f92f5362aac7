"""The rules of ``medsim/Glucose-v0``: reward, costs and ends, what the pump gives, what is eaten and announced, and what can fail."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from medsim.core.streams import Key
from medsim.registry import make_task
from medsim.treatments.glucose import own_basal_u_per_min, simulate
from medsim.treatments.glucose.definition import patients
from medsim.treatments.glucose.meals import AFTERNOON_SNACK, BREAKFAST, DINNER, EVENING_SNACK, LUNCH, MORNING_SNACK, MealKind, random_meal
from medsim.treatments.glucose.model import BASAL_MULTIPLES, BOLUS_HOURS, NO_MEAL, Params
from medsim.treatments.glucose.objective import risk

ENV_ID = "medsim/Glucose-v0"
NAMES, TABLE = patients()
DOSES = {"action": "continuous", "bolus": True, "random_start": False, "expose_state": True}
OWN = own_basal_u_per_min("adult#001") * 60.0


def params(name: str) -> Params:
    return Params(*TABLE[NAMES.index(name)].tolist())


def make(**options: Any) -> gym.Env[Any, Any]:
    return gym.make(ENV_ID, **{**DOSES, **options})


def step(env: gym.Env[Any, Any], basal: float, bolus: float = 0.0) -> tuple[Any, ...]:
    return env.step(np.array([basal, bolus]))


def live(env: gym.Env[Any, Any], basal: float, boluses: dict[int, float], steps: int, **options: Any) -> list[tuple[Any, ...]]:
    """Step a patient; boluses by step. Return (observation, reward, terminated, truncated, info) of the start and of each step."""
    observation, info = env.reset(seed=1, options={"patient": "adult#001", "meals": [], **options})
    course: list[tuple[Any, ...]] = [(observation, 0.0, False, False, info)]
    while len(course) <= steps and not (course[-1][2] or course[-1][3]):
        course.append(step(env, basal, boluses.get(len(course) - 1, 0.0)))
    return course


def glucose_of(course: list[tuple[Any, ...]]) -> np.ndarray:
    return np.array([info["state"]["glucose_mg_per_dl"] for *_, info in course])


# Reward and costs


def test_the_reward_is_minus_the_risk_of_the_plasma_glucose_over_100() -> None:
    course = live(make(), OWN, {3: 3.0}, 100, meals=[(200, 60)])
    for *_, info in course[1:]:
        assert info["reward_terms"]["risk"] == -risk(info["state"]["glucose_mg_per_dl"]) / 100.0
        assert info["reward_terms"]["early_end"] == 0.0


@pytest.mark.parametrize(("name", "low", "high"), [("below_54", -1, 54), ("below_70", -1, 70), ("above_250", 250, math.inf)])
def test_each_glucose_cost_is_1_in_the_steps_that_end_in_its_range(name: str, low: float, high: float) -> None:
    course = live(make(), OWN, {0: 15.5}, 287, meals=[(300, 120), (360, 120)])
    charged = [info["costs"][f"glucose_{name}"] for *_, info in course[1:]]
    within = (glucose_of(course)[1:] > low) & (glucose_of(course)[1:] < high)
    assert charged == within.astype(float).tolist()
    assert 0 < sum(charged) < len(charged)


# The end


def minutes_below_40(course: list[tuple[Any, ...]]) -> np.ndarray:
    """Return the minutes at whose end glucose was below 40 mg/dL, of a course of one-minute steps."""
    return np.flatnonzero(glucose_of(course) < 40.0)


def overdose(units: float, meal_minute: int) -> list[tuple[Any, ...]]:
    return live(make(step_minutes=1), 1.25, {0: units, 1: units, 2: units}, 300, meals=[(meal_minute, 100)])


def test_fifteen_minutes_in_a_row_below_40_end_the_episode() -> None:
    course = overdose(12.0, 1000)
    first = minutes_below_40(course)[0]
    _, _, terminated, truncated, info = course[-1]
    assert (terminated, truncated, info["outcome"]) == (True, False, "severe_hypoglycaemia")
    assert len(course) - 1 == first + 15
    assert info["outcome_time_h"] == pytest.approx((first + 15) / 60.0)


def test_fewer_minutes_below_40_do_not() -> None:
    course = overdose(12.0, 143)
    assert 10 <= len(minutes_below_40(course)) < 15
    assert len(course) == 301


def test_minutes_below_40_count_only_in_a_row() -> None:
    course = overdose(20.0, 101)
    below = minutes_below_40(course)
    assert len(below) > 16
    breaks = np.flatnonzero(np.diff(below) > 1)
    assert len(breaks) == 1
    assert course[-1][4]["outcome"] == "severe_hypoglycaemia"
    assert len(course) - 1 == below[breaks[0] + 1] + 15


def test_glucose_above_600_ends_the_episode() -> None:
    course = live(make(), 0.0, {}, 288, meals=[(0, 300), (60, 300), (120, 300)])
    glucose = glucose_of(course)
    assert course[-1][2]
    assert course[-1][4]["outcome"] == "glucose_above_600"
    assert glucose[-1] > 600.0 >= glucose[:-1].max()


@pytest.mark.parametrize(("options", "horizon"), [({}, 288), ({"days": 7}, 2016), ({"step_minutes": 3}, 480)])
def test_an_early_end_is_charged_the_highest_risk_for_every_step_cut_off(options: dict[str, Any], horizon: int) -> None:
    course = live(make(**options), 0.0, {0: 20.0, 1: 20.0}, horizon)
    assert course[-1][2]
    lived = len(course) - 1
    assert course[-1][4]["reward_terms"]["early_end"] == -(horizon - lived)
    assert all(info["reward_terms"]["early_end"] == 0.0 for *_, info in course[:-1])
    assert sum(reward for _, reward, *_ in course) <= -(horizon - lived)


def test_the_charge_can_be_switched_off() -> None:
    course = live(make(early_end_penalty=False), 0.0, {0: 20.0, 1: 20.0}, 288)
    assert course[-1][2]
    assert course[-1][4]["reward_terms"]["early_end"] == 0.0


@pytest.mark.parametrize(("options", "steps"), [({}, 288), ({"days": 7}, 2016), ({"step_minutes": 1}, 1440), ({"step_minutes": 3}, 480)])
def test_a_course_that_goes_well_is_truncated_at_its_horizon(options: dict[str, Any], steps: int) -> None:
    course = live(make(**options), OWN, {}, steps + 5)
    assert len(course) - 1 == steps
    _, _, terminated, truncated, info = course[-1]
    assert (terminated, truncated, info["outcome"]) == (False, True, "day_completed")
    assert info["outcome_time_h"] == 24.0 * options.get("days", 1)
    assert abs(glucose_of(course) - glucose_of(course)[0]).max() < 15.0  # the pump's quantum is all that moves it


# The pump


def rounded(amount: float) -> float:
    return math.floor(amount / 0.05 + 0.5) * 0.05


@pytest.mark.parametrize("minutes", [1, 3, 5])
def test_the_insulin_delivered_is_what_was_ordered_in_steps_of_the_pump(minutes: int) -> None:
    env = make(step_minutes=minutes)
    env.reset(seed=1, options={"patient": "adult#001", "meals": []})
    for basal, bolus in [(1.0, 0.0), (1.024, 0.51), (1.026, 0.53), (0.02, 0.02), (0.03, 0.03), (0.0, 3.0), (9.99, 0.0)]:
        info = step(env, basal, bolus)[4]
        delivered = info["state"]["insulin_delivered_u"]
        assert delivered == pytest.approx(rounded(basal) * minutes / 60.0 + rounded(bolus), abs=1e-12)
        assert info["state"]["basal_u_per_h"] == pytest.approx(rounded(basal))
        assert info["state"]["bolus_u"] == pytest.approx(rounded(bolus))
        assert info["costs"]["insulin_above_limit_u"] == 0.0


def test_the_insulin_under_the_skin_and_what_left_it_is_the_insulin_delivered() -> None:
    insulin = np.full(600, 0.02)
    insulin[[60, 200]] += 4.0
    p = params("adult#001")
    course = simulate("adult#001", insulin)
    x1, x2 = course.isc1_pmol_per_kg.to_numpy(), course.isc2_pmol_per_kg.to_numpy()
    absorbed = np.concatenate([[0.0], np.cumsum((p.ka1 * (x1[1:] + x1[:-1]) + p.ka2 * (x2[1:] + x2[:-1])) / 2.0)])
    given = np.concatenate([[0.0], np.cumsum(insulin)]) * 6000.0 / p.weight_kg
    np.testing.assert_allclose(x1 + x2 + absorbed, x1[0] + x2[0] + given, rtol=2e-3)


def test_the_bolus_enters_evenly_over_its_step() -> None:
    env = make()
    env.reset(seed=1, options={"patient": "adult#001", "meals": []})
    p = params("adult#001")
    insulin = np.full(60, rounded(OWN) / 60.0)
    insulin[:5] += 4.0 / 5.0
    expected = simulate("adult#001", insulin)
    for k in range(12):
        info = step(env, OWN, 4.0 if k == 0 else 0.0)[4]
        ours = info["state"]["isc1_pmol_per_kg"]
        assert ours == pytest.approx(expected.isc1_pmol_per_kg[5 * (k + 1)], rel=1e-12)
    assert p.weight_kg > 0.0


@pytest.mark.parametrize("name", ["adult#001", "child#002"])
def test_the_pump_gives_no_more_than_ten_times_the_own_basal_rate_and_charges_the_rest(name: str) -> None:
    env = make()
    own = own_basal_u_per_min(name) * 60.0
    env.reset(seed=1, options={"patient": name, "meals": []})
    info = step(env, 20.0)[4]
    assert info["state"]["basal_u_per_h"] == pytest.approx(rounded(10.0 * own))
    assert info["costs"]["insulin_above_limit_u"] == pytest.approx((20.0 - 10.0 * own) * 5.0 / 60.0)
    assert info["cost"] >= info["costs"]["insulin_above_limit_u"]
    assert step(env, own)[4]["costs"]["insulin_above_limit_u"] == 0.0


def test_a_described_patient_with_a_great_need_is_held_to_the_pumps_own_30_u_per_h() -> None:
    env = gym.make(ENV_ID, action="discrete", bolus=True, expose_state=True)
    env.reset(seed=1, options={"patient": {"like": "adult#001", "basal_pmol_per_kg_per_min": 5.0}, "meals": []})
    own = 5.0 * params("adult#001").weight_kg * 60.0 / 6000.0
    highest = len(BASAL_MULTIPLES) * len(BOLUS_HOURS) - 1
    info = env.step(highest)[4]
    assert 10.0 * own > 30.0
    assert 8.0 * own > 30.0
    assert info["state"]["basal_u_per_h"] == pytest.approx(30.0)
    assert info["state"]["bolus_u"] == pytest.approx(30.0)
    over = (10.0 * own - 30.0) * 5.0 / 60.0 + 8.0 * own - 30.0
    assert info["costs"]["insulin_above_limit_u"] == pytest.approx(over)


@pytest.mark.parametrize("bolus", [False, True])
def test_a_discrete_action_is_a_multiple_of_the_own_basal_rate_and_hours_of_it(bolus: bool) -> None:
    env = gym.make(ENV_ID, bolus=bolus, expose_state=True)
    assert env.action_space.n == (40 if bolus else 8)  # type: ignore[attr-defined]
    for action in range(int(env.action_space.n)):  # type: ignore[attr-defined]
        env.reset(seed=1, options={"patient": "adult#001", "meals": []})
        state = env.step(action)[4]["state"]
        multiple = BASAL_MULTIPLES[action // 5 if bolus else action]
        hours = BOLUS_HOURS[action % 5] if bolus else 0.0
        assert state["basal_u_per_h"] == pytest.approx(rounded(multiple * OWN), abs=1e-12)
        assert state["bolus_u"] == pytest.approx(rounded(hours * OWN), abs=1e-12)


def test_the_insulin_on_board_shown_follows_two_compartments_of_55_minutes() -> None:
    env = make()
    course = live(env, OWN, {0: 6.0}, 60)
    on_board = np.array([observation[15] for observation, *_ in course])
    minutes = 5.0 * np.arange(1, 61)  # all at the start of the first step, as the pump counts it
    rest = rounded(OWN) - OWN  # what the quantum adds in every step
    expected = 6.0 * np.exp(-minutes / 55.0) * (1.0 + minutes / 55.0)
    assert on_board[0] == 0.0
    np.testing.assert_allclose(on_board[1:], expected, atol=abs(rest) * 110.0 / 60.0 + 1e-4)


# Meals


def carbs_of(course: list[tuple[Any, ...]]) -> np.ndarray:
    return np.array([info["state"]["carbs_g"] for *_, info in course[1:]])


def test_a_script_is_eaten_at_its_minutes_every_day() -> None:
    script = [(0, 10), (421, 45.5), (424, 5), (1080, 80), (1439, 1)]
    course = live(make(days=7), 2.0, {}, 2016, meals=script)
    assert len(course) > 600  # at least two days of it
    expected = np.zeros(2016)
    for day in range(7):
        for minute, grams in script:
            expected[(day * 1440 + minute) // 5] += grams
    np.testing.assert_allclose(carbs_of(course), expected[: len(course) - 1])


def test_the_carbohydrate_in_the_gut_and_what_left_it_is_the_carbohydrate_eaten() -> None:
    p = params("adult#001")
    course = simulate("adult#001", np.full(1440, 0.05), [(60, 45), (62, 30), (300, 7.5)])
    gut = (course.qsto1_mg + course.qsto2_mg + course.qgut_mg).to_numpy()
    qgut = course.qgut_mg.to_numpy()
    left = np.concatenate([[0.0], np.cumsum(p.kabs * (qgut[1:] + qgut[:-1]) / 2.0)])
    total = gut + left
    np.testing.assert_allclose(total[:61], 0.0, atol=1e-9)
    np.testing.assert_allclose(total[61:76], 5000.0 * np.arange(1, 16), rtol=1e-4)  # 75 g at 5 g/min, the second meal after the first
    np.testing.assert_allclose(total[76:300], 75_000.0, rtol=1e-3)
    assert total[301] - total[300] == pytest.approx(5000.0, rel=1e-3)
    assert total[302] - total[301] == pytest.approx(2500.0, rel=2e-3)  # the last bite is what is left
    assert total[-1] == pytest.approx(82_500.0, rel=1e-3)


KINDS = [BREAKFAST, MORNING_SNACK, LUNCH, AFTERNOON_SNACK, DINNER, EVENING_SNACK]
PUBLISHED = [  # simglucose 0.2.11, scenario_gen.py: probability, hour and its sd and cuts in minutes, grams and their sd
    (0.95, 7.0, 60, 5, 9, 45, 10),
    (0.30, 9.5, 30, 9, 10, 10, 5),
    (0.95, 12.0, 60, 10, 15, 70, 10),
    (0.30, 15.0, 30, 14, 16, 10, 5),
    (0.95, 18.0, 60, 16, 20, 80, 10),
    (0.30, 21.5, 30, 20, 23, 10, 5),
]


@pytest.mark.parametrize(("kind", "published"), list(zip(KINDS, PUBLISHED, strict=True)), ids=range(6))
def test_random_meals_have_the_frequency_times_and_amounts_of_simglucoses_scenario(kind: MealKind, published: tuple[float, ...]) -> None:
    probability, hour, time_sd, earliest, latest, carbs, carbs_sd = published
    days = [random_meal(kind, Key(3, 0, 0, 0, 0), day, 1.0) for day in range(6000)]
    eaten = np.array([meal for meal in days if meal[0] != NO_MEAL])
    assert all(grams == 0.0 for minute, grams in days if minute == NO_MEAL)
    assert len(eaten) / len(days) == pytest.approx(probability, abs=0.02)
    assert eaten[:, 0].min() >= 60.0 * earliest
    assert eaten[:, 0].max() <= 60.0 * latest
    assert eaten[:, 0].mean() == pytest.approx(60.0 * hour, abs=0.06 * time_sd)
    assert 0.5 * time_sd < eaten[:, 0].std() < time_sd
    assert eaten[:, 1].mean() == pytest.approx(carbs, abs=0.2 + 0.02 * carbs_sd)
    assert eaten[:, 1].std() == pytest.approx(carbs_sd, rel=0.06)
    assert (eaten[:, 1] >= 0.0).all()
    assert (eaten == np.round(eaten)).all()


def test_patients_eat_what_is_scheduled_for_them_and_light_ones_in_proportion() -> None:
    def carbs_by_ten(**options: Any) -> tuple[np.ndarray, np.ndarray]:
        env = gym.make_vec(ENV_ID, num_envs=400, group="adolescent", expose_state=True, **options)
        env.reset(seed=5)
        weight = env.unwrapped.batch.record("params")[0]
        total = np.zeros(400)
        for _ in range(121):  # breakfast and the morning's snack
            _, _, terminated, _, info = env.step(np.full(400, 3))
            assert not terminated.any()
            total += info["state"]["carbs_g"]
        return total, weight

    all_of_it, weight = carbs_by_ten(scale_meals=False)
    scaled, _ = carbs_by_ten(scale_meals=True)
    eaters = all_of_it > 0.0
    assert all_of_it.mean() == pytest.approx(0.95 * 45.0 + 0.3 * 10.0, abs=2.5)
    share = np.minimum(weight[eaters] / 70.0, 1.0)
    np.testing.assert_allclose(scaled[eaters], all_of_it[eaters] * share, atol=2.01)  # two meals in whole grams
    assert scaled[eaters].mean() < 0.85 * all_of_it[eaters].mean()


# What the patient says


SIX_MEALS = [(minute, 20.0) for minute in (60, 120, 180, 240, 300, 360)]


def announcements(n: int = 400, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what was announced and what was then eaten, each (steps, n), of six meals of 20 g."""
    env = gym.make_vec(ENV_ID, num_envs=n, action="continuous", expose_state=True, **options)
    names = make_task(ENV_ID).view.names
    observation, _ = env.reset(seed=2, options={"patient": "adult#001", "meals": SIX_MEALS})
    announced, eaten = [], []
    for _ in range(80):
        announced.append(observation[:, names.index("announced_carbs_g")])
        observation, _, terminated, _, info = env.step(np.full((n, 1), OWN))
        assert not terminated.any()
        eaten.append(info["state"]["carbs_g"])
    return np.array(announced, dtype=float), np.array(eaten)


def test_a_meal_is_announced_in_the_step_before_it_with_the_counting_error() -> None:
    announced, eaten = announcements()
    np.testing.assert_array_equal(announced > 0.0, eaten > 0.0)
    assert (eaten > 0.0).sum() == 6 * 400
    ratio = announced[announced > 0.0] / 20.0
    assert ratio.mean() == pytest.approx(1.0, abs=4.0 * 0.26 / math.sqrt(2400))
    assert ratio.std() == pytest.approx(0.26 * 0.985, rel=0.05)  # a normal held at 2.5 sd
    assert abs(ratio - 1.0).max() <= 0.26 * 2.5 + 1e-6


def test_without_a_counting_error_the_announcement_is_exact() -> None:
    announced, eaten = announcements(20, counting_error=0.0)
    np.testing.assert_array_equal(announced, eaten)


def test_the_largest_counting_error_still_announces_a_meal() -> None:
    announced, eaten = announcements(200, counting_error=1.0)
    np.testing.assert_array_equal(announced > 0.0, eaten > 0.0)


def test_the_stated_share_of_meals_is_not_announced() -> None:
    announced, eaten = announcements(unannounced_meal=0.3)
    assert (announced > 0.0).sum() / (eaten > 0.0).sum() == pytest.approx(0.7, abs=0.04)
    assert (eaten > 0.0).sum() == 6 * 400


def test_no_meal_is_announced_when_announcements_are_off() -> None:
    announced, eaten = announcements(20, announce_meals=False)
    assert not announced.any()
    assert eaten.any()
    observation, _ = gym.make(ENV_ID, announce_meals=False).reset(seed=1)
    assert observation[make_task(ENV_ID).view.names.index("minutes_since_announced_meal")] == 720.0


def test_more_is_never_announced_than_the_observation_can_hold() -> None:
    env = gym.make(ENV_ID, counting_error=1.0)
    for slot in range(20):
        observation, _ = env.reset(seed=1, options={"slot": slot, "meals": [(0, 500.0), (1, 500.0)]})
        assert env.observation_space.contains(observation)


def test_the_time_since_a_meal_counts_from_the_announcement() -> None:
    env = gym.make(ENV_ID, action="continuous", random_start=False, counting_error=0.0)
    names = make_task(ENV_ID).view.names
    since, last = names.index("minutes_since_announced_meal"), names.index("last_announced_carbs_g")
    observation, _ = env.reset(seed=1, options={"patient": "adult#001", "meals": [(100, 30)]})
    seen = [observation]
    for _ in range(40):
        seen.append(env.step(np.array([OWN]))[0])
    assert [one[since] for one in seen[:20]] == [720.0] * 20  # never heard of one: as long ago as the space says
    assert [one[since] for one in seen[20:]] == [5.0 * k for k in range(21)]
    assert [one[last] for one in seen] == [0.0] * 20 + [30.0] * 21


# Sensor and pump fail


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.8])
def test_the_stated_share_of_readings_is_lost_in_gaps(share: float) -> None:
    env = gym.make_vec(ENV_ID, num_envs=600, action="continuous", sensor_dropout=share)
    env.reset(seed=1, options={"patient": "adult#001", "meals": []})
    seen = np.array([env.step(np.full((600, 1), OWN))[0] for _ in range(280)])
    age, newest, before = seen[40:, :, 12], seen[40:, :, 0], seen[39:-1, :, 0]
    lost = age > 0.0
    assert lost.mean() == pytest.approx(share, abs=0.02)
    np.testing.assert_array_equal(newest[lost], before[lost])  # a lost reading repeats the last
    ends = lost[:-1] & ~lost[1:]
    assert lost[:-1].sum() / ends.sum() == pytest.approx(4.0, rel=0.05)  # readings a gap
    np.testing.assert_array_equal(age[1:][lost[1:]], age[:-1][lost[1:]] + 5.0)


def test_a_share_that_cannot_be_lost_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sensor_dropout.*0\.85"):
        gym.make(ENV_ID, sensor_dropout=0.85)


@pytest.fixture(scope="module")
def occluded() -> dict[str, np.ndarray]:
    """A day of 500 patients whose pumps often block: (steps, n)."""
    options = {"action": "continuous", "pump_occlusions_per_day": 6.0, "expose_state": True, "random_start": False}
    env = gym.make_vec(ENV_ID, num_envs=500, **options)
    env.reset(seed=3, options={"patient": "adult#001", "meals": []})
    infos = [env.step(np.full((500, 1), OWN))[4]["state"] for _ in range(280)]
    return {name: np.array([info[name] for info in infos]) for name in ("insulin_delivered_u", "isc1_pmol_per_kg", "basal_u_per_h")}


def test_a_blocked_pump_delivers_nothing_and_says_nothing(occluded: dict[str, np.ndarray]) -> None:
    delivered = occluded["insulin_delivered_u"]
    blocked = delivered == 0.0
    assert 0.1 < blocked.mean() < 0.8
    assert (occluded["basal_u_per_h"] > 0.0).all()  # the pump's log shows the rate that was set
    p = params("adult#001")
    left = occluded["isc1_pmol_per_kg"]
    decay = math.exp(-5.0 * (p.ka1 + p.kd))
    np.testing.assert_allclose(left[1:][blocked[1:]], left[:-1][blocked[1:]] * decay, rtol=1e-6)


def test_a_pump_blocks_as_often_as_stated_for_one_to_five_hours(occluded: dict[str, np.ndarray]) -> None:
    blocked = occluded["insulin_delivered_u"] == 0.0
    begins = blocked[1:] & ~blocked[:-1]
    free_days = (~blocked[:-1]).sum() * 5.0 / 1440.0
    assert begins.sum() / free_days == pytest.approx(6.0, rel=0.06)
    lengths = []
    for lane in blocked.T:
        starts, ends = np.flatnonzero(lane[1:] & ~lane[:-1]) + 1, np.flatnonzero(lane[:-1] & ~lane[1:]) + 1
        lengths += [5.0 * (ends[ends > start][0] - start) for start in starts[starts < 180] if (ends > start).any()]
    assert min(lengths) >= 60.0
    assert np.quantile(lengths, 0.98) <= 305.0  # one that strikes as another ends looks like one
    assert np.median(lengths) == pytest.approx(180.0, abs=15.0)


# As simglucose does


def test_compat_rewards_add_up_to_the_fall_of_the_readings_risk() -> None:
    env = gym.make(ENV_ID, compat="simglucose")
    assert env.action_space.shape == (1,)
    assert float(env.action_space.high[0]) == 30.0  # type: ignore[attr-defined]
    observation, info = env.reset(seed=4, options={"patient": "adult#001"})
    assert observation.shape == (1,)
    first, total, steps, truncated = float(observation[0]), 0.0, 0, False
    while not truncated:
        observation, reward, terminated, truncated, info = env.step(np.array([OWN / 60.0]))
        assert not terminated
        assert reward == info["reward_terms"]["risk"]
        total, steps = total + reward, steps + 1
    assert steps == 480
    assert info["outcome_time_h"] == 24.0
    assert total == pytest.approx(risk(first) - risk(float(observation[0])), abs=1e-3)  # observations have single precision


@pytest.mark.parametrize(("rate", "meals", "outcome"), [(0.3, [], "glucose_below_10"), (0.0, [(0, 400), (90, 400)], "glucose_above_600")])
def test_compat_ends_below_10_and_above_600_only_and_without_a_charge(rate: float, meals: list[tuple[int, int]], outcome: str) -> None:
    env = gym.make(ENV_ID, compat="simglucose", expose_state=True)
    _, info = env.reset(seed=4, options={"patient": "adult#001", "meals": meals})
    vg, ended, truncated = params("adult#001").vg_dl_per_kg, False, False
    under_skin = [info["state"]["gs_mg_per_kg"] / vg]
    while not (ended or truncated):
        _, _, ended, truncated, info = env.step(np.array([rate]))
        assert info["reward_terms"]["early_end"] == 0.0
        under_skin.append(info["state"]["gs_mg_per_kg"] / vg)
    assert ended
    assert info["outcome"] == outcome
    assert (under_skin[-1] < 10.0) if outcome == "glucose_below_10" else (under_skin[-1] > 600.0)
    assert min(under_skin[:-2]) >= 10.0  # the mean over the step's minutes counts, so one step may have ended beyond
    assert max(under_skin[:-2]) <= 600.0


@pytest.mark.parametrize("option", [{"step_minutes": 5}, {"action": "discrete"}, {"observation": "full"}, {"bolus": True}])
def test_compat_refuses_the_options_that_it_fixes(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"option {next(iter(option))} is fixed by compat='simglucose'"):
        gym.make(ENV_ID, compat="simglucose", **option)


# Options of a reset


def test_a_described_patient_has_the_parameters_given_and_the_rest_of_their_model() -> None:
    env = gym.make(ENV_ID, observation="full", expose_state=True)
    names = make_task(ENV_ID, observation="full").view.names
    described = env.reset(seed=1, options={"patient": {"like": "adult#003", "weight_kg": 90.0, "ki": 0.01}})[0]
    model = env.reset(seed=1, options={"patient": "adult#003"})[0]
    for k, name in enumerate(names):
        if name in ("weight_kg", "ki"):
            assert described[k] == pytest.approx({"weight_kg": 90.0, "ki": 0.01}[name])
        elif name.startswith(("vg", "vi", "k", "m1", "p2u")):
            assert described[k] == model[k]


@pytest.mark.parametrize(
    ("patient", "named"),
    [
        ({"like": "adult#001", "weight_kg": -70.0}, "weight_kg.*-70"),
        ({"like": "adult#001", "weight_kg": math.nan}, "weight_kg.*nan"),
        ({"like": "adult#001", "weight_kg": "heavy"}, "weight_kg.*'heavy'"),
        ({"weight_kg": 70.0, "wieght_kg": 70.0}, "'wieght_kg'.*weight_kg"),
    ],
)
def test_a_patient_who_cannot_be_is_refused_by_name(patient: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        gym.make(ENV_ID).reset(seed=1, options={"patient": patient})


@pytest.mark.parametrize(
    ("meals", "named"),
    [
        ([(60, 10)] * 7, "6 meals.*7"),
        ([(1440, 10)], "1440"),
        ([(-1, 10)], "-1"),
        ([(60.5, 10)], "60.5"),
        ([(math.nan, 10)], "nan"),
        ([(60, -1)], "-1"),
        ([(60, math.nan)], "nan"),
        ([(60, 501)], "501"),
    ],
)
def test_a_meal_that_cannot_be_is_refused_by_name(meals: list[tuple[float, float]], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        gym.make(ENV_ID).reset(seed=1, options={"meals": meals})


def test_scripted_meals_last_for_one_reset() -> None:
    env = make()
    assert carbs_of(live(env, OWN, {}, 20, meals=[(30, 10)])).sum() == 10.0
    env.reset(options={"patient": "adult#001"})
    assert sum(step(env, OWN)[4]["state"]["carbs_g"] for _ in range(20)) == 0.0  # no random meal begins before five o'clock
