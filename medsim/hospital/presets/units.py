"""What the general hospitals have in common: the units and how they hang together, and the sources that several of them quote."""

from collections.abc import Mapping
from typing import Any

from medsim.hospital.flow.config import Group, Stay
from medsim.hospital.presets.sourced import Sourced

__all__ = [
    "CALIFORNIA", "CROWDING", "GROUPS", "PATIENCE", "TRIAGE", "WARD_SPREAD", "department", "intensive_care", "stays_by_acuity", "ward",
]  # fmt: skip

# Coefficient of variation of a stay on a ward: sigma of the logarithm is 0.83 ** 0.5.
WARD_SPREAD = 1.137
WARD_SPREAD_SOURCE = (
    "spread: lognormal with variance 0.83 of the logarithm on a family-medicine ward (Health Informatics J, doi 10.1177/1460458214565949)"
)
CALIFORNIA = "California Code of Regulations, Title 22, section 70217"
ED_SPREAD = 0.7  # chosen: as skewed as times in emergency departments usually are; no source gives treatment times by acuity

TRIAGE: Mapping[str, Any] = {
    "beds": Sourced(2, "chosen: two triage nurses, who keep up at the busiest hour; so triage is less used than the other units"),
    "stays": Sourced(
        (Stay(mean_h=5.0 / 60.0, sd_h=2.5 / 60.0),),
        "chosen: 5 minutes, a busy triage; 98 % of triages took less than that in Gomez Jimenez 2003, Can J Emerg Med 5:315",
    ),
    "exits": Sourced(({"ed": 1.0},), "chosen: everybody goes on to the emergency department's queue"),
    "discipline": "fifo",
}

PATIENCE = Sourced(
    (10_000.0, 96.0, 32.0, 16.0, 12.0),
    "chosen: nobody of category 1 leaves, less urgent ones sooner, some 3 to 6 % in all when categories are seen in their order; asked "
    "after triage, 51 % of 340 patients said they would wait up to 2 h and 32 % for ever (Shaikh 2012, West J Emerg Med)",
)

CROWDING: Mapping[str, Any] = {
    "crowding_from": Sourced(0.85, "chosen: the occupancy that is commonly called full"),
    "crowding": Sourced(
        1.0,
        "chosen: stays up to 14 % shorter in a full unit; that stays shorten is in Kc and Terwiesch 2012, Manufacturing & Service "
        "Operations Management 14, and Varney, Bean and Mackay 2019, Health Care Manag Sci 22:615 (most of 37 Australian units)",
    ),
}

GROUPS = Sourced(
    (Group(name="reference", share=0.849), Group(name="comparison", share=0.151, under_triage=1.18)),
    "Sax 2023, JAMA Netw Open 6(3):e233404, tables 2 and 3: 15.1 % of patients were Black, with an adjusted relative risk of under-triage "
    "of 1.18 (1.17 to 1.20) against non-Hispanic White patients; chosen: everybody else counts as the reference",
)


def stays_by_acuity(means_h: tuple[float, ...]) -> tuple[Stay, ...]:
    """Return stays in an emergency department by acuity, from their means in hours."""
    return tuple(Stay(mean_h=mean, sd_h=round(ED_SPREAD * mean, 6)) for mean in means_h)


def department(**settings: Any) -> dict[str, Any]:
    """Return an emergency department, whose agent chooses the triage category to see next; patients to be admitted board in its beds."""
    fixed = {"discipline": "agent", "choose_by": "triage", "may_hold": False, "blocks": True, "patience_h": PATIENCE}
    start = Sourced(0.5, "chosen: about what is taken at midnight")
    return {**fixed, "patients_per_nurse": Sourced(4.0, f"{CALIFORNIA}: 1 to 4"), "start_share": start, **settings}


def ward(mean_stay_d: float, source: str, **settings: Any) -> dict[str, Any]:
    """Return the wards, whose agent chooses between those who wait in the department, at home and in intensive care."""
    stay = Stay(mean_h=24.0 * mean_stay_d, sd_h=round(24.0 * mean_stay_d * WARD_SPREAD, 6))
    fixed = {"discipline": "agent", "choose_by": "source", "blocks": True, "stays": Sourced((stay,), f"{source}; {WARD_SPREAD_SOURCE}")}
    return {**fixed, "start_share": Sourced(0.9, "chosen: near the load"), **settings}


def intensive_care(**settings: Any) -> dict[str, Any]:
    """Return intensive care, whose agent chooses likewise; those who get better wait in their beds for one on a ward."""
    fixed = {"discipline": "agent", "choose_by": "source", "blocks": True, **CROWDING}
    exits = Sourced(
        ({"ward": 0.85},),
        "from memory, to be verified: some 85 in 100 leave intensive care for a ward, the others die there or go to other hospitals",
    )
    return {**fixed, "exits": exits, "start_share": Sourced(0.8, "chosen: near the load"), **settings}
