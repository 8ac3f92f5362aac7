"""3: do the doses conform: how high, how fast, how much in all, and what is given where it must not be."""

import numpy as np
import numpy.typing as npt

from medsim.safety.context import Context
from medsim.safety.courses import Courses
from medsim.safety.drawing import Curve, curves
from medsim.safety.figures import Figure, difference_of, plain, share_of
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.profile import Dose, Forbidden, Profile

__all__ = ["SECTION", "given"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PER_1000 = "per 1,000 patients"


def doses(c: Context) -> Findings:
    """Return whether doses stay within their limits."""
    if not c.profile.doses:
        return Findings(says=("This environment shows no doses: its actions are levels of a table.",))
    figures: dict[str, Figure] = {}
    says, rows = [], []
    for rule, name, reason, own, standard in broken_rules(c):
        excess = difference_of(own, standard, PER_1000, f"{name}: patients, the policy's less the protocol's", scale=1000.0)
        figures |= {f"{rule}.patients": share_of(own, PER_1000, name, scale=1000.0), f"{rule}.excess": excess}
        rows.append((name, figures[f"{rule}.patients"].text(), share_of(standard, PER_1000, scale=1000.0).text(), reason))
        if excess.low > 0.0:
            says.append(f"{name}: in {excess.text()} more than under the protocol.")
    if not says:
        says.append("No limit on doses is broken in more patients than under the protocol, as far as the intervals tell.")
    tables = (
        Table(title="Limits", columns=("limit broken", "policy", "protocol", "why it is a limit"), rows=tuple(rows), open=True),
        amounts(c),
    )
    return Findings(says=tuple(says), figures=figures, pictures=tuple(picture(c, dose) for dose in c.profile.doses), tables=tables)


def broken_rules(c: Context) -> list[tuple[str, str, str, Bools, Bools]]:
    """Return every rule: its name in figures, in words, its reason, and which patients break it, under the policy and the protocol."""
    found = []
    for dose in c.profile.doses:
        for key, words, broken in limits_of(dose):
            found.append((f"{dose.name}.{key}".replace(" ", "_"), words, dose.reason, broken(c.own), broken(c.standard)))
    for rule in c.profile.forbidden:
        name = rule.name.replace(" ", "_")
        found.append((f"forbidden.{name}", rule.name, rule.reason, breaks(rule, c.profile, c.own), breaks(rule, c.profile, c.standard)))
    return found


def limits_of(dose: Dose) -> list[tuple[str, str, "Limit"]]:
    """Return a dose's limits: name, words, and who breaks it."""
    unit = dose.unit
    limits = [("most", f"{dose.name} above {dose.most:g} {unit}", Limit(dose, "most"))]
    if dose.most_rise:
        limits.append(("rise", f"{dose.name} raised by more than {dose.most_rise:g} {unit} in a step", Limit(dose, "rise")))
    if dose.most_in_all:
        limits.append(("in_all", f"{dose.name} above {dose.most_in_all:g} {dose.unit_in_all} in all", Limit(dose, "in_all")))
    return limits


class Limit:
    """Says which patients' doses break a limit."""

    def __init__(self, dose: Dose, kind: str) -> None:
        self.dose, self.kind = dose, kind

    def __call__(self, courses: Courses) -> Bools:
        """Return who does, (n,)."""
        values, dose = given(courses, self.dose), self.dose
        if self.kind == "most":
            return np.asarray((values > dose.most * (1.0 + 1e-9)).any(axis=1))
        if self.kind == "rise":
            return np.asarray((rises(values) > dose.most_rise * (1.0 + 1e-9)).any(axis=1))
        return in_all(courses, dose) > dose.most_in_all


def given(courses: Courses, dose: Dose) -> Floats:
    """Return what was given in each step, (n, T), 0 after the end."""
    values = np.where(courses.there(), courses.measures[dose.measure][:, 1:], 0.0)
    return np.asarray(values / courses.task.step_h if dose.kind == "amount" else values)


def rises(values: Floats) -> Floats:
    """Return by how much each step's dose is above the one before, (n, T)."""
    return np.diff(values, axis=1, prepend=0.0)


def in_all(courses: Courses, dose: Dose) -> Floats:
    """Return what was given in an episode, (n,): boluses added, rates times hours."""
    return np.asarray(given(courses, dose).sum(axis=1) * (1.0 if dose.kind == "bolus" else courses.task.step_h))


def breaks(rule: Forbidden, profile: Profile, courses: Courses) -> Bools:
    """Return who gets a dose that is forbidden in their condition, (n,)."""
    values = given(courses, profile.dose(rule.dose))
    wrong = rule.when.holds(courses) & courses.there()
    if rule.above is not None:
        wrong &= values > rule.above
    if rule.raised_by is not None:
        wrong &= rises(values) > rule.raised_by
    return np.asarray(wrong.any(axis=1))


def amounts(c: Context) -> Table:
    """Return how much is given."""
    rows = []
    for dose in c.profile.doses:
        for label, courses in (("policy", c.own), ("protocol", c.standard)):
            values, total = given(courses, dose), in_all(courses, dose)
            unit = dose.unit_in_all
            rows.append((dose.name, label, f"{plain(float(values.max()))} {dose.unit}", f"{plain(float(rises(values).max()))} {dose.unit}",
                         f"{plain(float(np.median(total)))} {unit}", f"{plain(float(total.max()))} {unit}"))  # fmt: skip
    columns = ("dose", "by", "highest", "steepest rise in a step", "in all, median", "in all, most")
    return Table(title="Amounts", columns=columns, rows=tuple(rows))


def picture(c: Context, dose: Dose) -> Picture:
    """Return a dose over time: mean and 95th percentile over patients."""
    lines = []
    for label, kind, courses in (("policy", "own", c.own), ("protocol", "standard", c.standard)):
        values = np.where(courses.there(), given(courses, dose), np.nan)
        lived = np.flatnonzero(courses.there().any(axis=0))
        hours = (lived + 1) * courses.task.step_h
        lines.append(Curve(label=f"{label}, mean", x=hours, y=np.nanmean(values[:, lived], axis=0), kind=kind))
        lines.append(
            Curve(label=f"{label}, 95th percentile", x=hours, y=np.nanquantile(values[:, lived], 0.95, axis=0), kind=f"{kind} faint")
        )
    return Picture(title=dose.name.capitalize(), caption=f"{dose.name.capitalize()} over time, of those whose course goes on.",
                   svg=curves(lines, "hours", dose.unit, height=200))  # fmt: skip


SECTION = Section(number=3, name="doses", title="Doses", run=doses)
