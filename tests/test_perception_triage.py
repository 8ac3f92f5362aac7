"""Triage by a network: what its categories follow from, and that a hospital's agents see them."""

from typing import Any

import numpy as np
import pettingzoo
import pytest

torch = pytest.importorskip("torch", reason="perception needs torch")

from medsim.hospital.arrival_chart import news_triage, normal_chart  # noqa: E402
from medsim_perception.triage import EncoderTriage, TriageNet  # noqa: E402
from medsim_perception.triage.acuity import TEST_SEED, TRAIN_SEED, arrivals, begin, figures, judge  # noqa: E402
from medsim_perception.triage.encoder import harms  # noqa: E402


@pytest.fixture(scope="module")
def trained() -> TriageNet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medsim_perception.triage.acuity.PATIENTS", 3000)
        return trained_briefly()


def trained_briefly() -> TriageNet:
    learner = begin(0, torch.device("cpu"))
    learner.planned_steps = 250
    for _ in range(250):
        learner.step()
    return learner.model.eval()


def test_a_short_training_already_beats_the_early_warning_score(trained: TriageNet) -> None:
    people = arrivals(2000, TEST_SEED)
    by_net = figures(EncoderTriage(trained, caution=1.0).categories(people.charts), people.acuity)
    from medsim.hospital.arrival_chart import ArrivalChart

    by_score = figures(np.array([news_triage(ArrivalChart(*chart.tolist())) for chart in people.charts]), people.acuity)
    assert by_net["weighted_kappa"] > by_score["weighted_kappa"] + 0.05
    assert by_net["accuracy"] > by_score["accuracy"] + 0.05


def test_caution_trades_under_triage_for_over_triage(trained: TriageNet) -> None:
    people = arrivals(2000, TEST_SEED)
    some = [figures(EncoderTriage(trained, caution=caution).categories(people.charts), people.acuity) for caution in (0.5, 1.0, 2.0, 6.0)]
    assert all(np.diff([one["under_triage"] for one in some]) < 0)
    assert all(np.diff([one["over_triage"] for one in some]) > 0)


def test_harm_is_the_distance_and_more_on_the_dangerous_side() -> None:
    table = harms(3.0)
    assert not table.diagonal().any()
    assert (table[0, 2], table[2, 0]) == (6.0, 2.0)


def test_figures_of_a_known_table() -> None:
    """Two of four right, one too late, one too early; kappa: 1 - 0.5 / 1.0."""
    found = figures(np.array([1, 2, 3, 1]), np.array([0, 1, 1, 1]))
    assert (found["accuracy"], found["under_triage"], found["over_triage"]) == (0.5, 0.25, 0.25)
    assert found["urgent_called_urgent"] == 0.75
    expected = ((np.array([0, 1, 1, 1])[:, None] - np.array([0, 1, 2, 0])[None, :]) ** 2).mean()
    assert found["weighted_kappa"] == pytest.approx(1.0 - 0.5 / expected)


def test_the_most_urgent_signs_get_the_most_urgent_category_and_missing_ones_are_survived(trained: TriageNet) -> None:
    triage = EncoderTriage(trained)
    dying = normal_chart()._replace(heart_rate_per_min=150.0, systolic_mmhg=70.0, respiratory_rate_per_min=40.0, spo2=0.78, gcs=7.0)
    assert triage(dying) <= 2
    assert triage(normal_chart()) >= 3
    nothing = normal_chart()._make([60.0] + [float("nan")] * 7)
    assert 1 <= triage(nothing) <= 5
    with pytest.raises(ValueError, match=r"shape \(n, 8\), not \(1, 3\)"):
        trained(torch.zeros(1, 3))


def test_training_and_test_patients_are_other_people() -> None:
    train, test = arrivals(2000, TRAIN_SEED), arrivals(2000, TEST_SEED)
    assert not {chart.tobytes() for chart in train.charts} & {chart.tobytes() for chart in test.charts}


def test_a_hospital_is_triaged_by_the_network(trained: TriageNet) -> None:
    env: Any = pettingzoo.make("parallel", "medsim/HospitalFlow-v0", days=0.3, triage=EncoderTriage(trained), log_events=True)
    env.reset(seed=1)
    while env.agents:
        env.step(dict.fromkeys(env.agents, 0))
    came = env.unwrapped.event_log().query("event == 'arrives'")
    agree = (came["triage"] == came["acuity"]).mean()
    assert 0.3 < agree < 0.95


def test_the_judge_finds_the_urgent(trained: TriageNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medsim_perception.triage.acuity.TEST_PATIENTS", 1500)
    assert judge(trained, torch.device("cpu"))["auroc_urgent"] > 0.8
