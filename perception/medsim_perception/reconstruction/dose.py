"""A low-dose CT: attenuation of an image, photons that are counted, and the sinogram that their logarithm gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from medsim_perception.reconstruction.tomography import ParallelBeam

__all__ = ["HU_OF_ONE", "HU_OF_ZERO", "LowDoseCt", "from_hu", "to_hu"]

HU_OF_ZERO, HU_OF_ONE = -1000.0, 2000.0  # chosen: air to dense bone as 0..1; at 4 mm a pixel hardly any bone is denser
WATER_PER_MM = 0.02  # attenuation of water, 20 per metre: LoDoPaB-CT, Leuschner et al. 2021 (from memory, not verified)
FEWEST_PHOTONS = 0.1  # instead of none, whose logarithm there is not: as LoDoPaB-CT does (from memory, not verified)


def from_hu(hu: Tensor) -> Tensor:
    """Hounsfield units as 0..1, air to dense bone; what is denser is cut."""
    return ((hu - HU_OF_ZERO) / (HU_OF_ONE - HU_OF_ZERO)).clamp(0, 1)


def to_hu(images: Tensor) -> Tensor:
    """0..1 as Hounsfield units."""
    return images * (HU_OF_ONE - HU_OF_ZERO) + HU_OF_ZERO


@dataclass(frozen=True, kw_only=True)
class LowDoseCt:
    """One scan: a parallel beam, photons sent to each detector at each angle, and the width of the field in mm.

    Images are 0..1 as of `from_hu`.
    """

    beam: ParallelBeam = field(default_factory=ParallelBeam)
    photons: float = 4000.0
    field_mm: float = 245.0

    def __post_init__(self) -> None:
        if not (self.photons > 0 and self.field_mm > 0):
            raise ValueError(f"photons and field_mm must be above 0, not {self.photons} and {self.field_mm}")

    @property
    def attenuation(self) -> float:
        """Attenuation of a pixel of value 1."""
        return WATER_PER_MM * (HU_OF_ONE - HU_OF_ZERO) / 1000 * self.field_mm / self.beam.size

    def scan(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Measured sinograms (..., angles, size), in image units times pixels, with Poisson noise; without a generator free of noise."""
        clean = self.beam.project(images)
        if generator is None:
            return clean
        counts = torch.poisson(self.photons * torch.exp(-self.attenuation * clean), generator=generator)
        return -torch.log(counts.clamp(min=FEWEST_PHOTONS) / self.photons) / self.attenuation

    def reconstruct(self, sinograms: Tensor, window: str = "ramp") -> Tensor:
        """Filtered back-projection, cut to 0..1."""
        return self.beam.filtered_backprojection(sinograms, window).clamp(0, 1)

    def reliability(self, sinograms: Tensor) -> Tensor:
        """How much each measurement is to be trusted, 0..1: the share of the photons that arrived, to which variance is inverse."""
        return torch.exp(-self.attenuation * sinograms).clamp(max=1.0)
