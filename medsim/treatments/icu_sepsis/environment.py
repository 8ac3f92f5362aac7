"""``medsim/ICUSepsis-v0``: fluids and vasopressors in sepsis, as a table estimated from intensive-care records."""

import dataclasses
from typing import Any

from gymnasium import spaces

from medsim.core.environment import ConfiguredEnv
from medsim.core.options import choice, parse_options, switch
from medsim.core.tabular import TabularSettings, TabularTask
from medsim.core.task import Panel
from medsim.core.vector import ConfiguredVectorEnv
from medsim.treatments.icu_sepsis.definition import ACTIONS, COHORTS, OUTCOMES, PATIENT_STATES, icu_sepsis_model
from medsim.treatments.icu_sepsis.provenance import CITATION, provenance

__all__ = ["IcuSepsisConfig", "IcuSepsisEnv", "IcuSepsisVectorEnv", "icu_sepsis_task"]

HORIZON_STEPS = 500  # of the original; no policy keeps a patient that long
STEP_H = 4.0

PANELS = (
    Panel(title="SOFA score", lines={"sofa": "organ failure"}, limits=(0.0, 24.0)),
    Panel(title="fluid level", bars={"fluid_level": "fluid"}, limits=(0.0, 4.5)),
    Panel(title="vasopressor level", bars={"vasopressor_level": "vasopressor"}, limits=(0.0, 4.5)),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IcuSepsisConfig:
    """Options of ``medsim/ICUSepsis-v0``."""

    observation: str = choice("index", "vector", doc="the state's number, or the 47 features of its centre")
    inadmissible: str = choice("mean", "terminate", doc="an inadmissible action acts as the mean of the admissible, or ends in death")
    cohort: str = choice("train", "test", "shifted", doc="whose random draws; shifted: SOFA at the start above the median")
    expose_state: bool = switch(False, doc="put the true state into info")


def icu_sepsis_task(**options: Any) -> TabularTask:
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown or its value is not allowed.
        ModuleNotFoundError: the package that has the tables is not installed.
    """
    config = parse_options(IcuSepsisConfig, options)
    return TabularTask(
        id="medsim/ICUSepsis-v0",
        config=config,
        model=icu_sepsis_model(config.inadmissible),
        view_name=config.observation,
        settings=TabularSettings(
            horizon_steps=float(HORIZON_STEPS),
            ends_by_itself=0.0,
            outcome_at_horizon=float(OUTCOMES.index("watching_ended")),
            step_h=STEP_H,
            start_law=float(COHORTS.index(config.cohort)),
        ),
        action_space=spaces.Discrete(ACTIONS),
        horizon_steps=HORIZON_STEPS,
        step_h=STEP_H,
        expose_state=config.expose_state,
        level_limits={"state": (0, PATIENT_STATES - 1)},
        panels=PANELS,
        citation=CITATION,
        action_meaning="5 x fluid level + vasopressor level, each 0 to 4",
        provenance=provenance,
    )


class IcuSepsisEnv(ConfiguredEnv):
    """Fluids and vasopressors in sepsis, as a Markov decision process estimated from the records of intensive care.

    Research simulation, not medical advice.

    ## Description
    ICU-Sepsis (Choudhary, Gupta, Thomas, RLC 2024): 713 clusters of patients of MIMIC-III, death, survival, and the probabilities with
    which patients moved between them in four hours under 25 combinations of fluids and vasopressors. The tables are read from the
    package ``icu-sepsis`` (``pip install 'medsim[icu]'``), which is not imported; medsim ships none of them. Every policy has an exact
    value (``medsim evaluate``, ``medsim solve``).

    ## Observation
    ``observation="index"`` (default, as in the original): Discrete(716), the cluster; 713 is death, 714 survival.
    ``"vector"``: Box, float32, the 47 features of the cluster's centre as the package scales them (it does not name them); zeros after
    the end.

    ## Action
    Discrete(25): 5 x fluid level + vasopressor level, each 0 to 4, for four hours.

    ## Reward
    | term | value |
    |---|---|
    | ``survival`` | 1 on survival |

    The return, without discount, is the probability of survival.

    ## Cost
    ``death``: 1. ``inadmissible_action``: 1 for a step with an action that clinicians took too seldom in such patients to be judged.

    ## Start
    A cluster by the package's distribution of first states (712 of them). ``reset(options={"patient": "state#103"})`` begins in one.
    The cohorts ``train`` and ``test`` have random draws of their own; ``shifted`` are the patients with a SOFA score above the median.

    ## End
    Terminated on ``death`` or ``survival``. Truncated (``watching_ended``) after 500 steps, as in the original; no policy printed here
    keeps a patient so long with a probability that could be seen (random: 1e-22).

    ## Arguments
    See ``IcuSepsisConfig``. ``inadmissible="mean"`` (default): an inadmissible action has the mean effect of the admissible ones, as the
    tables have it; ``"terminate"``: it ends in death. The original's ``"raise_exception"`` is not offered: look at the cost.

    ## Fidelity
    Values by dynamic programming; published ones are means of 50,000 episodes.

    | policy | published return, length | ours | test |
    |---|---|---|---|
    | random | 0.78, 9.45 | 0.780071, 9.4623 | ``test_icu_sepsis.py`` |
    | expert, as shipped | 0.78, 9.22 | 0.781845, 9.2380 | same |
    | optimal | 0.88, 10.99 | 0.875142, 10.9917 | same |
    | optimal for discount 0.99 | none | 0.801334 discounted, 0.868180 not | same |
    | worst | none | 0.632990 | same |
    | ``terminate``: random, expert, optimal | none | 0.008360, 0.415809, 0.875142 | same |

    To know before ranking agents: in 237 of 713 states a single action is admissible, so that all 25 act alike; the shipped expert puts
    15.6 % of its choices on inadmissible actions; and from random to optimal there are 0.095 of return, which a thousand episodes
    (standard error 0.013) hardly resolve, and exact values do.

    ## Version History
    v0: first version.
    """

    task_of = staticmethod(icu_sepsis_task)


class IcuSepsisVectorEnv(ConfiguredVectorEnv):
    """A batch of ``medsim/ICUSepsis-v0``; options as for one, and ``autoreset_mode``, ``threads``."""

    task_of = staticmethod(icu_sepsis_task)
