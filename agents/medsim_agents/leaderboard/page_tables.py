"""The tables of the leaderboard page: each column says what its cells show and by what they sort."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from medsim.registry import is_hospital
from medsim_agents.leaderboard.charts import colours, interval_axis, interval_bar, interval_scale
from medsim_agents.leaderboard.rows import Estimate, Row
from medsim_agents.leaderboard.table import duration, figure, ranks

__all__ = ["NONE", "harm_table", "improvement_matrix", "main_table", "metric_table", "minus", "submitted", "verdict"]

NONE = '<span class="none">–</span>'
"""What a cell shows where there is nothing to say."""

_FEW_SEEDS = 5  # chosen: below this a bootstrap interval misses the truth in more than one case of six


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: what its cells show, and by what they sort (best first on the first press)."""

    key: str
    title: str
    cell: Callable[[Row], str]
    value: Callable[[Row], float | str | None]
    first: str = "ascending"
    names: str = ""
    head: str = ""


def _table(rows: Sequence[Row], columns: Sequence[Column], caption: str, sorted_by: str) -> str:
    heads = "".join(_head(column, sorted_by) for column in columns)
    body = "\n".join(f"<tr>{''.join(_cell(column, row) for column in columns)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f'<table class="sortable"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _head(column: Column, sorted_by: str) -> str:
    now = f' aria-sort="{column.first}"' if column.key == sorted_by else ""
    return (
        f'<th scope="col" class="{column.names}" data-key="{escape(column.key)}"'
        f' data-first="{column.first}"{now}>'
        f'<button type="button">{escape(column.title)}</button>{column.head}</th>'
    )


def _cell(column: Column, row: Row) -> str:
    value = column.value(row)
    shown = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    tag = 'th scope="row"' if column.key == "policy" else "td"
    return f'<{tag} class="{column.names}" data-value="{escape(shown)}">{column.cell(row)}</{tag[:2]}>'


def main_table(rows: Sequence[Row]) -> str:
    """Score, ties, verdicts, return, cost and expense of every policy, the best first."""
    scale = interval_scale(rows)
    columns = [
        Column(
            key="rank",
            title="Rank",
            cell=lambda row: ranks(row).replace("-", "–"),
            value=_place,
            names="n",
        ),
        _policy_column(rows),
        _number("score", "Score", lambda row: row.score),
        Column(
            key="interval",
            title="95 % interval",
            cell=lambda row: interval_bar(row, rows, scale),
            value=lambda row: row.score.low,
            first="descending",
            names="bar",
            head=interval_axis(scale),
        ),
        Column(key="tie", title="Tie", cell=lambda row: row.group, value=lambda row: row.group, names="tie"),
        _verdict_column("floor", "Against floor", lambda row: row.against_floor),
        _verdict_column("protocol", "Against protocol", lambda row: row.against_protocol),
        _number("improvement", "P(better)", lambda row: row.improvement_over_protocol, spread=True),
        _number("return", "Return", lambda row: row.mean_return, spread=True),
        _number("cost", "Cost", lambda row: row.cost, spread=True, first="ascending"),
        _verdict_column("harm", "Harm against protocol", lambda row: row.harm_against_protocol),
        Column(key="seeds", title="Seeds", cell=_seeds, value=lambda row: row.seeds, names="n"),
        Column(
            key="steps",
            title="Steps",
            cell=lambda row: f"{row.steps:,}" if row.steps else NONE,
            value=lambda row: row.steps,
            names="n",
        ),
        Column(
            key="time",
            title="Time a run",
            cell=lambda row: duration(row.wall_s),
            value=lambda r: r.wall_s,
            names="n",
        ),
    ]
    return _table(rows, columns, "Policies by score", "score")


def harm_table(rows: Sequence[Row]) -> str:
    """Each cost by itself, with its interval."""
    costs = [_cost_column(name) for name in rows[0].costs]
    return _table(rows, [_policy_column(rows), *costs], f"Harm: each cost, mean of {_episodes(rows)}", "")


def _episodes(rows: Sequence[Row]) -> str:
    return "an episode" if is_hospital(rows[0].board.env) else "a patient"


def metric_table(rows: Sequence[Row]) -> str:
    """The mean of each metric."""
    metrics = [_metric_column(name) for name in rows[0].metrics]
    return _table(rows, [_policy_column(rows), *metrics], f"Metrics: mean of {_episodes(rows)}", "")


def improvement_matrix(rows: Sequence[Row]) -> str:
    """The chance that the policy of a line does better than that of a column for the same patient, with its interval.

    Agents are held against each other and against floor, protocol and ceiling.
    """
    shown = [row for row in rows if row.kind == "agent" or row.role in ("floor", "protocol", "ceiling")]
    names = colours(rows)
    heads = "".join(f'<th scope="col">{escape(row.policy)}</th>' for row in shown)
    lines = "".join(
        f'<tr><th scope="row" class="who"><div><i class="swatch {names[row.policy]}"></i><span>{escape(row.policy)}</span></div></th>'
        + "".join(_chance(row, other) for other in shown)
        + "</tr>"
        for row in shown
    )
    caption = "Probability of improvement: how often the row does better than the column"
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table class="matrix"><caption>{caption}</caption>'
        f'<thead><tr><th scope="col" class="who">better than</th>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _chance(row: Row, other: Row) -> str:
    if row.policy == other.policy:
        return f"<td>{NONE}</td>"
    chance = row.better_than[other.policy]
    kind = "good" if chance.low > 0.5 else "bad" if chance.high < 0.5 else "tied"
    value, low, high = (f"{share:.2f}" for share in (chance.value, chance.low, chance.high))
    return f'<td class="{kind}">{value}<span class="spread">{low} to {high}</span></td>'


def submitted(row: Row) -> str:
    """Who sent a row in, and whether its figures were computed here; nothing for the suite's own."""
    if row.submission is None:
        return ""
    checked = "judged here" if row.submission["verified"] else "not verified"
    return f'<span class="role">submitted by {escape(row.submission["by"])}, {checked}</span>'


def _cost_column(name: str) -> Column:
    return _number(f"cost-{name}", _words(name), lambda row: row.costs[name], spread=True, first="ascending")


def _metric_column(name: str) -> Column:
    return Column(
        key=f"metric-{name}",
        title=_words(name),
        cell=lambda row: minus(figure(row.metrics[name])),
        value=lambda row: row.metrics[name],
        first="descending",
        names="n",
    )


def _policy_column(rows: Sequence[Row]) -> Column:
    names = colours(rows)

    def cell(row: Row) -> str:
        role = "" if row.role == "agent" else f'<span class="role">{row.role}</span>'
        name = escape(row.policy).replace("_", "_<wbr>")
        return f'<div><i class="swatch {names[row.policy]}"></i><span>{name}{role}{submitted(row)}</span></div>'

    return Column(key="policy", title="Policy", cell=cell, value=lambda row: row.policy, names="who")


def _number(
    key: str,
    title: str,
    of: Callable[[Row], Estimate | None],
    *,
    spread: bool = False,
    first: str = "descending",
) -> Column:
    def cell(row: Row) -> str:
        estimate = of(row)
        if estimate is None:
            return NONE
        between = f"{minus(figure(estimate.low))} to {minus(figure(estimate.high))}"
        return minus(figure(estimate.value)) + (f'<span class="spread">{between}</span>' if spread else "")

    def value(row: Row) -> float | None:
        estimate = of(row)
        return None if estimate is None else estimate.value

    return Column(key=key, title=title, cell=cell, value=value, first=first, names="n")


def _verdict_column(key: str, title: str, of: Callable[[Row], str | None]) -> Column:
    def value(row: Row) -> int | None:
        verdict = of(row)
        return None if verdict is None else ("good", "tied", "bad").index(_kind(verdict))

    return Column(key=key, title=title, cell=lambda row: verdict(of(row)), value=value, names="said")


def _kind(verdict: str) -> str:
    kinds = {"better": "good", "less harm": "good", "worse": "bad", "more harm": "bad"}
    return kinds.get(verdict, "tied")


def verdict(said: str | None) -> str:
    """A verdict in its colour, or a dash."""
    return f'<span class="verdict {_kind(said)}">{said}</span>' if said else NONE


def _place(row: Row) -> int:
    return sum(row.ranks)


def _seeds(row: Row) -> str:
    few = row.kind == "agent" and row.seeds < _FEW_SEEDS
    return f'{row.seeds}<span class="spread">few</span>' if few else str(row.seeds)


def minus(text: str) -> str:
    """A true minus sign in place of each hyphen."""
    return text.replace("-", "−")


def _words(name: str) -> str:
    return name.replace("_", " ")
