"""``medsim/SepsisSCM-v0``: antibiotics, ventilation and vasopressor in sepsis, with a hidden confounder."""

import dataclasses
from typing import Any

from gymnasium import spaces

from medsim.core.environment import ConfiguredEnv
from medsim.core.options import choice, parse_options, switch, within
from medsim.core.tabular import TabularSettings, TabularTask
from medsim.core.task import Panel
from medsim.core.vector import ConfiguredVectorEnv
from medsim.treatments.sepsis_scm.definition import COHORTS, HORIZON_STEPS, OUTCOMES, sepsis_scm_model
from medsim.treatments.sepsis_scm.model import ACTIONS
from medsim.treatments.sepsis_scm.provenance import CITATION, provenance

__all__ = ["SepsisScmConfig", "SepsisScmEnv", "SepsisScmVectorEnv", "sepsis_scm_task"]

WATCHED_STEPS = 1000  # chosen: how long a course without a deadline is watched; 0.99**1000 is 4e-5
STEP_H = 1.0  # chosen: the paper gives a step no length
LEVEL_LIMITS = {"heart_rate": (0, 2), "blood_pressure": (0, 2), "oxygen": (0, 1), "glucose": (0, 4), "diabetes": (0, 1)}

PANELS = (
    Panel(title="heart rate", lines={"heart_rate": "heart rate"}, wanted=(0.9, 1.1), limits=(-0.2, 2.2)),
    Panel(title="pressure", lines={"blood_pressure": "blood pressure"}, wanted=(0.9, 1.1), limits=(-0.2, 2.2)),
    Panel(title="oxygen", lines={"oxygen": "oxygen saturation"}, wanted=(0.9, 1.1), limits=(-0.2, 1.2)),
    Panel(title="glucose", lines={"glucose": "glucose"}, wanted=(1.9, 2.1), limits=(-0.2, 4.2)),
    *(Panel(title=name[:12], bars={name: name}, limits=(0.0, 1.6)) for name in ("antibiotics", "vasopressor", "ventilation")),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SepsisScmConfig:
    """Options of ``medsim/SepsisSCM-v0``."""

    observation: str = choice("vector", "full", "index", "projected", doc="what the agent sees; diabetes only in full")
    version: str = choice("v2", "icml2019", doc="the corrected simulator, or the paper's, whose glucose cannot recover")
    horizon: str = choice("20", "infinite", doc="20 steps whose rewards are added, or discounted rewards to the end")
    cohort: str = choice("train", "test", "shifted", doc="whose random draws; shifted: half of all people have diabetes")
    diabetes: float = within(0.2, 0.0, 1.0, doc="share of diabetes, before those who are dead or well at once are drawn again")
    discount: float = within(0.99, 0.0, 1.0, doc="a step's, with which exact values of horizon='infinite' are computed")
    expose_state: bool = switch(False, doc="put the true state into info")


def sepsis_scm_task(**options: Any) -> TabularTask:
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown or its value is not allowed.
    """
    config = parse_options(SepsisScmConfig, options)
    deadline = config.horizon == "20"
    steps = HORIZON_STEPS if deadline else WATCHED_STEPS
    timeless = "" if deadline or config.observation in ("index", "projected") else "_no_deadline"
    return TabularTask(
        id="medsim/SepsisSCM-v0",
        config=config,
        model=sepsis_scm_model(config.version, config.diabetes),
        view_name=config.observation + timeless,
        settings=TabularSettings(
            horizon_steps=float(steps),
            ends_by_itself=float(deadline),
            outcome_at_horizon=float(OUTCOMES.index("still_treated" if deadline else "watching_ended")),
            step_h=STEP_H,
            start_law=float(COHORTS.index(config.cohort)),
        ),
        action_space=spaces.Discrete(ACTIONS),
        horizon_steps=steps,
        step_h=STEP_H,
        discount=1.0 if deadline else config.discount,
        expose_state=config.expose_state,
        level_limits=LEVEL_LIMITS,
        panels=PANELS,
        citation=CITATION,
        action_meaning="4 x antibiotics + 2 x ventilation + vasopressor, each on (1) or off (0) for the step",
        provenance=provenance,
    )


class SepsisScmEnv(ConfiguredEnv):
    """Sepsis as a structural causal model: antibiotics, ventilation and vasopressor, and a diabetes that nobody is told of.

    Research simulation, not medical advice.

    ## Description
    The simulator of Oberst and Sontag (ICML 2019), with which off-policy evaluation and counterfactuals are studied. Four vital signs
    take two to five levels; treatments move them, and what no treatment touches fluctuates. Diabetes, hidden and constant, makes
    glucose restless and a vasopressor act differently: whoever learned from a physician who knew of it is confounded. There are 1440
    states, and every probability is known, so every policy has an exact value (``medsim evaluate``, ``medsim solve``), and what would
    have happened to the same patient under another policy can be told (``medsim.evaluation.counterfactual``).

    ## Observation
    ``observation="vector"`` (default): Box, float32. ``"full"`` adds diabetes, before the steps left. Without a deadline
    (``horizon="infinite"``) there are no steps left to show.

    | index | what | levels | normal |
    |---|---|---|---|
    | 0 | heart rate | 0 low, 1, 2 high | 1 |
    | 1 | systolic blood pressure | 0 low, 1, 2 high | 1 |
    | 2 | oxygen saturation | 0 low, 1 | 1 |
    | 3 | glucose | 0 very low to 4 very high | 2 |
    | 4, 5, 6 | antibiotics, vasopressor, ventilation are given | 0, 1 | |
    | last | steps left | 0-20 | |

    ``"index"``: Discrete(720), the first seven as one number (mixed radix, the first most significant); ``"projected"``: Discrete(144),
    the same without glucose, as in the paper's experiments. Neither tells the steps left: what that costs can be computed (the best
    policy that knows diabetes is worth 0.5808 with, 0.5614 without them when planned with discount 0.99).

    ## Action
    Discrete(8): 4 x antibiotics + 2 x ventilation + vasopressor. Each treatment is given, or not, for one step.

    ## Reward
    | term | value |
    |---|---|
    | ``death`` | -1 on death |
    | ``discharge`` | 1 on discharge |

    Over 20 steps rewards are added without discount; with ``horizon="infinite"`` values are discounted, by 0.99 a step.

    ## Cost
    ``death``: 1. ``ventilation``, ``vasopressor``: 1 for each step in which the treatment is given.

    ## Start
    Untreated, vital signs drawn independently, diabetes with probability 0.2; all drawn again until neither dead nor well, which
    leaves 18.97 % with diabetes and 37 possible starts for each. ``reset(options={"patient": "diabetic#007"})`` begins in one of them.
    The cohorts ``train`` and ``test`` have random draws of their own; in ``shifted`` diabetes has probability 0.5.

    ## End
    Terminated: ``death`` with three or four vital signs abnormal, ``discharge`` with none abnormal and no treatment. With
    ``horizon="20"`` (default) the course is over after 20 steps, too: terminated, ``still_treated``, no reward, because the return is
    that of 20 steps by definition, the steps left are shown, and nothing that could come later counts. With ``horizon="infinite"``
    only our watching ends, after 1000 steps: truncated, ``watching_ended``, and agents bootstrap.

    ## Arguments
    See ``SepsisScmConfig``. ``version="icml2019"`` is the code of the paper, in which the glucose of patients without diabetes rises to
    level 1 at most, from wherever it is (``min(1, glucose + 1)``), so that low glucose never recovers by itself; ``version="v2"``
    (default) is its correction in the unmerged branch sim-v2.

    ## Fidelity
    Values by dynamic programming over the 1440 states, exact to the digits given. Of equally good actions the one with the lowest
    number is taken; on icml2019 56 of 606 states have ties, and how they are broken changes what a policy that errs is worth (the
    behaviour policy: 0.3118 by the lowest number, up to 0.328 otherwise).

    | policy, version | published | ours | test |
    |---|---|---|---|
    | behaviour policy, icml2019, 20 steps | 0.3097 (0.2694 to 0.3510), 0.3240 (0.2889 to 0.3692) | 0.3118 | ``test_sepsis_scm.py`` |
    | random, icml2019 and v2, 20 steps | -0.744 (standard error 0.010), the code's own, icml2019 | -0.7588, -0.7164 | same |
    | best with diabetes seen, discounted | none | 0.4756 icml2019, 0.7437 v2 | same |
    | the same over 20 steps | none | 0.4483 icml2019, 0.5808 v2 | same |
    | best with diabetes hidden (``pomdp``), 20 steps | none | 0.4351 icml2019, 0.5643 v2 | same |
    | the same, discounted | none | 0.4637 icml2019, 0.7343 v2 | ``medsim evaluate`` |

    Found on the way: the planner in the paper's repository lets the dead and the discharged go on being treated, so its "optimal"
    physician is not optimal: worth 0.6495 where 0.7437 can be had (v2, discounted). It is the policy ``physician`` here.

    ## Version History
    v0: first version.
    """

    task_of = staticmethod(sepsis_scm_task)


class SepsisScmVectorEnv(ConfiguredVectorEnv):
    """A batch of ``medsim/SepsisSCM-v0``; options as for one, and ``autoreset_mode``, ``threads``."""

    task_of = staticmethod(sepsis_scm_task)
