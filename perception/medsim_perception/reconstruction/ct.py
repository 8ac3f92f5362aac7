"""Low-dose CT: the recipe `ct-reconstruction`, what it learns from and what it is judged on.

Trained on random phantoms and on heads made from an averaged MRI brain; judged on other phantoms and, where it is there, on a real head CT
of which nothing was trained on. Both figures go together: on phantoms alone a net can gain what it loses on people.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from medsim.imaging import image_keys, render_ct
from medsim_perception.recipe import Recipe
from medsim_perception.reconstruction.dose import LowDoseCt, from_hu
from medsim_perception.reconstruction.judging import decibel_loss, gains, in_batches, quick_in_bfloat16, score, training_images
from medsim_perception.reconstruction.nets import UnrolledCt
from medsim_perception.reconstruction.phantoms import random_phantoms
from medsim_perception.reconstruction.real_slices import CT_HEAD, CT_SLICE, available, ct_slice, head_ct, shrink
from medsim_perception.supervised import Batch, SupervisedLearner

__all__ = ["CT", "CtBatches", "begin_from", "build", "in_circle", "judge", "recipe", "rendered_bodies", "test_heads", "test_phantoms"]

CT = LowDoseCt()
STEPS, BATCH_SIZE, LEARNING_RATE = 400, 16, 2e-3  # chosen: about a minute on one core with bfloat16 tiles
TEST_SEED, TEST_IMAGES = 987_654_321, 200  # phantoms that no training draws: its generators come from (seed, step)
HEAD_SLICES = slice(10, 100, 2)  # chosen: 45 slices, jaw to crown


class CtBatches:
    """A function of a generator and a size that returns sinograms (n, 1, angles, detectors) and images (n, 1, size, size)."""

    def __init__(self, source: str = "phantoms and heads", ct: LowDoseCt = CT) -> None:
        self.draw, self.ct = training_images(source, "ct"), ct

    def __call__(self, rng: np.random.Generator, n: int) -> Batch:
        """One batch."""
        images = self.draw(rng, n, self.ct.beam.size)
        return self.ct.scan(images, torch.Generator().manual_seed(int(rng.integers(2**63)))), images


def loss(model: nn.Module, sinograms: Tensor, images: Tensor) -> Tensor:
    """Negative PSNR."""
    return decibel_loss(model(sinograms), images)


def build() -> UnrolledCt:
    """The untrained net that is shipped."""
    return UnrolledCt(CT)


def begin_from(
    model: nn.Module, seed: int, device: torch.device, *, source: str = "phantoms and heads", steps: int = STEPS
) -> SupervisedLearner:
    """A training of any net that maps sinograms to images; `source` as of `training_images`."""
    return SupervisedLearner(
        model, CtBatches(source), loss, seed=seed, device=device, steps=steps, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE,
        weight_decay=0.0, averaging=0.99, mixed_precision=quick_in_bfloat16(device),
    )  # fmt: skip


def begin(seed: int, device: torch.device) -> SupervisedLearner:
    """A training from scratch; raises FileNotFoundError where MNI152 is absent."""
    torch.manual_seed(seed)
    return begin_from(build(), seed, device)


def test_phantoms() -> Tensor:
    """Phantoms that no training draws, (200, 1, 64, 64)."""
    return random_phantoms(np.random.default_rng(TEST_SEED), TEST_IMAGES, "ct", CT.beam.size)


def test_heads() -> Tensor:
    """Slices of a real head, (45, 1, 64, 64), air outside the scanner's circle; raises FileNotFoundError where it is absent."""
    return in_circle(from_hu(torch.from_numpy(shrink(head_ct()[HEAD_SLICES], CT.beam.size, fill=-1000.0)))[:, None])


def rendered_bodies(tumour_mm: float | None = None) -> Tensor:
    """Chests and bellies of simulated patients, rendered at 4 times the resolution and averaged, which no training draws, (200, 1, 64, 64).

    They are scanned as if they were as wide as a head, since so few photons do not pass a whole body.
    """
    slices = render_ct(image_keys(TEST_SEED, TEST_IMAGES), tumour_mm, size=CT.beam.size)
    return in_circle(from_hu(torch.from_numpy(slices.image)))


def in_circle(images: Tensor) -> Tensor:
    """Images with air outside the scanner's circle."""
    line = (torch.arange(images.shape[-1]) - images.shape[-1] // 2).float()
    return images * (line[:, None] ** 2 + line**2 <= (images.shape[-1] // 2 - 1) ** 2)


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """PSNR and SSIM of back-projection and net on test phantoms, on rendered bodies, and on the real slices that are there."""
    sets = {"phantoms": test_phantoms(), "rendered": rendered_bodies()}
    if available(CT_HEAD):
        sets["real_head"] = test_heads()
    if available(CT_SLICE):
        sets["real_spine"] = in_circle(from_hu(torch.from_numpy(shrink(ct_slice()[None], CT.beam.size)))[:, None])
    metrics: dict[str, float] = {}
    for name, images in sets.items():
        sinograms = CT.scan(images, torch.Generator().manual_seed(TEST_SEED))
        made = in_batches(model.to(device).eval(), sinograms, device=device)
        metrics |= gains(name, score(images, CT.reconstruct(sinograms)), score(images, made))
        smoother = score(images, CT.reconstruct(sinograms, "hann"))
        metrics |= {f"{name}_psnr_hann": smoother.psnr, f"{name}_ssim_hann": smoother.ssim}
    return metrics


def recipe() -> Recipe:
    """How `ct-reconstruction` is made."""
    return Recipe(
        name="ct-reconstruction",
        question="what does this low-dose CT slice show? (a sinogram of 60 angles, 4,000 photons, to 64 x 64 pixels)",
        data="random phantoms, and heads made from the MNI152 2009a template (nilearn 0.14.1) with random skulls",
        licence="Apache-2.0 (phantoms); BSD-3-Clause (nilearn, which ships the template)",
        build=build,
        begin=begin,
        judge=judge,
    )
