"""Cartesian MRI of one coil: k-space, lines left out at random, the zero-filled image, and consistency with what was measured.

Images are complex (..., height, width); k-space is centred and orthonormal, so that noise and energy are the same on both sides. Lines run
along the height; a mask chooses columns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["CENTRE_FRACTIONS", "coarse_phase", "consistent", "line_masks", "random_phase", "to_image", "to_kspace"]

CENTRE_FRACTIONS = {4: 0.08, 8: 0.04}  # share of lines that is always measured, by acceleration: fastMRI, Zbontar et al. 2018, section 4

COARSE_LINES = 3.0  # chosen: deviation in lines of the window that gives the coarse phase; about the centre that is always measured


def to_kspace(images: Tensor) -> Tensor:
    """Centred orthonormal Fourier transform of the last two axes."""
    return _shifted(torch.fft.fft2, images)


def to_image(kspace: Tensor) -> Tensor:
    """The inverse of `to_kspace`; of k-space with zeros where nothing was measured: the zero-filled image."""
    return _shifted(torch.fft.ifft2, kspace)


def _shifted(transform: Callable[..., Tensor], values: Tensor) -> Tensor:
    moved = transform(torch.fft.ifftshift(values, dim=(-2, -1)), norm="ortho")
    shifted: Tensor = torch.fft.fftshift(moved, dim=(-2, -1))
    return shifted


def line_masks(n: int, width: int, acceleration: int, generator: torch.Generator, centre_fraction: float | None = None) -> Tensor:
    """Which columns are measured, bool (n, 1, 1, width): the centre, and others by chance, `width // acceleration` in all.

    Raises ValueError where the acceleration is below 1 or the centre alone holds more lines than are measured.
    """
    if acceleration < 1 or acceleration > width:
        raise ValueError(f"acceleration must be within 1 .. {width}, not {acceleration}")
    fraction = CENTRE_FRACTIONS.get(acceleration, 0.32 / acceleration) if centre_fraction is None else centre_fraction
    lines, centre = width // acceleration, round(width * fraction)
    if not 0 <= centre <= lines:
        raise ValueError(f"the centre must hold 0 .. {lines} of the {width} lines, not {centre} (centre_fraction {fraction})")
    order = torch.rand(n, width, generator=generator)
    first = width // 2 - centre // 2
    order[:, first : first + centre] = 2.0
    masks = torch.zeros(n, width, dtype=torch.bool).scatter(1, order.topk(lines, dim=1).indices, True)
    return masks[:, None, None]


def random_phase(images: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Images (n, 1, h, w) with a smooth phase, as coils and uneven fields give it; `strength` is its deviation
    in radians at 4 x 4 knots, of which a bicubic curve between them keeps 0.8.

    Without it an image is real and half of k-space follows from the other half, which no scanner's data allow.
    """
    coarse = torch.randn(len(images), 1, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, images.shape[-2:], mode="bicubic", align_corners=True)
    return torch.polar(images, strength * smooth)


def coarse_phase(measured: Tensor) -> Tensor:
    """The phase of an image as its coarse parts have it, complex numbers of length 1 (..., h, w), from measured k-space."""
    height, width = (torch.arange(side, device=measured.device) - side // 2 for side in measured.shape[-2:])
    window = torch.exp(-(height[:, None] ** 2 + width**2) / (2 * COARSE_LINES**2))
    coarse = to_image(measured * window)
    return coarse / coarse.abs().clamp(min=1e-12)


def consistent(images: Tensor, measured: Tensor, masks: Tensor, weight: Tensor | None = None) -> Tensor:
    """Images whose k-space is the measured one where there is a measurement (Schlemper et al. 2018).

    `weight` in 0..1 is how much the measurement counts beside the image's own k-space there; without it, all.
    """
    share = masks.to(measured.real.dtype) if weight is None else masks * weight
    kspace = to_kspace(images)
    return to_image(kspace + share * (measured - kspace))
