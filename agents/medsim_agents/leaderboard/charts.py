"""The figures of the leaderboard page, as inline SVG and HTML without scripts: byte for byte the same for the
same rows.

Colours, fonts and the dark theme are the style sheet's business; here are classes only. ``c1`` to ``c8`` are
agents in alphabetical order (``again`` from the ninth on), ``floor``, ``protocol``, ``ceiling`` and
``reference`` are what their names say.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

from medsim_agents.leaderboard.rows import Estimate, Row
from medsim_agents.leaderboard.strokes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    frame,
    line,
    padded,
    spread,
    svg,
    text,
    tick,
    ticks,
    words,
)
from medsim_agents.leaderboard.table import figure

__all__ = ["BEYOND", "colours", "cost_curve", "harm_against_return", "interval_axis", "interval_bar", "interval_scale"]
__all__ += ["learning_curves", "outcome_bars", "pareto_front", "performance_profiles"]

_BARS = ("floor", "protocol", "ceiling")
_PALETTE = 8
BEYOND = 0.5  # chosen: of the way from floor to ceiling, how far axes go beyond either; spares the rest


def colours(rows: Sequence[Row]) -> dict[str, str]:
    """The class of each policy: a colour for an agent, the role for a reference policy."""
    agents = sorted(row.policy for row in rows if row.kind == "agent")
    found: dict[str, str] = {row.policy: row.role for row in rows if row.kind == "reference"}
    for k, policy in enumerate(agents):
        found[policy] = f"c{k % _PALETTE + 1}" + (" again" if k >= _PALETTE else "")
    return found


# The interval of a score, as a bar in a table's cell


def interval_scale(rows: Sequence[Row]) -> Scale:
    """One axis for all rows of a board, in percent of the cell."""
    low = min(0.0, *(row.score.low for row in rows))
    high = max(1.0, *(row.score.high for row in rows))
    return Scale(max(low, -BEYOND) - 0.05, min(high, 1 + BEYOND) + 0.05, 2, 98)


def interval_axis(scale: Scale) -> str:
    """The numbers of the axis, for the column's head."""
    marks = "".join(f'<span style="left:{scale(v):.1f}%">{tick(v)}</span>' for v in ticks(scale.low, scale.high))
    return f'<span class="axis" aria-hidden="true">{marks}</span>'


def interval_bar(row: Row, rows: Sequence[Row], scale: Scale) -> str:
    """Interval and score of a row, over the lines of floor, protocol and ceiling."""
    score, colour = row.score, colours(rows)[row.policy]
    said = f"{figure(score.value)}, 95 % interval {figure(score.low)} to {figure(score.high)}"
    bars = [(other.role, f"{scale(other.score.value):.1f}%") for other in rows if other.role in _BARS]
    lines = [f'<line class="{role}" x1="{at}" x2="{at}" y1="0" y2="100%"/>' for role, at in bars]
    start, width = scale(score.low), max(scale(score.high) - scale(score.low), 0.4)
    bar = f'<rect class="{colour}" x="{start:.1f}%" width="{width:.1f}%" y="7" height="10" rx="2"/>'
    beyond = "" if scale.holds(score.value) else " beyond"
    mark = f'<circle class="{colour}{beyond}" cx="{scale(score.value):.1f}%" cy="12" r="3.5"/>'
    title = f"<title>{said}</title>"
    return f'<svg class="interval" role="img" aria-label="{said}">{title}{"".join(lines)}{bar}{mark}</svg>'


# Learning curves


def learning_curves(rows: Sequence[Row]) -> str:
    """Mean return against training steps: mean over seeds, the band from lowest to highest seed."""
    learners = [row for row in rows if row.curve]
    if not learners:
        return '<p class="empty">No policy of this board was trained.</p>'
    bars = [row for row in rows if row.role in _BARS and not row.curve]
    values = [row.mean_return.value for row in bars]
    values += [v for row in learners for point in row.curve for v in (point.return_low, point.return_high)]
    last = max(row.curve[-1].step for row in learners)
    x = Scale(0, max(last, 1), LEFT, WIDTH - RIGHT)
    y = padded(values, HEIGHT - BOTTOM, TOP, reach(rows))
    parts = frame(x, y, "training steps", "mean return")
    for row in bars:
        at = y(row.mean_return.value)
        parts.append(line(row.role, (x.start, at), (x.end, at)))
    names = colours(rows)
    for row in learners:
        parts.append(_curve(row, x, y, names[row.policy]))
    ends = [(row.policy, y(row.curve[-1].return_mean)) for row in learners]
    ends += [(row.policy, y(row.mean_return.value)) for row in bars]
    for (policy, _), at in zip(ends, spread([place for _, place in ends], 13, y.end, y.start), strict=True):
        parts.append(text(x.end + 8, at + 4, policy, f"{names[policy]} name", most=16))
    return svg(parts, "Learning curves: mean return against training steps")


def _curve(row: Row, x: Scale, y: Scale, colour: str) -> str:
    upper = [f"{x(p.step):.1f},{y(p.return_high):.1f}" for p in row.curve]
    lower = [f"{x(p.step):.1f},{y(p.return_low):.1f}" for p in reversed(row.curve)]
    middle = [f"{x(p.step):.1f},{y(p.return_mean):.1f}" for p in row.curve]
    said = f"{escape(row.policy)}: {figure(row.curve[-1].return_mean)} after {row.curve[-1].step:,} steps"
    return (
        f'<g><title>{said}</title><polygon class="band {colour}" points="{" ".join(upper + lower)}"/>'
        f'<polyline class="curve {colour}" points="{" ".join(middle)}"/></g>'
    )


def cost_curve(row: Row) -> str:
    """Mean total cost of a row against training steps."""
    x = Scale(0, max(row.curve[-1].step, 1), LEFT, WIDTH - 14)
    y = padded([0.0, *(point.cost_mean for point in row.curve)], HEIGHT - BOTTOM, TOP)
    points = " ".join(f"{x(point.step):.1f},{y(point.cost_mean):.1f}" for point in row.curve)
    parts = [*frame(x, y, "training steps", "mean cost"), f'<polyline class="curve c1" points="{points}"/>']
    return svg(parts, f"{escape(row.policy)}: mean cost against training steps")


# Performance profiles


def performance_profiles(rows: Sequence[Row]) -> str:
    """The share of seeds and patients above each score: agents with their bands, floor, protocol and ceiling as lines."""
    shown = [row for row in rows if row.kind == "agent" or row.role in _BARS]
    scores = [point.score for point in shown[0].profile]
    x, y = Scale(scores[0], scores[-1], LEFT, WIDTH - 14), Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    parts, names = frame(x, y, "normalised score", "share above it"), colours(rows)
    for row in sorted(shown, key=lambda row: (row.kind == "agent", row.policy)):
        parts.append(_profile(row, x, y, names[row.policy]))
    key = "".join(f'<li><i class="swatch {names[row.policy]}"></i>{escape(row.policy)}{_dashes(row)}</li>' for row in shown)
    return svg(parts, "Performance profiles: share of seeds and patients above each normalised score") + f'<ul class="key">{key}</ul>'


def _profile(row: Row, x: Scale, y: Scale, colour: str) -> str:
    at = [(x(point.score), y(point.share.value)) for point in row.profile]
    band = [f"{x(p.score):.1f},{y(p.share.high):.1f}" for p in row.profile]
    band += [f"{x(p.score):.1f},{y(p.share.low):.1f}" for p in reversed(row.profile)]
    drawn = f'<polygon class="band {colour}" points="{" ".join(band)}"/>' if row.kind == "agent" else ""
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in at)
    return f'<g><title>{escape(row.policy)}</title>{drawn}<polyline class="curve {colour}" points="{points}"/></g>'


def _dashes(row: Row) -> str:
    return f' <span class="sample {row.role}"></span>' if row.role in _BARS else ""


# Return against harm

Cost = Callable[[Row], Estimate]


def _total(row: Row) -> Estimate:
    return row.cost


def pareto_front(rows: Sequence[Row], cost: Cost = _total) -> list[Row]:
    """Rows that no other beats in both mean return and mean cost (their sum, or one of them), from least to most harm."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (cost(row).value, -row.mean_return.value)):
        if not front or row.mean_return.value > front[-1].mean_return.value:
            front.append(row)
    return front


def harm_against_return(rows: Sequence[Row], name: str | None = None) -> str:
    """Mean return against mean cost (the sum, or the one of that name) of every policy, with intervals; the Pareto front is ringed."""
    cost: Cost = _total if name is None else lambda row: row.costs[name]
    x = padded([v for row in rows for v in (cost(row).low, cost(row).high)], LEFT, WIDTH - 14)
    returns = [v for row in rows for v in (row.mean_return.low, row.mean_return.high)]
    y = padded(returns, HEIGHT - BOTTOM, TOP, reach(rows))
    parts = frame(x, y, "all costs together, mean" if name is None else f"{words(name)}, mean", "mean return")
    front, names = pareto_front(rows, cost), colours(rows)
    corners = [f"{x(cost(row).value):.1f} {y(row.mean_return.value):.1f}" for row in front]
    steps = [f"H{corner.split()[0]}V{corner.split()[1]}" for corner in corners[1:]]
    parts.append(f'<path class="front" d="M{corners[0]}{"".join(steps)}H{x.end}"/>')
    for row in sorted(rows, key=lambda row: row.policy):
        parts.append(_point(row, cost(row), x, y, names[row.policy], row in front))
    points = {row.policy: (x(cost(row).value), y(row.mean_return.value)) for row in [*front, *rows]}
    named = _labels(points, names, (x.start, y.end, x.end, y.start))
    unnamed = [f'<li><i class="swatch {names[p]}"></i>{escape(p)}</li>' for p in sorted(points.keys() - named.keys())]
    what = "all costs together" if name is None else words(name)
    drawing = svg([*parts, *named.values()], f"Mean return against {what}; up and left is better")
    return drawing + (f'<ul class="key">{"".join(unnamed)}</ul>' if unnamed else "")


def _point(row: Row, cost: Estimate, x: Scale, y: Scale, colour: str, on_front: bool) -> str:
    at, up = x(cost.value), y(row.mean_return.value)
    said = f"{escape(row.policy)}: return {figure(row.mean_return.value)}, cost {figure(cost.value)}"
    ring = f'<circle class="ring" cx="{at:.1f}" cy="{up:.1f}" r="8"/>' if on_front else ""
    beyond = "" if y.holds(row.mean_return.value) else " beyond"
    mark = (
        f'<circle class="{colour}{beyond}" cx="{at:.1f}" cy="{up:.1f}" r="4.5"/>'
        if row.kind == "agent"
        else f'<path class="{colour}{beyond}" d="M{at:.1f} {up - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>'
    )
    whiskers = line(colour, (x(cost.low), up), (x(cost.high), up))
    whiskers += line(colour, (at, y(row.mean_return.low)), (at, y(row.mean_return.high)))
    title = f"<title>{said}{', on the Pareto front' if on_front else ''}</title>"
    return f'<g class="point">{title}{whiskers}{ring}{mark}</g>'


def _labels(points: dict[str, tuple[float, float]], names: dict[str, str], inside: tuple[float, float, float, float]) -> dict[str, str]:
    """Names beside their points where there is room; the first come first, so the front keeps its names."""
    taken = [(px - 7, py - 7, px + 7, py + 7) for px, py in points.values()]
    left, top, right, bottom = inside
    texts = {}
    for policy, (px, py) in points.items():
        width = 6.8 * len(policy)
        middle, near = -width / 2, 12 - width
        beside = [(11.0, 4), (-11 - width, 4)]
        for dx, dy in beside + [(left_by, by) for left_by in (middle, -12, near) for by in (-13, 21)]:
            box = (px + dx, py + dy - 10, px + dx + width, py + dy + 3)
            free = all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in taken)
            if free and box[0] > left and box[1] > top and box[2] < right and box[3] < bottom:
                taken.append(box)
                texts[policy] = text(box[0], py + dy, policy, f"{names[policy]} name")
                break
    return texts


# Outcomes


def outcome_bars(rows: Sequence[Row]) -> str:
    """How episodes ended, in shares of patients: one stacked bar a policy, the commonest outcome first."""
    everyone = {name: sum(row.outcomes[name] for row in rows) for name in rows[0].outcomes}
    order = sorted(everyone, key=lambda name: (-everyone[name], name))
    key = "".join(f'<li><i class="o{k % 6 + 1}"></i>{words(name)}</li>' for k, name in enumerate(order))
    bars = "".join(_outcome_bar(row, order) for row in rows)
    return f'<ul class="key">{key}</ul><ul class="outcomes">{bars}</ul>'


def _outcome_bar(row: Row, order: list[str]) -> str:
    shares = [(k, name, row.outcomes[name]) for k, name in enumerate(order) if row.outcomes[name] > 0]
    said = ", ".join(f"{words(name)} {share:.1%}" for _, name, share in shares)
    pieces = "".join(
        f'<span class="o{k % 6 + 1}" style="width:{100 * share:.2f}%" title="{words(name)} {share:.1%}">'
        f"{f'{share:.0%}' if share >= 0.12 else ''}</span>"
        for k, name, share in shares
    )
    return f'<li><span class="who">{escape(row.policy)}</span><span class="stack" role="img" aria-label="{said}">{pieces}</span></li>'


def reach(rows: Sequence[Row]) -> tuple[float, float]:
    """How far an axis of returns goes at most, given floor and ceiling; any distance without them."""
    ends = {row.role: row.mean_return.value for row in rows if row.role in ("floor", "ceiling")}
    if len(ends) < 2:
        return -math.inf, math.inf
    margin = BEYOND * abs(ends["ceiling"] - ends["floor"])
    return min(ends.values()) - margin, max(ends.values()) + margin
