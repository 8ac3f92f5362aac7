"""Fast MRI: the recipe `mri-reconstruction`, one net for a quarter and an eighth of the lines, what it learns from and is judged on.

Trained on random phantoms and on bent slices of MNI152; judged on other phantoms and, where it is there, on another real brain, Colin27.
Every image gets a smooth random phase, since real ones have it: without it half of k-space would be given away. Scores are of magnitudes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from medsim.imaging import image_keys, render_brain
from medsim_perception.recipe import Recipe
from medsim_perception.reconstruction.fourier import line_masks, random_phase, to_image, to_kspace
from medsim_perception.reconstruction.judging import decibel_loss, gains, in_batches, quick_in_bfloat16, score, training_images
from medsim_perception.reconstruction.nets import UnrolledMri
from medsim_perception.reconstruction.phantoms import random_phantoms
from medsim_perception.reconstruction.real_slices import MRI_TEST, available, shrink, volume
from medsim_perception.supervised import Batch, SupervisedLearner

__all__ = [
    "ACCELERATIONS",
    "MriBatches",
    "begin_from",
    "build",
    "judge",
    "measure",
    "recipe",
    "rendered_brains",
    "test_brains",
    "test_phantoms",
]

SIZE, ACCELERATIONS = 64, (4, 8)
STEPS, BATCH_SIZE, LEARNING_RATE = 1000, 16, 2e-3  # chosen: about three minutes on one core with bfloat16 tiles
LARGEST_PHASE = 1.5  # chosen: radians of deviation in training, from none to this; tests have 1
TEST_SEED, TEST_IMAGES = 987_654_321, 200  # phantoms that no training draws: its generators come from (seed, step)
BRAIN_SLICES, BRAIN_SIDE = slice(20, 170, 3), 224  # chosen: 50 axial slices of Colin27 from cerebellum to crown, 224 mm wide


def measure(images: Tensor, acceleration: int, generator: torch.Generator, phase: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Measured k-space (zero where not measured), masks, and the complex images that were measured, of images (n, 1, h, w)."""
    masks = line_masks(len(images), images.shape[-1], acceleration, generator)
    whole = random_phase(images, generator, phase)
    return to_kspace(whole) * masks, masks, whole


class MriBatches:
    """A function of a generator and a size that returns measured k-space, masks and complex images; batches of 4 and 8 times by chance."""

    def __init__(self, source: str = "phantoms and heads") -> None:
        self.draw = training_images(source, "mri")

    def __call__(self, rng: np.random.Generator, n: int) -> Batch:
        """One batch."""
        images = self.draw(rng, n, SIZE)
        acceleration = ACCELERATIONS[int(rng.integers(len(ACCELERATIONS)))]
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        return measure(images, acceleration, generator, float(rng.uniform(0, LARGEST_PHASE)))


def loss(model: nn.Module, measured: Tensor, masks: Tensor, images: Tensor) -> Tensor:
    """Negative PSNR of the complex images."""
    return decibel_loss(torch.view_as_real(model(measured, masks)), torch.view_as_real(images))


def build() -> UnrolledMri:
    """The untrained net that is shipped."""
    return UnrolledMri()


def begin_from(
    model: nn.Module, seed: int, device: torch.device, *, source: str = "phantoms and heads", steps: int = STEPS
) -> SupervisedLearner:
    """A training of any net that maps k-space and masks to complex images; `source` as of `training_images`."""
    return SupervisedLearner(
        model, MriBatches(source), loss, seed=seed, device=device, steps=steps, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE,
        weight_decay=0.0, averaging=0.99, mixed_precision=quick_in_bfloat16(device),
    )  # fmt: skip


def begin(seed: int, device: torch.device) -> SupervisedLearner:
    """A training from scratch; raises FileNotFoundError where MNI152 is absent."""
    torch.manual_seed(seed)
    return begin_from(build(), seed, device)


def test_phantoms() -> Tensor:
    """Phantoms that no training draws, (200, 1, 64, 64)."""
    return random_phantoms(np.random.default_rng(TEST_SEED), TEST_IMAGES, "mri", SIZE)


def test_brains() -> Tensor:
    """Axial slices of Colin27, (50, 1, 64, 64); raises FileNotFoundError where it is absent."""
    slices = np.rot90(volume(MRI_TEST)[:, :, BRAIN_SLICES]).transpose(2, 0, 1)
    return torch.from_numpy(shrink(np.ascontiguousarray(slices), SIZE, side=BRAIN_SIDE))[:, None]


def rendered_brains() -> Tensor:
    """Brains of simulated patients, rendered at four times the resolution and averaged; no training draws any, (200, 1, 64, 64)."""
    return torch.from_numpy(render_brain(image_keys(TEST_SEED, TEST_IMAGES), size=SIZE).image)


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """PSNR and SSIM of zero-filled images and the net on phantoms, rendered brains and, if it is there, the real one, at 4 and 8 times."""
    sets = {"phantoms": test_phantoms(), "rendered": rendered_brains()}
    if available(MRI_TEST):
        sets["real_brain"] = test_brains()
    metrics: dict[str, float] = {}
    for name, images in sets.items():
        for acceleration in ACCELERATIONS:
            measured, masks, _ = measure(images, acceleration, torch.Generator().manual_seed(TEST_SEED))
            made = in_batches(model.to(device).eval(), measured, masks, device=device).abs()
            metrics |= gains(f"{name}_{acceleration}x", score(images, to_image(measured).abs()), score(images, made))
    return metrics


def recipe() -> Recipe:
    """How `mri-reconstruction` is made."""
    return Recipe(
        name="mri-reconstruction",
        question="what does this MRI slice show, of which a quarter or an eighth of the lines was measured? (64 x 64 pixels, one coil)",
        data="random phantoms, and bent slices of the MNI152 2009a template (nilearn 0.14.1) with random skulls",
        licence="Apache-2.0 (phantoms); BSD-3-Clause (nilearn, which ships the template)",
        build=build,
        begin=begin,
        judge=judge,
    )
