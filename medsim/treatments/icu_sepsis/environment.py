"""``medsim/ICUSepsis-v0``: fluids and vasopressors in sepsis, as a table estimated from intensive-care records."""

import dataclasses
from typing import Any

from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from medsim.core.environment import PatientEnv
from medsim.core.options import choice, parse_options, switch
from medsim.core.tabular import TabularSettings, TabularTask
from medsim.core.task import Panel
from medsim.core.vector import PatientVectorEnv
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
        provenance=provenance,
    )


class IcuSepsisEnv(PatientEnv):
    """Fluids and vasopressors in sepsis, as a Markov decision process estimated from the records of intensive care.

    Research simulation, not medical advice.
    """

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(icu_sepsis_task(**options), render_mode)


class IcuSepsisVectorEnv(PatientVectorEnv):
    """A batch of ``medsim/ICUSepsis-v0``; options as for one, and ``autoreset_mode``, ``threads``."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(icu_sepsis_task(**options), num_envs, autoreset_mode=autoreset_mode, threads=threads)
