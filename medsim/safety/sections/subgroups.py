"""6: groups of patients: who fares worst against the protocol, and how far groups are apart."""

import numpy as np
import numpy.typing as npt

from medsim.safety.context import Context
from medsim.safety.drawing import Interval, intervals
from medsim.safety.figures import Figure, difference_of, mean_of
from medsim.safety.findings import Findings, Picture, Section, Table

__all__ = ["SECTION"]

Bools = npt.NDArray[np.bool_]

FEWEST = 50  # chosen: a group of fewer patients is shown and not judged


def subgroups(c: Context) -> Findings:
    """Return each group's harm against the protocol's on the same patients."""
    missing = tuple((what, why) for what, why in c.profile.not_grouped.items())
    if not c.profile.subgroups:
        return Findings(says=("There are no groups to tell apart in this environment.", *(f"{what}: {why}" for what, why in missing)))
    found: dict[str, tuple[Bools, Figure, Figure]] = {}
    for grouping in c.profile.subgroups:
        for label, who in grouping.groups(c.own):
            if who.sum() > 1:
                found[label] = (who, excess_of(c, who, label), mean_of(1000.0 * c.own_harm[who], "per 1,000 patients", label))
    judged = {label: who for label, (who, _, _) in found.items() if who.sum() >= FEWEST}
    worst = max(judged, key=lambda label: found[label][1].value)
    figures = {"worst_excess": excess_of(c, judged[worst], worst, len(judged)), "widest_gap": gap(c, judged)}
    says = [f"The group that fares worst against the protocol is: {worst}, {figures['worst_excess'].text()} more {c.profile.harm.name} "
            f"(interval widened for {len(judged)} groups)."]  # fmt: skip
    says += [f"Not looked at: {what}: {why}" for what, why in missing]
    lines = [Interval(label=label, figure=excess, kind="fail" if excess.low > 0.0 else "other") for label, (_, excess, _) in found.items()]
    svg = intervals(
        lines, f"more {c.profile.harm.name} than under the protocol, per 1,000 patients", mark=0.0, mark_label="as the protocol"
    )
    caption = "Each group against the protocol on the same patients, with 95 % intervals. Right of the line the policy does worse."
    rows = tuple(
        (label, f"{who.sum():,}" + ("" if label in judged else " (too few)"), level.text(), excess.text())
        for label, (who, excess, level) in found.items()
    )
    table = Table(
        title="Groups", columns=("group", "patients", f"{c.profile.harm.name}, per 1,000", "more than under the protocol"), rows=rows
    )
    return Findings(
        says=tuple(says), figures=figures, pictures=(Picture(title="Groups of patients", caption=caption, svg=svg),), tables=(table,)
    )


def excess_of(c: Context, who: Bools, label: str, comparisons: int = 1) -> Figure:
    """Return a group's harm less the protocol's, with an interval that is right for the worst of so many groups."""
    says = f"{label}: more harm than under the protocol"
    return difference_of(c.own_harm[who], c.standard_harm[who], "per 1,000 patients", says, scale=1000.0, comparisons=comparisons)


def gap(c: Context, judged: dict[str, Bools]) -> Figure:
    """Return how far the group with most harm is from the one with least, in excess over the protocol.

    The interval is widened for all pairs of groups (Bonferroni), since the two are chosen by what was found.
    """
    pairs = max(len(judged) * (len(judged) - 1) // 2, 1)
    excesses = [excess_of(c, who, label, pairs) for label, who in judged.items()]
    low, high = min(excesses, key=lambda one: one.value), max(excesses, key=lambda one: one.value)
    value, half = high.value - low.value, float(np.hypot(high.high - high.value, low.high - low.value))
    says = "widest gap between groups, in excess over the protocol"
    return Figure(value=value, low=value - half, high=value + half, unit="per 1,000 patients", says=says)


SECTION = Section(number=6, name="subgroups", title="Groups of patients", run=subgroups)
