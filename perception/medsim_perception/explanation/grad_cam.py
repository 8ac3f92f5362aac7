"""Grad-CAM: where the feature maps of a layer speak for an answer (Selvaraju et al. 2017), and HiResCAM (Draelos & Carin 2020).

Grad-CAM weighs each channel by its mean gradient; HiResCAM takes the gradient place by place, which is what counts for a head that looks at
places apart instead of averaging over the image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.explanation.gradients import Answer, answers_of, checked

__all__ = ["WEIGHINGS", "grad_cam"]

WEIGHINGS = ("channel", "place")


def grad_cam(answer: Answer, images: Tensor, layer: nn.Module, *, weighing: str = "channel") -> Tensor:
    """A map (n, h, w), 0 or more, as large as the images: what in the layer's output speaks for the answer.

    Args:
        answer: see `medsim_perception.explanation.gradients.Answer`; it must call `layer` once.
        images: floats (n, c, h, w).
        layer: gives maps (n, k, h', w'), h' and w' of any size; they are enlarged by bilinear interpolation.
        weighing: "channel" for Grad-CAM, "place" for HiResCAM.

    Raises ValueError for another weighing, other images, or a layer that is not called once or gives no maps.
    """
    if weighing not in WEIGHINGS:
        raise ValueError(f"weighing must be one of {', '.join(WEIGHINGS)}, not {weighing!r}")
    if images.ndim != 4:
        raise ValueError(f"images must have the shape (n, c, h, w), not {tuple(images.shape)}")
    maps, gradient = maps_and_gradient(answer, checked(images), layer)
    if weighing == "channel":
        gradient = gradient.mean((2, 3), keepdim=True)
    seen = (gradient * maps).sum(1, keepdim=True).relu()
    return functional.interpolate(seen, size=images.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def maps_and_gradient(answer: Answer, images: Tensor, layer: nn.Module) -> tuple[Tensor, Tensor]:
    """A layer's output and the gradient of each answer with respect to it, (n, k, h', w') each."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_(True))
        return kept[-1]

    handle = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            answers = answers_of(answer, images.detach())
    finally:
        handle.remove()
    if len(kept) != 1 or kept[0].ndim != 4 or len(kept[0]) != len(images):
        raise ValueError(f"the answer must call the layer once, for maps (n, k, h, w), not for {[tuple(one.shape) for one in kept]}")
    (gradient,) = torch.autograd.grad(answers.sum(), kept[0])
    return kept[0].detach(), gradient
