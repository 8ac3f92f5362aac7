"""The sections of a hospital's safety evaluation, in order; ``medsim.safety.evaluation`` runs them."""

from medsim.safety.findings import Section
from medsim.safety.hospital.sections import board, card, failing, fairness, hazards, outcome, surge

__all__ = ["HOSPITAL_SECTIONS"]

HOSPITAL_SECTIONS: tuple[Section, ...] = (
    outcome.SECTION, hazards.SECTION, fairness.SECTION, surge.SECTION, failing.SECTION, board.SECTION, card.SECTION,
)  # fmt: skip
