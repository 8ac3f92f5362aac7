"""Splice junctions in DNA: does the middle of 60 bases end an exon, begin one, or neither?

The data are StatLog's DNA table (Michie, Spiegelhalter and Taylor, "Machine Learning, Neural and Statistical Classification", 1994): 3,186
windows of 60 bases of primate genes from GenBank, the first 2,000 for training and the last 1,186 for testing, as StatLog did. It is in R's
package mlbench (file `DNA.rda`, GPL-2), which stays outside this project: `splice_file` says where it is looked for. R's serialisation
format is read here, as far as that file needs it.
"""

from __future__ import annotations

import lzma
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medsim_perception.sequences.encoding import BASES

CLASSES = ("exon-intron", "intron-exon", "neither")  # StatLog's ei (donor), ie (acceptor), n
LENGTH = 60
TRAINING_WINDOWS = 2000  # StatLog's split: the first 2,000 of 3,186
FOLDER_VARIABLE = "MEDSIM_DATA_CACHE"
FILE_NAME = "DNA.rda"
RDA_MAGIC = b"RDX2\nX\n"


class SpliceWindows(NamedTuple):
    """Windows and what is in their middle."""

    sequences: list[str]  # 60 letters each
    labels: NDArray[np.int64]  # (n,): index into `CLASSES`


def splice_file() -> Path:
    """Where the table is looked for: `DNA.rda` in the folder that MEDSIM_DATA_CACHE names, or in ~/.cache/medsim."""
    named = os.environ.get(FOLDER_VARIABLE)
    return (Path(named) if named else Path.home() / ".cache" / "medsim") / FILE_NAME


def read_splice_windows(path: Path | None = None) -> tuple[SpliceWindows, SpliceWindows]:
    """StatLog's 2,000 training and 1,186 test windows.

    Raises FileNotFoundError where the file is absent, ValueError where it is damaged.
    """
    path = splice_file() if path is None else path
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: `python -m benchmarks.perception.splice --fetch` takes it from Debian's r-cran-mlbench"
        )
    try:
        bases, labels = _decoded(read_rda(path)["DNA"])
    except (KeyError, IndexError, struct.error, lzma.LZMAError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as StatLog's DNA table ({error!r}); put a whole copy in its place") from error
    sequences = ["".join(BASES[base] for base in row) for row in bases]
    n = TRAINING_WINDOWS
    return SpliceWindows(sequences[:n], labels[:n]), SpliceWindows(sequences[n:], labels[n:])


def _decoded(table: dict[str, list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Base numbers (n, 60) and classes (n,): three indicators a base stand for A, C and G, and all three off for T."""
    labels = np.array(table.pop("Class")) - 1
    indicators = np.array(list(table.values())).T.reshape(labels.size, LENGTH, 3) - 1
    if indicators.sum(2).max() > 1 or indicators.min() < 0 or not np.isin(labels, range(len(CLASSES))).all():
        raise ValueError("indicators or classes are out of range")
    return np.where(indicators.any(2), indicators.argmax(2), 3), labels


def read_rda(path: Path) -> dict[str, Any]:
    """The objects of an R data file (version 2, xz-compressed): data frames become dicts of columns, factors lists of codes from 1."""
    raw = lzma.decompress(path.read_bytes())
    if not raw.startswith(RDA_MAGIC):
        raise ValueError(f"{path} does not begin as an R data file of version 2")
    reader = _RdaReader(raw[len(RDA_MAGIC) :])
    for _ in range(3):  # versions of the format and of R
        reader.integer()
    return dict(reader.item())


class _RdaReader:
    """R's XDR serialisation (R Internals, section 1.8), for pairlists, symbols, strings, numbers and lists."""

    NIL, REFERENCE, SYMBOL, PAIRLIST, CHARS, INTEGERS, LOGICALS, REALS, STRINGS, LIST = 254, 255, 1, 2, 9, 13, 10, 14, 16, 19

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0
        self.symbols: list[str] = []

    def integer(self) -> int:
        """The next 32-bit integer."""
        self.at += 4
        return int(struct.unpack_from(">i", self.raw, self.at - 4)[0])

    def item(self) -> Any:
        """The next object: pairlists as lists of (tag, value), everything else as `read_rda` says."""
        flags = self.integer()
        kind = flags & 255
        if kind == self.NIL:
            return None
        if kind == self.REFERENCE:
            return self.symbols[(flags >> 8 or self.integer()) - 1]
        if kind == self.SYMBOL:
            self.symbols.append(self.item())
            return self.symbols[-1]
        if kind == self.PAIRLIST:
            return self._pairs(bool(flags & 512), bool(flags & 1024))
        length = self.integer()
        if kind == self.CHARS:
            return self._text(length)
        values = self._values(kind, length)
        attributes = dict(self.item()) if flags & 512 else {}
        return dict(zip(attributes["names"], values, strict=True)) if kind == self.LIST and "names" in attributes else values

    def _pairs(self, has_attributes: bool, has_tag: bool) -> list[tuple[str, Any]]:
        if has_attributes:
            self.item()
        tag = self.item() if has_tag else ""
        value = self.item()
        return [(tag, value), *(self.item() or [])]

    def _text(self, length: int) -> str | None:
        if length < 0:
            return None
        self.at += length
        return self.raw[self.at - length : self.at].decode("latin-1")

    def _values(self, kind: int, length: int) -> list[Any]:
        if kind in (self.STRINGS, self.LIST):
            return [self.item() for _ in range(length)]
        code, size = {self.INTEGERS: ("i", 4), self.LOGICALS: ("i", 4), self.REALS: ("d", 8)}[kind]
        self.at += size * length
        return list(struct.unpack_from(f">{length}{code}", self.raw, self.at - size * length))
