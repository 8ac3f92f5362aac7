"""What norepinephrine does to cardiac output: in one patient described, and in those simulated who are hypotensive after fluid."""

from collections.abc import Callable
from typing import Any

import numpy as np

from medsim.core.task import Task
from medsim.policies.sepsis import Resuscitation
from medsim.treatments.sepsis.circulation import Flow, circulation, inflammation
from medsim.treatments.sepsis.constants import Constants
from medsim.treatments.sepsis.fluids import outflow_per_h, plasma_share_ml
from medsim.treatments.sepsis.model import Params, State
from medsim.trials.emulation import follow, open_batch

__all__ = ["output_rise_percent", "output_rises_percent"]

SHOCKED_MMHG, RAISED_MMHG = 55.0, 75.0
BOLUS_ML_PER_KG, WEIGHT_KG, HEALTHY_MMHG, INFLAMED = 30.0, 78.0, 86.0, 0.8
RUN_IN_STEPS, WITHIN_MMHG = 3, 5.0


def output_rise_percent(c: Constants) -> float:
    """Return by how much cardiac output rises as norepinephrine takes a patient's pressure from 55 to 75 mmHg.

    The patient has had 30 mL/kg, is much inflamed, and is as vasoplegic as that pressure takes.
    """
    plasma_ml = plasma_share_ml(BOLUS_ML_PER_KG * WEIGHT_KG, outflow_per_h(SHOCKED_MMHG), INFLAMED, 1.0, WEIGHT_KG, c)

    def flow(vasoplegia: float, effect: float) -> Flow:
        return circulation(plasma_ml, effect, INFLAMED, WEIGHT_KG, HEALTHY_MMHG, vasoplegia, c)

    ill = crossing(lambda vasoplegia: flow(vasoplegia, 0.0).map_mmhg - SHOCKED_MMHG, 2.0)
    return rise_percent(lambda effect: flow(ill, effect))


def output_rises_percent(c: Constants, task: Task, patients: int, seed: int) -> list[float]:
    """Return the same of every simulated patient whose pressure is within 5 mmHg of 55 three hours after the first fluid."""
    env = open_batch(task, patients)
    env.reset(seed=seed)
    follow(env, Resuscitation(norepinephrine_from_h=RUN_IN_STEPS + 1.0, rescue_mmhg=0.0), RUN_IN_STEPS, ("map_mmhg",))
    states = zip(*env.batch.record("state"), strict=True)
    people = zip(*env.batch.record("params"), strict=True)
    rises = []
    for state, person in zip(states, people, strict=True):
        flow = answer(State(*map(float, state)), Params(*map(float, person)), c)
        first = flow(0.0).map_mmhg
        if abs(first - SHOCKED_MMHG) < WITHIN_MMHG and flow(1.0).map_mmhg > first + RAISED_MMHG - SHOCKED_MMHG:
            rises.append(rise_percent(flow))
    return rises


def answer(x: State, p: Params, c: Constants) -> Callable[[float], Flow]:
    """Return a patient's circulation as a function of norepinephrine's effect."""
    inflamed = inflammation(x.pathogen, x.phagocytes, c)
    return lambda effect: circulation(x.plasma_excess_ml, effect, inflamed, p.weight_kg, p.map_baseline_mmhg, p.vasoplegia, c)


def rise_percent(flow: Callable[[float], Flow]) -> float:
    """Return by how much output rises with norepinephrine that raises pressure by 20 mmHg."""
    first = flow(0.0)
    wanted = first.map_mmhg + RAISED_MMHG - SHOCKED_MMHG
    effect = crossing(lambda level: wanted - flow(level).map_mmhg, 1.0)
    return 100.0 * (flow(effect).output / first.output - 1.0)


def crossing(falling: Callable[[float], float], high: float) -> float:
    """Return where a falling function is zero between 0 and ``high``, by bisection."""
    low = 0.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if falling(middle) > 0.0 else (low, middle)
    return 0.5 * (low + high)


def quartiles(values: list[float]) -> Any:
    """Return the 25th, 50th and 75th percentile, rounded."""
    return [round(float(value), 2) for value in np.percentile(values, [25, 50, 75])]
