"""Whether there is something to learn: what doses do on average, whom they suit, and how far rules are from what could be had.

All strategies meet the same test patients, with the same fate and noise; deaths are probabilities. A patient's *stake* is the
difference between the worst and the best of some strategies, in points of risk. The clairvoyant takes each patient's best of all
strategies that hold one thing constant: what one would have who knew beforehand which of them suits whom. It is not the most that
could be had, for a rule may change its mind with the course.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.cli.progress import Progress
from medsim.policies.sepsis import Adaptive, DosingPolicy, Resuscitation
from medsim.treatments.sepsis.definition import FLUID_LEVELS_ML_PER_H, NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN
from medsim.treatments.sepsis.environment import sepsis_task
from medsim.trials.effects import risk_difference
from medsim.trials.emulation import run_arms

__all__ = [
    "BOLUSES", "CELLS", "EVERYTHING", "FAMILIES", "NOTHING", "PERSONAL_MMHG", "PROTOCOL", "RULE", "TARGETS", "cell", "measure_worth",
]  # fmt: skip

Array = npt.NDArray[np.float64]
TARGETS_MMHG = tuple(range(45, 100, 5))
PERSONAL_MMHG = (55, 60, 65, 70, 75, 80, 85)  # of which each patient's best is sought
BOLUSES_ML_PER_KG = (0, 10, 20, 30, 40, 50, 60)
PROTOCOL, RULE = "MAP target 65", "adaptive rule"
SEED = 7
MATTERS, MUCH = 1.0, 5.0  # points of risk
Z95 = 1.959963984540054


class Held(DosingPolicy):
    """The same doses for the whole course."""

    def __init__(self, fluid_ml_per_h: float, norepinephrine: float) -> None:
        self.doses = fluid_ml_per_h, norepinephrine

    def act(self, observations: Array) -> Array:
        """Return them."""
        fluid, dose = self.doses
        return self.order(np.full(len(observations), fluid), np.full(len(observations), dose))


def cell(fluid: float, dose: float) -> str:
    """Return the name of a grid cell that is held."""
    return f"{fluid:g} mL/h and {dose:g} mcg/kg/min"


TARGETS = {f"MAP target {target}": target for target in TARGETS_MMHG}
BOLUSES = {f"bolus {bolus}": bolus for bolus in BOLUSES_ML_PER_KG}
CELLS = {cell(fluid, dose): (fluid, dose) for fluid in FLUID_LEVELS_ML_PER_H for dose in NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN}
FAMILIES = {"MAP targets": tuple(TARGETS), "boluses": tuple(BOLUSES), "doses held": tuple(CELLS)}
NOTHING, EVERYTHING = next(iter(CELLS)), next(reversed(CELLS))


def strategies() -> dict[str, Any]:
    """Return every strategy by name; the protocol is both the target of 65 and the bolus of 30."""
    return {
        **{name: Resuscitation(map_target_mmhg=float(target)) for name, target in TARGETS.items()},
        **{name: Resuscitation(bolus_ml_per_kg=float(bolus)) for name, bolus in BOLUSES.items()},
        **{name: Held(*doses) for name, doses in CELLS.items()},
        RULE: Adaptive(),
    }


def measure_worth(patients: int) -> dict[str, Any]:
    """Return all figures, of test patients."""
    task = sepsis_task(action="continuous", deaths="expected", cohort="test")
    policies = strategies()
    with Progress(len(policies) * task.horizon_steps, "steps", "worth") as progress:
        courses = run_arms([(task, policy) for policy in policies.values()], patients, SEED, (), progress=progress.update)
    risk = {name: 100.0 * course.death for name, course in zip(policies, courses, strict=True)}
    return {
        "patients": patients,
        "rule": {f.name: getattr(policies[RULE], f.name) for f in dataclasses.fields(Adaptive) if f.name not in ("name", "options")},
        "deaths_percent": {name: interval(values) for name, values in risk.items()},
        "more_than_protocol": {name: paired(values, risk[PROTOCOL]) for name, values in risk.items() if name != PROTOCOL},
        "groups": {name: of_group({arm: r[chosen] for arm, r in risk.items()}) for name, chosen in groups(courses[0].patients).items()},
        "clairvoyant": clairvoyant(risk),
    }


def groups(who: Mapping[str, Array]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return who belongs to which group."""
    low, high = np.quantile(who["saps2"], [1.0 / 3.0, 2.0 / 3.0])
    return {
        "all": np.ones(len(who["saps2"]), dtype=np.bool_),
        "hypertensive": who["hypertension"] > 0.0,
        "normotensive": who["hypertension"] == 0.0,
        f"SAPS II up to {low:.0f}": who["saps2"] <= low,
        f"SAPS II {low:.0f} to {high:.0f}": (who["saps2"] > low) & (who["saps2"] <= high),
        f"SAPS II above {high:.0f}": who["saps2"] > high,
    }


def interval(values: Array) -> list[float]:
    """Return a mean with its 95 % interval over patients."""
    error = Z95 * float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    middle = float(values.mean())
    return [round(value, 3) for value in (middle, middle - error, middle + error)]


def paired(percent: Array, other: Array) -> list[float]:
    """Return the difference of two strategies' deaths, in points, with its interval."""
    effect = risk_difference(0.01 * percent, 0.01 * other)
    return [round(value, 3) for value in (effect.estimate, effect.low, effect.high)]


def of_group(risk: Mapping[str, Array]) -> dict[str, Any]:
    """Return what the answer to doses is in a group, and how much is at stake."""
    means = {name: float(values.mean()) for name, values in risk.items()}
    personal = np.stack([risk[f"MAP target {target}"] for target in PERSONAL_MMHG])
    every = np.stack([risk[name] for family in FAMILIES.values() for name in family])
    stake = np.ptp(personal, axis=0)
    best = np.where(stake < MATTERS, -1, personal.argmin(axis=0))
    averages = personal.mean(axis=1)
    return {
        "patients": personal.shape[1],
        "deaths_percent": {name: round(mean, 3) for name, mean in means.items()},
        "best_target_percent": {str(t): share(best == k) for k, t in enumerate(PERSONAL_MMHG)} | {"any": share(best == -1)},
        "best_common_target": PERSONAL_MMHG[int(averages.argmin())],
        "own_target_gains": interval(risk[PROTOCOL] - personal.min(axis=0)),
        "rule_gains": paired(risk[PROTOCOL], risk[RULE]),
        "rule_better_percent": share(risk[PROTOCOL] - risk[RULE] > MATTERS),
        "rule_worse_percent": share(risk[RULE] - risk[PROTOCOL] > MATTERS),
        "at_stake": {"targets": stakes(stake), "everything": stakes(np.ptp(every, axis=0))},
    }


def share(which: npt.NDArray[np.bool_]) -> float:
    """Return a share in percent."""
    return round(100.0 * float(which.mean()), 2)


def stakes(stake: Array) -> dict[str, Any]:
    """Return how stakes are distributed: mean, median, who has more than 5 points at stake, and the curve of who has more than x."""
    return {
        "mean": round(float(stake.mean()), 2),
        "median": round(float(np.median(stake)), 2),
        "more_than_5_points_percent": share(stake > MUCH),
        "more_than_x_points_percent": [share(stake > x) for x in range(101)],
    }


def clairvoyant(risk: Mapping[str, Array]) -> dict[str, Any]:
    """Return what is had by who knows the best strategy for each patient, against the best one for all."""
    names = [name for family in FAMILIES.values() for name in family]
    every = np.stack([risk[name] for name in names])
    single = names[int(every.mean(axis=1).argmin())]
    found: dict[str, Any] = {"best_single": single, "best_single_deaths": interval(risk[single])}
    for label, family in {**FAMILIES, "all of these": tuple(names)}.items():
        stack = np.stack([risk[name] for name in family])
        best = family[int(stack.mean(axis=1).argmin())]
        least = stack.min(axis=0)
        found[label] = {"best": best, "best_deaths": interval(risk[best]), "deaths": interval(least), "gain": paired(risk[best], least)}
    found["protocol_gain"] = paired(risk[PROTOCOL], every.min(axis=0))
    found["single_gain"], found["rule_gain"] = paired(risk[PROTOCOL], risk[single]), paired(risk[single], risk[RULE])
    winner = every.argmin(axis=0)
    starts = np.cumsum([0, *(len(family) for family in FAMILIES.values())])
    found["best_family_percent"] = {
        label: share((winner >= first) & (winner < last))
        for label, first, last in zip(FAMILIES, starts[:-1], starts[1:], strict=True)
    }  # fmt: skip
    return found
