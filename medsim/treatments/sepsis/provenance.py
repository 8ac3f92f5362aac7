"""Where every number of ``medsim/Sepsis-v0`` comes from."""

from medsim.core.task import Provenance
from medsim.treatments.sepsis import chart, circulation, definition, environment, fluids, immune, objective, organs, population, sensor
from medsim.treatments.sepsis.constants import constant_sets, constant_table

REYNOLDS = "Reynolds et al., J Theor Biol 2006;242:220-236 (BioModels BIOMD0000000714)"
BELOEIL = "Beloeil et al., Br J Anaesth 2005;95:782-788"
HAHN = "Hahn, volume kinetics of Ringer's solution, as quoted by an open simulator (table not seen)"
PAS = f"{BELOEIL}, as quoted by Python_Anesthesia_Simulator; the unit of C50 is not stated there and taken as ng/mL"
SEPSIS_ACT = "SEPSIS-ACT, Laterre et al., JAMA 2019;322:1476-1485, table 1"
SEPSISPAM = "SEPSISPAM, Asfar et al., N Engl J Med 2014;370:1583-1593, table 1 (from memory, not verified)"
SEYMOUR = "Seymour et al., N Engl J Med 2017;376:2235-2244"
MAGDER = "Magder, De Varennes, Crit Care Med 1998;26:1061-1064"
TAGAMI = "Tagami et al., Crit Care 2010;14:R162"
WAIKAR = "Waikar, Bonventre, J Am Soc Nephrol 2009;20:672-679"
SOFA = "Vincent et al., Intensive Care Med 1996;22:707-710"
MEXSOFA = (
    "Namendys-Silva et al., Braz J Med Biol Res 2013;46:186-193: odds ratio 1.35 (1.14-1.59) for the score at 48 h (general intensive care)"
)
FITTED = "fitted to trials by python -m benchmarks.fidelity fit; bounds {low:g} to {high:g} chosen"
CHOSEN = "chosen; bounds {low:g} to {high:g} for the sensitivity analysis"
PUBLISHED_CONSTANTS = {"c50_ng_per_ml": PAS, "norepinephrine_volume_l": BELOEIL, "day28_per_point": MEXSOFA}
CITATION = (
    f"{REYNOLDS}; {BELOEIL}; {HAHN}; coupled and fitted to CLOVERS (N Engl J Med 2023;388:499-510), SEPSISPAM (N Engl J Med "
    "2014;370:1583-1593) and the effect of antibiotic delay (Crit Care Med 2006;34:1589-1596, Am J Respir Crit Care Med 2017;196:856-863)"
)

Rows = list[tuple[str, float | str, str, str]]


def immune_rows() -> Rows:
    """Return the constants of the immune response."""
    names = ("KPM", "KMP", "SM", "MUM", "P_INFINITY", "KPN", "KNP", "KNN", "KND", "SNR", "MUNR", "MUN", "KDN", "XDN", "MUD",
             "C_INFINITY", "SC", "KCN", "KCND", "MUC")  # fmt: skip
    rows: Rows = [(f"immune.{name.lower()}", getattr(immune, name), "Reynolds' units, h", REYNOLDS) for name in names]
    return [*rows, ("immune.antibiotic_onset", immune.ANTIBIOTIC_ONSET_H, "h", "chosen: time constant until a drug kills at its full rate")]


def body_rows() -> Rows:
    """Return the constants of fluids, circulation and organs."""
    return [
        ("fluids.k12", fluids.K12_PER_MIN, "1/min", HAHN),
        ("fluids.k21", fluids.K21_PER_MIN, "1/min", HAHN),
        ("fluids.lowest_plasma", fluids.LOWEST_PLASMA_ML_PER_KG, "mL/kg", "chosen: a third of the plasma volume"),
        ("fluids.urine", fluids.URINE_ML_PER_KG_PER_H, "mL/kg/h", "chosen: within 0.5 to 1.5, the normal range"),
        ("fluids.diuresis", fluids.DIURESIS_ML_PER_KG, "mL/kg", "chosen: plasma excess that doubles the urine"),
        ("norepinephrine.clearance_at_saps_20", circulation.CLEARANCE_AT_SAPS_20_L_PER_MIN, "L/min", BELOEIL),
        ("norepinephrine.clearance_exponent", circulation.CLEARANCE_EXPONENT, "1", f"{BELOEIL}: 3 L/min at SAPS II 20, 0.9 at 60"),
        ("norepinephrine.emax", circulation.EMAX_MMHG, "mmHg", PAS),
        ("norepinephrine.hill", circulation.HILL, "1", PAS),
        ("circulation.stressed_volume", circulation.STRESSED_ML_PER_KG, "mL/kg", MAGDER),
        ("circulation.afterload_exponent", circulation.AFTERLOAD_EXPONENT, "1", "chosen: doubled resistance costs a tenth of the output"),
        ("circulation.cardiac_index", sensor.CARDIAC_INDEX_L_PER_MIN_PER_M2, "L/min/m2", "normal 2.2 to 4.0"),
        ("lungs.normal_water", organs.NORMAL_LUNG_WATER_ML_PER_KG, "mL/kg", TAGAMI),
        ("lungs.water_time", organs.LUNG_WATER_TAU_H, "h", "chosen"),
        ("lungs.consolidation_time", organs.CONSOLIDATION_TAU_H, "h", "chosen; hidden, for images"),
        ("lungs.effusion_time", organs.EFFUSION_TAU_H, "h", "chosen; hidden, for images"),
        ("lungs.pf_in_health", 460.0, "mmHg", "chosen; with a fall to 1/e for 9 mL/kg: P/F about 240 at the 12.7 mL/kg of ARDS"),
        ("kidney.clearance", organs.CREATININE_PER_H, "1/h", f"{WAIKAR}: +246 % in 24 h after a loss of 90 %"),
        ("lactate.rest", organs.LACTATE_REST_MMOL_PER_L, "mmol/L", "normal arterial lactate"),
        ("lungs.pao2_wanted", sensor.PAO2_WANTED_MMHG, "mmHg", "chosen: what the ventilator's oxygen is set for"),
        ("spo2", "1 / (1 + 23400 / (p^3 + 150 p))", "", "Severinghaus, J Appl Physiol 1979;46:599-602"),
    ]


def score_rows() -> Rows:
    """Return the ladders of SOFA and the rules of the objective."""
    ladders = {"respiration": organs.RESPIRATION, "coagulation": organs.COAGULATION, "liver": organs.LIVER, "brain": organs.BRAIN,
               "kidney": organs.KIDNEY}  # fmt: skip
    rows: Rows = [(f"sofa.{name}", str(tuple(ladder[1:5])), "at 1, 2, 3, 4 points", SOFA) for name, ladder in ladders.items()]
    return [
        *rows,
        ("sofa.pressure", str(tuple(organs.PRESSURE[1:5])), "mmHg without support", "surrogate, chosen: SOFA scores doses instead"),
        ("sofa.surrogates", "platelets, bilirubin, coma scale from damage", "", "surrogates of ours: these organs are not modelled"),
        ("cost.overload", objective.OVERLOAD_SHARE, "of body weight", "Bouchard et al., Kidney Int 2009;76:422-427"),
        ("cost.high_norepinephrine", objective.HIGH_NOREPINEPHRINE_MCG_PER_KG_PER_MIN, "mcg/kg/min",
         "Martin et al., Shock 2015;44:305-309 (abstract): 90 % of those given more died in the unit"),
        ("cost.lung_water", objective.WET_LUNG_ML_PER_KG, "mL/kg", "Chung et al., Respir Med 2008;102:956-961: cut-off 10 mL/kg"),
        ("reward.shape_per_sofa", objective.SHAPE_PER_SOFA, "1", "chosen"),
        ("reward.shape_per_lactate", objective.SHAPE_PER_LACTATE, "1/(mmol/L)", "chosen"),
        ("action.fluid_levels", str(definition.FLUID_LEVELS_ML_PER_H), "mL/h", "the field's 5 x 5 grid; its levels chosen"),
        ("action.norepinephrine_levels", str(definition.NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN), "mcg/kg/min", "the same"),
        ("action.most", f"{environment.MOST_FLUID_ML_PER_H:g}, {environment.MOST_NOREPINEPHRINE:g}", "mL/h, mcg/kg/min", "chosen"),
    ]  # fmt: skip


def population_rows() -> Rows:
    """Return how every parameter of a patient is drawn."""
    c = constant_sets()["v0"]
    latent = f"{REYNOLDS} for the median; spread and share of the latent severity fitted (coupling.immune_sd, coupling.severity_share)"

    def around(median: float, log_sd: float) -> str:
        return f"median {median:g}, log sd {log_sd:g}"

    pop = population
    return [
        ("patient.age_years", f"{pop.AGE_MEAN_YEARS:g} (sd {pop.AGE_SD_YEARS:g})", "years", SEPSIS_ACT),
        ("patient.weight_kg", around(pop.WEIGHT_MEDIAN_KG, pop.WEIGHT_SD), "kg", SEPSIS_ACT),
        ("patient.saps2", f"{pop.SAPS_MEAN:g} (sd {pop.SAPS_SD:g}), +{pop.SAPS_PER_YEAR:g} a year of age", "points", SEPSISPAM),
        ("patient.hypertension", "44 % at the mean age, more with age; a third of those who fall below 70 mmHg and so come to be patients",
         "0 or 1", SEPSISPAM),
        ("patient.charlson", f"geometric, mean {pop.CHARLSON_MEAN:g}", "points", SEPSIS_ACT),
        ("patient.pneumonia", f"{pop.PNEUMONIA_SHARE:g} of patients", "0 or 1", SEPSIS_ACT),
        ("patient.map_baseline_mmhg", f"{pop.MAP_BASELINE_MMHG:g} (sd {pop.MAP_SD_MMHG:g}), "
         f"+{pop.MAP_HYPERTENSION_MMHG:g} in hypertension", "mmHg",
         "chosen"),
        ("patient.map_critical_mmhg", f"share coupling.critical_share of the baseline (sd {pop.CRITICAL_SD_MMHG:g}), "
         f"+{pop.CRITICAL_HYPERTENSION_MMHG:g} in hypertension", "mmHg", "chosen: autoregulation shifts in hypertension"),
        ("patient.inoculum", f"{pop.INOCULUM_LOWEST:g} to {pop.INOCULUM_HIGHEST:g}, even", "Reynolds' units", "chosen: who needs help"),
        ("patient.growth_per_h", around(c.growth_median_per_h, c.growth_sd), "1/h", "fitted within Reynolds' 0.021 to 2.44"),
        ("patient.kill_per_h", around(c.kill_median_per_h, pop.KILL_SD), "1/h", "median fitted; spread chosen"),
        ("patient.antibiotic_delay_h", around(pop.DELAY_MEDIAN_H, pop.DELAY_SD), "h", f"{SEYMOUR}: median 0.95 (0.35-1.95)"),
        ("patient.onset_damage", around(c.onset_damage_median, pop.ONSET_SD), "Reynolds' units", "median fitted; spread chosen"),
        ("patient.phagocyte_decay_per_h", around(immune.MUN, c.immune_sd), "1/h", latent),
        ("patient.activation_by_damage", around(immune.KND, c.immune_sd), "1/h", latent),
        ("patient.damage_threshold", around(immune.XDN, c.immune_sd), "Reynolds' units", latent),
        ("patient.first_excess_ml_per_kg", f"0 (sd {pop.FIRST_EXCESS_SD_ML_PER_KG:g})", "mL/kg", "chosen: some come dry, some wet"),
        ("patient.leak", around(1.0, pop.LEAK_SD), "1", "chosen"),
        ("patient.vasoplegia", around(1.0, pop.VASOPLEGIA_SD), "1", "chosen"),
        ("patient.c50_ng_per_ml", around(c.c50_ng_per_ml, pop.C50_SD), "ng/mL", f"{PAS}; spread chosen"),
        ("patient.clearance_l_per_h", "from SAPS II", "L/h", BELOEIL),
        ("patient.frailty", f"log sd {c.frailty_sd:g}, +1 % a year of age, +5 % a point of Charlson", "1", "chosen"),
        ("patient.kidney", around(1.0, c.organ_sd), "1", "chosen"),
        ("patient.liver", around(1.0, c.organ_sd), "1", "chosen"),
        ("patient.marrow", around(1.0, c.organ_sd), "1", "chosen"),
        ("patient.brain", around(1.0, c.organ_sd), "1", "chosen"),
        ("patient.creatinine_baseline_mg_per_dl", "median 0.9, log sd 0.25, +0.5 % a year of age", "mg/dL", "chosen: normal range"),
        ("patient.heart_rate_baseline_per_min", "72 (sd 8)", "1/min", "chosen, within the normal range"),
        ("population.shock_below", pop.SHOCK_BELOW_MMHG, "mmHg", "chosen: hypotension as consensus definitions have it"),
        ("population.pre_course", pop.PRE_COURSE_H, "h", "chosen: an infection that has not led to shock by then was cleared"),
    ]  # fmt: skip


EICU = "hourly harmonised table of the eICU Collaborative Research Database demo, first 24 h of 1,367 stays"


def noise_rows() -> Rows:
    """Return what is charted when, and with which error."""
    return [
        ("chart.gas_every", sensor.GAS_EVERY_H, "h", "chosen; real charts: median 4 to 5 h in shock (eICU demo)"),
        ("chart.blood_every", sensor.BLOOD_EVERY_H, "h", "chosen; real charts: 6 to 12 h on the first day (eICU demo)"),
        ("chart.temperature_every", float(chart.TEMPERATURE_EVERY_H), "h", "chosen: with those between, as often as in real charts"),
        ("chart.temperature_between", chart.TEMPERATURE_BETWEEN_SHARE, "share of hours", f"{EICU}: 28.5 % of hours in all"),
        ("chart.heart_rate", chart.MONITOR_SHARE, "share of hours", EICU),
        ("chart.pressure", chart.PRESSURE_SHARE, "share of hours with heart rate", EICU),
        ("chart.respiratory_rate", chart.RESPIRATION_SHARE, "share of hours with heart rate", EICU),
        ("chart.spo2", chart.SATURATION_SHARE, "share of hours with heart rate", EICU),
        ("noise.map", sensor.MAP_SD_MMHG, "mmHg", "chosen, below the 5.2 that hour-to-hour changes in real charts allow (eICU demo)"),
        ("noise.heart_rate", sensor.HEART_RATE_SD_PER_MIN, "1/min", "chosen"),
        ("noise.spo2", sensor.SPO2_SD, "1", "chosen; limits of agreement +-4.4 %, Ebmeier et al., Anaesth Intensive Care 2018;46:297-303"),
        (
            "noise.lactate",
            sensor.LACTATE_CV,
            "cv",
            "chosen, half the desirable imprecision of Cembrowski et al., Clin Chem Lab Med 2014;52:809",
        ),
        ("noise.creatinine", sensor.CREATININE_CV, "cv", "chosen: analytical 1.3 % (Scand J Clin Lab Invest 2014;74:603) and sampling"),
        ("noise.bilirubin", sensor.BILIRUBIN_CV, "cv", "chosen: analytical 3.2 % (the same) and sampling"),
        ("noise.platelets_wbc", sensor.PLATELETS_CV, "cv", "chosen"),
        ("noise.pf_ratio", sensor.PF_CV, "cv", "chosen"),
    ]


def coupling_rows() -> Rows:
    """Return the constants that couple the parts, with how they were set."""
    rows: Rows = []
    values = constant_sets()["v0"]._asdict()
    for name, row in constant_table().items():
        low, high = float(row["lowest"]), float(row["highest"])
        how = (FITTED if row["fitted"] == "1" else CHOSEN).format(low=low, high=high)
        rows.append((f"coupling.{name}", values[name], row["unit"], PUBLISHED_CONSTANTS.get(name, f"{row['meaning']}; {how}")))
    return rows


def provenance() -> list[Provenance]:
    """Return every parameter with value, unit and source."""
    rows = [*immune_rows(), *body_rows(), *score_rows(), *population_rows(), *noise_rows(), *coupling_rows()]
    return [Provenance(name=name, value=value, unit=unit, source=source) for name, value, unit, source in rows]
