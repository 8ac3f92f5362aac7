"""Every figure that a set of constants is judged by, computed on one cohort with common random numbers."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.fidelity.output import output_rise_percent
from medsim.core.task import Task
from medsim.policies.policy import Policy
from medsim.policies.sepsis import Adaptive, MostTreatment, NoTreatment, Resuscitation
from medsim.treatments.sepsis.constants import Constants
from medsim.treatments.sepsis.environment import sepsis_task
from medsim.trials.effects import Effect, area_under_roc, logistic_slope, risk_difference
from medsim.trials.emulation import Course, run_arms
from medsim.trials.result import TrialResult
from medsim.trials.septic_shock import ANTIBIOTIC_DELAY, CLOVERS, SEPSISPAM
from medsim.trials.trial import Trial, run_trial

__all__ = ["Study", "basic", "estimates", "every_figure"]

Array = npt.NDArray[np.float64]
KEEP = ("map_mmhg", "norepinephrine_mcg_per_kg_per_min", "sofa_points")
RANDOM_SEED = 5
FOLDS = 20
Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Study:
    """Who is simulated, and how finely."""

    patients: int
    cohort: str = "train"
    seed: int = 11
    substep_minutes: int = 10
    threads: int = 1
    delay_arms_every_h: int = 1
    progress: Callable[[int], None] | None = None

    def task(self, c: Constants, **options: Any) -> Task:
        """Return the environment with other constants."""
        told = {"action": "continuous", "deaths": "expected", "cohort": self.cohort, "substep_minutes": self.substep_minutes}
        return with_constants(c)(sepsis_task(**{**told, **options}))

    def arms(self, c: Constants, policies: list[Policy]) -> list[Course]:
        """Return the courses of the same patients under several policies."""
        task = self.task(c)
        return run_arms(
            [(task, policy) for policy in policies], self.patients, self.seed, KEEP, threads=self.threads, progress=self.progress
        )

    def at_random(self, c: Constants) -> Array:
        """Return the probabilities of death under random actions."""
        task = self.task(c, action="discrete")
        arms = run_arms([(task, QuickRandom())], self.patients, self.seed, KEEP, threads=self.threads, progress=self.progress)
        return arms[0].death

    def trial(self, trial: Trial, c: Constants) -> TrialResult:
        """Return an emulated trial."""
        return run_trial(trial, self.patients, cohort=self.cohort, seed=self.seed + 1, threads=self.threads, settings=with_constants(c),
                         options={"substep_minutes": self.substep_minutes}, progress=self.progress)  # fmt: skip


class QuickRandom:
    """Uniform actions for a whole batch, drawn at once."""

    name = "random"
    options: Mapping[str, Any] = {"action": "discrete"}

    def begin(self, env: Any) -> None:
        """Start the stream afresh."""
        self.draws = np.random.default_rng(RANDOM_SEED)
        self.actions, self.n = int(env.single_action_space.n), env.num_envs

    def act(self, observations: Array) -> Any:
        """Return an action for every patient."""
        return self.draws.integers(0, self.actions, self.n)


def with_constants(c: Constants) -> Callable[[Task], Task]:
    """Return what puts constants into a task."""
    return lambda task: dataclasses.replace(task, settings=task.settings._replace(constants=c))


def every_figure(c: Constants, study: Study) -> dict[str, Effect]:
    """Return all figures of the targets, and some to look at, with 95 % intervals over patients."""
    protocol, none, most, low_aim, adaptive = study.arms(
        c, [Resuscitation(), NoTreatment(), MostTreatment(), Resuscitation(map_target_mmhg=45.0), Adaptive()]
    )
    random = study.at_random(c)
    death = protocol.death
    found = {
        **basic(protocol),
        "random": percent(random), "none": percent(none.death), "maximum": percent(most.death), "target_45": percent(low_aim.death),
        "random_worse": risk_difference(random, death), "none_worse": risk_difference(none.death, random),
        "maximum_worse": risk_difference(most.death, death), "target_45_worse": risk_difference(low_aim.death, death),
        "adaptive_gain": risk_difference(death, adaptive.death),
        **of_sofa(protocol),
        "output_rise": exact(output_rise_percent(c)),
        **of_trials(c, study),
    }  # fmt: skip
    return {name: dataclasses.replace(effect, name=name) for name, effect in found.items()}


def estimates(figures: dict[str, Effect]) -> dict[str, float]:
    """Return the estimates alone."""
    return {name: effect.estimate for name, effect in figures.items()}


def basic(protocol: Course) -> dict[str, Effect]:
    """Return deaths and realism under the protocol."""
    death, early = protocol.death, protocol.measures["death_probability"][-2]
    dose, first = protocol.measures["norepinephrine_mcg_per_kg_per_min"], protocol.measures["map_mmhg"][0]
    return {
        "protocol": percent(death),
        "deaths_72_h": percent(early),
        "early_share": jackknife(lambda some: 100.0 * early[some].sum() / death[some].sum(), len(death)),
        "first_map": jackknife(lambda some: float(np.median(first[some])), len(death)),
        "ever_norepinephrine": percent((dose.max(axis=0) > 0.05).astype(float)),
    }


def of_sofa(protocol: Course) -> dict[str, Effect]:
    """Return what SOFA at 48 h says of those alive then, weighted by their chance to be; and what SAPS II says at the start."""
    by_then, death = protocol.measures["death_probability"][48], protocol.death
    alive = 1.0 - by_then
    later = (death - by_then) / np.maximum(alive, 1e-12)
    points, saps = protocol.measures["sofa_points"][48], protocol.patients["saps2"]
    n = len(death)
    return {
        "auroc_48": jackknife(lambda some: area_under_roc(points[some], later[some], alive[some]), n),
        "per_point_48": jackknife(lambda some: float(np.exp(logistic_slope(points[some], later[some], alive[some])[1])), n),
        "auroc_saps": jackknife(lambda some: area_under_roc(saps[some], death[some]), n),
        "sofa_first": mean(protocol.measures["sofa_points"][0]),
        "sofa_48": mean(points),
    }


def of_trials(c: Constants, study: Study) -> dict[str, Effect]:
    """Return the three trials' effects, arms and exposures."""
    clovers, pressure = study.trial(CLOVERS, c), study.trial(SEPSISPAM, c)
    every = study.delay_arms_every_h
    delays = dataclasses.replace(ANTIBIOTIC_DELAY, arms=ANTIBIOTIC_DELAY.arms[::every], exposures=ANTIBIOTIC_DELAY.exposures[::every])
    litres = [0.001 * ml for ml in clovers.shown["fluid_ml"]]
    reached, doses = pressure.shown["map_mmhg"], pressure.shown["norepinephrine_mcg_per_kg_per_min"]
    return {
        "clovers": clovers.effect, "clovers_enrolled": exact(100.0 * clovers.enrolled / clovers.screened),
        "clovers_restrictive": exact(clovers.risks_percent[0]), "clovers_liberal": exact(clovers.risks_percent[1]),
        "litres_restrictive": exact(litres[0]), "litres_liberal": exact(litres[1]),
        "sepsispam": pressure.effects["odds ratio"], "sepsispam_hazard": pressure.effects["hazard ratio"],
        "sepsispam_enrolled": exact(100.0 * pressure.enrolled / pressure.screened),
        "sepsispam_high": exact(pressure.risks_percent[0]), "sepsispam_low": exact(pressure.risks_percent[1]),
        "map_high": exact(reached[0]), "map_low": exact(reached[1]),
        "norepinephrine_high": exact(doses[0]), "norepinephrine_low": exact(doses[1]),
        "delay": study.trial(delays, c).effect,
    }  # fmt: skip


def exact(value: float) -> Effect:
    """Return a figure without an interval."""
    return Effect(name="", estimate=float(value), low=float(value), high=float(value))


def mean(values: Array) -> Effect:
    """Return a mean with its interval."""
    error = Z95 * float(values.std(ddof=1)) / np.sqrt(len(values))
    return Effect(name="", estimate=float(values.mean()), low=float(values.mean() - error), high=float(values.mean() + error))


def percent(chances: Array) -> Effect:
    """Return the mean of probabilities in percent."""
    return mean(100.0 * chances)


def jackknife(statistic: Callable[[Any], float], n: int) -> Effect:
    """Return a statistic of patients with an interval from leaving out a twentieth of them at a time."""
    fold = np.arange(n) % FOLDS
    parts = np.array([statistic(fold != number) for number in range(FOLDS)])
    error = Z95 * float(np.sqrt((FOLDS - 1) / FOLDS * ((parts - parts.mean()) ** 2).sum()))
    whole = float(statistic(np.ones(n, dtype=bool)))
    return Effect(name="", estimate=whole, low=whole - error, high=whole + error)
