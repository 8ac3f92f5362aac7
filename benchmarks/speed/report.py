"""Results as files: ``results.json`` for machines, ``RESULTS.md`` for people."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.speed.measures import Found, Measure, Verdict
from benchmarks.speed.timing import spread

__all__ = ["as_data", "page", "write_whole"]

FIGURES = (
    ("competitors.png", "Time of one step of one patient, each figure the median of its rounds."),
    ("shares.png", "Where the time of a batch's step goes. See `shares.py` for how the parts are told apart."),
    ("growth.png", "How the cost grows with the batch, with the length of an episode and with threads."),
)


def as_data(about: Mapping[str, Any], verdicts: list[Verdict], found: Mapping[str, Found], skipped: Mapping[str, str]) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        **about,
        "measures": [measure_data(verdict) for verdict in verdicts],
        "timings_us": {group: {name: clocks_us(timing) for name, timing in one.timings.items()} for group, one in found.items()},
        "more": {group: one.more for group, one in found.items() if one.more},
        "skipped": dict(skipped),
    }


def measure_data(verdict: Verdict) -> dict[str, Any]:
    """Return one line of the table."""
    measured = vars(verdict.measured) if verdict.measured else None
    return {**vars(verdict.measure), "measured": measured, "met": verdict.met, "skipped": verdict.skipped}


def clocks_us(timing: Any) -> dict[str, Any]:
    """Return a competitor's CPU and wall time a unit, in microseconds."""
    return {clock: vars(spread([1e6 * seconds for seconds in getattr(timing, clock)])) for clock in ("cpu", "wall")}


def page(about: Mapping[str, Any], verdicts: list[Verdict], skipped: Mapping[str, str]) -> str:
    """Return RESULTS.md."""
    machine, load = about["machine"], about["load_average"]
    lines = [
        "# Speed",
        "",
        f"Measured on {about['date']} by `{about['command']}`, commit `{about['commit']}`,",
        f"on {machine['cpu']}, {machine['system']}; load average {load['before']:.2f} before, {load['after']:.2f} after.",
        f"{', '.join(f'{name} {number}' for name, number in about['versions'].items())}.",
        "",
        "CPU time, one thread, unless said. Competitors take turns, round after round; a figure is the median over the rounds, the",
        "spread its quartiles. Ratios are taken round by round. Every line: `python -m benchmarks.speed --only GROUP`.",
        "",
        "| measure | group | required | measured | spread | met |",
        "|---|---|---|---|---|---|",
        *(row(verdict) for verdict in verdicts),
        "",
    ]
    if skipped:
        lines += ["Not measured:", "", *(f"- {group}: {reason}" for group, reason in skipped.items()), ""]
    for name, caption in FIGURES:
        lines += [f"![{caption}]({name})", "", caption, ""]
    return "\n".join(lines).rstrip() + "\n"


def row(verdict: Verdict) -> str:
    """Return a line of the table."""
    measure, measured = verdict.measure, verdict.measured
    if measured is None:
        cells = ["skipped", "", ""]
    else:
        met = {True: "yes", False: "**no**", None: ""}[verdict.met]
        cells = [f"{number(measured.median)} {measure.unit}", f"{number(measured.q1)} to {number(measured.q3)}", met]
    return f"| {measure.what} | {measure.group} | {bound(measure)} | {' | '.join(cells)} |"


def bound(measure: Measure) -> str:
    """Return what is required, in words."""
    if measure.at_least is not None:
        return f"at least {number(measure.at_least)} {measure.unit}"
    return f"at most {number(measure.at_most)} {measure.unit}" if measure.at_most is not None else ""


def number(value: float) -> str:
    """Return a number with three figures, in full."""
    digits = f"{value:.3g}"
    return f"{float(digits):,.0f}" if abs(value) >= 100 or "e" in digits else digits


def write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put files in a folder, each whole or not at all, the JSON last: where it stands, the others do too."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name.endswith(".json")):
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as file:
            file.write(files[name])
        os.chmod(file.name, 0o644)
        os.replace(file.name, folder / name)


def json_bytes(data: Mapping[str, Any]) -> bytes:
    """Return results.json."""
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()
