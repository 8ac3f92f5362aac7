"""Randomised trials emulated on simulated patients: arms are policies, patients are the same in every arm."""

from medsim.trials.effects import Effect
from medsim.trials.emulation import Arm, Course
from medsim.trials.measures import Shown, Subgrouping
from medsim.trials.published import Published, from_counts
from medsim.trials.result import Subgroup, TrialResult
from medsim.trials.septic_shock import TRIALS
from medsim.trials.trial import Trial, run_trial

__all__ = [
    "TRIALS",
    "Arm",
    "Course",
    "Effect",
    "Published",
    "Shown",
    "Subgroup",
    "Subgrouping",
    "Trial",
    "TrialResult",
    "from_counts",
    "run_trial",
]
