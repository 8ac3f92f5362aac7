"""Explanations of a chest encoder's answers, beside what truly made the picture.

Each method turns an encoder, pictures and a finding into maps of what raises the answer; the renderer's mask is where the finding truly
is. A twin is the same chest, with the same noise, without the finding: only who owns the renderer has it, so a method that starts there
shows how much of an error is the baseline's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medsim.imaging import NORMAL_LUNG_WATER_ML_PER_KG, image_keys, random_findings, render_chest
from medsim_perception.explanation.grad_cam import grad_cam
from medsim_perception.explanation.gradients import Answer, gradient_of, integrated_gradients
from medsim_perception.explanation.occlusion import occlusion
from medsim_perception.explanation.scoring import smoothed
from medsim_perception.vision.chest_state import PATIENTS, SEED, SIDE
from medsim_perception.vision.heads import StateRegressor

__all__ = ["FINDINGS", "METHODS", "Cases", "answer_of", "cases", "explain", "right_share"]


class Finding(NamedTuple):
    """What is explained: a target of the encoder, the mask of its cause, and its value in a chest without it."""

    target: str
    mask: str
    absent: float


FINDINGS = {
    "consolidation": Finding("consolidation", "consolidation", 0.0),
    "effusion": Finding("effusion_ml", "effusion", 0.0),
    "oedema": Finding("lung_water_ml_per_kg", "oedema", NORMAL_LUNG_WATER_ML_PER_KG),
}
SMALLEST = 0.01  # chosen: share of the picture that a finding must cover to be asked for; 41 pixels of 64 x 64
SMOOTHING_PIXELS = 2.0  # chosen: before scoring, of maps that are made pixel by pixel; half the width of a rib


class Cases(NamedTuple):
    """Chests that have a finding."""

    images: Tensor  # (n, 1, side, side) floats in 0..1
    twins: Tensor  # the same chests without the finding
    masks: NDArray[np.bool_]  # (n, side, side): where it truly is
    lungs: NDArray[np.bool_]  # (n, side, side)
    patients: NDArray[np.int64]  # (n,)


def cases(finding: str, part: str = "test", *, n: int = 150, scanner: str = "a", view: str = "pa") -> Cases:
    """The first n chests of a part's patients in which the finding covers 1 % of the picture or more.

    Raises ValueError for another finding or part, and where fewer than n patients have it.
    """
    if finding not in FINDINGS or part not in PATIENTS:
        raise ValueError(f"finding must be one of {', '.join(FINDINGS)}, part one of {', '.join(PATIENTS)}, not {finding!r}, {part!r}")
    first, many = PATIENTS[part]
    wanted = FINDINGS[finding]
    keys = image_keys(SEED, min(many, 10 * n + 20), first_patient=first)  # a third of them have it
    truth = random_findings(keys)
    drawn = render_chest(keys, truth, scanner=scanner, view=view, size=SIDE, masks=True)
    who = np.flatnonzero(drawn.masks[wanted.mask].mean((1, 2)) >= SMALLEST)[:n]
    if len(who) < n:
        raise ValueError(f"{len(who)} of the first {len(keys)} {part} patients have {finding}, fewer than n = {n}")
    changes: dict[str, Any] = {wanted.target: wanted.absent}
    without = render_chest(keys, replace(truth, **changes), scanner=scanner, view=view, size=SIDE)
    images, twins = (torch.from_numpy(one.image[who]).float() / 255 for one in (drawn, without))
    return Cases(images, twins, drawn.masks[wanted.mask][who], drawn.masks["lungs"][who], keys[who, 2])


def answer_of(model: StateRegressor, finding: str) -> Answer:
    """The model's mean for a finding, in standard units, as a function of pictures."""
    if finding not in FINDINGS or FINDINGS[finding].target not in model.targets:
        raise ValueError(f"finding must be one of {', '.join(FINDINGS)} and a target of the model, not {finding!r} ({model.targets})")
    k = model.targets.index(FINDINGS[finding].target)
    return lambda images: model.standard(images)[0][:, k]


Method = Callable[[StateRegressor, Answer, Cases], Tensor]


def from_black(model: StateRegressor, answer: Answer, data: Cases) -> Tensor:
    """Integrated gradients from a black picture."""
    return integrated_gradients(answer, data.images, 0.0, steps=16)[:, 0]


def from_mean(model: StateRegressor, answer: Answer, data: Cases) -> Tensor:
    """Integrated gradients from the mean of the pictures without the finding."""
    return integrated_gradients(answer, data.images, data.twins.mean(0, keepdim=True), steps=16)[:, 0]


def from_twin(model: StateRegressor, answer: Answer, data: Cases) -> Tensor:
    """Integrated gradients from the same chest without the finding."""
    return integrated_gradients(answer, data.images, data.twins, steps=16)[:, 0]


def gradient(model: StateRegressor, answer: Answer, data: Cases) -> Tensor:
    """The size of the gradient."""
    return gradient_of(answer, data.images)[:, 0].abs()


def cam(model: StateRegressor, answer: Answer, data: Cases, *, stage: int, weighing: str = "channel") -> Tensor:
    """Grad-CAM of a stage of the encoder."""
    layer = model.encoder.stages[stage]
    assert isinstance(layer, torch.nn.Module)
    return grad_cam(answer, data.images, layer, weighing=weighing)


def covered(model: StateRegressor, answer: Answer, data: Cases, *, twin: bool = False) -> Tensor:
    """Occlusion by each picture's mean grey, or by the same chest without the finding."""
    cover = data.twins if twin else data.images.mean((2, 3), keepdim=True)
    return occlusion(answer, data.images, cover, window=8, stride=4)


def brightness(model: StateRegressor, answer: Answer, data: Cases) -> Tensor:
    """The picture itself, for comparison: fluid is bright, and no model is asked."""
    return data.images[:, 0]


METHODS: dict[str, Method] = {
    "integrated gradients, from black": from_black,
    "integrated gradients, from the mean": from_mean,
    "integrated gradients, from the twin": from_twin,
    "gradient": gradient,
    "Grad-CAM, last stage (4 x 4)": partial(cam, stage=-1),
    "Grad-CAM, stage 2 (16 x 16)": partial(cam, stage=1),
    "HiResCAM, last stage (4 x 4)": partial(cam, stage=-1, weighing="place"),
    "HiResCAM, stage 2 (16 x 16)": partial(cam, stage=1, weighing="place"),
    "occlusion, mean grey": covered,
    "occlusion, twin": partial(covered, twin=True),
    "the picture's brightness, no model": brightness,
}
PIXELWISE = tuple(name for name in METHODS if "gradient" in name)


def explain(model: StateRegressor, finding: str, data: Cases, method: str) -> NDArray[np.float64]:
    """Maps of what raises the model's answer, (n, side, side); those made pixel by pixel are smoothed over two pixels.

    Raises ValueError for a method that is not one of `METHODS`.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    model.eval()
    device = next(model.parameters()).device
    data = data._replace(images=data.images.to(device), twins=data.twins.to(device))
    maps: Any = METHODS[method](model, answer_of(model, finding), data).detach().cpu().double().numpy()
    return smoothed(maps, SMOOTHING_PIXELS) if method in PIXELWISE else np.asarray(maps)


def right_share(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of what is positive in maps (n, h, w) that lies in the patient's right half (the picture's left), (n,); a half if none is."""
    positive = np.maximum(maps, 0.0)
    whole = positive.sum((1, 2))
    right = positive[:, :, : maps.shape[2] // 2].sum((1, 2))
    return np.where(whole > 0, right / np.where(whole > 0, whole, 1.0), 0.5)
