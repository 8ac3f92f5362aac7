"""Where fluid goes: plasma, interstitium, urine.

Two compartments after Hahn (crystalloid volume kinetics): plasma leaves at k12, more at a higher pressure, and returns at k21; in
equilibrium an excess is shared 1 : k12 / k21. A leak that grows with inflammation draws plasma into the interstitium (our coupling).
"""

from medsim.core.portable import fmax, fmin, inline_power
from medsim.treatments.sepsis.constants import Constants

# Hahn, volume kinetics of Ringer's solution: k12 = 0.0956 (MAP / 81.3)^2.34, k21 = 0.0506 per minute
K12_PER_MIN, K21_PER_MIN = 0.0956, 0.0506
K12_MAP_MMHG, K12_MAP_EXPONENT = 81.3, 2.34
LOWEST_PLASMA_ML_PER_KG = -14.0  # chosen: a third of the plasma volume; the interstitium yields no less
URINE_ML_PER_KG_PER_H = 1.0  # chosen: within 0.5 to 1.5 mL/kg/h, the normal range
DIURESIS_ML_PER_KG = 8.0  # chosen: plasma excess that doubles the urine


def outflow_per_h(map_mmhg: float) -> float:
    """Return k12: the share of the plasma's excess that leaves it in an hour."""
    return 60.0 * K12_PER_MIN * inline_power(map_mmhg / K12_MAP_MMHG, K12_MAP_EXPONENT)


def exchange_per_h(outflow: float) -> float:
    """Return k12 + k21: how fast plasma and interstitium come into equilibrium."""
    return outflow + 60.0 * K21_PER_MIN


def plasma_share_ml(excess_ml: float, outflow: float, inflamed: float, leak: float, weight_kg: float, c: Constants) -> float:
    """Return the plasma's part of an excess in equilibrium; the leak moves both the sharing and the resting volume."""
    sharing = outflow / (60.0 * K21_PER_MIN) * (1.0 + c.leak_sharing * inflamed * leak)
    return excess_ml / (1.0 + sharing) - c.leak_ml_per_kg * weight_kg * inflamed * leak


def urine_ml_per_h(weight_kg: float, perfused: float, organ: float, plasma_excess_ml: float) -> float:
    """Return the urine's rate: less without pressure, with damage, and in hypovolaemia, more in hypervolaemia."""
    volume = fmin(fmax(1.0 + plasma_excess_ml / (DIURESIS_ML_PER_KG * weight_kg), 0.1), 4.0)
    return URINE_ML_PER_KG_PER_H * weight_kg * perfused * organ * volume
