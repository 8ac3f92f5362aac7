"""Parallel-beam tomography as one sparse matrix: batched, differentiable, its adjoint exact because it is the transpose.

A weight is the area in which a square pixel and a detector's strip overlap, so that a sinogram is the exact average of line integrals over
each detector bin. Angles, centre (pixel `size // 2`) and detectors follow scikit-image's `radon`, so sinograms can be exchanged with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["FILTERS", "ParallelBeam"]

FILTERS = ("ramp", "hann")
LARGEST = 2**27  # chosen: pixels x angles, about 3 GB of weights
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class ParallelBeam:
    """Projections of square images at evenly spaced angles over half a turn, with as many detectors as an image has pixels a side.

    Images are (..., size, size), sinograms (..., angles, size) in image units times pixels. An object must lie in the inscribed circle:
    what leaves the detector is lost. Raises ValueError for numbers below 1 or too many of them.
    """

    size: int = 64
    angles: int = 60

    def __post_init__(self) -> None:
        if self.size < 4 or self.angles < 1 or self.size**2 * self.angles > LARGEST:
            raise ValueError(
                f"size must be 4 or more, angles 1 or more and size * size * angles at most {LARGEST}, not {self.size} and {self.angles}"
            )

    @property
    def theta(self) -> Floats:
        """Angles in radians, (angles,)."""
        return np.arange(self.angles) * math.pi / self.angles

    def project(self, images: Tensor) -> Tensor:
        """Line integrals of images."""
        _check(images, (self.size, self.size), "images")
        forward, adjoint = _projection(self.size, self.angles, images.device)
        return _apply(images, forward, adjoint, (self.angles, self.size))

    def backproject(self, sinograms: Tensor) -> Tensor:
        """The adjoint of `project`: <project(x), y> = <x, backproject(y)>."""
        _check(sinograms, (self.angles, self.size), "sinograms")
        forward, adjoint = _projection(self.size, self.angles, sinograms.device)
        return _apply(sinograms, adjoint, forward, (self.size, self.size))

    def filtered_backprojection(self, sinograms: Tensor, window: str = "ramp") -> Tensor:
        """Images from sinograms (Kak & Slaney 1988, section 3.3); zero outside the inscribed circle.

        `window` is `ramp`, or `hann`, which trades sharpness for less noise. Raises ValueError for another.
        """
        _check(sinograms, (self.angles, self.size), "sinograms")
        response = _response(self.size, window, sinograms.device)
        spectrum = torch.fft.rfft(sinograms.float(), n=2 * (response.numel() - 1))
        filtered = torch.fft.irfft(spectrum * response)[..., : self.size]
        smear, gather = _interpolation(self.size, self.angles, sinograms.device)
        return _apply(filtered, gather, smear, (self.size, self.size)) * (math.pi / self.angles)

    def norm(self) -> float:
        """The largest singular value of `project`: a gradient step of 1 / norm**2 descends."""
        return _norm(self.size, self.angles)


class _Sparse(torch.autograd.Function):
    """A sparse matrix times columns, whose gradient is the transpose times columns (and so on for gradients of gradients)."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.pair = (transposed, matrix)
        if columns.shape[1] == 1:  # five times quicker than a matrix of one column
            return (matrix @ columns[:, 0])[:, None]
        return matrix @ columns

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        with torch.autocast(gradient.device.type, enabled=False):
            return _Sparse.apply(gradient.float().contiguous(), *ctx.pair), None, None  # type: ignore[no-untyped-call]


def _apply(images: Tensor, matrix: Tensor, transposed: Tensor, shape: tuple[int, int]) -> Tensor:
    with torch.autocast(images.device.type, enabled=False):
        columns = images.float().reshape(-1, matrix.shape[1]).T.contiguous()
        out: Tensor = _Sparse.apply(columns, matrix, transposed)  # type: ignore[no-untyped-call]
        return out.T.reshape(*images.shape[:-2], *shape)


def _check(values: Tensor, shape: tuple[int, int], name: str) -> None:
    if values.ndim < 2 or tuple(values.shape[-2:]) != shape:
        raise ValueError(f"{name} must have the shape (..., {shape[0]}, {shape[1]}), not {tuple(values.shape)}")


# weights


@lru_cache(maxsize=8)
def _projection(size: int, angles: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Weights of pixels in detector bins: the matrix and its transpose."""
    bins, places = [], _positions(size, angles)
    middle = np.rint(places)
    for offset in (-1, 0, 1):  # a pixel's shadow is at most sqrt(2) wide, so it meets no other bins
        bins.append((middle + offset, _overlap(middle + offset - places, size, angles)))
    return _pair(size, angles, bins, device)


@lru_cache(maxsize=8)
def _interpolation(size: int, angles: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Linear interpolation between detectors, for pixels of the inscribed circle only: the matrix and its transpose."""
    places = _positions(size, angles)
    below = np.floor(places)
    row, column = np.mgrid[:size, :size] - size // 2
    inside = (row**2 + column**2 <= (size // 2) ** 2).reshape(1, -1)
    share = places - below
    return _pair(size, angles, [(below, (1 - share) * inside), (below + 1, share * inside)], device)


def _positions(size: int, angles: int) -> Floats:
    """Where pixel centres fall on the detector, in bins from its centre, (angles, size * size)."""
    theta = np.arange(angles) * math.pi / angles
    row, column = (np.mgrid[:size, :size] - size // 2).reshape(2, -1)
    return np.asarray(np.cos(theta)[:, None] * column - np.sin(theta)[:, None] * row)


def _overlap(distance: Floats, size: int, angles: int) -> Floats:
    """Area of a unit pixel within the strip of a bin whose middle is so far from the pixel's."""
    theta = np.arange(angles)[:, None] * math.pi / angles
    wide = np.maximum(np.abs(np.cos(theta)), np.abs(np.sin(theta)))
    narrow = np.maximum(np.minimum(np.abs(np.cos(theta)), np.abs(np.sin(theta))), 1e-6)
    return np.asarray(_area_below(distance + 0.5, wide, narrow) - _area_below(distance - 0.5, wide, narrow))


def _area_below(t: Floats, wide: Floats, narrow: Floats) -> Floats:
    """Area of a pixel's shadow, a trapezoid (the sum of two even spreads), below a place."""

    def ramp(x: Floats) -> Floats:
        return np.asarray(np.maximum(x, 0) ** 2)

    outer, inner = (wide + narrow) / 2, (wide - narrow) / 2
    return np.asarray((ramp(t + outer) - ramp(t + inner) - ramp(t - inner) + ramp(t - outer)) / (2 * wide * narrow))


def _pair(size: int, angles: int, bins: list[tuple[Floats, Floats]], device: torch.device) -> tuple[Tensor, Tensor]:
    from scipy.sparse import coo_matrix

    rows, columns, weights = [], [], []
    first = np.arange(angles)[:, None] * size
    pixel = np.broadcast_to(np.arange(size * size), (angles, size * size))
    for where, weight in bins:
        detector = where.astype(np.int64) + size // 2
        kept = (detector >= 0) & (detector < size) & (weight > 1e-9)
        rows.append((first + detector)[kept])
        columns.append(pixel[kept])
        weights.append(weight[kept])
    every = (np.concatenate(weights).astype(np.float32), (np.concatenate(rows), np.concatenate(columns)))
    matrix = coo_matrix(every, shape=(angles * size, size * size)).tocsr()
    return _sparse(matrix, device), _sparse(matrix.T.tocsr(), device)


def _sparse(matrix: Any, device: torch.device) -> Tensor:
    import warnings

    parts = (
        torch.from_numpy(matrix.indptr.astype(np.int32)),
        torch.from_numpy(matrix.indices.astype(np.int32)),
        torch.from_numpy(matrix.data),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=True).to(device)


@lru_cache(maxsize=8)
def _response(size: int, window: str, device: torch.device) -> Tensor:
    """Frequency response of the ramp, made from its samples in space so that the mean is right (Kak & Slaney 1988, eq. 61)."""
    if window not in FILTERS:
        raise ValueError(f"window must be one of {', '.join(FILTERS)}, not {window!r}")
    length = max(64, 2 ** math.ceil(math.log2(2 * size)))
    taps = np.zeros(length)
    odd = np.arange(1, length // 2, 2)
    taps[0], taps[odd], taps[-odd] = 0.25, -1 / (math.pi * odd) ** 2, -1 / (math.pi * odd) ** 2
    response = np.fft.rfft(taps).real
    if window == "hann":
        response *= 0.5 + 0.5 * np.cos(math.pi * np.arange(response.size) / (response.size - 1))
    return torch.from_numpy(response.astype(np.float32)).to(device)


@lru_cache(maxsize=8)
def _norm(size: int, angles: int) -> float:
    beam, x = ParallelBeam(size, angles), torch.ones(size, size)
    for _ in range(20):  # power iteration; its gap is wide because the matrix is positive
        x = beam.backproject(beam.project(x))
        length = float(torch.linalg.vector_norm(x))
        x = x / length
    return math.sqrt(length)
