"""The records of a patient in septic shock, and how an hour moves them: the parts put together.

The parts are published, each in its own file: the immune response (``immune``), fluids (``fluids``), norepinephrine and the
circulation (``circulation``), organs and scores (``organs``). No publication couples them all: the couplings are ours, their
constants (``Constants``) fitted to landmark trials by ``benchmarks/fidelity`` and published as an ensemble of fits.
"""

from typing import NamedTuple

from medsim.core.portable import fmax, inline_exp, where
from medsim.treatments.sepsis.circulation import circulation, inflammation, injury, norepinephrine_effect, perfusion
from medsim.treatments.sepsis.constants import Constants
from medsim.treatments.sepsis.fluids import LOWEST_PLASMA_ML_PER_KG, exchange_per_h, outflow_per_h, plasma_share_ml, urine_ml_per_h
from medsim.treatments.sepsis.immune import ANTIBIOTIC_ONSET_H, immune_step
from medsim.treatments.sepsis.organs import (
    CONSOLIDATION_TAU_H,
    EFFUSION_TAU_H,
    LUNG_WATER_TAU_H,
    consolidation_target,
    creatinine_rates,
    effusion_target_ml,
    hazard_per_h,
    lactate_rates,
    lung_water_target,
)

# The purposes of the random streams (numbers are part of the environment's version: never renumber).
POPULATION, FATE, MONITOR, LABS, CHART, AIRWAYS = 1, 2, 3, 4, 5, 6
NEVER_H = 1e6


class State(NamedTuple):
    """The physiology of one patient."""

    time_h: float  # since shock was recognised
    pathogen: float  # Reynolds' units
    phagocytes: float
    damage: float
    mediator: float
    plasma_excess_ml: float  # above the patient's own normal volume
    fluid_excess_ml: float  # of plasma and interstitium together
    norepinephrine_ng_per_ml: float
    lung_water_ml_per_kg: float
    lactate_mmol_per_l: float
    creatinine_mg_per_dl: float
    consolidation: float  # share of the lung
    effusion_ml: float
    urine_rate_ml_per_h: float  # in the last integration step, as the pressure
    map_mmhg: float
    urine_ml: float  # since the start
    hypotension_h: float  # hours below 65 mmHg since the start
    hazard: float  # cumulated: the patient is dead once it exceeds their threshold


class Params(NamedTuple):
    """One patient."""

    age_years: float
    weight_kg: float
    saps2: float
    hypertension: float  # 1: chronic
    charlson: float
    pneumonia: float  # 1: the source is the lung
    map_baseline_mmhg: float  # in health
    map_critical_mmhg: float  # organs are half perfused
    inoculum: float  # pathogen at the start of the infection, Reynolds' units
    growth_per_h: float  # of the pathogen
    kill_per_h: float  # by the antibiotic
    antibiotic_delay_h: float
    onset_damage: float  # damage when shock is recognised
    phagocyte_decay_per_h: float
    activation_by_damage: float
    damage_threshold: float
    first_excess_ml_per_kg: float
    leak: float  # multiplies the capillary leak
    vasoplegia: float  # multiplies the fall of resistance
    c50_ng_per_ml: float  # of norepinephrine
    clearance_l_per_h: float  # of norepinephrine
    frailty: float  # multiplies the hazard of damage
    kidney: float  # sensitivities of organs to damage
    liver: float
    marrow: float
    brain: float
    creatinine_baseline_mg_per_dl: float
    heart_rate_baseline_per_min: float
    lung_leak: float  # multiplies what fluid and inflammation do to the lungs
    oxygenation: float  # multiplies PaO2 / FiO2: what airways and collapsed lung leave of it


class Drive(NamedTuple):
    """What enters the body, constant over an hour."""

    fluid_ml_per_h: float
    norepinephrine_mcg_per_h: float
    antibiotics_from_h: float


class Clock(NamedTuple):
    """How far the episode is."""

    step: float


class Orders(NamedTuple):
    """What is running."""

    fluid_ml_per_h: float
    norepinephrine_mcg_per_kg_per_min: float
    antibiotics_from_h: float
    fluid_given_ml: float  # since the start


class Bedside(NamedTuple):
    """What is true at the end of a step, computed once from the state."""

    map_mmhg: float
    map_unsupported_mmhg: float  # in the same state without norepinephrine
    cardiac_output_l_per_min: float
    heart_rate_per_min: float
    pulse_pressure_mmhg: float
    inflammation: float
    pf_ratio_mmhg: float
    fio2: float
    spo2: float
    respiratory_rate_per_min: float
    temperature_c: float
    bilirubin_mg_per_dl: float
    platelets_per_nl: float
    gcs: float
    wbc_per_nl: float
    sofa: float  # smooth
    sofa_points: float  # whole points


class Charted(NamedTuple):
    """Which vital signs are written down in this hour: 1 or 0."""

    heart_rate: float
    pressure: float
    respiratory_rate: float
    temperature: float
    spo2: float


class Monitor(NamedTuple):
    """Vital signs as shown, with noise."""

    heart_rate_per_min: float
    systolic_mmhg: float
    map_mmhg: float
    diastolic_mmhg: float
    respiratory_rate_per_min: float
    temperature_c: float
    spo2: float
    gcs: float
    charted: Charted


class Labs(NamedTuple):
    """The latest results and when their samples were taken."""

    gas_time_h: float
    lactate_mmol_per_l: float
    pf_ratio_mmhg: float
    blood_time_h: float
    creatinine_mg_per_dl: float
    bilirubin_mg_per_dl: float
    platelets_per_nl: float
    wbc_per_nl: float


class Fate(NamedTuple):
    """What chance has decided beforehand."""

    hazard_threshold: float  # standard exponential


class Watch(NamedTuple):
    """What the objective remembers of the step's start, and of its end."""

    potential: float
    hypotension_h: float
    hazard: float
    urine_ml: float
    urine_in_step_ml: float


class Memory(NamedTuple):
    """Everything about an episode that is not physiology."""

    clock: Clock
    orders: Orders
    bedside: Bedside
    monitor: Monitor
    labs: Labs
    fate: Fate
    watch: Watch


class Settings(NamedTuple):
    """Numbers that hold for all patients of an environment."""

    intervals: float  # hours a step
    substeps: float  # integration steps an hour
    horizon_steps: float
    continuous: float  # 1: the action is doses, else a grid index
    agent_antibiotics: float  # 1: the agent gives them
    titrated: float  # 1: nurses titrate norepinephrine to the pressure, and the agent gives fluid alone
    delay_imposed_h: float  # antibiotics start then, whoever the patient; below 0: by the patient's own delay
    expected_deaths: float  # 1: nobody dies before 72 h, the reward is the expectation
    shaped: float
    cohort: float  # number of the cohort: keys its stream
    shift: float  # 1: the shifted population
    charting_gaps: float  # 1: hours are left out of the chart as in real ones
    lungs_varied: float  # 1: lungs leak and oxygenate differently from patient to patient
    constants: Constants


class Action(NamedTuple):
    """A grid index (and unused), or mL/h and mcg/kg/min; then whether to give antibiotics, and to order a chest X-ray."""

    first: float
    second: float
    antibiotics: float
    xray: float  # read by the camera alone


def advance(x: State, u: Drive, p: Params, s: Settings, h: float) -> State:
    """Return the state h hours later; free of branches, so that a batch vectorises.

    Second order: linear kinetics exactly, the immune response by Heun's method, and the fast loops of the circulation, which settle
    within a minute, as their equilibrium at mid-step.
    """
    c = s.constants
    half = 0.5 * h
    steady = u.norepinephrine_mcg_per_h / p.clearance_l_per_h
    fade = inline_exp(-half * p.clearance_l_per_h / c.norepinephrine_volume_l)
    drug = steady + (x.norepinephrine_ng_per_ml - steady) * fade
    kill = p.kill_per_h * (1.0 - inline_exp(-fmax(x.time_h + half - u.antibiotics_from_h, 0.0) / ANTIBIOTIC_ONSET_H))

    y = immune_step(x.pathogen, x.phagocytes, x.damage, x.mediator, p.growth_per_h, kill,
                    p.phagocyte_decay_per_h, p.activation_by_damage, p.damage_threshold, h)  # fmt: skip
    inflamed = inflammation(0.5 * (x.pathogen + y.pathogen), 0.5 * (x.phagocytes + y.phagocytes), c)
    damage = 0.5 * (x.damage + y.damage)

    net = u.fluid_ml_per_h - x.urine_rate_ml_per_h
    excess = x.fluid_excess_ml + half * net
    outflow = outflow_per_h(x.map_mmhg)
    exchange = exchange_per_h(outflow)
    settled = plasma_share_ml(excess, outflow, inflamed, p.leak, p.weight_kg, c) + net / exchange
    lag = inline_exp(-half * exchange)
    floor = LOWEST_PLASMA_ML_PER_KG * p.weight_kg
    plasma = fmax(settled + (x.plasma_excess_ml - settled) * lag, floor)
    flow = circulation(plasma, norepinephrine_effect(drug, p.c50_ng_per_ml), inflamed, p.weight_kg, p.map_baseline_mmhg, p.vasoplegia, c)
    perfused = perfusion(flow.map_mmhg, p.map_critical_mmhg, flow.output, c)
    organ = inline_exp(-c.organ_damage_per_d * damage * p.kidney)
    urine = urine_ml_per_h(p.weight_kg, perfused.pressure, organ, plasma)
    excess_end = x.fluid_excess_ml + h * (u.fluid_ml_per_h - urine)

    make, clear = lactate_rates(perfused.lack, damage, c)
    build, filtered = creatinine_rates(p.creatinine_baseline_mg_per_dl, perfused.pressure, organ)
    water = lung_water_target(excess - plasma, inflamed, p.weight_kg, p.lung_leak, c)
    return State(
        x.time_h + h,
        y.pathogen,
        y.phagocytes,
        y.damage + h * injury(perfused.lack, drug, excess / p.weight_kg, c),
        y.mediator,
        fmax(settled + (x.plasma_excess_ml - settled) * lag * lag, floor),
        excess_end,
        steady + (x.norepinephrine_ng_per_ml - steady) * fade * fade,
        relaxed(x.lung_water_ml_per_kg, water / LUNG_WATER_TAU_H, 1.0 / LUNG_WATER_TAU_H, h),
        relaxed(x.lactate_mmol_per_l, make, clear, h),
        relaxed(x.creatinine_mg_per_dl, build, filtered, h),
        relaxed(x.consolidation, consolidation_target(p.pneumonia, inflamed) / CONSOLIDATION_TAU_H, 1.0 / CONSOLIDATION_TAU_H, h),
        relaxed(x.effusion_ml, effusion_target_ml(excess - plasma, p.weight_kg) / EFFUSION_TAU_H, 1.0 / EFFUSION_TAU_H, h),
        urine,
        flow.map_mmhg,
        x.urine_ml + h * urine,
        x.hypotension_h + where(flow.map_mmhg < 65.0, h, 0.0),
        x.hazard + h * hazard_per_h(damage, p.frailty, flow.map_mmhg, x.lung_water_ml_per_kg, c),
    )


def relaxed(value: float, gain: float, loss_per_h: float, h: float) -> float:
    """Return the solution of value' = gain - loss value after h hours, by the trapezoidal rule."""
    z = 0.5 * h * loss_per_h
    return (value * (1.0 - z) + h * gain) / (1.0 + z)
