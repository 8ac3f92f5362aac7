"""What an emulated trial found."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medsim.trials.effects import Effect

if TYPE_CHECKING:
    from medsim.trials.trial import Trial

__all__ = ["Subgroup", "TrialResult"]

Array = npt.NDArray[np.float64]
DISCLAIMER = "Research simulation, not medical advice."
MEANING = "95 % over which patients came; not over whether the model is true, for which compare the worlds of the ensemble"


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """The trial's own effect in some of the enrolled, and their risks of death by arm."""

    grouping: str
    group: str
    patients: int
    effect: Effect
    risks_percent: list[float]
    caution: str = ""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What the emulation found.

    Attributes:
        enrolled: how many met the criteria; alive: their chance to have lived until randomisation, (n,): their weight in everything.
        deaths: the risk of death between randomisation and day 28 of those alive then, (arms, n), patient by patient.
        effects: by name, the trial's own first. shown: name -> a figure for each arm. subgroups: the trial's own effect in each.
        courses: measure -> mean over those alive, (arms, steps + 1); of ``death_probability`` the risk since randomisation.
    """

    trial: "Trial"
    cohort: str
    seed: int
    screened: int
    enrolled: int
    alive: Array
    deaths: Array
    effects: dict[str, Effect]
    shown: dict[str, list[float]] = field(default_factory=dict)
    subgroups: list[Subgroup] = field(default_factory=list)
    courses: dict[str, Array] = field(default_factory=dict)
    step_h: float = 1.0

    @property
    def effect(self) -> Effect:
        """The trial's own effect."""
        return self.effects[self.trial.effect_names[0]]

    @property
    def risks_percent(self) -> list[float]:
        """Risk of death by arm."""
        return [float(100.0 * np.average(row, weights=self.alive)) for row in self.deaths]

    @property
    def died_before_percent(self) -> float:
        """Share of those who met the criteria that had died before they could be randomised."""
        return float(100.0 * (1.0 - self.alive.mean()))

    def record(self) -> dict[str, Any]:
        """Return the result as plain lists, numbers and texts."""
        trial = self.trial
        names = [arm.name for arm in trial.arms]
        moments = len(next(iter(self.courses.values()))[0]) if self.courses else 0
        theirs = next((one.risks_percent for one in trial.published if one.risks_percent), ())
        return {
            "trial": trial.name, "question": trial.question, "env": trial.env, "disclaimer": DISCLAIMER,
            "cohort": self.cohort, "seed": self.seed, "screened": self.screened, "enrolled": self.enrolled,
            "criteria": trial.criteria, "run_in_h": trial.run_in_h, "died_before_randomisation_percent": self.died_before_percent,
            "arms": [
                {"name": name, "deaths_percent": risk, "published_percent": theirs[number] if theirs else None}
                for number, (name, risk) in enumerate(zip(names, self.risks_percent, strict=True))
            ],
            "shown": [
                {"name": one.name, "label": one.label, "at_h": one.at_h, "arms": self.shown[one.name], "published": list(one.published)}
                for one in trial.shown
            ],
            "interval": MEANING,
            "effects": [
                {**asdict(effect), "name": trial.label(name),
                 "published": [
                     {"estimate": one.estimate, "low": one.low, "high": one.high, "source": one.source,
                      "ours_is_inside": one.holds(effect.estimate)}
                     for one in trial.published if one.effect == name
                 ]}
                for name, effect in self.effects.items()
            ],
            "subgroups": [
                {**asdict(one), "effect": {**asdict(one.effect), "name": trial.label(one.effect.name)}} for one in self.subgroups
            ],
            "courses": {
                "hours": [step * self.step_h for step in range(moments)],
                **{name: {arm: row.tolist() for arm, row in zip(names, rows, strict=True)} for name, rows in self.courses.items()},
            },
            "notes": list(trial.notes),
        }  # fmt: skip
