"""Where the numbers of the pictures come from.

Shapes of organs and their spread among patients are chosen after radiographs and slices on display and stand, each with its range, in
``chest_anatomy``, ``ct_slice`` and ``brain_slice``; below is what ties pictures to physiology and to machines.
"""

from typing import TYPE_CHECKING

from medsim.imaging.chest_kernel import AIR, DRY, OEDEMA_SEEN
from medsim.imaging.chest_lines import BRANCHES, RIB_HALF
from medsim.imaging.chest_opacity import BLUNTING_ML, FILLING_ML, OTHER_LOBE, OTHER_LUNG, WATER_PER_ML_PER_KG
from medsim.imaging.ct_slice import CT_FIELD_MM
from medsim.imaging.detector import ATTENUATION, CURVE
from medsim.imaging.findings import NORMAL_LUNG_WATER_ML_PER_KG
from medsim.imaging.scanners import SCANNERS, VIEWS

if TYPE_CHECKING:
    from medsim.core.task import Provenance

__all__ = ["provenance"]

TABLE = (
    ("normal lung water", NORMAL_LUNG_WATER_ML_PER_KG, "mL/kg", "Tagami et al., Crit Care 2010;14:R162: 7.4 (sd 3.3) by predicted weight"),
    ("air's log lost to water", WATER_PER_ML_PER_KG, "kg/mL", "chosen: at 35 mL/kg a sixth of the air is left, a white lung"),
    ("share that dryness shows", DRY, "share", "chosen: below normal a lung darkens little"),
    ("water around the hila", "0.55 .. 0.80", "share", "chosen: the bat's wings of alveolar oedema"),
    ("water by gravity", "0.5 .. 0.8", "per lung height", "chosen: more below"),
    ("oedema is marked from", OEDEMA_SEEN, "share of air", "chosen"),
    ("heart size is normal up to", 0.5, "cardiothoracic ratio", "the usual limit on PA views; RCEMLearning, the cardiac shadow"),
    ("heart size, own", "0.45 (sd 0.04), 0.36 .. 0.60", "cardiothoracic ratio", "chosen: mostly below the limit"),
    ("heart right of the midline", "about one third", "share", "RCEMLearning, the cardiac shadow"),
    (
        "heart size in AP views", VIEWS["ap"].heart, "relative to PA",
        "Milne et al., J Thorac Imaging 1988;3(2):64 (reference from memory, not verified): take 12.5 % off an AP ratio at 40 inches; "
        "Chon et al., J Korean Med Sci 2011;26:1446: PA/AP diameter 0.89 at 1 m",
    ),
    ("breath held less in AP views", VIEWS["ap"].lift, "half sides", "chosen"),
    ("noise in AP views", VIEWS["ap"].noise, "relative to PA", "chosen: less dose"),
    (
        "fluid half hidden by the diaphragm", BLUNTING_ML, "mL",
        "chosen so that about 175 mL on one side blunt its angle, the least that PA views show (Medscape 299959; radiopaedia 6608)",
    ),
    ("fluid's height", FILLING_ML, "mL", "chosen: a side holds 500 mL below the dome, 2000 mL over half its height"),
    ("consolidation of another lobe", OTHER_LOBE, "-", "chosen: late"),
    ("consolidation of the other lung", OTHER_LUNG, "-", "chosen: after all of the first"),
    ("air of a lung", AIR, "optical depth", "chosen after radiographs on display"),
    ("ribs' half height", RIB_HALF, "half sides", "from memory, not verified: ribs 12 mm high"),
    ("vessels that leave a hilum", BRANCHES, "-", "chosen"),
    ("grey values' curve", CURVE, "per optical depth", "chosen after radiographs on display"),
    ("quanta lost", ATTENUATION, "per optical depth", "from memory, not verified: ten times fewer behind mediastinum than lung"),
    ("width of a CT slice", CT_FIELD_MM, "mm", "chosen: a usual field of view"),
    ("Hounsfield units", "air -1000, fat -100, water 0, muscle 50, liver 60", "HU", "textbook values; from memory, not verified"),
)  # fmt: skip


def provenance() -> list["Provenance"]:
    """Return the parameters of the pictures with value, unit and source, those of each scanner too."""
    from medsim.core.task import Provenance

    rows = [Provenance(name=name, value=value, unit=unit, source=source) for name, value, unit, source in TABLE]
    units = ("exponent", "relative", "grey value", "optical depth", "1/64 side", "relative", "half sides")
    for name, scanner in SCANNERS.items():
        for field, value, unit in zip(scanner._fields, scanner, units, strict=True):
            rows.append(Provenance(name=f"scanner {name} {field}", value=value, unit=unit, source="chosen: see medsim.imaging.scanners"))
    return rows
