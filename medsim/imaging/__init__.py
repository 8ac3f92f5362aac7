"""Images from physiology: what a hidden patient looks like on a radiograph, in a CT and in an MRI slice. Arrays, no torch."""

from medsim.imaging.chest import ChestImages, render_chest
from medsim.imaging.findings import LOBES, NORMAL_LUNG_WATER_ML_PER_KG, ChestFindings, random_findings
from medsim.imaging.keys import image_keys
from medsim.imaging.provenance import provenance
from medsim.imaging.scanners import SCANNERS, VIEWS
from medsim.imaging.slices import REGIONS, SliceImages, render_brain, render_ct

__all__ = [
    "LOBES", "NORMAL_LUNG_WATER_ML_PER_KG", "REGIONS", "SCANNERS", "VIEWS", "ChestFindings", "ChestImages", "SliceImages", "image_keys",
    "provenance", "random_findings", "render_brain", "render_chest", "render_ct",
]  # fmt: skip
