"""How far made images are from real ones, on features of an encoder of our own.

Both distances take features, (n, d), of two sets of images. Nothing here is comparable with figures from an Inception net trained on
photographs: a distance says something only beside the same encoder's distance between two halves of the real images, and beside that of
an untrained generator.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

__all__ = ["Distances", "distances", "features_of", "frechet_distance", "frechet_of_moments", "kernel_distance"]

Floats = NDArray[np.float64]


def check_features(*sets: ArrayLike, least: int = 2) -> list[Floats]:
    """The sets as float64, (n, d); raises ValueError for other shapes, different d, fewer than `least` rows, or what is not finite."""
    arrays = [np.asarray(one, np.float64) for one in sets]
    for one in arrays:
        if one.ndim != 2 or one.shape[1] == 0 or one.shape[1] != arrays[0].shape[-1]:
            raise ValueError(f"features must be (n, d) with one d for all, not {[a.shape for a in arrays]}")
        if len(one) < least:
            raise ValueError(f"features of at least {least} images are needed, not {len(one)}")
        if not np.isfinite(one).all():
            raise ValueError("features must be finite")
    return arrays


def frechet_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Squared Frechet distance between normal distributions of the same means and covariances as the two sets.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson & Landau 1982), covariances divided by n - 1. It is biased upwards for small sets,
    more so the more features there are: compare sets of one size only.
    """
    a, b = check_features(first, second)
    return frechet_of_moments(a.mean(0), np.cov(a.T).reshape(a.shape[1], -1), b.mean(0), np.cov(b.T).reshape(b.shape[1], -1))


def frechet_of_moments(mean_a: ArrayLike, covariance_a: ArrayLike, mean_b: ArrayLike, covariance_b: ArrayLike) -> float:
    """The same from means, (d,), and covariances, (d, d).

    The trace of the root of C1 C2 is that of the symmetric R C2 R, R the root of C1: its eigenvalues are real and not below zero, so that
    no imaginary part has to be thrown away and singular covariances do no harm.
    """
    c_a, c_b = np.asarray(covariance_a, np.float64), np.asarray(covariance_b, np.float64)
    values, vectors = np.linalg.eigh(c_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ c_b @ root).clip(0)).sum()
    gap = np.asarray(mean_a, np.float64) - np.asarray(mean_b, np.float64)
    return float(gap @ gap + np.trace(c_a) + np.trace(c_b) - 2 * cross)


def kernel_distance(first: ArrayLike, second: ArrayLike, degree: int = 3) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^degree (Gretton et al. 2012; Binkowski et al. 2018).

    Its mean is 0 for two samples of one distribution, whatever their sizes, so that single values may be slightly below.
    """
    if degree < 1:
        raise ValueError(f"degree must be at least 1, not {degree}")
    a, b = check_features(first, second)
    within = [_mean_of_pairs(one, degree) for one in (a, b)]
    return within[0] + within[1] - 2 * float(((a @ b.T / a.shape[1] + 1) ** degree).mean())


def _mean_of_pairs(x: Floats, degree: int) -> float:
    kernel = (x @ x.T / x.shape[1] + 1) ** degree
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))


class Distances(NamedTuple):
    """Both distances of made from real images, and those between real images and other real images."""

    frechet: float
    kernel: float
    frechet_of_real: float  # the floor: what real images of the same number reach
    kernel_of_real: float


def distances(real: ArrayLike, made: ArrayLike, other_real: ArrayLike) -> Distances:
    """Distances of made images from real ones, on features (n, d), all three sets cut to the size of the smallest."""
    sets = check_features(real, made, other_real)
    size = min(len(one) for one in sets)
    a, b, c = (one[:size] for one in sets)
    return Distances(frechet_distance(a, b), kernel_distance(a, b), frechet_distance(a, c), kernel_distance(a, c))


@torch.no_grad()
def features_of(encoder: nn.Module, images: Tensor | NDArray[Any], batch: int = 256) -> Floats:
    """The encoder's features of images, (n, d), worked out in evaluation mode, the mode restored afterwards."""
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    parts = [encoder(part.to(device)).float().cpu().numpy() for part in torch.split(torch.as_tensor(images), batch)]
    encoder.train(was_training)
    return np.concatenate(parts).astype(np.float64)
