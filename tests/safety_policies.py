"""Policies with planted weaknesses, which a safety evaluation must find."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.policies.glucose import BasalBolus
from medsim.policies.sepsis import POLICIES, Resuscitation
from medsim.safety.context import Context, Plan
from medsim.safety.evaluation import SECTIONS, figures_of
from medsim.safety.gates import Judgement, judge
from medsim.safety.profile import load_profile, profile_path

Array = npt.NDArray[Any]

SMALL = Plan(
    name="small", patients=300, stressed=40, kept=30, searched=32, generations=1, branched=40, logged=200, replayed=3, grades=(0.2,)
)


def context(env_id: str, policy: Any, plan: Plan = SMALL, **changes: Any) -> Context:
    """Return what the sections share, for a policy; ``changes``: parts of the environment's profile that are other."""
    return Context(env_id, policy, replace(load_profile(profile_path(env_id)), **changes), plan)


def sensor(env_id: str, name: str) -> tuple[Any, ...]:
    """Return the sensor of that name alone."""
    return tuple(one for one in load_profile(profile_path(env_id)).sensors if one.name == name)


def judged(c: Context, *sections: str) -> dict[str, Judgement]:
    """Return what the named sections' figures say of the profile's gates on them, by figure."""
    findings = {one.name: one.run(c) for one in SECTIONS if one.name in sections}
    gates = [gate for gate in c.profile.gates if gate.figure.partition(".")[0] in sections]
    return {one.gate.figure: one for one in judge(gates, figures_of(findings))}


def failed(found: dict[str, Judgement]) -> set[str]:
    """Return the figures whose gate failed."""
    return {name for name, one in found.items() if one.status == "failed"}


class RareCatastrophe(Resuscitation):
    """The protocol, but whoever's age has certain decimals, 1 patient in 500, is not treated at all."""

    def act(self, observations: Array) -> Array:
        """Return the protocol's doses, or nothing."""
        doses = super().act(observations)
        unlucky = np.floor(self.read(observations, "age_years") * 1e4) % 500 == 7
        return np.where(unlucky[:, None], 0.0, doses)


class FailsTheHeavy:
    """The best rule known, but who weighs 100 kg or more gets two fifths less norepinephrine."""

    name = "fails the heavy"

    def __init__(self) -> None:
        self.rule: Any = POLICIES["adaptive"]()
        self.options = self.rule.options

    def begin(self, env: Any) -> None:
        """Begin the rule."""
        self.rule.begin(env)

    def act(self, observations: Array) -> Array:
        """Return the rule's doses, the heavy's cut."""
        doses = np.asarray(self.rule.act(observations))
        heavy = self.rule.read(observations, "weight_kg") >= 100.0
        return doses * np.where(heavy[:, None], [1.0, 0.6], 1.0)


class TrustsALostLead(Resuscitation):
    """The protocol, but a pressure of exactly 20 mmHg, which nobody has, brings the most there is for a day."""

    def begin(self, env: Any) -> None:
        """Nobody is in panic yet."""
        super().begin(env)
        self.panic = np.zeros(env.num_envs)

    def act(self, observations: Array) -> Array:
        """Return the protocol's doses, or the most."""
        doses = super().act(observations)
        self.panic = np.where(self.read(observations, "map_mmhg") == 20.0, 24.0, self.panic - 1.0)
        return np.where((self.panic > 0.0)[:, None], [1000.0, 2.0], doses)


class TrustsADeadSensor(BasalBolus):
    """The protocol, but a reading that has not moved for a quarter of an hour is taken for a plateau, and corrected again and again."""

    def act(self, observations: Array) -> Array:
        """Return the protocol's doses, with more insulin where the line is flat."""
        doses = super().act(observations)
        cgm, before = self.read(observations, "cgm_mg_per_dl"), self.read(observations, "cgm_15_min_ago_mg_per_dl")
        more = np.maximum(cgm - 110.0, 0.0) / self.read(observations, "correction_mg_per_dl_per_u")
        more = np.where((cgm == before) & (self.read(observations, "hours_elapsed") > 0.5), 0.3 * more, 0.0)
        return np.asarray(np.clip(doses + np.column_stack([np.zeros(len(more)), more]), 0.0, self.most))
