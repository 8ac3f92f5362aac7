"""Landmark trials of septic shock, emulated on ``medsim/Sepsis-v0``."""

import dataclasses

import numpy as np
import numpy.typing as npt

from medsim.policies.sepsis import RUN_IN_H, Liberal, Restrictive, Resuscitation
from medsim.trials.emulation import Arm, Course
from medsim.trials.measures import Shown, Subgrouping
from medsim.trials.published import Published, from_counts
from medsim.trials.trial import Trial

__all__ = ["ANTIBIOTIC_DELAY", "CLOVERS", "SEPSISPAM", "SUBGROUPS", "TRIALS", "everybody", "hypotensive", "on_norepinephrine"]

Mask = npt.NDArray[np.bool_]
SEPSIS = "medsim/Sepsis-v0"
FITTED = "the model's constants were fitted so that its first effect lies inside the published interval: that it does is no evidence"
SUBGROUPS = (
    Subgrouping(label="chronic hypertension", parameter="hypertension"),
    Subgrouping(label="age", parameter="age_years", parts=2),
    Subgrouping(label="SAPS II", parameter="saps2", parts=3),
)
PRESSURE = Shown(name="map_mmhg", label="MAP at 24 h, mmHg, mean", measure="map_mmhg", how="mean")
DOSE = Shown(
    name="norepinephrine_mcg_per_kg_per_min",
    label="norepinephrine at 24 h, mcg/kg/min, mean",
    measure="norepinephrine_mcg_per_kg_per_min",
    how="mean",
)
FLUID = Shown(name="fluid_ml", label="fluid in the first 24 h, run-in and all, mL, mean", measure="fluid_ml", how="total")
FLUID_SINCE = Shown(
    name="fluid_since_randomisation_ml",
    label="fluid from randomisation to 24 h, mL, median",
    measure="fluid_ml",
    how="median total",
)
EVER_ON = Shown(
    name="ever_norepinephrine_percent",
    label="norepinephrine between randomisation and 24 h, % of patients",
    measure="norepinephrine_mcg_per_kg_per_min",
    how="percent ever",
)


def hypotensive(course: Course, step: int) -> Mask:
    """Return who is below 65 mmHg at randomisation."""
    return np.asarray(course.measures["map_mmhg"][step] < 65.0)


def on_norepinephrine(course: Course, step: int) -> Mask:
    """Return who needs norepinephrine at randomisation."""
    return np.asarray(course.measures["norepinephrine_mcg_per_kg_per_min"][step] > 0.05)


def everybody(course: Course, step: int) -> Mask:
    """Return all."""
    return np.ones(course.measures["map_mmhg"].shape[1], dtype=np.bool_)


CLOVERS_DEATHS = (109, 116), (782, 781)  # restrictive, liberal
CLOVERS = Trial(
    name="clovers",
    question="restrictive against liberal fluids in the 24 h after the first bolus",
    env=SEPSIS,
    arms=(Arm(name="restrictive", policy=Restrictive), Arm(name="liberal", policy=Liberal)),
    run_in=lambda: Resuscitation(name="run-in", bolus_ml_per_kg=25.0, norepinephrine_from_h=RUN_IN_H + 1.0, rescue_mmhg=0.0),
    run_in_h=RUN_IN_H,
    enrolled=hypotensive,
    criteria="mean arterial pressure below 65 mmHg after 25 mL/kg of fluid",
    published=(
        Published(effect="risk difference, points", estimate=-0.9, low=-4.4, high=2.6, risks_percent=(14.0, 14.9),
                  source="CLOVERS, N Engl J Med 2023;388:499-510"),
        from_counts("odds ratio", *CLOVERS_DEATHS, source="CLOVERS, from 109 of 782 and 116 of 781 deaths"),
    ),
    shown=(
        dataclasses.replace(FLUID_SINCE, published=("1,267", "3,400")), FLUID,
        dataclasses.replace(EVER_ON, published=("more", "fewer")), DOSE, PRESSURE,
    ),
    subgroups=SUBGROUPS,
    notes=(
        FITTED,
        "the trial counted deaths before discharge home by day 90, the model those by day 28",
        "the trial's patients were less ill (14.5 % died): compare the odds ratio too, which depends less on how many die",
        "the trial's 24 h began at randomisation; here they begin with the first bolus, 3 h earlier",
    ),
)  # fmt: skip

SEPSISPAM_DEATHS = (142, 132), (388, 388)  # high, low
SEPSISPAM_SOURCE = "SEPSISPAM, N Engl J Med 2014;370:1583-1593"
SEPSISPAM = Trial(
    name="sepsispam",
    question="a mean arterial pressure of 80-85 against 65-70 mmHg",
    env=SEPSIS,
    arms=(
        Arm(name="high", policy=lambda: Resuscitation(name="high", map_target_mmhg=80.0)),
        Arm(name="low", policy=lambda: Resuscitation(name="low")),
    ),
    run_in=Resuscitation,
    run_in_h=6.0,
    enrolled=on_norepinephrine,
    criteria="norepinephrine above 0.05 mcg/kg/min at 6 h, after 30 mL/kg of fluid",
    published=(
        from_counts("odds ratio", *SEPSISPAM_DEATHS, source="SEPSISPAM, from 142 of 388 and 132 of 388 deaths"),
        Published(effect="hazard ratio", estimate=1.07, low=0.84, high=1.38, risks_percent=(36.6, 34.0), source=SEPSISPAM_SOURCE),
        from_counts("risk difference, points", *SEPSISPAM_DEATHS, source="SEPSISPAM, from the same counts"),
    ),
    shown=(dataclasses.replace(PRESSURE, published=("target 80-85", "target 65-70")), DOSE, FLUID),
    subgroups=(
        dataclasses.replace(
            SUBGROUPS[0],
            caution="assumed, not found: chronic hypertension raises the pressure that organs need in this model; in SEPSISPAM it changed "
            "the need for renal replacement, not deaths",
        ),
        *SUBGROUPS[1:],
    ),
    notes=(
        FITTED,
        "the trial published the hazard ratio; the others are computed from its counts, their intervals by Wald and Woolf",
    ),
)  # fmt: skip

DELAYS_H = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
LIU = "Liu et al., Am J Respir Crit Care Med 2017;196:856-863 (septic shock)"
KUMAR = "Kumar et al., Crit Care Med 2006;34:1589-1596"
ANTIBIOTIC_DELAY = Trial(
    name="antibiotic-delay",
    question="each hour until the first antibiotic",
    env=SEPSIS,
    arms=tuple(Arm(name=f"{delay:g} h", policy=Resuscitation, options={"antibiotic_delay_h": delay}) for delay in DELAYS_H),
    enrolled=everybody,
    criteria="septic shock",
    published=(
        Published(effect="odds ratio per unit", estimate=1.14, low=1.06, high=1.23, source=LIU),
        Published(effect="odds ratio per unit", estimate=1.119, low=1.103, high=1.136, source=KUMAR),
        Published(effect="odds ratio per unit, adjusted", estimate=1.14, low=1.06, high=1.23, source=LIU),
        Published(effect="risk difference per unit, points", estimate=1.8, low=0.8, high=3.0, source=LIU),
    ),
    exposures=DELAYS_H,
    exposure_unit="hour",
    adjust_for=("age_years", "saps2", "charlson"),
    shown=(FLUID, DOSE, PRESSURE),
    subgroups=SUBGROUPS,
    screened=10_000,
    notes=(
        FITTED,
        "delays are imposed here, where the publications observed them: theirs may be confounded, ours are not",
        "theirs count hours since arrival (Liu) or since hypotension (Kumar), ours since shock is recognised",
        "theirs are adjusted for severity; ours are given without (what delaying everybody does) and with age, SAPS II and Charlson",
    ),
)  # fmt: skip

TRIALS = {trial.name: trial for trial in (CLOVERS, SEPSISPAM, ANTIBIOTIC_DELAY)}
