"""Reconstruction: images from too few photons (CT) or too few lines (MRI), by physics that can be differentiated and nets that use it."""

from medsim_perception.reconstruction.dose import LowDoseCt, from_hu, to_hu
from medsim_perception.reconstruction.fourier import coarse_phase, consistent, line_masks, random_phase, to_image, to_kspace
from medsim_perception.reconstruction.nets import FoldedUNet, PostProcessedCt, PostProcessedMri, UnrolledCt, UnrolledMri
from medsim_perception.reconstruction.phantoms import random_phantoms
from medsim_perception.reconstruction.tomography import ParallelBeam

__all__ = [
    "FoldedUNet", "LowDoseCt", "ParallelBeam", "PostProcessedCt", "PostProcessedMri", "UnrolledCt", "UnrolledMri", "coarse_phase",
    "consistent", "from_hu", "line_masks", "random_phantoms", "random_phase", "to_hu", "to_image", "to_kspace",
]  # fmt: skip
