"""The SimPy model and the compiled core are one hospital: the same questions at the same times, the same counts, event by event."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medsim.hospital.draws import POLICY, draw_uniform, key_of
from medsim.hospital.flow.compiled import CompiledFlow
from medsim.hospital.flow.config import Arrivals, HospitalConfig, Stay, Unit
from medsim.hospital.flow.hospitals import Hospitals
from medsim.hospital.flow.kernels import kernels_of
from medsim.hospital.flow.model import FlowModel
from medsim.hospital.flow.recursion import fifo_waits
from medsim.hospital.flow.seen import seen_of
from medsim.hospital.presets import preset
from tests.hospitals import queue, small_hospital

Rule = Callable[[int, np.ndarray], int]


def drawn(count: int, mask: np.ndarray) -> int:
    """A legal action, drawn by the number of the decision."""
    legal = np.flatnonzero(mask)
    return int(legal[int(draw_uniform(key_of(99), POLICY, count, 0) * len(legal))])


def last_legal(count: int, mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[-1])


def nothing(count: int, mask: np.ndarray) -> int:
    return 0


def first_then_nothing(count: int, mask: np.ndarray) -> int:
    legal = np.flatnonzero(mask)
    return int(legal[0 if count % 3 == 0 else min(1, len(legal) - 1)])


RULES: dict[str, Rule] = {"drawn": drawn, "last": last_legal, "nothing": nothing, "mixed": first_then_nothing}
FULL = small_hospital(
    units=tuple(replace(unit, beds=max(unit.beds // 3, 1)) if unit.name in ("ward", "icu") else unit for unit in small_hospital().units)
)


def two_sources() -> HospitalConfig:
    """A pre-emptive unit to which people come from outside and from another unit."""
    first = Unit(name="first", beds=1, stays=(Stay(law="exponential", mean_h=0.3),), exits=({"second": 1.0},))
    second = Unit(name="second", beds=2, stays=(Stay(law="exponential", mean_h=1.5),), discipline="preemptive")
    shares = (0.2, 0.2, 0.2, 0.2, 0.2)
    streams = tuple(Arrivals(name=unit, unit=unit, rates_per_h=(0.6,), acuity=shares) for unit in ("first", "second"))
    return HospitalConfig(name="two sources", units=(first, second), arrivals=streams)


CASES: list[tuple[str, HospitalConfig, str, float]] = [
    *((f"small, {rule}", small_hospital(), rule, 100.0) for rule in RULES),
    *((f"too few beds, {rule}", FULL, rule, 200.0) for rule in ("last", "drawn", "nothing")),
    ("district general", preset("district-general").scaled(0.2), "last", 48.0),
    ("stroke unit", preset("stroke-unit"), "nothing", 4000.0),
    ("M/M/2 with impatience and few places", queue((3.0,), beds=2, waiting_places=4, patience_h=(0.5,) * 5), "nothing", 100.0),
    ("pre-emption", queue((0.3, 0.4, 0.5), beds=2, mean_h=2.0, discipline="preemptive"), "nothing", 200.0),
    ("pre-emption from two sources", two_sources(), "nothing", 150.0),
    ("many readmissions", small_hospital(readmission_per_day_cut=5.0), "last", 1500.0),
    ("accumulating priority", queue((0.3, 0.3, 0.3), mean_h=1.0, discipline="accumulating"), "nothing", 200.0),
    ("reserved beds", queue((3.0, 5.0), beds=10, waiting_places=0, reserved_beds=(0, 2, 0, 0, 0)), "nothing", 100.0),
]
every_case = pytest.mark.parametrize(("name", "config", "rule", "hours"), CASES, ids=[case[0] for case in CASES])


def play(model: Any, rule: Rule, seen: int) -> list[tuple[float, str, tuple[int, ...], tuple[float, ...]]]:
    """Return time, agent, mask and what is seen at every decision."""
    decisions = []
    model.run()
    while model.request is not None:
        agent, mask = model.request.agent, model.request.mask
        decisions.append((model.time_h, agent, tuple(mask.tolist()), tuple(model.observe(agent))))
        assert len(decisions[-1][3]) == seen
        model.answer(rule(len(decisions), mask))
        model.run()
    return decisions


def assert_counts_are_equal(compiled: CompiledFlow, reference: FlowModel) -> None:
    situation, tally = compiled.situation()
    for kind, one, other in (("situation", situation, reference.s), ("tally", tally, reference.t)):
        for field in one._fields:
            np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-9, atol=1e-9, err_msg=f"{kind}.{field}")


@every_case
def test_both_engines_ask_the_same_and_count_the_same(name: str, config: HospitalConfig, rule: str, hours: float) -> None:
    size = len(seen_of(config))
    limits = np.array([(one.low, one.high) for one in seen_of(config)])
    for seed in (1, 2):
        reference = FlowModel(config, key_of(seed, 3, 1), horizon_h=hours, log=False)
        compiled = CompiledFlow(config, key_of(seed, 3, 1), horizon_h=hours)
        theirs, ours = play(reference, RULES[rule], size), play(compiled, RULES[rule], size)
        assert [one[:3] for one in ours] == [one[:3] for one in theirs]
        if theirs:
            cut = np.clip(np.array([one[3] for one in theirs]), limits[:, 0], limits[:, 1]).astype(np.float32)
            np.testing.assert_array_equal(np.array([one[3] for one in ours], dtype=np.float32), cut)
        assert_counts_are_equal(compiled, reference)
        assert compiled.state() == pytest.approx(reference.state())
        assert compiled.metrics() == pytest.approx(reference.metrics())
        assert len(theirs) > 20 or not any(unit.discipline == "agent" for unit in config.units)


def test_the_cases_hold_what_is_hard() -> None:
    """Early step-downs, people who change places because both units are full, readmissions, pre-emption, and people who leave."""
    seen: dict[str, int] = {}
    for _, config, rule, hours in CASES[:7]:
        model = FlowModel(config, key_of(1, 3, 1), horizon_h=hours)
        play(model, RULES[rule], len(seen_of(config)))
        for event, count in model.log.frame()["event"].value_counts().items():
            seen[event] = seen.get(event, 0) + int(count)
    assert seen["is stepped down early"] > 5
    assert seen["leaves unseen"] > 5
    assert seen["goes home"] > 100
    model = FlowModel(two_sources(), key_of(1), horizon_h=200.0)
    model.run()
    assert (model.log.frame()["event"] == "makes way").sum() > 10


def test_who_waits_in_full_units_for_each_others_bed_changes_places() -> None:
    two = tuple(
        Unit(name=name, beds=2, stays=(Stay(law="exponential", mean_h=1.0),), exits=({other: 0.95},), blocks=True, start_share=1.0)
        for name, other in (("a", "b"), ("b", "a"))
    )
    nobody = (Arrivals(name="nobody", unit="a", rates_per_h=(0.0,)),)
    model = FlowModel(HospitalConfig(name="stuck", units=two, arrivals=nobody), key_of(4), horizon_h=60.0)
    model.run()
    frame = model.log.frame()
    moves, left = frame[frame["event"] == "gets a bed"], frame[frame["event"] == "goes home"]
    before = moves[moves["time_h"] < left["time_h"].min()]  # while all four beds are taken
    assert len(before) >= 2
    pairs = before["time_h"].to_numpy().reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    for hours in (1.0, 60.0):  # in the midst of it, and at the end
        compiled, reference = (
            kind(HospitalConfig(name="stuck", units=two, arrivals=nobody), key_of(4), horizon_h=hours) for kind in (CompiledFlow, FlowModel)
        )
        compiled.run()
        reference.run()
        assert_counts_are_equal(compiled, reference)
    assert not reference.s.boarding.any()


# The core alone


def episode_counts(hospitals: Hospitals) -> dict[str, np.ndarray]:
    return {name: values.copy() for name, values in hospitals.t._asdict().items()}


def finish(hospitals: Hospitals) -> None:
    while (hospitals.agent >= 0).any():
        actions = np.array([last_legal(0, mask) if agent >= 0 else 0 for mask, agent in zip(hospitals.masks, hospitals.agent, strict=True)])
        hospitals.answer(actions)


def test_plain_python_gives_the_same_bits_as_machine_code() -> None:
    config = small_hospital()
    fast, plain = (Hospitals(config, 2, horizon_h=60.0) for _ in range(2))
    plain.kernels = kernels_of(False)
    with np.errstate(over="ignore"):
        for hospitals in (fast, plain):
            hospitals.seed(5)
            hospitals.reset()
            finish(hospitals)
    for name, values in episode_counts(fast).items():
        np.testing.assert_array_equal(values, episode_counts(plain)[name], err_msg=name)
    np.testing.assert_array_equal(fast.c.event_h, plain.c.event_h)


def test_an_episode_is_the_same_alone_and_in_any_batch() -> None:
    config = small_hospital()
    several = Hospitals(config, 5, horizon_h=80.0)
    several.seed(7)
    several.reset()
    finish(several)
    for slot in (0, 4):
        alone = Hospitals(config, 1, horizon_h=80.0)
        alone.seed(7, slots=[slot])
        alone.reset()
        finish(alone)
        for name, values in episode_counts(alone).items():
            np.testing.assert_array_equal(values[0], episode_counts(several)[name][slot], err_msg=name)


def test_arrays_that_are_too_small_grow_without_changing_anything() -> None:
    config = queue((5.0,), beds=1)  # five times overloaded: everybody waits
    hospitals = Hospitals(config, 2, horizon_h=300.0)
    before = hospitals.c.number.shape[1]
    hospitals.seed(3)
    hospitals.reset()
    assert hospitals.c.number.shape[1] > 4 * before
    reference = FlowModel(config, key_of(3, 1), horizon_h=300.0, log=False)
    reference.run()
    np.testing.assert_allclose(hospitals.t.queue_h[1], reference.t.queue_h, rtol=1e-12)
    assert hospitals.s.queued[1, 0] == reference.s.queued[0] > 1000


def test_a_snapshot_brings_an_episode_back_to_the_bit_and_can_be_pickled() -> None:
    hospitals = Hospitals(small_hospital(), 3, horizon_h=90.0)
    hospitals.seed(11)
    hospitals.reset()
    for _ in range(30):
        hospitals.answer(np.array([last_legal(0, mask) for mask in hospitals.masks]))
    kept = pickle.loads(pickle.dumps(hospitals.snapshot()))
    finish(hospitals)
    first = episode_counts(hospitals)
    other = Hospitals(small_hospital(), 3, horizon_h=90.0)
    other.restore(kept)
    finish(other)
    for name, values in episode_counts(other).items():
        np.testing.assert_array_equal(values, first[name], err_msg=name)
    with pytest.raises(ValueError, match="3 hospitals"):
        Hospitals(small_hospital(), 2, horizon_h=90.0).restore(kept)


def test_a_clone_goes_its_own_way_and_meets_the_same_people() -> None:
    model = CompiledFlow(small_hospital(), key_of(2), horizon_h=80.0)
    model.run()
    for count in range(25):
        assert model.request is not None
        model.answer(last_legal(count, model.request.mask))
        model.run()
    twin, other = model.clone(), model.clone()
    size = len(seen_of(small_hospital()))
    same, again, different = play(model, last_legal, size), play(twin, last_legal, size), play(other, nothing, size)
    assert same == again
    assert different != same
    ours, theirs = model.hospitals.c.count, other.hospitals.c.count
    np.testing.assert_array_equal(ours, theirs)  # as many have arrived, whatever was decided
    assert model.metrics() == twin.metrics()
    assert other.metrics() != model.metrics()


@pytest.mark.parametrize("kind", [CompiledFlow, FlowModel])
def test_an_answer_that_is_not_allowed_is_refused_and_nothing_happens(kind: Any) -> None:
    model = kind(small_hospital(), key_of(2), horizon_h=80.0)
    with pytest.raises(RuntimeError, match=r"call run\(\)"):
        model.answer(0)
    model.run()
    while model.request.agent != "ed":
        model.answer(int(np.flatnonzero(model.request.mask)[-1]))
        model.run()
    mask, before = model.request.mask, model.state()
    for wrong in (99, -1, int(1 + np.flatnonzero(mask[1:] == 0)[0]), 1.5):
        with pytest.raises(ValueError, match="'ed'"):
            model.answer(wrong)
    assert model.state() == before
    model.answer(int(np.flatnonzero(mask)[-1]))
    with pytest.raises(RuntimeError, match=r"call run\(\)"):
        model.answer(0)
    model.run()
    assert model.request is not None


def test_wrong_answers_in_a_batch_are_refused_by_hospital() -> None:
    hospitals = Hospitals(small_hospital(), 3, horizon_h=60.0)
    hospitals.seed(1)
    hospitals.reset()
    for wrong in (99, -1):
        with pytest.raises(ValueError, match=f"action {wrong} of hospital 1 is not allowed"):
            hospitals.answer(np.array([0, wrong, 0]))


def test_copying_an_episode_within_a_batch_branches_it() -> None:
    hospitals = Hospitals(small_hospital(), 2, horizon_h=60.0)
    hospitals.seed(13)
    hospitals.reset()
    hospitals.copy_episode(0, 1)
    finish(hospitals)
    for name, values in episode_counts(hospitals).items():
        np.testing.assert_array_equal(values[0], values[1], err_msg=name)


def test_streams_of_arrivals_do_not_disturb_each_other() -> None:
    config = small_hospital()
    more = replace(config, arrivals=(*config.arrivals, Arrivals(name="transfers", unit="icu", rates_per_h=(0.02,))))
    times = []
    for one in (config, more):
        model = FlowModel(one, key_of(6), horizon_h=100.0)
        play(model, last_legal, len(seen_of(one)))
        frame = model.log.frame()
        arrives = frame[(frame["event"] == "arrives") & (frame["place"] == "triage")]
        times.append(arrives["time_h"].to_numpy())
    np.testing.assert_array_equal(times[0], times[1])


def test_waits_are_those_of_kiefer_and_wolfowitzs_recursion_one_by_one() -> None:
    model = FlowModel(queue((9.0,), beds=10), key_of(21), horizon_h=120.0)
    model.run()
    frame = model.log.frame()
    asked, got = (frame[frame["event"] == event].set_index("patient")["time_h"] for event in ("asks for a bed", "gets a bed"))
    waits = (got - asked).dropna().sort_index()
    exact = fifo_waits(key_of(21), rate_per_h=9.0, mean_h=1.0, servers=10, customers=len(waits))
    assert len(waits) > 900
    assert (waits > 0.0).mean() > 0.3
    np.testing.assert_allclose(waits, exact, rtol=0.0, atol=1e-9)
    with pytest.raises(ValueError, match="servers must be positive, not 0"):
        fifo_waits(key_of(21), rate_per_h=9.0, mean_h=1.0, servers=0, customers=10)
