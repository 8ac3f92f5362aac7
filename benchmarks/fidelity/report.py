"""``RESULTS.md``, made of what ``results.json`` holds so far."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.fidelity.sensitivity import CONCLUSIONS, OUTPUTS, broken
from benchmarks.fidelity.targets import TARGETS, Target

__all__ = ["page", "read_results", "write_results"]

Data = Mapping[str, Any]
INTRODUCTION = """# Fidelity of `medsim/Sepsis-v0`

The parts of the septic-shock patient are published; the constants that couple them are not. They were fitted to landmark trials on
simulated training patients (`fit`) and are judged here on test patients (`report`). Several sets fit equally well: `v0` is the
environment's own, the others are its cohorts `world-1`, `world-2`, ... **The trials do not tell these worlds apart, so a conclusion about
policies should hold in all of them.** Meeting a target that was fitted is no evidence for the model; the figures say how
the model behaves, the ensemble and the sensitivities how far that depends on what was chosen.

Deaths are the model's probabilities, so figures carry no noise of drawing deaths; intervals (95 %) are over patients, not over whether the
model is true. All arms and worlds meet the same patients. Research simulation, not medical advice.
"""
LIMITS = """## What does not fit, and what the figures cannot say

- No treatment is worse than random treatment, which is worse than the protocol; but always giving the most of both (54 L in 72 h, and
  norepinephrine at 1 mcg/kg/min throughout) is worst of all. Both cannot be had with a grid that leaves room to harm.
- Patients are met untreated when shock is recognised, with a SOFA of about 3 and a pressure of about 60 mmHg; trials enrol later, on
  norepinephrine and with a SOFA near 10, which the simulated reach at 48 h.
- One population cannot have CLOVERS' mortality (14 %) and SEPSISPAM's (35 %). The emulated CLOVERS enrols who is below 65 mmHg after
  25 mL/kg; they are more ill than the trial's. Differences and odds ratios are compared, not levels.
- The arms of CLOVERS are given triggers (`medsim/policies/sepsis.py`) so that they receive about the fluid that the trial's received:
  medians of 3.3 and 5.5 L with what came before randomisation. How much fluid was given is therefore set, what it does is not.
- Norepinephrine is weak at published C50 (70.4, read as ng/mL), so doses run high. The unit is not certain.
- Norepinephrine raises cardiac output less than it did in patients (12 % as MAP rose from 54 to 76 mmHg, Hamzaoui 2010). The required
  range is met in a patient who is much inflamed after 30 mL/kg, but the median simulated patient at 55 mmHg gains less (table above).
  More venous recruitment (`venoconstriction` about 1.6 instead of 0.9) would mend it, after another fit.
- SEPSISPAM printed a hazard ratio (1.07, 0.84 to 1.38). Its counts give an odds ratio of 1.12 (0.83 to 1.50). The target is the
  narrower range; the intervals of trials are wide, and everything inside them is equally well supported.
- AUROC and odds ratio of SOFA at 48 h are partly circular: the risk after 72 h is a logistic function of SOFA then, with the published
  slope. Deaths before 72 h come from the hazard and are given separately.
- That antibiotic delay harms more in its first hours than later is the model's; the figure is a slope over 0 to 6 h.
- Patients with chronic hypertension gain from a higher pressure target in this model. SEPSISPAM saw that in kidneys, not in deaths.
"""


def read_results(path: Path) -> dict[str, Any]:
    """Return what is stored."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write_results(folder: Path, section: str, data: Data, about: Data) -> None:
    """Store a section's figures and write page and pictures anew."""
    from benchmarks.fidelity.plots import pictures

    results = read_results(folder / "results.json")
    results[section] = {**data, "about": dict(about)}
    (folder / "results.json").write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    images = pictures(results)
    for name, image in images.items():
        (folder / name).write_bytes(image)
    (folder / "RESULTS.md").write_text(page(results, images), encoding="utf-8")


def page(results: Data, images: Iterable[str]) -> str:
    """Return RESULTS.md."""
    parts = [INTRODUCTION]
    writers = {"report": members_part, "one_at_a_time": one_at_a_time_part, "morris": morris_part, "ablations": ablations_part,
               "numerics": numerics_part}  # fmt: skip
    if "report" in results:
        parts.append(conclusions_part(results))
    for section, write in writers.items():
        if section in results:
            parts.append(write(results[section], images) + "\n" + stamp(results[section]["about"]))
    return "\n".join([*parts, LIMITS])


def stamp(about: Data) -> str:
    """Return the line that says how figures were made."""
    changed = ", with changes" if about["commit"].endswith("-changed") else ""
    return f"*`{about['command']}`, commit {about['commit'][:10]}{changed}, {about['cpu']}, {about['minutes']:.1f} min.*\n"


def table(head: list[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def figure(values: list[float]) -> str:
    """Return an estimate with its interval, if it has one."""
    estimate, low, high = values
    return number(estimate) + ("" if low == high else f" ({number(low)} to {number(high)})")


def number(value: float) -> str:
    """Return a number with three digits."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def span(target: Target) -> str:
    """Return a target's range in words."""
    return f"at least {target.low:g}" if target.high in (1, 100) or target.high > 1e6 else f"{target.low:g} to {target.high:g}"


def met(target: Target, estimate: float) -> bool:
    """Return whether a figure is in its range."""
    return target.low <= estimate <= target.high


def members_part(data: Data, images: Iterable[str]) -> str:
    """Return v0 against its targets, and the ensemble."""
    members = data["members"]
    first, others = members["v0"], {name: one for name, one in members.items() if name != "v0"}
    few = next(iter(others.values()))["patients"] if others else 0
    lines = [
        f"## Targets\n\nOn test patients: {first['patients']:,} for v0, {few:,} for each other world; the last column is the range of the "
        f"{len(others)} others' estimates.\n",
        table(["figure", "required", "v0", "met", "other worlds", "published"], [target_row(t, first, others) for t in TARGETS]),
        *picture("targets.png", "Figures of every world (v0 in dark) and what is required of them (bar).", images),
        "Of which nothing was required:\n",
        table(["figure", "v0", *others], more_rows(members)),
        "## The worlds\n",
        f"Root-mean-square distance between two worlds in units of the constants' bounds: {distances(data['apart'])}. Two places drawn "
        "at random within the bounds are 0.41 apart. See `sepsis_fits.csv` and `sepsis_constants.csv` in `medsim/treatments/data`.\n",
        *picture("ensemble.png", "The fitted constants of every world within their bounds.", images),
    ]
    return "\n".join(lines)


def target_row(target: Target, first: Data, others: Data) -> list[str]:
    """Return a target's line."""
    ours = first["figures"][target.figure]
    theirs = [one["figures"][target.figure][0] for one in others.values()]
    inside = sum(met(target, value) for value in theirs)
    spread = f"{number(min(theirs))} to {number(max(theirs))}; {inside} of {len(theirs)} met" if theirs else ""
    return [target.meaning, span(target), figure(ours), "yes" if met(target, ours[0]) else "**no**", spread, target.source]


MORE = {
    "deaths_72_h": "deaths before 72 h, %", "random": "deaths, random, %", "none": "deaths, no treatment, %",
    "maximum": "deaths, always-maximum, %",
    "target_45": "deaths, MAP target 45, %", "adaptive_gain": "adaptive rule v protocol, points gained",
    "clovers_restrictive": "CLOVERS, deaths, restrictive, %", "clovers_liberal": "CLOVERS, deaths, liberal, %",
    "sepsispam_high": "SEPSISPAM, deaths, high, %", "sepsispam_low": "SEPSISPAM, deaths, low, %",
    "sepsispam_hazard": "SEPSISPAM, hazard ratio",
    "map_high": "MAP at 24 h, high, mmHg", "map_low": "MAP at 24 h, low, mmHg",
    "norepinephrine_high": "norepinephrine at 24 h, high, mcg/kg/min", "norepinephrine_low": "norepinephrine at 24 h, low, mcg/kg/min",
    "sofa_first": "SOFA at the start", "sofa_48": "SOFA at 48 h",
}  # fmt: skip


def more_rows(members: Data) -> list[list[str]]:
    """Return what else was measured, world by world."""
    rises = [[number(value) for value in one["output_rise_quartiles"]] for one in members.values()]
    return [["rise of output in simulated patients, %, median (quartiles)", *(f"{b} ({a} to {c})" for a, b, c in rises)]] + [
        [label, *(number(one["figures"][name][0]) for one in members.values())]
        for name, label in MORE.items()
        if all(name in one["figures"] for one in members.values())
    ]


def distances(apart: list[list[float]]) -> str:
    """Return the least, middle and largest distance in words."""
    pairs = sorted(apart[a][b] for a in range(len(apart)) for b in range(a))
    return f"{pairs[0]:.2f} at least, {pairs[len(pairs) // 2]:.2f} in the middle, {pairs[-1]:.2f} at most" if pairs else "one world only"


def conclusions_part(results: Data) -> str:
    """Return which conclusions hold where."""
    worlds = results["report"]["members"].values()
    places: dict[str, list[Data]] = {"worlds": [with_none({k: v[0] for k, v in one["figures"].items()}) for one in worlds]}
    if "one_at_a_time" in results:
        runs = results["one_at_a_time"]["runs"]
        places["one at a time, ±30 %"] = [one for name, run in runs.items() if name != "v0" for one in run["figures"]]
    if "morris" in results:
        places["all at once, within bounds"] = results["morris"]["figures"]
    fitting = {place: [one for one in figures if still_fits(one)] for place, figures in places.items() if place != "worlds"}
    rows = []
    for name, holds in CONCLUSIONS.items():
        row = [name, f"{sum(map(holds, places['worlds']))} of {len(places['worlds'])}"]
        for place, kept in fitting.items():
            row += [f"{sum(map(holds, some))} of {len(some)}" for some in (places[place], kept)]
        rows.append(row)
    sure = holding([one for figures in places.values() for one in figures])
    likely = [name for name in holding([*places["worlds"], *(one for kept in fitting.values() for one in kept)]) if name not in sure]
    head = ["conclusion", "worlds", *(label for place in fitting for label in (place, "of these, within required ranges"))]
    return (
        "## Which conclusions hold\n\nIn how many worlds, and in how many models with other constants than v0's.\n\n"
        + table(head, rows)
        + f"\nHold everywhere: {'; '.join(sure) or 'none'}.\n\nHold in every world and wherever the required ranges are met, but not "
        f"everywhere: {'; '.join(likely) or 'none'}.\n\nThe others depend on what was chosen, and so does the size "
        "of every effect. What CLOVERS and SEPSISPAM published allows both signs of their effects, and so do the worlds.\n"
    )


def holding(figures: list[Data]) -> list[str]:
    """Return the conclusions that hold in all of them."""
    return [name for name, holds in CONCLUSIONS.items() if all(map(holds, figures))]


def still_fits(figures: Data) -> bool:
    """Return whether all figures that are stored are in their required ranges."""
    return all(met(target, figures[target.figure]) for target in TARGETS if target.figure in figures)


def with_none(figures: dict[str, float]) -> dict[str, float]:
    """Return figures with the difference between no treatment and the protocol."""
    return {**figures, "none_v_protocol": figures["none"] - figures["protocol"]}


def one_at_a_time_part(data: Data, images: Iterable[str]) -> str:
    """Return what one constant at a time moves."""
    centre, runs = data["runs"]["v0"], {name: run for name, run in data["runs"].items() if name != "v0"}
    rows = []
    for output in OUTPUTS:
        moves = {name: [one[output] - centre[output] for one in run["figures"]] for name, run in runs.items()}
        largest = sorted(moves, key=lambda name: -max(map(abs, moves[name])))[:4]
        values = [one[output] for run in runs.values() for one in run["figures"]]
        words = ", ".join(f"{name} ({number(moves[name][0])}, {number(moves[name][1])})" for name in largest)
        rows.append([output, number(centre[output]), f"{number(min(values))} to {number(max(values))}", words])
    return "\n".join(
        [
            f"## One constant at a time, ±{100 * data['share']:.0f} %\n\n{data['patients']:,} training patients a run. In brackets: the "
            "change when the constant is lowered, and raised.\n",
            table(["figure", "v0", "range", "moved most by"], rows),
            *picture("one_at_a_time.png", "Change of a figure when a constant of v0 is lowered or raised.", images),
            "Perturbations that break a conclusion or a target that v0 meets:\n",
            table(["constant", "value", "conclusions that no longer hold", "targets missed"], broken_rows(runs, centre)),
        ]
    )


def broken_rows(runs: Data, centre: Data) -> list[list[str]]:
    """Return what each perturbation breaks."""
    before, missed = broken(centre)
    rows = []
    for name, run in runs.items():
        for value, figures in zip(run["values"], run["figures"], strict=True):
            conclusions, targets = broken(figures)
            new, off = [c for c in conclusions if c not in before], [t for t in targets if t not in missed]
            if new or off:
                rows.append(
                    [f"`{name}`", f"{value:.4g}", "; ".join(new) or "-", ", ".join(f"{t} {number(figures[t])}" for t in off) or "-"]
                )
    return rows


def morris_part(data: Data, images: Iterable[str]) -> str:
    """Return what matters when all constants move at once."""
    rows = []
    for output, effect in data["effects"].items():
        order = sorted(range(len(data["names"])), key=lambda k: -effect["mu_star"][k])[:5]
        values = sorted(one[output] for one in data["figures"])
        words = ", ".join(f"{data['names'][k]} ({number(effect['mu_star'][k])} ± {number(effect['sigma'][k])})" for k in order)
        rows.append([output, f"{number(values[len(values) // 20])} to {number(values[-1 - len(values) // 20])}", words])
    return "\n".join(
        [
            f"## All constants at once, within their bounds\n\nMorris' method, {data['trajectories']} trajectories, {len(data['figures'])} "
            f"runs of {data['patients']:,} training patients. In brackets: the mean absolute effect, scaled to a constant's range, and "
            "the spread of the effect (large beside the mean: it depends on the other constants).\n",
            table(["figure", "90 % of runs", "moved most by"], rows),
            *picture("morris.png", "Mean absolute effects, relative to the largest of each figure.", images),
        ]
    )


def ablations_part(data: Data, images: Iterable[str]) -> str:
    """Return what each target identifies."""
    keys = ("protocol", "none", "random", "target_45", "clovers", "sepsispam", "delay", "auroc_48", "per_point_48", "auroc_saps")
    rows = [
        [name, *(number(run[key]) for key in keys), ", ".join(broken(run)[1]) or "-"]
        for name, run in data["runs"].items()
    ]  # fmt: skip
    return f"## Ablations: what each target identifies\n\n{data['patients']:,} training patients.\n\n" + table(
        ["v0 where", *keys, "targets missed"], rows
    )


def numerics_part(data: Data, images: Iterable[str]) -> str:
    """Return the integration's error."""
    rows = [
        [
            name,
            f"{e['map_rms_mmhg']:.3f}",
            f"{e['damage_rms']:.4f}",
            f"{e['death_rms']:.5f}",
            f"{e['death_largest']:.4f}",
            f"{e['death_bias']:+.6f}",
        ]
        for name, e in data["errors"].items()
    ]
    head = ["policy, step", "MAP, rms, mmHg", "damage, rms", "patient's chance of death, rms", "largest", "mean (bias)"]
    return (
        f"## Integration steps\n\nAgainst steps of one minute, {data['patients']:,} test patients, 72 h. The environment's own is "
        "5 minutes; searches use 10.\n\n"
    ) + table(head, rows)


def picture(name: str, caption: str, images: Iterable[str]) -> list[str]:
    """Return the lines of a picture that there is."""
    return [f"![{caption}]({name})\n"] if name in images else []
