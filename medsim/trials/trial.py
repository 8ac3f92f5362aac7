"""What a trial is, as data, and running one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.policies.policy import Policy
from medsim.registry import make_task
from medsim.trials.effects import Effect, odds_ratio, per_unit_odds_ratio, risk_difference
from medsim.trials.emulation import Arm, Course, run_arms

__all__ = ["Published", "Trial", "TrialResult", "run_trial"]

Array = npt.NDArray[np.float64]
EFFECTS: dict[str, Callable[[Array, Array], Effect]] = {"risk difference, points": risk_difference, "odds ratio": odds_ratio}


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the trial itself found: risks of death in percent by arm, the effect and its 95 % interval, and the source."""

    effect: str
    estimate: float
    low: float
    high: float
    source: str
    risks_percent: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An emulated trial; the effect is of the first arm against the last.

    Args:
        run_in: how everybody is treated for ``run_in_steps`` before randomisation; enrolled: who is, from a course until then.
        exposures: if the arms are levels of something, such as hours of delay: the effect is then the odds ratio per unit.
        shown: measures whose means at ``shown_at_h`` say whether the arms were treated as the trial's were.
    """

    name: str
    question: str
    env: str
    arms: tuple[Arm, ...]
    published: tuple[Published, ...]
    enrolled: Callable[[Course, int], npt.NDArray[np.bool_]]
    criteria: str
    run_in: Callable[[], Policy] | None = None
    run_in_steps: int = 0
    exposures: tuple[float, ...] = ()
    shown: tuple[str, ...] = ()
    shown_at_h: int = 24
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What the emulation found: deaths of the enrolled, (arms, n), the effect, and the arms' means of what is shown."""

    trial: Trial
    screened: int
    enrolled: int
    deaths: Array
    effect: Effect
    shown: dict[str, list[float]] = field(default_factory=dict)


def run_trial(trial: Trial, patients: int, *, cohort: str = "test", seed: int = 20261, threads: int = 1,
              settings: Callable[[Any], Any] | None = None, options: dict[str, Any] | None = None,
              progress: Callable[[int], None] | None = None) -> TrialResult:  # fmt: skip
    """Return the trial's result on a number of screened patients.

    Args:
        settings: changes the settings of the environment (other constants, say); options: of the environment, for all arms.

    Raises:
        ValueError: nobody meets the criteria.
    """
    arms, tasks = [], {}
    for arm in trial.arms:
        policy = arm.policy()
        place = repr(sorted({**policy.options, **arm.options}.items()))
        if place not in tasks:
            task = make_task(trial.env, **{**policy.options, "deaths": "expected", "cohort": cohort, **(options or {}), **arm.options})
            tasks[place] = task if settings is None else settings(task)
        arms.append((tasks[place], policy))
    run_in = None if trial.run_in is None else trial.run_in()
    keep = (*trial.shown, "map_mmhg", "norepinephrine_mcg_per_kg_per_min")
    courses = run_arms(arms, patients, seed, keep, run_in=run_in, run_in_steps=trial.run_in_steps, threads=threads, progress=progress)
    chosen = trial.enrolled(courses[0], trial.run_in_steps)
    if not chosen.any():
        raise ValueError(f"trial {trial.name}: none of {patients} patients meets the criteria; screen more")
    deaths = np.stack([course.death[chosen] for course in courses])
    if trial.exposures:
        effect = per_unit_odds_ratio(np.array(trial.exposures), deaths)
    else:
        effect = EFFECTS[trial.published[0].effect](deaths[0], deaths[-1])
    shown = {name: [mean_shown(course, name, chosen, trial.shown_at_h) for course in courses] for name in trial.shown}
    return TrialResult(trial=trial, screened=patients, enrolled=int(chosen.sum()), deaths=deaths, effect=effect, shown=shown)


def mean_shown(course: Course, name: str, chosen: npt.NDArray[np.bool_], at_h: int) -> float:
    """Return a measure's mean over the enrolled: the sum until then if it is an amount (``_ml``), else its value then."""
    values = course.measures[name][:, chosen]
    return float(values[1 : at_h + 1].sum(axis=0).mean() if name.endswith("_ml") else values[at_h].mean())
