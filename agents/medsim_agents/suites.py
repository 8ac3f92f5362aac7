"""Which jobs make up a benchmark: suites as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SUITES", "Agent", "Board", "Suite", "suite"]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """An algorithm to train: once for each seed, with tuned settings but for ``changes``."""

    algorithm: str
    seeds: tuple[int, ...] = (0, 1, 2)
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Board:
    """An environment, who plays on it, and the patients who judge.

    Args:
        settings: options that change the environment itself, for everybody; references: policies by name, None: all there are.
        patients, seed: the fixed list of patients of the cohort; curve_points, validation_patients: of the learning curves.
    """

    env: str
    agents: tuple[Agent, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[str, ...] | None = None
    cohort: str = "test"
    patients: int = 100
    seed: int = 20260
    curve_points: int = 25
    validation_patients: int = 64


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A benchmark: its name, what it is for, and its boards."""

    name: str
    purpose: str
    boards: tuple[Board, ...]


EXPECTED_DEATHS = {"deaths": "expected"}  # probabilities of death in place of drawn ones, as medsim evaluate has it too

SUITES = (
    Suite(
        name="quick",
        purpose="the main job: agents on sepsis and glucose beside every reference policy; within 10 minutes on 2 cores",
        boards=(
            Board(
                env="medsim/Sepsis-v0",
                settings=EXPECTED_DEATHS,
                agents=(Agent(algorithm="ppo"), Agent(algorithm="dqn"), Agent(algorithm="recurrent-ppo", seeds=(0, 1))),
                patients=400,
                validation_patients=200,
                curve_points=15,
            ),
            Board(env="medsim/Glucose-v0", agents=(Agent(algorithm="ppo"), Agent(algorithm="dqn"))),
        ),
    ),
    Suite(
        name="smoke",
        purpose="the same machinery in under a minute; its scores mean nothing",
        boards=(
            Board(
                env="medsim/Sepsis-v0",
                settings=EXPECTED_DEATHS,
                agents=(Agent(algorithm="ppo", seeds=(0,), changes={"steps": 9216, "n_envs": 32, "n_steps": 72, "batch_size": 256}),),
                references=("random", "no-treatment", "surviving-sepsis", "adaptive"),
                patients=16,
                curve_points=2,
                validation_patients=8,
            ),
            Board(
                env="medsim/Glucose-v0",
                agents=(
                    Agent(algorithm="ppo", seeds=(0,), changes={"steps": 8192, "n_envs": 32, "n_steps": 32, "batch_size": 256}),
                    Agent(algorithm="dqn", seeds=(0,), changes={"steps": 4096, "n_envs": 8, "learning_starts": 1000}),
                ),
                references=("random", "fixed-basal", "basal-bolus", "pid-ifb"),
                patients=8,
                curve_points=4,
                validation_patients=8,
            ),
        ),
    ),
)


def suite(name: str) -> Suite:
    """Return a suite by name.

    Raises:
        ValueError: there is none of that name.
    """
    for one in SUITES:
        if one.name == name:
            return one
    raise ValueError(f"no suite is called {name!r}; there are {', '.join(one.name for one in SUITES)}")
