"""What the septic-shock patient has to reproduce: published intervals, aims well inside them, and what realism asks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["TARGETS", "Target", "loss", "meets", "room"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure's required range, the aim inside it that the search goes for, and a unit in which a miss is counted."""

    figure: str
    meaning: str
    low: float
    high: float
    aim_low: float
    aim_high: float
    unit: float
    source: str = ""


MOST = math.inf
TARGETS = (
    Target(figure="protocol", meaning="deaths by day 28 under the protocol, %", low=15, high=35, aim_low=24, aim_high=33, unit=5,
           source="trials of septic shock: 14 % (CLOVERS 2023) to 37 % (SEPSISPAM 2014)"),
    Target(figure="early_share", meaning="deaths before 72 h, % of all, protocol", low=15, high=60, aim_low=22, aim_high=45, unit=5),
    Target(figure="random_worse", meaning="random v protocol, points", low=10, high=MOST, aim_low=14, aim_high=MOST, unit=5),
    Target(figure="none_worse", meaning="no treatment v random, points", low=0, high=MOST, aim_low=8, aim_high=MOST, unit=5),
    Target(figure="maximum_worse", meaning="always-maximum v protocol, points", low=10, high=MOST, aim_low=20, aim_high=MOST, unit=5),
    Target(figure="clovers", meaning="restrictive v liberal fluids, risk difference, points", low=-4.4, high=2.6, aim_low=-3, aim_high=1.5,
           unit=1, source="CLOVERS, N Engl J Med 2023;388:499-510: -0.9 (-4.4 to 2.6)"),
    Target(figure="sepsispam", meaning="MAP target 80-85 v 65-70, odds ratio", low=0.84, high=1.38, aim_low=0.92, aim_high=1.25,
           unit=0.08, source="SEPSISPAM, N Engl J Med 2014;370:1583-1593: hazard ratio 1.07 (0.84-1.38), odds ratio 1.12"),
    Target(figure="target_45_worse", meaning="MAP target 45 v 65, points", low=10, high=MOST, aim_low=14, aim_high=MOST, unit=5),
    Target(figure="adaptive_gain", meaning="gain of the adaptive rule over the protocol, points: the room to learn in", low=1.5, high=MOST,
           aim_low=4, aim_high=MOST, unit=1),
    Target(figure="delay", meaning="odds ratio per hour of antibiotic delay", low=1.06, high=1.23, aim_low=1.09, aim_high=1.19, unit=0.03,
           source="Liu, Am J Respir Crit Care Med 2017;196:856-863 (1.06-1.23); Kumar, Crit Care Med 2006;34:1589-1596 (1.119)"),
    Target(figure="auroc_48", meaning="AUROC of SOFA at 48 h", low=0.80, high=1, aim_low=0.82, aim_high=0.92, unit=0.02,
           source="SOFA predicts death with .75 to .90: Jones, Crit Care Med 2009;37:1649; Ferreira, JAMA 2001;286:1754"),
    Target(figure="per_point_48", meaning="odds ratio per SOFA point at 48 h", low=1.14, high=1.59, aim_low=1.22, aim_high=1.5, unit=0.08,
           source="Namendys-Silva, Braz J Med Biol Res 2013;46:186-193: 1.35 (1.14-1.59)"),
    Target(figure="auroc_saps", meaning="AUROC of SAPS II at the start", low=0.65, high=1, aim_low=0.67, aim_high=0.85, unit=0.02),
    Target(figure="first_map", meaning="median MAP at the start, mmHg", low=45, high=66, aim_low=50, aim_high=64, unit=3),
    Target(figure="ever_norepinephrine", meaning="ever on norepinephrine, %, protocol", low=70, high=100, aim_low=75, aim_high=98, unit=5),
    Target(figure="output_rise", meaning="rise of cardiac output, MAP 55 to 75, a much inflamed patient, %", low=5, high=20, aim_low=6,
           aim_high=18, unit=2, source="Hamzaoui, Crit Care 2010;14:R142: MAP 54 to 76, cardiac index 3.2 to 3.6"),
    Target(figure="litres_restrictive", meaning="L in 24 h, restrictive arm", low=2.6, high=4.0, aim_low=2.8, aim_high=3.8, unit=0.3,
           source="CLOVERS: medians of 2.1 L before and 1.3 L after randomisation"),
    Target(figure="litres_liberal", meaning="L in 24 h, liberal arm", low=4.8, high=6.2, aim_low=5.0, aim_high=6.0, unit=0.3,
           source="CLOVERS: medians of 2.1 L before and 3.4 L after randomisation"),
)  # fmt: skip


def room(figures: Mapping[str, float], target: Target) -> float:
    """Return how far a figure is inside its aim (negative: outside), in the target's unit."""
    value = figures[target.figure]
    return min(value - target.aim_low, target.aim_high - value) / target.unit


def loss(figures: Mapping[str, float]) -> float:
    """Return the sum of the distances outside the aims; 0 meets them all."""
    return sum(max(0.0, -room(figures, target)) for target in TARGETS)


def meets(figures: Mapping[str, float]) -> bool:
    """Return whether every figure is in its required range."""
    return all(target.low <= figures[target.figure] <= target.high for target in TARGETS)
