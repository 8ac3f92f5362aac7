"""DNA and protein letters as numbers: one channel a base or amino acid, ambiguity codes as fractions.

A letter that stands for several (IUPAC: R is A or G; B is D or N) becomes equal fractions of them, a gap or an unread place is all
zeros, so a network sees how sure the sequencer was. DNA is four channels (A, C, G, T; U counts as T), protein twenty (by letter).
Codes: IUPAC-IUB nomenclature for incompletely specified bases, Nucleic Acids Res 1985;13:3021-3030; amino acids, Eur J Biochem
1984;138:9-37.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BASES = "ACGT"
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
GAPS = "-."  # nothing was read here

_DNA_CODES = {
    **{base: base for base in BASES},
    "U": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
_PROTEIN_CODES = {**{acid: acid for acid in AMINO_ACIDS}, "B": "DN", "Z": "EQ", "J": "IL", "X": AMINO_ACIDS}


def encode_dna(sequence: str) -> NDArray[np.float32]:
    """Fractions of A, C, G and T at each place of a DNA sequence, (length, 4).

    Lower case is read as upper case; '-' and '.' are rows of zeros. Raises ValueError that names a letter outside the IUPAC code and
    its place, counted from 1.
    """
    return _encode(sequence, _DNA_TABLE, "DNA", "".join(_DNA_CODES))


def encode_protein(sequence: str) -> NDArray[np.float32]:
    """Fractions of the twenty amino acids (order of `AMINO_ACIDS`) at each place of a protein, (length, 20).

    B, Z, J and X are equal fractions of what they stand for; '-' and '.' are rows of zeros. Raises ValueError that names a letter
    outside the code ('*', a stop, is one) and its place, counted from 1.
    """
    return _encode(sequence, _PROTEIN_TABLE, "protein", "".join(_PROTEIN_CODES))


def encode_mixtures(places: Sequence[str]) -> NDArray[np.float32]:
    """Fractions of the amino acids of an aligned protein in which several may share a place, (length, 20).

    One string a place: "M" is methionine, "MV" an even mixture of methionine and valine, "" or "-" not read. Raises ValueError that names
    a wrong letter and its place.
    """
    rows = [encode_protein_place(letters, place) for place, letters in enumerate(places, 1)]
    return np.stack(rows) if rows else np.zeros((0, len(AMINO_ACIDS)), np.float32)


def encode_protein_place(letters: str, place: int) -> NDArray[np.float32]:
    """Fractions of the amino acids that share one place, (20,); raises ValueError that names a wrong letter and the place given."""
    try:
        coded = encode_protein(letters)
    except ValueError:
        wrong = next(letter for letter in letters if _PROTEIN_TABLE[min(ord(letter), 127), 0] < 0)
        raise ValueError(f"{wrong!r} at place {place} is no protein letter; allowed: {''.join(_PROTEIN_CODES)} and gaps {GAPS}") from None
    read = coded[coded.sum(1) > 0]
    return read.mean(0) if len(read) else np.zeros(len(AMINO_ACIDS), np.float32)


def reverse_complement(sequence: str) -> str:
    """The other strand, read in its own direction; ambiguity codes are complemented too. Raises ValueError for a wrong letter."""
    encode_dna(sequence)
    return sequence.upper().translate(_COMPLEMENT)[::-1]


def complement_encoded(encoded: NDArray[np.float32]) -> NDArray[np.float32]:
    """The other strand of encoded DNA, (..., length, 4): both axes turned round, since A-T and C-G are mirror images in `BASES`."""
    return np.ascontiguousarray(encoded[..., ::-1, ::-1])


def _encode(sequence: str, table: NDArray[np.float32], kind: str, allowed: str) -> NDArray[np.float32]:
    if not isinstance(sequence, str):
        raise TypeError(f"a {kind} sequence must be a string, not {type(sequence).__name__}")
    codes = np.minimum(np.frombuffer(sequence.encode("utf-32-le"), dtype="<u4"), 127)
    encoded: NDArray[np.float32] = table[codes]
    wrong = np.flatnonzero(encoded[:, 0] < 0)
    if len(wrong):
        at = int(wrong[0])
        raise ValueError(f"{sequence[at]!r} at place {at + 1} is no {kind} letter; allowed: {allowed} and gaps {GAPS}")
    return encoded


def _table(codes: dict[str, str], alphabet: str) -> NDArray[np.float32]:
    """Rows of fractions for ASCII codes, (128, letters); rows of -1 where a letter is not allowed."""
    table = np.full((128, len(alphabet)), -1, dtype=np.float32)
    for letter, members in codes.items():
        row = np.isin(list(alphabet), list(members)) / len(members)
        table[ord(letter)] = table[ord(letter.lower())] = row
    for gap in GAPS:
        table[ord(gap)] = 0
    return table


_DNA_TABLE = _table(_DNA_CODES, BASES)
_PROTEIN_TABLE = _table(_PROTEIN_CODES, AMINO_ACIDS)
_COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVN", "TGCAAYRSWMKVHDBN")
