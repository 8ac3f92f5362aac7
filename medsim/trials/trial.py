"""What a trial is, as data, and running one."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.policies.policy import Policy
from medsim.registry import make_task
from medsim.trials.effects import (
    Effect,
    hazard_ratio,
    odds_ratio,
    per_unit_odds_ratio,
    per_unit_risk_difference,
    risk_difference,
)
from medsim.trials.emulation import Arm, Course, each_arm
from medsim.trials.measures import Shown, Subgrouping
from medsim.trials.published import Published
from medsim.trials.result import Subgroup, TrialResult

__all__ = ["DEFAULT_SEED", "Trial", "TrialResult", "cohorts", "run_trial", "trial_steps"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
DEFAULT_SEED = 20261  # the fixed list of patients: not the evaluation's
BETWEEN_TWO = {"risk difference, points": risk_difference, "odds ratio": odds_ratio, "hazard ratio": hazard_ratio}
PER_UNIT = ("odds ratio per unit", "odds ratio per unit, adjusted", "risk difference per unit, points")
CHOSEN_HERE = ("cohort", "deaths")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """An emulated trial; the effect is of the first arm against the last.

    Args:
        env: the environment, which must have ``deaths="expected"`` and the measure ``death_probability``.
        run_in: how everybody is treated for ``run_in_h`` before randomisation.
        enrolled: who of those alive is enrolled, from the course until randomisation and its last step; criteria: the same in words.
        published: what others found; the first one's effect is the result's own ``effect``.
        exposures: if the arms are levels of something, such as hours of delay: effects are then per ``exposure_unit``, over all arms.
        adjust_for: parameters of patients that the adjusted odds ratio per unit accounts for.
        shown: what says whether the arms were treated as the trial's were. subgroups: where else the effect is reported.
        screened: by default; enough that 10,000 are enrolled.

    Raises:
        ValueError: the parts do not fit together.
    """

    name: str
    question: str
    env: str
    arms: tuple[Arm, ...]
    enrolled: Callable[[Course, int], Mask]
    criteria: str
    published: tuple[Published, ...] = ()
    run_in: Callable[[], Policy] | None = None
    run_in_h: float = 0.0
    exposures: tuple[float, ...] = ()
    exposure_unit: str = "unit"
    adjust_for: tuple[str, ...] = ()
    shown: tuple[Shown, ...] = ()
    subgroups: tuple[Subgrouping, ...] = ()
    screened: int = 27_000
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"trial {self.name} needs two or more arms of different names, not {names}")
        if self.exposures and (len(self.exposures) != len(names) or len(set(self.exposures)) < 2):
            raise ValueError(f"trial {self.name} needs an exposure for each of its {len(names)} arms, not {self.exposures}")
        if (self.run_in is None) != (self.run_in_h == 0.0) or self.run_in_h < 0.0:
            raise ValueError(f"trial {self.name}: a run-in needs a policy and hours above 0, not {self.run_in} and {self.run_in_h:g} h")
        if self.run_in is not None and any(arm.options for arm in self.arms):
            raise ValueError(f"trial {self.name}: arms with options of their own begin differently, so they cannot share a run-in")
        allowed = PER_UNIT if self.exposures else tuple(BETWEEN_TWO)
        for one in self.published:
            if one.effect not in allowed:
                raise ValueError(f"trial {self.name}: a published effect must be one of {', '.join(allowed)}, not {one.effect!r}")
            if one.risks_percent and len(one.risks_percent) != len(names):
                raise ValueError(f"trial {self.name}: {len(one.risks_percent)} published risks for {len(names)} arms")

    @property
    def effect_names(self) -> tuple[str, ...]:
        """The effects that are reported, the trial's own first."""
        usual = PER_UNIT if self.exposures else tuple(BETWEEN_TWO)
        if not self.adjust_for:
            usual = tuple(name for name in usual if not name.endswith("adjusted"))
        return tuple(dict.fromkeys([*(one.effect for one in self.published), *usual]))

    def label(self, effect: str) -> str:
        """Return an effect's name with the unit of the exposure."""
        return effect.replace("per unit", f"per {self.exposure_unit}")

    def effects(self, deaths: Array, weight: Array, patients: Mapping[str, Array]) -> dict[str, Effect]:
        """Return the effects by name, from deaths (arms, n), weights (n,) and parameters of patients (n,)."""
        levels = np.array(self.exposures)
        found = {}
        for name in self.effect_names:
            if name in BETWEEN_TWO:
                found[name] = BETWEEN_TWO[name](deaths[0], deaths[-1], weight)
            elif name == "risk difference per unit, points":
                found[name] = per_unit_risk_difference(levels, deaths, weight)
            else:
                adjusted = name.endswith("adjusted")
                covariates = np.column_stack([patients[one] for one in self.adjust_for]) if adjusted else None
                found[name] = per_unit_odds_ratio(levels, deaths, weight, covariates)
        return found


def cohorts(env: str) -> tuple[str, ...]:
    """Return the cohorts of an environment, the worlds of its ensemble, ``world-1`` and so on, last."""
    rules = {one.name: one.metadata for one in dataclasses.fields(make_task(env).config)}
    return tuple(rules["cohort"]["allowed"])


def trial_steps(trial: Trial, options: Mapping[str, Any] | None = None) -> int:
    """Return how many steps of a batch a trial takes, for a progress bar."""
    task = make_task(trial.env, **(options or {}))
    before, all_steps = steps_in(trial.run_in_h, task.step_h), int(task.horizon_steps)
    return before + len(trial.arms) * (all_steps - before)


def steps_in(hours: float, step_h: float) -> int:
    """Return how many steps hours are.

    Raises:
        ValueError: they are not a whole number of steps.
    """
    steps = round(hours / step_h)
    if not math.isclose(steps * step_h, hours):
        raise ValueError(f"{hours:g} h are not a whole number of steps of {step_h:g} h")
    return steps


@dataclass(kw_only=True)
class Tasks:
    """The environments of a trial; arms with the same options share one."""

    trial: Trial
    common: dict[str, Any]
    change: Callable[[Any], Any] | None
    made: dict[str, Any] = field(default_factory=dict)

    def of(self, policy: Policy, options: Mapping[str, Any]) -> Any:
        """Return the task in which a policy acts."""
        told = {**policy.options, **self.common, **options}
        key = repr(sorted(told.items()))
        if key not in self.made:
            task = make_task(self.trial.env, **told)
            self.made[key] = task if self.change is None else self.change(task)
        return self.made[key]


def run_trial(trial: Trial, patients: int | None = None, *, cohort: str = "test", seed: int = DEFAULT_SEED, threads: int = 1,
              settings: Callable[[Any], Any] | None = None, options: Mapping[str, Any] | None = None,
              progress: Callable[[int], None] | None = None) -> TrialResult:  # fmt: skip
    """Return the trial's result on a number of screened patients (default: the trial's own).

    Args:
        settings: changes the task (other constants, say); options: of the environment, for all arms.
        progress: called with 1 after every step of the batch; ``trial_steps`` says how often.

    Raises:
        ValueError: an argument is not allowed, or fewer than two patients meet the criteria.
    """
    patients = trial.screened if patients is None else patients
    if isinstance(patients, bool) or int(patients) != patients or patients < 1:
        raise ValueError(f"patients must be a whole number, 1 or larger, not {patients!r}")
    for name in CHOSEN_HERE:
        if name in (options or {}):
            raise ValueError(f"option {name} is the trial's: deaths are expected, and the cohort is an argument of its own")
    tasks = Tasks(trial=trial, common={"deaths": "expected", "cohort": cohort, **(options or {})}, change=settings)
    policies = [arm.policy() for arm in trial.arms]
    arms = [(tasks.of(policy, arm.options), policy) for policy, arm in zip(policies, trial.arms, strict=True)]
    run_in = None if trial.run_in is None else trial.run_in()
    step_h = arms[0][0].step_h
    begins = steps_in(trial.run_in_h, step_h)
    keep = ("map_mmhg", "norepinephrine_mcg_per_kg_per_min", *(one.measure for one in trial.shown))
    courses = each_arm(arms, patients, seed, keep, run_in=run_in, run_in_steps=begins, threads=threads, progress=progress,
                       run_in_task=None if run_in is None else tasks.of(run_in, {}))  # fmt: skip
    return summed_up(trial, courses, begins, step_h, cohort, seed, patients)


def summed_up(trial: Trial, courses: Iterable[Course], begins: int, step_h: float, cohort: str, seed: int, patients: int) -> TrialResult:
    """Return the result from the arms' courses, one at a time."""
    chosen: Mask | None = None
    risks, shown, means = [], [], []
    for course in courses:
        if chosen is None:
            chosen = enrolment(trial, course.until(begins), begins, patients)
            who = {name: values[chosen] for name, values in course.patients.items()}
        measures = {name: values[:, chosen] for name, values in course.measures.items()}
        alive = 1.0 - measures["death_probability"]
        weight = alive[begins]
        risks.append(1.0 - alive[-1] / np.maximum(weight, 1e-300))
        rate = alive[begins:].sum(axis=1) / weight.sum()
        alive[-1] = alive[-2]  # the last moment's is that to day 28; the patients who are averaged then are those of the course's end
        shown.append({one.name: one.summary(measures, alive, begins, step_h) for one in trial.shown})
        means.append({name: np.average(values, axis=1, weights=alive) for name, values in measures.items()})
        means[-1]["death_probability"] = np.concatenate([np.zeros(begins + 1), 1.0 - rate[1:]])
    assert chosen is not None
    deaths = np.stack(risks)
    return TrialResult(
        trial=trial, cohort=cohort, seed=seed, screened=patients, enrolled=int(chosen.sum()), deaths=deaths, alive=weight,
        effects=trial.effects(deaths, weight, who), subgroups=list(in_subgroups(trial, deaths, weight, who)), step_h=step_h,
        shown={one.name: [arm[one.name] for arm in shown] for one in trial.shown},
        courses={name: np.stack([arm[name] for arm in means]) for name in means[0]},
    )  # fmt: skip


def in_subgroups(trial: Trial, deaths: Array, weight: Array, who: Mapping[str, Array]) -> Iterator[Subgroup]:
    """Yield the trial's own effect in every subgroup of two patients or more."""
    for one in trial.subgroups:
        for name, mask in one.groups(who):
            if mask.sum() < 2:
                continue
            effects = trial.effects(deaths[:, mask], weight[mask], {key: values[mask] for key, values in who.items()})
            risks = [float(100.0 * np.average(row[mask], weights=weight[mask])) for row in deaths]
            effect = effects[trial.effect_names[0]]
            yield Subgroup(
                grouping=one.label, group=name, patients=int(mask.sum()), effect=effect, risks_percent=risks, caution=one.caution
            )


def enrolment(trial: Trial, course: Course, step: int, patients: int) -> Mask:
    """Return who is enrolled, (n,).

    Raises:
        ValueError: fewer than two patients meet the criteria.
    """
    chosen = np.asarray(trial.enrolled(course, step), dtype=np.bool_)
    if chosen.sum() < 2:
        raise ValueError(
            f"trial {trial.name}: {int(chosen.sum())} of {patients} patients meet the criteria ({trial.criteria}); "
            "2 or more are needed: screen more"
        )
    return chosen
