"""Random changes that gradients pass through, shown to the discriminator on real and made images alike.

A discriminator of a few hundred images learns them by heart; when everything it sees is shifted, re-exposed and partly covered it cannot,
and since the changes are the same for both, the generator does not learn to make them (Zhao et al. 2020, Karras et al. 2020).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

SHIFT = 0.125  # of the side (Zhao et al. 2020)
COVER = 0.3  # of the side; chosen: half of theirs would hide little of a lung at 28 pixels, their 0.5 hides a whole one
BRIGHTNESS, CONTRAST = 0.2, 0.3  # chosen: grey levels mean something in radiographs, so less than their 0.5


def augment(images: Tensor, generator: Generator) -> Tensor:
    """Changed images of the same shape, (n, 1, h, w): shifted, brighter or darker, of another contrast, a square of them blank.

    Draws come from a generator of the CPU, whatever the images' device.
    """
    n, _, height, width = images.shape
    draws = torch.rand(6, n, generator=generator).to(images.device)
    x = images + BRIGHTNESS * (draws[0] - 0.5).view(n, 1, 1, 1)
    mean = x.mean((2, 3), keepdim=True)
    x = mean + (x - mean) * (1 + CONTRAST * (2 * draws[1] - 1)).view(n, 1, 1, 1)
    x = shifted(x, draws[2], draws[3])
    return x * ~covered(draws[4], draws[5], height, width)


def shifted(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Images moved by whole pixels, up to an eighth of the side; what comes in is black. Both draws, (n,), lie in 0..1."""
    n, _, height, width = images.shape
    most_y, most_x = round(SHIFT * height), round(SHIFT * width)
    padded = functional.pad(images, [most_x, most_x, most_y, most_y])
    rows = torch.arange(height, device=images.device) + (down * (2 * most_y + 1)).long().clamp_max(2 * most_y)[:, None]
    columns = torch.arange(width, device=images.device) + (across * (2 * most_x + 1)).long().clamp_max(2 * most_x)[:, None]
    which = torch.arange(n, device=images.device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def covered(across: Tensor, down: Tensor, height: int, width: int) -> Tensor:
    """Where a square is blank, (n, 1, h, w) bool; its middle lies anywhere in the image. Both draws, (n,), lie in 0..1."""
    y = (torch.arange(height, device=down.device) + 0.5) / height
    x = (torch.arange(width, device=across.device) + 0.5) / width
    inside_y = (y - down[:, None]).abs() < COVER / 2
    inside_x = (x - across[:, None]).abs() < COVER / 2
    return (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
