"""Results as files: ``results.json`` for machines, ``RESULTS.md`` for people."""

import json
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmarks.speed.measures import Found, Measure, Verdict
from benchmarks.speed.timing import spread

__all__ = ["as_data", "json_bytes", "page", "row", "write_whole"]

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


def page(data: Mapping[str, Any], verdicts: list[Verdict], pictures: Collection[str]) -> str:
    """Return RESULTS.md."""
    load = data["load_average"]
    lines = [
        "# Speed",
        "",
        *(["**A smoke run: these figures mean nothing.**", ""] if data["quick"] else []),
        f"Measured on {data['date']} by `{data['command']}`, commit `{data['commit']}`, on {data['machine']['cpu']},",
        f"{data['machine']['system']}; load average {load['before']:.2f} before, {load['after']:.2f} after.",
        f"Versions: {listed(data['versions'])}.",
        *(f"{group} ran under {listed(more['versions'])}." for group, more in data["more"].items() if "versions" in more),
        "",
        "CPU time, one thread, unless said. Competitors take turns, round after round; a figure is the median over the rounds, the",
        "spread its quartiles. Ratios are taken round by round. Each command: `python -m benchmarks.speed` and what the line gives.",
        "",
        "| measure | required | measured | spread | met | command |",
        "|---|---|---|---|---|---|",
        *(row(verdict) for verdict in verdicts),
        "",
    ]
    if data["skipped"]:
        lines += ["Not measured:", "", *(f"- {group}: {reason}" for group, reason in data["skipped"].items()), ""]
    for name, caption in FIGURES:
        if name in pictures:
            lines += [f"![{caption}]({name})", "", caption, ""]
    lines += [
        "## Times",
        "",
        "Of one step of one patient; of one start for `startup`; in `sepsis` also of one episode's beginning and of 1,000 operations.",
        "",
        *times(data["timings_us"]),
    ]
    return "\n".join(lines) + "\n"


def listed(versions: Mapping[str, str]) -> str:
    """Return versions as a line."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def times(groups: Mapping[str, Any]) -> list[str]:
    """Return a table of what every competitor took."""
    lines = ["| group | competitor | CPU us | spread | wall us |", "|---|---|---|---|---|"]
    for group, timings in groups.items():
        for name, clocks in timings.items():
            cpu, wall = clocks["cpu"], clocks["wall"]
            spread_us = f"{number(cpu['q1'])} to {number(cpu['q3'])}"
            lines.append(f"| {group} | {name} | {number(cpu['median'])} | {spread_us} | {number(wall['median'])} |")
    return lines


def row(verdict: Verdict) -> str:
    """Return a line of the table."""
    measure, measured = verdict.measure, verdict.measured
    if measured is None:
        cells = ["skipped", "", ""]
    else:
        met = {True: "yes", False: "**no**", None: ""}[verdict.met]
        cells = [f"{number(measured.median)} {measure.unit}", f"{number(measured.q1)} to {number(measured.q3)}", met]
    return f"| {measure.what} | {bound(measure)} | {' | '.join(cells)} | `--only {measure.group}` |"


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
    """Put files in a folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        for name, content in files.items():
            (Path(aside) / name).write_bytes(content)
        for name in files:
            os.replace(Path(aside) / name, folder / name)


def json_bytes(data: Mapping[str, Any]) -> bytes:
    """Return results.json."""
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()
