"""The leaderboard as one static HTML file: no network, no fonts or scripts from elsewhere, works from a disk.

Everything is written here, tables and figures, so that the page reads without scripts too; the script only
sorts tables and copies commands. ``#sort=score`` or ``#sort=policy:descending`` in the address sorts every
table that has the column. The same records give the same bytes.
"""

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template

from medsim.core.files import write_whole
from medsim.registry import is_hospital
from medsim_agents.leaderboard.charts import harm_against_return, learning_curves, outcome_bars, performance_profiles
from medsim_agents.leaderboard.page_cards import run_card
from medsim_agents.leaderboard.page_tables import NONE, harm_table, improvement_matrix, main_table, metric_table, minus, verdict
from medsim_agents.leaderboard.records import Record
from medsim_agents.leaderboard.rows import Board, Row, leaderboard
from medsim_agents.leaderboard.strokes import words
from medsim_agents.leaderboard.table import board_title, figure

__all__ = ["render_page", "write_page"]


def write_page(records: Iterable[Record], path: str | Path) -> Path:
    """Make the leaderboard of these records and write it as one HTML file, whole or not at all."""
    path = Path(path)
    write_whole(path, render_page(leaderboard(records)))
    return path


def render_page(rows: Sequence[Row]) -> str:
    """The page of these rows, as `leaderboard` orders them."""
    boards = [(board, list(group)) for board, group in groupby(rows, key=lambda row: row.board)]
    names = _anchors([board for board, _ in boards])
    sections = [_section(board, group, names[board]) for board, group in boards]
    return Template(_asset("page.html")).substitute(
        style=_asset("page.css"),
        script=_asset("page.js"),
        overview=_overview(boards, names) if len(boards) > 1 else "",
        boards="\n".join(sections) or '<p class="empty">No results yet.</p>',
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _anchors(boards: Sequence[Board]) -> dict[Board, str]:
    """A name for each board to link to: suite and environment, numbered where that is not enough."""
    found: dict[Board, str] = {}
    for board in boards:
        name = re.sub(r"[^a-z0-9]+", "-", f"{board.suite} {board.env}".lower()).strip("-")
        taken = sum(other == name or other.startswith(f"{name}--") for other in found.values())
        found[board] = f"{name}--{taken + 1}" if taken else name
    return found


# A board


def _section(board: Board, rows: list[Row], name: str) -> str:
    figures = [
        ("Learning", "Mean over seeds; the band spans lowest to highest seed.", learning_curves(rows)),
        (
            "Return and harm",
            "Up and left is better. Ringed: none does better in both.",
            harm_against_return(rows),
        ),
        ("Performance profiles", "Share of seeds and patients above each score; higher is better.", performance_profiles(rows)),
        ("How episodes ended", f"Share of {'episodes' if is_hospital(board.env) else 'patients'}.", outcome_bars(rows)),
    ]
    tables = [harm_table(rows)] if rows[0].costs else []
    tables += [metric_table(rows)] if rows[0].metrics else []
    return (
        f'<section class="board" id="{name}"><h2>{escape(board.env)}</h2>'
        f'<p class="meta">{escape(board_title(board))}</p><p class="finding">{_finding(rows)}</p>\n'
        f"{main_table(rows)}\n{_figures(figures)}\n{_each_cost(rows)}"
        f'<div class="tables">\n{"".join(tables)}\n</div>\n<div class="tables">{improvement_matrix(rows)}</div>\n'
        f"<h3>Run cards</h3>\n{''.join(run_card(row, rows) for row in rows)}</section>"
    )


def _figures(figures: Sequence[tuple[str, str, str]]) -> str:
    cards = "\n".join(
        f"<figure><figcaption><h3>{title}</h3><p>{said}</p></figcaption>{drawing}</figure>" for title, said, drawing in figures
    )
    return f'<div class="figures">\n{cards}\n</div>'


def _each_cost(rows: Sequence[Row]) -> str:
    """Return against each named cost by itself, where there are several, in a part that opens."""
    if len(rows[0].costs) < 2:
        return ""
    figures = [(words(name).capitalize(), "Ringed: none does better in both.", harm_against_return(rows, name)) for name in rows[0].costs]
    return f'<details class="more"><summary>Return against each cost by itself</summary>{_figures(figures)}</details>\n'


def _finding(rows: Sequence[Row]) -> str:
    """The board in a sentence: its best agent, and whether that says anything."""
    agents = [row for row in rows if row.role == "agent"]
    if not agents:
        return "No agent has been trained here yet."
    best, *others = agents
    between = f"{minus(figure(best.score.low))} to {minus(figure(best.score.high))}"
    value = minus(figure(best.score.value))
    said = f"<b>{escape(best.policy)}</b> has the highest score of the agents, {value} ({between})"
    if best.against_protocol == "cannot be told apart":
        said += "; it cannot be told apart from the protocol"
    elif best.against_protocol:
        said += f"; it does {best.against_protocol} than the protocol"
    if best.harm_against_protocol in ("more harm", "less harm"):
        said += f", with {best.harm_against_protocol}"
    tied = [escape(row.policy) for row in others if set(row.group) & set(best.group)]
    return f"{said}. {'Not told apart from it: ' + ', '.join(tied) + '.' if tied else ''}"


def _overview(boards: Sequence[tuple[Board, list[Row]]], names: dict[Board, str]) -> str:
    """Suite by suite, the best agent of each board, where there are several boards."""
    bodies = []
    for suite, group in groupby(boards, key=lambda pair: pair[0].suite):
        lines = "".join(_overview_line(board, rows, names[board]) for board, rows in group)
        bodies.append(f'<tbody><tr class="suite"><th scope="rowgroup" colspan="5">Suite {escape(suite)}</th></tr>{lines}</tbody>')
    heads = ("Environment", "Best agent", "Score", "Against protocol", "Harm against protocol")
    return (
        '<nav class="scroll" aria-label="Suites and environments" tabindex="0"><table class="overview"><thead><tr>'
        + "".join(f'<th scope="col">{head}</th>' for head in heads)
        + f"</tr></thead>{''.join(bodies)}</table></nav>"
    )


def _overview_line(board: Board, rows: list[Row], name: str) -> str:
    best = next((row for row in rows if row.role == "agent"), None)
    told = [
        escape(best.policy) if best else NONE,
        minus(figure(best.score.value)) if best else NONE,
        verdict(best.against_protocol if best else None),
        verdict(best.harm_against_protocol if best else None),
    ]
    cells = "".join(f"<td>{said}</td>" for said in told)
    link = f'<a href="#{name}">{escape(board.env)}</a>'
    return f'<tr><th scope="row">{link} <span class="role">{escape(_short(board))}</span></th>{cells}</tr>'


def _short(board: Board) -> str:
    settings = json.loads(board.settings)
    return ", ".join(f"{name} = {settings[name]}" for name in settings)
