"""The chart at the door: whose it is, what it tells of urgency, and that a hospital is triaged by whoever reads it."""

from typing import Any

import numpy as np
import pettingzoo
import pytest

from medsim.hospital.arrival_chart import ArrivalChart, arrival_chart, early_warning_score, news_triage, normal_chart
from medsim.hospital.draws import key_of
from medsim.registry import make_task

ENV = "medsim/HospitalFlow-v0"
MIX = (0.02, 0.18, 0.40, 0.30, 0.10)
N = 3000


@pytest.fixture(scope="module")
def arrivals() -> tuple[np.ndarray, list[ArrivalChart]]:
    acuities = np.random.default_rng(0).choice(5, size=N, p=MIX)
    return acuities, [arrival_chart(key_of(3), number, int(acuity)) for number, acuity in enumerate(acuities)]


def area(scores: np.ndarray, cases: np.ndarray) -> float:
    """Return the probability that a case scores higher than another, ties counting half."""
    higher = scores[cases][:, None] - scores[~cases][None, :]
    return float((higher > 0).mean() + 0.5 * (higher == 0).mean())


def test_a_patient_has_one_chart_and_others_have_others() -> None:
    one, again, other = (arrival_chart(key_of(1), number, 2) for number in (7, 7, 8))
    np.testing.assert_array_equal(one, again)
    assert one.age_years != other.age_years


def test_the_early_warning_score_is_the_published_one() -> None:
    """Royal College of Physicians, NEWS2, 2017: the edges of each range."""
    well = normal_chart()
    assert early_warning_score(well) == 0
    for sign, scored in {
        "respiratory_rate_per_min": {8: 3, 9: 1, 11: 1, 12: 0, 20: 0, 21: 2, 24: 2, 25: 3},
        "spo2": {0.91: 3, 0.92: 2, 0.93: 2, 0.94: 1, 0.95: 1, 0.96: 0},
        "systolic_mmhg": {90: 3, 91: 2, 100: 2, 101: 1, 110: 1, 111: 0, 219: 0, 220: 3},
        "heart_rate_per_min": {40: 3, 41: 1, 50: 1, 51: 0, 90: 0, 91: 1, 110: 1, 111: 2, 130: 2, 131: 3},
        "temperature_c": {35.0: 3, 35.1: 1, 36.0: 1, 36.1: 0, 38.0: 0, 38.1: 1, 39.0: 1, 39.1: 2},
        "gcs": {15: 0, 14: 3, 3: 3},
    }.items():
        for value, points in scored.items():
            assert early_warning_score(well._replace(**{sign: float(value)})) == points, (sign, value)
    assert early_warning_score(well._replace(spo2=float("nan"))) == 0


def test_the_score_tells_the_urgent_from_the_others_about_as_well_as_published(arrivals: Any) -> None:
    """Published for intensive care or resuscitation within a day: 0.834 to 0.856 (Arch Acad Emerg Med 2024;12:e1)."""
    acuities, charts = arrivals
    scores = np.array([early_warning_score(chart) for chart in charts])
    assert 0.80 < area(scores, acuities <= 1) < 0.88


def test_signs_are_worse_and_rarer_left_out_the_more_urgent_the_patient(arrivals: Any) -> None:
    acuities, charts = arrivals
    table = np.array(charts)
    means = np.array([np.nanmean(table[acuities == acuity], axis=0) for acuity in range(5)])
    for column, worse in ((1, -1), (2, 1), (3, -1), (4, 1), (6, 1)):  # rate, pressure, breathing, saturation, consciousness
        assert (np.diff(means[:4, column]) * worse > 0).all(), ArrivalChart._fields[column]
    missing = [np.isnan(table[acuities == acuity, 1:]).mean() for acuity in (1, 4)]
    assert missing[0] < 0.06 < 0.25 < missing[1]
    assert not np.isnan(table[:, 0]).any()


def test_whoever_triages_sees_the_chart_and_their_categories_are_what_the_emergency_department_sees() -> None:
    seen: list[ArrivalChart] = []

    def all_immediate(chart: ArrivalChart) -> int:
        seen.append(chart)
        return 1

    env: Any = pettingzoo.make("parallel", ENV, days=0.3, triage=all_immediate)
    env.reset(seed=1)
    waiting = np.zeros(5)
    while env.agents:
        observations, *_ = env.step(dict.fromkeys(env.agents, 0))
        for agent in observations:
            names = env.unwrapped.task.names_seen("ed")
            waiting += [observations[agent][names.index(f"ed triage_{category} waiting")] for category in range(1, 6)]
    assert waiting[0] > 0
    assert not waiting[1:].any()
    assert len(seen) > 20
    assert not {field for field in ArrivalChart._fields if "acuity" in field}


def test_the_arrivals_are_the_same_whoever_triages() -> None:
    times = {}
    for name, triage in {"nurses": None, "score": news_triage}.items():
        env: Any = pettingzoo.make("parallel", ENV, days=0.3, triage=triage, engine="simpy", log_events=True)
        env.reset(seed=1)
        while env.agents:
            env.step(dict.fromkeys(env.agents, 0))
        log = env.unwrapped.event_log()
        times[name] = log.query("event == 'arrives'")["time_h"].tolist()
    assert times["nurses"] == times["score"]
    assert len(times["score"]) > 20


@pytest.mark.parametrize("category", [0, 6, None, "urgent"])
def test_a_category_that_there_is_not_is_refused_by_name(category: Any) -> None:
    env: Any = pettingzoo.make("parallel", ENV, days=0.2, triage=lambda chart: category)

    def play() -> None:
        env.reset(seed=1)
        while env.agents:
            env.step(dict.fromkeys(env.agents, 0))

    with pytest.raises(ValueError, match=f"triage must return a category from 1 to 5, not {category!r}"):
        play()


def test_triage_must_be_a_function() -> None:
    with pytest.raises(ValueError, match="option triage must be None or a function of an arrival's chart, not 'news'"):
        make_task(ENV, triage="news")
