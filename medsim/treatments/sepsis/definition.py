"""The sepsis model as the engine takes it: its parts put together, its views described, its named patients."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from medsim.core.model import Model, View
from medsim.core.portable import fmin, where
from medsim.core.streams import Key
from medsim.treatments.sepsis import objective, population, sensor
from medsim.treatments.sepsis.chart import SEPSIS_CHART, charted_view
from medsim.treatments.sepsis.circulation import norepinephrine_clearance_l_per_h
from medsim.treatments.sepsis.constants import constant_sets
from medsim.treatments.sepsis.immune import KND, MUN, XDN
from medsim.treatments.sepsis.model import Action, Clock, Drive, Memory, Orders, Params, Settings, State, Watch, advance
from medsim.treatments.sepsis.objective import potential
from medsim.treatments.sepsis.sensor import look
from medsim.treatments.sepsis.titration import TITRATED_AT_MOST_MCG_PER_KG_PER_MIN, TITRATED_TO_MMHG, titrated_dose

FLUID_LEVELS_ML_PER_H = (0.0, 50.0, 125.0, 250.0, 750.0)
NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN = (0.0, 0.05, 0.15, 0.4, 1.0)
LEVELS = 5


def control(x: State, m: Memory, p: Params, a: Action, s: Settings, key: Key) -> Memory:
    """Set the pumps; antibiotics, once given, are given on. Where nurses titrate norepinephrine, the action holds no dose of it."""
    fluid, dose, gives = a.first, a.second, a.antibiotics
    if s.continuous > 0.0 and s.titrated > 0.0:
        gives = a.second
    if s.continuous == 0.0:
        index = int(a.first)
        if s.titrated > 0.0:
            index = index * LEVELS
        gives = float(index // (LEVELS * LEVELS) % 2)
        fluid = FLUID_LEVELS_ML_PER_H[index // LEVELS % LEVELS]
        dose = NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN[index % LEVELS]
    if s.titrated > 0.0:
        dose = m.orders.norepinephrine_mcg_per_kg_per_min
    starts = m.orders.antibiotics_from_h
    if s.agent_antibiotics > 0.0 and gives >= 0.5:
        starts = fmin(starts, x.time_h)
    orders = Orders(fluid, dose, starts, m.orders.fluid_given_ml + fluid * s.intervals)
    return Memory(Clock(m.clock.step + 1.0), orders, m.bedside, m.monitor, m.labs, m.fate, m.watch)


def interval(x: State, m: Memory, p: Params, s: Settings, key: Key) -> tuple[Memory, Drive]:
    """Return what enters the body in the coming hour; nurses first set the norepinephrine, if that is theirs."""
    if s.titrated > 0.0:
        dose = titrated_dose(m.orders.norepinephrine_mcg_per_kg_per_min, TITRATED_TO_MMHG - x.map_mmhg)
        dose = fmin(dose, TITRATED_AT_MOST_MCG_PER_KG_PER_MIN)
        orders = Orders(m.orders.fluid_ml_per_h, dose, m.orders.antibiotics_from_h, m.orders.fluid_given_ml)
        m = Memory(m.clock, orders, m.bedside, m.monitor, m.labs, m.fate, m.watch)
    o = m.orders
    return m, Drive(o.fluid_ml_per_h, o.norepinephrine_mcg_per_kg_per_min * p.weight_kg * 60.0, o.antibiotics_from_h)


def sense(x: State, m: Memory, p: Params, s: Settings, key: Key) -> Memory:
    """Look at the patient; at the start of an episode remember how ill they are."""
    m = look(x, m, p, s, key)
    w = m.watch
    start = where(m.clock.step == 0.0, potential(x, m), w.potential)
    watch = Watch(start, w.hypotension_h, w.hazard, w.urine_ml, w.urine_in_step_ml)
    return Memory(m.clock, m.orders, m.bedside, m.monitor, m.labs, m.fate, watch)


def pick(s: Settings, key: Key) -> int:
    """Return the row of the table that a drawn patient starts from, and leaves at once: the population is not a table."""
    return 0


MEDIAN = {
    "age_years": 65.0, "weight_kg": 78.0, "saps2": 55.0, "hypertension": 0.0, "charlson": 1.0, "pneumonia": 1.0,
    "map_baseline_mmhg": 86.0, "inoculum": 1.2, "kill_per_h": 0.0, "antibiotic_delay_h": 0.0,
    "phagocyte_decay_per_h": MUN, "activation_by_damage": KND, "damage_threshold": XDN, "first_excess_ml_per_kg": 0.0,
    "leak": 1.0, "vasoplegia": 1.0, "frailty": 1.0, "kidney": 1.0, "liver": 1.0, "marrow": 1.0, "brain": 1.0,
    "creatinine_baseline_mg_per_dl": 0.9, "heart_rate_baseline_per_min": 72.0,
    "lung_leak": 1.0, "oxygenation": 1.0,
}  # what is zero or missing here follows from the constants; chosen: people to look at, not a sample  # fmt: skip
NAMED = {
    "median": {},
    "hypertensive": {"age_years": 72.0, "hypertension": 1.0, "map_baseline_mmhg": 98.0},
    "frail": {"age_years": 86.0, "weight_kg": 58.0, "saps2": 68.0, "charlson": 5.0, "frailty": 1.9},
    "leaky": {"leak": 2.0, "pneumonia": 0.0},
    "vasoplegic": {"vasoplegia": 1.25, "saps2": 62.0},
    "severe": {"saps2": 75.0, "damage_threshold": 0.8 * XDN, "activation_by_damage": 1.2 * KND, "phagocyte_decay_per_h": 0.8 * MUN},
    "late": {"antibiotic_delay_h": 5.0},
    "mild": {"saps2": 38.0, "damage_threshold": 1.25 * XDN, "phagocyte_decay_per_h": 1.2 * MUN, "age_years": 44.0},
}


@lru_cache(maxsize=1)
def patients() -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Return the names of the described patients and their parameters (patients, fields of Params)."""
    c = constant_sets()["v0"]
    rows = []
    for changes in NAMED.values():
        told = {**MEDIAN, "growth_per_h": c.growth_median_per_h, "onset_damage": c.onset_damage_median, "c50_ng_per_ml": c.c50_ng_per_ml}
        told |= {"kill_per_h": c.kill_median_per_h, "antibiotic_delay_h": population.DELAY_MEDIAN_H, **changes}
        told["map_critical_mmhg"] = (
            c.critical_share * told["map_baseline_mmhg"] + population.CRITICAL_HYPERTENSION_MMHG * told["hypertension"]
        )
        told["clearance_l_per_h"] = norepinephrine_clearance_l_per_h(told["saps2"])
        rows.append([told[name] for name in Params._fields])
    return tuple(NAMED), np.array(rows)


VECTOR = {
    "time_h": (0.0, 72.0), "heart_rate_per_min": (0.0, 220.0), "systolic_mmhg": (0.0, 300.0), "map_mmhg": (0.0, 200.0),
    "diastolic_mmhg": (0.0, 200.0), "respiratory_rate_per_min": (0.0, 60.0), "temperature_c": (25.0, 45.0), "spo2": (0.0, 1.0),
    "fio2": (0.21, 1.0), "gcs": (3.0, 15.0), "urine_ml": (0.0, 8000.0), "fluid_given_ml": (0.0, 200_000.0),
    "fluid_balance_ml": (-20_000.0, 200_000.0), "fluid_ml_per_h": (0.0, 2000.0), "norepinephrine_mcg_per_kg_per_min": (0.0, 3.0),
    "antibiotics_running_h": (0.0, 72.0), "lactate_mmol_per_l": (0.0, 60.0), "pf_ratio_mmhg": (0.0, 900.0), "gas_age_h": (0.0, 72.0),
    "creatinine_mg_per_dl": (0.0, 40.0), "bilirubin_mg_per_dl": (0.0, 400.0), "platelets_per_nl": (0.0, 500.0),
    "wbc_per_nl": (0.0, 60.0), "blood_age_h": (0.0, 72.0), "age_years": (18.0, 100.0), "weight_kg": (30.0, 300.0),
    "saps2": (0.0, 163.0), "hypertension": (0.0, 1.0), "charlson": (0.0, 37.0), "pneumonia": (0.0, 1.0),
}  # fmt: skip
FULL = (
    *State._fields[:14], "map_mmhg", "map_unsupported_mmhg", "cardiac_output_l_per_min", "heart_rate_per_min", "pf_ratio_mmhg", "sofa",
    "fluid_ml_per_h", "norepinephrine_mcg_per_kg_per_min", "fluid_given_ml", "antibiotics_from_h",
    "age_years", "weight_kg", "saps2", "hypertension", "charlson", "pneumonia", "map_baseline_mmhg", "map_critical_mmhg",
    "growth_per_h", "kill_per_h", "phagocyte_decay_per_h", "activation_by_damage", "damage_threshold", "leak", "vasoplegia",
    "c50_ng_per_ml", "clearance_l_per_h", "frailty", "kidney", "liver", "marrow", "brain",
)  # fmt: skip
HIGHEST = 1e6  # a bound that nothing of the full view reaches


SEPSIS = Model(
    name="sepsis",
    state=State,
    drive=Drive,
    params=Params,
    memory=Memory,
    settings=Settings,
    action=Action,
    reward_terms=objective.RewardTerms,
    costs=objective.Costs,
    measures=objective.Measures,
    pick=pick,
    recruit=population.recruit,
    control=control,
    interval=interval,
    derivative=None,
    advance=advance,
    sense=sense,
    judge=objective.judge,
    measure=objective.measure,
    views={
        "vector": View(
            function=sensor.vector_view,
            names=tuple(VECTOR),
            low=tuple(low for low, _ in VECTOR.values()),
            high=tuple(high for _, high in VECTOR.values()),
        ),
        "full": View(function=sensor.full_view, names=FULL, low=(-HIGHEST,) * len(FULL), high=(HIGHEST,) * len(FULL)),
        "ehr": SEPSIS_CHART.view(charted_view),
    },
    outcomes=objective.OUTCOMES,
    patients=patients,
    changes={"control": ("clock", "orders"), "judge": ("bedside", "monitor", "labs", "watch")},
    interval_length=1.0,
)
