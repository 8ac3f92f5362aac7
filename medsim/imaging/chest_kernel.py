"""The loop over radiographs, compiled, or run as plain Python with ``MEDSIM_JIT=0``: the same pictures to the bit."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from medsim.core.compile import compiled_together, jit_enabled
from medsim.core.inlining import compiled_once
from medsim.core.portable import exp
from medsim.core.streams import Key
from medsim.imaging.chest_anatomy import Anatomy, Level, anatomy_of, diaphragm, level_of, lung_depth
from medsim.imaging.chest_lines import draw_bones, draw_septa, draw_vessels
from medsim.imaging.chest_opacity import airless_level, consolidation_at, cover, fluid_at, fluid_rise, water_at, water_load
from medsim.imaging.detector import blur, develop, fill_tables
from medsim.imaging.draws import FINDINGS, PATIENT, TAKEN, TEXTURE, VESSELS, bell, between, fill_texture, fill_uniform, value_at
from medsim.imaging.scanners import Scanner, View

__all__ = ["FACTORS", "MASKS", "ChestKernels", "Work", "chest_kernels"]

MASKS = ("lungs", "heart", "oedema", "consolidation", "effusion")
FACTORS = (
    "lung_water_ml_per_kg", "consolidation", "effusion_ml", "heart_size", "lobe", "heart_size_seen", "effusion_right_ml",
    "effusion_left_ml", "exposure", "thorax_width", "lung_height", "soft_tissue", "breast", "gravity", "batwing", "tilt", "zoom",
)  # fmt: skip
AIR = 0.68  # optical depth that the air of a lung takes away; chosen, as the next
WALL, LIVER, HEART, SPINE, MIDDLE = 0.13, 0.14, 0.15, 0.12, 0.11  # optical depths that are added
DRY = 0.25  # how little less water than normal shows; chosen: a lung is no darker than air
OEDEMA_SEEN = 0.25  # share of the air replaced by water above normal from which it is seen as oedema; chosen


class Work(NamedTuple):
    """Arrays to work in."""

    paper: Any  # (s, s) optical depth
    spare: Any  # (s, s) vessels, then the blur's
    edges: Any  # (s,) how far out the lungs reach
    tile: Any  # (16, 16) texture
    early: Any  # (32, 32)
    weight: Any  # (32, 32)
    grey: Any  # (TABLE,)
    noise: Any  # (TABLE,)
    kernel: Any  # (r + 1,) half the blur
    drawn: Any  # (48,) draws of the patient
    branches: Any  # (172,) draws of the vessels
    taken: Any  # (8,) draws of the picture


class Findings(NamedTuple):
    """What one pass over the pixels needs to know of the findings."""

    load: float
    right: float  # rise of the fluid
    left: float
    airless: float  # threshold of consolidation


def render_chests(keys: Any, rows: Any, scanner: Scanner, view: View, work: Work, images: Any, masks: Any, factors: Any) -> None:
    """Render pictures; rows: (n, 5) findings; images: (n, 1, s, s); masks: (n, 5, s, s) or (0, 5, s, s); factors: (n, F)."""
    for n in range(keys.shape[0]):
        key = Key(int(keys[n, 0]), int(keys[n, 1]), int(keys[n, 2]), int(keys[n, 3]), int(keys[n, 4]))
        fill_uniform(key, PATIENT, work.drawn)
        a = anatomy_of(work.drawn, view, rows[n, 3], rows[n, 4])
        fill_texture(key, TEXTURE, work.tile)
        right, left = rows[n, 2] * a.fluid_right, rows[n, 2] * (1.0 - a.fluid_right)
        rise_right, rise_left = fluid_rise(right), fluid_rise(left)
        airless = airless_level(a, work.tile, rows[n, 1], rise_right, rise_left, work.early, work.weight)
        f = Findings(water_load(rows[n, 0]), rise_right, rise_left, airless)
        fill_uniform(key, VESSELS, work.branches)
        draw_chest(a, f, work, masks[n] if masks.shape[0] > 0 else masks[0:0, 0])
        blur(work.paper, work.spare, work.kernel)
        fill_uniform(key, TAKEN + 16 * (key.step + 1), work.taken)
        exposure = 1.0 + scanner.exposure_sd * bell(work.taken, 4)
        close_shutter(work.taken, scanner, work.paper)
        pixels = min(work.paper.shape[0], 128) / 64.0  # smaller pixels count fewer quanta; above 128 the blur keeps the noise from growing
        fill_tables(scanner, scanner.noise * view.noise * pixels, exposure, work.grey, work.noise)
        develop(key, work.paper, work.grey, work.noise, images[n, 0])
        note_factors(a, view, rows[n], right, left, exposure, factors[n])


@compiled_once
def note_factors(a: Anatomy, view: View, row: Any, right: float, left: float, exposure: float, out: Any) -> None:
    """Write what made a picture, in the order of FACTORS."""
    out[0], out[1], out[2], out[3], out[4] = row[0], row[1], row[2], a.heart_size, a.lobe
    out[5], out[6], out[7], out[8], out[9] = min(a.heart_size * view.heart, 0.9), right, left, exposure, 2.0 * a.width
    out[10], out[11], out[12], out[13], out[14] = a.base - a.apex, a.thick, a.breast, a.gravity, a.batwing
    out[15], out[16] = a.tilt, a.zoom


@compiled_once
def draw_chest(a: Anatomy, f: Findings, work: Work, masks: Any) -> None:
    """Fill the optical depth (s, s), and the masks (5, s, s) unless there are none."""
    s = work.paper.shape[0]
    per = 2.0 * a.zoom / s
    for i in range(s):
        for j in range(s):
            work.spare[i, j] = 0.0
    draw_vessels(work.branches, a, work.spare, 0.2 * a.vessels)
    wet = max(f.load, 0.0)
    draw_septa(work.branches, a, work.spare, 0.6 * wet / (wet + 0.5))
    for i in range(s):
        row = level_of(a, (i + 0.5 - 0.5 * s) * per)
        work.edges[i] = row.outer
        for j in range(s):
            x = (j + 0.5 - 0.5 * s) * per - a.shift_x - a.tilt * row.y
            deep = lung_depth(a, row, x)
            air = 0.0
            if deep > -per:
                air = air_at(a, f, work, row, x, deep, per, i, j, masks)
            elif masks.shape[0] > 0:
                masks[0, i, j] = masks[2, i, j] = masks[3, i, j] = masks[4, i, j] = False
            if masks.shape[0] > 0:
                masks[1, i, j] = min(x - row.heart_left, row.heart_right - x) > 0.0 and row.y < diaphragm(a, abs(x), x > 0.0)
            work.paper[i, j] = max(tissue_at(a, work.tile, row, x, deep, per) - air, 0.0)
    draw_bones(a, work.edges, work.paper)


def air_at(a: Anatomy, f: Findings, work: Work, row: Level, x: float, deep: float, per: float, i: int, j: int, masks: Any) -> float:
    """Return the optical depth that air takes away at a place in the lungs, and set its masks."""
    inside = cover(deep, max(per, 0.02))
    rim = min(max(deep, 0.0) * 5.5, 1.0)
    t = (row.y - a.apex) / (a.base - a.apex)
    air = AIR * inside * (0.62 + 0.38 * rim * (2.0 - rim)) * (0.9 + 0.1 * min(t * 3.0, 1.0))
    water = exp(-f.load * (water_at(a, work.tile, row, x, deep) if f.load > 0.0 else DRY))
    early = consolidation_at(a, work.tile, row, x) - f.airless if f.airless < 1.0e8 else -1.0e9
    solid = min(max(0.5 + early * 2.5, 0.0), 1.0)
    below = fluid_at(a, row, x, f.left if x > 0.0 else f.right)
    fluid = cover(below, max(0.04, per))
    if masks.shape[0] > 0:
        lung = deep > 0.0
        masks[0, i, j] = lung
        masks[4, i, j] = lung and below > 0.0
        masks[3, i, j] = lung and below <= 0.0 and early > 0.0
        masks[2, i, j] = lung and below <= 0.0 and early <= 0.0 and 1.0 - water > OEDEMA_SEEN
    if solid > 0.0:
        solid *= 0.8 + 0.1 * value_at(work.tile, 26.0 * x, 26.0 * row.y)
    grain = 1.0 + 0.05 * value_at(work.tile, 30.0 * x + 7.0, 30.0 * row.y)
    left_over: float = air * grain * (1.0 - min(work.spare[i, j], 0.85)) * water * (1.0 - solid) * (1.0 - 0.97 * fluid)
    return left_over


def tissue_at(a: Anatomy, tile: Any, row: Level, x: float, deep: float, per: float) -> float:
    """Return the optical depth of everything but lung at a place."""
    off = abs(x)
    across = off / row.body
    neck = max(0.36 - off, 0.0)
    line = a.shoulder - 0.5 * (1.0 - off) - 4.0 * neck * neck  # above it there is no body
    over = row.y - line
    body = cover(row.body - off, 0.05) * cover(over, 0.06)
    if body <= 0.0:
        return 0.0
    depth = a.thick * (0.4 + 0.58 * math.sqrt(max(1.0 - across * across, 0.0))) * (0.55 + 0.45 * min(over * 2.2, 1.0))
    wall = (row.outer + 0.012 - off) * row.outer_cos * 22.0
    depth += WALL * max(1.0 - wall * wall, 0.0) * min(max((row.y - a.apex) * 5.0, 0.0), 1.0)
    depth += 0.02 * value_at(tile, 5.0 * x, 5.0 * row.y + 9.0)
    if deep < per:
        depth += solid_at(a, row, x, off, per)
    if a.breast > 0.0:
        dx, dy = (off - a.breast_x) * 2.9, (row.y - a.breast_y) * (1.9 if row.y < a.breast_y else 4.5)
        depth += a.breast * max(1.0 - dx * dx - dy * dy, 0.0)
    return depth * body


def solid_at(a: Anatomy, row: Level, x: float, off: float, per: float) -> float:
    """Return the optical depth that heart, mediastinum, spine and abdomen add."""
    left = x > 0.0
    soft = max(per, 0.02)
    floor = cover(row.y - diaphragm(a, off, left), soft) * cover(row.outer - off, 0.05)
    depth = LIVER * floor
    if a.gas > 0.0 and left and floor > 0.0:
        dx, dy = (off - 0.42 * a.width) * 5.0, (row.y - a.dome_left - 0.11) * 12.0
        depth -= a.gas * max(1.0 - dx * dx - dy * dy, 0.0)
    heart = min(x - row.heart_left, row.heart_right - x) * row.heart_cos
    depth += HEART * cover(heart, soft) * (0.75 + 0.25 * min(max(heart, 0.0) * 6.0, 1.0)) * (1.0 - floor)
    inner = min(row.inner_left if left else row.inner_right, a.med + a.knob)
    depth += MIDDLE * cover((inner - off) * row.inner_cos, soft)
    spine = 1.0 - (off / 0.1) * (off / 0.1)
    if spine > 0.0:
        wave = row.y * 8.7 + 20.0
        wave = abs(wave - int(wave) - 0.5) * 2.0  # 0 at the middle of a vertebra, 1 at the disc
        depth += SPINE * min(spine * 2.0, 1.0) * (1.0 - 0.3 * wave * wave)
    pipe = 1.0 - ((x - a.turn) / 0.042) * ((x - a.turn) / 0.042)
    if pipe > 0.0 and row.y < a.hilum - 0.1:
        depth -= 0.16 * pipe * cover(a.hilum - 0.12 - row.y, 0.08)
    return depth


@compiled_once
def close_shutter(u: Any, scanner: Scanner, paper: Any) -> None:
    """Darken what collimation shuts off, by a random width at each side."""
    if scanner.shutter <= 0.0:
        return
    s = paper.shape[0]
    most = 0.5 * s * scanner.shutter
    low_x, high_x, low_y, high_y = u[0] * most, u[1] * most, u[2] * most, u[3] * most
    for i in range(s):
        down = min(max(min(i + 1.0 - low_y, s - high_y - i), 0.0), 1.0)
        for j in range(s):
            paper[i, j] *= down * min(max(min(j + 1.0 - low_x, s - high_x - j), 0.0), 1.0)


def draw_findings(keys: Any, u: Any, rows: Any) -> None:
    """Draw broad, independent findings into rows (n, 5): water, consolidation, effusion, heart size, lobe; u: (8,) to work in."""
    for n in range(keys.shape[0]):
        key = Key(int(keys[n, 0]), int(keys[n, 1]), int(keys[n, 2]), int(keys[n, 3]), int(keys[n, 4]))
        fill_uniform(key, FINDINGS, u)
        rows[n, 0] = between(u, 0, 4.0, 35.0)
        rows[n, 1] = max(0.0, between(u, 1, -0.45, 0.45))
        rows[n, 2] = max(0.0, between(u, 2, -2500.0, 2500.0))
        rows[n, 3] = min(max(0.48 + 0.06 * bell(u, 3), 0.34), 0.7)
        rows[n, 4] = min(math.floor(5.0 * u[6]), 4.0)


class ChestKernels:
    """The entry points; ``compiled`` says whether they are machine code."""

    def __init__(self, made: dict[str, Callable[..., Any]], *, compiled: bool) -> None:
        self.render, self.draw_findings = made["render_chests"], made["draw_findings"]
        self.compiled = compiled


@lru_cache(maxsize=2)
def kernels_of(compiled: bool) -> ChestKernels:
    """Return the kernels of one kind, the same ones each time."""
    entries = (render_chests, draw_findings)
    made = compiled_together("imaging_chest", *entries, copied=True) if compiled else {one.__name__: one for one in entries}
    return ChestKernels(made, compiled=compiled)


def chest_kernels() -> ChestKernels:
    """Return the kernels for this process."""
    return kernels_of(jit_enabled())
