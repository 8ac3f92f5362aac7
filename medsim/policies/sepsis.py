"""Reference policies of ``medsim/Sepsis-v0``: no treatment, the Surviving Sepsis protocol, the arms of trials, the best rule found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import NamedColumns, Policy, RandomPolicy
from medsim.treatments.sepsis.circulation import CLEARANCE_AT_SAPS_20_L_PER_MIN, CLEARANCE_EXPONENT
from medsim.treatments.sepsis.titration import titrated_dose

Array = npt.NDArray[Any]
DOSES: Mapping[str, Any] = {"action": "continuous"}
EACH = np.frompyfunc(titrated_dose, 2, 1)


class DosingPolicy:
    """Base of the policies that order mL/h and mcg/kg/min."""

    name = ""
    options: Mapping[str, Any] = DOSES

    def begin(self, env: PatientVectorEnv) -> None:
        """Learn the observation's names.

        Raises:
            ValueError: the environment takes a grid of actions.
        """
        self.read = NamedColumns(env)
        space: Any = env.single_action_space
        if not isinstance(space, spaces.Box):
            raise ValueError(f"policy {self.name} orders doses and needs action='continuous', not {space}")
        self.most = np.asarray(space.high, dtype=np.float64)

    def order(self, fluid_ml_per_h: Array, norepinephrine: Array) -> Array:
        """Return the action, within its space; antibiotics, where they are the agent's, at once."""
        doses = [fluid_ml_per_h, norepinephrine, *([np.ones_like(fluid_ml_per_h)] if len(self.most) == 3 else [])]
        return np.asarray(np.clip(np.column_stack(doses), 0.0, self.most))


class NoTreatment(DosingPolicy):
    """Neither fluid nor norepinephrine."""

    name = "no-treatment"

    def act(self, observations: Array) -> Array:
        """Return zeros."""
        zero = np.zeros(len(observations))
        return self.order(zero, zero)


class MostTreatment(DosingPolicy):
    """The top of the grid, always: 750 mL/h and 1 mcg/kg/min."""

    name = "always-maximum"

    def act(self, observations: Array) -> Array:
        """Return the highest levels."""
        return self.order(np.full(len(observations), 750.0), np.ones(len(observations)))


def titrated(dose: Array, error_mmhg: Array) -> Array:
    """Return the next hour's norepinephrine of each patient, (n,)."""
    return np.asarray(EACH(dose, error_mmhg), dtype=np.float64)


@dataclass
class Resuscitation(DosingPolicy):
    """A bolus of fluid by weight, norepinephrine to a pressure, then fluid by rule.

    Args:
        bolus_ml_per_kg: given over ``bolus_hours``; norepinephrine_from_h: not before, unless the pressure is below ``rescue_mmhg``.
        map_target_mmhg: lower end of the wanted range, 5 mmHg wide.
        upkeep_ml_per_kg_per_h: until 24 h; trigger_lactate: a lactate at or above it brings 500 mL/h, while the balance is below
            ``most_balance_ml_per_kg``.
    """

    name: str = "surviving-sepsis"
    bolus_ml_per_kg: float = 30.0
    bolus_hours: float = 3.0
    norepinephrine_from_h: float = 1.0
    rescue_mmhg: float = 50.0
    map_target_mmhg: float = 65.0
    upkeep_ml_per_kg_per_h: float = 1.0
    trigger_lactate: float = 4.0
    most_balance_ml_per_kg: float = 60.0
    options: Mapping[str, Any] = field(default_factory=lambda: dict(DOSES))

    def act(self, observations: Array) -> Array:
        """Return fluid and norepinephrine."""
        time, weight = self.read(observations, "time_h"), self.read(observations, "weight_kg")
        return self.order(self.fluid(observations, time, weight), self.pressor(observations, time))

    def fluid(self, observations: Array, time: Array, weight: Array) -> Array:
        """Return mL/h."""
        missing = self.bolus_ml_per_kg * weight - self.read(observations, "fluid_given_ml")
        bolus = np.clip(missing, 0.0, self.bolus_ml_per_kg / self.bolus_hours * weight)
        dry = self.read(observations, "fluid_balance_ml") < self.most_balance_ml_per_kg * weight
        called_for = (self.read(observations, "lactate_mmol_per_l") >= self.trigger_lactate) & dry & (time < 24.0)
        later = np.where(called_for, 500.0, np.where(time < 24.0, self.upkeep_ml_per_kg_per_h * weight, 0.0))
        return np.where((missing > 1.0) & (time < 6.0), bolus, later)

    def pressor(self, observations: Array, time: Array) -> Array:
        """Return mcg/kg/min."""
        shown = self.read(observations, "map_mmhg")
        dose = titrated(self.read(observations, "norepinephrine_mcg_per_kg_per_min"), self.aim(observations) - shown)
        return np.where((time >= self.norepinephrine_from_h) | (shown < self.rescue_mmhg), dose, 0.0)

    def aim(self, observations: Array) -> Array:
        """Return the pressure wanted, the middle of the range."""
        return np.full(len(observations), self.map_target_mmhg + 2.5)


class Restrictive(Resuscitation):
    """CLOVERS' restrictive arm: norepinephrine first; 500 mL only in extremity; usual care after 24 h."""

    def __init__(self) -> None:
        super().__init__(name="restrictive", bolus_ml_per_kg=25.0, norepinephrine_from_h=2.0)

    def fluid(self, observations: Array, time: Array, weight: Array) -> Array:
        """Return the run-in's bolus, then 500 mL/h while the pressure is below 57 mmHg or lactate at least 5."""
        usual = super().fluid(observations, time, weight)
        extreme = (self.read(observations, "map_mmhg") < 57.0) | (self.read(observations, "lactate_mmol_per_l") >= 5.0)
        dry = self.read(observations, "fluid_balance_ml") < self.most_balance_ml_per_kg * weight
        return np.where(time < RUN_IN_H, usual, np.where(time < 24.0, np.where(extreme & dry, 500.0, 0.0), usual))


class Liberal(Resuscitation):
    """CLOVERS' liberal arm: 2 L at once, then 500 mL on triggers; norepinephrine after 5 L or in extremity; usual care after 24 h."""

    def __init__(self) -> None:
        super().__init__(name="liberal", bolus_ml_per_kg=25.0, norepinephrine_from_h=2.0)

    def fluid(self, observations: Array, time: Array, weight: Array) -> Array:
        """Return 2 L over two hours after the run-in, then 500 mL/h for pressure below 65, rate above 110 or lactate from 4."""
        usual = super().fluid(observations, time, weight)
        trigger = (self.read(observations, "map_mmhg") < 65.0) | (self.read(observations, "heart_rate_per_min") > 110.0)
        trigger |= self.read(observations, "lactate_mmol_per_l") >= 4.0
        room = self.read(observations, "fluid_given_ml") < LIBERAL_MOST_ML
        at_first = time < RUN_IN_H + 2.0
        return np.where(
            time < RUN_IN_H, usual, np.where(at_first, 1000.0, np.where(time < 24.0, np.where(trigger & room, 500.0, 0.0), usual))
        )

    def pressor(self, observations: Array, time: Array) -> Array:
        """Return norepinephrine only after 5 L, below 55 mmHg or from 6 h on, or if it runs already."""
        dose = super().pressor(observations, time)
        running = self.read(observations, "norepinephrine_mcg_per_kg_per_min") > 0.0
        allowed = running | (self.read(observations, "fluid_given_ml") >= 4900.0) | (self.read(observations, "map_mmhg") < 55.0)
        return np.where(allowed | (time >= 6.0), dose, 0.0)


LIBERAL_MOST_ML = 5500.0  # chosen, with the arms' triggers, so that they receive what the trial's did: medians of 3.3 and 5.5 L in 24 h
RUN_IN_H = 3.0  # the trials randomise then: after a bolus, before anything else differs


def pressure_arm(name: str, map_target_mmhg: float) -> Callable[[], Policy]:
    """Return the maker of a policy that is the protocol but for its pressure."""
    return lambda: Resuscitation(name=name, map_target_mmhg=map_target_mmhg)


@dataclass
class Adaptive(Resuscitation):
    """The best rule found: the protocol with its aims bent to the patient.

    The pressure aimed at rises with chronic hypertension and when little urine is made, and falls with the norepinephrine in the blood
    that it takes (estimated from the dose and from SAPS II, which predicts its clearance). Fluid: a bolus, then upkeep while the
    balance is low. The numbers were searched for on training patients: ``python -m benchmarks.fidelity rule``.
    """

    name: str = "adaptive"
    bolus_ml_per_kg: float = 52.0
    map_target_mmhg: float = 69.0
    hypertension_mmhg: float = 8.0
    oliguria_mmhg: float = 7.0
    concentration_mmhg: float = 3.8
    lowest_mmhg: float = 50.0
    upkeep_ml_per_kg_per_h: float = 0.1
    later_ml_per_kg_per_h: float = 0.0
    most_balance_ml_per_kg: float = 36.0
    trigger_lactate: float = 7.0

    def aim(self, observations: Array) -> Array:
        """Return the pressure wanted."""
        weight = self.read(observations, "weight_kg")
        dose = self.read(observations, "norepinephrine_mcg_per_kg_per_min")
        clearance_l_per_min = CLEARANCE_AT_SAPS_20_L_PER_MIN * (self.read(observations, "saps2") / 20.0) ** CLEARANCE_EXPONENT
        concentration = dose * weight / clearance_l_per_min
        oliguria = np.clip(1.0 - self.read(observations, "urine_ml") / (0.5 * weight), 0.0, 1.0)
        extra = self.hypertension_mmhg * self.read(observations, "hypertension") + self.oliguria_mmhg * oliguria
        return np.maximum(self.map_target_mmhg + 2.5 + extra - self.concentration_mmhg * concentration / 50.0, self.lowest_mmhg)

    def fluid(self, observations: Array, time: Array, weight: Array) -> Array:
        """Return the protocol's fluid, and after 24 h upkeep of its own while the balance is low."""
        dry = self.read(observations, "fluid_balance_ml") < self.most_balance_ml_per_kg * weight
        usual = super().fluid(observations, time, weight)
        return np.where(time < 24.0, np.where(dry, usual, 0.0), np.where(dry, self.later_ml_per_kg_per_h * weight, 0.0))


POLICIES: dict[str, Callable[[], Policy]] = {
    "random": RandomPolicy,
    "no-treatment": NoTreatment,
    "always-maximum": MostTreatment,
    "surviving-sepsis": Resuscitation,
    "restrictive": Restrictive,
    "liberal": Liberal,
    "map-80": pressure_arm("map-80", 80.0),
    "adaptive": Adaptive,
}
