"""The figures of the leaderboard page, as inline SVG and HTML without scripts: byte for byte the same for the
same rows.

Colours, fonts and the dark theme are the style sheet's business; here are classes only. ``c1`` to ``c8`` are
agents in alphabetical order (``again`` from the ninth on), ``floor``, ``protocol``, ``ceiling`` and
``reference`` are what their names say.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from medsim_agents.leaderboard.rows import Row
from medsim_agents.leaderboard.table import figure

__all__ = ["Scale", "colours", "harm_against_return", "interval_axis", "interval_bar", "interval_scale"]
__all__ += ["learning_curves", "outcome_bars", "pareto_front", "ticks"]

_WIDTH, _HEIGHT = 380, 270
_TOP, _RIGHT, _BOTTOM, _LEFT = 12, 120, 44, 52
_BARS = ("floor", "protocol", "ceiling")
_PALETTE = 8
_BEYOND = 0.5  # chosen: of the way from floor to ceiling, how far axes go beyond either; spares the rest


@dataclass(frozen=True)
class Scale:
    """From values ``low`` to ``high`` to places ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value stands; one beyond the scale stands at its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the scale."""
        return self.low <= value <= self.high


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round values between `low` and `high`, 1, 2 or 5 times a power of ten apart, `about` of them."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


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
    return Scale(max(low, -_BEYOND) - 0.05, min(high, 1 + _BEYOND) + 0.05, 2, 98)


def interval_axis(scale: Scale) -> str:
    """The numbers of the axis, for the column's head."""
    marks = "".join(f'<span style="left:{scale(v):.1f}%">{_tick(v)}</span>' for v in ticks(scale.low, scale.high))
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
    x = Scale(0, max(last, 1), _LEFT, _WIDTH - _RIGHT)
    y = _padded(values, _HEIGHT - _BOTTOM, _TOP, _reach(rows))
    parts = _frame(x, y, "training steps", "mean return")
    for row in bars:
        at = y(row.mean_return.value)
        parts.append(_line(row.role, (x.start, at), (x.end, at)))
    names = colours(rows)
    for row in learners:
        parts.append(_curve(row, x, y, names[row.policy]))
    ends = [(row.policy, y(row.curve[-1].return_mean)) for row in learners]
    ends += [(row.policy, y(row.mean_return.value)) for row in bars]
    for (policy, _), at in zip(ends, _spread([place for _, place in ends], 13, y.end, y.start), strict=True):
        parts.append(_text(x.end + 8, at + 4, policy, f"{names[policy]} name", most=16))
    return _svg(parts, "Learning curves: mean return against training steps")


def _curve(row: Row, x: Scale, y: Scale, colour: str) -> str:
    upper = [f"{x(p.step):.1f},{y(p.return_high):.1f}" for p in row.curve]
    lower = [f"{x(p.step):.1f},{y(p.return_low):.1f}" for p in reversed(row.curve)]
    middle = [f"{x(p.step):.1f},{y(p.return_mean):.1f}" for p in row.curve]
    said = f"{escape(row.policy)}: {figure(row.curve[-1].return_mean)} after {row.curve[-1].step:,} steps"
    return (
        f'<g><title>{said}</title><polygon class="band {colour}" points="{" ".join(upper + lower)}"/>'
        f'<polyline class="curve {colour}" points="{" ".join(middle)}"/></g>'
    )


# Return against harm


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """Rows that no other beats in both mean return and mean cost, from least to most harm."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.cost.value, -row.mean_return.value)):
        if not front or row.mean_return.value > front[-1].mean_return.value:
            front.append(row)
    return front


def harm_against_return(rows: Sequence[Row]) -> str:
    """Mean return against mean total cost of every policy, with intervals; the Pareto front is ringed."""
    x = _padded([v for row in rows for v in (row.cost.low, row.cost.high)], _LEFT, _WIDTH - 14)
    returns = [v for row in rows for v in (row.mean_return.low, row.mean_return.high)]
    y = _padded(returns, _HEIGHT - _BOTTOM, _TOP, _reach(rows))
    parts = _frame(x, y, "harm: mean cost a patient", "mean return")
    front, names = pareto_front(rows), colours(rows)
    corners = [f"{x(row.cost.value):.1f} {y(row.mean_return.value):.1f}" for row in front]
    steps = [f"H{corner.split()[0]}V{corner.split()[1]}" for corner in corners[1:]]
    parts.append(f'<path class="front" d="M{corners[0]}{"".join(steps)}H{x.end}"/>')
    for row in sorted(rows, key=lambda row: row.policy):
        parts.append(_point(row, x, y, names[row.policy], row in front))
    points = {row.policy: (x(row.cost.value), y(row.mean_return.value)) for row in [*front, *rows]}
    named = _labels(points, names, (x.start, y.end, x.end, y.start))
    unnamed = [f'<li><i class="swatch {names[p]}"></i>{escape(p)}</li>' for p in sorted(points.keys() - named.keys())]
    drawing = _svg([*parts, *named.values()], "Mean return against mean cost; up and left is better")
    return drawing + (f'<ul class="key">{"".join(unnamed)}</ul>' if unnamed else "")


def _point(row: Row, x: Scale, y: Scale, colour: str, on_front: bool) -> str:
    at, up = x(row.cost.value), y(row.mean_return.value)
    said = f"{escape(row.policy)}: return {figure(row.mean_return.value)}, cost {figure(row.cost.value)}"
    ring = f'<circle class="ring" cx="{at:.1f}" cy="{up:.1f}" r="8"/>' if on_front else ""
    beyond = "" if y.holds(row.mean_return.value) else " beyond"
    mark = (
        f'<circle class="{colour}{beyond}" cx="{at:.1f}" cy="{up:.1f}" r="4.5"/>'
        if row.kind == "agent"
        else f'<path class="{colour}{beyond}" d="M{at:.1f} {up - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>'
    )
    whiskers = _line(colour, (x(row.cost.low), up), (x(row.cost.high), up))
    whiskers += _line(colour, (at, y(row.mean_return.low)), (at, y(row.mean_return.high)))
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
                texts[policy] = _text(box[0], py + dy, policy, f"{names[policy]} name")
                break
    return texts


# Outcomes


def outcome_bars(rows: Sequence[Row]) -> str:
    """How episodes ended, in shares of patients: one stacked bar a policy, the commonest outcome first."""
    everyone = {name: sum(row.outcomes[name] for row in rows) for name in rows[0].outcomes}
    order = sorted(everyone, key=lambda name: (-everyone[name], name))
    key = "".join(f'<li><i class="o{k % 6 + 1}"></i>{_words(name)}</li>' for k, name in enumerate(order))
    bars = "".join(_outcome_bar(row, order) for row in rows)
    return f'<ul class="key">{key}</ul><ul class="outcomes">{bars}</ul>'


def _outcome_bar(row: Row, order: list[str]) -> str:
    shares = [(k, name, row.outcomes[name]) for k, name in enumerate(order) if row.outcomes[name] > 0]
    said = ", ".join(f"{_words(name)} {share:.1%}" for _, name, share in shares)
    pieces = "".join(
        f'<span class="o{k % 6 + 1}" style="width:{100 * share:.2f}%" title="{_words(name)} {share:.1%}">'
        f"{f'{share:.0%}' if share >= 0.12 else ''}</span>"
        for k, name, share in shares
    )
    return f'<li><span class="who">{escape(row.policy)}</span><span class="stack" role="img" aria-label="{said}">{pieces}</span></li>'


# Strokes


def _frame(x: Scale, y: Scale, x_title: str, y_title: str) -> list[str]:
    parts: list[str] = []
    for value in ticks(y.low, y.high):
        parts.append(_line("grid", (x.start, y(value)), (x.end, y(value))))
        parts.append(_text(x.start - 6, y(value) + 4, _tick(value), "tick end"))
    for value in ticks(x.low, x.high):
        parts.append(_line("grid", (x(value), y.start), (x(value), y.start + 4)))
        parts.append(_text(x(value), y.start + 17, _tick(value), "tick middle"))
    parts.append(_text((x.start + x.end) / 2, _HEIGHT - 8, x_title, "title middle"))
    middle = (y.start + y.end) / 2
    turned = f'transform="rotate(-90 11 {middle:.1f})"'
    return [*parts, f'<text class="title middle" x="11" y="{middle:.1f}" {turned}>{y_title}</text>']


def _svg(parts: Iterable[str], said: str) -> str:
    return f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{said}">' + "".join(parts) + "</svg>"


def _line(names: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{names}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, names: str, most: int = 40) -> str:
    shown = text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-most // 2 :]}"
    return f'<text class="{names}" x="{x:.1f}" y="{y:.1f}">{escape(shown)}</text>'


def _reach(rows: Sequence[Row]) -> tuple[float, float]:
    """How far an axis of returns goes at most, given floor and ceiling; any distance without them."""
    ends = {row.role: row.mean_return.value for row in rows if row.role in ("floor", "ceiling")}
    if len(ends) < 2:
        return -math.inf, math.inf
    margin = _BEYOND * abs(ends["ceiling"] - ends["floor"])
    return min(ends.values()) - margin, max(ends.values()) + margin


def _padded(values: Sequence[float], start: float, end: float, reach: tuple[float, float] = (-math.inf, math.inf)) -> Scale:
    low, high = max(min(values), reach[0]), min(max(values), reach[1])
    margin = 0.06 * (high - low) or 0.5
    return Scale(low - margin, high + margin, start, end)


def _spread(places: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """The same places in the same order, moved to be at least `gap` apart between `top` and `bottom`."""
    order = sorted(range(len(places)), key=lambda k: places[k])
    spread, least = list(places), top
    for k in order:
        least = spread[k] = max(places[k], least)
        least += gap
    most = bottom
    for k in reversed(order):
        most = spread[k] = min(spread[k], most)
        most -= gap
    return spread


def _tick(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}".replace("-", "−")
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}".replace("-", "−")


def _words(name: str) -> str:
    return escape(name.replace("_", " "))
