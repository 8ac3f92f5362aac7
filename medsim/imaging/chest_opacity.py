"""What is in the lungs: water, consolidation and pleural fluid, as shares of the air that they replace."""

from typing import Any

from medsim.core.inlining import compiled_once
from medsim.core.portable import exp
from medsim.imaging.chest_anatomy import Anatomy, Level, level_of, lung_depth
from medsim.imaging.draws import value_at
from medsim.imaging.findings import NORMAL_LUNG_WATER_ML_PER_KG

__all__ = ["airless_level", "consolidation_at", "cover", "fluid_at", "fluid_rise", "water_at", "water_load"]

WATER_PER_ML_PER_KG = 0.065  # of the air's log: at 35 mL/kg a sixth of it is left where it is even, a white lung. chosen
CORE_MEAN = 0.21  # of the pattern around the hila over the lungs: so that water is spread about evenly whatever its pattern
BLUNTING_ML = 100.0  # half of less than this hides behind the diaphragm, so that about 175 mL blunt the angle (radiopaedia 6608). chosen
FILLING_ML = 1900.0  # with it 500 mL on a side hide the diaphragm's flank and 2000 stand over half its height. chosen
NOT_HERE = -1.0e9
OTHER_LUNG = 6.0  # how much later consolidation reaches the other lung: when its own is full. chosen
OTHER_LOBE = 1.5  # and another lobe of the same lung. chosen


def cover(distance: float, soft: float) -> float:
    """Return how much of a pixel lies inside an edge: 0 from half a width ``soft`` outside, 1 from half inside, smooth between."""
    u = min(max(0.5 + distance / soft, 0.0), 1.0)
    return u * u * (3.0 - 2.0 * u)


def water_load(lung_water_ml_per_kg: float) -> float:
    """Return the water above normal, as the log of the air that it takes where it is evenly spread; negative in dry lungs."""
    return WATER_PER_ML_PER_KG * (lung_water_ml_per_kg - NORMAL_LUNG_WATER_ML_PER_KG)


@compiled_once
def water_at(a: Anatomy, tile: Any, row: Level, x: float, deep: float) -> float:
    """Return how much of the water lies at a place, about 1 on average: more around the hila (bat's wings) and below, patchy."""
    off = abs(x)
    t = (row.y - a.apex) / (a.base - a.apex)
    inner = row.inner_left if x > 0.0 else row.inner_right
    out, down = off - inner - 0.06, row.y - a.hilum - 0.06
    core = 1.0 / (1.0 + 26.0 * out * out + 13.0 * down * down)
    spared = 0.45 + 0.55 * min(deep * 6.0, 1.0)
    shape = (1.0 - a.batwing + a.batwing * core * spared * (1.0 / CORE_MEAN)) * (1.0 + a.gravity * (t - 0.46))
    patchy = 1.0 + 0.16 * value_at(tile, x * 9.0, row.y * 9.0) + 0.08 * value_at(tile, 40.0 - row.y * 21.0, x * 21.0)
    return max(shape * patchy, 0.05) * (a.wet_right if x < 0.0 else 2.0 - a.wet_right)


@compiled_once
def consolidation_at(a: Anatomy, tile: Any, row: Level, x: float) -> float:
    """Return how early a place consolidates: those above a threshold are, so that a larger share holds every smaller one."""
    off = abs(x)
    left = x > 0.0
    inner = row.inner_left if left else row.inner_right
    t = (row.y - a.apex) / (a.base - a.apex)
    out = (off - inner) / max(row.outer - inner, 0.05)
    dy, dx = (t - a.focus_y) / a.focus_size, (out - a.focus_x) / (1.7 * a.focus_size)
    early = 0.45 * value_at(tile, 7.0 * x + 3.0, 7.0 * row.y) + 0.2 * value_at(tile, 17.0 * x, 17.0 * row.y + 5.0) - dx * dx - dy * dy
    slant = t - 0.12 * (out - 0.5)  # fissures rise inwards
    beyond = max(a.lobe_low - slant, slant - a.lobe_high)
    early -= OTHER_LOBE * cover(beyond - 0.01, 0.06)
    return early if (a.side > 0.0) == left else early - OTHER_LUNG


def fluid_rise(effusion_ml: float) -> float:
    """Return how high fluid stands at the chest wall, as a share of the lung's height, from the mL on one side."""
    if effusion_ml <= 0.0:
        return 0.0
    return 1.05 * (1.0 - exp(-effusion_ml / FILLING_ML)) * effusion_ml / (effusion_ml + BLUNTING_ML)


def fluid_at(a: Anatomy, row: Level, x: float, rise: float) -> float:
    """Return how far a place lies below the meniscus, which is highest at the chest wall."""
    off = abs(x)
    d = (row.outer - off) / a.width
    dip = 0.3 * (1.0 - exp(-6.0 * max(d, 0.0)))
    dip -= 0.06 * max(1.0 - (off - a.med) / 0.15, 0.0) if a.med < off else 0.06
    return row.y - (a.base - (a.base - a.apex) * rise * (1.0 - dip)) if rise > 0.0 else NOT_HERE


@compiled_once
def airless_level(a: Anatomy, tile: Any, share: float, right: float, left: float, early: Any, weight: Any) -> float:
    """Return the threshold of ``consolidation_at`` above which a share of the lung fields lies, less what fluid covers.

    early, weight: (k, k) to work in: the lungs are looked at in k x k places, whatever the picture's size.
    """
    if share <= 0.0:
        return 1.0e9
    k = early.shape[0]
    total, highest, lowest = 0.0, -1.0e9, 1.0e9
    for i in range(k):
        row = level_of(a, a.apex + (a.base - a.apex) * (i + 0.5) / k)
        for j in range(k):
            x = a.width * ((j + 0.5) * 2.0 / k - 1.0)
            inside = cover(lung_depth(a, row, x), 2.0 * a.width / k)
            if inside > 0.0:
                inside *= 1.0 - cover(fluid_at(a, row, x, left if x > 0.0 else right), 2.0 * a.width / k)
            weight[i, j] = inside
            if inside > 0.0:
                early[i, j] = consolidation_at(a, tile, row, x)
                highest, lowest = max(highest, early[i, j]), min(lowest, early[i, j])
                total += inside
    return threshold(early, weight, share * total, lowest, highest)


@compiled_once
def threshold(early: Any, weight: Any, wanted: float, lowest: float, highest: float) -> float:
    """Return the value above which the wanted weight lies, by bisection."""
    k = early.shape[0]
    for _ in range(14):
        middle = 0.5 * (lowest + highest)
        above = 0.0
        for i in range(k):
            for j in range(k):
                if weight[i, j] > 0.0 and early[i, j] > middle:
                    above += weight[i, j]
        if above > wanted:
            lowest = middle
        else:
            highest = middle
    return 0.5 * (lowest + highest)
