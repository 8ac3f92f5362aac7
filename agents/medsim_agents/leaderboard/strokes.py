"""What figures are drawn with: scales, ticks, frames, lines and texts of inline SVG, as strings."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from medsim.render.scales import Scale, ticks

__all__ = ["BOTTOM", "HEIGHT", "LEFT", "RIGHT", "TOP", "WIDTH", "Scale"]
__all__ += ["frame", "line", "padded", "spread", "svg", "text", "tick", "ticks", "words"]

WIDTH, HEIGHT = 380, 270
TOP, RIGHT, BOTTOM, LEFT = 12, 120, 44, 52


def frame(x: Scale, y: Scale, x_title: str, y_title: str) -> list[str]:
    """Grid, ticks and titles of two axes."""
    parts: list[str] = []
    for value in ticks(y.low, y.high):
        parts.append(line("grid", (x.start, y(value)), (x.end, y(value))))
        parts.append(text(x.start - 6, y(value) + 4, tick(value), "tick end"))
    for value in ticks(x.low, x.high):
        parts.append(line("grid", (x(value), y.start), (x(value), y.start + 4)))
        parts.append(text(x(value), y.start + 17, tick(value), "tick middle"))
    parts.append(text((x.start + x.end) / 2, HEIGHT - 8, x_title, "title middle"))
    middle = (y.start + y.end) / 2
    turned = f'transform="rotate(-90 11 {middle:.1f})"'
    return [*parts, f'<text class="title middle" x="11" y="{middle:.1f}" {turned}>{y_title}</text>']


def svg(parts: Iterable[str], said: str) -> str:
    """A figure of some parts, with what it shows for those who cannot see it."""
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">' + "".join(parts) + "</svg>"


def line(names: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    """A line of some classes."""
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{names}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, text: str, names: str, most: int = 40) -> str:
    """A text, shortened in the middle where it is longer than `most`."""
    shown = text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-most // 2 :]}"
    return f'<text class="{names}" x="{x:.1f}" y="{y:.1f}">{escape(shown)}</text>'


def padded(values: Sequence[float], start: float, end: float, reach: tuple[float, float] = (-math.inf, math.inf)) -> Scale:
    """A scale that holds all values within `reach`, and a little more."""
    low, high = max(min(values), reach[0]), min(max(values), reach[1])
    margin = 0.06 * (high - low) or 0.5
    return Scale(low - margin, high + margin, start, end)


def spread(places: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
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


def tick(value: float) -> str:
    """A tick as one reads it: 20k, 1M, −0.5."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}".replace("-", "−")
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}".replace("-", "−")


def words(name: str) -> str:
    """A name in words, escaped."""
    return escape(name.replace("_", " "))
