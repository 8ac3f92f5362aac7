"""Rows of a leaderboard as a table for the terminal and as JSON for machines, and how figures are written."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from medsim.registry import is_hospital
from medsim_agents.leaderboard.rows import Board, Estimate, Row

__all__ = ["board_title", "duration", "figure", "format_table", "ranks", "rows_as_json"]

_HEADER = [
    *("rank", "policy", "role", "score", "95 % interval", "tie", "vs floor", "vs protocol", "P(better)"),
    *("return", "cost", "harm", "seeds", "steps", "time"),
]
_RIGHT = {"rank", "score", "P(better)", "return", "cost", "seeds", "steps", "time"}
_SHORT = {"cannot be told apart": "tied", "less harm": "less", "more harm": "more"}


def format_table(rows: Sequence[Row]) -> str:
    """One text table a board, policies by score, and a legend at the end; lines are up to 150 wide."""
    if not rows:
        return "No results yet.\n"
    tables = [_board_table(board, list(group)) for board, group in groupby(rows, key=lambda row: row.board)]
    legend = (
        "score: interquartile mean of the normalised score (floor 0, ceiling 1) over seeds and patients;\n"
        "       the mean where episodes end in one of a few returns, such as alive or dead.\n"
        "Intervals come from a bootstrap over seeds and patients.\n"
        "tied: cannot be told apart, like rows that share a letter under tie.\n"
        "P(better): chance of doing better than the protocol for the same patient.\n"
        "cost: mean harm a patient; harm: more or less of it than under the protocol. time: of one run.\n"
        "Research simulation, not medical advice.\n"
    )
    return "\n".join([*tables, legend])


def rows_as_json(rows: Sequence[Row]) -> str:
    """All that the rows hold, in six significant digits, as JSON: ``{"schema": 1, "rows": [...]}``."""
    return json.dumps({"schema": 1, "rows": [_rounded(asdict(row)) for row in rows]}, indent=1, allow_nan=False) + "\n"


def board_title(board: Board) -> str:
    """Which patients judged the policies, and how the environment was set, in words."""
    settings = json.loads(board.settings)
    judges = f"{board.patients} patients of the {board.cohort} cohort"
    parts = [f"suite {board.suite}", f"{board.patients} test episodes" if is_hospital(board.env) else judges]
    parts += [
        f"evaluation seed {board.evaluation_seed}",
        *(f"{name} = {settings[name]}" for name in settings),
    ]
    return ", ".join(parts)


def figure(value: float) -> str:
    """Three significant digits, fewer where small, whole numbers above 1000: 0.850, -51.2, 0.0031, 12,340."""
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    if abs(value) < 0.01:
        return "0" if value == 0 else f"{value:.2g}"
    digits = 2 - math.floor(math.log10(float(f"{abs(value):.2e}")))
    return f"{value:.{min(digits, 3)}f}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.4 s, 12 s, 3 min, 2.5 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def ranks(row: Row) -> str:
    """The ranks a row may hold: 2, or 1-3 where others cannot be told from it."""
    best, worst = row.ranks
    return str(best) if best == worst else f"{best}-{worst}"


def _board_table(board: Board, rows: list[Row]) -> str:
    lines = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    text = [f"{board.env}", board_title(board)]
    for line in lines:
        cells = zip(line, widths, _HEADER, strict=True)
        aligned = [cell.rjust(width) if name in _RIGHT else cell.ljust(width) for cell, width, name in cells]
        text.append("  ".join(aligned).rstrip())
    return "\n".join(text) + "\n"


def _cells(row: Row) -> list[str]:
    improvement = row.improvement_over_protocol
    return [
        ranks(row),
        row.policy,
        row.role if row.submission is None else "submitted",
        figure(row.score.value),
        _interval(row.score),
        row.group,
        _short(row.against_floor),
        _short(row.against_protocol),
        figure(improvement.value) if improvement else "-",
        figure(row.mean_return.value),
        figure(row.cost.value),
        _short(row.harm_against_protocol),
        str(row.seeds),
        f"{row.steps:,}" if row.steps else "-",
        duration(row.wall_s),
    ]


def _short(verdict: str | None) -> str:
    return "-" if verdict is None else _SHORT.get(verdict, verdict)


def _interval(estimate: Estimate) -> str:
    return f"[{figure(estimate.low)}, {figure(estimate.high)}]"


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(element) for name, element in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(element) for element in value]
    return value
