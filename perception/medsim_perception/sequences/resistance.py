"""HIV drug resistance: mutations of two genes, the combinations seen in patients, and what they mean for ten drugs.

The reference is the subtype B sequence of Stanford's HIVDB; penalty scores are those of its algorithm HIVDB 10.2, by which clinical
laboratories report resistance (Liu and Shafer, Clin Infect Dis 2006;42:1608-1618; from memory, not verified).
`data/SOURCES.md` says which files these tables were
taken from.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

PROTEASE = "PQITLWQRPLVTIKIGGQLKEALLDTGADDTVLEEMNLPGRWKPKMIGGIGGFIKVRQYDQILIEICGHKAIGTVLVGPTPVNIIGRNLLTQIGCTLNF"
REVERSE_TRANSCRIPTASE = (  # positions 1-240, where mutations to the drugs below lie, but for a few rare ones
    "PISPIETVPVKLKPGMDGPKVKQWPLTEEKIKALVEICTEMEKEGKISKIGPENPYNTPVFAIKKKDSTKWRKLVDFRELNKRTQDFWEVQLGIPHPAGLKKKKSVTVLDVGDAYFSVPL"
    "DKDFRKYTAFTIPSINNETPGIRYQYNVLPQGWKGSPAIFQSSMTKILEPFRKQNPDIVIYQYMDDLYVGSDLEIGQHRTKIEELRQHLLRWGFTTPDKKHQKEPPFLWMGYELHPDKWT"
)
GENES = {"PR": PROTEASE, "RT": REVERSE_TRANSCRIPTASE}
OFFSETS = {"PR": 0, "RT": len(PROTEASE)}  # where a gene begins in the joined sequence
LENGTH = len(PROTEASE) + len(REVERSE_TRANSCRIPTASE)
DRUGS = {
    "3TC": "NRTI",
    "ABC": "NRTI",
    "AZT": "NRTI",
    "TDF": "NRTI",
    "EFV": "NNRTI",
    "RPV": "NNRTI",
    "DOR": "NNRTI",
    "ATV/r": "PI",
    "DRV/r": "PI",
    "LPV/r": "PI",
}
GENE_OF_CLASS = {"NRTI": "RT", "NNRTI": "RT", "PI": "PR"}
RESISTANT_SCORE = 30  # HIVDB: 30-59 intermediate, 60 and above high-level resistance
LEVELS = ((10, "susceptible"), (15, "potential low-level"), (30, "low-level"), (60, "intermediate"), (float("inf"), "high-level"))


class Mutation(NamedTuple):
    """An amino acid at a place of a gene, such as RT M184V."""

    gene: str
    position: int  # from 1
    amino_acid: str

    def __str__(self) -> str:
        return f"{self.gene} {GENES[self.gene][self.position - 1]}{self.position}{self.amino_acid}"

    @property
    def place(self) -> int:
        """Index into the joined sequence, from 0: protease, then reverse transcriptase."""
        return OFFSETS[self.gene] + self.position - 1


class Pattern(NamedTuple):
    """A combination of mutations of one drug class and how many patients it was seen in."""

    drug_class: str
    mutations: tuple[Mutation, ...]
    patients: int
    published_scores: dict[str, float]  # by drug; empty where the source has none


class Polymorphism(NamedTuple):
    """A variation of untreated patients that means nothing for the drugs, or little."""

    mutation: Mutation
    fraction: float


def parse_mutation(text: str, gene: str) -> Mutation:
    """The mutation that a text such as "M184V" names; raises ValueError for another form, a wrong place or a wrong reference letter."""
    found = re.fullmatch(r"([A-Z])(\d+)([ACDEFGHIKLMNPQRSTVWY])", text)
    if gene not in GENES:
        raise ValueError(f"gene must be one of {', '.join(GENES)}, not {gene!r}")
    if not found or not 1 <= int(found[2]) <= len(GENES[gene]):
        raise ValueError(f"{text!r} names no mutation of {gene} 1-{len(GENES[gene])}; the form is M184V")
    return Mutation(gene, int(found[2]), found[3])


@lru_cache(maxsize=1)
def patterns() -> tuple[Pattern, ...]:
    """The 150 commonest combinations of each drug class, commonest first within a class."""
    return tuple(_pattern(row) for row in _rows("hiv_patterns.csv"))


def _pattern(row: dict[str, str]) -> Pattern:
    gene = GENE_OF_CLASS[row["drug_class"]]
    named = tuple(parse_mutation(text, gene) for text in row["mutations"].split("+"))
    scores = dict(part.split("=") for part in row["scores"].split(";") if part)
    return Pattern(row["drug_class"], named, int(row["patients"]), {drug: float(score) for drug, score in scores.items()})


@lru_cache(maxsize=1)
def polymorphisms() -> tuple[Polymorphism, ...]:
    """Variations of untreated subtype B patients, 1 % and above."""
    return tuple(
        Polymorphism(Mutation(row["gene"], int(row["position"]), row["amino_acid"]), float(row["fraction"]))
        for row in _rows("hiv_polymorphisms.csv")
    )


@lru_cache(maxsize=1)
def surveillance_mutations() -> frozenset[Mutation]:
    """Mutations that surveillance of transmitted resistance counts."""
    rows = _rows("hiv_surveillance_mutations.csv")
    return frozenset(Mutation(row["gene"], int(row["position"]), acid) for row in rows for acid in row["amino_acids"])


@lru_cache(maxsize=1)
def mutations() -> tuple[Mutation, ...]:
    """The mutations that are looked for: all of the patterns', by gene and position."""
    return tuple(sorted({mutation for pattern in patterns() for mutation in pattern.mutations}))


def score(found: Iterable[Mutation]) -> dict[str, int]:
    """HIVDB's penalty of each drug for the mutations found (several amino acids may share a place); 30 and above is resistance."""
    by_gene: dict[str, set[tuple[int, str]]] = {gene: set() for gene in GENES}
    for mutation in found:
        by_gene[mutation.gene].add((mutation.position, mutation.amino_acid))
    return {drug: _penalty(rules, by_gene[GENE_OF_CLASS[DRUGS[drug]]]) for drug, rules in _rules().items()}


def resistant(found: Iterable[Mutation]) -> dict[str, bool]:
    """Whether each drug meets intermediate or high-level resistance."""
    return {drug: penalty >= RESISTANT_SCORE for drug, penalty in score(found).items()}


def level(penalty: float) -> str:
    """HIVDB's word for a penalty."""
    return next(word for limit, word in LEVELS if penalty < limit)


class _Rule(NamedTuple):
    terms: tuple[tuple[int, frozenset[str]], ...]  # all must be there: a place and any of its amino acids
    penalty: int


def _penalty(groups: tuple[tuple[_Rule, ...], ...], found: set[tuple[int, str]]) -> int:
    """The sum over groups of the largest penalty among the rules that hold."""
    total = 0
    for group in groups:
        met = [rule.penalty for rule in group if all(any((place, acid) in found for acid in acids) for place, acids in rule.terms)]
        total += max(met, default=0)
    return total


@lru_cache(maxsize=1)
def _rules() -> dict[str, tuple[tuple[_Rule, ...], ...]]:
    groups: dict[str, dict[str, list[_Rule]]] = {drug: {} for drug in DRUGS}
    for row in _rows("hivdb_scores.csv"):
        groups[row["drug"]].setdefault(row["group"], []).append(_Rule(_terms(row["condition"]), int(row["score"])))
    return {drug: tuple(tuple(rules) for rules in by_group.values()) for drug, by_group in groups.items()}


def _terms(condition: str) -> tuple[tuple[int, frozenset[str]], ...]:
    parts = [re.fullmatch(r"(\d+)([A-Z]+)", term) for term in condition.split("+")]
    return tuple((int(part[1]), frozenset(part[2])) for part in parts if part)


def _rows(name: str) -> list[dict[str, str]]:
    text = files(__package__).joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
