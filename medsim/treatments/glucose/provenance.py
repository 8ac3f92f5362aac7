"""Where every number of ``medsim/Glucose-v0`` comes from."""

from medsim.core.model import field_names
from medsim.core.task import Provenance
from medsim.treatments.glucose import meals, model, objective, population, sensor
from medsim.treatments.glucose.definition import COLUMNS, patients

DALLA_MAN = "Dalla Man, Rizza, Cobelli, IEEE Trans Biomed Eng 2007;54:1740-1749"
KOVATCHEV_2009 = "Kovatchev, Breton, Dalla Man, Cobelli, J Diabetes Sci Technol 2009;3:44-55"
BRETON = "Breton, Kovatchev, J Diabetes Sci Technol 2008;2:853-862, fitted to the FreeStyle Navigator"
RISK = "Kovatchev et al., Diabetes Care 1997;20:1655-1658"
SIMGLUCOSE = "simglucose (MIT), github.com/jxx123/simglucose"
PATIENT_SOURCE = f"{SIMGLUCOSE}, vpatient_params.csv, Quest.csv; {KOVATCHEV_2009}"
OMNIPOD = "Insulet Omnipod 5 user guide; Omnipod open-source drivers for bolus and pulse"
CITATION = f"{DALLA_MAN}; {KOVATCHEV_2009}; parameters as distributed with {SIMGLUCOSE}"

UNITS = {
    "weight_kg": "kg", "gb": "mg/dL", "ib": "pmol/L", "egpb": "mg/kg/min", "b": "1", "d": "1", "f": "1", "vg": "dL/kg", "vi": "L/kg",
    "vmx": "mg/kg/min per pmol/L", "vm0": "mg/kg/min", "km0": "mg/kg", "kp1": "mg/kg/min", "kp3": "mg/kg/min per pmol/L", "ke2": "mg/kg",
    "fcns": "mg/kg/min", "basal": "pmol/kg/min", "carb": "g/U", "correction": "mg/dL per U",
}  # fmt: skip


def unit_of(column: str) -> str:
    """Return the unit of a column of the table of patients; rate constants are per minute."""
    for start in (column, column.split("_")[0]):
        if start in UNITS:
            return UNITS[start]
    return "1/min"


def provenance() -> list[Provenance]:
    """Return every parameter: the patients' (lowest to highest of 30), then the constants."""
    _, table = patients()
    rows = [
        Provenance(name=f"patient.{name}", value=f"{low:g} to {high:g}", unit=unit_of(column), source=PATIENT_SOURCE)
        for name, column, low, high in zip(field_names(model.Params), COLUMNS, table.min(axis=0), table.max(axis=0), strict=True)
    ]

    def add(name: str, value: float | str, unit: str, source: str) -> None:
        rows.append(Provenance(name=name, value=value, unit=unit, source=source))

    add("eating_rate", model.EATING_RATE_G_PER_MIN, "g/min", f"{SIMGLUCOSE}, EAT_RATE")
    add("insulin", model.PMOL_PER_U, "pmol/U", "1 U of human insulin = 6 nmol, the convention of the model's papers")
    add("pump.basal_quantum", model.QUANTUM_U_PER_H, "U/h", OMNIPOD)
    add("pump.bolus_quantum", model.QUANTUM_U, "U", OMNIPOD)
    add("pump.most_basal", model.PUMP_BASAL_U_PER_H, "U/h", OMNIPOD)
    add("pump.most_bolus", model.PUMP_BOLUS_U, "U", OMNIPOD)
    add("pump.limit_multiple", model.BASAL_LIMIT_MULTIPLE, "x own basal", "chosen: what the pump is programmed to refuse")
    add(
        "pump.on_board_rate",
        model.ON_BOARD_RATE_PER_MIN,
        "1/min",
        "t_max,I 55 min, Hovorka et al., Physiol Meas 2004;25:905-920 (read in two secondary texts)",
    )
    add(
        "action.basal_multiples", str(model.BASAL_MULTIPLES), "x own basal", "chosen: off to ten times, which covers a meal in half an hour"
    )
    add("action.bolus_hours", str(model.BOLUS_HOURS), "h of own basal", "chosen")
    add(
        "occlusion.duration",
        f"{model.OCCLUSION_MIN_MINUTES:g} to {model.OCCLUSION_MAX_MINUTES:g}",
        "min",
        "chosen; 5.1 h above 250 mg/dL before removal in Kanapka, Lum, Beck, Diabetes Technol Ther 2022",
    )
    for kind in (meals.BREAKFAST, meals.MORNING_SNACK, meals.LUNCH, meals.AFTERNOON_SNACK, meals.DINNER, meals.EVENING_SNACK):
        when = f"p {kind.probability:g}, {kind.time_mean_min / 60:g} h sd {kind.time_sd_min:g} min"
        text = f"{when}, {kind.carbs_mean_g:g} g sd {kind.carbs_sd_g:g}"
        add(f"meal.{kind.number}", text, "", f"{SIMGLUCOSE}, scenario_gen.py (no publication behind it is known)")
    add("meal.reference_weight", meals.REFERENCE_WEIGHT_KG, "kg", "chosen: lighter patients eat in proportion")
    add(
        "meal.counting_error_sd",
        0.26,
        "1",
        "mean absolute error 20.9 %, Brazeau et al., Diabetes Res Clin Pract 2013;99:19-23 (from memory, not verified), as a normal's sd",
    )
    add("sensor.persistence", sensor.PERSISTENCE, "1", BRETON)
    add("sensor.gamma", sensor.JOHNSON_GAMMA, "1", BRETON)
    add("sensor.lambda", sensor.JOHNSON_LAMBDA, "mg/dL", BRETON)
    add("sensor.delta", sensor.JOHNSON_DELTA, "1", BRETON)
    add("sensor.xi", sensor.JOHNSON_XI, "mg/dL", BRETON)
    add(
        "sensor.range",
        f"{sensor.CGM_LOWEST_MG_PER_DL:g} to {sensor.CGM_HIGHEST_MG_PER_DL:g}",
        "mg/dL",
        f"{SIMGLUCOSE}, sensor_params.csv, Dexcom",
    )
    add("sensor.gap", sensor.GAP_READINGS, "readings", "chosen: losses come in bursts")
    add("risk", "10 (1.509 (ln(G)^1.084 - 5.381))^2", "1", RISK)
    add(
        "end.severe_hypoglycaemia",
        f"below {meals.SEVERE_MG_PER_DL:g} mg/dL for {objective.SEVERE_MINUTES:g} min",
        "",
        "chosen: level 3 hypoglycaemia has no threshold in glucose",
    )
    add("end.highest", objective.HIGHEST_MG_PER_DL, "mg/dL", f"end of the scale on which the risk was fitted, {RISK}")
    add("population.jitter_limit", population.JITTER_LIMIT_SD, "sd", "chosen")
    return rows
