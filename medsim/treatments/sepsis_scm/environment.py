"""``medsim/SepsisSCM-v0``: antibiotics, ventilation and vasopressor in sepsis, with a hidden confounder."""

import dataclasses
from typing import Any

from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from medsim.core.environment import PatientEnv
from medsim.core.options import choice, parse_options, switch, within
from medsim.core.tabular import TabularSettings, TabularTask
from medsim.core.task import Panel
from medsim.core.vector import PatientVectorEnv
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
    Panel(
        title="treatment",
        bars={"antibiotics": "antibiotics", "vasopressor": "vasopressor", "ventilation": "ventilation"},
        limits=(0.0, 1.3),
    ),
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
        provenance=provenance,
    )


class SepsisScmEnv(PatientEnv):
    """Sepsis as a structural causal model: antibiotics, ventilation and vasopressor, and a diabetes that nobody is told of.

    Research simulation, not medical advice.
    """

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(sepsis_scm_task(**options), render_mode)


class SepsisScmVectorEnv(PatientVectorEnv):
    """A batch of ``medsim/SepsisSCM-v0``; options as for one, and ``autoreset_mode``, ``threads``."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(sepsis_scm_task(**options), num_envs, autoreset_mode=autoreset_mode, threads=threads)
