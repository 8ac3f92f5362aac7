"""What an environment can give a policy: between which figures each episode lies, so that impossible results are refused.

Bounds follow from how an environment is made, and are as narrow as that allows: where nothing is known, there is none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medsim.core.tabular import TabularTask
from medsim.evaluation.exact import Problem, backward_induction
from medsim.evaluation.scoring import exact_score
from medsim.policies import reference_policies
from medsim.registry import card, is_hospital, make_task
from medsim_agents.leaderboard.records import Record

__all__ = ["Bounds", "bounds_of", "refuse_impossible"]

ROUNDING = 1e-6
LUCK = 1e-6  # chosen: a mean that so few honest evaluations of the best policy would reach is refused


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Lowest and highest figures of one episode, with why; of costs by name, those that are missing have no bound but 0.

    Attributes:
        best_mean: the expected return of the best policy there can be, where it is known exactly.
    """

    lowest: float
    highest: float
    why: str
    costs: Mapping[str, float] = field(default_factory=dict)
    best_mean: float | None = None


def bounds_of(env_id: str, settings: Mapping[str, Any]) -> Bounds:
    """Return what an environment can give under the settings of a board.

    Raises:
        ValueError: there is no such environment, or an option is not allowed.
    """
    task = make_task(env_id, **settings)
    if is_hospital(env_id):
        return Bounds(lowest=-math.inf, highest=0.0, why="every term of a hospital's reward is a price paid")
    if isinstance(task, TabularTask):
        return of_table(env_id, task)
    return MADE_BY_HAND.get(env_id, unbounded)(task)


def unbounded(task: Any) -> Bounds:
    """Nothing is known."""
    return Bounds(lowest=-math.inf, highest=math.inf, why="nothing is known of this environment")


def of_table(env_id: str, task: TabularTask) -> Bounds:
    """A table's rewards are known, and what the best policy is worth that sees everything."""
    model = task.tables
    ends_only = not model.rewards[model.outcome_of == 0].any()  # rewards come once, at the end
    times = 1 if ends_only else task.horizon_steps
    if task.has_deadline:
        _, values = backward_induction(Problem(task))
        best = float(task.start @ values)
    else:
        score = exact_score(env_id, reference_policies(env_id)[card(env_id).ceiling_policy](), cohort=task_cohort(task))
        assert score is not None
        best = score.exact.value
    costs = {name: float(arrival.max() + choice.max()) * task.horizon_steps for name, (arrival, choice) in model.costs.items()}
    return Bounds(
        lowest=float(min(model.rewards.min(), 0.0)) * times, highest=float(max(model.rewards.max(), 0.0)) * times,
        why="the rewards of its table", costs=costs, best_mean=best,
    )  # fmt: skip


def task_cohort(task: Any) -> str:
    """Return the cohort that a task is made for."""
    return str(getattr(task.config, "cohort", "test"))


def of_sepsis(task: Any) -> Bounds:
    """Survival is 1, death -1, and an expectation lies between; costs of hours are at most all hours."""
    hours = task.horizon_steps * task.step_h
    costs = dict.fromkeys(("map_below_65", "fluid_overload", "high_norepinephrine"), hours)
    if getattr(task.config, "reward", "") == "shaped":
        return Bounds(lowest=-math.inf, highest=math.inf, why="a shaped reward adds how ill the patient was at the start", costs=costs)
    return Bounds(lowest=-1.0, highest=1.0, why="survival is 1, death is -1, and their expectation lies between", costs=costs)


def of_glucose(task: Any) -> Bounds:
    """A step costs at most 1 (the capped risk), and so does one that is not lived; costs count steps."""
    steps = float(task.horizon_steps)
    costs = dict.fromkeys(("glucose_below_54", "glucose_below_70", "glucose_above_250"), steps)
    return Bounds(lowest=-steps, highest=0.0, why="risk is never below 0, and each of its steps costs at most 1", costs=costs)


MADE_BY_HAND: Mapping[str, Callable[[Any], Bounds]] = {"medsim/Sepsis-v0": of_sepsis, "medsim/Glucose-v0": of_glucose}


def refuse_impossible(record: Record, name: str) -> None:
    """Raise ValueError, naming field and figure, if a record's results are none that its environment can give."""
    job, result = record["job"], record["result"]
    bounds = bounds_of(job["env"], {**job["settings"], **options_among(job["settings"], job["env"], job["evaluation"]["cohort"])})
    outside(f"{name}: result.returns", result["returns"], bounds.lowest, bounds.highest, bounds.why)
    for cost, values in result["costs"].items():
        why = "it is counted at most once a step, or for all hours"
        outside(f"{name}: result.costs.{cost}", values, 0.0, bounds.costs.get(cost, math.inf), why)
    if bounds.best_mean is not None:
        spread = bounds.highest - bounds.lowest
        most = bounds.best_mean + spread * math.sqrt(math.log(1.0 / LUCK) / (2 * len(result["returns"])))  # Hoeffding's inequality
        mean = float(np.mean(result["returns"]))
        if mean > most:
            raise ValueError(
                f"{name}: result.returns have mean {mean:.4f}; the best policy there can be is worth {bounds.best_mean:.4f}, and "
                f"{len(result['returns'])} patients do not raise that above {most:.4f}"
            )
    refuse_inconsistent(record, name)


def options_among(settings: Mapping[str, Any], env_id: str, cohort: str) -> dict[str, Any]:
    """Return the option that sends an evaluation's patients, where the environment has it."""
    return {} if is_hospital(env_id) or "cohort" in settings else {"cohort": cohort}


def outside(where: str, values: Sequence[float], lowest: float, highest: float, why: str) -> None:
    """Raise ValueError if a figure lies outside its bounds."""
    for place, value in enumerate(values):
        if not lowest - ROUNDING <= value <= highest + ROUNDING:
            raise ValueError(f"{where}[{place}] is {value:g}, which cannot be: it lies from {lowest:g} to {highest:g}, since {why}")


def refuse_inconsistent(record: Record, name: str) -> None:
    """Raise ValueError if figures of one patient contradict each other."""
    result = record["result"]
    deaths = result["metrics"].get("death_probability")
    if record["job"]["env"] == "medsim/Sepsis-v0" and record["job"]["settings"].get("deaths") == "expected" and deaths is not None:
        for place, (value, death) in enumerate(zip(result["returns"], deaths, strict=True)):
            if abs(value - (1.0 - 2.0 * death)) > ROUNDING:
                raise ValueError(
                    f"{name}: result.returns[{place}] is {value:g}, and metrics.death_probability[{place}] {death:g}: "
                    f"expected survival is 1 less twice that, {1.0 - 2.0 * death:g}"
                )
    below_54, below_70 = (result["costs"].get(f"glucose_below_{limit}", ()) for limit in (54, 70))
    for place, (low, lower) in enumerate(zip(below_70, below_54, strict=True)):
        if lower > low + ROUNDING:
            raise ValueError(f"{name}: costs.glucose_below_54[{place}] is {lower:g}, more than glucose_below_70[{place}], {low:g}")
