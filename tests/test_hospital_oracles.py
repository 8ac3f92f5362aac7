"""The hospital as textbook queues: the compiled core on all, SimPy itself on some. ``benchmarks.hospital.oracles`` does it to 1 %."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.hospital.oracles import Oracle, Verdict, judged, oracles, page, queue, station, stroke_lines
from medsim.hospital import theory
from medsim.hospital.draws import key_of
from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.model import FlowModel

ORACLES = oracles()


def test_there_are_a_dozen_queues_and_more() -> None:
    assert len({one.name for one in ORACLES}) == len(ORACLES) >= 12
    assert all(set(one.exact) == set(one.measured) for one in ORACLES)


@pytest.mark.parametrize("oracle", ORACLES, ids=[one.name for one in ORACLES])
def test_the_compiled_hospital_agrees_with_theory(oracle: Oracle) -> None:
    short = replace(oracle, hours=oracle.hours if oracle.name.startswith("time-varying") else oracle.hours / 4.0)
    for verdict in judged(short, precision=1.0, rounds=1, seed=100):
        assert abs(verdict.z) < 4.0, f"{verdict.figure}: {verdict.mean} v {verdict.exact}"
        assert abs(verdict.error) < 0.15, verdict.figure  # one round: the benchmark narrows it to 1 %


def test_a_wrong_queue_is_found_out() -> None:
    """Sensitivity: service 5 % slower than the theory's is ten standard errors away."""
    oracle = next(one for one in ORACLES if one.name.startswith("M/G/10/10"))
    slow = replace(oracle, config=queue(station("a", 10, 1.05, law="lognormal", sd_h=2.1, waiting_places=0), 8.0))
    (verdict,) = judged(slow, precision=1.0, rounds=1)
    assert verdict.z > 8.0
    assert not verdict.met


# SimPy itself


def replications(config: HospitalConfig, *, count: int, hours: float, warm_up_h: float = 100.0) -> list[FlowModel]:
    models = []
    for slot in range(count):
        model = FlowModel(config, key_of(7, slot), horizon_h=hours, warm_up_h=warm_up_h, log=False)
        model.run()
        models.append(model)
    return models


def z_of(values: list[float], exact: float) -> float:
    return float((np.mean(values) - exact) / (np.std(values, ddof=1) / np.sqrt(len(values))))


SIMPY = {
    "M/M/4": (queue(station("a", 4), 3.0), lambda m: m.t.wait_h[0, 0] / m.t.started[0, 0], theory.mmc(3.0, 1.0, 4).mean_wait),
    "Erlang B, lognormal": (
        queue(station("a", 5, law="lognormal", sd_h=1.5, waiting_places=0), 3.0),
        lambda m: m.t.turned_away[0, 0] / m.t.asked[0, 0],
        theory.erlang_b(5, 3.0),
    ),
    "Cobham, class 2": (
        queue(station("a", 1, discipline="priority"), 0.2, 0.4),
        lambda m: m.t.wait_h[0, 1] / m.t.started[0, 1],
        theory.cobham((0.2, 0.4), (1.0, 1.0)).mean_waits[1],
    ),
    "pre-emptive resume, class 2": (
        queue(station("a", 1, discipline="preemptive"), 0.2, 0.4),
        lambda m: m.t.sojourn_h[0, 1] / m.t.gone[0, 1],
        theory.preemptive_resume((0.2, 0.4), (1.0, 1.0)).mean_times_in_system[1],
    ),
    "Erlang A": (
        queue(station("a", 3, patience_h=(2.0,) * 5), 3.5),
        lambda m: m.t.left[0, 0] / m.t.asked[0, 0],
        theory.erlang_a(3.5, 1.0, 3, 0.5).p_abandon,
    ),
}


@pytest.mark.parametrize("name", SIMPY)
def test_simpy_agrees_with_theory(name: str) -> None:
    config, figure, exact = SIMPY[name]
    values = [float(figure(model)) for model in replications(config, count=30, hours=800.0)]
    assert abs(z_of(values, exact)) < 4.0
    assert float(np.mean(values)) == pytest.approx(exact, rel=0.25)


# The published stroke unit


def test_the_published_base_rows_of_the_stroke_unit_agree_at_two_decimals() -> None:
    rows = [row for row in theory.stroke_unit_table() if row.published.scenario == "base" and row.published.unit == "acute"]
    assert [row.published.p_delay for row in rows] == [0.19, 0.14, 0.09, 0.06, 0.04, 0.02]
    assert all(row.difference == 0.0 for row in rows)
    assert any("+5 %" in line for line in stroke_lines())


def test_the_page_says_what_is_not_met() -> None:
    good = Verdict(oracle="a", figure="f", exact=1.0, mean=1.001, standard_error=0.002, replications=8, seconds=1.0)
    bad = replace(good, figure="g", mean=1.02)
    told = page([good, bad], 2.0)
    assert "1 of 2 figures of 1 queues met" in told
    assert "| no |" in told
