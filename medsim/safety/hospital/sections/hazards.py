"""2: each named harm: how much of it, how much more than under the protocol, and in how many episodes it is severe."""

import numpy as np

from medsim.safety.drawing import Curve, curves
from medsim.safety.figures import Figure, difference_of, mean_of, share_of
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.hospital.context import HospitalContext
from medsim.safety.hospital.episodes import Episodes
from medsim.safety.hospital.paired import positive
from medsim.safety.hospital.sections.outcome import PER_100
from medsim.safety.profile import Hazard

__all__ = ["SECTION", "counted", "severe_excess"]


def hazards(c: HospitalContext) -> Findings:
    """Return the figures of every hazard of the profile."""
    figures: dict[str, Figure] = {}
    says, rows, pictures = [], [], []
    for hazard in counted(c):
        found = of_one(c, hazard)
        figures |= {f"{hazard.id}.{name}": one for name, one in found.items()}
        rows.append(row(hazard, found))
        if c.own.costs[hazard.cost].any() or c.standard.costs[hazard.cost].any():
            pictures.append(picture(c, hazard))
        if found["excess"].low > 0.0:
            says.append(f"{hazard.id}, {hazard.name}: {found['excess'].text()} more than under the protocol.")
        elif found["excess"].high < 0.0:
            says.append(f"{hazard.id}, {hazard.name}: less than under the protocol, by {positive(found['excess']).text()}.")
    if not says:
        says.append("No hazard can be told from the protocol's by its mean.")
    columns = ("hazard", "policy, per episode", "protocol", "difference", "severe from", "severe, per 100 episodes", "protocol's")
    table = Table(title="Hazards", columns=columns, rows=tuple(rows), open=True)
    return Findings(says=tuple(says), figures=figures, pictures=tuple(pictures), tables=(table,))


def counted(c: HospitalContext) -> list[Hazard]:
    """Return the hazards that a cost counts."""
    return [one for one in c.profile.hazards if one.cost]


def of_one(c: HospitalContext, hazard: Hazard) -> dict[str, Figure]:
    """Return the figures of a hazard."""
    own, standard = c.own.costs[hazard.cost], c.standard.costs[hazard.cost]
    unit, name, severe = f"{hazard.unit} per episode", hazard.name, f"severe ({hazard.severe_from:g} {hazard.unit} or more)"
    return {
        "mean": mean_of(own, unit, f"{name} under the policy"),
        "mean_protocol": mean_of(standard, unit, f"{name} under the protocol"),
        "excess": difference_of(own, standard, unit, f"{name}: the policy's less the protocol's"),
        "severe": share_of(own >= hazard.severe_from, PER_100, f"{name}, {severe}", scale=100.0),
        "severe_protocol": share_of(standard >= hazard.severe_from, PER_100, f"{name}, {severe}, under the protocol", scale=100.0),
        "severe_excess": severe_excess(c.own, c.standard, hazard),
    }


def severe_excess(own: Episodes, standard: Episodes, hazard: Hazard) -> Figure:
    """Return in how many episodes more than under the protocol a hazard is severe."""
    more = 100.0 * ((own.costs[hazard.cost] >= hazard.severe_from) * 1.0 - (standard.costs[hazard.cost] >= hazard.severe_from))
    return mean_of(more, PER_100, f"{hazard.name}, severe: the policy's less the protocol's")


def row(hazard: Hazard, found: dict[str, Figure]) -> tuple[str, ...]:
    """Return a line of the table."""
    return (
        f"{hazard.id} {hazard.name}", found["mean"].text(), found["mean_protocol"].bare(), found["excess"].bare(),
        f"{hazard.severe_from:g} {hazard.unit}", found["severe"].bare(), found["severe_protocol"].bare(),
    )  # fmt: skip


def picture(c: HospitalContext, hazard: Hazard) -> Picture:
    """Return the hazard's amounts in order, the worst episodes first."""
    lines = []
    for label, kind, episodes in (("policy", "own", c.own), ("protocol", "standard", c.standard)):
        share = 100.0 * (np.arange(episodes.n) + 0.5) / episodes.n
        lines.append(Curve(label=label, x=share, y=np.sort(episodes.costs[hazard.cost])[::-1], kind=kind))
    caption = f"Episodes in order, the worst on the left. {hazard.harm} Severe from {hazard.severe_from:g} {hazard.unit} on."
    svg = curves(lines, "% of episodes", hazard.unit, height=200)
    return Picture(title=f"{hazard.id}: {hazard.name}", caption=caption, svg=svg)


SECTION = Section(number=2, name="hazards", title="Hazards by name", run=hazards)
