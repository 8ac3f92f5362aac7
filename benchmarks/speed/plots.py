"""The pictures beside the table."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["pictures"]

COLOURS = ("#0b5c8a", "#d9822b", "#6b8e23", "#8a2b5c", "#777777")  # chosen: told apart in grey and by colour-blind readers
LADDER = (  # rungs of the ladder of competitors: group, its timing, label
    ("simglucose", "simglucose as shipped", "simglucose as shipped"),
    ("simglucose", "simglucose, plain attributes", "simglucose without pandas look-ups"),
    ("simglucose", "medsim, gym.make", "gym.make, one patient"),
    ("simglucose", "medsim, batch of 1,024", "gym.make_vec, 1,024"),
    ("rates", "compat_fast_rate", 'the same, fidelity="fast"'),
)


def pictures(data: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the pictures that the results have figures for, by file name."""
    found = {}
    if "simglucose" in data["timings_us"] and "rates" in data["timings_us"]:
        found["competitors.png"] = png(competitors(data["timings_us"]))
    if "shares" in data["more"]:
        found["shares.png"] = png(shares(data["more"]["shares"]["us"]))
    if "growth" in data["more"]:
        found["growth.png"] = png(growth(data["more"]["growth"], data["more"].get("threads", {}).get("gain", {})))
    return found


def canvas(columns: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    """Return a figure and its panels, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, columns, squeeze=False)[0].tolist()
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def png(figure: "Figure") -> bytes:
    """Return a figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130, metadata={"Software": None})
    return file.getvalue()


def competitors(timings: Mapping[str, Any]) -> "Figure":
    """Draw the time of one 3-minute step, from simglucose to a fast batch."""
    figure, (panel,) = canvas(1, 8.0, 2.6)
    labels = [label for _, _, label in LADDER]
    clocks = [timings[group][name]["cpu"] for group, name, _ in LADDER]
    medians = [clock["median"] for clock in clocks]
    errors = [[m - c["q1"] for m, c in zip(medians, clocks, strict=True)], [c["q3"] - m for m, c in zip(medians, clocks, strict=True)]]
    panel.barh(labels, medians, xerr=errors, color=[COLOURS[4]] * 2 + [COLOURS[0]] * 3, height=0.6)
    for row, median in enumerate(medians):
        panel.text(median * 1.15, row, f"{median:,.3g} us" if median < 1000 else f"{median:,.0f} us", va="center", fontsize=9)
    panel.set(xscale="log", xlabel="CPU time of a 3-minute step of one patient (us, log scale)", xlim=(0.2, max(medians) * 12))
    panel.invert_yaxis()
    return figure


def shares(configurations: Mapping[str, Any]) -> "Figure":
    """Draw the parts of a step's time, one bar a configuration."""
    figure, (panel,) = canvas(1, 9.0, 3.2)
    left = dict.fromkeys(configurations, 0.0)
    for part, colour in zip(next(iter(configurations.values())), COLOURS, strict=True):
        widths = [max(parts[part]["median"], 0.0) for parts in configurations.values()]
        panel.barh(list(configurations), widths, left=list(left.values()), color=colour, label=part, height=0.6)
        left = {name: start + width for (name, start), width in zip(left.items(), widths, strict=True)}
    panel.set(xlabel="CPU time of a step of one patient in a batch of 1,024 (us)")
    panel.invert_yaxis()
    panel.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return figure


def growth(found: Mapping[str, Any], gains: Mapping[str, Any]) -> "Figure":
    """Draw cost against batch size and episode length, and the gain from threads."""
    figure, (batch, length, threads) = canvas(3, 13.0, 3.6)
    for (name, line), colour in zip(found["batch"].items(), COLOURS, strict=False):
        batch.plot(line["batch"], line["us"], "o-", ms=3, color=colour, label=name)
        batch.fill_between(line["batch"], line["q1"], line["q3"], color=colour, alpha=0.2, lw=0)
    batch.set(xscale="log", yscale="log", xlabel="patients in the batch", ylabel="CPU us a step of one patient")
    batch.legend(frameon=False, fontsize=8)
    line = found["length"]
    length.plot(line["steps"], line["us"], "o-", ms=3, color=COLOURS[0])
    length.fill_between(line["steps"], line["q1"], line["q3"], color=COLOURS[0], alpha=0.2, lw=0)
    length.set(xscale="log", xlabel="steps of 5 minutes since the start", ylim=(0, 2 * max(line["us"])))
    counts = [int(count) for count in gains]
    threads.plot(counts, counts, "--", color=COLOURS[4], label="as many times as threads")
    threads.plot(counts, [gain["median"] for gain in gains.values()], "o-", color=COLOURS[0], label="batch of 4,096")
    threads.set(xlabel="threads", ylabel="times faster than one (wall time)", ylim=(0, None), xticks=counts)
    if gains:
        threads.legend(frameon=False, fontsize=8)
    return figure
