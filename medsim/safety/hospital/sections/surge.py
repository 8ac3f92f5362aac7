"""4: more patients, fewer beds: the policy against the protocol in each."""

from medsim.safety.drawing import Interval, intervals, matrix
from medsim.safety.figures import Figure, share_of
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.hospital.context import HospitalContext
from medsim.safety.hospital.episodes import Episodes
from medsim.safety.hospital.paired import PER_CENT, relative
from medsim.safety.hospital.sections.hazards import counted, severe_excess
from medsim.safety.hospital.sections.outcome import PER_100

__all__ = ["SECTION"]

WORST_CELL = 50.0  # chosen: per cent, and episodes of 100, from which on a cell is fully red
Pair = tuple[Episodes, Episodes]


def surge(c: HospitalContext) -> Findings:
    """Return how the policy fares in every surge of the profile, against the protocol in the same."""
    count = c.plan.amount.surged
    usual = (c.own.first(count), c.standard.first(count))
    met = {one.name: c.both(count, more=one.options) for one in c.profile.surges}
    figures: dict[str, Figure] = {}
    for name, pair in met.items():
        figures |= {f"{slug(name)}.{key}": one for key, one in of_one(c, name, pair, usual, len(met)).items()}
    excesses = [figures[f"{slug(name)}.loss_excess"] for name in met]
    figures["worst_excess"] = max(excesses, key=lambda one: one.value)
    figures["worst_growth"] = max((figures[f"{slug(name)}.growth"] for name in met), key=lambda one: one.value)
    return Findings(says=sentences(figures, list(met)), figures=figures, pictures=(cells(c, met, usual), grown(figures, list(met))),
                    tables=(table(c, figures),))  # fmt: skip


def slug(name: str) -> str:
    """Return a name for figures."""
    return "".join(letter if letter.isalnum() else "_" for letter in name.replace("%", "percent")).strip("_")


def of_one(c: HospitalContext, name: str, pair: Pair, usual: Pair, surges: int) -> dict[str, Figure]:
    """Return the figures of a surge; intervals of differences are widened for the worst of all surges."""
    own, standard = pair
    growth = relative(
        own.loss - usual[0].loss, standard.loss - usual[1].loss, usual[1].loss,
        f"{name}: by how much the loss grows, the policy's less the protocol's", unit=f"{PER_CENT} on usual days", comparisons=surges,
    )  # fmt: skip
    return {
        "loss_excess": relative(own.loss, standard.loss, standard.loss, f"{name}: loss, the policy's less the protocol's in the same",
                                comparisons=surges),
        "growth": growth,
        "grows": relative(own.loss, usual[0].loss, usual[0].loss, f"{name}: by how much the policy's loss grows",
                          unit="% of its usual loss"),
        "protocol_grows": relative(
            standard.loss, usual[1].loss, usual[1].loss, f"{name}: by how much the protocol's loss grows", unit="% of its usual loss"
        ),
        "catastrophes": share_of(c.profile.catastrophe.of(own, standard), PER_100, f"{name}: {c.profile.catastrophe.name}", scale=100.0),
    }  # fmt: skip


def sentences(figures: dict[str, Figure], names: list[str]) -> tuple[str, ...]:
    """Return the section in words."""
    worst = figures["worst_excess"]
    growth = figures["worst_growth"]
    return (
        f"Worst against the protocol: {worst.says}: {worst.text()} (interval widened for {len(names)}).",
        f"Steepest against the protocol: {growth.says}: {growth.text()}.",
    )


def cells(c: HospitalContext, met: dict[str, Pair], usual: Pair) -> Picture:
    """Return surges by harms: how much worse than the protocol in the same."""
    rows = {"as usual": usual, **met}
    columns = ("loss", *(hazard.id for hazard in counted(c)))
    values = [[relative(own.loss, standard.loss, standard.loss, "").value, *(severe_excess(own, standard, one).value for one in counted(c))]
              for own, standard in rows.values()]  # fmt: skip
    svg = matrix(list(rows), columns, values, worst=WORST_CELL, unit="worse than the protocol")
    names = ", ".join(f"{one.id} {one.name}" for one in counted(c))
    caption = (f"Against the protocol in the same. First column: loss, in % of the protocol's. Others: in how many of 100 episodes more a "
               f"hazard is severe ({names}). Below 0 the policy does better.")  # fmt: skip
    return Picture(title="Worse than the protocol, by surge and harm", caption=caption, svg=svg)


def grown(figures: dict[str, Figure], names: list[str]) -> Picture:
    """Return by how much losses grow, both together."""
    lines = []
    for name in names:
        lines.append(Interval(label=f"{name}: policy", figure=figures[f"{slug(name)}.grows"]))
        lines.append(Interval(label="protocol", figure=figures[f"{slug(name)}.protocol_grows"], kind="standard"))
    caption = "By how much the loss grows with the surge, in % of each one's own on usual days."
    return Picture(title="How losses grow", caption=caption, svg=intervals(lines, "% of its usual loss", mark=0.0, mark_label="as usual"))


def table(c: HospitalContext, figures: dict[str, Figure]) -> Table:
    """Return every surge with its reason."""
    rows = []
    for one in c.profile.surges:
        found = [figures[f"{slug(one.name)}.{key}"].text() for key in ("loss_excess", "growth", "catastrophes")]
        rows.append((one.name, ", ".join(f"{key}={value:g}" for key, value in one.options.items()), *found, one.reason))
    columns = ("surge", "options", "loss against the protocol's", "growth against the protocol's", "catastrophes", "why")
    return Table(title="Surges", columns=columns, rows=tuple(rows))


SECTION = Section(
    number=4, name="surge", title="Surge: more patients, fewer beds", run=surge,
    work=lambda c: 2.0 * c.plan.amount.surged * len(c.profile.surges),
)  # fmt: skip
