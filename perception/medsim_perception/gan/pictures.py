"""Made images beside real ones, as arrays for a page: what a reader should look at before any figure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medsim_perception.gan.cycle import translate
from medsim_perception.gan.distances import features_of
from medsim_perception.gan.diversity import nearest
from medsim_perception.gan.nets import ConditionalGenerator

__all__ = ["Board", "beside_real", "scanners_side_by_side", "tiled"]

Grey = NDArray[np.uint8]


class Board(NamedTuple):
    """One grey picture made of rows of images, and what each row is."""

    picture: Grey  # (h, w)
    rows: list[str]


def tiled(rows: list[Grey], gap: int = 1) -> Grey:
    """Rows of images, each (n, 1, h, w), as one picture with white gaps; raises ValueError where rows differ in shape or there are none."""
    if not rows or any(row.shape != rows[0].shape or row.ndim != 4 for row in rows):
        raise ValueError(f"rows must be images (n, 1, h, w) of one shape, not {[row.shape for row in rows]}")
    padded = np.pad(np.stack(rows)[:, :, 0], ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=255)
    count, columns, height, width = padded.shape
    picture: Grey = padded.transpose(0, 2, 1, 3).reshape(count * height, columns * width)
    return picture


def beside_real(
    generator: nn.Module, real: Grey, labels: NDArray[np.int64], names: tuple[str, ...], *, columns: int = 12, seed: int = 0,
    encoder: Any = None,
) -> Board:  # fmt: skip
    """For each class: made images, below each the nearest real image (a copy would show here), and a row of real images drawn by chance.

    `real`, (n, 1, h, w), are the training images; nearness is by the encoder's features, by pixels without one. Raises ValueError where
    names are not one for each class.
    """
    if not isinstance(generator, ConditionalGenerator):
        raise TypeError(f"generator must be a ConditionalGenerator, not {type(generator).__name__}")
    if len(names) != generator.classes:
        raise ValueError(f"there must be a name for each of {generator.classes} classes, not {names}")
    rng, draws = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    rows, said = [], []
    for number, name in enumerate(names):
        own = real[labels == number]
        made = generator.sample(torch.full((columns,), number), draws).cpu().numpy()
        looks = [features_of(encoder, one) if encoder is not None else one.reshape(len(one), -1) / 255.0 for one in (made, own)]
        rows += [made, own[nearest(looks[0], looks[1])[1][:, 0]], own[rng.choice(len(own), columns, replace=len(own) < columns)]]
        said += [f"{name}: made", f"{name}: nearest real", f"{name}: real, by chance"]
    return Board(tiled(rows), said)


def scanners_side_by_side(model: nn.Module, a: Grey, b: Grey) -> Board:
    """The same patients on scanners a and b, and each translated to the other: four rows of (n, 1, h, w) images."""
    rows = [a, translate(model, b, "a"), b, translate(model, a, "b")]
    return Board(tiled(rows), ["scanner a", "scanner b, translated to a", "scanner b", "scanner a, translated to b"])
