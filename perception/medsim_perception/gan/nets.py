"""A generator of images of a class, and the discriminator that it plays against.

Small on purpose: 28 to 64 pixels, some 100 to 300 thousand weights. The generator enlarges by repeating pixels and then convolving (Odena
et al. 2016: no checkerboard), and both the class and the latent numbers set the gain and offset of every normalisation (Chen et al.
2019). Its normalisation is by groups of channels, never by batch. The discriminator is a projection discriminator (Miyato & Koyama 2018)
whose every layer is held to a spectral norm of one (Miyato et al. 2018).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

SIDES = (28, 32, 56, 64)
SLOPE = 0.2


def doublings(side: int) -> int:
    """How often the smallest map, of 7 or 8 pixels, is doubled to reach that side; raises ValueError for a side that cannot be."""
    if side not in SIDES:
        raise ValueError(f"side must be one of {SIDES} pixels, not {side}")
    return 2 if side <= 32 else 3


def check_labels(labels: Tensor, classes: int) -> Tensor:
    """The labels, (n,) int64 in 0..classes - 1; raises ValueError otherwise."""
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise ValueError(f"labels must be (n,) int64, not {tuple(labels.shape)} {labels.dtype}")
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ValueError(f"labels must lie in 0..{classes - 1}, not {int(labels.min())}..{int(labels.max())}")
    return labels


class ConditionedNorm(nn.Module):
    """Normalisation by groups whose gain and offset follow from a condition."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(max(1, channels // 8), channels, affine=False)
        self.gain, self.offset = nn.Linear(condition, channels), nn.Linear(condition, channels)
        for layer in (self.gain, self.offset):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps of the same shape, (n, channels, h, w)."""
        gain, offset = self.gain(condition)[:, :, None, None], self.offset(condition)[:, :, None, None]
        moved: Tensor = self.norm(x) * (1 + gain) + offset
        return moved


class UpBlock(nn.Module):
    """Twice the size: convolve, repeat pixels, convolve, around a short cut (the first at the small size, where it costs a quarter)."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = ConditionedNorm(inputs, condition), ConditionedNorm(outputs, condition)
        self.first, self.second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps of `outputs` channels, twice as high and wide."""
        y = functional.leaky_relu(self.first_norm(x, condition), SLOPE)
        y = functional.leaky_relu(self.second_norm(self.first(y), condition), SLOPE)
        y = self.second(functional.interpolate(y, scale_factor=2.0, mode="nearest"))
        larger: Tensor = y + functional.interpolate(self.shortcut(x), scale_factor=2.0, mode="nearest")
        return larger


class ConditionalGenerator(nn.Module):
    """Images of a class from latent numbers.

    `generator(latent, labels)` takes (n, latent) standard normal numbers and (n,) int64 classes and returns (n, 1, side, side) floats in
    0..1; `sample` draws the latent numbers too. Raises ValueError for a side other than 28, 32, 56, 64, fewer than 1 class or labels out
    of range.
    """

    def __init__(self, classes: int, side: int = 28, latent: int = 32, width: int = 16) -> None:
        super().__init__()
        if classes < 1 or latent < 1 or width < 8:
            raise ValueError(f"classes and latent must be at least 1 and width at least 8, not {classes}, {latent} and {width}")
        steps = doublings(side)
        self.classes, self.side, self.latent, self.start = classes, side, latent, side >> steps
        widths = [2 * width] * steps + [width]
        self.embedding = nn.Embedding(classes, latent)
        self.spread = nn.Linear(2 * latent, widths[0] * self.start**2)
        self.blocks = nn.ModuleList(UpBlock(a, b, 2 * latent) for a, b in pairwise(widths))
        self.last_norm, self.last = ConditionedNorm(width, 2 * latent), nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Images, (n, 1, side, side), floats in 0..1."""
        if latent.shape != (len(labels), self.latent):
            raise ValueError(f"latent must have the shape ({len(labels)}, {self.latent}), not {tuple(latent.shape)}")
        condition = torch.cat([latent, self.embedding(check_labels(labels, self.classes))], 1)
        x = self.spread(condition).view(len(labels), -1, self.start, self.start)
        for block in self.blocks:
            x = block(x, condition)
        return torch.sigmoid(self.last(functional.leaky_relu(self.last_norm(x, condition), SLOPE)))

    @torch.no_grad()
    def sample(self, labels: Tensor, generator: Generator, spread: float = 1.0, batch: int = 256) -> Tensor:
        """Images of these classes, (n, 1, side, side) uint8 on the labels' device.

        `spread` below 1 truncates: nearer to the average image, less varied. The generator is of the CPU, so that every device draws alike.
        """
        if not 0 <= spread <= 2:
            raise ValueError(f"spread must lie in 0..2, not {spread}")
        device = self.spread.weight.device
        made = []
        for part in torch.split(labels, batch):
            latent = spread * torch.randn(len(part), self.latent, generator=generator)
            made.append((self(latent.to(device), part.to(device)) * 255).round().to(torch.uint8))
        return torch.cat(made).to(labels.device) if made else torch.zeros(0, 1, self.side, self.side, dtype=torch.uint8)


class DownBlock(nn.Module):
    """Half the size: convolve, average, convolve, around a short cut, all spectrally normalised."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = spectral_norm(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps of `outputs` channels, half as high and wide."""
        y = functional.avg_pool2d(self.first(functional.leaky_relu(x, SLOPE)), 2)
        smaller: Tensor = self.second(functional.leaky_relu(y, SLOPE)) + self.shortcut(functional.avg_pool2d(x, 2))
        return smaller


class ProjectionDiscriminator(nn.Module):
    """How real an image of a class looks: a score, above zero for real.

    Takes (n, 1, side, side) floats in 0..1 and (n,) int64 classes and returns (n,).
    """

    def __init__(self, classes: int, side: int = 28, width: int = 16) -> None:
        super().__init__()
        steps = doublings(side)
        self.classes, self.side = classes, side
        widths = [width << k for k in range(steps)]
        self.stem = spectral_norm(nn.Conv2d(1, width, 5, padding=2, stride=2))
        self.blocks = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(widths)))
        self.mix = spectral_norm(nn.Conv2d(widths[-1] + 1, 2 * widths[-1], 3, padding=1, stride=2))
        self.score = spectral_norm(nn.Linear(2 * widths[-1], 1))
        self.embedding = spectral_norm(nn.Embedding(classes, 2 * widths[-1]))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Scores, (n,)."""
        x = functional.leaky_relu(self.blocks(self.stem(2 * images - 1)), SLOPE)
        x = torch.cat([x, batch_deviation(x)], 1)
        x = functional.leaky_relu(self.mix(x), SLOPE).sum((2, 3))
        scores: Tensor = self.score(x)[:, 0] + (self.embedding(check_labels(labels, self.classes)) * x).sum(1)
        return scores


def batch_deviation(x: Tensor, group: int = 8) -> Tensor:
    """One map, (n, 1, h, w): how much features differ within groups of images, the same for a group (Karras et al. 2018).

    It shows the discriminator a generator that makes one image over and over. A batch that groups do not divide is one group.
    """
    n, channels, height, width = x.shape
    size = group if n % group == 0 else n
    spread = x.view(size, n // size, channels, height, width).var(0, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))
    return spread.repeat(size).view(n, 1, 1, 1).expand(n, 1, height, width)
