"""A patient's chest: the shapes of lungs, heart, mediastinum, bones and body, drawn from the patient's stream.

Places are in half sides of the picture: x to its right (the patient's left) from the spine, y down from the middle. ``off`` is the distance
from the spine outwards, the same on both sides.
"""

import math
from typing import Any, NamedTuple

from medsim.core.inlining import compiled_once
from medsim.core.portable import power
from medsim.imaging.draws import bell, between
from medsim.imaging.scanners import View

__all__ = ["Anatomy", "Level", "anatomy_of", "diaphragm", "level_of", "lung_depth", "lung_edge", "mediastinum_edge"]


class Anatomy(NamedTuple):
    """The shapes of one patient, as one view shows them."""

    shift_x: float  # of the spine from the picture's middle
    tilt: float  # of the spine: x per y
    zoom: float  # half sides of the chest per half side of the picture
    width: float  # half the inner width of the thorax
    roundness: float  # exponent of the thorax's outline
    apex: float  # y of the lungs' top
    base: float  # y of the costophrenic angles
    dome_right: float  # y of the diaphragm's tops
    dome_left: float
    med: float  # half width of the mediastinum
    knob: float  # how far the aortic knob stands out
    heart_x: float  # the heart: an ellipse around here
    heart_y: float
    heart_long: float  # its half axes
    heart_short: float
    heart_cos: float  # its tilt
    heart_sin: float
    turn: float  # of the patient about the long axis: shifts what lies in front
    body: float  # half width of the trunk at the diaphragm
    shoulder: float  # y of the shoulders at the picture's edge
    thick: float  # soft tissue in front of and behind the lungs, relative
    breast: float  # optical depth of the breasts
    breast_x: float
    breast_y: float
    ribs: float  # optical depth of a rib
    rib_gap: float  # between ribs, y
    rib_drop: float  # how steeply ribs fall outwards
    clavicle: float  # y of the clavicles' inner ends
    scapula: float  # optical depth of the shoulder blades over the lungs
    hilum: float  # y of the hila
    vessels: float  # how much vessels show
    wet_right: float  # share of water in the right lung, 1 is even
    gravity: float  # how much more water lies below than above
    batwing: float  # share of the water that lies around the hila
    fluid_right: float  # share of an effusion on the right
    side: float  # where consolidation begins: -1 right, 1 left,
    focus_x: float  # how far out
    focus_y: float  # how far down, apex 0, base 1
    focus_size: float
    lobe_low: float  # the levels of its lobe
    lobe_high: float
    gas: float  # optical depth of gas in the stomach
    heart_size: float  # cardiothoracic ratio as a PA view shows it
    lobe: float


class Level(NamedTuple):
    """What is alike along one line across the chest."""

    y: float
    outer: float  # ``off`` of the lungs' outer edge
    outer_cos: float  # shortens distances across to distances at right angles
    inner_right: float  # ``off`` of the mediastinum's edges
    inner_left: float
    inner_cos: float
    heart_left: float  # x of the heart's edges; crossed where there is no heart
    heart_right: float
    heart_cos: float
    body: float  # half width of the trunk


@compiled_once
def anatomy_of(u: Any, view: View, heart_size: float, lobe: float) -> Anatomy:
    """Return a patient's anatomy; a heart size or lobe of -1 is drawn; u: (48,) draws."""
    width = between(u, 0, 0.76, 0.90)
    apex = between(u, 1, -0.92, -0.78)
    base = between(u, 2, 0.58, 0.78) - view.lift
    dome_right = base - between(u, 3, 0.16, 0.32)
    dome_left = dome_right + between(u, 4, 0.02, 0.10)  # the right is about 2 cm higher; from memory, not verified
    own_heart = min(max(0.45 + 0.04 * bell(u, 40), 0.36), 0.6)  # chosen: mostly below 0.5
    size = own_heart if heart_size < 0.0 else heart_size
    seen = min(size * view.heart, 0.9)
    tilt = max(between(u, 5, 0.8, 1.3) - 2.2 * (seen - 0.45), 0.4)  # of the heart's axis, a tangent; large hearts lie flatter
    cos = 1.0 / math.sqrt(1.0 + tilt * tilt)
    sin = tilt * cos
    flat = between(u, 6, 0.62, 0.74)
    half = seen * width
    long = half / math.sqrt(cos * cos + flat * flat * sin * sin)
    half_height = long * math.sqrt(sin * sin + flat * flat * cos * cos)
    own_lobe = min(math.floor(5.0 * u[7]), 4.0)
    where = own_lobe if lobe < 0.0 else lobe
    low, high, out = lobe_levels(where)
    even = u[8]
    fluid_right = between(u, 34, 0.4, 0.7)
    if even < 0.6:  # one-sided; chosen: the right side more often
        fluid_right = 1.0 if even < 0.35 else 0.0
    side = -1.0 if where < 2.5 else 1.0
    return Anatomy(
        shift_x=between(u, 9, -0.05, 0.05), tilt=between(u, 10, -0.035, 0.035), zoom=between(u, 11, 0.96, 1.1),
        width=width, roundness=between(u, 12, 0.32, 0.55), apex=apex, base=base, dome_right=dome_right, dome_left=dome_left,
        med=between(u, 13, 0.11, 0.155), knob=between(u, 14, 0.02, 0.075),
        heart_x=half * between(u, 15, 0.32, 0.44), heart_y=dome_left + between(u, 16, 0.07, 0.13) - half_height,
        heart_long=long, heart_short=long * flat, heart_cos=cos, heart_sin=sin, turn=between(u, 17, -0.03, 0.03),
        body=width + between(u, 18, 0.1, 0.32), shoulder=between(u, 19, -0.92, -0.68),
        thick=between(u, 20, 0.96, 1.05), breast=max(0.0, between(u, 21, -0.10, 0.10)),
        breast_x=between(u, 22, 0.40, 0.5), breast_y=between(u, 23, 0.25, 0.45),
        ribs=between(u, 24, 0.11, 0.155), rib_gap=between(u, 25, 0.135, 0.165), rib_drop=between(u, 26, 0.3, 0.55),
        clavicle=apex + between(u, 27, 0.2, 0.32) - view.clavicle,
        scapula=view.scapula * between(u, 28, 0.03, 0.08), hilum=apex + (base - apex) * between(u, 29, 0.42, 0.5),
        vessels=between(u, 30, 0.8, 1.25), wet_right=between(u, 31, 0.9, 1.1), gravity=between(u, 32, 0.5, 0.8),
        batwing=between(u, 33, 0.55, 0.8), fluid_right=fluid_right,
        side=side, focus_x=out + between(u, 35, -0.12, 0.12),
        focus_y=low + (high - low) * between(u, 36, 0.3, 0.7), focus_size=between(u, 37, 0.3, 0.42), lobe_low=low, lobe_high=high,
        gas=between(u, 38, -0.15, 0.3), heart_size=size, lobe=where,
    )  # fmt: skip


def lobe_levels(lobe: float) -> tuple[float, float, float]:
    """Return a lobe's upper and lower level in a frontal view (apex 0, base 1), and how far out its middle lies (0..1). chosen."""
    if lobe < 0.5:
        return 0.0, 0.5, 0.5
    if lobe < 1.5:
        return 0.5, 0.85, 0.3
    if lobe < 2.5:
        return 0.45, 1.1, 0.55
    if lobe < 3.5:
        return 0.0, 0.62, 0.5
    return 0.45, 1.1, 0.6


@compiled_once
def lung_edge(a: Anatomy, y: float) -> float:
    """Return how far out the lungs reach at a level."""
    t = min(max((y - a.apex) / (a.base - a.apex), 0.0), 1.0)
    return a.width * (0.42 + 0.58 * power(max(1.0 - (1.0 - t) * (1.0 - t), 1e-9), a.roundness))


@compiled_once
def mediastinum_edge(a: Anatomy, y: float, left: bool) -> float:
    """Return how far out the mediastinum reaches at a level, on the patient's left or right."""
    t = min(max((y - a.apex) / (a.base - a.apex), 0.0), 1.0)
    high = max(1.0 - t / 0.17, 0.0)
    edge = a.med + (0.42 * a.width - a.med) * high * high
    if left:
        d = (t - 0.33) * (1.0 / 0.075)
        edge += a.knob * max(1.0 - d * d, 0.0)
        d = (t - 0.47) * (1.0 / 0.1)  # the pulmonary trunk
        edge += 0.4 * a.knob * max(1.0 - d * d, 0.0)
    return edge + (a.turn if left else -a.turn)


@compiled_once
def level_of(a: Anatomy, y: float) -> Level:
    """Return what is alike along a line across the chest."""
    outer = lung_edge(a, y)
    steep = (lung_edge(a, y + 0.01) - lung_edge(a, y - 0.01)) * 50.0
    right, left = mediastinum_edge(a, y, False), mediastinum_edge(a, y, True)
    inner_steep = (mediastinum_edge(a, y + 0.01, False) - mediastinum_edge(a, y - 0.01, False)) * 50.0
    heart_left, heart_right, heart_cos = heart_edges(a, y)
    waist = (y - a.dome_right) * 0.05
    arms = max(-0.05 - y, 0.0)
    return Level(
        y, outer, 1.0 / math.sqrt(1.0 + steep * steep), right, left, 1.0 / math.sqrt(1.0 + inner_steep * inner_steep),
        heart_left, heart_right, heart_cos, a.body + waist + 2.5 * arms * arms,
    )  # fmt: skip


@compiled_once
def heart_edges(a: Anatomy, y: float) -> tuple[float, float, float]:
    """Return x of the heart's edges at a level, crossed where there is none, and the cosine of their slope."""
    d = y - a.heart_y
    # the ellipse (c x + s d)^2 / A + (-s x + c d)^2 / B = 1, as p x^2 + 2 q x + r = 0
    long, short = a.heart_long * a.heart_long, a.heart_short * a.heart_short
    p = a.heart_cos * a.heart_cos / long + a.heart_sin * a.heart_sin / short
    q = a.heart_cos * a.heart_sin * d * (1.0 / long - 1.0 / short)
    r = d * d * (a.heart_sin * a.heart_sin / long + a.heart_cos * a.heart_cos / short) - 1.0
    root = q * q - p * r
    middle = a.heart_x + a.turn - q / p
    if root <= 0.0:
        return middle + 0.02, middle - 0.02, 1.0
    half = math.sqrt(root) / p
    right = middle - half
    widest = math.sqrt(long * a.heart_cos * a.heart_cos + short * a.heart_sin * a.heart_sin)
    if d * widest > -a.heart_cos * a.heart_sin * (long - short):  # below the right atrium's bulge the border runs straight down
        right = a.heart_x + a.turn - widest
    return right, middle + half, min(1.0, 0.35 + half / a.heart_long)


def diaphragm(a: Anatomy, off: float, left: bool) -> float:
    """Return y of the diaphragm at a distance from the spine."""
    dome = a.dome_left if left else a.dome_right
    middle = 0.5 * a.width
    d = (off - middle) / (a.width - middle)
    return dome + (a.base - dome) * d * d * (1.0 if d > 0.0 else 0.28)


def lung_depth(a: Anatomy, row: Level, x: float) -> float:
    """Return how deep within the lung fields a place is: the distance to their nearest edge, negative outside."""
    left = x > 0.0
    off = abs(x)
    inner = row.inner_left if left else row.inner_right
    deep = min((row.outer - off) * row.outer_cos, (off - inner) * row.inner_cos)
    outside = max(row.heart_left - x, x - row.heart_right) * row.heart_cos
    deep = min(deep, outside, row.y - a.apex)
    if deep < -0.2:  # far outside, where it does not matter how far
        return deep
    floor = diaphragm(a, off, left)
    slope = (diaphragm(a, off + 0.01, left) - floor) * 100.0
    return min(deep, (floor - row.y) / math.sqrt(1.0 + slope * slope))
