"""Randomised trials emulated on simulated patients: arms are policies, patients are the same in every arm.

``medsim trials run all`` runs the landmark trials that are here (``TRIALS``) and shows them beside what they found. A trial of your own is
data too. Here, a pressure of 55 is put against the usual 65 mmHg, in those who need norepinephrine after six hours of the protocol::

    from medsim.policies.sepsis import Resuscitation
    from medsim.trials import Arm, Trial, run_trial
    from medsim.trials.septic_shock import SUBGROUPS, on_norepinephrine

    permissive = Trial(
        name="permissive",
        question="a mean arterial pressure of 55 against 65 mmHg",
        env="medsim/Sepsis-v0",
        arms=(
            Arm(name="55", policy=lambda: Resuscitation(map_target_mmhg=55.0)),
            Arm(name="65", policy=Resuscitation),
        ),
        run_in=Resuscitation,
        run_in_h=6.0,
        enrolled=on_norepinephrine,
        criteria="on norepinephrine at 6 h",
        subgroups=SUBGROUPS,
    )
    result = run_trial(permissive, patients=300)
    print(result.effect)  # of the first arm against the last, with a 95 % interval over patients
    print(result.risks_percent, result.effects["odds ratio"], result.subgroups[0])
    record = result.record()  # for JSON

Any policy can be an arm, a trained one too (``medsim.cli.verbs.find_policy`` loads a run's folder): arms may act in doses or on the grid,
but must observe the same as the run-in. ``run_trial(..., cohort="world-1")`` asks another world of the ensemble.

Whose deaths: of those who met the criteria and lived until randomisation, by their probability, until day 28. What the interval means:
how the effect would move with other patients; not whether the model is true. Research simulation, not medical advice.
"""

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
