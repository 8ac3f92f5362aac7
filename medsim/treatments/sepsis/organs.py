"""Organs: lungs, lactate, kidneys, and the surrogates for those that are not modelled; SOFA; the hazard of death."""

from typing import NamedTuple

from medsim.core.portable import exp, fmax, fmin, inline_exp, log, sigmoid
from medsim.treatments.sepsis.constants import Constants

LUNG_WATER_TAU_H, CONSOLIDATION_TAU_H, EFFUSION_TAU_H = 6.0, 24.0, 24.0  # chosen: hours for oedema, a day for the others
NORMAL_LUNG_WATER_ML_PER_KG = 7.4  # extravascular lung water index in health, Tagami et al., Crit Care 2010;14:R162
CREATININE_PER_H = 0.133  # clearance over volume; reproduces the rises of Waikar, Bonventre, J Am Soc Nephrol 2009;20:672-679
LACTATE_REST_MMOL_PER_L = 1.0  # normal arterial lactate


def lung_water_target(interstitial_ml: float, inflamed: float, weight_kg: float, leak: float, c: Constants) -> float:
    """Return the lung water that the lungs go to, mL/kg: interstitial fluid, more of it through inflamed and through leaky capillaries."""
    share = c.lung_water_per_interstitial * fmax(interstitial_ml, 0.0) / weight_kg
    return NORMAL_LUNG_WATER_ML_PER_KG + leak * (share * (1.0 + inflamed)) + leak * (c.lung_water_by_inflammation * inflamed)


def consolidation_target(pneumonia: float, inflamed: float) -> float:
    """Return the share of the lung that consolidates (hidden; for images). Chosen: half of it at most."""
    return pneumonia * 0.5 * inflamed


def effusion_target_ml(interstitial_ml: float, weight_kg: float) -> float:
    """Return the pleural fluid (hidden; for images). Chosen: a tenth of the interstitial fluid above 20 mL/kg."""
    return 0.1 * fmax(interstitial_ml - 20.0 * weight_kg, 0.0)


def lactate_rates(lack: float, damage: float, c: Constants) -> tuple[float, float]:
    """Return lactate's appearance, mmol/L/h, and its clearance per hour, which damage slows."""
    rest = LACTATE_REST_MMOL_PER_L * c.lactate_clearance_per_h
    return rest + c.lactate_by_hypoperfusion * lack, c.lactate_clearance_per_h * inline_exp(-c.lactate_damage_per_d * damage)


def creatinine_rates(baseline_mg_per_dl: float, perfused: float, organ: float) -> tuple[float, float]:
    """Return creatinine's appearance, mg/dL/h, and its clearance per hour."""
    return CREATININE_PER_H * baseline_mg_per_dl, CREATININE_PER_H * perfused * organ


def pf_ratio_mmhg(lung_water_ml_per_kg: float, consolidation: float, oxygenation: float) -> float:
    """Return PaO2 / FiO2. Chosen: 460 in health, a fall to 1 / e for 9 mL/kg of lung water, and shunt through consolidated lung."""
    wet = 460.0 * exp(-fmax(lung_water_ml_per_kg - NORMAL_LUNG_WATER_ML_PER_KG, 0.0) / 9.0)
    return wet * (1.0 - 0.6 * consolidation) * oxygenation


def hazard_per_h(damage: float, frailty: float, map_mmhg: float, lung_water_ml_per_kg: float, c: Constants) -> float:
    """Return the hazard of death now: of damage (squared), of very low pressure, of flooded lungs."""
    of_damage = c.hazard_of_damage * (0.1 * damage) * (0.1 * damage) * frailty
    of_pressure = c.hazard_of_pressure * sigmoid((c.hazard_map_half_mmhg - map_mmhg) / 3.0)  # 3 mmHg, 2 mL/kg: chosen widths
    return of_damage + of_pressure + c.hazard_of_lungs * sigmoid((lung_water_ml_per_kg - c.hazard_lung_water_half) / 2.0)


def hazard_after(sofa: float, c: Constants) -> float:
    """Return the hazard from the end of the course to day 28, cumulated, from SOFA there (logistic relation)."""
    odds = exp(c.day28_intercept + c.day28_per_point * sofa)
    return log(1.0 + odds)  # -log(1 - p) with p = odds / (1 + odds)


# --- SOFA (Vincent et al., Intensive Care Med 1996;22:707-710) -------------------------------------------------------------


class Ladder(NamedTuple):
    """The values at which an organ scores 1, 2, 3 and 4; the ends are where our smooth score is 0 and 4."""

    none: float
    one: float
    two: float
    three: float
    four: float
    worst: float


RESPIRATION = Ladder(460.0, 400.0, 300.0, 200.0, 100.0, 50.0)  # PaO2 / FiO2, mmHg
COAGULATION = Ladder(230.0, 150.0, 100.0, 50.0, 20.0, 5.0)  # platelets per nL
LIVER = Ladder(0.6, 1.2, 2.0, 6.0, 12.0, 18.0)  # bilirubin, mg/dL
BRAIN = Ladder(15.0, 14.5, 12.5, 9.5, 5.5, 3.0)  # Glasgow coma scale
KIDNEY = Ladder(0.8, 1.2, 2.0, 3.5, 5.0, 7.0)  # creatinine, mg/dL
PRESSURE = Ladder(78.0, 70.0, 62.0, 55.0, 48.0, 40.0)  # surrogate: MAP without support, mmHg; SOFA scores doses of drugs instead


def between(value: float, start: float, end: float) -> float:
    """Return how far a value is from start to end, 0 to 1."""
    return fmin(fmax((value - start) / (end - start), 0.0), 1.0)


def smooth_points(value: float, ladder: Ladder) -> float:
    """Return an organ's score, 0 to 4, without steps: rounded, it is SOFA's."""
    whole = between(value, ladder.one, ladder.two) + between(value, ladder.two, ladder.three) + between(value, ladder.three, ladder.four)
    return 0.5 * between(value, ladder.none, ladder.one) + whole + 0.5 * between(value, ladder.four, ladder.worst)
