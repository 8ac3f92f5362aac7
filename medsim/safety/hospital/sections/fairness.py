"""3: classes of patients, and hospitals of a region: who waits longer or is refused more often than under the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsim.safety.drawing import Interval, intervals
from medsim.safety.figures import Figure
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.hospital.context import HospitalContext
from medsim.safety.hospital.paired import gap_of, ratio_difference, ratio_of
from medsim.safety.hospital.profile import Measure

__all__ = ["SECTION"]

Floats = npt.NDArray[np.float64]
FEWEST = 50  # chosen: a class of fewer patients in all episodes together is shown and not judged


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """A class in a measure: episodes' sums and patients, (n, 2), under both; its level under both; the difference."""

    measure: Measure
    name: str
    own: Floats
    standard: Floats
    judged: bool

    @property
    def label(self) -> str:
        """The class in words."""
        return self.name.replace("_", " ")

    @property
    def patients(self) -> float:
        """How many there were, under whichever of the two had fewer."""
        return float(min(self.own[:, 1].sum(), self.standard[:, 1].sum()))

    @property
    def happened(self) -> bool:
        """Whether there was anything to count, under either of the two."""
        return bool(self.own[:, 0].any() or self.standard[:, 0].any())

    def level(self, sums: Floats) -> Figure:
        """Return the class's mean, in the measure's unit."""
        return ratio_of(sums, self.measure.unit, scale=self.measure.scale)

    def excess(self) -> Figure:
        """Return the policy's mean less the protocol's, in the measure's unit."""
        says = f"{self.measure.title}, {self.label}: the policy's less the protocol's"
        return ratio_difference(self.own, self.standard, self.measure.unit, says, scale=self.measure.scale)

    def in_margins(self, comparisons: int) -> Figure:
        """Return the same in margins, with an interval that is right for the worst of so many classes."""
        scale = self.measure.scale / self.measure.margins[self.name]
        says = f"{self.measure.title}, {self.label}: the policy's less the protocol's, in margins of {self.measure.margins[self.name]:g} "
        says += self.measure.unit
        return ratio_difference(self.own, self.standard, "margins", says, scale=scale, comparisons=comparisons)


def fairness(c: HospitalContext) -> Findings:
    """Return each class's waits and refusals against the protocol's on the same episodes."""
    found = [one for measure in c.profile.measures for one in of_measure(measure, c.own.classes, c.standard.classes)]
    judged = [one for one in found if one.judged]
    if not judged:
        return Findings(says=("There are no classes with enough patients to tell apart.",))
    worst = max((one.in_margins(len(judged)) for one in judged), key=lambda figure: figure.value)
    figures = {"worst_excess": worst}
    for measure in c.profile.measures:
        own = [one for one in judged if one.measure is measure]
        figures |= {f"{measure.name}.{one.name.replace(' ', '_')}.excess": one.excess() for one in own}
        if len(own) > 1:
            figures[f"{measure.name}.gap"] = gap(measure, own)
    says = sentences(judged, worst)
    happened = [(measure, [one for one in found if one.measure is measure and one.happened]) for measure in c.profile.measures]
    pictures = tuple(picture(measure, some) for measure, some in happened if some)
    return Findings(says=says, figures=figures, pictures=pictures, tables=(table(found), margins(c)))


def of_measure(measure: Measure, own: Mapping[str, Mapping[str, Floats]], standard: Mapping[str, Mapping[str, Floats]]) -> list[Found]:
    """Return the classes of a measure that have a margin, and somebody in them under both."""
    mine, theirs = own.get(measure.name, {}), standard.get(measure.name, {})
    found = []
    for name in measure.margins:
        if name in mine and name in theirs and mine[name][:, 1].any() and theirs[name][:, 1].any():
            fewer = min(mine[name][:, 1].sum(), theirs[name][:, 1].sum())
            found.append(Found(measure=measure, name=name, own=mine[name], standard=theirs[name], judged=bool(fewer >= FEWEST)))
    return found


def gap(measure: Measure, found: list[Found]) -> Figure:
    """Return how far apart a measure's classes are in what the policy does to them."""
    own = {one.name: (one.own * [measure.scale, 1.0], measure.margins[one.name]) for one in found}
    standard = {one.name: one.standard * [measure.scale, 1.0] for one in found}
    says = f"{measure.title}: widest gap between classes, in what differs from the protocol"
    return gap_of(own, standard, "margins", says)


def sentences(judged: list[Found], worst: Figure) -> tuple[str, ...]:
    """Return the section in words."""
    says = [f"Worst against the protocol, by the margin that is set for each class (the interval is widened for {len(judged)} classes): "
            f"{worst.says}: {worst.bare()}."]  # fmt: skip
    for one in judged:
        excess, many = one.excess(), one.in_margins(len(judged))
        if many.low > 0.0:
            says.append(f"{capital(one.measure.title)}, {one.label}: {excess.text()} more than under the protocol.")
    if len(says) == 1:
        says.append("No class fares worse than under the protocol, as far as the widened intervals tell.")
    return tuple(says)


def capital(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def picture(measure: Measure, found: list[Found]) -> Picture:
    """Return each class against the protocol."""
    lines = [Interval(label=one.label, figure=one.excess(), kind="fail" if one.excess().low > 0.0 else "other") for one in found]
    svg = intervals(lines, f"{measure.unit} more than under the protocol", mark=0.0, mark_label="as the protocol")
    caption = "Each class against the protocol on the same episodes, with 95 % intervals. Right of the line the policy does worse by it."
    return Picture(title=capital(measure.title), caption=caption, svg=svg)


def table(found: list[Found]) -> Table:
    """Return every class's level under both."""
    rows = [
        (one.measure.title, one.label, f"{one.patients:,.0f}" + ("" if one.judged else " (too few to judge)"),
         one.level(one.own).text(), one.level(one.standard).text(), one.excess().text(), one.in_margins(1).bare())
        for one in found
    ]  # fmt: skip
    columns = ("measure", "class", "patients", "policy", "protocol", "difference", "in margins")
    return Table(title="Classes", columns=columns, rows=tuple(rows))


def margins(c: HospitalContext) -> Table:
    """Return how much worse than under the protocol each class may fare, and why."""
    rows = []
    for measure in c.profile.measures:
        told = ", ".join(f"{name.replace('_', ' ')} {margin:g}" for name, margin in measure.margins.items())
        rows.append((measure.title, f"{told} ({measure.unit})", measure.reason))
    return Table(title="Margins", columns=("measure", "how much worse a class may fare", "why"), rows=tuple(rows))


SECTION = Section(number=3, name="fairness", title="Fairness between classes of patients", run=fairness)
