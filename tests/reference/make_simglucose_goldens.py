"""Makes ``simglucose_30_patients_bolus.csv`` and ``simglucose_initial_states.csv`` from simglucose's own patient model.

Run it with an interpreter that has simglucose (``pip install "simglucose==0.2.11" "numpy<2.4" "setuptools<80"``), in this folder:

    python make_simglucose_goldens.py

Each patient lives 24 hours: meals of 45, 70 and 80 g announced at minutes 420, 720 and 1080, the own basal rate rounded to
0.05 U/h, and with each meal a bolus of carbohydrate / CR rounded to 0.05 U, given within the meal's first minute: what a real pump
can give, and so what the environment can be asked for. simglucose's right-hand side and bookkeeping are used unchanged, but its
solver (dopri5) runs at rtol = atol = 1e-10 instead of 1e-6, and its parameters are plain attributes instead of a pandas row.
"""

import csv
import importlib.metadata
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from simglucose.patient import t1dpatient
from simglucose.patient.t1dpatient import Action, T1DPatient

HERE = Path(__file__).parent
MEALS = {420: 45.0, 720: 70.0, 1080: 80.0}
EVERY_MIN = 15


def quantised(amount: float) -> float:
    return math.floor(amount / 0.05 + 0.5) * 0.05


def course(row: pd.Series, carb_ratio: float) -> list[tuple[float, float]]:
    """Return (plasma, subcutaneous) glucose in mg/dL every 15 minutes of the day."""
    patient = T1DPatient(row)
    patient._params = SimpleNamespace(**{name: row[name] for name in row.index if name.isidentifier()})
    patient._odesolver.set_integrator("dopri5", rtol=1e-10, atol=1e-10, nsteps=100_000)
    patient._odesolver.set_initial_value(np.array(row.iloc[2:15], dtype=float), 0)
    basal = quantised(row.u2ss * row.BW / 6000 * 60) / 60
    glucose = []
    for minute in range(1441):
        if minute % EVERY_MIN == 0:
            glucose.append((float(patient.state[3] / row.Vg), float(patient.state[12] / row.Vg)))
        carbs = MEALS.get(minute, 0.0)
        patient.step(Action(CHO=carbs, insulin=basal + quantised(carbs / carb_ratio)))
    return glucose


def main() -> None:
    patients = pd.read_csv(t1dpatient.PATIENT_PARA_FILE)
    ratios = pd.read_csv(Path(t1dpatient.PATIENT_PARA_FILE).parent / "Quest.csv").set_index("Name").CR
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("simglucose", "scipy", "numpy"))
    courses = {row.Name: course(row, float(ratios[row.Name])) for _, row in patients.iterrows()}
    with (HERE / "simglucose_30_patients_bolus.csv").open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {versions} (MIT): plasma and subcutaneous glucose in mg/dL of 30 patients over a day of three meals with boluses\n")
        file.write("# made by make_simglucose_goldens.py, which says how\n")
        writer = csv.writer(file)
        writer.writerow(["minute", *(f"{name}_{site}" for name in courses for site in ("plasma", "subcutaneous"))])
        for k in range(1440 // EVERY_MIN + 1):
            writer.writerow([k * EVERY_MIN, *(f"{value:.4f}" for glucose in courses.values() for value in glucose[k])])
    with (HERE / "simglucose_initial_states.csv").open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {versions} (MIT): the columns x0_ 1 to x0_13 of vpatient_params.csv, the state that each patient starts from\n")
        writer = csv.writer(file)
        writer.writerow(["name", *(f"x0_{k}" for k in range(1, 14))])
        for _, row in patients.iterrows():
            writer.writerow([row.Name, *(repr(float(value)) for value in row.iloc[2:15])])


if __name__ == "__main__":
    main()
