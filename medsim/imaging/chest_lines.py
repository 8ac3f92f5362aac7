"""What is thin in a chest: ribs, clavicles, shoulder blades, vessels and the septal lines of oedema, drawn as soft strokes.

A stroke narrower than a pixel is drawn a pixel wide and as much fainter: nothing vanishes between pixels.
"""

import math
from typing import Any

from medsim.core.inlining import compiled_once
from medsim.imaging.chest_anatomy import Anatomy, lung_edge
from medsim.imaging.draws import between

__all__ = ["draw_bones", "draw_septa", "draw_vessels"]

RIB_HALF = 0.036  # half the height of a rib, in half sides: 12 mm of a picture of 36 cm; from memory, not verified
BRANCHES = 9  # arteries and veins that leave a hilum; chosen


@compiled_once
def stroke(paper: Any, a: Anatomy, x0: float, y0: float, x1: float, y1: float, half: float, depth: float) -> None:
    """Add a straight stroke, half its width and its optical depth given, from one place to another."""
    s = paper.shape[0]
    per = 2.0 * a.zoom / s  # half sides of the chest per pixel
    wide = max(half, 0.9 * per)
    depth *= half / wide
    px0, py0 = (x0 + a.tilt * y0 + a.shift_x) / per + 0.5 * s - 0.5, y0 / per + 0.5 * s - 0.5
    px1, py1 = (x1 + a.tilt * y1 + a.shift_x) / per + 0.5 * s - 0.5, y1 / per + 0.5 * s - 0.5
    r = wide / per
    dx, dy = px1 - px0, py1 - py0
    length2 = max(dx * dx + dy * dy, 1e-9)
    for i in range(max(int(min(py0, py1) - r), 0), min(int(max(py0, py1) + r) + 2, s)):
        for j in range(max(int(min(px0, px1) - r), 0), min(int(max(px0, px1) + r) + 2, s)):
            along = min(max(((j - px0) * dx + (i - py0) * dy) / length2, 0.0), 1.0)
            ex, ey = j - px0 - along * dx, i - py0 - along * dy
            near = 1.0 - (ex * ex + ey * ey) / (r * r)
            if near > 0.0:
                paper[i, j] += depth * near * near


@compiled_once
def draw_vessels(u: Any, a: Anatomy, paper: Any, strength: float) -> None:
    """Draw the vessels of both lungs: from each hilum outwards, forking, thinner at every fork, heavier below; u: (172,) draws."""
    for which in range(2 * BRANCHES):
        side = -1.0 if which < BRANCHES else 1.0
        fan = (which % BRANCHES + between(u, 8 * which, 0.2, 0.8)) / BRANCHES  # 0 up .. 1 down
        dy = 2.4 * fan - 1.25
        dx = 1.05 - 0.75 * abs(2.0 * fan - 1.0)
        long = between(u, 8 * which + 1, 0.16, 0.34) / math.sqrt(dx * dx + dy * dy)
        x0, y0 = side * (a.med + 0.015) + a.turn, a.hilum + 0.16 * (fan - 0.5)
        x1, y1 = x0 + side * long * dx, y0 + long * dy
        half = 0.017 + 0.011 * fan
        stroke(paper, a, x0, y0, x1, y1, half, strength)
        for fork in range(2):
            turn = between(u, 8 * which + 2 + fork, 0.15, 0.6) * (1.0 if fork else -1.0)
            more = between(u, 8 * which + 4 + fork, 0.6, 1.1)
            x2, y2 = x1 + side * long * more * (dx + turn * dy), y1 + long * more * (dy - turn * dx)
            stroke(paper, a, x1, y1, x2, y2, 0.6 * half, 0.75 * strength)
        stroke(paper, a, x0, y0, x0 + side * 0.03, y0 + 0.02, 0.05, 0.35 * strength)  # the hilum itself


@compiled_once
def draw_septa(u: Any, a: Anatomy, paper: Any, strength: float) -> None:
    """Draw Kerley's B lines: short and level, at the chest wall above the angles; u: as for the vessels."""
    for which in range(12):
        side = -1.0 if which < 6 else 1.0
        y = a.base - (a.base - a.apex) * (0.1 + 0.045 * (which % 6) + between(u, 2 * which + 144, 0.0, 0.03))
        x = lung_edge(a, y) - 0.02
        long = between(u, 2 * which + 145, 0.05, 0.09)
        stroke(paper, a, side * x, y, side * (x - long), y - 0.006, 0.006, strength)


@compiled_once
def draw_bones(a: Anatomy, edges: Any, paper: Any) -> None:
    """Draw ribs, clavicles and, where they lie over the lungs, shoulder blades; edges: (s,) how far out the lungs reach, by line."""
    s = paper.shape[0]
    per = 2.0 * a.zoom / s
    for j in range(s):
        x = (j + 0.5 - 0.5 * s) * per - a.shift_x
        for k in range(11):
            draw_rib(a, edges, paper, j, x, a.apex - 0.02 + k * a.rib_gap, per)
        off = abs(x - a.turn - a.tilt * a.clavicle)
        if 0.09 < off < 0.78:
            bent = a.clavicle - 0.17 * off + 0.3 * (off - 0.4) * (off - 0.4)
            bead(paper, j, bent, 0.034, 1.1 * a.ribs + 0.05 * (0.78 - off), per)
    if a.scapula > 0.0:
        for side in (-1.0, 1.0):
            stroke(paper, a, side * 0.8 * a.width, a.apex + 0.22, side * 0.72 * a.width, a.apex + 0.85, 0.09, a.scapula)


@compiled_once
def draw_rib(a: Anatomy, edges: Any, paper: Any, j: int, x: float, top: float, per: float) -> None:
    """Draw one column of a pair of ribs: the back half level and then falling, the front half falling inwards, fainter."""
    off = abs(x - a.tilt * top)
    back = top - 0.06 * off + a.rib_drop * off * off
    inside = edge_at(edges, back, per) + 0.012 - off
    if off > 0.05 and inside > 0.0:
        rim = 1.0 + 0.7 * max(1.0 - inside * 14.0, 0.0)  # seen edge on
        faint = 1.0 if back < a.dome_left else 0.5  # less shows over the abdomen
        bead(paper, j, back, RIB_HALF, faint * a.ribs * rim * min((off - 0.05) * 12.0, 1.0), per)
    front = top + a.rib_drop * a.width * a.width + 0.62 * (a.width - off)
    inside = edge_at(edges, front, per) + 0.012 - off
    if inside > 0.0 and 0.4 * a.width < off and front < a.base:
        bead(paper, j, front, RIB_HALF * 1.1, 0.55 * a.ribs * min((off - 0.4 * a.width) * 6.0, 1.0), per)


def edge_at(edges: Any, y: float, per: float) -> float:
    """Return how far out the lungs reach at a level, from the lines' own."""
    s = edges.shape[0]
    i = int(y / per + 0.5 * s)
    return edges[min(max(i, 0), s - 1)] if i < s else 0.0


@compiled_once
def bead(paper: Any, j: int, y: float, half: float, depth: float, per: float) -> None:
    """Add one column of a stroke."""
    s = paper.shape[0]
    wide = max(half, 0.9 * per)
    depth *= half / wide
    r, py = wide / per, y / per + 0.5 * s - 0.5
    for i in range(max(int(py - r), 0), min(int(py + r) + 2, s)):
        d = (i - py) / r
        near = 1.0 - d * d
        if near > 0.0 and paper[i, j] > 0.1:  # within the body
            paper[i, j] += depth * near * (1.35 - 0.7 * near)  # cortex: rims brighter than the middle
