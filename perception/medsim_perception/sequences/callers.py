"""Genotype callers to compare a network with: by majority, and a likelihood caller that little can beat on these reads.

Both are told where each read lies and on which strand, which a network has to find out. The likelihood caller also knows the error rate
and the frequencies of the genotypes, so that its chances are nearly the exact posterior: close to a ceiling, and no competitor. They are
not quite exact, since it takes the sites as independent, each by the frequencies of its own genotypes (Hardy-Weinberg, averaged over the
populations). In truth patients come from a mixture of populations, so that each site tells something of the others, and CYP2C9 *2 and *3
exclude each other on a haplotype.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsim_perception.sequences.encoding import BASES
from medsim_perception.sequences.reads import SITES, Patients, Reading

HOMOZYGOUS_BELOW, HOMOZYGOUS_ABOVE = 0.2, 0.8  # of the variant's share of reads: the usual cuts of simple callers


def allele_counts(patients: Patients) -> NDArray[np.int64]:
    """Reads of the common allele, the variant and any other base at each site, (n, sites, 3)."""
    columns = []
    for k, site in enumerate(SITES):
        letters = np.where((patients.origin == k) & patients.present, patients.letters, -1)
        seen = [(letters == BASES.index(allele)).sum(1) for allele in site.alleles]
        columns.append(np.stack([*seen, (letters >= 0).sum(1) - sum(seen)], 1))
    return np.stack(columns, 1)


def majority_caller(patients: Patients) -> NDArray[np.int64]:
    """Copies of each variant, (n, sites): none below a share of 20 % of the reads, two above 80 %, else one; no reads count as none."""
    counts = allele_counts(patients)
    share = counts[..., 1] / np.maximum(counts[..., :2].sum(2), 1)
    called: NDArray[np.int64] = np.where(share < HOMOZYGOUS_BELOW, 0, np.where(share > HOMOZYGOUS_ABOVE, 2, 1))
    return called


def posterior(patients: Patients, reading: Reading, priors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances of 0, 1 and 2 copies, (n, sites, 3), by Bayes' rule from priors (sites, 3) and the reading that made the reads.

    Each site is judged by its own reads and prior alone: nearly exact, as sites are not independent (see above).
    """
    if priors.shape != (len(SITES), 3):
        raise ValueError(f"priors must be ({len(SITES)}, 3), not {priors.shape}")
    counts = allele_counts(patients)[..., :2]
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)  # over the balance of a heterozygote's alleles
    shares = np.clip(0.5 + reading.balance_sd * nodes, 0.01, 0.99)
    one = _log_mean_exp(np.stack([_log_likelihood(counts, share, reading.error) for share in shares], -1), weights / weights.sum())
    logs = np.stack([_log_likelihood(counts, 0.0, reading.error), one, _log_likelihood(counts, 1.0, reading.error)], -1)
    logs = logs + np.log(np.maximum(priors, 1e-300))
    chances = np.exp(logs - logs.max(-1, keepdims=True))
    normal: NDArray[np.float64] = chances / chances.sum(-1, keepdims=True)
    return normal


def _log_likelihood(counts: NDArray[np.int64], share: float, error: float) -> NDArray[np.float64]:
    """Of reads of either allele where a share of the molecules carries the variant; other bases weigh the same for all genotypes."""
    right, wrong = 1 - error, max(error / 3, 1e-12)
    value: NDArray[np.float64] = counts[..., 0] * np.log(right * (1 - share) + wrong * share) + counts[..., 1] * np.log(
        right * share + wrong * (1 - share)
    )
    return value


def _log_mean_exp(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    top = values.max(-1, keepdims=True)
    mean: NDArray[np.float64] = np.log((np.exp(values - top) * weights).sum(-1)) + top[..., 0]
    return mean
