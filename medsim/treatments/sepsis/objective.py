"""Benefit and harm: survival to day 28, the shaped form, the costs by name, and when a course ends."""

from typing import NamedTuple

from medsim.core.portable import exp, fmax, fmin, where
from medsim.treatments.sepsis.model import Memory, Params, Settings, State, Watch
from medsim.treatments.sepsis.organs import hazard_after

OUTCOMES = ("", "died_within_72_h", "died_by_day_28", "alive_at_day_28", "expectation")
DIED, DIED_LATER, ALIVE, EXPECTATION = 1.0, 2.0, 3.0, 4.0
ONGOING, TERMINATED = 0.0, 1.0
DAY_28_H = 672.0
SHAPE_PER_SOFA, SHAPE_PER_LACTATE = 0.05, 0.02  # chosen: a potential of SOFA and lactate
OVERLOAD_SHARE = 0.1  # of body weight: the usual definition of fluid overload
HIGH_NOREPINEPHRINE_MCG_PER_KG_PER_MIN = 1.0
WET_LUNG_ML_PER_KG = 10.0  # extravascular lung water index: pulmonary oedema above


class RewardTerms(NamedTuple):
    """The reward is their sum."""

    survival: float
    sofa_and_lactate: float


class Costs(NamedTuple):
    """Harm in one step; hours, and for the lungs the excess in mL/kg times hours, a tenth."""

    map_below_65: float
    fluid_overload: float
    high_norepinephrine: float
    lung_water: float


class Measures(NamedTuple):
    """What a reviewer plots and measures; hidden from the agent."""

    map_mmhg: float
    map_unsupported_mmhg: float
    shown_map_mmhg: float
    heart_rate_per_min: float
    cardiac_output_l_per_min: float
    lactate_mmol_per_l: float
    shown_lactate_mmol_per_l: float
    creatinine_mg_per_dl: float
    pf_ratio_mmhg: float
    lung_water_ml_per_kg: float
    urine_ml: float
    sofa: float
    sofa_points: float
    damage: float
    inflammation: float
    pathogen: float
    fluid_excess_ml: float
    fluid_ml: float
    norepinephrine_mcg_per_kg_per_min: float
    antibiotics: float
    hypotension_h: float
    death_probability: float


def potential(x: State, m: Memory) -> float:
    """Return how ill the patient is, as the shaped reward sees it."""
    return SHAPE_PER_SOFA * m.bedside.sofa + SHAPE_PER_LACTATE * x.lactate_mmol_per_l


def hazard_so_far(x: State, m: Memory, s: Settings) -> float:
    """Return the cumulated hazard; at the end of the course that until day 28 is added."""
    return x.hazard + where(m.clock.step >= s.horizon_steps, hazard_after(m.bedside.sofa, s.constants), 0.0)


def judge(x: State, m: Memory, p: Params, s: Settings) -> tuple[Memory, RewardTerms, Costs, tuple[float, float, float]]:
    """Judge a step at its end.

    A patient dies when their cumulated hazard passes a threshold that was drawn beforehand: whatever the policy, chance is the same.
    After 72 h the hazard runs on evenly until day 28.
    """
    step_h = s.intervals
    overload_h = where(x.fluid_excess_ml > 1000.0 * OVERLOAD_SHARE * p.weight_kg, step_h, 0.0)
    high_h = where(m.orders.norepinephrine_mcg_per_kg_per_min >= HIGH_NOREPINEPHRINE_MCG_PER_KG_PER_MIN, step_h, 0.0)
    wet = 0.1 * fmax(x.lung_water_ml_per_kg - WET_LUNG_ML_PER_KG, 0.0) * step_h
    costs = Costs(x.hypotension_h - m.watch.hypotension_h, overload_h, high_h, wet)
    total = hazard_so_far(x, m, s)
    threshold = m.fate.hazard_threshold
    over = m.clock.step >= s.horizon_steps
    survival, ended, outcome, time_h = 0.0, ONGOING, 0.0, x.time_h
    if s.expected_deaths > 0.0:
        alive = exp(-total)
        survival = alive - exp(-m.watch.hazard)  # -1 times the chance to have died in this step
        if over:
            survival, ended, outcome, time_h = survival + alive, TERMINATED, EXPECTATION, DAY_28_H
    elif x.hazard >= threshold:
        survival, ended, outcome = -1.0, TERMINATED, DIED
        time_h = x.time_h - step_h * fmin((x.hazard - threshold) / fmax(x.hazard - m.watch.hazard, 1e-12), 1.0)
    elif over:
        survival, ended, outcome, time_h = 1.0, TERMINATED, ALIVE, DAY_28_H
        if total >= threshold:
            survival, outcome = -1.0, DIED_LATER
            time_h = x.time_h + (DAY_28_H - x.time_h) * (threshold - x.hazard) / (total - x.hazard)
    now = where(ended > 0.0, 0.0, potential(x, m))  # nothing is left of it at the end: it moves rewards in time, not their sum
    shaping = where(s.shaped > 0.0, m.watch.potential - now, 0.0)
    watch = Watch(now, x.hypotension_h, x.hazard, m.watch.urine_ml, m.watch.urine_in_step_ml)
    memory = Memory(m.clock, m.orders, m.bedside, m.monitor, m.labs, m.fate, watch)
    return memory, RewardTerms(survival, shaping), costs, (ended, outcome, time_h)


def measure(x: State, m: Memory, p: Params, s: Settings) -> Measures:
    """Return what happened in the step, as it was."""
    b, o = m.bedside, m.orders
    return Measures(
        b.map_mmhg, b.map_unsupported_mmhg, m.monitor.map_mmhg, b.heart_rate_per_min, b.cardiac_output_l_per_min,
        x.lactate_mmol_per_l, m.labs.lactate_mmol_per_l, x.creatinine_mg_per_dl, b.pf_ratio_mmhg, x.lung_water_ml_per_kg,
        m.watch.urine_in_step_ml, b.sofa, b.sofa_points, x.damage, b.inflammation, x.pathogen, x.fluid_excess_ml,
        o.fluid_ml_per_h * where(m.clock.step > 0.0, s.intervals, 0.0), o.norepinephrine_mcg_per_kg_per_min,
        where(x.time_h >= o.antibiotics_from_h, 1.0, 0.0), x.hypotension_h, 1.0 - exp(-hazard_so_far(x, m, s)),
    )  # fmt: skip
