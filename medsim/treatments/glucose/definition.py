"""The glucose model as the engine takes it: its parts put together, and its views described."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medsim.core.model import Model, View
from medsim.core.streams import Key
from medsim.treatments.glucose import meals, objective, population, sensor
from medsim.treatments.glucose import model as physiology
from medsim.treatments.glucose.meals import announce, schedule_of_the_day
from medsim.treatments.glucose.model import (
    Action,
    Drive,
    Memory,
    Params,
    Settings,
    State,
    Watch,
    program_pump,
)
from medsim.treatments.glucose.objective import risk
from medsim.treatments.glucose.sensor import read

DATA = Path(__file__).parent.parent / "data"


def control(x: State, m: Memory, p: Params, a: Action, s: Settings, key: Key) -> Memory:
    """Program the pump; a step that begins at midnight begins with a new day's meals."""
    if m.clock.minute_of_day == 0.0 and m.clock.day > 0.0:
        schedule = schedule_of_the_day(p, s, key, int(m.clock.day))
        m = Memory(m.clock, m.pump, schedule, m.plate, m.word, m.sensor, m.watch)
    return program_pump(x, m, p, a, s, key)


def sense(x: State, m: Memory, p: Params, s: Settings, key: Key) -> Memory:
    """Take the reading and hear of the coming meal; at the start of an episode remember the risk of the first reading."""
    reading = read(x, m, p, s, key)
    watch = m.watch
    if m.clock.step == 0.0:
        watch = Watch(0.0, 0.0, risk(reading.cgm))
    return Memory(m.clock, m.pump, m.schedule, m.plate, announce(m, s, key), reading, watch)


@lru_cache(maxsize=1)
def patients() -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Return the names of the 30 published patients and their parameters (30, fields of Params)."""
    with (DATA / "t1d_patients.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    header = rows[0]
    columns = [header.index(name) for name in COLUMNS]
    names = tuple(row[0] for row in rows[1:])
    return names, np.array([[float(row[column]) for column in columns] for row in rows[1:]])


COLUMNS = (
    "weight_kg", "gb_mg_per_dl", "ib_pmol_per_l", "egpb_mg_per_kg_per_min", "kabs_per_min", "kmax_per_min", "kmin_per_min", "b", "d", "f",
    "vg_dl_per_kg", "vi_l_per_kg", "vmx_mg_l_per_kg_per_min_per_pmol", "vm0_mg_per_kg_per_min", "km0_mg_per_kg", "k1_per_min", "k2_per_min",
    "p2u_per_min", "m1_per_min", "m2_per_min", "m4_per_min", "m30_per_min", "ki_per_min", "kp1_mg_per_kg_per_min", "kp2_per_min",
    "kp3_mg_l_per_kg_per_min_per_pmol", "ke1_per_min", "ke2_mg_per_kg", "fcns_mg_per_kg_per_min", "kd_per_min", "ka1_per_min",
    "ka2_per_min", "ksc_per_min", "basal_pmol_per_kg_per_min", "carb_ratio_g_per_u", "correction_mg_per_dl_per_u",
)  # fmt: skip
"""The table's columns in the order of ``Params``."""

CGM_NAMES = ("cgm_mg_per_dl", *(f"cgm_{5 * k}_min_ago_mg_per_dl" for k in range(1, 12)))

VECTOR = View(
    function=sensor.seen_by_agent,
    names=(
        *CGM_NAMES, "cgm_age_min", "basal_u_per_h", "bolus_u", "insulin_on_board_u",
        "announced_carbs_g", "last_announced_carbs_g", "minutes_since_announced_meal",
        "own_basal_u_per_h", "carb_ratio_g_per_u", "correction_mg_per_dl_per_u", "weight_kg", "hour_of_day", "hours_elapsed",
    ),
    low=(*(39.0,) * 12, 0.0, 0.0, 0.0, -50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    high=(*(600.0,) * 12, 1440.0, 30.0, 30.0, 100.0, 500.0, 500.0, 720.0, 10.0, 300.0, 600.0, 300.0, 24.0, 168.0),
)  # fmt: skip

FULL_NAMES = (
    *State._fields, "planned_g", "stomach_at_first_bite_mg", "eaten_g", "announced_carbs_g", "low_minutes", "minute", "blocked_minutes",
    "weight_kg", "ib_pmol_per_l", "kabs", "kmax", "kmin", "b", "d", "vg_dl_per_kg", "vi_l_per_kg", "vmx", "vm0", "km0", "k1", "k2",
    "p2u", "m1", "m2", "m4", "m30", "ki", "kp1", "kp2", "kp3", "kd", "ka1", "ka2", "ksc", "own_basal_u_per_h",
    "carb_ratio_g_per_u", "correction_mg_per_dl_per_u",
)  # fmt: skip

FULL = View(
    function=sensor.seen_in_full,
    names=FULL_NAMES,
    low=tuple(-1e5 if name in State._fields else 0.0 for name in FULL_NAMES),
    high=(1e6,) * len(FULL_NAMES),
)

CGM_ONLY = View(function=sensor.seen_by_simglucose, names=("cgm_mg_per_dl",), low=(0.0,), high=(1000.0,))

GLUCOSE = Model(
    name="glucose",
    state=State,
    drive=Drive,
    params=Params,
    memory=Memory,
    settings=Settings,
    action=Action,
    reward_terms=objective.RewardTerms,
    costs=objective.Costs,
    measures=objective.Measures,
    pick=population.cohort_row,
    recruit=population.recruit,
    control=control,
    interval=meals.minute,
    changes={
        "control": ("clock", "pump", "schedule", "plate", "watch"),
        "interval": ("clock", "plate", "watch"),
        "judge": ("word", "sensor", "watch"),
    },
    derivative=physiology.derivative,
    sense=sense,
    judge=objective.judge,
    measure=objective.measure,
    views={"vector": VECTOR, "full": FULL, "simglucose": CGM_ONLY},
    outcomes=objective.OUTCOMES,
    patients=patients,
)
