"""Drawings of a safety report as inline SVG: classes carry the colours, so that a page can be dark, and print; text stays text.

The same data give the same bytes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from medsim.render.scales import Scale, ticks
from medsim.safety.figures import Figure, plain

__all__ = ["Curve", "Interval", "Mark", "bars", "curves", "estimates", "intervals", "matrix"]

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 40
LETTER = 6.3  # chosen: mean width of a letter at 12 units
MOST_POINTS = 300  # of a curve: as many as can be seen


def room_for(labels: Iterable[str]) -> int:
    """Return how far right the longest label reaches, in the drawing's units."""
    return 16 + round(LETTER * max((len(label) for label in labels), default=0))


def widened(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """Return limits with some room, also around a single value."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    room = share * (high - low) or max(abs(high), 1.0) * 0.1
    return low - room, high + room


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A line of a chart of intervals; ``kind``: a class of the style sheet, such as fail, pass, other."""

    label: str
    figure: Figure
    kind: str = "other"


def intervals(rows: Sequence[Interval], axis: str, *, mark: float | None = None, mark_label: str = "") -> str:
    """Return intervals one below the other, and a line at ``mark``."""
    found = [value for row in rows for value in (row.figure.low, row.figure.value, row.figure.high) if math.isfinite(value)]
    if mark is not None:
        found.append(mark)
    low, high = widened(min(found, default=0.0), max(found, default=1.0))
    left, high_px = room_for(row.label for row in rows), 22 * len(rows) + TOP + BOTTOM
    x = Scale(low, high, left, WIDTH - 110)
    parts = [grid_x(x, TOP, high_px - BOTTOM, axis, high_px)]
    if mark is not None:
        parts.append(f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{high_px - BOTTOM}"/>')
        if mark_label:
            parts.append(f'<text class="small" x="{x(mark) + 3:.1f}" y="{TOP - 3}">{escape(mark_label)}</text>')
    parts += [line_of(row, x, left, TOP + 22 * k + 13) for k, row in enumerate(rows)]
    return framed(parts, high_px, f"{len(rows)} intervals: {axis}")


def line_of(row: Interval, x: Scale, left: int, y: int) -> str:
    """Return an interval's label, bar, value and number; what lies beyond the scale ends in an arrow at its edge."""
    low, value, high = row.figure.low, row.figure.value, row.figure.high
    parts = [
        f'<text class="label" x="{left - 8}" y="{y + 4}" text-anchor="end">{escape(row.label)}</text>',
        f'<line class="bar {row.kind}" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}"/>',
    ]
    if x.holds(value):
        parts.append(f'<circle class="dot {row.kind}" cx="{x(value):.1f}" cy="{y}" r="4"/>')
    if low < x.low:
        parts.append(f'<path class="dot {row.kind}" d="M{x.start:.1f} {y}l8 -5v10z"/>')
    if high > x.high:
        parts.append(f'<path class="dot {row.kind}" d="M{x.end:.1f} {y}l-8 -5v10z"/>')
    parts.append(f'<text class="small" x="{WIDTH - 102}" y="{y + 4}">{escape(plain(value))}</text>')
    return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A vertical line; ``kind``: a class of the style sheet, such as truth, standard."""

    label: str
    value: float
    kind: str = ""


def estimates(rows: Sequence[Interval], axis: str, marks: Sequence[Mark], limits: tuple[float, float]) -> str:
    """Return intervals one below the other, with marks labelled above, a line each; what lies beyond limits is not drawn to scale."""
    found = [value for row in rows for value in (row.figure.low, row.figure.value, row.figure.high) if math.isfinite(value)]
    ends = [*(min(max(value, limits[0]), limits[1]) for value in found), *(one.value for one in marks)]
    top = TOP + 14 * len(marks)
    left, height = room_for(row.label for row in rows), 22 * len(rows) + top + BOTTOM
    x = Scale(*widened(min(ends), max(ends)), left, WIDTH - 110)
    parts = [grid_x(x, top, height - BOTTOM, axis, height)]
    rightmost = max(
        range(len(marks)), key=lambda k: marks[k].value, default=0
    )  # its label to its right, others to the left: none is crossed
    for k, one in enumerate(marks):
        at, y = x(one.value), TOP + 14 * k
        parts.append(f'<line class="mark {one.kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 8}" y2="{height - BOTTOM}"/>')
        place = f'x="{at + 4:.1f}"' if k == rightmost else f'x="{at - 4:.1f}" text-anchor="end"'
        parts.append(f'<text class="small" {place} y="{y}">{escape(one.label)}</text>')
    parts += [line_of(row, x, left, top + 22 * k + 13) for k, row in enumerate(rows)]
    return framed(parts, height, f"{len(rows)} estimates: {axis}")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points (m,) and (m,) joined; ``kind``: a class of the style sheet, such as own, standard, third."""

    label: str
    x: npt.ArrayLike
    y: npt.ArrayLike
    kind: str = "own"
    stepped: bool = False


def curves(lines: Sequence[Curve], x_axis: str, y_axis: str, *, band: tuple[float, float] | None = None, height: int = 240,
           limits: tuple[float, float] | None = None, width: int = WIDTH) -> str:  # fmt: skip
    """Return curves over one axis; ``band``: the wanted range."""
    xs = np.concatenate([np.asarray(one.x, dtype=np.float64) for one in lines])
    ys = np.concatenate([np.asarray(one.y, dtype=np.float64) for one in lines])
    ys = ys[np.isfinite(ys)]
    low, high = limits or widened(min([*ys.tolist(), *(band or ())], default=0.0), max([*ys.tolist(), *(band or ())], default=1.0))
    x = Scale(float(xs.min()), float(xs.max()) if xs.max() > xs.min() else float(xs.min()) + 1.0, LEFT, width - RIGHT)
    y = Scale(low, high, height - BOTTOM, TOP + 14)
    parts = [grid_x(x, TOP + 14, height - BOTTOM, f"{x_axis} (upwards: {y_axis})", height, width), grid_y(y, width)]
    if band is not None:
        parts.insert(
            0, f'<rect class="band" x="{LEFT}" width="{width - RIGHT - LEFT}" y="{y(band[1]):.1f}" height="{y(band[0]) - y(band[1]):.1f}"/>'
        )
    for one in lines:
        parts.append(f'<path class="line {one.kind}" d="{path_of(one, x, y)}"/>')
    place = float(LEFT)
    for one in lines:
        parts.append(f'<text class="key {one.kind}" x="{place:.0f}" y="{TOP}">{escape(one.label)}</text>')
        place += 7.0 * len(one.label) + 22.0
    return framed(parts, height, f"{y_axis} over {x_axis}", width)


def path_of(one: Curve, x: Scale, y: Scale) -> str:
    """Return the path of a curve, thinned to what can be seen."""
    xs, ys = np.asarray(one.x, dtype=np.float64), np.asarray(one.y, dtype=np.float64)
    keep = np.isfinite(ys)
    xs, ys = xs[keep], ys[keep]
    if len(xs) > MOST_POINTS:
        rows = np.unique(np.linspace(0, len(xs) - 1, MOST_POINTS).astype(int))
        xs, ys = xs[rows], ys[rows]
    if not len(xs):
        return ""
    words = [f"M{x(xs[0]):.1f} {y(ys[0]):.1f}"]
    for a, b in zip(xs[1:], ys[1:], strict=True):
        words.append(f"H{x(a):.1f}V{y(b):.1f}" if one.stepped else f"L{x(a):.1f} {y(b):.1f}")
    return "".join(words)


def bars(values: Sequence[tuple[str, float]], axis: str) -> str:
    """Return bars from zero, one below the other."""
    low, high = min(0.0, *(value for _, value in values)), max(0.0, *(value for _, value in values))
    left, high_px = room_for(label for label, _ in values), 20 * len(values) + TOP + BOTTOM
    x = Scale(low, high if high > low else low + 1.0, left, WIDTH - 90)
    parts = [grid_x(x, TOP, high_px - BOTTOM, axis, high_px)]
    for k, (label, value) in enumerate(values):
        y, a, b = TOP + 20 * k, min(x(0.0), x(value)), max(x(0.0), x(value))
        parts.append(f'<text class="label" x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect class="fill own" x="{a:.1f}" y="{y + 4}" width="{max(b - a, 0.5):.1f}" height="12"/>')
        parts.append(f'<text class="small" x="{WIDTH - 82}" y="{y + 14}">{escape(plain(value))}</text>')
    return framed(parts, high_px, f"bars: {axis}")


def matrix(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], *, worst: float, unit: str) -> str:
    """Return a table of coloured cells, each with its number: the redder, the worse; from ``worst`` on fully red; None: not tried."""
    left, cell_h, head = room_for(rows), 24, 34
    cell_w = min(120, max(64, (WIDTH - left - 10) // max(len(columns), 1)))
    width, height = left + cell_w * len(columns) + 8, head + cell_h * len(rows) + 8
    parts = [
        f'<text class="small" x="{left + cell_w * (k + 0.5):.0f}" y="{head - 10}" text-anchor="middle">{escape(name)}</text>'
        for k, name in enumerate(columns)
    ]
    for i, name in enumerate(rows):
        y = head + cell_h * i
        parts.append(f'<text class="label" x="{left - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>')
        for k, value in enumerate(values[i]):
            if value is None:
                continue
            level = math.ceil(5.0 * min(max(value / worst, 0.0), 1.0)) if worst > 0.0 else 0  # an infinite one is fully red
            place = f'x="{left + cell_w * k}" y="{y}" width="{cell_w - 2}" height="{cell_h - 2}"'
            parts.append(f'<rect class="heat h{level}" {place}/>')
            parts.append(
                f'<text class="cell h{level}" x="{left + cell_w * (k + 0.5) - 1:.0f}" y="{y + 15}" text-anchor="middle">'
                f"{plain(value)}</text>"
            )
    return framed(parts, height, f"matrix of {len(rows)} by {len(columns)}, {unit}", width)


def grid_x(x: Scale, top: float, bottom: float, axis: str, height: int, width: int = WIDTH) -> str:
    """Return the grid and numbers of a horizontal axis."""
    parts = []
    for value in ticks(x.low, x.high):
        parts.append(f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text class="small" x="{x(value):.1f}" y="{bottom + 14}" text-anchor="middle">{plain(value)}</text>')
    middle = (x.start + x.end) / 2.0
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{height - 6}" text-anchor="middle">{escape(axis)}</text>')
    return "".join(parts)


def grid_y(y: Scale, width: int) -> str:
    """Return the grid and numbers of a vertical axis."""
    parts = []
    for value in ticks(y.low, y.high, 4):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="small" x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{plain(value)}</text>')
    return "".join(parts)


def framed(parts: Sequence[str], height: int, says: str, width: int = WIDTH) -> str:
    """Return a drawing that scales with the page."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(says)}" style="max-width:{width}px">{"".join(parts)}</svg>'
