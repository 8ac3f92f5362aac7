"""The error of longer integration steps against steps of one minute, on the same patients with the same orders."""

import dataclasses
from typing import Any

import numpy as np

from benchmarks.fidelity.figures import QuickRandom, Study
from medsim.policies.sepsis import Resuscitation
from medsim.treatments.sepsis.constants import constant_sets
from medsim.trials.emulation import Course, run_arms

__all__ = ["numerics"]

STEPS_MINUTES = (5, 10)
FINEST_MINUTES = 1


def course(study: Study, minutes: int, policy: Any) -> Course:
    """Return what happens with an integration step."""
    finer = dataclasses.replace(study, substep_minutes=minutes)
    task = finer.task(constant_sets()["v0"], **policy.options)
    return run_arms([(task, policy)], study.patients, study.seed, ("map_mmhg", "damage"))[0]


def numerics(study: Study) -> dict[str, Any]:
    """Return errors by policy and step: of pressure and damage (root mean square over patients and hours), of the chance of death."""
    found: dict[str, Any] = {}
    for name, policy in (("random orders", QuickRandom()), ("protocol", Resuscitation())):
        exact = course(study, FINEST_MINUTES, policy)
        for minutes in STEPS_MINUTES:
            other = course(study, minutes, policy)
            differ = {key: other.measures[key] - exact.measures[key] for key in ("map_mmhg", "damage", "death_probability")}
            death = differ["death_probability"][-1]
            found[f"{name}, {minutes} min"] = {
                "map_rms_mmhg": rms(differ["map_mmhg"]), "damage_rms": rms(differ["damage"]),
                "death_rms": rms(death), "death_largest": float(np.abs(death).max()), "death_bias": float(death.mean()),
            }  # fmt: skip
    return {"patients": study.patients, "errors": found}


def rms(values: Any) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
