"""Nets that carry a radiograph from one scanner's look to another's, and those that judge the look.

A translator adds a correction to the image's own log-odds of grey, so that it begins as the identity and has only the difference of two
scanners to learn; what no translator should touch, the anatomy, passes straight through. Judges see patches of 18 pixels, enough for grey
scale, sharpness and grain, too little for how many patients of which kind there are. All nets take any side that is a multiple of 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

EDGE = 0.005  # chosen: about one grey level of 255 from black and white, where log-odds have no end
SLOPE = 0.2
SCANNER_NAMES = ("a", "b")


class Residual(nn.Module):
    """Two convolutions around a short cut, normalised by groups."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = max(1, channels // 8)
        self.first, self.first_norm = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"), nn.GroupNorm(groups, channels)
        self.second, self.second_norm = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"), nn.GroupNorm(groups, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same shape."""
        y = functional.relu(self.first_norm(self.first(x)))
        changed: Tensor = x + self.second_norm(self.second(y))
        return changed


class Translator(nn.Module):
    """Images, (n, 1, h, w) floats in 0..1, as another scanner would have made them: the same shape, floats in 0..1."""

    def __init__(self, width: int = 12, blocks: int = 2) -> None:
        super().__init__()
        if width < 4 or blocks < 0:
            raise ValueError(f"width must be at least 4 and blocks at least 0, not {width} and {blocks}")
        self.fine = nn.Conv2d(1, width, 3, padding=1, padding_mode="reflect")
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.blocks = nn.Sequential(*(Residual(2 * width) for _ in range(blocks)))
        self.up = nn.Conv2d(2 * width, width, 3, padding=1, padding_mode="reflect")
        self.mix = nn.Conv2d(2 * width, width, 3, padding=1, padding_mode="reflect")
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Translated images, the same shape."""
        kept = EDGE + (1 - 2 * EDGE) * images
        fine = functional.leaky_relu(self.fine(2 * images - 1), SLOPE)
        coarse = self.blocks(functional.leaky_relu(self.down(fine), SLOPE))
        up = functional.interpolate(functional.leaky_relu(self.up(coarse), SLOPE), scale_factor=2.0, mode="nearest")
        correction = self.last(functional.leaky_relu(self.mix(torch.cat([fine, up], 1)), SLOPE))
        return ((torch.sigmoid(torch.logit(kept) + correction) - EDGE) / (1 - 2 * EDGE)).clamp(0, 1)


class PatchJudge(nn.Module):
    """How much each patch looks like one scanner's: (n, 1, h / 4, w / 4) scores, near 1 for real (Isola et al. 2017)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(1, width, 4, stride=2, padding=1)),
            nn.LeakyReLU(SLOPE),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores, (n, 1, h / 4, w / 4), of images, floats in 0..1."""
        scores: Tensor = self.layers(2 * images - 1)
        return scores


class ScannerTranslation(nn.Module):
    """Translators both ways between scanners "a" and "b"."""

    def __init__(self, width: int = 12, blocks: int = 2) -> None:
        super().__init__()
        self.to_a, self.to_b = Translator(width, blocks), Translator(width, blocks)

    def forward(self, images: Tensor, to: str = "a") -> Tensor:
        """Images as that scanner would show them, (n, 1, h, w) floats in 0..1, from uint8 or floats in 0..1.

        Raises ValueError for another scanner or shape, or sides that are not multiples of 4.
        """
        if to not in SCANNER_NAMES:
            raise ValueError(f"to must be one of {SCANNER_NAMES}, not {to!r}")
        if images.ndim != 4 or images.shape[1] != 1 or any(side % 4 or side < 8 for side in images.shape[2:]):
            raise ValueError(f"images must be (n, 1, h, w) with sides that are multiples of 4 from 8, not {tuple(images.shape)}")
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        translated: Tensor = (self.to_a if to == "a" else self.to_b)(x)
        return translated
