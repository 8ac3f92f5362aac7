"""What each target identifies: v0 with one mechanism taken out."""

from typing import Any

from benchmarks.fidelity.figures import Study
from benchmarks.fidelity.sensitivity import measured
from medsim.cli.progress import Progress
from medsim.treatments.sepsis.constants import constant_sets

__all__ = ["ABLATIONS", "ablations"]

ABLATIONS: dict[str, dict[str, float]] = {
    "as fitted": {},
    "norepinephrine does not injure": {"injury_by_ischaemia": 0.0},
    "lack of perfusion neither injures nor kills": {"injury_by_hypoperfusion": 0.0, "hazard_of_pressure": 0.0},
    "fluid overload does not injure": {"injury_by_overload": 0.0},
    "all patients have the same immune response": {"immune_sd": 0.0},
    "SAPS II says nothing of the immune response": {"severity_share": 0.0},
    "nobody differs in organs or frailty": {"organ_sd": 0.0, "frailty_sd": 0.0},
    "norepinephrine recruits no venous blood": {"venoconstriction": 0.0},
    "norepinephrine recruits twice the venous blood": {"venoconstriction": 1.8},
}


def ablations(study: Study) -> dict[str, Any]:
    """Return the figures of v0 without one mechanism at a time."""
    centre, runs = constant_sets()["v0"], {}
    with Progress(len(ABLATIONS), "runs", "ablations") as progress:
        for name, changes in ABLATIONS.items():
            runs[name] = measured(centre._replace(**changes), study)
            progress.update()
    return {"patients": study.patients, "runs": runs}
