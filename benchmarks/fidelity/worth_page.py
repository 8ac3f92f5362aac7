"""``WORTH.md`` and its pictures: what there is to learn, made of what ``worth`` measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.fidelity.plots import canvas, png
from benchmarks.fidelity.report import figure, stamp, table
from benchmarks.fidelity.worth import BOLUSES, CELLS, EVERYTHING, FAMILIES, NOTHING, PERSONAL_MMHG, PROTOCOL, RULE, TARGETS, cell
from medsim.treatments.sepsis.definition import FLUID_LEVELS_ML_PER_H, NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_worth"]

Data = Mapping[str, Any]
EVERYBODY, RAISED, USUAL = "#222222", "#0b5c8a", "#d9822b"  # told apart in grey too
GROUP_COLOURS = {"all": EVERYBODY, "hypertensive": RAISED, "normotensive": USUAL}
DEATHS = "deaths by day 28, %"
CONSTANT = len(TARGETS) + len(BOLUSES) + len(CELLS) - 1  # strategies; the protocol is a target and a bolus


def write_worth(folder: Path, name: str, data: Data, about: Data) -> None:
    """Write figures (as ``name``.json), pictures and the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**data, "about": dict(about)}, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / f"{name}_doses.png").write_bytes(png(doses_picture(data)))
    (folder / f"{name}_patients.png").write_bytes(png(patients_picture(data)))
    (folder / f"{name.upper()}.md").write_text(page(data, about), encoding="utf-8")


def doses_picture(data: Data) -> "Figure":
    """Draw the average answer to a pressure target, to a bolus, and to doses that are held."""
    drawn, panels = canvas(1, 3, 14.0, 4.2)
    by_target, by_bolus, grid = panels[0]
    curves(by_target, data, TARGETS, 65)
    by_target.set(xlabel="MAP target, mmHg", ylabel=DEATHS, title="The protocol with another pressure target")
    by_target.legend(frameon=False, fontsize=8, loc="upper right")
    curves(by_bolus, data, BOLUSES, 30)
    by_bolus.set(xlabel="first bolus over 3 h, mL/kg", ylabel=DEATHS, title="The protocol with another bolus")
    heat_map(grid, data)
    for panel in panels[0]:
        panel.title.set_fontsize(11)
    return drawn


def curves(panel: "Axes", data: Data, family: Mapping[str, int], usual: int) -> None:
    """Draw deaths against a dose, by group; the protocol's own dose is marked."""
    doses = list(family.values())
    for group, colour in GROUP_COLOURS.items():
        deaths = [data["groups"][group]["deaths_percent"][name] for name in family]
        panel.plot(doses, deaths, "o-", color=colour, markersize=3.5, label=group, linewidth=1.8 if group == "all" else 1.2)
        least = int(np.argmin(deaths))
        panel.plot(doses[least], deaths[least], "o", color=colour, markersize=9, fillstyle="none")
    panel.axvline(usual, color="#bbbbbb", linestyle=":", zorder=0)
    panel.text(usual, 2.0, " protocol", color="#777777", fontsize=8)
    panel.set_ylim(0.0, 70.0)
    panel.grid(axis="y", color="#eeeeee")


def heat_map(panel: "Axes", data: Data) -> None:
    """Draw deaths under each cell of the action grid, held for the whole course."""
    deaths = np.array(
        [[data["deaths_percent"][cell(f, d)][0] for d in NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN] for f in FLUID_LEVELS_ML_PER_H]
    )
    panel.imshow(deaths, cmap="viridis_r", vmin=20.0, vmax=100.0, aspect="auto", origin="lower")
    least = deaths.min()
    for (row, column), value in np.ndenumerate(deaths):
        light, weight = "white" if value > 60.0 else "black", "bold" if value == least else "normal"
        panel.text(column, row, f"{value:.0f}", ha="center", va="center", color=light, fontsize=10, fontweight=weight)
    row, column = np.unravel_index(deaths.argmin(), deaths.shape)
    panel.plot([column - 0.47, column + 0.47, column + 0.47, column - 0.47, column - 0.47],
               [row - 0.47, row - 0.47, row + 0.47, row + 0.47, row - 0.47], color="black", linewidth=2)  # fmt: skip
    panel.set_xticks(range(5), [f"{dose:g}" for dose in NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN])
    panel.set_yticks(range(5), [f"{fluid:g}" for fluid in FLUID_LEVELS_ML_PER_H])
    panel.set(xlabel="norepinephrine, mcg/kg/min", ylabel="fluid, mL/h")
    panel.set_title("Deaths by day 28, %: one action held for 72 h")
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)


def patients_picture(data: Data) -> "Figure":
    """Draw whom which target suits, who has how much at stake, and how far strategies are from knowing."""
    drawn, panels = canvas(1, 3, 15.0, 4.2)
    suits, stake, ladder = panels[0]
    best_targets(suits, data)
    at_stake(stake, data)
    rungs(ladder, data)
    return drawn


def best_targets(panel: "Axes", data: Data) -> None:
    """Draw the share of each group whom each target suits best."""
    from matplotlib import colormaps

    labels = list(data["groups"])
    left = np.zeros(len(labels))
    keys = ["any", *map(str, PERSONAL_MMHG)]
    colours = ["#dddddd", *(colormaps["plasma"](value) for value in np.linspace(0.05, 0.95, len(PERSONAL_MMHG)))]
    for number, (key, colour) in enumerate(zip(keys, colours, strict=True)):
        shares = np.array([data["groups"][group]["best_target_percent"][key] for group in labels])
        panel.barh(labels, shares, left=left, color=colour, label="any" if key == "any" else key, height=0.72)
        ink = "white" if 1 <= number <= 4 else "black"
        for row, value in enumerate(shares):
            if value >= 6.0:
                panel.text(left[row] + value / 2, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=ink)
        left += shares
    panel.invert_yaxis()
    panel.set(xlabel="patients, %", xlim=(0.0, 100.0))
    panel.set_title("MAP target that suits a patient best, mmHg", fontsize=11)
    beneath(panel, ncols=8, columnspacing=0.8, handlelength=1.0, handletextpad=0.4)
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)


def at_stake(panel: "Axes", data: Data) -> None:
    """Draw who has more than so many points of risk at stake."""
    points = np.arange(101)
    for group, colour in GROUP_COLOURS.items():
        of_targets = data["groups"][group]["at_stake"]["targets"]["more_than_x_points_percent"]
        panel.plot(points, of_targets, color=colour, label=f"MAP targets 55 to 85, {group}")
    of_all = data["groups"]["all"]["at_stake"]["everything"]["more_than_x_points_percent"]
    panel.plot(points, of_all, color=EVERYBODY, linestyle="--", label="all constant strategies, all")
    panel.axvline(5.0, color="#bbbbbb", linestyle=":", zorder=0)
    panel.text(6.0, 3.0, "5", color="#777777", fontsize=8)
    panel.set(xlabel="risk at stake (patient's worst less best strategy), points", ylabel="patients with more at stake, %")
    panel.set(xlim=(0, 100), ylim=(0, 101))
    panel.set_title("How much is at stake", fontsize=11)
    panel.grid(color="#eeeeee")
    beneath(panel, ncols=2, columnspacing=1.0)


def beneath(panel: "Axes", **layout: Any) -> None:
    """Put a legend under a panel."""
    panel.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), **layout)


def rungs(panel: "Axes", data: Data) -> None:
    """Draw deaths from the worst strategy to the clairvoyant's."""
    shown = ladder(data)
    for row, (_, (middle, low, high), colour) in enumerate(shown):
        panel.plot([low, high], [row, row], color=colour, linewidth=2)
        panel.plot([middle], [row], "o", color=colour, markersize=6)
        panel.text(high * 1.03, row, f"{middle:.1f}", va="center", fontsize=9)
    panel.set_yticks(range(len(shown)), [name for name, _, _ in shown])
    panel.set_xscale("log")
    panel.set_xlim(24.0, 118.0)
    panel.set_xticks([25, 30, 40, 50, 60, 80, 100], ["25", "30", "40", "50", "60", "80", "100"])
    panel.minorticks_off()
    panel.invert_yaxis()
    panel.set_xlabel(f"{DEATHS} (log scale)")
    panel.set_title("From harm to knowing", fontsize=11)
    panel.spines["left"].set_visible(False)
    panel.grid(axis="x", color="#eeeeee")
    panel.tick_params(axis="y", length=0)


def ladder(data: Data) -> list[tuple[str, list[float], str]]:
    """Return strategies with their deaths and a colour, in order of knowledge."""
    deaths, knows = data["deaths_percent"], data["clairvoyant"]
    grey, known = "#999999", "#6b8e23"
    return [
        ("always the maximum", deaths[EVERYTHING], grey),
        ("no treatment", deaths[NOTHING], grey),
        ("best cell held, for all", knows["doses held"]["best_deaths"], grey),
        ("protocol", deaths[PROTOCOL], RAISED),
        ("best target, for all", knows["MAP targets"]["best_deaths"], RAISED),
        ("best bolus, for all", knows["boluses"]["best_deaths"], RAISED),
        ("adaptive rule", deaths[RULE], USUAL),
        ("best cell, for each", knows["doses held"]["deaths"], known),
        ("best bolus, for each", knows["boluses"]["deaths"], known),
        ("best target, for each", knows["MAP targets"]["deaths"], known),
        ("best of all these, for each", knows["all of these"]["deaths"], known),
    ]


def page(data: Data, about: Data) -> str:
    """Return WORTH.md."""
    parts = [introduction(data), doses_part(data), people_part(data), bound_part(data), stamp(about)]
    return "\n".join(parts)


def introduction(data: Data) -> str:
    """Return what is asked, and the answer in figures."""
    deaths, knows, everybody = data["deaths_percent"], data["clairvoyant"], data["groups"]["all"]
    gain, stake = data["more_than_protocol"][RULE], everybody["at_stake"]["targets"]
    word = "fewer" if gain[0] < 0.0 else "more"
    return f"""# Is it worth learning?

What an agent can gain in `medsim/Sepsis-v0`, on {data["patients"]:,} test patients of world `v0`. Every strategy meets the same
patients with the same fate and noise, and deaths are the model's probabilities (`deaths="expected"`), so differences carry no noise of
drawing deaths. Intervals (95 %) are over patients; differences are paired, and so far surer than intervals of two strategies that
overlap suggest. All figures are the model's. Research simulation, not medical advice.

- **Treatment decides.** Deaths by day 28 go from {deaths[EVERYTHING][0]:.1f} % (always the maximum) and {deaths[NOTHING][0]:.1f} %
  (nothing) to {deaths[PROTOCOL][0]:.1f} % under the protocol. Of the grid's actions held for 72 h the best leaves
  {knows["doses held"]["best_deaths"][0]:.1f} % dead ({knows["doses held"]["best"]}).
- **It decides for the individual.** Between a patient's best and worst MAP target of 55 to 85 mmHg lie {stake["mean"]:.1f} points of risk
  on average; {stake["more_than_5_points_percent"]:.0f} % of patients have more than 5 points at stake.
- **Patients differ, within limits.** Knowing each patient's best of {CONSTANT} constant strategies would leave
  {knows["all of these"]["deaths"][0]:.1f} % dead, {knows["all of these"]["gain"][0]:.2f} points fewer than the best one for all
  ({knows["best_single"]}, {knows["best_single_deaths"][0]:.1f} %) and {knows["protocol_gain"][0]:.2f} fewer than the protocol.
- **The adaptive rule** leaves {deaths[RULE][0]:.1f} % dead, {abs(gain[0]):.2f} points {word} than the protocol; of these points
  {knows["single_gain"][0]:.2f} are had by the best constant strategy for all. Against it the rule gains {knows["rule_gain"][0]:.2f}.
"""


def doses_part(data: Data) -> str:
    """Return the average answers to doses."""
    deaths, people = data["deaths_percent"], data["groups"]
    shown = list(GROUP_COLOURS)

    def lines(family: Mapping[str, int]) -> list[list[str]]:
        return [[group, *(f"{people[group]['deaths_percent'][name]:.1f}" for name in family)] for group in shown]

    cells = [
        [f"{fluid:g}", *(f"{deaths[cell(fluid, dose)][0]:.1f}" for dose in NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN)]
        for fluid in FLUID_LEVELS_ML_PER_H
    ]
    return "\n".join(
        [
            "## Doses, on average\n",
            "Deaths in percent under the protocol (MAP target 65 mmHg, bolus of 30 mL/kg) with one number changed.\n",
            table(["MAP target, mmHg", *map(str, TARGETS.values())], lines(TARGETS)),
            table(["bolus, mL/kg", *map(str, BOLUSES.values())], lines(BOLUSES)),
            "And under one action of the grid, held for 72 h. The first cell is no treatment, the last is always the maximum.\n",
            table(["fluid, mL/h, by norepinephrine, mcg/kg/min", *(f"{d:g}" for d in NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN)], cells),
            "![Deaths by MAP target, by bolus and by action held; rings and frame mark the least](worth_doses.png)\n",
        ]
    )


def people_part(data: Data) -> str:
    """Return whom what suits."""
    people = data["groups"]
    best = [[name, *(f"{g['best_target_percent'][key]:.0f}" for key in (*map(str, PERSONAL_MMHG), "any")), str(g["best_common_target"])]
            for name, g in people.items()]  # fmt: skip
    stakes = [
        [
            name, f"{g['patients']:,}", f"{g['deaths_percent'][PROTOCOL]:.1f}",
            f"{g['at_stake']['targets']['mean']:.1f}", f"{g['at_stake']['targets']['median']:.1f}",
            f"{g['at_stake']['targets']['more_than_5_points_percent']:.0f}", f"{g['at_stake']['everything']['mean']:.0f}",
            figure(g["own_target_gains"]), figure(g["rule_gains"]), f"{g['rule_better_percent']:.0f} / {g['rule_worse_percent']:.0f}",
        ]
        for name, g in people.items()
    ]  # fmt: skip
    return "\n".join(
        [
            "## Whom they suit\n",
            "The target that suits a patient best, in percent of patients. *Any*: less than 1 point lies between their best and worst.\n"
            "Last: the target with fewest deaths if all in the group get the same.\n",
            table(["group", *map(str, PERSONAL_MMHG), "any", "one for all"], best),
            "Points of risk at stake, between a patient's worst and best: of these targets, and of all constant strategies. Points\n"
            "gained over the protocol by each patient's own best of these targets, and by the adaptive rule; patients whom the rule\n"
            "serves better / worse by more than 1 point.\n",
            table(
                ["group", "patients", "deaths, protocol, %", "targets: mean", "median", "more than 5, %", "all: mean", "own target gains",
                 "rule gains", "better / worse, %"], stakes),
            "![Best targets by group; stakes; deaths from doing nothing to knowing](worth_patients.png)\n",
        ]
    )  # fmt: skip


def bound_part(data: Data) -> str:
    """Return what knowing each patient's best would give."""
    knows = data["clairvoyant"]
    rows = [
        [label, str(len(FAMILIES[label]) if label in FAMILIES else CONSTANT), knows[label]["best"], figure(knows[label]["best_deaths"]),
         figure(knows[label]["deaths"]), figure(knows[label]["gain"])]
        for label in (*FAMILIES, "all of these")
    ]  # fmt: skip
    wins = ", ".join(f"{label} {share:.0f} %" for label, share in knows["best_family_percent"].items())
    rule = ", ".join(f"{name} {value:g}" for name, value in data["rule"].items())
    return "\n".join(
        [
            "## What knowing would give\n",
            "Deaths in percent with the best constant strategy for all, and with each patient's best: a bound on what any choice\n"
            "among these at the start can reach, however much it knows. It is no bound on rules that follow the course.\n",
            table(["of", "strategies", "best for all", "deaths", "each patient's best", "points between"], rows),
            f"Which suits best: {wins} of patients.\n",
            f"The adaptive rule is `medsim.policies.sepsis.Adaptive` with {rule}.\n",
        ]
    )
