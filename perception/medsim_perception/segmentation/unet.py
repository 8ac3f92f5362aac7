"""A small U-Net: down and up again, with what was seen on the way down beside what comes up (Ronneberger et al. 2015).

Normalised by groups of channels (Wu & He 2018), never by batch: an image's answer does not depend on those that travel with it. Channels
double at every halving of the image up to four times the width. With `folded` the image is folded 2 x 2 into channels before the first
convolution and unfolded after the last, which quarters the work. Everything is laid out channels last, which a CPU convolves faster.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.vision.nets import group_norm

__all__ = ["UNet"]

WIDEST = 4  # chosen: of the width; wider levels would hold most of the weights and see 8 x 8 pixels


class UNet(nn.Module):
    """A U-Net from floats (n, in_channels, h, w) to (n, out_channels, h, w), without an activation at the end.

    Args:
        in_channels, out_channels: of images.
        width: channels of the first level, a multiple of 4.
        depth: how often the image is halved, 1 or more; h and w must be multiples of `divisor`.
        residual: what is learnt is a correction: the output is added to the first `out_channels` channels of the input, and an untrained
            net returns them unchanged.
        folded: work on half the resolution (2 x 2 pixels become channels).

    Raises ValueError for arguments that are not those, and for images of another shape.
    """

    def __init__(
        self, in_channels: int, out_channels: int, width: int = 16, depth: int = 3, *, residual: bool = False, folded: bool = False
    ) -> None:
        if min(in_channels, out_channels, depth) < 1:
            raise ValueError(f"in_channels, out_channels and depth must be 1 or more, not {in_channels}, {out_channels} and {depth}")
        if width < 4 or width % 4:
            raise ValueError(f"width must be a multiple of 4, not {width}")
        if residual and out_channels > in_channels:
            raise ValueError(f"a residual net needs as many channels in as out, not {in_channels} and {out_channels}")
        super().__init__()
        self.in_channels, self.out_channels, self.residual, self.folded = in_channels, out_channels, residual, folded
        self.divisor = 2**depth * (2 if folded else 1)
        fold = 4 if folded else 1
        widths = [width * min(2**level, WIDEST) for level in range(depth + 1)]
        self.down = nn.ModuleList(Block(a, b) for a, b in zip([fold * in_channels, *widths], widths, strict=False))
        self.up = nn.ModuleList(Block(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.last = nn.Conv2d(width, fold * out_channels, 1)
        if residual:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Logits, or images, (n, out_channels, h, w)."""
        x = self.checked(images).contiguous(memory_format=torch.channels_last)
        if self.folded:
            x = functional.pixel_unshuffle(x, 2)
        seen = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            seen.append(x)
        for block, before in zip(self.up, seen[-2::-1], strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), before], dim=1))
        x = self.last(x)
        if self.folded:
            x = functional.pixel_shuffle(x, 2)
        return images[:, : self.out_channels] + x if self.residual else x

    def checked(self, images: Tensor) -> Tensor:
        """The images; raises ValueError where they do not fit."""
        if images.ndim != 4 or images.shape[1] != self.in_channels or not images.is_floating_point():
            raise ValueError(f"images must be floats (n, {self.in_channels}, h, w), not {images.dtype} {tuple(images.shape)}")
        if any(side % self.divisor or not side for side in images.shape[2:]):
            raise ValueError(f"sides of images must be multiples of {self.divisor}, not {tuple(images.shape[2:])}")
        return images


class Block(nn.Module):
    """Two 3 x 3 convolutions, each normalised and bent."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(a, outputs, 3, padding=1, bias=False) for a in (inputs, outputs))
        self.first_norm, self.second_norm = group_norm(outputs), group_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of `outputs` channels, as large."""
        x = functional.silu(self.first_norm(self.first(x)))
        return functional.silu(self.second_norm(self.second(x)))
