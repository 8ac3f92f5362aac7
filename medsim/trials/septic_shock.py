"""Landmark trials of septic shock, emulated on ``medsim/Sepsis-v0``."""

import numpy as np
import numpy.typing as npt

from medsim.policies.sepsis import RUN_IN_H, Liberal, Resuscitation, Restrictive
from medsim.trials.emulation import Arm, Course
from medsim.trials.trial import Published, Trial

__all__ = ["TRIALS"]

Mask = npt.NDArray[np.bool_]
SEPSIS = "medsim/Sepsis-v0"


def hypotensive(course: Course, steps: int) -> Mask:
    """Return who is below 65 mmHg at randomisation."""
    return np.asarray(course.measures["map_mmhg"][steps] < 65.0)


def on_norepinephrine(course: Course, steps: int) -> Mask:
    """Return who needs norepinephrine at randomisation."""
    return np.asarray(course.measures["norepinephrine_mcg_per_kg_per_min"][steps] > 0.05)


def everybody(course: Course, steps: int) -> Mask:
    """Return all."""
    return np.ones(course.measures["map_mmhg"].shape[1], dtype=np.bool_)


CLOVERS = Trial(
    name="clovers",
    question="restrictive against liberal fluids in the 24 h after the first bolus",
    env=SEPSIS,
    arms=(Arm(name="restrictive", policy=Restrictive), Arm(name="liberal", policy=Liberal)),
    run_in=lambda: Resuscitation(name="run-in", bolus_ml_per_kg=25.0, norepinephrine_from_h=RUN_IN_H + 1.0, rescue_mmhg=0.0),
    run_in_steps=int(RUN_IN_H),
    enrolled=hypotensive,
    criteria="mean arterial pressure below 65 mmHg after 25 mL/kg of fluid",
    published=(
        Published(effect="risk difference, points", estimate=-0.9, low=-4.4, high=2.6, risks_percent=(14.0, 14.9),
                  source="CLOVERS, N Engl J Med 2023;388:499-510 (death by day 90)"),
    ),
    shown=("fluid_ml", "norepinephrine_mcg_per_kg_per_min", "map_mmhg"),
)  # fmt: skip

SEPSISPAM = Trial(
    name="sepsispam",
    question="a mean arterial pressure of 80-85 against 65-70 mmHg",
    env=SEPSIS,
    arms=(
        Arm(name="high", policy=lambda: Resuscitation(name="high", map_target_mmhg=80.0)),
        Arm(name="low", policy=lambda: Resuscitation(name="low")),
    ),
    run_in=Resuscitation,
    run_in_steps=6,
    enrolled=on_norepinephrine,
    criteria="norepinephrine within 6 h, after 30 mL/kg of fluid",
    published=(
        Published(effect="odds ratio", estimate=1.12, low=0.84, high=1.38, risks_percent=(36.6, 34.0),
                  source="SEPSISPAM, N Engl J Med 2014;370:1583-1593 (day 28; the interval is that of the hazard ratio, 1.07)"),
    ),
    shown=("map_mmhg", "norepinephrine_mcg_per_kg_per_min", "fluid_ml"),
)  # fmt: skip

DELAYS_H = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
ANTIBIOTIC_DELAY = Trial(
    name="antibiotic-delay",
    question="each hour until the first antibiotic",
    env=SEPSIS,
    arms=tuple(Arm(name=f"{delay:g} h", policy=Resuscitation, options={"antibiotic_delay_h": delay}) for delay in DELAYS_H),
    enrolled=everybody,
    criteria="septic shock",
    published=(
        Published(effect="odds ratio per hour", estimate=1.14, low=1.06, high=1.23, source="Liu et al., Am J Respir Crit Care Med 2017;196:856-863"),
        Published(effect="odds ratio per hour", estimate=1.119, low=1.103, high=1.136, source="Kumar et al., Crit Care Med 2006;34:1589-1596"),
    ),
    exposures=DELAYS_H,
    notes="delays are imposed here, where the publications observed them: theirs are confounded, ours are not",
)  # fmt: skip

TRIALS = {trial.name: trial for trial in (CLOVERS, SEPSISPAM, ANTIBIOTIC_DELAY)}
