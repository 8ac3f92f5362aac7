"""Steps simglucose under its own interpreter: each line ``shipped 480`` or ``plain 480`` (steps) on stdin gives its clocks as JSON.

What is timed is ``simglucose.simulation.env.T1DSimEnv``, put together as simglucose's Gym wrapper does: a patient with a random start,
the Dexcom sensor, the Insulet pump, random meals. The wrapper itself only packs the action; leaving it out favours simglucose.
``plain`` is the same with its parameters held in plain attributes instead of a pandas Series, which the right-hand side of its
differential equations looks up dozens of times. Each run begins the same day anew, so both must end at the same reading.
"""

import json
import sys
import time
import types
from datetime import datetime
from importlib.metadata import version

from simglucose.actuator.pump import InsulinPump
from simglucose.controller.base import Action
from simglucose.patient.t1dpatient import T1DPatient
from simglucose.sensor.cgm import CGMSensor
from simglucose.simulation.env import T1DSimEnv
from simglucose.simulation.scenario_gen import RandomScenario

PMOL_PER_U = 6000.0
PACKAGES = ("simglucose", "gym", "numpy", "pandas", "scipy")


def make(name, plain):
    patient = T1DPatient.withName(name, random_init_bg=True, seed=1)
    sensor, pump = CGMSensor.withName("Dexcom", seed=2), InsulinPump.withName("Insulet")
    env = T1DSimEnv(patient, sensor, pump, RandomScenario(start_time=datetime(2018, 1, 1), seed=3))
    env.reset()
    basal = patient._params.u2ss * patient._params.BW / PMOL_PER_U
    if plain:  # after the reset, which reads the start state from the Series
        patient._params = types.SimpleNamespace(**patient._params.to_dict())
        sensor._params, pump._params = dict(sensor._params), dict(pump._params)
    return env, Action(basal=basal, bolus=0)


def run(name, plain, steps):
    env, action = make(name, plain)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(steps):
        result = env.step(action)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_s": cpu, "wall_s": wall, "ended": bool(result.done), "cgm": float(result.observation.CGM)}


def main():
    print(json.dumps({"python": sys.version.split()[0], **{one: version(one) for one in PACKAGES}}), flush=True)
    for line in sys.stdin:
        which, steps = line.split()
        print(json.dumps(run(sys.argv[1], which == "plain", int(steps))), flush=True)


if __name__ == "__main__":
    main()
