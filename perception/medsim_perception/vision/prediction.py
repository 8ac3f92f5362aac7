"""Answers for many images, and two ways to make them steadier: several models, and several views of an image.

`Ensemble` and `SeveralViews` are models themselves: they take images and return what their members return, so calibration, judging and
wrappers treat them alike. Logits are averaged as probabilities; estimates as a mixture, whose variance holds what the members disagree
about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.estimate import Estimate
from medsim_perception.vision.augment import Augmentation, warp

BATCH = 512
GENTLE = Augmentation(rotation_degrees=6, scale=0.08, shift=0.05)  # chosen: within what patients' positions vary


def in_batches(model: nn.Module, images: Tensor, batch: int = BATCH) -> Iterator[Tensor | Estimate]:
    """The model's answers batch after batch, in evaluation mode, without gradients, on the model's own device."""
    if not len(images):
        raise ValueError("there must be at least one image")
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                yield model(images[start : start + batch].to(device))
    finally:
        model.train(training)


def logits_of(model: nn.Module, images: Tensor, batch: int = BATCH) -> Tensor:
    """Logits on the CPU, (n, classes)."""
    return torch.cat([part.float().cpu() for part in in_batches(model, images, batch) if isinstance(part, Tensor)])


def estimates_of(model: nn.Module, images: Tensor, batch: int = BATCH) -> Estimate:
    """Means and sds on the CPU, (n, k) each."""
    parts = [part for part in in_batches(model, images, batch) if not isinstance(part, Tensor)]
    return Estimate(torch.cat([p.mean.float().cpu() for p in parts]), torch.cat([p.sd.float().cpu() for p in parts]))


def together(answers: Sequence[Tensor | Estimate]) -> Tensor | Estimate:
    """One answer of several: the logarithm of mean probabilities, or mean and sd of the even mixture."""
    if isinstance(answers[0], Tensor):
        stacked = torch.stack([functional.softmax(a, dim=1) for a in answers if isinstance(a, Tensor)])
        return stacked.mean(0).clamp_min(1e-12).log()
    estimates = [a for a in answers if not isinstance(a, Tensor)]
    means, sds = torch.stack([e.mean for e in estimates]), torch.stack([e.sd for e in estimates])
    return Estimate(means.mean(0), (sds.square().mean(0) + means.var(0, unbiased=False)).sqrt())


class Ensemble(nn.Module):
    """Several trained models that answer as one."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        if not members:
            raise ValueError("an ensemble needs at least one member")
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor | Estimate:
        """Logits or estimates, as the members give them."""
        return together([member(images) for member in self.members])


class SeveralViews(nn.Module):
    """A model that looks at an image as it is and through small rotations, scalings and shifts (test-time augmentation).

    The views are drawn once, from `seed`, and are the same for every image, so that an answer does not depend on the batch.
    """

    maps: Tensor

    def __init__(self, model: nn.Module, views: int = 8, augmentation: Augmentation = GENTLE, seed: int = 0) -> None:
        if views < 2:
            raise ValueError(f"views must be at least 2, not {views}")
        super().__init__()
        self.model = model
        self.register_buffer("maps", augmentation.matrices(views - 1, torch.Generator().manual_seed(seed)))

    def forward(self, images: Tensor) -> Tensor | Estimate:
        """Logits or estimates, as the model gives them."""
        floats = images.float() / 255 if images.dtype == torch.uint8 else images
        views = [floats, *(warp(floats, one[None]) for one in self.maps)]
        return together([self.model(view) for view in views])
