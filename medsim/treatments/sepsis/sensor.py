"""What is seen: the bedside as it is, the monitor's noise, laboratory results at intervals, and the views made of them."""

from medsim.core.inlining import compiled_once
from medsim.core.portable import exp, fmax, fmin, power
from medsim.core.streams import Key, normal, words
from medsim.treatments.sepsis.chart import written_down
from medsim.treatments.sepsis.circulation import circulation, inflammation, norepinephrine_effect
from medsim.treatments.sepsis.model import (
    AIRWAYS,
    LABS,
    MONITOR,
    Bedside,
    Charted,
    Labs,
    Memory,
    Monitor,
    Params,
    Settings,
    State,
    Watch,
)
from medsim.treatments.sepsis.organs import (
    BRAIN,
    COAGULATION,
    KIDNEY,
    LIVER,
    PRESSURE,
    RESPIRATION,
    pf_ratio_mmhg,
    smooth_points,
)

GAS_EVERY_H, BLOOD_EVERY_H = 4.0, 12.0  # chosen: an arterial gas with lactate every 4 h, a blood count and chemistry every 12 h
CARDIAC_INDEX_L_PER_MIN_PER_M2 = 3.0  # normal 2.5 to 4
PAO2_WANTED_MMHG = 85.0  # chosen: the ventilator's oxygen is set for this
OXYGENATION_HOURLY_SD = 0.4  # chosen, of the logarithm's absolute value: with lungs that differ; see population.LUNG_LEAK_SD

# Noise: standard deviations of a charted value about the true one; laboratory coefficients of variation
MAP_SD_MMHG, HEART_RATE_SD_PER_MIN, PULSE_PRESSURE_CV = 3.0, 3.0, 0.06
RESPIRATORY_RATE_SD_PER_MIN, TEMPERATURE_SD_C, SPO2_SD, GCS_SD = 2.0, 0.2, 0.012, 0.5
LACTATE_CV, CREATININE_CV, BILIRUBIN_CV, PLATELETS_CV, WBC_CV, PF_CV = 0.06, 0.05, 0.08, 0.05, 0.05, 0.06


@compiled_once
def spo2_of(pao2_mmhg: float) -> float:
    """Return the oxygen saturation of blood (Severinghaus, J Appl Physiol 1979;46:599-602)."""
    cubed = pao2_mmhg * pao2_mmhg * pao2_mmhg
    return 1.0 / (1.0 + 23400.0 / (cubed + 150.0 * pao2_mmhg))


@compiled_once
def oxygenation_now(p: Params, s: Settings, key: Key) -> float:
    """Return what airways and collapsed lung leave of PaO2 / FiO2 in this hour: secretions, position and recruitment come and go."""
    if s.lungs_varied == 0.0:
        return p.oxygenation
    return p.oxygenation * exp(-OXYGENATION_HOURLY_SD * abs(normal(words(key, key.step, AIRWAYS)[0])))


@compiled_once
def bedside(x: State, p: Params, s: Settings, oxygenation: float) -> Bedside:
    """Return what is true at the bedside. Rate, temperature, bilirubin, platelets, coma scale and white cells are surrogates of ours."""
    c = s.constants
    inflamed = inflammation(x.pathogen, x.phagocytes, c)
    effect = norepinephrine_effect(x.norepinephrine_ng_per_ml, p.c50_ng_per_ml)
    flow = circulation(x.plasma_excess_ml, effect, inflamed, p.weight_kg, p.map_baseline_mmhg, p.vasoplegia, c)
    bare = circulation(x.plasma_excess_ml, 0.0, inflamed, p.weight_kg, p.map_baseline_mmhg, p.vasoplegia, c)
    surface_m2 = 0.1 * power(p.weight_kg, 0.667)  # Meeh's rule
    strain = fmax(p.map_baseline_mmhg - flow.map_mmhg, 0.0)
    heart_rate = fmin(p.heart_rate_baseline_per_min + 30.0 * inflamed + 0.5 * strain + 4.0 * effect, 180.0)
    output = CARDIAC_INDEX_L_PER_MIN_PER_M2 * surface_m2 * flow.output
    stroke = flow.output * p.heart_rate_baseline_per_min / heart_rate
    pulse = fmin(fmax(45.0 * stroke, 12.0), 90.0)
    pf = pf_ratio_mmhg(x.lung_water_ml_per_kg, x.consolidation, oxygenation)
    fio2 = fmin(fmax(PAO2_WANTED_MMHG / pf, 0.21), 1.0)
    rate = fmin(16.0 + 7.0 * inflamed + 0.7 * fmax(x.lactate_mmol_per_l - 1.0, 0.0), 40.0)
    bilirubin, platelets = 0.6 * exp(fmin(0.16 * x.damage * p.liver, 4.0)), 230.0 * exp(-0.11 * x.damage * p.marrow)
    gcs = fmax(15.0 - 0.55 * x.damage * p.brain, 3.0)
    of_lungs, of_kidney = smooth_points(pf, RESPIRATION), smooth_points(x.creatinine_mg_per_dl, KIDNEY)
    of_pressure, of_liver = smooth_points(bare.map_mmhg, PRESSURE), smooth_points(bilirubin, LIVER)
    of_marrow, of_brain = smooth_points(platelets, COAGULATION), smooth_points(gcs, BRAIN)
    sofa = of_lungs + of_kidney + of_pressure + of_liver + of_marrow + of_brain
    points = (
        float(int(of_lungs + 0.5)) + float(int(of_kidney + 0.5)) + float(int(of_pressure + 0.5))
        + float(int(of_liver + 0.5)) + float(int(of_marrow + 0.5)) + float(int(of_brain + 0.5))
    )  # fmt: skip
    wbc = 8.0 + 16.0 * x.phagocytes / (x.phagocytes + 0.5)
    return Bedside(
        flow.map_mmhg, bare.map_mmhg, output, heart_rate, pulse, inflamed, pf, fio2, spo2_of(pf * fio2), rate, 37.0 + 1.8 * inflamed,
        bilirubin, platelets, gcs, wbc, sofa, points,
    )  # fmt: skip


@compiled_once
def read_monitor(b: Bedside, charted: Charted, key: Key) -> Monitor:
    """Return the vital signs as shown."""
    w, v = words(key, 2 * key.step, MONITOR), words(key, 2 * key.step + 1, MONITOR)
    mean = fmin(fmax(b.map_mmhg + MAP_SD_MMHG * normal(w[0]), 10.0), 200.0)
    pulse = b.pulse_pressure_mmhg * (1.0 + PULSE_PRESSURE_CV * normal(w[1]))
    return Monitor(
        fmin(fmax(b.heart_rate_per_min + HEART_RATE_SD_PER_MIN * normal(w[2]), 20.0), 220.0),
        mean + 2.0 / 3.0 * pulse,
        mean,
        fmax(mean - 1.0 / 3.0 * pulse, 5.0),
        fmin(fmax(b.respiratory_rate_per_min + RESPIRATORY_RATE_SD_PER_MIN * normal(w[3]), 4.0), 60.0),
        fmin(fmax(b.temperature_c + TEMPERATURE_SD_C * normal(v[0]), 30.0), 43.0),
        fmin(fmax(b.spo2 + SPO2_SD * normal(v[1]), 0.4), 1.0),
        fmin(fmax(b.gcs + GCS_SD * normal(v[2]), 3.0), 15.0),
        charted,
    )


@compiled_once
def draw_blood(x: State, b: Bedside, old: Labs, key: Key) -> Labs:
    """Return the latest results, new ones where a sample is due."""
    gas_due = old.gas_time_h < 0.0 or x.time_h - old.gas_time_h >= GAS_EVERY_H - 0.01
    blood_due = old.blood_time_h < 0.0 or x.time_h - old.blood_time_h >= BLOOD_EVERY_H - 0.01
    labs = old
    if gas_due:
        w = words(key, 2 * key.step, LABS)
        labs = Labs(
            x.time_h, x.lactate_mmol_per_l * exp(LACTATE_CV * normal(w[0])), b.pf_ratio_mmhg * exp(PF_CV * normal(w[1])),
            old.blood_time_h, old.creatinine_mg_per_dl, old.bilirubin_mg_per_dl, old.platelets_per_nl, old.wbc_per_nl,
        )  # fmt: skip
    if blood_due:
        w = words(key, 2 * key.step + 1, LABS)
        labs = Labs(
            labs.gas_time_h, labs.lactate_mmol_per_l, labs.pf_ratio_mmhg, x.time_h,
            x.creatinine_mg_per_dl * exp(CREATININE_CV * normal(w[0])), b.bilirubin_mg_per_dl * exp(BILIRUBIN_CV * normal(w[1])),
            b.platelets_per_nl * exp(PLATELETS_CV * normal(w[2])), b.wbc_per_nl * exp(WBC_CV * normal(w[3])),
        )  # fmt: skip
    return labs


def look(x: State, m: Memory, p: Params, s: Settings, key: Key) -> Memory:
    """Look at the patient at the end of a step: the truth once, then the monitor, and samples that are due."""
    b = bedside(x, p, s, oxygenation_now(p, s, key))
    watch = Watch(m.watch.potential, m.watch.hypotension_h, m.watch.hazard, x.urine_ml, x.urine_ml - m.watch.urine_ml)
    return Memory(m.clock, m.orders, b, read_monitor(b, written_down(x, s, key), key), draw_blood(x, b, m.labs, key), m.fate, watch)


def full_view(x: State, m: Memory, p: Params, s: Settings) -> tuple[float, ...]:
    """Return the true state and the patient's parameters."""
    b = m.bedside
    return (
        x.time_h, x.pathogen, x.phagocytes, x.damage, x.mediator, x.plasma_excess_ml, x.fluid_excess_ml, x.norepinephrine_ng_per_ml,
        x.lung_water_ml_per_kg, x.lactate_mmol_per_l, x.creatinine_mg_per_dl, x.consolidation, x.effusion_ml, x.urine_rate_ml_per_h,
        b.map_mmhg, b.map_unsupported_mmhg, b.cardiac_output_l_per_min, b.heart_rate_per_min, b.pf_ratio_mmhg, b.sofa,
        m.orders.fluid_ml_per_h, m.orders.norepinephrine_mcg_per_kg_per_min, m.orders.fluid_given_ml,
        fmin(m.orders.antibiotics_from_h, 1000.0),
        p.age_years, p.weight_kg, p.saps2, p.hypertension, p.charlson, p.pneumonia, p.map_baseline_mmhg, p.map_critical_mmhg,
        p.growth_per_h, p.kill_per_h, p.phagocyte_decay_per_h, p.activation_by_damage, p.damage_threshold, p.leak, p.vasoplegia,
        p.c50_ng_per_ml, p.clearance_l_per_h, p.frailty, p.kidney, p.liver, p.marrow, p.brain,
    )  # fmt: skip


def vector_view(x: State, m: Memory, p: Params, s: Settings) -> tuple[float, ...]:
    """Return what the monitor and the latest results show, what runs, and who the patient is."""
    v, labs, o = m.monitor, m.labs, m.orders
    running_h = fmax(x.time_h - o.antibiotics_from_h, 0.0)
    return (
        x.time_h, v.heart_rate_per_min, v.systolic_mmhg, v.map_mmhg, v.diastolic_mmhg, v.respiratory_rate_per_min, v.temperature_c, v.spo2,
        m.bedside.fio2, v.gcs, m.watch.urine_in_step_ml, o.fluid_given_ml, o.fluid_given_ml - x.urine_ml,
        o.fluid_ml_per_h, o.norepinephrine_mcg_per_kg_per_min, running_h,
        labs.lactate_mmol_per_l, labs.pf_ratio_mmhg, x.time_h - labs.gas_time_h, labs.creatinine_mg_per_dl, labs.bilirubin_mg_per_dl,
        labs.platelets_per_nl, labs.wbc_per_nl, x.time_h - labs.blood_time_h,
        p.age_years, p.weight_kg, p.saps2, p.hypertension, p.charlson, p.pneumonia,
    )  # fmt: skip
