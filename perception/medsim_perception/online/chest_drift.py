"""A scripted drift: chest X-rays from scanner a, then from scanner b, and a small net that reads lung water.

Scanner b has another gamma, contrast, exposure and blur, and twice the noise; the patients are new in every part. The net's own features
are what the detectors without labels watch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medsim.imaging import image_keys, random_findings, render_chest
from medsim_perception.online.replay import Examples
from medsim_perception.vision.nets import plain_encoder

SIDE = 64
LUNG_WATER_CENTRE, LUNG_WATER_SPREAD = 15.0, 8.0  # ml/kg; chosen: about the middle and the deviation of the findings drawn
PARTS = {"training": 0, "old test": 200_000, "new test": 300_000, "stream": 400_000, "reference": 600_000}  # first patient of each part


class LungWaterNet(nn.Module):
    """Lung water from chest images: (n, 1, 64, 64) uint8 or floats in 0..1, to (n,), in units of `LUNG_WATER_SPREAD` about the centre."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = plain_encoder((16, 24, 32), stem_stride=2)
        self.answer = nn.Linear(self.encoder.features, 1)

    def features(self, images: Tensor) -> Tensor:
        """What the encoder makes of images, (n, 32)."""
        maps: Tensor = self.encoder(images)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Scaled lung water, (n,)."""
        answer: Tensor = self.answer(self.features(images))
        return answer[:, 0]


def chests(part: str, n: int, scanner: str, seed: int, first: int = 0) -> Examples:
    """Images (n, 1, 64, 64) uint8 of new patients, and their scaled lung water; raises ValueError for an unknown part."""
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, not {part!r}")
    keys = image_keys(seed, n, first_patient=PARTS[part] + first)
    images = render_chest(keys, random_findings(keys), scanner=scanner, size=SIDE)
    water = (images.factors["lung_water_ml_per_kg"].astype(np.float32) - LUNG_WATER_CENTRE) / LUNG_WATER_SPREAD
    return Examples(torch.from_numpy(images.image), torch.from_numpy(water))


def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Huber's loss of scaled lung water."""
    return functional.smooth_l1_loss(model(x), y)


def answers(model: nn.Module, x: Tensor) -> Tensor:
    """Scaled lung water of many images, a few hundred at a time."""
    with torch.inference_mode():
        return torch.cat([model(part) for part in torch.split(x, 256)])


def r_squared(model: nn.Module, examples: Examples) -> float:
    """Share of the variance of lung water that the model explains."""
    residual = (answers(model, examples.x) - examples.y).square().sum()
    return 1.0 - float(residual / (examples.y - examples.y.mean()).square().sum())


def watched(model: LungWaterNet, x: Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The features that detectors watch, (n, 32)."""
    with torch.inference_mode():
        return np.concatenate([model.features(part).double().numpy() for part in torch.split(x, 256)])
