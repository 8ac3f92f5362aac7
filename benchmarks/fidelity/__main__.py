"""``python -m benchmarks.fidelity``: fit the septic-shock patient to landmark trials, report how well it meets them, and what depends on what."""

import argparse
import sys
from pathlib import Path

from benchmarks.fidelity.ensemble import choose_first, choose_worlds
from benchmarks.fidelity.figures import Study
from benchmarks.fidelity.search import Box, search, write_fits
from medsim.treatments.sepsis.constants import DATA

HERE = Path(__file__).parent
ABOUT = """
A fit takes about twenty minutes on one core. Every trial is a line of trials.jsonl, so a search that was stopped goes on where it was;
delete the file to search afresh (needed after any change of the model). v0 is chosen from the first --trials lines alone.

examples:
  python -m benchmarks.fidelity fit                   all of it: the search, v0, and the other worlds; writes sepsis_fits.csv
  python -m benchmarks.fidelity fit --worlds 0        v0 alone
"""


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__, epilog=ABOUT, formatter_class=form)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    fit = verbs.add_parser("fit", help="search for constants that meet the targets and write sepsis_fits.csv")
    fit.add_argument("--trials", type=int, default=160, help="of the search for v0 (default 160)")
    fit.add_argument(
        "--far-trials", type=int, default=300, help="more, of the search for sets far from v0 and from one another (default 300)"
    )
    fit.add_argument("--worlds", type=int, default=8, help="sets beside v0 (default 8)")
    fit.add_argument("--patients", type=int, default=700, help="of the training cohort in a trial (default 700)")
    fit.add_argument("--confirm", type=int, default=3000, help="other training patients, on whom a set is tried again (default 3000)")
    fit.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def fit(options: argparse.Namespace) -> None:
    """Search, choose, write."""
    box, trials = Box(), HERE / "trials.jsonl"
    study = Study(patients=options.patients, delay_arms_every_h=2)
    again = Study(patients=options.confirm, seed=101)
    records = search(options.trials, trials, study, options.seed)[: options.trials]
    first = choose_first(records, again, box)
    sets = {"v0": box.constants(first.place)}
    write_fits(DATA / "sepsis_fits.csv", sets)
    print(f"v0: room {first.room:.2f}", {name: round(value, 3) for name, value in first.figures.items()})
    if options.worlds:
        records = search(options.trials + options.far_trials, trials, study, options.seed, far=True)
        worlds = choose_worlds(records, first, options.worlds, again, box)
        sets |= {f"world-{number}": box.constants(world.place) for number, world in enumerate(worlds, 1)}
        write_fits(DATA / "sepsis_fits.csv", sets)
    print(f"wrote {len(sets)} sets to {DATA / 'sepsis_fits.csv'}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Run a sub-command."""
    options = parsed(arguments)
    {"fit": fit}[options.verb](options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
