"""Whether made images are varied, cover what real ones cover, and are not copies of the ones learned from.

All functions take features, (n, d), of sets of images and raise ValueError for shapes that do not fit. A generator that makes one image
over and over can have fair-looking samples; it shows in `neighbour_diversity`, `mode_coverage` and `coverage`. One that repeats its
training images shows in `memorisation`, and in nothing else here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsim_perception.gan.distances import check_features

__all__ = ["Manifold", "Memorisation", "Modes", "diversity", "manifold", "memorisation", "mode_coverage", "nearest", "neighbour_diversity"]

Floats = NDArray[np.float64]


def nearest(queries: ArrayLike, among: ArrayLike, neighbours: int = 1, *, same: bool = False) -> tuple[Floats, NDArray[np.int64]]:
    """Distances and places of the nearest rows of `among`, both (n, neighbours), nearest first; with `same`, a row is not its own
    neighbour."""
    from scipy.spatial import cKDTree

    q, a = check_features(queries, among, least=1)
    wanted = neighbours + same
    if len(a) < wanted:
        raise ValueError(f"{neighbours} neighbours need at least {wanted} rows, not {len(a)}")
    found, places = cKDTree(a).query(q, k=list(range(1, wanted + 1)))
    return found[:, same:], places[:, same:].astype(np.int64)


def neighbour_diversity(made: ArrayLike, real: ArrayLike) -> float:
    """Mean distance of a made image to the nearest other made one, over the same for as many real ones: 0 for one image repeated, 1 as
    varied."""
    m, r = check_features(made, real)
    size = min(len(m), len(r))
    of_real = float(nearest(r[:size], r[:size], same=True)[0].mean())
    if of_real == 0:
        raise ValueError("the real images are all alike: diversity cannot be compared with theirs")
    return float(nearest(m[:size], m[:size], same=True)[0].mean()) / of_real


class Modes(NamedTuple):
    """How made images spread over clusters of real ones."""

    covered: float  # share of the clusters that have a made image
    distinct: float  # exponential of the entropy over clusters: how many are used evenly
    distinct_real: float  # the same of held-out real images
    divergence: float  # Jensen-Shannon, in bits, 0..1, between made and held-out real images


def mode_coverage(real: ArrayLike, held_out: ArrayLike, made: ArrayLike, modes: int = 20, seed: int = 0) -> Modes:
    """Coverage of clusters (k-means of `real`) by made images, beside held-out real images."""
    from scipy.cluster.vq import kmeans2

    r, h, m = check_features(real, held_out, made)
    if not 2 <= modes <= len(r):
        raise ValueError(f"modes must lie in 2..{len(r)}, the number of real images, not {modes}")
    centres, _ = kmeans2(r, modes, minit="++", seed=np.random.default_rng(seed))
    shares = [np.bincount(nearest(one, centres)[1][:, 0], minlength=modes) / len(one) for one in (h, m)]
    middle = (shares[0] + shares[1]) / 2
    divergence = _entropy(middle) - (_entropy(shares[0]) + _entropy(shares[1])) / 2
    return Modes(float((shares[1] > 0).mean()), 2 ** _entropy(shares[1]), 2 ** _entropy(shares[0]), max(0.0, divergence))


def _entropy(shares: Floats) -> float:
    used = shares[shares > 0]
    return float(-(used * np.log2(used)).sum())


class Manifold(NamedTuple):
    """Overlap of the region of real images with that of made ones."""

    precision: float  # share of made images inside the real region
    recall: float  # share of real images inside the made region
    density: float  # how many real neighbourhoods a made image lies in, 1 as real ones do
    coverage: float  # share of real neighbourhoods with a made image inside


def manifold(real: ArrayLike, made: ArrayLike, neighbours: int = 5) -> Manifold:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A region is the union of balls around the images of a set, each reaching to its k-th nearest neighbour in that set. Two samples of
    equal size of one distribution have a coverage of about 1 - 2^-k and a density of 1.
    """
    r, m = check_features(real, made, least=neighbours + 2)
    reach_r, reach_m = (nearest(one, one, neighbours, same=True)[0][:, -1] for one in (r, m))
    gaps = np.sqrt(np.maximum((r**2).sum(1)[:, None] + (m**2).sum(1) - 2 * r @ m.T, 0))  # (real, made)
    inside = gaps <= reach_r[:, None]
    return Manifold(
        float(inside.any(0).mean()), float((gaps <= reach_m).any(1).mean()), float(inside.sum(0).mean() / neighbours),
        float(inside.any(1).mean()),
    )  # fmt: skip


class Memorisation(NamedTuple):
    """Whether made images lie nearer to the training images than unseen real ones do."""

    copies: float  # share of made images nearer than 95 % of held-out ones are: 0.05 for a generator that copies nothing
    nearer: float  # chance that a made image is nearer than a held-out one: 0.5 where it makes no difference, 1 for copies
    distance_ratio: float  # median distance of made over that of held-out images, below 1 for copies


def memorisation(train: ArrayLike, held_out: ArrayLike, made: ArrayLike) -> Memorisation:
    """Distances from made images to the nearest training image, beside those from held-out real images.

    Use pixels, or features that tell images apart: a classifier's features of two patients may be the same. A generator that makes only
    average images is also near to everything, so read it beside the diversity.
    """
    from scipy.stats import rankdata

    t, h, m = check_features(train, held_out, made, least=1)
    of_held, of_made = nearest(h, t)[0][:, 0], nearest(m, t)[0][:, 0]
    ranks = rankdata(np.concatenate([of_held, of_made]))[: len(h)]
    nearer = (ranks.sum() - len(h) * (len(h) + 1) / 2) / (len(h) * len(m))
    middle = float(np.median(of_held))
    ratio = float(np.median(of_made)) / middle if middle > 0 else float("nan")
    return Memorisation(float((of_made < np.quantile(of_held, 0.05)).mean()), float(nearer), ratio)


def diversity(train: ArrayLike, held_out: ArrayLike, made: ArrayLike, *, modes: int = 20, neighbours: int = 5) -> dict[str, float]:
    """All of the above but memorisation by name, of made images beside held-out real ones; clusters are those of the training images.

    The entries that end in `_of_train` are the same measures for training images in the place of made ones: what a generator can reach.
    """
    t, h, m = check_features(train, held_out, made)
    size = min(len(t), len(h), len(m))
    found: dict[str, float] = {}
    for ending, images in (("", m[:size]), ("_of_train", t[:size])):
        found[f"neighbour_diversity{ending}"] = neighbour_diversity(images, h[:size])
        found |= {f"{name}{ending}": value for name, value in manifold(h[:size], images, neighbours)._asdict().items()}
    return found | {f"modes_{name}": value for name, value in mode_coverage(t, h, m, min(modes, len(t)))._asdict().items()}
