"""Axial CT slices of the thorax and the abdomen: organs in Hounsfield units.

Values are those of textbooks (air -1000, lung -850, fat -100, water 0, muscle 50, liver 60, bone 300 to 1500), from memory, not
verified; shapes and their spread are chosen, wide enough that no two slices are alike.
"""

import math
from typing import Any

from medsim.core.inlining import compiled_once
from medsim.imaging.draws import between
from medsim.imaging.slice_canvas import Canvas, paint_disc, paint_shape, warp_plane

__all__ = ["CT_FACTORS", "CT_FIELD_MM", "CT_MASKS", "paint_ct"]

CT_MASKS = ("soft_tissue", "bone", "lungs", "heart", "vessels", "liver", "spleen", "kidneys", "bowel", "tumour")
CT_FACTORS = ("abdomen", "tumour_mm", "tumour_x_mm", "tumour_y_mm", "contrast_hu", "pixel_mm")
CT_FIELD_MM = 380.0
AIR = -1000.0
SOFT, BONE, LUNG, HEART, VESSEL, LIVER, SPLEEN, KIDNEY, BOWEL, TUMOUR = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10


@compiled_once
def paint_ct(c: Canvas, u: Any, abdomen: bool, tumour_mm: float, x_mm: float, y_mm: float, place: bool, factors: Any) -> None:
    """Paint one slice; u: (256,) draws; a tumour of 0 mm is none; ``place``: whether it lies at (x_mm, y_mm) from the middle."""
    warp_plane(c, between(u, 0, 0.02, 0.045), AIR)
    contrast = max(0.0, between(u, 1, -120.0, 180.0))  # half are scanned without contrast medium
    width, height = between(u, 2, 0.72, 0.92), between(u, 3, 0.52, 0.68)
    x, y = between(u, 4, -0.04, 0.04), between(u, 5, -0.06, 0.06)
    fat = between(u, 6, 0.03, 0.11)
    paint_shape(c, SOFT, x, y, width, height, 0.0, 0.35, between(u, 7, -112.0, -92.0), 8.0)
    paint_shape(c, SOFT, x, y, width - fat, height - fat, 0.0, 0.35, between(u, 8, 42.0, 60.0), 9.0)
    if abdomen:
        at_x, at_y = paint_abdomen(c, u, x, y, width - fat, height - fat, contrast)
    else:
        at_x, at_y = paint_thorax(c, u, x, y, width - fat, height - fat, contrast)
    half = 0.5 * CT_FIELD_MM
    if place:
        at_x, at_y = x_mm / half, y_mm / half
    if tumour_mm > 0.0:
        core = between(u, 9, 10.0, 40.0)
        paint_disc(c, TUMOUR, at_x, at_y, 0.5 * tumour_mm / half, core, core + between(u, 10, 0.0, 30.0) + 0.3 * contrast, 6.0)
    factors[0], factors[1], factors[4] = (1.0 if abdomen else 0.0), tumour_mm, contrast
    factors[2], factors[3] = (at_x * half, at_y * half) if tumour_mm > 0.0 else (0.0, 0.0)


@compiled_once
def paint_spine(c: Canvas, u: Any, x: float, y: float, size: float) -> None:
    """Paint a vertebra: body with denser cortex, canal, arch and processes."""
    dense = between(u, 11, 160.0, 280.0)
    for side in (-1.0, 1.0):
        paint_shape(c, BONE, x + side * size * 1.2, y + size * 1.2, 0.8 * size, 0.26 * size, 0.0, 0.0, dense + 250.0, 60.0)
    paint_shape(c, BONE, x, y + size * 1.75, 0.2 * size, 0.6 * size, 0.0, 0.0, dense + 200.0, 60.0)
    paint_shape(c, BONE, x, y + size * 1.15, 0.8 * size, 0.66 * size, 0.0, 0.0, dense + 350.0, 60.0)
    paint_shape(c, BONE, x, y, size, 0.82 * size, 0.0, 0.3, dense + 350.0, 60.0)
    paint_shape(c, BONE, x, y, 0.86 * size, 0.68 * size, 0.0, 0.3, dense, 45.0)
    paint_shape(c, SOFT, x, y + size * 1.12, 0.5 * size, 0.42 * size, 0.0, 0.0, 25.0, 5.0)


@compiled_once
def paint_ribs(c: Canvas, u: Any, x: float, y: float, rx: float, ry: float, first: int) -> None:
    """Paint cut ribs around the trunk: short pieces of bone on its outline, at even angles, jittered."""
    for k in range(14):
        side = -1.0 if k < 7 else 1.0
        down = -0.72 + 0.25 * (k % 7) + between(u, first + k, -0.07, 0.07)  # sine of the angle on the outline
        across = math.sqrt(max(1.0 - down * down, 0.0))
        bone = between(u, first + 14 + k, 350.0, 800.0)
        px, py = x + side * rx * across, y + ry * down
        slant = -side * down * rx / ry * 0.9
        long = between(u, first + 28 + k, 0.03, 0.075)
        paint_shape(c, BONE, px, py, 0.02 + 0.3 * long * abs(down), long * across + 0.022, slant, 0.0, bone, 80.0)


@compiled_once
def paint_thorax(c: Canvas, u: Any, x: float, y: float, rx: float, ry: float, contrast: float) -> tuple[float, float]:
    """Paint lungs, heart, great vessels, ribs and spine; return a place in a lung."""
    lung = between(u, 12, -890.0, -780.0)
    paint_ribs(c, u, x, y, rx - 0.035, ry - 0.03, 60)
    at_x, at_y = 0.0, 0.0
    middle = between(u, 13, 0.02, 0.1)
    for k in range(2):
        side = -1.0 if k == 0 else 1.0
        lx, ly = x + side * (0.5 * rx + middle * 0.5), y + between(u, 14 + k, -0.05, 0.03)
        wide, tall = 0.5 * rx - 0.075 - 0.5 * middle, (ry - 0.085) * between(u, 16 + k, 0.84, 0.98)
        paint_shape(c, LUNG, lx, ly, wide, tall, side * between(u, 18 + k, -0.12, 0.05), 0.55, lung, 22.0)
        for v in range(16):
            first = 102 + 48 * k + 3 * v
            vx, vy = lx + wide * between(u, first, -0.75, 0.75), ly + tall * between(u, first + 1, -0.75, 0.75)
            near = max(1.0 - abs(vx - lx + side * 0.8 * wide) / (1.8 * wide), 0.1)
            r = between(u, first + 2, 0.006, 0.012 + 0.02 * near)
            paint_shape(c, VESSEL, vx, vy, r, r * (1.0 + near), 0.4 * near * side, 0.0, 30.0 + contrast, 8.0)
        if (u[20] < 0.5) == (k == 0):
            at_x, at_y = lx + wide * between(u, 21, -0.5, 0.5), ly + tall * between(u, 22, -0.5, 0.5)
    hx, hy = x + between(u, 23, 0.02, 0.12), y + between(u, 24, -0.22, -0.06)
    h = between(u, 25, 0.13, 0.25)
    paint_shape(c, SOFT, x, y - 0.05, 0.11, ry - 0.2, 0.0, 0.5, between(u, 26, -90.0, 30.0), 8.0)
    paint_shape(c, HEART, hx, hy, h * 1.25, h, between(u, 27, 0.1, 0.5), 0.2, 42.0 + 0.6 * contrast, 9.0)
    paint_shape(c, HEART, hx + 0.35 * h, hy + 0.1 * h, 0.5 * h, 0.42 * h, 0.3, 0.0, 40.0 + contrast, 8.0)
    bottom = y + ry - between(u, 28, 0.31, 0.37)
    r = between(u, 29, 0.045, 0.075)
    paint_shape(c, VESSEL, x + 0.12, bottom - 0.06, r, r, 0.0, 0.0, 40.0 + contrast, 8.0)
    paint_shape(c, LUNG, x - 0.02, bottom - 0.2, 0.03, 0.028, 0.0, 0.0, -960.0, 5.0)
    paint_spine(c, u, x, bottom + 0.02, between(u, 30, 0.09, 0.12))
    paint_shape(c, BONE, x, y - ry + 0.04, 0.12, 0.028, 0.0, 0.5, between(u, 31, 200.0, 500.0), 60.0)
    return at_x, at_y


@compiled_once
def paint_abdomen(c: Canvas, u: Any, x: float, y: float, rx: float, ry: float, contrast: float) -> tuple[float, float]:
    """Paint liver, spleen, kidneys, bowel, vessels, ribs and spine; return a place in the liver."""
    paint_ribs(c, u, x, y, rx - 0.04, ry - 0.035, 60)
    paint_shape(c, SOFT, x, y - 0.02, rx - 0.09, ry - 0.1, 0.0, 0.4, between(u, 12, -108.0, -92.0), 9.0)
    liver = between(u, 13, 45.0, 68.0) + 0.5 * contrast
    lx, ly = x - rx * between(u, 14, 0.38, 0.5), y + between(u, 15, -0.14, 0.02)
    wide, tall = rx * between(u, 16, 0.4, 0.52), ry * between(u, 17, 0.5, 0.75)
    for k in range(9):
        first = 102 + 6 * k
        bx, by = x + rx * between(u, first, -0.25, 0.7), y + ry * between(u, first + 1, -0.7, 0.25)
        r, flat = between(u, first + 2, 0.05, 0.12), between(u, first + 3, 0.6, 1.0)
        inside = between(u, first + 4, -40.0, 60.0)
        paint_shape(c, BOWEL, bx, by, r, r * flat, 0.0, 0.2, 40.0 + 0.3 * contrast, 8.0)
        paint_shape(c, BOWEL, bx, by, 0.75 * r, 0.72 * r * flat, 0.0, 0.2, inside, 14.0)
        if u[first + 5] < 0.4:
            paint_shape(c, BOWEL, bx, by - 0.3 * r * flat, 0.6 * r, 0.38 * r * flat, 0.0, 0.0, -850.0, 20.0)
    paint_shape(c, LIVER, lx, ly, wide, tall, between(u, 18, -0.3, 0.1), 0.45, liver, 9.0)
    paint_shape(c, LIVER, lx + 0.6 * wide, ly - 0.4 * tall, 0.7 * wide, 0.4 * tall, 0.4, 0.2, liver, 9.0)
    for k in range(7):
        first = 160 + 3 * k
        r = between(u, first + 2, 0.008, 0.02)
        vx, vy = lx + wide * between(u, first, -0.6, 0.6), ly + tall * between(u, first + 1, -0.6, 0.6)
        paint_shape(c, VESSEL, vx, vy, r, 1.8 * r, 0.5, 0.0, 38.0 + 0.9 * contrast, 6.0)
    sx, sy = x + rx * between(u, 19, 0.6, 0.68), y + between(u, 20, 0.0, 0.15)
    paint_shape(c, SPLEEN, sx, sy, rx * 0.17, ry * between(u, 21, 0.3, 0.45), -0.3, 0.2, between(u, 22, 42.0, 55.0) + 0.6 * contrast, 8.0)
    bottom = y + ry - between(u, 28, 0.31, 0.37)
    for k in range(2):
        side = -1.0 if k == 0 else 1.0
        kx, ky = x + side * rx * between(u, 32 + k, 0.36, 0.46), bottom + between(u, 34 + k, -0.1, 0.03)
        r = between(u, 36 + k, 0.085, 0.12)
        paint_shape(c, KIDNEY, kx, ky, r, 1.25 * r, -side * 0.3, 0.1, 32.0 + 0.9 * contrast, 8.0)
        paint_shape(c, SOFT, kx - side * 0.3 * r, ky, 0.45 * r, 0.55 * r, 0.0, 0.0, between(u, 38 + k, -80.0, 5.0), 8.0)
    r = between(u, 29, 0.04, 0.06)
    paint_shape(c, VESSEL, x + 0.04, bottom - 0.15, r, r, 0.0, 0.0, 40.0 + contrast, 7.0)
    paint_shape(c, VESSEL, x - 0.1, bottom - 0.14, 1.2 * r, r, 0.0, 0.0, 40.0 + 0.6 * contrast, 7.0)
    for side in (-1.0, 1.0):
        paint_shape(c, SOFT, x + side * 0.2, bottom + 0.19, 0.13, 0.09, 0.0, 0.3, 52.0, 9.0)
    paint_spine(c, u, x, bottom + 0.02, between(u, 30, 0.1, 0.125))
    return lx + wide * between(u, 23, -0.4, 0.4), ly + tall * between(u, 24, -0.4, 0.4)
