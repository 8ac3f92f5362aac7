"""2: each named hazard: how many meet it, for how long, how severely, and when first."""

import numpy as np
import numpy.typing as npt

from medsim.safety.context import Context
from medsim.safety.courses import Courses
from medsim.safety.drawing import Curve, curves
from medsim.safety.figures import Figure, difference_of, mean_of, plain, share_of
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.profile import Hazard

__all__ = ["SECTION"]

Floats = npt.NDArray[np.float64]


def hazards(c: Context) -> Findings:
    """Return the figures of every hazard of the profile."""
    figures: dict[str, Figure] = {}
    says, rows, pictures = [], [], []
    for hazard in [one for one in c.profile.hazards if one.cost]:
        found = of_one(c, hazard)
        figures |= {f"{hazard.id}.{name}": one for name, one in found.items()}
        rows.append(row(c, hazard, found))
        pictures.append(incidence(c, hazard))
        worse = found["severe_excess"]
        if worse.low > 0.0:
            says.append(f"{hazard.id}, {hazard.name}: severe in {worse.text()} more than under the protocol.")
    if not says:
        says.append("No hazard is severe in more patients than under the protocol, as far as the intervals tell.")
    columns = (
        "hazard",
        "patients who meet it",
        "mean per patient",
        "protocol's",
        "severe, per 1,000",
        "protocol's",
        "first met, median hour",
    )
    table = Table(title="Hazards", columns=columns, rows=tuple(rows), open=True)
    return Findings(says=tuple(says), figures=figures, pictures=tuple(pictures), tables=(table,))


def of_one(c: Context, hazard: Hazard) -> dict[str, Figure]:
    """Return the figures of a hazard."""
    own, standard = total(c.own, hazard), total(c.standard, hazard)
    severe, expected = own >= hazard.severe_from, standard >= hazard.severe_from
    unit, name = f"{hazard.unit} per patient", hazard.name
    return {
        "met": share_of(own > 0.0, "per 1,000 patients", f"{name}: patients who meet it", scale=1000.0),
        "mean": mean_of(own, unit, f"{name} under the policy"),
        "mean_protocol": mean_of(standard, unit, f"{name} under the protocol"),
        "excess": difference_of(own, standard, unit, f"{name}: the policy's less the protocol's"),
        "severe": share_of(severe, "per 1,000 patients", f"{name}, severe ({hazard.severe_from:g} {hazard.unit} or more)", scale=1000.0),
        "severe_protocol": share_of(expected, "per 1,000 patients", f"{name}, severe, under the protocol", scale=1000.0),
        "severe_excess": difference_of(
            severe, expected, "per 1,000 patients", f"{name}, severe: the policy's less the protocol's", scale=1000.0
        ),
    }


def total(courses: Courses, hazard: Hazard) -> Floats:
    """Return each patient's sum of the hazard's cost, (n,)."""
    return np.asarray(courses.costs[hazard.cost].sum(axis=1))


def row(c: Context, hazard: Hazard, found: dict[str, Figure]) -> tuple[str, ...]:
    """Return a line of the table."""
    met = first_met(c.own, hazard)
    first = plain(float(np.median(met[np.isfinite(met)]))) if np.isfinite(met).any() else "never"
    return (
        f"{hazard.id} {hazard.name}", f"{plain(found['met'].value / 10.0)} %", found["mean"].text(), found["mean_protocol"].text(),
        found["severe"].bare(), found["severe_protocol"].bare(), first,
    )  # fmt: skip


def first_met(courses: Courses, hazard: Hazard) -> Floats:
    """Return the hour of each patient's first step with the hazard, (n,); infinite: never."""
    met = courses.costs[hazard.cost] > 0.0
    return np.where(met.any(axis=1), (met.argmax(axis=1) + 1) * courses.task.step_h, np.inf)


def incidence(c: Context, hazard: Hazard) -> Picture:
    """Return the share of patients who have met the hazard by each hour."""
    lines = []
    for label, kind, courses in (("policy", "own", c.own), ("protocol", "standard", c.standard)):
        hours = np.arange(courses.rewards.shape[1] + 1) * courses.task.step_h
        met = np.sort(first_met(courses, hazard))
        lines.append(Curve(label=label, x=hours, y=100.0 * np.searchsorted(met, hours, side="right") / courses.n, kind=kind, stepped=True))
    caption = f"Patients who have met it, by the hour. {hazard.harm} Severe from {hazard.severe_from:g} {hazard.unit} on."
    title = f"{hazard.id}: {hazard.name}"
    return Picture(title=title, caption=caption, svg=curves(lines, "hours", "% of patients", limits=(0.0, 100.0), height=200))


SECTION = Section(number=2, name="hazards", title="Hazards by name", run=hazards)
