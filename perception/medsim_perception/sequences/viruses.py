"""Sequenced HIV populations of simulated patients: which mutations are there, and what the sequencer shows of them.

A patient's virus carries, for each drug class, no mutation or a combination that was seen in patients, and the variations of untreated
people. A mutation may be shared by only a part of the population (a mixture); parts below 10 % are minorities that no report counts.
Sequencing draws `depth` reads a place, each wrong with the error rate, and leaves places unread. What is shown is the fraction of each
amino acid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medsim_perception.sequences.encoding import AMINO_ACIDS
from medsim_perception.sequences.resistance import (
    DRUGS,
    GENE_OF_CLASS,
    LENGTH,
    PROTEASE,
    REVERSE_TRANSCRIPTASE,
    Pattern,
    mutations,
    patterns,
    polymorphisms,
    resistant,
)

UNMUTATED = 0.5  # chosen: half of the patients carry no mutation of a class, so that both answers are learnt
MIXED = 0.3  # chosen: 3 mutations in 10 are mixtures
MIXTURE = (0.2, 0.9)  # fraction of a mixed mutation; 20 % is the usual threshold of reports from deep sequencing
MINORITY = (0.01, 0.08)  # fraction of a minority, which is below the threshold and not to be reported
MINORITIES = 1.0  # chosen: mean number of such minorities a patient
LOST, ADDED = 0.3, 1.5  # chosen: chance and mean number of mutations lost from and added to an altered combination
REPORTED = 0.14  # between a minority and a mixture


@dataclass(frozen=True, kw_only=True)
class Sequencing:
    """How well a population was read."""

    depth: tuple[int, int] = (20, 500)  # reads a place, log-uniform between
    error: float = 0.01  # chance that a read shows another amino acid
    unread: float = 0.02  # chance that a place outside the ends was not read

    def __post_init__(self) -> None:
        low, high = self.depth
        if not 1 <= low <= high:
            raise ValueError(f"depth must be two numbers of reads from 1 up, not {self.depth}")
        for name in ("error", "unread"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in 0..1, not {getattr(self, name)}")


class Viruses(NamedTuple):
    """Patients' viruses as sequenced, and the truth."""

    fractions: NDArray[np.float32]  # (n, 339, 20): protease and RT 1-240; zeros where a place was not read
    mutated: NDArray[np.bool_]  # (n, mutations()): there, at 14 % of the population or more
    resistant: NDArray[np.bool_]  # (n, drugs), in the order of `DRUGS`


def draw_viruses(
    n: int,
    rng: np.random.Generator,
    sequencing: Sequencing | None = None,
    combinations: Sequence[Pattern] | None = None,
    altered: float = 0.0,
) -> Viruses:
    """Patients drawn from the combinations given (default: all), commoner ones more often; raises ValueError for n below 1.

    A share of them (`altered`) carries a combination that was changed at random, mutations lost and added: for training beyond what was
    seen.
    """
    if n < 1:
        raise ValueError(f"n must be 1 or more, not {n}")
    population = np.zeros((n, LENGTH, len(AMINO_ACIDS)))
    population[:, np.arange(LENGTH), _REFERENCE] = 1.0
    _vary(population, rng)
    chosen = _drawn_combinations(n, rng, patterns() if combinations is None else combinations)
    for patient, carried in enumerate(chosen):
        _mutate(population[patient], _altered(carried, rng) if rng.random() < altered else carried, rng)
    mutated = population[:, _PLACES, _ACIDS] >= REPORTED
    return Viruses(_sequence(population, rng, sequencing or Sequencing()), mutated, resistance_of(mutated))


def resistance_of(mutated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What HIVDB makes of mutations (n, mutations()): resistance to each drug, (n, drugs)."""
    known = mutations()
    rows = [list(resistant(known[k] for k in np.flatnonzero(row)).values()) for row in mutated]
    return np.array(rows, dtype=bool).reshape(len(mutated), len(DRUGS))


def _vary(population: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Give each patient variations of untreated people, whole populations at a time."""
    here = rng.random((len(population), len(polymorphisms()))) < [p.fraction for p in polymorphisms()]
    for patient, k in np.argwhere(here):
        mutation = polymorphisms()[k].mutation
        population[patient, mutation.place] = 0.0
        population[patient, mutation.place, AMINO_ACIDS.index(mutation.amino_acid)] = 1.0


def _drawn_combinations(n: int, rng: np.random.Generator, among: Sequence[Pattern]) -> list[list[int]]:
    """Numbers of `mutations()` that each patient carries."""
    index = {mutation: k for k, mutation in enumerate(mutations())}
    carried: list[list[int]] = [[] for _ in range(n)]
    for drug_class in GENE_OF_CLASS:
        members = [pattern for pattern in among if pattern.drug_class == drug_class]
        weights = np.sqrt([pattern.patients for pattern in members])  # chosen: the root, so that rare combinations are met too
        picks = rng.choice(len(members), size=n, p=weights / weights.sum())
        for patient in np.flatnonzero(rng.random(n) >= UNMUTATED):
            carried[patient] += [index[mutation] for mutation in members[picks[patient]].mutations]
    return carried


def _altered(carried: list[int], rng: np.random.Generator) -> list[int]:
    """A combination with about a third of its mutations lost and one or two added."""
    kept = [k for k in carried if rng.random() > LOST]
    return sorted({*kept, *(int(k) for k in rng.integers(len(_PLACES), size=rng.poisson(ADDED)))})


def _mutate(population: NDArray[np.float64], carried: list[int], rng: np.random.Generator) -> None:
    """Put mutations into one patient's population (places, 20), some as mixtures, and a few minorities beside them."""
    for k in carried:
        mixed = rng.random() < MIXED
        _share(population[_PLACES[k]], _ACIDS[k], rng.uniform(*MIXTURE) if mixed else 1.0)
    for k in rng.integers(len(_PLACES), size=rng.poisson(MINORITIES)):
        if k not in carried:
            _share(population[_PLACES[k]], _ACIDS[k], rng.uniform(*MINORITY))


def _share(place: NDArray[np.float64], acid: int, fraction: float) -> None:
    """Let an amino acid take a fraction of a place from those that are there, in proportion."""
    place *= 1.0 - fraction
    place[acid] += fraction


def _sequence(population: NDArray[np.float64], rng: np.random.Generator, how: Sequencing) -> NDArray[np.float32]:
    """Fractions that reads show, (n, places, 20)."""
    n, places, acids = population.shape
    low, high = how.depth
    depth: NDArray[np.int64] = np.exp(rng.uniform(np.log(low), np.log(high + 1), n)).astype(np.int64).clip(low, high)
    shown = population * (1 - how.error) + (1 - population) * how.error / (acids - 1)
    counts = rng.multinomial(np.repeat(depth, places).reshape(n, places), shown / shown.sum(2, keepdims=True))
    fractions: NDArray[np.float32] = (counts / depth[:, None, None]).astype(np.float32)
    first, last = rng.integers(0, 8, (2, n))  # chosen: up to 7 places at either end are often lost
    at = np.arange(places)
    lost = (at < first[:, None]) | (at >= places - last[:, None]) | (rng.random((n, places)) < how.unread)
    fractions[lost] = 0.0
    return fractions


_REFERENCE = np.array([AMINO_ACIDS.index(letter) for letter in PROTEASE + REVERSE_TRANSCRIPTASE])
_PLACES = np.array([mutation.place for mutation in mutations()])
_ACIDS = np.array([AMINO_ACIDS.index(mutation.amino_acid) for mutation in mutations()])
