"""``python -m benchmarks.fidelity``: fit the septic-shock patient to landmark trials, and see how well that went and what depends on it."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.fidelity.ablations import ablations
from benchmarks.fidelity.ensemble import choose_first, choose_worlds
from benchmarks.fidelity.figures import Study
from benchmarks.fidelity.members import measure_members
from benchmarks.fidelity.numerics import numerics
from benchmarks.fidelity.report import write_results
from benchmarks.fidelity.rule import search_rule
from benchmarks.fidelity.search import Box, search, write_fits
from benchmarks.fidelity.sensitivity import morris, one_at_a_time
from benchmarks.fidelity.worth import measure_worth
from benchmarks.fidelity.worth_page import write_worth
from medsim.treatments.sepsis.constants import DATA
from medsim_agents.provenance import commit, hardware

HERE = Path(__file__).parent
ABOUT = """
Everything but fit measures the sets that are in sepsis_fits.csv, stores its section in results.json and writes RESULTS.md and the
pictures anew; the sections may be made in any order. Times are for one core.

examples:
  python -m benchmarks.fidelity fit                   20 min: the search, v0, and the other worlds; writes sepsis_fits.csv
  python -m benchmarks.fidelity fit --worlds 0        v0 alone
  python -m benchmarks.fidelity report                5 min: every world against every target, on test patients
  python -m benchmarks.fidelity sensitivity           20 min: which conclusions depend on which constant (needs SALib: .[fidelity])
  python -m benchmarks.fidelity sensitivity --only one_at_a_time
  python -m benchmarks.fidelity ablations             1 min: what each target identifies
  python -m benchmarks.fidelity numerics              1 min: the error of the integration step
  python -m benchmarks.fidelity worth                 3 min: what there is to learn; writes worth.json, WORTH.md and two pictures instead

A trial of the search is a line of trials.jsonl, so a search that was stopped goes on where it was; delete the file to search afresh (after
any change of the model). v0 is chosen from the first --trials lines alone. --out writes the results elsewhere.
"""


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__, epilog=ABOUT, formatter_class=form)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    fit = verbs.add_parser("fit", help="search for constants that meet the targets and write sepsis_fits.csv")
    fit.add_argument("--trials", type=int, default=60, help="of the search for v0 (default 60)")
    fit.add_argument("--far-trials", type=int, default=160, help="more, for sets far from v0 and from one another (default 160)")
    fit.add_argument("--worlds", type=int, default=8, help="sets beside v0 (default 8)")
    fit.add_argument("--patients", type=int, default=700, help="of the training cohort in a trial (default 700)")
    fit.add_argument("--confirm", type=int, default=3000, help="other training patients, on whom a set is tried again (default 3000)")
    fit.add_argument("--seed", type=int, default=1)
    report = verbs.add_parser("report", help="measure every set on test patients")
    report.add_argument("--patients", type=int, default=10_000, help="for v0 (default 10000)")
    report.add_argument("--others", type=int, default=2500, help="for each other world (default 2500)")
    sensitivity = verbs.add_parser("sensitivity", help="measure what depends on which constant")
    sensitivity.add_argument("--only", choices=("one_at_a_time", "morris"), help="one of the two methods")
    sensitivity.add_argument("--patients", type=int, default=800, help="a run, the same in all (default 800)")
    sensitivity.add_argument("--trajectories", type=int, default=8, help="of Morris' method; 43 runs each (default 8)")
    sensitivity.add_argument("--seed", type=int, default=1)
    parts = verbs.add_parser("ablations", help="take one mechanism out at a time")
    parts.add_argument("--patients", type=int, default=3000)
    steps = verbs.add_parser("numerics", help="measure the error of longer integration steps")
    steps.add_argument("--patients", type=int, default=2000)
    searched = verbs.add_parser("rule", help="search for the numbers of the adaptive rule (medsim.policies.sepsis.Adaptive)")
    searched.add_argument("--rounds", type=int, default=9)
    searched.add_argument("--patients", type=int, default=700)
    searched.add_argument("--seed", type=int, default=0)
    worth = verbs.add_parser("worth", help="measure what there is to learn, on test patients")
    worth.add_argument("--patients", type=int, default=10_000, help="the same under every strategy (default 10000)")
    for verb in (report, sensitivity, parts, steps, worth):
        verb.add_argument("--out", type=Path, default=HERE, metavar="FOLDER", help="for the results (default: benchmarks/fidelity)")
    return parser.parse_args(arguments)


def fit(options: argparse.Namespace) -> None:
    """Search, choose, write."""
    box, trials = Box(), HERE / "trials.jsonl"
    study = Study(patients=options.patients, delay_arms_every_h=2)
    again = Study(patients=options.confirm, seed=101)
    records = search(options.trials, trials, study, options.seed)[: options.trials]
    first = choose_first(records, again, box)
    sets = {"v0": box.constants(first.place)}
    print(f"v0: room {first.room:.2f}", {name: round(value, 3) for name, value in first.figures.items()})
    if options.worlds:
        records = search(options.trials + options.far_trials, trials, study, options.seed, far=True)
        worlds = choose_worlds(records, first, options.worlds, again, box)
        sets |= {f"world-{number}": box.constants(world.place) for number, world in enumerate(worlds, 1)}
    write_fits(DATA / "sepsis_fits.csv", sets)
    print(f"wrote {len(sets)} sets to {DATA / 'sepsis_fits.csv'}", file=sys.stderr)


def stored(options: argparse.Namespace, section: str, measure: Callable[[], Mapping[str, Any]],
           write: Callable[[Path, str, Mapping[str, Any], Mapping[str, Any]], None] = write_results) -> None:  # fmt: skip
    """Measure, and store with what it holds for."""
    started = time.monotonic()
    data = measure()
    flags = "".join(f" --{name} {value}" for name, value in vars(options).items() if name not in ("verb", "out", "only", "seed"))
    about = {
        "command": f"python -m benchmarks.fidelity {options.verb}{flags}", "commit": commit(), "cpu": hardware(cores=1)["cpu"],
        "minutes": round((time.monotonic() - started) / 60.0, 1),
    }  # fmt: skip
    write(options.out, section, data, about)
    print(f"{section}: results are in {options.out}", file=sys.stderr)


def report(options: argparse.Namespace) -> None:
    """Measure the ensemble on the test cohort, as finely as users do."""
    study = Study(patients=options.patients, cohort="test", seed=7, substep_minutes=5)
    few = dataclasses.replace(study, patients=options.others)
    stored(options, "report", lambda: measure_members(study, few))


def sensitivity(options: argparse.Namespace) -> None:
    """Perturb the constants."""
    study = Study(patients=options.patients, delay_arms_every_h=2)
    if options.only != "morris":
        stored(options, "one_at_a_time", lambda: one_at_a_time(study))
    if options.only != "one_at_a_time":
        stored(options, "morris", lambda: morris(study, options.trajectories, options.seed))


def main(arguments: list[str] | None = None) -> int:
    """Run a sub-command."""
    options = parsed(arguments)
    if options.verb == "fit":
        fit(options)
    elif options.verb == "report":
        report(options)
    elif options.verb == "sensitivity":
        sensitivity(options)
    elif options.verb == "rule":
        print(search_rule(options.rounds, options.patients, options.seed))
    elif options.verb == "worth":
        stored(options, "worth", lambda: measure_worth(options.patients), write_worth)
    elif options.verb == "ablations":
        stored(options, "ablations", lambda: ablations(Study(patients=options.patients)))
    else:
        stored(options, "numerics", lambda: numerics(Study(patients=options.patients, cohort="test", seed=7)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
