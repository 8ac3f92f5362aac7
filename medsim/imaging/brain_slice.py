"""Axial slices of the brain, weighted as T1: white matter brightest, then grey, fluid dark; cortex folded around random sulci.

Signals are relative: fat 0.9, white matter 0.75, grey 0.52, fluid 0.17, bone 0.07, each spread a little, under a smooth bias field, as in
T1-weighted pictures on display; chosen. A sulcus is a level line of a smooth random field; cortex is what lies near one, or near the
surface.
"""

import math
from typing import Any

from medsim.core.inlining import compiled_once
from medsim.imaging.chest_opacity import cover
from medsim.imaging.draws import between, value_at
from medsim.imaging.slice_canvas import Canvas, paint_disc, paint_shape, warp_plane

__all__ = ["BRAIN_FACTORS", "BRAIN_FIELD_MM", "BRAIN_MASKS", "paint_brain"]

BRAIN_MASKS = ("scalp", "skull", "csf", "grey_matter", "white_matter", "ventricles", "deep_grey", "tumour")
BRAIN_FACTORS = ("tumour_mm", "tumour_x_mm", "tumour_y_mm", "ventricle_size", "atrophy", "bias", "pixel_mm")
BRAIN_FIELD_MM = 230.0
SCALP, SKULL, CSF, GREY, WHITE, VENTRICLE, DEEP, TUMOUR = 1, 2, 3, 4, 5, 6, 7, 8
CORTEX = 0.030  # thickness in half sides: 3 mm; from memory, not verified


@compiled_once
def paint_brain(c: Canvas, u: Any, tumour_mm: float, x_mm: float, y_mm: float, place: bool, factors: Any) -> None:
    """Paint one slice; u: (256,) draws; a tumour of 0 mm is none; ``place``: whether it lies at (x_mm, y_mm) from the middle."""
    warp_plane(c, between(u, 0, 0.012, 0.03), 0.0)
    x, y = between(u, 1, -0.04, 0.04), between(u, 2, -0.04, 0.04)
    rx, ry = between(u, 3, 0.60, 0.70), between(u, 4, 0.76, 0.86)
    bone, skin = between(u, 5, 0.05, 0.08), between(u, 6, 0.03, 0.07)
    fluid = between(u, 7, 0.13, 0.21)
    paint_shape(c, SCALP, x, y, rx + bone + skin, ry + bone + skin, 0.0, 0.15, between(u, 8, 0.7, 0.95), 0.03)
    paint_shape(c, SKULL, x, y, rx + bone, ry + bone, 0.0, 0.15, between(u, 9, 0.04, 0.12), 0.012)
    paint_shape(c, SKULL, x, y, rx + 0.65 * bone, ry + 0.65 * bone, 0.0, 0.15, between(u, 10, 0.1, 0.4), 0.03)  # marrow
    paint_shape(c, SKULL, x, y, rx + 0.3 * bone, ry + 0.3 * bone, 0.0, 0.15, 0.06, 0.01)
    paint_shape(c, CSF, x, y, rx, ry, 0.0, 0.15, fluid, 0.01)
    atrophy = between(u, 11, 0.0, 1.0)
    grey, white = between(u, 12, 0.47, 0.56), between(u, 13, 0.70, 0.80)
    paint_folds(c, u, x, y, rx - 0.02 - 0.02 * atrophy, ry - 0.02 - 0.02 * atrophy, atrophy, fluid, grey, white)
    big = between(u, 14, 0.6, 1.3) + 0.4 * atrophy
    paint_middle(c, u, x, y, big, fluid, grey)
    half = 0.5 * BRAIN_FIELD_MM
    at_x, at_y = x + rx * between(u, 15, -0.55, 0.55), y + ry * between(u, 16, -0.55, 0.55)
    if place:
        at_x, at_y = x_mm / half, y_mm / half
    if tumour_mm > 0.0:
        r = 0.5 * tumour_mm / half
        swell(c, at_x, at_y, r * between(u, 17, 1.3, 1.9), between(u, 18, 0.5, 0.6))
        paint_disc(c, TUMOUR, at_x, at_y, r, between(u, 19, 0.25, 0.6), between(u, 20, 0.65, 0.95), 0.03)
    bias = between(u, 21, 0.0, 0.2)
    shade(c, between(u, 22, -1.0, 1.0) * bias, between(u, 23, -1.0, 1.0) * bias, bias)
    factors[0], factors[3], factors[4], factors[5] = tumour_mm, big, atrophy, bias
    factors[1], factors[2] = (at_x * half, at_y * half) if tumour_mm > 0.0 else (0.0, 0.0)


@compiled_once
def paint_folds(
    c: Canvas, u: Any, x: float, y: float, rx: float, ry: float, atrophy: float, fluid: float, grey: float, white: float
) -> None:
    """Paint the hemispheres: white within, cortex along the surface and along sulci, fluid in wide sulci and between the hemispheres."""
    m = c.value.shape[0]
    often, deepest = between(u, 24, 6.5, 8.5), between(u, 25, 0.26, 0.36)
    gap = 0.004 + 0.014 * atrophy
    thick = CORTEX * between(u, 26, 0.85, 1.2)
    for i in range(m):
        for j in range(m):
            if c.label[i, j] == CSF:
                px, py = often * (c.x[i, j] - x), often * (c.y[i, j] - y)
                c.field[i, j] = value_at(c.tile_x, px + 9.0, py) + 0.5 * value_at(c.tile_y, 1.8 * px, 1.8 * py + 4.0)
            else:
                c.field[i, j] = 0.0
    for i in range(1, m - 1):
        for j in range(1, m - 1):
            px, py = c.x[i, j] - x, c.y[i, j] - y
            r2 = px * px / (rx * rx) + py * py / (ry * ry)
            if r2 >= 1.0 or c.label[i, j] == SKULL:
                continue
            deep = (1.0 - math.sqrt(r2)) * rx
            along, down = c.field[i, j + 1] - c.field[i, j - 1], c.field[i + 1, j] - c.field[i - 1, j]
            steep = 0.25 * m * math.sqrt(along * along + down * down)
            sulcus = abs(c.field[i, j]) / max(steep, 0.5) + 0.12 * max(deep - deepest, 0.0) / deepest  # the distance to a level line
            between_halves = abs(px) + 0.5 * max(0.42 * ry - abs(py), 0.0)  # open in front and behind
            near = min(sulcus, between_halves)
            wide = gap * (1.3 - deep / deepest)
            if near < wide:
                continue
            if near < wide + thick or deep < thick:
                c.value[i, j], c.label[i, j] = grey + 0.02 * c.grain[i, j], GREY
            else:
                c.value[i, j], c.label[i, j] = white + 0.018 * c.grain[i, j], WHITE


@compiled_once
def paint_middle(c: Canvas, u: Any, x: float, y: float, big: float, fluid: float, grey: float) -> None:
    """Paint the lateral ventricles' horns, the third ventricle and the deep grey matter of both sides."""
    up = between(u, 27, -0.06, 0.06)
    paint_shape(c, WHITE, x, y + up, 0.3, 0.36, 0.0, 0.3, between(u, 13, 0.70, 0.80), 0.018)
    for k in range(2):
        side = -1.0 if k == 0 else 1.0
        own = big * between(u, 28 + k, 0.9, 1.1)
        paint_shape(c, DEEP, x + side * 0.27, y + up + 0.0, 0.055, 0.15, side * 0.2, 0.0, grey + 0.05, 0.02)  # putamen
        paint_shape(c, DEEP, x + side * 0.14, y + up - 0.15, 0.05, 0.09, side * 0.2, 0.0, grey + 0.03, 0.02)  # caudate
        paint_shape(c, DEEP, x + side * 0.11, y + up + 0.1, 0.085, 0.12, side * 0.1, 0.0, grey + 0.08, 0.02)  # thalamus
        paint_shape(c, VENTRICLE, x + side * 0.07, y + up - 0.19, 0.033 * own, 0.13 * own, side * -0.4, 0.0, fluid, 0.01)
        paint_shape(c, VENTRICLE, x + side * 0.16, y + up + 0.3, 0.035 * own, 0.12 * own, side * 0.5, 0.0, fluid, 0.01)
    paint_shape(c, VENTRICLE, x, y + up + 0.06, 0.012 * big, 0.1, 0.0, 0.0, fluid, 0.01)


@compiled_once
def swell(c: Canvas, x: float, y: float, radius: float, signal: float) -> None:
    """Darken white matter around a tumour, as water does, fading outwards; labels stay."""
    m = c.value.shape[0]
    for i in range(m):
        dy = (i + 0.5) * 2.0 / m - 1.0 - y
        for j in range(m):
            dx = (j + 0.5) * 2.0 / m - 1.0 - x
            if c.label[i, j] == WHITE and dx * dx + dy * dy < radius * radius:
                share = cover(radius - math.sqrt(dx * dx + dy * dy), 0.1)
                c.value[i, j] += share * (signal - c.value[i, j])


@compiled_once
def shade(c: Canvas, along_x: float, along_y: float, bend: float) -> None:
    """Multiply a canvas by a smooth field, as a receiving coil does."""
    m = c.value.shape[0]
    for i in range(m):
        py = (i + 0.5) * 2.0 / m - 1.0
        for j in range(m):
            px = (j + 0.5) * 2.0 / m - 1.0
            field = 1.0 + along_x * px + along_y * py + bend * (0.4 - px * px - py * py) * 0.5
            c.value[i, j] = min(max(c.value[i, j] * field, 0.0), 1.0)
