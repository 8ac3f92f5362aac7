"""The shell of the sepsis model: options, task, and the Gymnasium classes."""

import dataclasses
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from medsim.core.environment import PatientEnv
from medsim.core.options import choice, parse_options, switch, within
from medsim.core.task import Task
from medsim.core.vector import PatientVectorEnv
from medsim.treatments.sepsis.constants import constant_sets
from medsim.treatments.sepsis.definition import LEVELS, SEPSIS
from medsim.treatments.sepsis.model import Settings

COURSE_H = 72
MOST_FLUID_ML_PER_H, MOST_NOREPINEPHRINE = 1000.0, 2.0
COHORTS = ("train", "test", "shifted")
WORLDS = tuple(f"world-{number}" for number in range(1, len(constant_sets())))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SepsisConfig:
    """Options of ``medsim/Sepsis-v0``."""

    observation: str = choice("vector", "full", doc="what the agent sees")
    action: str = choice("discrete", "continuous", doc="a grid of fluid and norepinephrine levels, or doses in units")
    antibiotics: str = choice("patient", "agent", doc="who starts them: after the patient's own delay, or the agent")
    antibiotic_delay_h: float | None = None
    step_hours: int = choice(1, 2, 4, doc="hours between decisions")
    cohort: str = choice("train", *COHORTS[1:], *WORLDS, doc="who the patients are, or which world they live in")
    reward: str = choice("outcome", "shaped", doc="survival alone, or with a potential of SOFA and lactate")
    deaths: str = choice("drawn", "expected", doc="drawn, or nobody dies before 72 h and the reward is the expectation")
    substep_minutes: int = choice(5, 1, 10, doc="integration step")
    expose_state: bool = switch(False, doc="put the true state into info")


def sepsis_task(**options: Any) -> Task:
    """Return the task that the options describe.

    Raises:
        ValueError: an option is unknown or its value is not allowed.
    """
    config = parse_options(SepsisConfig, options)
    horizon = COURSE_H // config.step_hours
    world = config.cohort if config.cohort in WORLDS else "v0"
    settings = Settings(
        intervals=float(config.step_hours),
        substeps=60.0 / config.substep_minutes,
        horizon_steps=float(horizon),
        continuous=float(config.action == "continuous"),
        agent_antibiotics=float(config.antibiotics == "agent"),
        delay_imposed_h=-1.0 if config.antibiotic_delay_h is None else config.antibiotic_delay_h,
        expected_deaths=float(config.deaths == "expected"),
        shaped=float(config.reward == "shaped"),
        cohort=float((*COHORTS, *WORLDS).index(config.cohort)),
        shift=float(config.cohort == "shifted"),
        constants=constant_sets()[world],
    )
    return Task(
        id="medsim/Sepsis-v0",
        config=config,
        model=SEPSIS,
        view_name=config.observation,
        settings=settings,
        action_space=action_space(config),
        horizon_steps=horizon,
        step_h=float(config.step_hours),
        expose_state=config.expose_state,
    )


def action_space(config: SepsisConfig) -> spaces.Discrete | spaces.Box:
    """Return the action space of a configuration."""
    agent = config.antibiotics == "agent"
    if config.action == "discrete":
        return spaces.Discrete(LEVELS * LEVELS * (2 if agent else 1))
    most = [MOST_FLUID_ML_PER_H, MOST_NOREPINEPHRINE, *([1.0] if agent else [])]
    return spaces.Box(np.zeros(len(most), dtype=np.float32), np.array(most, dtype=np.float32), dtype=np.float32)


class SepsisEnv(PatientEnv):
    """x."""

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(sepsis_task(**options), render_mode)


class SepsisVectorEnv(PatientVectorEnv):
    """A batch of ``medsim/Sepsis-v0``; options as for one, and ``autoreset_mode``, ``threads``."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(sepsis_task(**options), num_envs, autoreset_mode=autoreset_mode, threads=threads)
