"""``python -m benchmarks.speed``: measure medsim's speed beside what it is compared with, and write the results down."""

import argparse
import os
import platform
import shlex
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.speed.groups import GROUPS
from benchmarks.speed.measures import MEASURES, Found, Plan, Verdict, verdicts
from benchmarks.speed.peer import HOW_TO
from benchmarks.speed.plots import pictures
from benchmarks.speed.queues import HOW_TO as CIW_HOW_TO
from benchmarks.speed.report import as_data, json_bytes, page, row, write_whole
from medsim_agents.provenance import commit, hardware, versions

HERE = Path(__file__).parent
ABOUT = f"""
Competitors take turns, so that what else the machine does falls on all alike; still, close what you can. The whole takes about ten
minutes on one core and writes results.json, RESULTS.md and the plots into benchmarks/speed; --quick and --only write elsewhere.

groups:
  startup     import and first step in fresh processes       simglucose  ours v simglucose (needs --peer-python)
  rates       a batch of 1,024, full step                    c           the kernel's integration v strict SIMD C (needs gcc)
  single      a step through gym.make                        shells      VectorEnv and SB3 VecEnv over the bare kernel
  threads     two threads and more                           training    SB3 PPO: our VecEnv v DummyVecEnv
  share       the environment's share of PPO's time          shares      where a step's time goes
  growth      cost against batch size and episode length    sepsis      Sepsis-v0: one, a batch, its reset, over its floor
  hospital    HospitalFlow-v0: SimPy, compiled, a batch      queues      M/M/10 v SimPy and Ciw (needs --ciw-python)

simglucose needs older packages than medsim, so it runs under an interpreter of its own:
  {HOW_TO}
Ciw, too, lives in its own: it installs a package called tests.
  {CIW_HOW_TO}
"""


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command's arguments."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__, epilog=ABOUT, formatter_class=form)
    parser.add_argument("--quick", action="store_true", help="a smoke run in less than a minute: every step, figures that mean nothing")
    parser.add_argument("--only", nargs="+", metavar="GROUP", choices=[group.name for group in GROUPS], help="some groups alone")
    parser.add_argument("--peer-python", type=Path, metavar="PATH", help="interpreter of an environment that has simglucose")
    parser.add_argument("--ciw-python", type=Path, metavar="PATH", help="interpreter of an environment that has Ciw")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="for the results (default: benchmarks/speed; a new one if --quick or --only)"
    )
    parser.add_argument("--json", action="store_true", help="print results.json on stdout")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table and write the results."""
    options = parsed(arguments)
    part = options.quick or options.only
    out = options.out or (Path(tempfile.mkdtemp(prefix="medsim-speed-")) if part else HERE)
    load = {"before": load_average()}
    with tempfile.TemporaryDirectory() as built:
        plan = Plan(quick=options.quick, peer_python=options.peer_python, ciw_python=options.ciw_python, folder=Path(built))
        table, found, skipped = measured(plan, options.only)
    load["after"] = load_average()
    data = as_data(described(options, load), table, found, skipped)
    plots = pictures(data)
    write_whole(out, {**plots, "RESULTS.md": page(data, table, plots).encode(), "results.json": json_bytes(data)})
    if options.json:
        sys.stdout.write(json_bytes(data).decode())
    else:
        print(*(row(verdict) for verdict in table), sep="\n")
    print(f"results are in {out}", file=sys.stderr)
    return 0


def measured(plan: Plan, only: list[str] | None) -> tuple[list[Verdict], dict[str, Found], dict[str, str]]:
    """Return the table, what each group found, and why groups were skipped."""
    table: list[Verdict] = []
    found: dict[str, Found] = {}
    skipped: dict[str, str] = {}
    for group in GROUPS:
        if only and group.name not in only:
            continue
        reason = group.why_not(plan)
        if reason is None:
            found[group.name] = group.measure(plan)
        else:
            print(f"{group.name}: skipped: {reason}", file=sys.stderr)
            skipped[group.name] = reason
        table += verdicts(group.name, found.get(group.name), reason)
    table.sort(key=lambda verdict: MEASURES.index(verdict.measure))
    return table, found, skipped


def described(options: argparse.Namespace, load: dict[str, float]) -> dict[str, Any]:
    """Return what the figures hold for: machine, versions, commit, date, command."""
    flags = [flag for flag, given in (("--quick", options.quick), ("--json", options.json)) if given]
    flags += ["--only", *options.only] if options.only else []
    flags += ["--peer-python", "PYTHON"] if options.peer_python else []
    flags += ["--ciw-python", "PYTHON"] if options.ciw_python else []
    return {
        "command": shlex.join(["python", "-m", "benchmarks.speed", *flags]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": {**hardware(cores=1), "system": f"{platform.system()} {platform.machine()}"},
        "versions": versions(),
        "quick": options.quick,
        "load_average": load,
    }


def load_average() -> float:
    """Return how many processes wanted a core over the last minute, or -1 where the system does not say."""
    with suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return -1.0


if __name__ == "__main__":
    sys.exit(main())
