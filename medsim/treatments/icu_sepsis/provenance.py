"""Where every number of ``medsim/ICUSepsis-v0`` comes from."""

import importlib.metadata

from medsim.core.task import Provenance
from medsim.treatments.icu_sepsis.tables import read_tables

__all__ = ["CITATION", "provenance"]

PAPER = "Choudhary, Gupta, Thomas, ICU-Sepsis: A Benchmark MDP Built from Real Medical Data, RLC 2024"
CITATION = f"{PAPER} (arXiv:2406.05646); tables of the package icu-sepsis (MIT), estimated from MIMIC-III"


def provenance() -> list[Provenance]:
    """Return what the installed package holds, and what was chosen here."""
    tables = read_tables()
    try:
        package = f"icu-sepsis {importlib.metadata.version('icu-sepsis')}"
    except importlib.metadata.PackageNotFoundError:
        package = "icu-sepsis"
    source = f"{PAPER}; {package}, dynamics.npz"
    return [
        Provenance(name="state.patients", value=713, unit="states", source=source),
        Provenance(name="actions", value="5 levels of fluid x 5 levels of vasopressor", unit="", source=source),
        Provenance(name="transitions", value=int(tables.transitions.nnz), unit="probabilities above 0", source=source),
        Provenance(name="start", value=int((tables.start > 0.0).sum()), unit="states", source=source),
        Provenance(name="expert", value=int((tables.expert > 0.0).sum()), unit="probabilities above 0", source=source),
        Provenance(name="centres", value="47 features of each state, without names, as the package scales them", unit="", source=source),
        Provenance(name="sofa", value=f"{tables.sofa.min():.3g} to {tables.sofa.max():.3g}", unit="points", source=source),
        Provenance(name="reward.survival", value=1.0, unit="at the end", source=source),
        Provenance(name="admissible", value=int(tables.admissible.sum()), unit="pairs", source=f"{package}, admissible_actions.txt"),
        Provenance(name="step", value=4.0, unit="h", source="the bins of the records, Komorowski et al., Nat Med 2018;24:1716-1720"),
        Provenance(name="horizon", value=500, unit="steps", source=f"{package}, MAX_EPISODE_STEPS"),
        Provenance(name="shifted", value="SOFA above the median of the start", unit="", source="chosen: sicker patients"),
    ]
