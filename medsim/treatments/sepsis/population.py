"""Who the patients are, and the course of their infection until shock is recognised.

A latent severity, standard normal, is shared by SAPS II and by the immune parameters (``severity_share``): the score that a
clinician sees at the start says something about who will die. Infections that a patient clears alone never come to be seen: such draws
are thrown away and drawn again.
"""

import math

from medsim.core.inlining import compiled_once
from medsim.core.portable import exp, fmax, fmin, log, sigmoid, where
from medsim.core.streams import Key, normal, uniform, words
from medsim.treatments.sepsis.circulation import circulation, inflammation, norepinephrine_clearance_l_per_h
from medsim.treatments.sepsis.constants import Constants
from medsim.treatments.sepsis.fluids import outflow_per_h, plasma_share_ml
from medsim.treatments.sepsis.immune import KND, MEDIATOR_AT_REST, MUN, XDN, Immune, immune_step
from medsim.treatments.sepsis.model import (
    FATE,
    NEVER_H,
    POPULATION,
    Bedside,
    Charted,
    Clock,
    Fate,
    Labs,
    Memory,
    Monitor,
    Orders,
    Params,
    Settings,
    State,
    Watch,
)
from medsim.treatments.sepsis.organs import (
    LACTATE_REST_MMOL_PER_L,
    consolidation_target,
    effusion_target_ml,
    lung_water_target,
)

# Age, weight, Charlson, share of pneumonia: table 1 of SEPSIS-ACT, Laterre et al., JAMA 2019;322:1476-1485 (shock on norepinephrine, n 828)
AGE_MEAN_YEARS, AGE_SD_YEARS, AGE_LOWEST, AGE_HIGHEST = 66.0, 13.0, 18.0, 95.0  # 66.6 (12.8)
WEIGHT_MEDIAN_KG, WEIGHT_SD, WEIGHT_LOWEST, WEIGHT_HIGHEST = 77.0, 0.28, 40.0, 170.0  # 80.2 (23.6) kg, as a log-normal
CHARLSON_MEAN, CHARLSON_SCALE, PNEUMONIA_SHARE = 2.5, 2.97, 0.4  # 2.5 (2.0), as a geometric distribution of that mean; 40 %
# SEPSISPAM, Asfar et al., N Engl J Med 2014;370:1583-1593, table 1 (from memory, not verified): SAPS II 57 (16), hypertension 44 %
SAPS_MEAN, SAPS_SD, SAPS_LOWEST, SAPS_HIGHEST = 57.0, 15.0, 15.0, 120.0
SAPS_PER_YEAR = 0.3  # points of SAPS II per year of age: 0 below 40 to 18 from 80 on, Le Gall et al., JAMA 1993;270:2957-2963
HYPERTENSION_LOGIT, HYPERTENSION_PER_YEAR = (
    -0.24,
    0.04,
)  # 44 % at the mean age (a third of those whose pressure then falls below SHOCK_BELOW_MMHG); its rise with age is chosen
MAP_BASELINE_MMHG, MAP_HYPERTENSION_MMHG, MAP_SD_MMHG = 86.0, 12.0, 5.0  # chosen
CRITICAL_HYPERTENSION_MMHG, CRITICAL_SD_MMHG = 1.6, 2.0  # chosen: autoregulation shifts further than in proportion
INOCULUM_LOWEST, INOCULUM_HIGHEST = 0.5, 2.0  # chosen: those that need help at all, given Reynolds' thresholds (1.0 at k_pg 0.3)
DELAY_MEDIAN_H, DELAY_SD = 0.95, 1.27  # median 0.95 h (0.35-1.95), Seymour et al., N Engl J Med 2017;376:2235-2244, as a log-normal
KILL_SD, ONSET_SD, LEAK_SD, VASOPLEGIA_SD, C50_SD = 0.3, 0.5, 0.35, 0.25, 0.4  # chosen, of logarithms
FIRST_EXCESS_SD_ML_PER_KG = 6.0  # chosen: some come dry, some after a litre
SHOCK_BELOW_MMHG = 70.0  # hypotension in the consensus definitions of sepsis; without it nobody would call it shock
MOST_SD = 2.5  # chosen: no draw is further out
PRE_COURSE_STEP_H, PRE_COURSE_H = 1.0 / 12.0, 16.0  # an infection that has not led to shock by then was cleared
ATTEMPTS, WORDS_PER_COHORT = 12, 1000  # every attempt of every cohort has ten draws of words to itself


# Lungs that differ (option ``lungs``): chosen so that PaO2 / FiO2 tells little of lung water, as in 29 patients with severe sepsis, where
# it explained 27 % of the variance (Martin et al., Crit Care 2005;9:R74-R82; ours: tests/test_sepsis_lungs.py). Leaks spread that wide are
# those of 8.7 mL/kg without and 19.9 mL/kg with a history of alcohol abuse in their patients with lung injury.
LUNG_LEAK_SD, OXYGENATION_SD, LOWEST_OXYGENATION = 0.8, 0.8, 0.3


@compiled_once
def bounded_normal(word: int) -> float:
    """Return a standard normal number, cut."""
    return fmin(fmax(normal(word), -MOST_SD), MOST_SD)


@compiled_once
def drawn(key: Key, attempt: int, cohort: float, shift: float, lungs_varied: float, c: Constants) -> Params:
    """Return the parameters of a patient of the population."""
    first = WORDS_PER_COHORT * int(cohort) + 10 * attempt
    w = words(key, first, POPULATION)
    severity, age_z, weight_z, saps_z = bounded_normal(w[0]), bounded_normal(w[1]), bounded_normal(w[2]), bounded_normal(w[3])
    age = fmin(fmax(AGE_MEAN_YEARS + 8.0 * shift + AGE_SD_YEARS * age_z, AGE_LOWEST), AGE_HIGHEST)
    weight = fmin(fmax(WEIGHT_MEDIAN_KG * exp(WEIGHT_SD * weight_z), WEIGHT_LOWEST), WEIGHT_HIGHEST)
    shared = c.severity_share
    own = math.sqrt(1.0 - shared * shared)
    points = SAPS_MEAN + SAPS_PER_YEAR * (age - AGE_MEAN_YEARS) + SAPS_SD * (shared * severity + own * saps_z)
    saps2 = fmin(fmax(points, SAPS_LOWEST), SAPS_HIGHEST)
    w = words(key, first + 1, POPULATION)
    hypertension = where(uniform(w[0]) < sigmoid(HYPERTENSION_LOGIT + HYPERTENSION_PER_YEAR * (age - AGE_MEAN_YEARS)), 1.0, 0.0)
    pneumonia = where(uniform(w[1]) < PNEUMONIA_SHARE, 1.0, 0.0)
    charlson = fmin(float(int(-CHARLSON_SCALE * log(uniform(w[2])))), 15.0)
    baseline = MAP_BASELINE_MMHG + MAP_HYPERTENSION_MMHG * hypertension + MAP_SD_MMHG * bounded_normal(w[3])
    w = words(key, first + 2, POPULATION)
    critical = c.critical_share * baseline + CRITICAL_HYPERTENSION_MMHG * hypertension + CRITICAL_SD_MMHG * bounded_normal(w[0])
    inoculum = INOCULUM_LOWEST + (INOCULUM_HIGHEST - INOCULUM_LOWEST) * uniform(w[1])
    growth = c.growth_median_per_h * exp(c.growth_sd * bounded_normal(w[2])) * (1.0 + 0.1 * shift)
    kill = c.kill_median_per_h * exp(KILL_SD * bounded_normal(w[3])) * (1.0 - 0.2 * shift)
    w = words(key, first + 3, POPULATION)
    delay = DELAY_MEDIAN_H * exp(DELAY_SD * bounded_normal(w[0])) * (1.0 + shift)
    onset = c.onset_damage_median * exp(ONSET_SD * bounded_normal(w[1]))
    spread = c.immune_sd
    decay = MUN * exp(spread * (own * bounded_normal(w[2]) - shared * severity))
    activation = KND * exp(spread * (own * bounded_normal(w[3]) + shared * severity))
    w = words(key, first + 4, POPULATION)
    threshold = XDN * exp(spread * (own * bounded_normal(w[0]) - shared * severity))
    excess = FIRST_EXCESS_SD_ML_PER_KG * bounded_normal(w[1])
    leak, vasoplegia = exp(LEAK_SD * bounded_normal(w[2])), exp(VASOPLEGIA_SD * bounded_normal(w[3]))
    w = words(key, first + 5, POPULATION)
    c50 = c.c50_ng_per_ml * exp(C50_SD * bounded_normal(w[0]))
    frailty = exp(c.frailty_sd * bounded_normal(w[1]) + 0.01 * (age - AGE_MEAN_YEARS) + 0.05 * (charlson - CHARLSON_MEAN))
    kidney, liver = exp(c.organ_sd * bounded_normal(w[2])), exp(c.organ_sd * bounded_normal(w[3]))
    w = words(key, first + 6, POPULATION)
    marrow, brain = exp(c.organ_sd * bounded_normal(w[0])), exp(c.organ_sd * bounded_normal(w[1]))
    creatinine = 0.9 * exp(0.25 * bounded_normal(w[2]) + 0.005 * (age - AGE_MEAN_YEARS))
    heart_rate = 72.0 + 8.0 * bounded_normal(w[3])
    lung_leak, oxygenation = 1.0, 1.0
    if lungs_varied > 0.0:
        w = words(key, first + 7, POPULATION)
        lung_leak = exp(LUNG_LEAK_SD * bounded_normal(w[0]))
        oxygenation = fmax(exp(-OXYGENATION_SD * abs(bounded_normal(w[1]))), LOWEST_OXYGENATION)
    return Params(
        age, weight, saps2, hypertension, charlson, pneumonia, baseline, critical, inoculum, growth, kill, delay, onset, decay, activation,
        threshold, excess, leak, vasoplegia, c50, norepinephrine_clearance_l_per_h(saps2), frailty, kidney, liver, marrow, brain,
        creatinine, heart_rate, lung_leak, oxygenation,
    )  # fmt: skip


@compiled_once
def recruit(key: Key, base: Params, named: bool, s: Settings) -> tuple[State, Params, Memory]:
    """Return the patient of a new episode: drawn from the population, or, if they are named, exactly the base patient."""
    p = base
    x = at_recognition(p, s.constants)
    if not named:
        for attempt in range(ATTEMPTS):
            p = drawn(key, attempt, s.cohort, s.shift, s.lungs_varied, s.constants)
            x = at_recognition(p, s.constants)
            if x.damage >= p.onset_damage and pressure_mmhg(x, p, s.constants) < SHOCK_BELOW_MMHG:
                break
    return x, p, first_memory(p, s, key)


@compiled_once
def pressure_mmhg(x: State, p: Params, c: Constants) -> float:
    """Return the pressure without norepinephrine."""
    inflamed = inflammation(x.pathogen, x.phagocytes, c)
    return circulation(x.plasma_excess_ml, 0.0, inflamed, p.weight_kg, p.map_baseline_mmhg, p.vasoplegia, c).map_mmhg


@compiled_once
def at_recognition(p: Params, c: Constants) -> State:
    """Return the state when damage has reached the patient's onset; damage stays below it if the infection was cleared."""
    y = Immune(p.inoculum, 0.0, 0.0, MEDIATOR_AT_REST)
    for _ in range(int(PRE_COURSE_H / PRE_COURSE_STEP_H)):
        y = immune_step(y.pathogen, y.phagocytes, y.damage, y.mediator, p.growth_per_h, 0.0,
                        p.phagocyte_decay_per_h, p.activation_by_damage, p.damage_threshold, PRE_COURSE_STEP_H)  # fmt: skip
        if y.damage >= p.onset_damage:
            break
    inflamed = inflammation(y.pathogen, y.phagocytes, c)
    excess = p.first_excess_ml_per_kg * p.weight_kg
    plasma = plasma_share_ml(excess, outflow_per_h(SHOCK_BELOW_MMHG), inflamed, p.leak, p.weight_kg, c)
    interstitial = excess - plasma
    return State(
        0.0, y.pathogen, y.phagocytes, y.damage, y.mediator, plasma, excess, 0.0,
        lung_water_target(interstitial, inflamed, p.weight_kg, p.lung_leak, c),
        LACTATE_REST_MMOL_PER_L + 3.5 * inflamed,  # chosen: median about 2.7, as in SEPSIS-ACT
        p.creatinine_baseline_mg_per_dl,
        consolidation_target(p.pneumonia, inflamed),
        effusion_target_ml(interstitial, p.weight_kg),
        0.5 * p.weight_kg, SHOCK_BELOW_MMHG, 0.0, 0.0, 0.0,
    )  # fmt: skip


@compiled_once
def first_memory(p: Params, s: Settings, key: Key) -> Memory:
    """Return the memory of an episode that begins: nothing runs, nothing is measured."""
    w = words(key, 0, FATE)
    starts = where(s.delay_imposed_h >= 0.0, s.delay_imposed_h, p.antibiotic_delay_h)
    return Memory(
        Clock(0.0),
        Orders(0.0, 0.0, where(s.agent_antibiotics > 0.0, NEVER_H, starts), 0.0),
        Bedside(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        Monitor(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, Charted(0.0, 0.0, 0.0, 0.0, 0.0)),
        Labs(-1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0),
        Fate(-log(uniform(w[0]))),
        Watch(0.0, 0.0, 0.0, 0.0, 0.0),
    )
