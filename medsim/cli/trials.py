"""``medsim trials``: landmark trials emulated on simulated patients, beside what they found."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb, parse_settings
from medsim.trials import TRIALS, Effect, Published, Trial, TrialResult, run_trial
from medsim.trials.trial import DEFAULT_SEED, cohorts, trial_steps

__all__ = ["VERB", "report", "worlds_report"]

ALL_WORLDS = "all-worlds"
TEACHING = """what it does:
  Every simulated patient goes through every arm, the same person with the same chance, so that the arms differ by treatment alone. After
  a run-in that all share, those who meet the trial's criteria and are alive count. Beside each effect stands what the trial found, and
  whether ours lies inside its 95 % interval.

what the intervals mean:
  Ours say how the effect would move with other patients of the same population. With thousands of pairs they are narrow, and say nothing
  of whether the model is true. For that, --cohort all-worlds runs the trial in every set of constants that fits the published figures as
  well as the model's own: where those worlds disagree, the model does not know.

examples:
  medsim trials list
  medsim trials run clovers
  medsim trials run all --out trials                     a picture and a JSON file for each
  medsim trials run sepsispam --subgroups --cohort all-worlds
  medsim trials run clovers --patients 2000 --set substep_minutes=10

From Python, with arms of your own: python -c "import medsim.trials; help(medsim.trials)"
Research simulation, not medical advice."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = TEACHING
    kinds = parser.add_subparsers(title="what to do", metavar="list | run", required=True, dest="action")
    listing = kinds.add_parser("list", help="the trials there are, and what they found")
    listing.add_argument("--json", action="store_true", help="for machines")
    running = kinds.add_parser(
        "run",
        help="emulate trials",
        description="emulate trials",
        epilog=TEACHING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    running.add_argument("names", nargs="+", metavar="NAME", help="trials to run, or all")
    running.add_argument("--patients", type=int, help="how many are screened (default: enough to enrol 10,000)")
    running.add_argument(
        "--cohort",
        default="test",
        help="test, shifted (sicker, older), world-1, world-2, ... of the ensemble, or all-worlds (default test)",
    )
    running.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the list of patients (default %(default)s)")
    running.add_argument("--threads", type=int, default=2, help="threads that step the batch (default %(default)s)")
    running.add_argument("--subgroups", action="store_true", help="print the effect in subgroups too")
    running.add_argument("--json", action="store_true", help="for machines: everything, the courses and subgroups included")
    running.add_argument("--out", metavar="FOLDER", type=Path, help="write NAME.png and NAME.json there")
    running.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the environment; can be repeated")


def run(args: argparse.Namespace) -> int:
    """List the trials, or run some and print."""
    return listed(args.json) if args.action == "list" else emulated(args)


def listed(as_json: bool) -> int:
    """Print what trials there are."""
    if as_json:
        facts = [
            {"trial": one.name, "question": one.question, "env": one.env, "arms": [arm.name for arm in one.arms], "criteria": one.criteria,
             "screened": one.screened, "published": [asdict(found) for found in one.published], "notes": list(one.notes)}
            for one in TRIALS.values()
        ]  # fmt: skip
        print(json.dumps(facts, indent=1))
        return 0
    for one in TRIALS.values():
        first = one.published[0]
        print(f"{one.name:18s} {one.question}  ({one.env})")
        print(f"{'':18s} {', '.join(arm.name for arm in one.arms)}; {one.criteria}")
        print(f"{'':18s} found: {one.label(first.effect)} {span(first)}; {first.source}\n")
    print("medsim trials run NAME emulates one. Research simulation, not medical advice.")
    return 0


def emulated(args: argparse.Namespace) -> int:
    """Run trials, print what they found, and write files."""
    if args.patients is not None and args.patients < 1:
        raise ValueError(f"--patients must be 1 or more, not {args.patients}")
    options = parse_settings(args.set)
    chosen = trials_called(args.names)
    places = {trial.name: cohorts_called(trial, args.cohort) for trial in chosen}
    results: list[list[TrialResult]] = []
    with Progress(sum(trial_steps(one, options) * len(places[one.name]) for one in chosen), "step", "trials") as progress:
        for trial in chosen:
            results.append(
                [run_trial(trial, args.patients, cohort=cohort, seed=args.seed, threads=args.threads, options=options,
                           progress=progress.update) for cohort in places[trial.name]]
            )  # fmt: skip
    if args.json:
        print(json.dumps([one.record() for group in results for one in group], indent=1))
    else:
        for group in results:
            print(report(group[0], subgroups=args.subgroups))
            if len(group) > 1:
                print(worlds_report(group, subgroups=args.subgroups))
        print("Research simulation, not medical advice.")
    if args.out is not None:
        write(results, args.out, quiet=args.json)
    return 0


def trials_called(names: Sequence[str]) -> list[Trial]:
    """Return the trials of these names, each once; ``all`` are all.

    Raises:
        ValueError: there is no such trial.
    """
    wanted = dict.fromkeys(one for name in names for one in (TRIALS if name == "all" else [name]))
    for name in wanted:
        if name not in TRIALS:
            raise ValueError(f"no trial is called {name!r}; there are {', '.join(TRIALS)}, and all")
    return [TRIALS[name] for name in wanted]


def cohorts_called(trial: Trial, name: str) -> list[str]:
    """Return the cohorts that a name stands for.

    Raises:
        ValueError: there is no such cohort.
    """
    known = cohorts(trial.env)
    if name == ALL_WORLDS:
        return ["test", *(one for one in known if one.startswith("world-"))]
    if name not in known:
        raise ValueError(f"--cohort must be one of {', '.join((*known, ALL_WORLDS))}, not {name!r}")
    return [name]


def write(results: Sequence[Sequence[TrialResult]], folder: Path, *, quiet: bool) -> None:
    """Write a picture and a JSON file for each trial."""
    from medsim.render.trials import trial_figure

    folder.mkdir(parents=True, exist_ok=True)
    for group in results:
        name = group[0].trial.name
        trial_figure(group).savefig(folder / f"{name}.png")
        (folder / f"{name}.json").write_text(json.dumps([one.record() for one in group], indent=1) + "\n", encoding="utf-8")
        if not quiet:
            print(f"wrote {folder / name}.png and {name}.json")


# Text


def number(value: float) -> str:
    """Return a number with three digits or more."""
    return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:.1f}" if abs(value) >= 10.0 else f"{value:.2f}"


def span(one: Effect | Published) -> str:
    """Return an estimate with its interval: ratios to three places."""
    places = 3 if "ratio" in (one.name if isinstance(one, Effect) else one.effect) else 2
    estimate, low, high = (f"{value:.{places}f}" for value in (one.estimate, one.low, one.high))
    return f"{estimate} ({low} to {high})"


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Return rows as columns, the first and last ranged left, the others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    last = len(widths) - 1
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "   ".join(cells)).rstrip())
    return "\n".join(lines)


def report(result: TrialResult, *, subgroups: bool = False) -> str:
    """Return a result as text."""
    trial = result.trial
    share = 100.0 * result.enrolled / result.screened
    lines = [
        f"{trial.name}: {trial.question}  ({trial.env})\n",
        f"  {result.screened:,} of the {result.cohort} cohort screened (seed {result.seed}), {result.enrolled:,} enrolled ({share:.0f} %), "
        "each in every arm",
        f"  criteria: {trial.criteria}",
    ]
    if result.died_before_percent >= 0.05:
        lines.append(f"  {result.died_before_percent:.1f} % of them had died before randomisation, and do not count (as probabilities)")
    lines += ["", table(arms_rows(result)), "", table(effect_rows(result))]
    if subgroups and result.subgroups:
        lines += ["", table(subgroup_rows(result)), *(f"  * {one}" for one in cautions(result))]
    lines += ["", *(f"  note: {one}" for one in trial.notes)]
    lines.append("  Intervals: over which patients came, not over whether the model is true (--cohort all-worlds).\n")
    return "\n".join(lines)


def arms_rows(result: TrialResult) -> list[list[str]]:
    """Return deaths and treatment by arm; of many arms, with the arms' publications last."""
    trial = result.trial
    theirs = next((one.risks_percent for one in trial.published if one.risks_percent), ())
    rows = [["", *(arm.name for arm in trial.arms), "published"]]
    rows.append(["deaths by day 28, %", *(f"{risk:.1f}" for risk in result.risks_percent), " v ".join(f"{risk:.1f}" for risk in theirs)])
    for one in trial.shown:
        rows.append([one.label, *(number(value) for value in result.shown[one.name]), " v ".join(one.published)])
    return rows


def effect_rows(result: TrialResult) -> list[list[str]]:
    """Return ours and theirs, an effect a row."""
    trial = result.trial
    who = "per-unit effect" if trial.exposures else f"effect of {trial.arms[0].name} against {trial.arms[-1].name}"
    rows = [[who.replace("per-unit", f"per-{trial.exposure_unit}"), "here (95 %)", "published (95 %)", "ours is", "source"]]
    for name, effect in result.effects.items():
        found = [one for one in trial.published if one.effect == name]
        for one in found:
            place = "inside" if one.holds(effect.estimate) else "OUTSIDE"
            rows.append([trial.label(name), span(effect), span(one), place, one.source])
        if not found:
            rows.append([trial.label(name), span(effect), "", "", ""])
    return rows


def subgroup_rows(result: TrialResult) -> list[list[str]]:
    """Return the trial's own effect by subgroup."""
    trial = result.trial
    ends = f"deaths, % ({trial.arms[0].name} v {trial.arms[-1].name})"
    rows = [["subgroup", "patients", ends, f"{trial.label(result.effect.name)} (95 %)", ""]]
    for one in result.subgroups:
        risks = f"{one.risks_percent[0]:.1f} v {one.risks_percent[-1]:.1f}"
        rows.append([one.group, f"{one.patients:,}", risks, span(one.effect), "*" if one.caution else ""])
    return rows


def cautions(result: TrialResult) -> list[str]:
    """Return what the model assumes about subgroups, each once."""
    return list(dict.fromkeys(one.caution for one in result.subgroups if one.caution))


def worlds_report(results: Sequence[TrialResult], *, subgroups: bool = False) -> str:
    """Return one trial's results in several worlds as text."""
    trial, name = results[0].trial, results[0].effect.name
    theirs = [one for one in trial.published if one.effect == name]
    rows = [["world", "enrolled", "deaths, %", f"{trial.label(name)} (95 %)", "ours is" if theirs else ""]]
    for one in results:
        place = ("inside" if theirs[0].holds(one.effect.estimate) else "OUTSIDE") if theirs else ""
        ends = f"{one.risks_percent[0]:.1f} v {one.risks_percent[-1]:.1f}"
        rows.append(["the model's own" if one.cohort == "test" else one.cohort, f"{one.enrolled:,}", ends, span(one.effect), place])
    lines = [table(rows), "", "  over the worlds: " + ranged([one.effect for one in results])]
    if theirs:
        inside = sum(theirs[0].holds(one.effect.estimate) for one in results)
        lines.append(f"  inside the published interval of {theirs[0].source}: {inside} of {len(results)}")
    if subgroups and results[0].subgroups:
        each = zip(*(one.subgroups for one in results), strict=True)  # in every world the same groups, by their own quantiles
        groups = [[same[0].group, ranged([one.effect for one in same])] for same in each]
        lines += ["", table([["subgroup", f"{trial.label(name)}, over the worlds"], *groups])]
    return "\n".join(lines) + "\n"


def ranged(effects: Sequence[Effect]) -> str:
    """Return the range of estimates, and whether they lie on both sides of no effect."""
    values = [one.estimate for one in effects]
    ratio = "ratio" in effects[0].name
    low, high, none, places = min(values), max(values), 1.0 if ratio else 0.0, 3 if ratio else 2
    verdict = "; they disagree on which is better" if low < none < high else ""
    return f"{low:.{places}f} to {high:.{places}f}{verdict}"


VERB = Verb("trials", "emulate landmark trials on simulated patients, beside what they found", configure, run)
