"""Reconstructions side by side for a page: truth, input, U-Net and unrolled net, each with its PSNR and SSIM."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from medsim_perception.reconstruction import ct, mri
from medsim_perception.reconstruction.fourier import to_image
from medsim_perception.reconstruction.judging import Score, in_batches, score

__all__ = ["SideBySide", "ct_side_by_side", "mri_side_by_side"]


class SideBySide(NamedTuple):
    """One slice, as it is and as it is reconstructed."""

    titles: list[str]
    images: list[Tensor]  # (h, w) in 0..1, the truth first
    scores: list[Score | None]  # against the truth; None for itself

    def captions(self) -> list[str]:
        """Titles with PSNR and SSIM."""
        return [t if s is None else f"{t}, {s.psnr:.1f} dB, SSIM {s.ssim:.2f}" for t, s in zip(self.titles, self.scores, strict=True)]


def ct_side_by_side(image: Tensor, models: dict[str, nn.Module], seed: int = 0) -> SideBySide:
    """A CT image (h, w) in 0..1, its back-projection, and what models (by title) make of its noisy sinogram."""
    truth = image[None, None]
    sinogram = ct.CT.scan(truth, torch.Generator().manual_seed(seed))
    made = {"filtered back-projection": ct.CT.reconstruct(sinogram)}
    return _beside(truth, made | {title: in_batches(model.eval(), sinogram) for title, model in models.items()})


def mri_side_by_side(image: Tensor, models: dict[str, nn.Module], acceleration: int = 4, seed: int = 0) -> SideBySide:
    """An MRI image (h, w) in 0..1, its zero-filled image, and what models (by title) make of its k-space."""
    truth = image[None, None]
    measured, masks, _ = mri.measure(truth, acceleration, torch.Generator().manual_seed(seed))
    made = {f"zero-filled, {acceleration} times": to_image(measured).abs()}
    return _beside(truth, made | {title: in_batches(model.eval(), measured, masks).abs() for title, model in models.items()})


def _beside(truth: Tensor, made: dict[str, Tensor]) -> SideBySide:
    images = [truth[0, 0], *(one[0, 0].clamp(0, 1) for one in made.values())]
    return SideBySide(["truth", *made], images, [None, *(score(truth, one) for one in made.values())])
