"""Random changes of images that keep their meaning, made in batches on tensors.

Every function takes floats in 0..1, (n, 1, h, w), and a `torch.Generator`; each image of the batch draws its own change. `Augmentation`
holds the strengths as data: `CLINIC` for pictures of one machine, `ANY_SCANNER` for domain randomisation, so that a model trained on one
scanner's images meets many others'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

BLUR_REACH = 2  # chosen: a 5 x 5 kernel holds a blur of up to one pixel


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Strengths of the random changes; zero turns one off."""

    rotation_degrees: float = 0.0  # uniform within +- this
    scale: float = 0.0  # log of the factor, uniform within +- this
    shift: float = 0.0  # share of the image's side, uniform within +- this
    mirror: float = 0.0  # probability of a left-right flip
    gamma: float = 0.0  # log of the exponent, uniform within +- this
    contrast: float = 0.0  # log of the factor around the image's mean, uniform within +- this
    brightness: float = 0.0  # added grey, uniform within +- this
    noise: float = 0.0  # standard deviation, uniform from 0 to this
    blur_pixels: float = 0.0  # sigma, uniform from 0 to this (at most 1)
    collimation: float = 0.0  # share of the side that a black edge covers, each of four uniform from 0 to this, in half of the images
    cutout: float = 0.0  # side of an erased square as a share of the image's, uniform from 0 to this

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        for name, most in (("mirror", 1.0), ("blur_pixels", 1.0), ("collimation", 0.5), ("cutout", 1.0)):
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}, not {getattr(self, name)}")

    def matrices(self, n: int, generator: Generator) -> Tensor:
        """Random rotations, scalings, shifts and mirrorings of these strengths, (n, 2, 3)."""
        return affine_matrices(n, generator, rotation_degrees=self.rotation_degrees, scale=self.scale, shift=self.shift, mirror=self.mirror)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Changed images, floats in 0..1 of the same shape; uint8 images are turned into floats first."""
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        if self.rotation_degrees or self.scale or self.shift or self.mirror:
            x = warp(x, self.matrices(len(x), generator))
        if self.gamma or self.contrast or self.brightness:
            x = change_grey(x, generator, gamma=self.gamma, contrast=self.contrast, brightness=self.brightness)
        if self.blur_pixels:
            x = blur(x, generator, self.blur_pixels)
        if self.noise:
            x = add_noise(x, generator, self.noise)
        if self.collimation:
            x = darken_edges(x, generator, self.collimation)
        return erase_square(x, generator, self.cutout) if self.cutout else x


NONE = Augmentation()
CLINIC = Augmentation(rotation_degrees=10, scale=0.1, shift=0.07, gamma=0.1, contrast=0.1, brightness=0.05)
ANY_SCANNER = Augmentation(
    rotation_degrees=5, scale=0.06, shift=0.04, gamma=0.5, contrast=0.35, brightness=0.12, noise=0.06, blur_pixels=1.0, collimation=0.08
)


def uniform(images: Tensor, generator: Generator, low: float, high: float) -> Tensor:
    """One number an image, (n, 1, 1, 1)."""
    draws = torch.rand(len(images), 1, 1, 1, generator=generator, device=generator.device)
    return (low + (high - low) * draws).to(images.device)


def affine_matrices(
    n: int, generator: Generator, *, rotation_degrees: float = 0.0, scale: float = 0.0, shift: float = 0.0, mirror: float = 0.0
) -> Tensor:
    """Random maps from a new image's coordinates to the old one's, (n, 2, 3), as `warp` takes them."""
    turn, size, across, down = 2 * torch.rand(4, n, generator=generator, device=generator.device) - 1
    sign = 1 - 2 * (torch.rand(n, generator=generator, device=generator.device) < mirror).float()
    angle, factor = torch.deg2rad(rotation_degrees * turn), torch.exp(scale * size)
    cos, sin = torch.cos(angle) * factor, torch.sin(angle) * factor
    return torch.stack([torch.stack([sign * cos, -sin, 2 * shift * across], 1), torch.stack([sign * sin, cos, 2 * shift * down], 1)], 1)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images seen through affine maps, (n, 2, 3), or one for all, (1, 2, 3); what comes in from outside repeats the border."""
    grid = functional.affine_grid(matrices.to(images.device).expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def change_grey(images: Tensor, generator: Generator, *, gamma: float = 0.0, contrast: float = 0.0, brightness: float = 0.0) -> Tensor:
    """Images of another exposure: grey to a power, stretched around its mean, and lifted; clipped to 0..1."""
    x = images.clamp(1e-4, 1) ** torch.exp(uniform(images, generator, -gamma, gamma))
    mean = x.mean((2, 3), keepdim=True)
    x = mean + (x - mean) * torch.exp(uniform(images, generator, -contrast, contrast))
    return (x + uniform(images, generator, -brightness, brightness)).clamp(0, 1)


def add_noise(images: Tensor, generator: Generator, most: float) -> Tensor:
    """Images with white noise; its standard deviation is drawn for each image from 0 to `most`."""
    noise = torch.randn(images.shape, generator=generator, device=generator.device).to(images.device)
    return (images + uniform(images, generator, 0, most) * noise).clamp(0, 1)


def blur(images: Tensor, generator: Generator, most_pixels: float) -> Tensor:
    """Images blurred by a Gaussian; its sigma in pixels is drawn for each image from 0 to `most_pixels`."""
    sigma = uniform(images, generator, 0, most_pixels).view(-1, 1).clamp_min(1e-3)
    offsets = torch.arange(-BLUR_REACH, BLUR_REACH + 1, device=images.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum(1, keepdim=True)  # (n, 5)
    padded = functional.pad(images, [BLUR_REACH] * 4, mode="replicate")
    height, width = images.shape[2:]
    rows = sum(weights[:, k].view(-1, 1, 1, 1) * padded[:, :, k : k + height] for k in range(len(offsets)))
    assert isinstance(rows, Tensor)
    across = sum(weights[:, k].view(-1, 1, 1, 1) * rows[:, :, :, k : k + width] for k in range(len(offsets)))
    assert isinstance(across, Tensor)
    return across


def darken_edges(images: Tensor, generator: Generator, most: float) -> Tensor:
    """Images whose edges are black, as where an X-ray machine's shutters reach in: half of them, each side by a width from 0 to `most`."""
    height, width = images.shape[2:]
    chosen = (uniform(images, generator, 0, 1) < 0.5).float()
    left, right, top, bottom = (chosen * uniform(images, generator, 0, most) for _ in range(4))
    y = ((torch.arange(height, device=images.device) + 0.5) / height).view(1, 1, -1, 1)
    x = ((torch.arange(width, device=images.device) + 0.5) / width).view(1, 1, 1, -1)
    return images * ((x > left) & (x < 1 - right) & (y > top) & (y < 1 - bottom))


def erase_square(images: Tensor, generator: Generator, most: float) -> Tensor:
    """Images in which a square at a random place is as grey as the image's mean (DeVries & Taylor 2017)."""
    height, width = images.shape[2:]
    half = uniform(images, generator, 0, most) / 2
    middle_y, middle_x = (uniform(images, generator, 0, 1) for _ in range(2))
    y = ((torch.arange(height, device=images.device) + 0.5) / height).view(1, 1, -1, 1)
    x = ((torch.arange(width, device=images.device) + 0.5) / width).view(1, 1, 1, -1)
    inside = ((y - middle_y).abs() < half) & ((x - middle_x).abs() < half)
    return torch.where(inside, images.mean((2, 3), keepdim=True), images)
