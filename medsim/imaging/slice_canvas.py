"""Slices are painted at four times their size and averaged down: smooth edges, and pixels that hold shares of tissues as real ones do.

A canvas holds a value (HU or signal) and a label for each of its points. Shapes are painted over each other in order, on a plane that
is warped smoothly and differently for each patient.
"""

from typing import Any, NamedTuple

from medsim.core.inlining import compiled_once
from medsim.imaging.draws import value_at

__all__ = ["FINE", "Canvas", "average_down", "paint_disc", "paint_shape", "warp_plane"]

FINE = 4  # points of the canvas per pixel and side


class Canvas(NamedTuple):
    """What a slice is painted on, (FINE s, FINE s) each but for the textures."""

    value: Any
    label: Any  # uint8
    x: Any  # where each point lies in the plane of shapes, in half sides
    y: Any
    grain: Any  # texture of mean 0 and sd about 1
    field: Any  # whose level lines are sulci
    tile: Any  # (16, 16)
    tile_x: Any
    tile_y: Any


@compiled_once
def warp_plane(c: Canvas, strength: float, background: float) -> None:
    """Empty the canvas, and bend its plane by up to about twice ``strength`` half sides, with fine roughness on top."""
    m = c.value.shape[0]
    for i in range(m):
        py = (i + 0.5) * 2.0 / m - 1.0
        for j in range(m):
            px = (j + 0.5) * 2.0 / m - 1.0
            c.value[i, j], c.label[i, j] = background, 0
            rough = value_at(c.tile, 14.0 * px, 14.0 * py)
            c.x[i, j] = px + strength * (value_at(c.tile_x, 2.2 * px, 2.2 * py) + 0.12 * rough)
            c.y[i, j] = py + strength * (value_at(c.tile_y, 2.2 * px, 2.2 * py) - 0.12 * rough)
            c.grain[i, j] = (
                0.75 * value_at(c.tile, 31.0 * px + 3.0, 31.0 * py) + 0.5 * value_at(c.tile_x, 11.0 * px, 11.0 * py + 5.0) + 0.4 * rough
            )


@compiled_once
def paint_shape(
    c: Canvas, label: int, x: float, y: float, rx: float, ry: float, slant: float, square: float, value: float, grain: float
) -> None:
    """Paint an ellipse around (x, y) with half axes rx and ry, sheared by ``slant``; square 0 .. 1: towards a rounded box."""
    m = c.value.shape[0]
    reach = 0.2  # beyond what the warp can move
    top, end = max(int((y - ry - reach + 1.0) * 0.5 * m), 0), min(int((y + ry + reach + 1.0) * 0.5 * m) + 1, m)
    wide = rx + abs(slant) * ry + reach
    left, right = max(int((x - wide + 1.0) * 0.5 * m), 0), min(int((x + wide + 1.0) * 0.5 * m) + 1, m)
    per_x, per_y = 1.0 / rx, 1.0 / ry
    for i in range(top, end):
        for j in range(left, right):
            v = (c.y[i, j] - y) * per_y
            u = (c.x[i, j] - x - slant * (c.y[i, j] - y)) * per_x
            u2, v2 = u * u, v * v
            if u2 + v2 - square * u2 * v2 < 1.0 and u2 < 1.0 and v2 < 1.0:
                c.value[i, j], c.label[i, j] = value + grain * c.grain[i, j], label


@compiled_once
def paint_disc(c: Canvas, label: int, x: float, y: float, radius: float, value: float, rim: float, grain: float) -> None:
    """Paint a true circle, which is not warped; its outer quarter has the value ``rim``."""
    m = c.value.shape[0]
    for i in range(max(int((y - radius + 1.0) * 0.5 * m), 0), min(int((y + radius + 1.0) * 0.5 * m) + 1, m)):
        dy = (i + 0.5) * 2.0 / m - 1.0 - y
        for j in range(max(int((x - radius + 1.0) * 0.5 * m), 0), min(int((x + radius + 1.0) * 0.5 * m) + 1, m)):
            dx = (j + 0.5) * 2.0 / m - 1.0 - x
            r2 = (dx * dx + dy * dy) / (radius * radius)
            if r2 < 1.0:
                c.value[i, j], c.label[i, j] = (rim if r2 > 0.5625 else value) + grain * c.grain[i, j], label


@compiled_once
def average_down(c: Canvas, image: Any, masks: Any) -> None:
    """Average a canvas down to a picture (s, s), and mark in masks (L, s, s) what at least half of a pixel is: labels 1 .. L."""
    s = image.shape[0]
    for i in range(s):
        for j in range(s):
            total = 0.0
            for k in range(FINE * FINE):
                total += c.value[FINE * i + k // FINE, FINE * j + k % FINE]
            image[i, j] = total * (1.0 / (FINE * FINE))
            free = True  # a pixel that is half one thing and half another is the later one
            for label in range(masks.shape[0] - 1, -1, -1):
                count = 0
                for k in range(FINE * FINE):
                    count += 1 if c.label[FINE * i + k // FINE, FINE * j + k % FINE] == label + 1 else 0
                masks[label, i, j] = free and 2 * count >= FINE * FINE
                free = free and not masks[label, i, j]
