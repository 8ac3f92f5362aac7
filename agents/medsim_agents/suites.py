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


@dataclass(frozen=True, kw_only=True)
class Share:
    """What an environment gets of the full suite: steps of each algorithm at a budget of 1, and who judges.

    Args:
        settings, patients, curve_points, validation_patients: as of a board.
    """

    env: str
    steps: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    patients: int = 100
    curve_points: int = 25
    validation_patients: int = 64


EXPECTED_DEATHS = {"deaths": "expected"}  # probabilities of death in place of drawn ones, as medsim evaluate has it too

# What the full suite takes at a budget of 1: docs/leaderboard.md, by python -m benchmarks.tuning.suite_cost.
SEEDS = (0, 1, 2, 3, 4)
BUDGET = 1.0  # of all steps of the full suite: half of it takes half as long

SHARES = (
    Share(
        env="medsim/Sepsis-v0",
        settings=EXPECTED_DEATHS,
        steps={"ppo": 1_500_000, "dqn": 700_000, "recurrent-ppo": 400_000, "ppo-lagrangian": 1_500_000, "cql": 10_000, "bc": 6_000},
        patients=400,
        curve_points=15,
        validation_patients=200,
    ),
    Share(
        env="medsim/Glucose-v0",
        steps={"ppo": 1_000_000, "dqn": 700_000, "recurrent-ppo": 300_000, "ppo-lagrangian": 1_000_000, "cql": 10_000, "bc": 6_000},
    ),
    Share(
        env="medsim/SepsisSCM-v0",
        steps={"ppo": 1_000_000, "dqn": 500_000, "recurrent-ppo": 400_000, "ppo-lagrangian": 1_000_000, "cql": 10_000, "bc": 6_000},
        patients=400,
    ),
    Share(
        env="medsim/ICUSepsis-v0",
        steps={"ppo": 1_000_000, "dqn": 500_000, "recurrent-ppo": 200_000, "ppo-lagrangian": 1_000_000, "cql": 10_000, "bc": 6_000},
        patients=400,
    ),
    Share(
        env="medsim/HospitalFlow-v0",
        steps={"maskable-ppo": 2_000_000, "dqn": 200_000, "recurrent-ppo": 100_000, "ppo-lagrangian": 2_000_000},
        curve_points=4,
        validation_patients=8,
    ),
    Share(
        env="medsim/ICUAdmission-v0",
        steps={"maskable-ppo": 100_000, "dqn": 100_000, "recurrent-ppo": 30_000, "ppo-lagrangian": 100_000},
        curve_points=6,
        validation_patients=16,
    ),
    Share(
        env="medsim/RegionalNetwork-v0",
        steps={"maskable-ppo": 100_000, "dqn": 100_000, "recurrent-ppo": 50_000, "ppo-lagrangian": 100_000},
        patients=20,
        curve_points=4,
        validation_patients=8,
    ),
    Share(
        env="medsim/Theatre-v0",
        steps={"maskable-ppo": 200_000, "dqn": 200_000, "recurrent-ppo": 100_000, "ppo-lagrangian": 200_000},
        patients=400,
        curve_points=6,
        validation_patients=16,
    ),
)


def full_suite(budget: float = BUDGET) -> Suite:
    """Return the suite of every environment, its steps multiplied by ``budget``.

    Raises:
        ValueError: budget is not above 0.
    """
    if not budget > 0.0:
        raise ValueError(f"budget must be above 0, not {budget}")
    return Suite(
        name="full",
        purpose="every environment, its agents with five seeds and all reference policies; hours (docs/leaderboard.md says how many)",
        boards=tuple(board_of(share, budget) for share in SHARES),
    )


def board_of(share: Share, budget: float) -> Board:
    """Return the board of an environment's share."""
    agents = [Agent(algorithm=name, seeds=SEEDS, changes={"steps": max(1, round(budget * steps))}) for name, steps in share.steps.items()]
    return Board(
        env=share.env,
        settings=share.settings,
        agents=tuple(agents),
        patients=share.patients,
        curve_points=share.curve_points,
        validation_patients=share.validation_patients,
    )


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
    full_suite(),
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
