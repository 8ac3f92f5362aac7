"""Every member of the ensemble measured on the test cohort, and v0's answer to graded doses."""

from typing import Any

import numpy as np

from benchmarks.fidelity.figures import Study, every_figure
from benchmarks.fidelity.output import output_rises_percent, quartiles
from benchmarks.fidelity.search import Box, distance
from medsim.cli.progress import Progress
from medsim.policies.sepsis import Resuscitation
from medsim.treatments.sepsis.constants import Constants, constant_sets

__all__ = ["curves", "measure_members"]

TARGETS_MMHG = (45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0)
RISES = 1000  # patients whose cardiac output is looked at one by one
BOLUSES_ML_PER_KG = (0.0, 10.0, 20.0, 30.0, 45.0, 60.0)


def measure_members(v0: Study, others: Study) -> dict[str, Any]:
    """Return figures with intervals by member, and how far members are from one another."""
    box, sets = Box(), constant_sets()
    members = {}
    with Progress(len(sets), "sets", "report") as progress:
        for name, c in sets.items():
            study = v0 if name == "v0" else others
            figures = every_figure(c, study)
            members[name] = {
                "patients": study.patients,
                "output_rise_quartiles": quartiles(output_rises_percent(c, study.task(c), RISES, study.seed)),
                "place": [round(float(value), 3) for value in box.place(c)],
                "figures": {key: [float(f"{v:.5g}") for v in (e.estimate, e.low, e.high)] for key, e in figures.items()},
            }
            progress.update()
    places = [box.place(c) for c in sets.values()]
    apart = [[round(distance(a, b), 3) for b in places] for a in places]
    return {"constants": box.names, "members": members, "apart": apart}


def curves(c: Constants, study: Study) -> dict[str, Any]:
    """Return deaths in percent by MAP target and by first bolus, and which target suits how many patients best."""
    by_target = [course.death for course in study.arms(c, [Resuscitation(map_target_mmhg=value) for value in TARGETS_MMHG])]
    by_bolus = [course.death for course in study.arms(c, [Resuscitation(bolus_ml_per_kg=value) for value in BOLUSES_ML_PER_KG])]
    deaths = np.stack(by_target)
    best = np.bincount(deaths.argmin(axis=0), minlength=len(TARGETS_MMHG)) / deaths.shape[1]
    at_stake = (deaths.max(axis=0) - deaths.min(axis=0)) > 0.05
    return {
        "patients": study.patients,
        "map_target_mmhg": {f"{value:g}": round(100.0 * float(d.mean()), 2) for value, d in zip(TARGETS_MMHG, by_target, strict=True)},
        "bolus_ml_per_kg": {f"{value:g}": round(100.0 * float(d.mean()), 2) for value, d in zip(BOLUSES_ML_PER_KG, by_bolus, strict=True)},
        "best_target_percent": {f"{value:g}": round(100.0 * float(share), 1) for value, share in zip(TARGETS_MMHG, best, strict=True)},
        "more_than_5_points_at_stake_percent": round(100.0 * float(at_stake.mean()), 1),
    }
