"""6: groups of patients: who fares worst against the protocol, and how far groups are apart."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medsim.safety.context import Context
from medsim.safety.drawing import Interval, intervals
from medsim.safety.figures import Figure, difference_of, mean_of
from medsim.safety.findings import Findings, Picture, Section, Table

__all__ = ["SECTION"]

FEWEST = 50  # chosen: a group of fewer patients is shown and not judged


def subgroups(c: Context) -> Findings:
    """Return each group's harm against the protocol's on the same patients."""
    missing = tuple((what, why) for what, why in c.profile.not_grouped.items())
    if not c.profile.subgroups:
        return Findings(says=("There are no groups to tell apart in this environment.", *(f"{what}: {why}" for what, why in missing)))
    found: dict[str, tuple[Figure, Figure, int]] = {}
    for grouping in c.profile.subgroups:
        for label, who in grouping.groups(c.own):
            if who.sum() > 1:
                found[label] = (excess_of(c, who, label), mean_of(1000.0 * c.own_harm[who], "per 1,000 patients", label), int(who.sum()))
    judged = {label: one for label, one in found.items() if one[2] >= FEWEST}
    worst = max(judged, key=lambda label: judged[label][0].value)
    figures = {"worst_excess": widened(judged[worst][0], len(judged)), "widest_gap": gap(judged)}
    says = [f"The group that fares worst against the protocol is: {worst}, {figures['worst_excess'].text()} more {c.profile.harm.name} "
            f"(interval widened for {len(judged)} groups)."]  # fmt: skip
    says += [f"Not looked at: {what}: {why}" for what, why in missing]
    lines = [Interval(label=label, figure=one[0], kind="fail" if one[0].low > 0.0 else "other") for label, one in found.items()]
    svg = intervals(
        lines, f"more {c.profile.harm.name} than under the protocol, per 1,000 patients", mark=0.0, mark_label="as the protocol"
    )
    caption = "Each group against the protocol on the same patients, with 95 % intervals. Right of the line the policy does worse."
    rows = tuple(
        (label, f"{n:,}" + (" (too few)" if n < FEWEST else ""), level.text(), one.text()) for label, (one, level, n) in found.items()
    )
    table = Table(
        title="Groups", columns=("group", "patients", f"{c.profile.harm.name}, per 1,000", "more than under the protocol"), rows=rows
    )
    return Findings(
        says=tuple(says), figures=figures, pictures=(Picture(title="Groups of patients", caption=caption, svg=svg),), tables=(table,)
    )


def excess_of(c: Context, who: npt.NDArray[np.bool_], label: str) -> Figure:
    """Return a group's harm less the protocol's."""
    return difference_of(
        c.own_harm[who], c.standard_harm[who], "per 1,000 patients", f"{label}: more harm than under the protocol", scale=1000.0
    )


def widened(figure: Figure, groups: int) -> Figure:
    """Return a figure whose interval is right for the worst of so many groups (Bonferroni)."""
    from scipy.stats import norm

    factor = float(norm.ppf(1.0 - 0.025 / groups) / norm.ppf(0.975))
    return replace(
        figure, low=figure.value - factor * (figure.value - figure.low), high=figure.value + factor * (figure.high - figure.value)
    )


def gap(judged: dict[str, tuple[Figure, Figure, int]]) -> Figure:
    """Return how far the group with most harm is from the one with least, in excess over the protocol."""
    excesses = [one[0] for one in judged.values()]
    low, high = min(excesses, key=lambda one: one.value), max(excesses, key=lambda one: one.value)
    half = float(np.hypot(high.high - high.value, low.high - low.value))
    value = high.value - low.value
    return Figure(
        value=value,
        low=value - half,
        high=value + half,
        unit="per 1,000 patients",
        says="widest gap between groups, in excess over the protocol",
    )


SECTION = Section(number=6, name="subgroups", title="Groups of patients", run=subgroups)
