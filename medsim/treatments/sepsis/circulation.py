"""Norepinephrine, vascular tone, cardiac output, pressure, and what their lack does to organs."""

from typing import NamedTuple

from medsim.core.portable import fmax, inline_power, power, sigmoid
from medsim.treatments.sepsis.constants import Constants

# Beloeil et al., Br J Anaesth 2005;95:782-788: clearance 3 L/min at SAPS II 20 and 0.9 at 60, volume 8.8 L
CLEARANCE_AT_SAPS_20_L_PER_MIN, CLEARANCE_EXPONENT = 3.0, -1.096
HILL = 1.8  # of norepinephrine's effect on pressure, with Emax 98.7 mmHg and C50 70.4 ng/mL: see Constants
EMAX_MMHG = 98.7
STRESSED_ML_PER_KG = 20.2  # stressed volume in man, Magder, De Varennes, Crit Care Med 1998;26:1061-1064
AFTERLOAD_EXPONENT = -0.15  # chosen: doubled resistance costs a tenth of the output


class Flow(NamedTuple):
    """The circulation in equilibrium; output and resistance relative to the patient's own in health."""

    map_mmhg: float
    output: float
    resistance: float


class Perfusion(NamedTuple):
    """How well organs are perfused, 0 to 1, by pressure; and what they lack, by pressure or flow."""

    pressure: float
    lack: float


def norepinephrine_clearance_l_per_h(saps2: float) -> float:
    """Return the clearance of norepinephrine."""
    return 60.0 * CLEARANCE_AT_SAPS_20_L_PER_MIN * power(saps2 / 20.0, CLEARANCE_EXPONENT)


def norepinephrine_effect(concentration_ng_per_ml: float, c50_ng_per_ml: float) -> float:
    """Return the effect, 0 to 1 (sigmoid Emax)."""
    ratio = inline_power(fmax(concentration_ng_per_ml, 1e-9) / c50_ng_per_ml, HILL)
    return ratio / (1.0 + ratio)


def inflammation(pathogen: float, phagocytes: float, c: Constants) -> float:
    """Return how inflamed the vessels are, 0 to 1: by phagocytes and pathogen, which are fast, not by damage, which is slow."""
    m = phagocytes + c.inflammation_by_pathogen * pathogen / (pathogen + 5.0)  # 5: chosen, a quarter of Reynolds' most
    return m * m / (m * m + c.inflammation_half * c.inflammation_half)


def circulation(plasma_excess_ml: float, effect: float, inflamed: float, weight_kg: float, map_baseline_mmhg: float, vasoplegia: float,
                c: Constants) -> Flow:  # fmt: skip
    """Return the circulation's equilibrium, with a baroreflex in closed form.

    Inflammation lowers resistance, venous tone and contractility, and blunts norepinephrine, which raises resistance and recruits
    stressed volume; output follows stressed volume with a ceiling (Starling) and falls with resistance.
    """
    stressed = fmax(
        1.0 + plasma_excess_ml / (STRESSED_ML_PER_KG * weight_kg) - c.venodilation * inflamed + c.venoconstriction * effect, 0.1
    )
    gain = EMAX_MMHG / map_baseline_mmhg * (1.0 - c.blunting * (inflamed - 0.5))
    resistance = fmax(1.0 - c.vasodilation * inflamed * vasoplegia + gain * effect, 0.1)
    afterload = inline_power(resistance, AFTERLOAD_EXPONENT)
    output = (1.0 - c.depression * inflamed) * 2.0 * stressed / (stressed + 1.0) * afterload
    unregulated = output * resistance
    pressure = map_baseline_mmhg * unregulated * (1.0 + c.reflex_gain) / (1.0 + c.reflex_gain * unregulated)
    return Flow(pressure, output, resistance)


def perfusion(map_mmhg: float, map_critical_mmhg: float, output: float, c: Constants) -> Perfusion:
    """Return how well organs are perfused."""
    pressure = sigmoid((map_mmhg - map_critical_mmhg) / c.perfusion_width_mmhg)
    enough = sigmoid((output - c.output_critical) / c.output_width)
    return Perfusion(pressure, 1.0 - pressure * enough)


def injury(lack: float, norepinephrine_ng_per_ml: float, excess_ml_per_kg: float, c: Constants) -> float:
    """Return damage per hour from hypoperfusion, from ischaemia under much norepinephrine, and from fluid overload."""
    squared = norepinephrine_ng_per_ml * norepinephrine_ng_per_ml
    ischaemia = squared / (squared + c.ischaemia_half_ng_per_ml * c.ischaemia_half_ng_per_ml)
    overload = sigmoid((0.001 * excess_ml_per_kg - c.overload_threshold) / c.overload_width)
    return c.injury_by_hypoperfusion * lack + c.injury_by_ischaemia * ischaemia + c.injury_by_overload * overload
