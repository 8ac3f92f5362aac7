"""Models of images: an encoder and a head that answers with classes, or with numbers and their uncertainty.

`Classifier` gives logits and, through a temperature fitted on validation images, probabilities. `StateRegressor` gives for every target a
mean and a standard deviation, each learnt from the image (Nix & Weigend 1994; Kendall & Gal 2017), in the target's own units; a factor a
target, fitted on validation patients, makes mean +- 1.645 sd cover 90 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.estimate import Estimate
from medsim_perception.vision.nets import INTERVAL_Z, ConvolutionalEncoder

LOG_VARIANCE_RANGE = (-8.0, 4.0)  # chosen: in standard units, a deviation from 0.02 to 7


class Classifier(nn.Module):
    """An encoder and one linear layer: logits of `classes` classes."""

    temperature: Tensor
    threshold: Tensor

    def __init__(self, encoder: ConvolutionalEncoder, classes: int = 2, dropout: float = 0.0) -> None:
        if classes < 2:
            raise ValueError(f"classes must be at least 2, not {classes}")
        super().__init__()
        self.encoder, self.dropout, self.head = encoder, nn.Dropout(dropout), nn.Linear(encoder.features, classes)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("threshold", torch.full((), 0.5))

    def encode(self, images: Tensor) -> Tensor:
        """Features, (n, encoder.features)."""
        features: Tensor = self.encoder(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (n, classes), before the temperature."""
        logits: Tensor = self.head(self.dropout(self.encode(images)))
        return logits

    def probabilities(self, images: Tensor) -> Tensor:
        """Probabilities of the classes, (n, classes), after the temperature; with two, `threshold` tells when to name the second."""
        return functional.softmax(self(images) / self.temperature, dim=1)


class StateRegressor(nn.Module):
    """An encoder and one hidden layer: means and standard deviations of several quantities seen in one image."""

    centre: Tensor
    scale: Tensor
    spread: Tensor

    def __init__(self, encoder: ConvolutionalEncoder, targets: Sequence[str], centre: Sequence[float], scale: Sequence[float]) -> None:
        if not len(targets) == len(centre) == len(scale) or not targets:
            raise ValueError(f"each of {tuple(targets)} needs a centre and a scale, not {tuple(centre)} and {tuple(scale)}")
        if min(scale) <= 0:
            raise ValueError(f"scale must be above 0, not {tuple(scale)}")
        super().__init__()
        self.targets = tuple(targets)
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(encoder.features, 48), nn.SiLU(), nn.Linear(48, 2 * len(targets)))
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.register_buffer("spread", torch.ones(len(targets)))

    def encode(self, images: Tensor) -> Tensor:
        """Features, (n, encoder.features)."""
        features: Tensor = self.encoder(images)
        return features

    def standard(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances in standard units, (n, k) each: what the loss compares with (value - centre) / scale."""
        mean, log_variance = self.head(self.encode(images)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def forward(self, images: Tensor) -> Estimate:
        """Mean and sd in the targets' units, (n, k) each, in the order of `targets`."""
        mean, log_variance = self.standard(images)
        return Estimate(self.centre + self.scale * mean, self.scale * self.spread * torch.exp(0.5 * log_variance))

    def interval(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Low and high ends of the 90 % intervals, (n, k) each."""
        mean, sd = self(images)
        return mean - INTERVAL_Z * sd, mean + INTERVAL_Z * sd


def gaussian_loss(mean: Tensor, log_variance: Tensor, truth: Tensor, beta: float = 0.5) -> Tensor:
    """Negative log-likelihood of a normal distribution, averaged; every term weighted by its variance to the power of `beta`.

    With 0 it is the likelihood itself, which neglects whatever is hard to predict; with 1 the mean learns as under squared error (Seitzer
    et al. 2022, who advise 0.5). Raises ValueError where the shapes differ or `beta` lies outside 0..1.
    """
    if not mean.shape == log_variance.shape == truth.shape:
        raise ValueError(f"shapes must be equal, not {tuple(mean.shape)}, {tuple(log_variance.shape)} and {tuple(truth.shape)}")
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must lie in 0..1, not {beta}")
    terms = 0.5 * (log_variance + (truth - mean) ** 2 * torch.exp(-log_variance))
    return (terms * torch.exp(beta * log_variance.detach())).mean()


def focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Tensor:
    """Cross-entropy, (n, classes) against (n,), in which images that are already answered well count less (Lin et al. 2017); averaged.

    A building block for recipes of your own: no recipe here uses it.
    """
    if gamma < 0:
        raise ValueError(f"gamma must be 0 or more, not {gamma}")
    log_right = functional.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    return -((1 - log_right.exp()) ** gamma * log_right).mean()
