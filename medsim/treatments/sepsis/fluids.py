"""Where fluid goes: plasma, interstitium, urine.

Two compartments that exchange at k12 + k21 and share an excess 1 : k12 / k21 in health (Hahn, crystalloid volume kinetics), with a
leak that grows with inflammation and draws plasma into the interstitium (our coupling).
"""

from medsim.core.portable import fmax, fmin
from medsim.treatments.sepsis.constants import Constants

K12_PER_MIN, K21_PER_MIN = 0.0956, 0.0506  # Hahn, volume kinetics of Ringer's solution (population values at MAP 81.3 mmHg)
EXCHANGE_PER_H = 60.0 * (K12_PER_MIN + K21_PER_MIN)
INTERSTITIAL_PER_PLASMA = K12_PER_MIN / K21_PER_MIN
LOWEST_PLASMA_ML_PER_KG = -14.0  # chosen: a third of the plasma volume; the interstitium yields no less
URINE_ML_PER_KG_PER_H = 1.0  # chosen: within 0.5 to 1.5 mL/kg/h, the normal range
DIURESIS_ML_PER_KG = 8.0  # chosen: plasma excess that doubles the urine


def plasma_share_ml(excess_ml: float, inflamed: float, leak: float, weight_kg: float, c: Constants) -> float:
    """Return the plasma's part of an excess in equilibrium; the leak moves both the sharing and the resting volume."""
    sharing = INTERSTITIAL_PER_PLASMA * (1.0 + c.leak_sharing * inflamed * leak)
    return excess_ml / (1.0 + sharing) - c.leak_ml_per_kg * weight_kg * inflamed * leak


def urine_ml_per_h(weight_kg: float, perfused: float, organ: float, plasma_excess_ml: float) -> float:
    """Return the urine's rate: less without pressure, with damage, and in hypovolaemia, more in hypervolaemia."""
    volume = fmin(fmax(1.0 + plasma_excess_ml / (DIURESIS_ML_PER_KG * weight_kg), 0.1), 4.0)
    return URINE_ML_PER_KG_PER_H * weight_kg * perfused * organ * volume
