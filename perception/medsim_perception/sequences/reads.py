"""Sequencing reads of three sites that set the warfarin dose: CYP2C9 *2 and *3, and VKORC1 -1639G>A.

A patient carries two haplotypes of CYP2C9 (*1, *2 or *3: the two variants are never on one) and two of VKORC1, drawn by the allele
frequencies of a population. Amplicons around each site are read from random starts, on either strand, with errors; a heterozygote's two
alleles are not read quite equally often. What a caller gets are the reads alone, without site, place or strand.

Sites: rs1799853 (NM_000771 c.430C>T), rs1057910 (c.1075A>C), rs9923231 (NM_024006 c.-1639G>A), each named on its gene's strand.
Frequencies: 1000 Genomes Project, African, European, Admixed American and East Asian super-populations, as tabulated in PMC6562764, Table
1. Which genotypes go with which dose is the affair of whoever doses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medsim_perception.sequences.encoding import BASES, complement_encoded, encode_dna

FLANK = 60  # bases of each amplicon on either side of its site
READ_LENGTH = 50  # chosen: of short reads, and shorter than the amplicon, so that not every read shows the site


@dataclass(frozen=True, kw_only=True)
class Site:
    """A variant and what lies around it, on the gene's strand."""

    name: str
    left: str  # FLANK bases
    alleles: str  # the common one and the variant, such as "CT"
    right: str  # FLANK bases
    flanks: str  # where the flanks come from

    def amplicon(self, allele: int) -> str:
        """The sequence around the site with an allele, 0 or 1."""
        return self.left + self.alleles[allele] + self.right


SYNTHETIC = "synthetic: drawn at random once, as no published flank could be checked; the alleles are the real ones"

SITES = (
    Site(
        name="CYP2C9*2",
        left="GCGGCAAGATGGTTAATCAAGACGGAAACCTAGGTACTTTGATATGCCGTGTCAGCAGAA",
        alleles="CT",
        right="GCATCGGGCGTTACCCTTGCTTAACTCATGAATACAACACTAGCGGGCCTAGACTGTGGA",
        flanks=SYNTHETIC,
    ),
    Site(
        name="CYP2C9*3",
        left="ATGCAAGACAGGAGCCACATGCCCTACACAGATGCTGTGGTGCACGAGGTCCAGAGATAC",
        alleles="AC",
        right="TTGACCTTCTCCCCACCAGCCTGCCCCATGCAGTGACCTGTGACATTAAATTCAGAAACT",
        flanks="GRCh38 NC_000010.11, within 94981096-94981496, exon 7",
    ),
    Site(
        name="VKORC1-1639",
        left="CCGTCCGACGGGACTTAAATGCTATGCTATAACTTCGCGGGCTGGGCCGAAGTCGTCGGC",
        alleles="GA",
        right="GGTACGAGCTAGTCTAAAGGCACGAGAGTTAACACCATGACACAAGGCAGTACAACATTA",
        flanks=SYNTHETIC,
    ),
)

FREQUENCIES = {  # of CYP2C9*2, CYP2C9*3 and VKORC1 -1639A
    "african": (0.008, 0.002, 0.054),
    "european": (0.124, 0.073, 0.388),
    "admixed american": (0.099, 0.037, 0.411),
    "east asian": (0.001, 0.034, 0.885),
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a patient's DNA is read."""

    error: float = 0.01  # chance that a base is read as another
    coverage: float = 30.0  # mean number of reads an amplicon; Poisson, and never fewer than `least`
    least: int = 8  # chosen: amplicons with fewer reads are repeated
    balance_sd: float = 0.03  # chosen: how far the share of a heterozygote's variant strays from one half

    def __post_init__(self) -> None:
        if not 0 <= self.error < 0.75:
            raise ValueError(f"error must lie in 0..0.75, not {self.error}")
        if self.coverage <= 0 or self.least < 0 or not 0 <= self.balance_sd < 0.2:
            raise ValueError(f"coverage must be above 0, least 0 or more and balance_sd in 0..0.2, not {self}")


class Patients(NamedTuple):
    """Patients' genotypes and their reads."""

    copies: NDArray[np.int64]  # (n, 3): 0, 1 or 2 copies of the variant at each of `SITES`
    reads: NDArray[np.float32]  # (n, r, READ_LENGTH, 4): in random order
    present: NDArray[np.bool_]  # (n, r): which reads exist
    shown: NDArray[np.int64]  # (n, r): 2 site + allele where the read covers its site, 6 where it does not: the truth, for training
    letters: NDArray[np.int64]  # (n, r): the base read at the site (index into BASES, on the gene's strand), -1 where it is not covered
    origin: NDArray[np.int64]  # (n, r): the amplicon a read came from


def draw_genotypes(n: int, rng: np.random.Generator, population: str | None = None) -> NDArray[np.int64]:
    """Copies of each variant, (n, 3), by Hardy-Weinberg; None mixes the populations in equal parts. ValueError for another population."""
    if population is not None and population not in FREQUENCIES:
        raise ValueError(f"population must be one of {', '.join(FREQUENCIES)} or None, not {population!r}")
    table = np.array(list(FREQUENCIES.values()) if population is None else [FREQUENCIES[population]])
    two, three, vkorc1 = table[rng.integers(len(table), size=n)].T
    haplotype = rng.random((2, n))
    is_two, is_three = haplotype < two, (haplotype >= two) & (haplotype < two + three)
    return np.stack([is_two.sum(0), is_three.sum(0), (rng.random((2, n)) < vkorc1).sum(0)], 1)


def genotype_priors(population: str | None = None) -> NDArray[np.float64]:
    """Chances of 0, 1 and 2 copies at each site, (3, 3), in the population that `draw_genotypes` draws from."""
    rows = np.array(list(FREQUENCIES.values()) if population is None else [FREQUENCIES[population]])
    chances: NDArray[np.float64] = np.stack([(1 - rows) ** 2, 2 * rows * (1 - rows), rows**2], 2).mean(0)
    return chances


def draw_patients(n: int, rng: np.random.Generator, reading: Reading | None = None, population: str | None = None) -> Patients:
    """Patients with their genotypes and reads; raises ValueError for n below 1 or an unknown population."""
    if n < 1:
        raise ValueError(f"n must be 1 or more, not {n}")
    return read_genotypes(draw_genotypes(n, rng, population), rng, reading)


def read_genotypes(copies: NDArray[np.int64], rng: np.random.Generator, reading: Reading | None = None) -> Patients:
    """Reads of patients with given copies of the variants, (n, 3)."""
    how, n = reading or Reading(), len(copies)
    if copies.shape != (n, len(SITES)) or not np.isin(copies, (0, 1, 2)).all():
        raise ValueError(f"copies must be 0, 1 or 2 of the shape (n, {len(SITES)}), not {copies.shape}")
    numbers = np.maximum(rng.poisson(how.coverage, copies.shape), how.least)
    r = int(numbers.sum(1).max())
    order = np.argsort(rng.random((n, r)) + 2 * (np.arange(r) >= numbers.sum(1)[:, None]), 1)
    ends = numbers.cumsum(1)
    origin = np.minimum((np.arange(r)[None, :, None] >= ends[:, None, :]).sum(2), len(SITES) - 1)
    origin = np.take_along_axis(origin, order, 1)
    present = np.broadcast_to(np.arange(r), (n, r)) < ends[:, -1:]
    share = np.where(copies == 1, rng.normal(0.5, how.balance_sd, copies.shape), copies / 2)
    allele = (rng.random((n, r)) < np.take_along_axis(share, origin, 1)).astype(np.int64)
    return Patients(copies, *_read(origin, allele, present, rng, how.error), origin)


def _read(
    origin: NDArray[np.int64], allele: NDArray[np.int64], present: NDArray[np.bool_], rng: np.random.Generator, error: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Encoded reads, which exist, what they truly show, and the base read at the site."""
    start = rng.integers(0, 2 * FLANK + 2 - READ_LENGTH, origin.shape)
    bases = _AMPLICONS[origin[..., None], allele[..., None], start[..., None] + np.arange(READ_LENGTH)]
    wrong = rng.random(bases.shape) < error
    bases = np.where(wrong, (bases + rng.integers(1, 4, bases.shape)) % 4, bases)
    covered = (start <= FLANK) & (start + READ_LENGTH > FLANK) & present
    at_site = np.take_along_axis(bases, np.clip(FLANK - start, 0, READ_LENGTH - 1)[..., None], 2)[..., 0]
    encoded = np.eye(4, dtype=np.float32)[bases]
    turned = rng.random(origin.shape) < 0.5
    encoded[turned] = complement_encoded(encoded[turned])
    encoded[~present] = 0
    shown = np.where(covered, 2 * origin + allele, 2 * len(SITES))
    return encoded, np.ascontiguousarray(present), shown, np.where(covered, at_site, -1)


def encode_reads(reads: list[str], length: int = READ_LENGTH) -> NDArray[np.float32]:
    """Reads of a sequencer as a caller takes them, (r, length, 4); longer ones raise ValueError, shorter ones end in zeros."""
    encoded = np.zeros((len(reads), length, 4), np.float32)
    for k, read in enumerate(reads):
        if len(read) > length:
            raise ValueError(f"read {k + 1} has {len(read)} bases; at most {length} are allowed")
        encoded[k, : len(read)] = encode_dna(read)
    return encoded


_AMPLICONS = np.array([[[BASES.index(base) for base in site.amplicon(allele)[: 2 * FLANK + 1]] for allele in (0, 1)] for site in SITES])
