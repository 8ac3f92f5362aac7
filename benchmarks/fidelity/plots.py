"""The pictures beside the tables."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.fidelity.sensitivity import OUTPUTS
from benchmarks.fidelity.targets import TARGETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["pictures"]

DARK, LIGHT, WANTED = "#0b5c8a", "#d9822b", "#dfe8d8"
OPEN_ENDS = (1.0, 100.0, np.inf)  # upper ends that say nothing
SHOWN = 24  # constants in a picture: those that move something most


def pictures(results: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the pictures that there are figures for, by file name."""
    found = {}
    if "report" in results:
        found["targets.png"] = png(targets(results["report"]["members"]))
        found["ensemble.png"] = png(ensemble(results["report"]))
    if "one_at_a_time" in results:
        found["one_at_a_time.png"] = png(heat(*one_at_a_time(results["one_at_a_time"]["runs"]), "largest change, in units of its largest"))
    if "morris" in results:
        data = results["morris"]
        sizes = np.array([data["effects"][output]["mu_star"] for output in OUTPUTS]).T
        found["morris.png"] = png(heat(data["names"], sizes, "mean absolute effect, in units of its largest"))
    return found


def canvas(rows: int, columns: int, width: float, height: float) -> tuple["Figure", Any]:
    """Return a figure and its panels, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.ravel():
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def png(figure: "Figure") -> bytes:
    """Return a figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130, metadata={"Software": None})
    return file.getvalue()


def targets(members: Mapping[str, Any]) -> "Figure":
    """Draw every figure of every world over its required range."""
    figure, panels = canvas(6, 3, 11.0, 12.0)
    for panel, target in zip(panels.ravel(), TARGETS, strict=False):
        values = np.array([one["figures"][target.figure] for one in members.values()])
        reach = values.max() + 0.1 * np.ptp(values)
        panel.axvspan(target.low, reach if target.high in OPEN_ENDS else target.high, color=WANTED)
        for row, (estimate, low, high) in enumerate(values):
            panel.plot([low, high], [-row, -row], color=DARK if row == 0 else LIGHT, linewidth=1.5)
            panel.plot([estimate], [-row], "o", color=DARK if row == 0 else LIGHT, markersize=4)
        panel.set_title(target.meaning, fontsize=7)
        panel.set_yticks(-np.arange(len(members)), list(members), fontsize=7)
        panel.tick_params(axis="x", labelsize=7)
    for panel in panels.ravel()[len(TARGETS) :]:
        panel.set_visible(False)
    return figure


def ensemble(data: Mapping[str, Any]) -> "Figure":
    """Draw where every world's constants lie within their bounds."""
    figure, panels = canvas(1, 1, 8.0, 6.0)
    panel, names = panels[0, 0], data["constants"]
    for number, (member, one) in reversed(list(enumerate(data["members"].items()))):
        colour = DARK if number == 0 else f"C{number}"
        panel.plot(one["place"], range(len(names)), "o" if number == 0 else ".", color=colour, label=member, markersize=8)
    panel.set_yticks(range(len(names)), names, fontsize=7)
    panel.set_xlim(0.0, 1.0)
    panel.set_xlabel("place between lowest (0) and highest (1) value")
    panel.invert_yaxis()
    panel.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return figure


def one_at_a_time(runs: Mapping[str, Any]) -> tuple[list[str], Any]:
    """Return constants and the larger of the two changes that each makes to every output."""
    names = [name for name in runs if name != "v0"]
    sizes = [[max(abs(one[output] - runs["v0"][output]) for one in runs[name]["figures"]) for output in OUTPUTS] for name in names]
    return names, np.array(sizes)


def heat(names: list[str], sizes: Any, label: str) -> "Figure":
    """Draw sizes (constants, outputs) relative to each output's largest, of the constants that matter most."""
    share = sizes / np.maximum(sizes.max(axis=0), 1e-12)
    order = np.argsort(-share.max(axis=1) - 0.01 * share.sum(axis=1))[:SHOWN]
    figure, panels = canvas(1, 1, 8.0, 7.0)
    panel = panels[0, 0]
    image = panel.imshow(share[order], cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    panel.set_yticks(range(len(order)), [names[k] for k in order], fontsize=7)
    panel.set_xticks(range(len(OUTPUTS)), OUTPUTS, rotation=45, ha="right", fontsize=7)
    figure.colorbar(image, ax=panel, label=label)
    return figure
