"""How reconstructions are scored and learned: PSNR and SSIM side by side, a loss that is PSNR, a precision that suits the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medsim_perception.metrics import psnr, ssim

__all__ = ["SOURCES", "Score", "decibel_loss", "gains", "in_batches", "quick_in_bfloat16", "score", "training_images"]

SOURCES = ("phantoms", "phantoms and heads")
FLOOR = 1e-6  # of the mean square error in the loss: 60 dB, beyond which nothing is gained


class Score(NamedTuple):
    """Mean over images."""

    psnr: float  # dB
    ssim: float


def score(truth: Tensor, images: Tensor) -> Score:
    """PSNR and SSIM of images (n, 1, h, w) cut to 0..1."""
    a, b = truth[:, 0].cpu().double().numpy(), images[:, 0].detach().cpu().double().clamp(0, 1).numpy()
    return Score(float(np.mean(psnr(a, b))), float(np.mean(ssim(a, b))))


def gains(name: str, given: Score, made: Score) -> dict[str, float]:
    """A row of metrics: PSNR and SSIM of what was made, of what was given, and the difference first."""
    return {
        f"{name}_psnr_gain": made.psnr - given.psnr,
        f"{name}_psnr": made.psnr,
        f"{name}_psnr_input": given.psnr,
        f"{name}_ssim_gain": made.ssim - given.ssim,
        f"{name}_ssim": made.ssim,
        f"{name}_ssim_input": given.ssim,
    }


def decibel_loss(images: Tensor, truth: Tensor) -> Tensor:
    """The negative mean PSNR, in tens of dB: every image counts alike, however hard it is."""
    error = (images.float() - truth).square().flatten(1).mean(1)
    return torch.log10(error + FLOOR).mean()


@torch.no_grad()
def in_batches(model: Callable[..., Tensor], *measured: Tensor, device: torch.device | str = "cpu", size: int = 64) -> Tensor:
    """What a model makes of measurements (n, ...), on the CPU; it works on so many at a time."""
    parts = zip(*(torch.split(one, size) for one in measured), strict=True)
    return torch.cat([model(*(one.to(device) for one in part)).cpu() for part in parts])


def training_images(source: str, modality: str) -> Callable[[np.random.Generator, int, int], Tensor]:
    """A function of a generator, a number and a size that draws images to learn from: random phantoms, or these and heads by turns.

    Raises ValueError for another source, FileNotFoundError where heads are asked for and their template is absent.
    """
    from medsim_perception.reconstruction.heads import random_heads, template_slices
    from medsim_perception.reconstruction.phantoms import random_phantoms

    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, not {source!r}")
    if source == "phantoms":
        return lambda rng, n, size: random_phantoms(rng, n, modality, size)
    template_slices()

    def both(rng: np.random.Generator, n: int, size: int) -> Tensor:
        return torch.cat([random_phantoms(rng, n - n // 2, modality, size), random_heads(rng, n // 2, modality, size)])

    return both


def quick_in_bfloat16(device: torch.device) -> bool:
    """Whether mixed precision is quicker there: on a CPU with tiles for it; on an H100 these nets are too small to gain by it."""
    if device.type != "cpu":
        return False
    probe: Callable[[], bool] = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return bool(probe())
