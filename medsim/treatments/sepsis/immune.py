"""The immune response: pathogen, phagocytes, damage, anti-inflammatory mediator.

The four equations and their constants are those of Reynolds, Rubin, Clermont, Day, Vodovotz, Ermentrout (J Theor Biol
2006;242:220-236), as curated in BioModels BIOMD0000000714. To them come a kill by antibiotics and a source of damage from outside
the immune system (``circulation.injury``). Time is in hours; the model's own units of P, N, D and C are arbitrary.
"""

from typing import NamedTuple

from medsim.core.portable import inline_exp

# Reynolds 2006, table 2 (rates per hour)
KPM, KMP, SM, MUM = 0.6, 0.01, 0.005, 0.002  # local immune response: its kill, its loss by pathogen, its source, its decay
P_INFINITY, KPN = 20.0, 1.8  # most pathogen that the body holds; its kill by phagocytes
KNP, KNN, KND = 0.1, 0.01, 0.02  # activation of phagocytes by pathogen, phagocytes, damage
SNR, MUNR, MUN = 0.08, 0.12, 0.05  # source and decay of resting phagocytes; decay of activated ones
KDN, XDN, MUD = 0.35, 0.06, 0.02  # most damage by phagocytes, the level that makes half of it, repair
C_INFINITY, SC, KCN, KCND, MUC = 0.28, 0.0125, 0.04, 48.0, 0.1  # mediator: its strength, source, induction, weight of damage, decay
MEDIATOR_AT_REST = SC / MUC
ANTIBIOTIC_ONSET_H = 1.0  # chosen: time constant until an antibiotic kills at its full rate


class ImmuneRates(NamedTuple):
    """How fast the immune response moves; pathogen's is the rate of its logarithm."""

    log_pathogen: float
    phagocytes: float
    damage: float
    mediator: float


def immune_rates(
    pathogen: float,
    phagocytes: float,
    damage: float,
    mediator: float,
    growth_per_h: float,
    kill_per_h: float,
    phagocyte_decay_per_h: float = MUN,
    activation_by_damage: float = KND,
    damage_threshold: float = XDN,
) -> ImmuneRates:
    """Return the rates per hour.

    Args:
        growth_per_h: growth of the pathogen, k_pg; kill_per_h: kill by antibiotics; the last three: the patient's own mu_n, k_nd, x_dn.
    """
    free = 1.0 / (1.0 + (mediator / C_INFINITY) * (mediator / C_INFINITY))  # what the mediator leaves of any activity
    active = free * phagocytes
    local = KPM * SM / (MUM + KMP * pathogen)
    signal = free * (KNN * phagocytes + KNP * pathogen + activation_by_damage * damage)
    squared = (active / damage_threshold) * (active / damage_threshold)
    sixth = squared * squared * squared
    induced = free * (phagocytes + KCND * damage)
    return ImmuneRates(
        growth_per_h * (1.0 - pathogen / P_INFINITY) - local - KPN * active - kill_per_h,
        SNR * signal / (MUNR + signal) - phagocyte_decay_per_h * phagocytes,
        KDN * sixth / (1.0 + sixth) - MUD * damage,
        SC + KCN * induced / (1.0 + induced) - MUC * mediator,
    )


class Immune(NamedTuple):
    """Where the immune response stands."""

    pathogen: float
    phagocytes: float
    damage: float
    mediator: float


def immune_step(
    pathogen: float,
    phagocytes: float,
    damage: float,
    mediator: float,
    growth_per_h: float,
    kill_per_h: float,
    phagocyte_decay_per_h: float,
    activation_by_damage: float,
    damage_threshold: float,
    h: float,
) -> Immune:
    """Return the immune response h hours later, by Heun's method; the pathogen moves by its logarithm and so stays above zero."""
    r = immune_rates(
        pathogen, phagocytes, damage, mediator, growth_per_h, kill_per_h, phagocyte_decay_per_h, activation_by_damage, damage_threshold
    )
    q = immune_rates(
        pathogen * inline_exp(h * r.log_pathogen), phagocytes + h * r.phagocytes, damage + h * r.damage, mediator + h * r.mediator,
        growth_per_h, kill_per_h, phagocyte_decay_per_h, activation_by_damage, damage_threshold,
    )  # fmt: skip
    half = 0.5 * h
    return Immune(
        pathogen * inline_exp(half * (r.log_pathogen + q.log_pathogen)),
        phagocytes + half * (r.phagocytes + q.phagocytes),
        damage + half * (r.damage + q.damage),
        mediator + half * (r.mediator + q.mediator),
    )
