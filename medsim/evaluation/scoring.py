"""The exact score of any policy that acts by what it sees, where the course of the environment is a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from medsim.core.decision_tables import DecisionTable
from medsim.core.tabular import TabularTask
from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.exact import Exact, Problem, evaluate_table
from medsim.policies import reference_policies
from medsim.policies.chance import Softened
from medsim.policies.policy import Policy, RandomPolicy
from medsim.registry import card, make_task

__all__ = ["ExactScore", "exact_score", "table_of"]

Count = Callable[[int], None] | None

_ends_of_the_scale: dict[tuple[Any, ...], tuple[float, float]] = {}


@dataclass(frozen=True, kw_only=True)
class ExactScore:
    """What a policy is worth in an environment with the options given; ``normalised``: 0 the floor, 1 the ceiling, of that very one."""

    env_id: str
    policy: str
    cohort: str
    exact: Exact
    normalised: float

    def record(self) -> dict[str, Any]:
        """Return the result as plain numbers."""
        return {"exact": True, "cohort": self.cohort, "normalised": self.normalised, **self.exact.record()}


def exact_score(env_id: str, policy: Policy, *, options: Mapping[str, Any] | None = None, cohort: str = "test",
                discount: float | None = None, progress: Count = None) -> ExactScore | None:  # fmt: skip
    """Return the exact score of a policy, or None where there is none: no tables, or a policy with a memory that is not known.

    Raises:
        ValueError: an option is not allowed.
    """
    task = make_task(env_id, **{**policy.options, **(options or {}), "cohort": cohort})
    if not isinstance(task, TabularTask):
        return None
    found = value_of(policy, task, discount, progress)
    if found is None:
        return None
    floor, ceiling = scale(env_id, task, discount, progress)
    return ExactScore(
        env_id=env_id, policy=policy.name, cohort=cohort, exact=found, normalised=(found.value - floor) / (ceiling - floor)
    )  # fmt: skip


def scale(env_id: str, task: TabularTask, discount: float | None, progress: Count) -> tuple[float, float]:
    """Return the values of the floor and the ceiling for the task's tables, start, horizon and discount."""
    make, arguments = task.tables.made_by
    key = (env_id, make, arguments, task.settings, task.discount if discount is None else discount)
    if key not in _ends_of_the_scale:
        makers, known = reference_policies(env_id), card(env_id)
        ends = [value_of(makers[name](), task, discount, progress) for name in (known.floor_policy, known.ceiling_policy)]
        assert ends[0] is not None
        assert ends[1] is not None
        _ends_of_the_scale[key] = (ends[0].value, ends[1].value)
    return _ends_of_the_scale[key]


def value_of(policy: Policy, task: TabularTask, discount: float | None, progress: Count) -> Exact | None:
    """Return what a policy is worth in a task, or None if it cannot be told exactly."""
    own: Callable[..., Exact] | None = getattr(policy, "exact", None)
    if own is not None:
        return own(task, discount, progress)
    table = table_of(policy, task)
    return None if table is None else evaluate_table(Problem(task, discount), table)


def table_of(policy: Policy, task: TabularTask) -> DecisionTable | None:
    """Return a policy as a table, or None if it may remember what it saw.

    A policy says what it is: by ``table(task)``; or by ``memoryless``, which is true if its actions follow from the observation (and
    from nothing else, the step not either). Such a policy is asked for its action in every observation that a patient can have, for
    every number of steps left where that is shown; for its ``probabilities(observations)`` (n, actions) if it has that method.
    A table that is softened is a table.
    """
    if isinstance(policy, Softened):
        return softened(table_of(policy.policy, task), policy.epsilon)
    made: Callable[[TabularTask], DecisionTable] | None = getattr(policy, "table", None)
    if made is not None:
        return made(task)
    if isinstance(policy, RandomPolicy):
        count = task.tables.actions
        return DecisionTable(observation="any", probabilities=np.full((1, 1, count), 1.0 / count))
    return asked(policy, task) if getattr(policy, "memoryless", False) else None


def softened(table: DecisionTable | None, epsilon: float) -> DecisionTable | None:
    """Return a table that takes, with probability epsilon, any action instead, all alike; None of None."""
    if table is None:
        return None
    chances = (1.0 - epsilon) * table.probabilities + epsilon / table.probabilities.shape[-1]
    return DecisionTable(observation=table.observation, probabilities=chances, facts=table.facts)


def asked(policy: Policy, task: TabularTask) -> DecisionTable:
    """Return the table of a memoryless policy's answers to all observations of its task."""
    view, count = task.view, task.tables.actions
    codes, states = np.unique(view.code_of_state, return_index=True)
    running = np.array([(task.tables.outcome_of[view.code_of_state == code] == 0).any() for code in codes])
    env = PatientVectorEnv(task, len(states), autoreset_mode=AutoresetMode.DISABLED, threads=1)
    env.reset(seed=0)
    steps = task.horizon_steps if view.steps_left else 1
    table = np.full((steps, int(codes.max()) + 1, count), 1.0 / count)
    for step in range(steps):
        seen = view.seen(states, float(task.horizon_steps - step))
        answers = answered(policy, env, seen, count)
        table[step, codes[running]] = answers[running]
    return DecisionTable(observation=task.view_name, probabilities=table)


def answered(policy: Policy, env: PatientVectorEnv, seen: npt.NDArray[Any], count: int) -> npt.NDArray[np.float64]:
    """Return a policy's probabilities (n, actions) for observations."""
    chances: Callable[..., Any] | None = getattr(policy, "probabilities", None)
    if chances is not None:
        return np.asarray(chances(seen), dtype=np.float64)
    policy.begin(env)
    return np.asarray(np.eye(count)[np.asarray(policy.act(seen), dtype=np.int64)])
