"""Every member of the ensemble measured on the test cohort."""

from typing import Any

from benchmarks.fidelity.figures import Study, every_figure
from benchmarks.fidelity.output import output_rises_percent, quartiles
from benchmarks.fidelity.search import Box, distance
from medsim.cli.progress import Progress
from medsim.treatments.sepsis.constants import constant_sets

__all__ = ["measure_members"]

RISES = 1000  # patients whose cardiac output is looked at one by one


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
