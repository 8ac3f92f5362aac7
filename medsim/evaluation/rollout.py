"""Evaluation on a fixed list of patients whom training never sees, the same for every policy, with the same noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.steps import Steps
from medsim.policies.policy import Policy
from medsim.registry import card, make_task

__all__ = ["DEFAULT_SEED", "EvaluationResult", "Trace", "evaluate", "rollout"]

DEFAULT_SEED = 20260  # the fixed list of patients: slots 0, 1, ... of this seed in the test cohort

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What happened to every patient: steps first, then patients; after a patient's end the values repeat zeros."""

    rewards: Array  # (steps, n)
    costs: dict[str, Array]  # each (steps, n)
    measures: dict[str, Array]  # each (steps + 1, n), the first at the start
    steps_lived: npt.NDArray[np.int64]  # (n,)
    outcomes: list[str]  # (n,)
    outcome_time_h: Array  # (n,)


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """How a policy did, patient by patient; arrays are (n,)."""

    env_id: str
    policy: str
    cohort: str
    patients: int
    seed: int
    returns: Array
    normalised: Array  # 0 the floor, 1 the ceiling, by the mean returns of the registry
    costs: dict[str, Array]  # sum over the episode
    cost: Array
    outcomes: list[str]
    outcome_time_h: Array
    metrics: dict[str, Array]

    def record(self) -> dict[str, Any]:
        """Return the result as plain lists and numbers, as a leaderboard's record holds it."""
        return {
            "returns": self.returns.tolist(),
            "normalised": self.normalised.tolist(),
            "costs": {name: values.tolist() for name, values in self.costs.items()},
            "cost": self.cost.tolist(),
            "outcomes": {name: self.outcomes.count(name) for name in sorted(set(self.outcomes))},
            "metrics": {name: values.tolist() for name, values in self.metrics.items()},
        }


def rollout(env: PatientVectorEnv, policy: Policy, *, seed: int, progress: Callable[[int], None] | None = None,
            reset_options: dict[str, Any] | None = None) -> Trace:  # fmt: skip
    """Return one episode of every patient of ``env`` (whose autoreset must be disabled) under a policy."""
    if env.autoreset_mode is not AutoresetMode.DISABLED:
        raise ValueError(f"a rollout needs autoreset_mode='disabled', not {env.autoreset_mode.value!r}")
    batch = env.batch
    observations, _ = env.reset(seed=seed, options=reset_options)
    policy.begin(env)
    steps, measures = Steps(env), [batch.measures.copy()]
    for _ in range(env.task.horizon_steps):
        there, _ = steps.take(policy.act(observations))
        observations = env.observations()
        measures.append(np.where(there, batch.measures, 0.0))
        if progress is not None:
            progress(1)
        if not steps.alive.any():
            break
    cost_stack, measure_stack = np.stack(steps.costs), np.stack(measures)
    return Trace(
        rewards=np.stack(steps.rewards),
        costs={name: cost_stack[:, number] for number, name in enumerate(batch.cost_names)},
        measures={name: measure_stack[:, number] for number, name in enumerate(batch.measure_names)},
        steps_lived=steps.lengths,
        outcomes=steps.outcomes(),
        outcome_time_h=steps.times_h,
    )


def evaluate(env_id: str, policy: Policy, *, options: Mapping[str, Any] | None = None, cohort: str = "test",
             patients: int | None = None, seed: int = DEFAULT_SEED, threads: int = 1,
             progress: Callable[[int], None] | None = None) -> EvaluationResult:  # fmt: skip
    """Return how a policy does on the first ``patients`` patients of a cohort.

    Args:
        env_id: the environment; options: its options, over the policy's own, over those that its card evaluates under; a
            cohort among them is the one that is meant.
        patients: how many; None: as many as the card says; progress: called with 1 after every step.

    Raises:
        ValueError: an option is not allowed, or patients is below 1.
    """
    known = card(env_id)
    cohort = (options or {}).get("cohort", cohort)
    patients = known.patients if patients is None else patients
    task = make_task(env_id, **{**known.evaluation, **policy.options, **(options or {}), "cohort": cohort})
    env = PatientVectorEnv(task, patients, autoreset_mode=AutoresetMode.DISABLED, threads=threads)
    trace = rollout(env, policy, seed=seed, progress=progress)
    returns = trace.rewards.sum(axis=0)
    costs = {name: values.sum(axis=0) for name, values in trace.costs.items()}
    scores = known.scores
    return EvaluationResult(
        env_id=env_id,
        policy=policy.name,
        cohort=cohort,
        patients=patients,
        seed=seed,
        returns=returns,
        normalised=(returns - scores.floor) / (scores.ceiling - scores.floor),
        costs=costs,
        cost=np.sum(list(costs.values()), axis=0),
        outcomes=trace.outcomes,
        outcome_time_h=trace.outcome_time_h,
        metrics=task.metrics(trace.measures, trace.steps_lived, task),
    )
