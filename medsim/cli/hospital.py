"""``medsim hospital``: hospitals fitted to data, ready-made ones, and quick answers of queueing theory."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsim.cli.hospital_files import refuse_clashes, write_whole
from medsim.cli.hospital_theory import configure_theory, theory
from medsim.cli.progress import Progress
from medsim.cli.verbs import Verb

if TYPE_CHECKING:
    from medsim.hospital.calibration import Fit, Mapping
    from medsim.hospital.calibration.comparison import BackTest
    from medsim.hospital.flow.config import HospitalConfig

__all__ = ["VERB"]

TEACHING = """what a table needs:
  One row for each stay of an encounter in a unit, with the columns
    encounter, arrival_time, triage_acuity, triage_time, provider_time, disposition_time, departure_time,
    unit, unit_in, unit_out, disposition, died
  of which arrival_time is needed, and an end: unit_out or departure_time (blank: still there when the table was drawn). Times are local:
  2024-03-05 14:30:00.
  Other names: --map THEIRS=OURS, or --mapping mimic-iv-ed. Everything is in docs/hospital_calibration.md.

examples:
  medsim hospital fit encounters.csv --out config.json        fit, print how well, write what the environments take
  medsim hospital fit encounters.csv --map stay=encounter --map in=unit_in --capacity icu=14 --back-test
  medsim hospital presets metropolitan                        units, loads, and the source of each number
  medsim hospital theory mmc --lam 9 --mu 1 --servers 10      waits in a queue with ten beds
  medsim hospital theory staffing --load 20 --wait 0.2        nurses for a load of 20, so that at most one in five waits

Research simulation, not medical advice."""

UNDECIDED = "nobody decides in it: for queueing studies, the environments refuse it"
HALF_SIZE = "environments play the presets at half their size unless size=1"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.epilog = TEACHING
    kinds = parser.add_subparsers(title="what to do", metavar="fit | presets | theory", required=True, dest="action")
    fit = kinds.add_parser(
        "fit", help="fit a hospital to an encounter table", epilog=TEACHING, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    configure_fit(fit)
    presets = kinds.add_parser("presets", help="ready-made hospitals, with the source of each number")
    presets.add_argument("name", nargs="?", metavar="NAME", help="one of them in full (default: list them)")
    presets.add_argument("--json", action="store_true", help="for machines: the whole configuration")
    configure_theory(kinds.add_parser("theory", help="quick answers of queueing theory"))


def configure_fit(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments of ``fit``."""
    parser.add_argument("table", type=Path, metavar="encounters.csv")
    parser.add_argument("--mapping", metavar="NAME", help="ready-made column names: mimic-iv-ed")
    parser.add_argument("--map", action="append", default=[], metavar="THEIRS=OURS", help="a column's name; can be repeated")
    parser.add_argument("--capacity", action="append", default=[], metavar="UNIT=BEDS", help="known beds; can be repeated")
    parser.add_argument(
        "--capacity-quantile", type=float, default=1.0, metavar="Q", help="of the census over time, elsewhere (default 1: the largest)"
    )
    parser.add_argument(
        "--discipline", default="priority", help="of the queues: fifo, priority, preemptive, accumulating (default %(default)s)"
    )
    parser.add_argument("--agent", action="append", default=[], metavar="UNIT", help="whose beds an agent gives; can be repeated")
    parser.add_argument("--end", metavar="TIME", help="when the table was drawn (default: the latest time in it)")
    parser.add_argument("--strict", action="store_true", help="refuse a table with bad rows, after reporting them")
    parser.add_argument("--back-test", "--backtest", action="store_true", help="simulate the fitted hospital beside the data")
    parser.add_argument(
        "--hold-out", type=float, default=0.3, help="share of the time at the end that it is judged on (default %(default)s)"
    )
    parser.add_argument(
        "--replications", type=int, default=39, help="of the simulation; the range of 39 runs is a 95 %% interval (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the simulation (default %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the configuration there (JSON)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--json", action="store_true", help="for machines: everything")


def run(args: argparse.Namespace) -> int:
    """Fit, list or compute, and print."""
    return {"fit": fitted, "presets": presets_shown, "theory": theory}[args.action](args)


def fitted(args: argparse.Namespace) -> int:
    """Fit a hospital to a table; files are written when all is computed, whole or not at all, and before anything is printed."""
    from medsim.hospital.calibration import read_table, renamed, tidy
    from medsim.hospital.calibration.fit import fit_encounters
    from medsim.hospital.calibration.report import rows_report
    from medsim.hospital.flow.seen import agents_of

    refuse_clashes({"the table": args.table, "--out": args.out, "--report": args.report})
    frame, unreadable = read_table(args.table)
    table = tidy(renamed(frame, mapping_of(args.mapping, args.map)), end=args.end, bad_rows=unreadable)
    if args.strict and table.bad:
        print(rows_report(table))
        raise ValueError(f"{args.table} has {len(table.bad)} bad rows; without --strict the others are fitted")
    options = {
        "capacities": capacities_of(args.capacity), "capacity_quantile": args.capacity_quantile, "discipline": args.discipline,
        "agents": args.agent, "name": args.table.stem,
    }  # fmt: skip
    fit = fit_encounters(table, **options)
    tested = tested_back(args, table, options) if args.back_test else None
    text = text_of(args.table, fit, tested)
    files = {args.out: json.dumps(fit.config.as_dict(), indent=1), args.report: text}
    written = [path for path in files if path is not None]
    for path in written:
        write_whole(path, files[path] + "\n")
    undecided = [undecided_note(fit.config)] if args.out and not agents_of(fit.config) else []
    if args.json:
        record = {**fit.record(), **({"back_test": tested.record()} if tested else {})}
        print(json.dumps({**record, "notes": [*record["notes"], *undecided]}, indent=1))
    else:
        print("\n".join([text, *(f"wrote {path}" for path in written), *(f"note: {note}" for note in undecided)]))
    return 0


def undecided_note(config: "HospitalConfig") -> str:
    """Return what to do about a hospital in which nobody is asked anything, which the environment refuses."""
    return f"nobody decides in it: add --agent UNIT to train on it; the units are {', '.join(unit.name for unit in config.units)}"


def tested_back(args: argparse.Namespace, table: Any, options: dict[str, Any]) -> "BackTest":
    """Return the back-test, with progress."""
    from medsim.hospital.calibration.comparison import back_test

    with Progress(args.replications, "run", "back-test") as progress:
        return back_test(table, hold_out=args.hold_out, replications=args.replications, seed=args.seed, progress=progress.update, **options)


def text_of(path: Path, fit: "Fit", tested: "BackTest | None") -> str:
    """Return the report of a fit, with its back-test."""
    parts = [f"{path.name}: a hospital of {len(fit.units)} units", fit.report()]
    if tested:
        parts.insert(1, tested.report())
    return "\n\n".join(parts)


def mapping_of(name: str | None, pairs: list[str]) -> "Mapping":
    """Return a mapping of columns: a ready-made one, with ``THEIRS=OURS`` pairs on top.

    Raises:
        ValueError: there is no such mapping, or a pair has no "=".
    """
    from dataclasses import replace

    from medsim.hospital.calibration import MAPPINGS, Mapping

    if name is not None and name not in MAPPINGS:
        raise ValueError(f"--mapping must be one of {', '.join(MAPPINGS)}, not {name!r}")
    mapping = MAPPINGS[name] if name else Mapping(columns={})
    own = {}
    for pair in pairs:
        theirs, sign, ours = pair.partition("=")
        if not sign or not theirs or not ours:
            raise ValueError(f"--map needs THEIRS=OURS, such as admit_dttm=arrival_time, not {pair!r}")
        own[ours.strip()] = theirs.strip()
    return replace(mapping, columns={**mapping.columns, **own})


def capacities_of(pairs: list[str]) -> dict[str, int]:
    """Return beds by unit from ``UNIT=BEDS`` texts.

    Raises:
        ValueError: a text is not of that form.
    """
    found = {}
    for pair in pairs:
        unit, sign, beds = pair.rpartition("=")
        if not sign or not unit or not beds.strip().isdigit():
            raise ValueError(f"--capacity needs UNIT=BEDS, such as icu=14, not {pair!r}")
        found[unit.strip()] = int(beds)
    return found


def presets_shown(args: argparse.Namespace) -> int:
    """Print the presets, or one."""
    from medsim.hospital.presets import PRESETS, preset

    if args.name is None:
        facts = {name: preset_facts(make()) for name, make in PRESETS.items()}
        if args.json:
            print(json.dumps(facts, indent=1))
            return 0
        for name, fact in facts.items():
            units = ", ".join(f"{unit} {load['beds']} beds ({100 * load['utilisation']:.0f} %)" for unit, load in fact["units"].items())
            print(f"{name:18s} {fact['arrivals_per_day']:.0f} arrivals a day; {units}{'' if fact['agents'] else f'; {UNDECIDED}'}")
        print(f"{HALF_SIZE}.")
        print("medsim hospital presets NAME prints one with its sources. Research simulation, not medical advice.")
        return 0
    config = preset(args.name)
    if args.json:
        print(json.dumps({**config.as_dict(), "loads": preset_facts(config)["units"]}, indent=1))
    else:
        print(preset_report(config))
    return 0


def preset_facts(config: "HospitalConfig") -> dict[str, Any]:
    """Return arrivals a day, who decides, and beds and offered load by unit."""
    from dataclasses import asdict

    from medsim.hospital.flow.load import offered_load
    from medsim.hospital.flow.seen import agents_of

    beds = {unit.name: unit.beds for unit in config.units}
    per_day = sum(24.0 * sum(stream.rates_per_h) / len(stream.rates_per_h) for stream in config.arrivals)
    return {
        "arrivals_per_day": per_day,
        "agents": list(agents_of(config)),
        "units": {name: {"beds": beds[name], **asdict(load)} for name, load in offered_load(config).items()},
    }


def preset_report(config: "HospitalConfig") -> str:
    """Return a configuration as text: units with their loads, then every source."""
    from medsim.hospital.calibration.report import columns

    facts = preset_facts(config)
    rows = [["unit", "beds", "arrivals a day", "mean stay (h)", "load (beds)", "in use", "clinicians in use"]]
    for name, load in facts["units"].items():
        rows.append([
            name, str(load["beds"]), f"{24.0 * load['rate_per_h']:.1f}", f"{load['mean_stay_h']:.2f}", f"{load['load']:.1f}",
            f"{100.0 * load['utilisation']:.0f} %", f"{100.0 * load['treating']:.0f} %" if load["treating"] else "",
        ])  # fmt: skip
    lines = [f"{config.name}: {facts['arrivals_per_day']:.0f} arrivals a day", "", columns(rows)]
    lines.append("  in use: by offered load (arrivals times stay), as if nobody left the queue or boarded")
    decides = f"agents decide: {', '.join(facts['agents'])}" if facts["agents"] else UNDECIDED
    lines.append(f"  {decides}\n  {HALF_SIZE}\n")
    lines += [f"{setting}: {source}" for setting, source in config.sources.items()]
    return "\n".join([*lines, "", "Research simulation, not medical advice."])


VERB = Verb("hospital", "fit a hospital to data, show ready-made ones, ask queueing theory", configure, run)
