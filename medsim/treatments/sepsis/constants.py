"""The constants that couple the published parts: chosen within stated bounds, then fitted to landmark trials.

``data/sepsis_constants.csv`` says what each is, its unit and bounds, and which are fitted; ``data/sepsis_fits.csv`` holds the sets
that meet every target (written by ``python -m benchmarks.fidelity fit``): ``v0``, the environment's own, and others as good. The trials
do not tell them apart, so a conclusion about policies ought to hold in all of them.
"""

import csv
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent.parent / "data"


class Constants(NamedTuple):
    """One set; meanings and units are in ``data/sepsis_constants.csv``."""

    growth_median_per_h: float
    growth_sd: float
    kill_median_per_h: float
    onset_damage_median: float
    immune_sd: float
    severity_share: float
    frailty_sd: float
    organ_sd: float
    inflammation_by_pathogen: float
    inflammation_half: float
    vasodilation: float
    blunting: float
    venoconstriction: float
    venodilation: float
    depression: float
    reflex_gain: float
    c50_ng_per_ml: float
    norepinephrine_volume_l: float
    leak_ml_per_kg: float
    leak_sharing: float
    critical_share: float
    perfusion_width_mmhg: float
    output_critical: float
    output_width: float
    injury_by_hypoperfusion: float
    injury_by_ischaemia: float
    ischaemia_half_ng_per_ml: float
    injury_by_overload: float
    overload_threshold: float
    overload_width: float
    lung_water_per_interstitial: float
    lung_water_by_inflammation: float
    lactate_clearance_per_h: float
    lactate_damage_per_d: float
    lactate_by_hypoperfusion: float
    organ_damage_per_d: float
    hazard_of_damage: float
    hazard_of_pressure: float
    hazard_map_half_mmhg: float
    hazard_of_lungs: float
    hazard_lung_water_half: float
    day28_intercept: float
    day28_per_point: float


@lru_cache(maxsize=1)
def constant_sets() -> dict[str, Constants]:
    """Return every set that fits, by name; ``v0`` first."""
    with (DATA / "sepsis_fits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["member"]: Constants(*(float(row[name]) for name in Constants._fields)) for row in rows}


@lru_cache(maxsize=1)
def constant_table() -> dict[str, dict[str, str]]:
    """Return what is known of each constant: unit, lowest, highest, start, fitted ("1" or "0"), meaning."""
    with (DATA / "sepsis_constants.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}
