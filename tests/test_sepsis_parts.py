"""Each part of the sepsis model alone, against what was published of it and what can be derived."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from medsim.core.batch import Batch
from medsim.core.kernels import DISABLED
from medsim.core.model import field_names
from medsim.treatments.sepsis import sepsis_task
from medsim.treatments.sepsis.circulation import (
    EMAX_MMHG,
    circulation,
    norepinephrine_clearance_l_per_h,
    norepinephrine_effect,
    perfusion,
)
from medsim.treatments.sepsis.constants import Constants, constant_sets, constant_table
from medsim.treatments.sepsis.definition import patients
from medsim.treatments.sepsis.fluids import K12_MAP_MMHG, outflow_per_h, plasma_share_ml
from medsim.treatments.sepsis.immune import KPM, MEDIATOR_AT_REST, MUM, SM, immune_rates
from medsim.treatments.sepsis.model import Drive, Params, State, advance
from medsim.treatments.sepsis.organs import COAGULATION, KIDNEY, LIVER, RESPIRATION, creatinine_rates, hazard_after, smooth_points
from medsim.treatments.sepsis.sensor import spo2_of

REFERENCE = Path(__file__).parent / "reference"
V0 = constant_sets()["v0"]
HEALTHY = {"inoculum": 1e-9, "first_excess_ml_per_kg": 0.0, "weight_kg": 70.0}


def read(name: str) -> list[dict[str, float]]:
    with (REFERENCE / name).open() as file:
        return [{key: float(value) if key != "outcome" else value for key, value in row.items()} for row in csv.DictReader(file)]


def rates(y: np.ndarray, growth: float) -> np.ndarray:
    r = immune_rates(max(float(y[0]), 0.0), float(y[1]), float(y[2]), float(y[3]), growth, 0.0)
    return np.array([max(float(y[0]), 0.0) * r.log_pathogen, r.phagocytes, r.damage, r.mediator])


def course(growth: float, inoculum: float, hours: float, h: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Reynolds' equations by Runge-Kutta: times and (P, N, D, C)."""
    y = np.array([inoculum, 0.0, 0.0, MEDIATOR_AT_REST])
    seen = [y]
    for _ in range(round(hours / h)):
        a = rates(y, growth)
        b = rates(y + 0.5 * h * a, growth)
        c = rates(y + 0.5 * h * b, growth)
        y = y + h / 6.0 * (a + 2.0 * b + 2.0 * c + rates(y + h * c, growth))
        seen.append(y)
    return np.arange(len(seen)) * h, np.array(seen)


@pytest.mark.parametrize(("name", "growth", "inoculum"), [("kpg0.3_P00.5", 0.3, 0.5), ("kpg0.6_P01.0", 0.6, 1.0)])
def test_the_immune_response_follows_the_published_equations(name: str, growth: float, inoculum: float) -> None:
    times, ours = course(growth, inoculum, 120.0)
    for row in read(f"reynolds_{name}.csv"):
        if row["t_h"] <= 120.0:
            at = int(np.argmin(np.abs(times - row["t_h"])))
            np.testing.assert_allclose(ours[at], [row["P"], row["N"], row["D"], row["Ca"]], rtol=2e-5, atol=2e-7)


def ending(growth: float, inoculum: float) -> str:
    _, y = course(growth, inoculum, 700.0, h=0.1)
    if y[-1, 0] > 0.1:
        return "septic"
    return "aseptic" if y[-1, 2] > 5.0 else "healthy"


OUTCOMES = [row for row in read("reynolds_outcomes.csv") if row["kpg"] in (0.3, 0.51, 0.52, 0.6)]


@pytest.mark.parametrize("row", OUTCOMES, ids=lambda row: f"{row['kpg']}-{row['P0']}")
def test_infections_end_in_health_or_in_aseptic_or_septic_death_as_published(row: dict[str, float]) -> None:
    assert ending(row["kpg"], row["P0"]) == row["outcome"]


def test_an_inoculum_of_1_036_is_the_limit_of_health_at_growth_0_3() -> None:
    assert ending(0.3, 1.030) == "healthy"
    assert ending(0.3, 1.042) == "aseptic"


def test_health_loses_stability_at_growth_1_5() -> None:
    assert pytest.approx(1.5) == KPM * SM / MUM
    assert immune_rates(1e-12, 0.0, 0.0, MEDIATOR_AT_REST, 1.499, 0.0).log_pathogen < 0.0
    assert immune_rates(1e-12, 0.0, 0.0, MEDIATOR_AT_REST, 1.501, 0.0).log_pathogen > 0.0


def test_without_infection_nothing_moves() -> None:
    r = immune_rates(0.0, 0.0, 0.0, MEDIATOR_AT_REST, 0.3, 0.0)
    assert (r.phagocytes, r.damage) == (0.0, 0.0)
    assert r.mediator == pytest.approx(0.0, abs=1e-15)


# norepinephrine


@pytest.mark.parametrize(("saps2", "clearance", "half_life"), [(20.0, 3.0, 2.0), (60.0, 0.9, 6.8)])
def test_norepinephrine_is_cleared_by_severity_as_beloeil_found(saps2: float, clearance: float, half_life: float) -> None:
    per_min = norepinephrine_clearance_l_per_h(saps2) / 60.0
    assert per_min == pytest.approx(clearance, rel=0.005)
    assert np.log(2.0) * V0.norepinephrine_volume_l / per_min == pytest.approx(half_life, rel=0.02)


def test_the_volunteers_of_ensinger_reach_their_concentration() -> None:
    # 0.2 mcg/kg/min raised norepinephrine by 7.3 ng/mL: 70 kg at the clearance of SAPS II 30
    assert 0.2 * 70.0 * 60.0 / norepinephrine_clearance_l_per_h(30.0) == pytest.approx(7.3, rel=0.01)


def test_half_of_norepinephrine_is_left_after_one_half_life() -> None:
    p, s = person(), settings()
    x = still()._replace(norepinephrine_ng_per_ml=40.0)
    half_life_h = np.log(2.0) * V0.norepinephrine_volume_l / p.clearance_l_per_h
    for pieces in (1, 7):
        y = x
        for _ in range(pieces):
            y = advance(y, Drive(0.0, 0.0, 1e6), p, s, half_life_h / pieces)
        assert y.norepinephrine_ng_per_ml == pytest.approx(20.0, rel=1e-9)


def test_an_infusion_settles_at_rate_over_clearance() -> None:
    p, s = person(), settings()
    y = still()
    for _ in range(72):
        y = advance(y, Drive(0.0, 600.0, 1e6), p, s, 1.0 / 12.0)
    assert y.norepinephrine_ng_per_ml == pytest.approx(600.0 / p.clearance_l_per_h, rel=1e-6)


def test_norepinephrine_has_half_its_effect_at_c50_and_a_hill_coefficient_of_1_8() -> None:
    assert norepinephrine_effect(70.4, 70.4) == pytest.approx(0.5)
    ratio = norepinephrine_effect(2.0 * 70.4, 70.4)
    assert ratio / (1.0 - ratio) == pytest.approx(2.0**1.8)
    assert EMAX_MMHG == 98.7


# circulation


def flow(plasma: float = 0.0, effect: float = 0.0, inflamed: float = 0.0, c: Constants = V0):
    return circulation(plasma, effect, inflamed, 78.0, 88.0, 1.0, c)


def test_a_healthy_person_has_their_own_pressure_and_output() -> None:
    assert flow().map_mmhg == pytest.approx(88.0)
    assert flow().output == pytest.approx(1.0)


def test_inflammation_lowers_the_pressure_fluid_and_norepinephrine_raise_it() -> None:
    pressures = [flow(inflamed=i).map_mmhg for i in (0.0, 0.3, 0.6, 0.9)]
    assert pressures == sorted(pressures, reverse=True)
    assert flow(600.0, 0.0, 0.5).map_mmhg > flow(0.0, 0.0, 0.5).map_mmhg > flow(-400.0, 0.0, 0.5).map_mmhg
    assert flow(0.0, 0.3, 0.5).map_mmhg > flow(0.0, 0.1, 0.5).map_mmhg > flow(0.0, 0.0, 0.5).map_mmhg


def test_inflammation_blunts_norepinephrine() -> None:
    assert flow(0.0, 0.3, 0.2).resistance - flow(0.0, 0.0, 0.2).resistance > flow(0.0, 0.3, 0.8).resistance - flow(0.0, 0.0, 0.8).resistance


def test_norepinephrine_that_raises_the_pressure_by_22_mmhg_raises_output_by_about_a_tenth() -> None:
    # Hamzaoui, Crit Care 2010;14:R142: MAP 54 to 76 mmHg, cardiac index 3.2 to 3.6, that is +12 %
    for name, c in constant_sets().items():
        inflamed = next(i for i in np.linspace(0.1, 1.0, 901) if flow(-400.0, 0.0, i, c).map_mmhg <= 54.0)
        effect = next(e for e in np.linspace(0.0, 1.0, 1001) if flow(-400.0, e, inflamed, c).map_mmhg >= 76.0)
        assert 1.03 <= flow(-400.0, effect, inflamed, c).output / flow(-400.0, 0.0, inflamed, c).output <= 1.20, name


def test_perfusion_fails_below_the_critical_pressure_and_at_low_output() -> None:
    assert perfusion(80.0, 55.0, 1.0, V0).lack < 0.05
    assert perfusion(55.0, 55.0, 1.0, V0).pressure == pytest.approx(0.5)
    assert perfusion(30.0, 55.0, 1.0, V0).lack > 0.95
    assert perfusion(80.0, 55.0, 0.2, V0).lack > 0.9


# fluids and kidneys


def person(**changes: float) -> Params:
    names, table = patients()
    return Params(*table[names.index("median")])._replace(**changes)


def settings(**options: object):
    return sepsis_task(**options).settings


def still() -> State:
    """A healthy body at rest."""
    return State(*([0.0] * len(State._fields)))._replace(
        pathogen=1e-30, mediator=MEDIATOR_AT_REST, lung_water_ml_per_kg=7.4, lactate_mmol_per_l=1.0, creatinine_mg_per_dl=0.9,
        urine_rate_ml_per_h=70.0, map_mmhg=86.0,
    )  # fmt: skip


def run(x: State, p: Params, hours: float, fluid_ml_per_h: float = 0.0, norepinephrine: float = 0.0, h: float = 1.0 / 60.0) -> State:
    s = settings()
    for _ in range(round(hours / h)):
        x = advance(x, Drive(fluid_ml_per_h, norepinephrine, 1e6), p, s, h)
    return x


def test_fluid_is_neither_made_nor_lost() -> None:
    x = run(still(), person(), 5.0, fluid_ml_per_h=300.0)
    assert x.fluid_excess_ml + x.urine_ml == pytest.approx(5.0 * 300.0, rel=1e-12)


def test_plasma_keeps_a_quarter_to_a_third_of_a_litre_of_ringer_after_an_hour() -> None:
    # Hahn's kinetics: of 25 mL/kg in 30 min, 44 % are in plasma at the end, 26 % at 60 and 13 % at 240 min
    p = person(weight_kg=70.0)
    end = run(still(), p, 0.5, fluid_ml_per_h=3500.0)
    later = run(end, p, 0.5)
    last = run(later, p, 3.0)
    assert 0.37 <= end.plasma_excess_ml / 1750.0 <= 0.50
    assert 0.23 <= later.plasma_excess_ml / 1750.0 <= 0.34
    assert 0.10 <= last.plasma_excess_ml / 1750.0 <= 0.28


def test_an_excess_is_shared_as_k12_and_k21_have_it() -> None:
    out = outflow_per_h(K12_MAP_MMHG)
    assert out == pytest.approx(60.0 * 0.0956, rel=1e-9)
    assert plasma_share_ml(1000.0, out, 0.0, 1.0, 70.0, V0) == pytest.approx(1000.0 / (1.0 + 0.0956 / 0.0506), rel=1e-9)


def test_inflammation_draws_fluid_out_of_the_plasma() -> None:
    out = outflow_per_h(K12_MAP_MMHG)
    shares = [plasma_share_ml(1000.0, out, i, 1.0, 70.0, V0) for i in (0.0, 0.3, 0.6, 0.9)]
    assert shares == sorted(shares, reverse=True)


def test_creatinine_rises_as_published_after_a_loss_of_nine_tenths_of_filtration() -> None:
    # Waikar, Bonventre, J Am Soc Nephrol 2009;20:672-679: +246 % at 24 h, +50 % at about 4 h
    build, clear = creatinine_rates(1.0, 0.1, 1.0)
    level = lambda t: build / clear + (1.0 - build / clear) * np.exp(-clear * t)  # noqa: E731
    assert level(24.0) == pytest.approx(3.46, rel=0.03)
    assert level(4.3) == pytest.approx(1.5, rel=0.03)


# lungs, scores, outcome


SATURATIONS = ((40, 0.7495), (50, 0.8499), (60, 0.9058), (70, 0.9379), (80, 0.9573), (100, 0.9775), (150, 0.9932))


@pytest.mark.parametrize(("pao2", "saturation"), SATURATIONS)
def test_saturation_follows_severinghaus(pao2: float, saturation: float) -> None:
    assert spo2_of(float(pao2)) == pytest.approx(saturation, abs=1e-4)


@pytest.mark.parametrize(
    ("ladder", "values", "points"),
    [
        (RESPIRATION, (450, 399, 299, 199, 99), (0, 1, 2, 3, 4)),
        (COAGULATION, (200, 149, 99, 49, 19), (0, 1, 2, 3, 4)),
        (LIVER, (1.1, 1.2, 2.0, 6.0, 12.1), (0, 1, 2, 3, 4)),
        (KIDNEY, (1.1, 1.2, 2.0, 3.5, 5.1), (0, 1, 2, 3, 4)),
    ],
)
def test_the_smooth_score_rounds_to_sofa(ladder, values, points) -> None:
    assert tuple(int(smooth_points(float(v), ladder) + 0.5) for v in values) == points


def test_a_point_of_sofa_multiplies_the_odds_of_late_death_by_1_35() -> None:
    def odds(sofa: float) -> float:
        p = 1.0 - np.exp(-hazard_after(sofa, V0))
        return p / (1.0 - p)

    assert odds(9.0) / odds(8.0) == pytest.approx(1.35, rel=0.005)


def test_every_constant_is_described_and_within_its_bounds() -> None:
    table = constant_table()
    assert tuple(table) == Constants._fields
    for member, values in constant_sets().items():
        for name, value in values._asdict().items():
            assert float(table[name]["lowest"]) <= value <= float(table[name]["highest"]), (member, name)


# the whole, integrated


def final_states(substep_minutes: float, n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    task = sepsis_task(action="continuous", deaths="expected")
    task = dataclasses.replace(task, settings=task.settings._replace(substeps=60.0 / substep_minutes))
    batch = Batch(task.model, task.view, n, task.settings, mode=DISABLED)
    batch.seed(5)
    batch.reset()
    pressures = []
    for step in range(72):
        batch.actions[:, 0] = (step * 7919 + np.arange(n) * 104729) % 5 * 60.0
        batch.actions[:, 1] = (step * 6007 + np.arange(n) * 15485863) % 7 * 0.06
        batch.step()
        pressures.append(batch.measures[batch.measure_names.index("map_mmhg")].copy())
    return np.array(pressures), batch.measures[batch.measure_names.index("death_probability")].copy()


def test_five_minute_steps_are_as_good_as_fifteen_seconds() -> None:
    exact, exact_deaths = final_states(0.25)
    ours, deaths = final_states(5.0)
    assert np.sqrt(np.mean((ours - exact) ** 2)) < 0.2
    assert np.sqrt(np.mean((deaths - exact_deaths) ** 2)) < 0.005


def test_the_state_has_as_many_names_as_numbers() -> None:
    assert len(field_names(State)) == len(still())
