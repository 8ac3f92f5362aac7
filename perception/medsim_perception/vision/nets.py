"""Small image encoders: a residual net and a plain (VGG-style) net, with the heads that turn their features into answers.

Both take grey images, (n, 1, h, w), h and w from 28 to 128, as uint8 or as floats in 0..1, and give `features` numbers for each image.
They are narrow on purpose: 20-80 thousand weights train on one core in minutes and answer one image in about a millisecond. Normalisation
is by groups of channels, never by batch, so that an image's features do not depend on the images that happen to travel with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

PLACED_FEATURES = 64
SMALLEST_SIDE, LARGEST_SIDE = 28, 128
FLOAT_SLACK = 0.5  # chosen: noise in training may leave 0..1 a little; grey levels of 0..255 do not pass
GREY_CENTRE, GREY_SPREAD = 0.5, 0.25  # chosen: about the mean and deviation of grey in chest films on a 0..1 scale
INTERVAL_Z = 1.6448536269514722  # standard normal quantile of 0.95: mean +- z sd covers 90 %


class Encoder(Protocol):
    """What heads, wrappers and explanations expect of an encoder."""

    features: int

    def __call__(self, images: Tensor) -> Tensor:
        """Features, (n, features)."""

    def maps(self, images: Tensor) -> Tensor:
        """The last feature maps, (n, features, h, w), before they are averaged over the image."""


def to_floats(images: Tensor) -> Tensor:
    """Centred floats of grey images, (n, 1, h, w), uint8 or floats in 0..1; raises ValueError for any other shape, type, size or range, and
    TypeError for what is no tensor."""
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor, not {type(images).__name__}: torch.as_tensor makes one")
    if images.ndim != 4 or images.shape[1] != 1 or len(images) == 0:
        raise ValueError(f"images must have the shape (n, 1, h, w), n at least 1, not {tuple(images.shape)}")
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in images.shape[2:]):
        raise ValueError(f"sides of images must be {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, not {tuple(images.shape[2:])}")
    if images.dtype == torch.uint8:
        images = images.float().mul_(1 / 255)
    elif not images.is_floating_point():
        raise ValueError(f"images must be uint8 or floats in 0..1, not {images.dtype}")
    elif images.numel():
        low, high = (float(end) for end in images.detach().aminmax())
        if not (low > -FLOAT_SLACK and high < 1 + FLOAT_SLACK):  # NaN is neither
            raise ValueError(f"images of floats must lie in 0..1 and be finite, not from {low:g} to {high:g}")
    return (images - GREY_CENTRE) / GREY_SPREAD


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation over groups of about eight channels of one image."""
    groups = max(g for g in range(1, max(1, channels // 8) + 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution without bias (the normalisation after it has one)."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """Two convolutions around a short cut (He et al. 2016), normalised by groups (Wu & He 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_norm = convolution(inputs, outputs, stride), group_norm(outputs)
        self.second, self.second_norm = convolution(outputs, outputs), group_norm(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of `outputs` channels, smaller by the stride."""
        y = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(y)) + self.shortcut(x))


class ConvolutionalEncoder(nn.Module):
    """A stem and a body of stages, and features of the last maps.

    With a `grid` of 1, features are the maps averaged over the image, one a channel: what is there, wherever it is. With a larger one
    they are 64 mixtures of the averages in grid x grid fields: they know where, which the size of a heart or the level of an effusion
    needs.
    """

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], channels: int, grid: int = 1) -> None:
        if grid < 1:
            raise ValueError(f"grid must be at least 1, not {grid}")
        super().__init__()
        self.stem, self.stages, self.grid = stem, nn.ModuleList(stages), grid
        self.features = channels if grid == 1 else PLACED_FEATURES
        self.place = nn.Identity() if grid == 1 else nn.Sequential(nn.Linear(channels * grid**2, self.features), nn.SiLU())

    def maps(self, images: Tensor) -> Tensor:
        """The last feature maps, (n, channels, h, w)."""
        x: Tensor = self.stem(to_floats(images).contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            x = stage(x)
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Features, (n, features)."""
        features: Tensor = self.place(functional.adaptive_avg_pool2d(self.maps(images), self.grid).flatten(1))
        return features


def residual_encoder(widths: Sequence[int] = (16, 32, 64), stem_stride: int = 1, blocks: int = 1, grid: int = 1) -> ConvolutionalEncoder:
    """A residual net of one stage a width; every stage but the first halves the image.

    `stem_stride` 1 suits 28 x 28, 2 suits 64 x 64 (a quarter of the work), 4 suits 128 x 128. `grid` is that of `ConvolutionalEncoder`.
    Raises ValueError for another stride, no widths, or no blocks.
    """
    stages: list[nn.Module] = []
    inputs = widths_checked(widths, blocks)[0]
    for number, width in enumerate(widths):
        for block in range(blocks):
            stages.append(ResidualBlock(inputs, width, 2 if number and not block else 1))
            inputs = width
    return last_channels(ConvolutionalEncoder(stem_of(widths[0], stem_stride), stages, widths[-1], grid))


def plain_encoder(widths: Sequence[int] = (24, 48, 64), stem_stride: int = 1, blocks: int = 1, grid: int = 1) -> ConvolutionalEncoder:
    """A plain net in the manner of VGG (Simonyan & Zisserman 2015): convolutions, then a pooled halving, stage after stage.

    Arguments and errors are those of `residual_encoder`.
    """
    stages: list[nn.Module] = []
    inputs = widths_checked(widths, blocks)[0]
    for number, width in enumerate(widths):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if number else []
        for _ in range(blocks):
            layers += [convolution(inputs, width), group_norm(width), nn.ReLU()]
            inputs = width
        stages.append(nn.Sequential(*layers))
    return last_channels(ConvolutionalEncoder(stem_of(widths[0], stem_stride), stages, widths[-1], grid))


def last_channels(encoder: ConvolutionalEncoder) -> ConvolutionalEncoder:
    """The encoder with its kernels laid out channels last, which a CPU convolves faster."""
    for weight in encoder.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return encoder


def widths_checked(widths: Sequence[int], blocks: int) -> Sequence[int]:
    """The widths themselves; raises ValueError where there are none, or one is below 4, or there are no blocks."""
    if not widths or min(widths) < 4:
        raise ValueError(f"widths must be one or more numbers of channels of at least 4, not {tuple(widths)}")
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, not {blocks}")
    return widths


def stem_of(width: int, stride: int) -> nn.Sequential:
    """The first convolution: 3 x 3 at full size, larger and strided for larger images."""
    kernels = {1: 3, 2: 5, 4: 7}
    if stride not in kernels:
        raise ValueError(f"stem_stride must be one of {tuple(kernels)}, not {stride}")
    kernel = kernels[stride]
    first = nn.Conv2d(1, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(first, group_norm(width), nn.ReLU())


def count_weights(model: nn.Module) -> int:
    """How many numbers a model learns."""
    return sum(p.numel() for p in model.parameters())
