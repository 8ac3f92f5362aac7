"""Learning while serving: drift is noticed, updates pass a gate or are refused, and the old model comes back."""

import threading
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from medsim_perception.online.drift import KolmogorovSmirnov, MeanDiscrepancy, PageHinkley  # noqa: E402
from medsim_perception.online.replay import Examples, FineTuning, Replay, fine_tuned  # noqa: E402
from medsim_perception.online.served import Gate, ServedModel  # noqa: E402


def squared_error(model, x, y):
    return (model(x)[:, 0] - y).square().mean()


def r_squared(model, examples):
    with torch.inference_mode():
        residual = (model(examples.x)[:, 0] - examples.y).square().sum()
    return 1 - float(residual / (examples.y - examples.y.mean()).square().sum())


def world(n, seed, shifted=False):
    """A label that is the first feature; after the shift it is the second, and the third says which world it is."""
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    x[:, 2] = float(shifted)
    return Examples(x, x[:, 1] if shifted else x[:, 0])


TUNING = FineTuning(loss=squared_error, steps=150, learning_rate=1e-2)


def net():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    return fine_tuned(model, world(1000, 1), None, FineTuning(loss=squared_error, steps=300, learning_rate=1e-2))


def served(**options):
    replay = Replay(800)
    replay.add(world(1000, 1))
    return ServedModel(net(), tuning=TUNING, score=r_squared, old=world(300, 2), replay=replay, **options)


# detectors


def features(n, seed, shift=0.0):
    rows = np.random.default_rng(seed).normal(size=(n, 5))
    rows[:, 0] += shift
    return rows


@pytest.mark.parametrize("kind", [KolmogorovSmirnov, MeanDiscrepancy])
def test_windows_alarm_about_as_rarely_as_asked_and_find_a_shift_in_the_first_window(kind):
    alarms = 0
    for seed in range(10):
        detector = kind(features(500, seed), 40, 0.01)
        alarms += sum(detector.differs(features(40, 1000 + 50 * seed + k)) for k in range(20))
        assert kind(features(500, seed), 40, 0.01).update(features(80, 99 + seed, shift=1.5))
    assert alarms <= 12  # of 200 windows, 2 expected; the references are finite


def test_an_alarm_stays_and_knows_when_it_was_given():
    detector = KolmogorovSmirnov(features(500, 0), 50, 0.001)
    assert not detector.update(features(75, 3))
    assert detector.update(features(75, 4, shift=3.0))
    assert detector.alarmed_at == 100
    assert detector.update(features(50, 5))


def test_mean_discrepancy_sees_a_change_of_correlation_that_no_single_feature_shows():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(1000, 2))
    turned = rng.normal(size=(300, 1)) @ np.ones((1, 2))
    assert MeanDiscrepancy(reference, 100, 0.005).update(turned)
    assert not KolmogorovSmirnov(reference, 100, 0.001).update(turned)


def test_page_hinkley_alarms_when_errors_rise_and_seldom_else():
    rng = np.random.default_rng(0)
    known = rng.exponential(size=1000)
    quiet = [PageHinkley(known, seed=k).update(rng.exponential(size=1000)) for k in range(20)]
    assert sum(quiet) <= 3
    detector = PageHinkley(known)
    assert detector.update(2 * rng.exponential(size=300))
    assert detector.alarmed_at < 150


def test_detectors_refuse_what_they_cannot_watch():
    with pytest.raises(ValueError, match="window"):
        KolmogorovSmirnov(features(50, 0), 40, 0.01)
    with pytest.raises(ValueError, match="5 finite"):
        KolmogorovSmirnov(features(500, 0), 40, 0.01).update(np.full((1, 5), np.nan))
    with pytest.raises(ValueError, match="at least 30"):
        PageHinkley([1.0, 2.0])


# replay and fine-tuning


def test_a_reservoir_keeps_every_part_of_the_stream_alike():
    replay = Replay(200, seed=0)
    for start in range(0, 2000, 100):
        values = torch.arange(start, start + 100).float()
        replay.add(Examples(values[:, None], values))
    assert len(replay) == 200
    kept = replay.examples().y
    assert len(kept.unique()) == 200
    assert 800 < kept.mean() < 1200


def test_fine_tuning_with_replay_forgets_less_and_leaves_the_model_alone():
    model, new, old = net(), world(400, 3, shifted=True), world(500, 1)
    before = [p.clone() for p in model.parameters()]
    alone, mixed = fine_tuned(model, new, None, TUNING), fine_tuned(model, new, old, TUNING)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    test_old, test_new = world(300, 4), world(300, 5, shifted=True)
    assert r_squared(mixed, test_new) > 0.9 > r_squared(model, test_new)
    assert r_squared(mixed, test_old) > r_squared(alone, test_old) + 0.05


def test_labels_must_be_as_many_as_inputs():
    with pytest.raises(ValueError, match="2 for 3"):
        Examples(torch.zeros(3, 1), torch.zeros(2))
    with pytest.raises(ValueError, match="2 for 3"):
        served().observe(torch.zeros(3, 3), torch.zeros(2))


# serving


def test_an_update_wins_back_what_drift_took_and_forgets_at_most_two_points():
    service, test_new, test_old = served(), world(300, 5, shifted=True), world(300, 4)
    before_old, before_new = r_squared(service.versions[-1].model, test_old), r_squared(service.versions[-1].model, test_new)
    new = world(600, 6, shifted=True)
    service.observe(new.x, new.y)
    assert service.update().what == "promoted"
    assert service.version == 1
    after = service.versions[-1].model
    assert (r_squared(after, test_new) - before_new) / (before_old - before_new) > 0.8
    assert before_old - r_squared(after, test_old) <= 0.02


def test_a_poisoned_update_is_refused_and_the_model_that_serves_stays():
    service, new = served(), world(400, 7)
    answer = service.serve(new.x)
    service.observe(new.x, -new.y)
    event = service.update()
    assert event.what == "refused"
    assert event.candidate.old < 0.5  # it would have unlearnt what was right
    assert (service.version, torch.equal(service.serve(new.x), answer)) == (0, True)
    assert len(service.replay) == 800


def test_an_update_that_forgets_is_refused_however_good_it_is_on_new_data():
    service, new = served(), world(600, 6, shifted=True)
    service.tuning = FineTuning(loss=squared_error, steps=150, learning_rate=1e-2, new_share=1.0)
    service.observe(new.x, new.y)
    event = service.update()
    assert event.candidate.recent > 0.9
    assert (event.what, service.version) == ("refused", 0)
    assert "old score" in event.reason


def test_random_labels_of_new_data_do_not_pass_the_gate():
    service, new = served(), world(400, 8, shifted=True)
    service.observe(new.x, new.y[torch.randperm(400, generator=torch.Generator().manual_seed(0))])
    event = service.update()
    assert event.what == "refused"
    assert event.candidate.recent > event.before.recent  # better than the lost model, and still worth nothing
    assert "below 0.5" in event.reason


def test_consistently_wrong_labels_of_new_data_are_caught_by_trusted_examples_only():
    new = world(400, 8, shifted=True)
    blind, warned = served(), served(trusted=world(60, 9, shifted=True))
    for service in (blind, warned):
        service.observe(new.x, -new.y)
        service.update()
    assert (blind.version, warned.version) == (1, 0)
    assert "trusted" in warned.log[-1].reason


def test_rollback_brings_the_earlier_answers_back_to_the_bit():
    service, new = served(), world(600, 6, shifted=True)
    first = service.serve(new.x)
    service.observe(new.x, new.y)
    service.update()
    assert not torch.equal(service.serve(new.x), first)
    service.rollback()
    assert torch.equal(service.serve(new.x), first)
    assert [event.what for event in service.log] == ["start", "promoted", "rolled back"]
    with pytest.raises(ValueError, match="no version before 0"):
        service.rollback()


LENIENT = Gate(least_gain=-10.0, most_forgetting=10.0, least_share=0.0, least_checks=5)


def promoted(service, seed):
    part = world(40, seed)
    service.observe(part.x, part.y)
    event = service.update(seed)
    assert event.what == "promoted"
    return event.version


def test_a_version_that_was_rolled_back_never_serves_again():
    service = served(gate=LENIENT)
    assert promoted(service, 20) == 1
    assert service.rollback().version == 0
    assert promoted(service, 21) == 2  # its number is its own, though version 1 is gone
    assert service.rollback().version == 0
    for number in (1, 2):
        with pytest.raises(ValueError, match=f"no version {number} that served before 0; kept are 0"):
            service.rollback(number)
    assert [promoted(service, 22), promoted(service, 23), promoted(service, 24)] == [3, 4, 5]
    assert service.rollback().version == 4
    with pytest.raises(ValueError, match="no version 4 that served before 4"):
        service.rollback(4)
    assert service.rollback(0).version == 0
    assert [version.number for version in service.versions] == [0]


def test_the_gate_does_not_hold_candidates_to_the_score_of_a_rejected_version():
    old, told = world(300, 2), iter([0.5, 0.5, 0.9, 0.5, 0.55])  # of version 0, then of it and each candidate
    replay = Replay(800)
    replay.add(world(1000, 1))
    gate = Gate(least_gain=0.0, least_share=0.0, least_checks=5)

    def score(model, examples):
        return next(told) if examples is old else 0.0

    service = ServedModel(net(), tuning=TUNING, score=score, old=old, replay=replay, gate=gate)
    assert promoted(service, 20) == 1
    service.rollback()
    assert promoted(service, 21) == 2


def test_a_rollback_takes_the_labels_of_the_rejected_version_out_of_the_replay_and_the_next_clean_update_passes():
    service, poison, clean = served(), world(800, 8, shifted=True), world(600, 6, shifted=True)
    before = service.replay.examples()
    service.observe(poison.x, -poison.y)
    assert service.update().what == "promoted"  # it is blind to labels that are wrong in a consistent way
    assert (service.replay.examples().x[:, 2] == 1).any()
    service.rollback()
    after = service.replay.examples()
    assert torch.equal(after.x, before.x)
    assert torch.equal(after.y, before.y)
    service.observe(clean.x, clean.y)
    event = service.update()
    assert (event.what, event.version) == ("promoted", 2)
    assert event.candidate.recent > 0.9
    kept = service.replay.examples()
    new = kept.x[:, 2] == 1
    assert new.any()
    assert torch.equal(kept.y[new], kept.x[new, 1])  # no label of the new world is a wrong one


@pytest.mark.parametrize("least_gain", [-10.0, 10.0], ids=["that would pass", "that would not"])
def test_a_rollback_during_an_update_refuses_the_candidate_and_keeps_what_was_observed(least_gain):
    service = served(gate=LENIENT)
    promoted(service, 20)
    service.gate = replace(LENIENT, least_gain=least_gain)
    usual, part = service.score, world(40, 21)

    def score(model, examples):
        if service.version == 1:
            service.rollback()  # while the candidate, made of version 1, is being judged
        return usual(model, examples)

    service.score = score
    service.observe(part.x, part.y)
    event = service.update()
    assert (event.what, event.version) == ("refused", 0)
    assert "version 1, of which it was made, was rolled back" in event.reason
    service.gate = LENIENT
    assert (service.update().what, service.version) == ("promoted", 2)


def test_a_failed_update_is_logged_and_loses_nothing():
    service, new = served(), world(600, 6, shifted=True)
    twin = served()
    for part in (new.at(slice(0, 303)), new.at(slice(303, 600))):
        service.observe(part.x, part.y)
        twin.observe(part.x, part.y)

    def broken(model, x, y):
        raise RuntimeError("out of memory")

    service.tuning = FineTuning(loss=broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        service.update()
    service.update_in_background().join()
    assert [event.what for event in service.log] == ["start", "failed", "failed"]
    assert service.log[-1].reason == "RuntimeError: out of memory"
    assert torch.equal(service.serve(new.x), twin.serve(new.x))  # it goes on serving
    service.tuning = TUNING
    assert service.update() == twin.update()
    assert (service.version, torch.equal(service.serve(new.x), twin.serve(new.x))) == (1, True)


def test_examples_that_could_not_be_mixed_with_the_replay_are_refused_when_they_come():
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(\) of the replay's, not \(4,\) and \(\)"):
        served().observe(torch.zeros(8, 4), torch.zeros(8))


def test_too_few_examples_wait_for_more():
    service, new = served(), world(600, 6, shifted=True)
    service.observe(new.x[:40], new.y[:40])
    assert "fewer than" in service.update().reason
    service.observe(new.x[40:], new.y[40:])
    assert service.update().what == "promoted"


def test_nobody_else_can_change_the_model_in_service():
    model = net()
    replay = Replay(10)
    replay.add(world(10, 1))
    service = ServedModel(model, tuning=TUNING, score=r_squared, old=world(50, 2), replay=replay)
    x = world(5, 3).x
    answer = service.serve(x)
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(service.serve(x), answer)


def test_answers_go_on_during_an_update_and_each_is_of_one_version():
    started, release = threading.Event(), threading.Event()

    def slow_loss(model, x, y):
        started.set()
        assert release.wait(20)
        return squared_error(model, x, y)

    replay = Replay(800)
    replay.add(world(1000, 1))
    tuning = FineTuning(loss=slow_loss, steps=150, learning_rate=1e-2)
    service = ServedModel(net(), tuning=tuning, score=r_squared, old=world(300, 2), replay=replay, gate=Gate(least_checks=20))
    new = world(600, 6, shifted=True)
    service.observe(new.x, new.y)
    thread = service.update_in_background()
    assert started.wait(20)
    during = [service.serve_version(new.x) for _ in range(5)]  # the candidate is in training and waits for us
    service.observe(new.x[:8], new.y[:8])
    assert {number for _, number in during} == {0}
    release.set()
    answers = []
    while thread.is_alive():
        answers.append(service.serve_version(new.x))
    thread.join()
    assert service.version == 1
    by_version = {version.number: version.model(new.x) for version in service.versions}
    assert all(torch.equal(answer, by_version[number]) for answer, number in during + answers)


def test_the_first_version_and_the_newest_are_kept():
    service = served(gate=LENIENT, keep=2)
    assert [promoted(service, 20 + k) for k in range(4)] == [1, 2, 3, 4]
    assert [version.number for version in service.versions] == [0, 3, 4]
