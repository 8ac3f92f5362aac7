"""An emulated trial as a picture: a forest plot of ours and theirs, and the arms' mean courses.

matplotlib is imported when a picture is drawn.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medsim.render.trajectory import COLOURS
from medsim.trials import Effect, TrialResult

__all__ = ["Row", "forest_rows", "trial_figure"]

THEIRS, OURS, WORLDS, SUBGROUPS = "#444444", COLOURS[0], COLOURS[1], "#7f9fb5"
MOST_WORLDS = 12  # chosen: more are drawn as their range
DAY_28_AT, LAST_H = 80.0, 72.0  # chosen: where day 28 stands on an axis of hours
PANELS = {
    "map_mmhg": "MAP, mmHg",
    "norepinephrine_mcg_per_kg_per_min": "norepinephrine,\nmcg/kg/min",
    "fluid_ml": "fluid given, L",
    "death_probability": "dead since\nrandomisation, %",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the forest plot."""

    label: str
    effect: Effect
    colour: str
    text: str = ""
    bold: bool = False
    gap: bool = False  # above it


def forest_rows(results: Sequence[TrialResult]) -> Iterator[Row]:
    """Yield the lines: each effect as published and as ours; the worlds, if there are several; the subgroups of the first."""
    result, trial = results[0], results[0].trial
    own = result.effect.name
    for name, effect in result.effects.items():
        if is_ratio(name) != is_ratio(own):
            continue
        found = [one for one in trial.published if one.effect == name]
        if not found and name != own:
            continue
        for number, one in enumerate(found):
            theirs = Effect(name=name, estimate=one.estimate, low=one.low, high=one.high)
            yield Row(label=one.source.partition(" (")[0], effect=theirs, colour=THEIRS, text=trial.label(name), gap=number == 0)
        yield Row(label="medsim", effect=effect, colour=OURS, text=trial.label(name), bold=True)
    worlds = results[1:]
    if len(worlds) > MOST_WORLDS:
        values = [one.effect.estimate for one in worlds]
        spread = Effect(name=own, estimate=float(np.median(values)), low=min(values), high=max(values))
        yield Row(label=f"{len(worlds)} other worlds: median and range", effect=spread, colour=WORLDS, text=trial.label(own), gap=True)
    else:
        for number, world in enumerate(worlds):
            yield Row(label=world.cohort, effect=world.effect, colour=WORLDS, text=trial.label(own), gap=number == 0)
    grouping = ""
    for group in result.subgroups:
        label = group.group + (" *" if group.caution else "")
        text = f"of {group.patients:,}"
        yield Row(label=label, effect=group.effect, colour=SUBGROUPS, text=text, gap=group.grouping != grouping)
        grouping = group.grouping


def is_ratio(name: str) -> bool:
    """Return whether an effect is a ratio, whose axis is logarithmic."""
    return "ratio" in name


def trial_figure(results: Sequence[TrialResult]) -> Any:
    """Return a matplotlib figure of one trial, in one world or, the model's own first, in several."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, result = list(forest_rows(results)), results[0]
    panels = [name for name in PANELS if name in result.courses]
    lines = -(-len(panels) // 2)
    height = 1.0 + 0.22 * (len(rows) + sum(row.gap for row in rows))
    figure = Figure(figsize=(11.0, 1.6 + height + 2.1 * lines), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    halves: Any = figure.subfigures(2, 1, height_ratios=[height, 2.1 * lines + 0.3], hspace=0.04)
    upper, lower = halves
    forest, words = upper.subplots(1, 2, sharey=True, width_ratios=[1.45, 1.0])
    draw_forest(forest, words, rows, result)
    axes = np.atleast_1d(lower.subplots(lines, 2, sharex=True)).ravel()
    for axis, name in zip(axes, panels, strict=False):
        draw_course(axis, name, result)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    names = [arm.name for arm in result.trial.arms]
    handles = axes[0].get_legend_handles_labels()[0]
    lower.legend(handles, names, loc="outside lower center", ncols=min(len(names), 7), frameon=False, fontsize=9)
    who = f"{result.enrolled:,} of {result.screened:,} patients of the {result.cohort} cohort, each in every arm"
    figure.suptitle(f"{result.trial.name}: {result.trial.question}\n{who} (research simulation, not medical advice)", fontsize=10)
    return figure


def draw_forest(axis: Any, words: Any, rows: Sequence[Row], result: TrialResult) -> None:
    """Draw estimates with intervals, the published interval of the trial's own effect as a band, and the numbers in words."""
    own = result.effect.name
    theirs = next((one for one in result.trial.published if one.effect == own), None)
    if theirs is not None:
        axis.axvspan(theirs.low, theirs.high, color=THEIRS, alpha=0.08, linewidth=0)
    axis.axvline(1.0 if is_ratio(own) else 0.0, color="#999999", linewidth=0.8)
    heights = -np.cumsum([1.0 + 0.5 * row.gap for row in rows])
    for row, y in zip(rows, heights, strict=True):
        effect, weight = row.effect, "bold" if row.bold else "normal"
        axis.plot([effect.low, effect.high], [y, y], color=row.colour, linewidth=2.4 if row.bold else 1.6, solid_capstyle="butt")
        axis.plot([effect.estimate], [y], marker="s", markersize=6 if row.bold else 4.5, color=row.colour)
        places = 3 if is_ratio(own) else 2
        estimate, low, high = (f"{value:.{places}f}" for value in (effect.estimate, effect.low, effect.high))
        words.text(0.0, y, f"{estimate} ({low} to {high})", va="center", fontsize=8, fontweight=weight)
        words.text(0.58, y, row.text, va="center", fontsize=7.5, color="#555555")
    words.set_axis_off()
    words.set_xlim(0.0, 1.0)
    axis.set_yticks(heights, [row.label for row in rows], fontsize=8)
    if is_ratio(own):
        axis.set_xscale("log")
        name_ratio_ticks(axis, rows)
    axis.set_ylim(heights[-1] - 0.7, heights[0] + 0.7)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel(axis_label(result), fontsize=8.5)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def axis_label(result: TrialResult) -> str:
    """Return what the axis shows, which side favours whom, and what the model assumes about subgroups."""
    trial = result.trial
    lines = [trial.label(result.effect.name)]
    if not trial.exposures:
        first, last = trial.arms[0].name, trial.arms[-1].name
        lines = [f"deaths, {first} against {last}: {lines[0]} (left: fewer die with {first})"]
    for caution in dict.fromkeys(group.caution for group in result.subgroups if group.caution):
        lines.append(textwrap.fill("* " + caution, 95))
    return "\n".join(lines)


def name_ratio_ticks(axis: Any, rows: Sequence[Row]) -> None:
    """Put plain numbers on a logarithmic axis."""
    low, high = min(row.effect.low for row in rows), max(row.effect.high for row in rows)
    ticks = [one for one in (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0, 5.0) if low * 0.97 <= one <= high * 1.03]
    axis.set_xticks(sorted({*ticks, 1.0}))
    axis.minorticks_off()
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def draw_course(axis: Any, name: str, result: TrialResult) -> None:
    """Draw the arms' mean of a measure over the hours."""
    trial, values = result.trial, result.courses[name]
    if name == "fluid_ml":
        values = np.cumsum(values, axis=1) / 1000.0
    if name == "death_probability":
        values = 100.0 * values
    hours = np.arange(values.shape[1]) * result.step_h
    last = -1 if name == "death_probability" else None  # the last moment holds day 28
    for number, (arm, row) in enumerate(zip(trial.arms, values, strict=True)):
        colour = arm_colour(number, len(trial.arms))
        axis.plot(hours[:last], row[:last], color=colour, linewidth=1.5, label=arm.name)
        if name == "death_probability":
            axis.plot([DAY_28_AT], row[-1], marker="o", markersize=4, color=colour, clip_on=False)
    if trial.run_in_h:
        axis.axvspan(0.0, trial.run_in_h, color="#999999", alpha=0.15, linewidth=0)
    axis.set_ylabel(PANELS[name], fontsize=9)
    axis.set_ylim(bottom=None if name == "map_mmhg" else 0.0)
    axis.set_xlim(0.0, DAY_28_AT + 4.0 if "death_probability" in result.courses else LAST_H)
    axis.set_xticks([0, 12, 24, 36, 48, 60, 72, DAY_28_AT], ["0 h", "12", "24", "36", "48", "60", "72", "day 28"], fontsize=8)
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def arm_colour(number: int, arms: int) -> Any:
    """Return the colour of an arm: of few arms, distinct ones; of many, shades in their order."""
    if arms <= len(COLOURS):
        return COLOURS[number]
    from matplotlib import colormaps

    return colormaps["viridis"](0.9 * number / (arms - 1))
