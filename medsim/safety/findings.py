"""What a section finds: sentences, figures by name, pictures, tables. All of it is plain data that a file holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medsim.safety.figures import Figure

__all__ = ["Findings", "Picture", "Section", "Table", "figures_table"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawing (SVG) with a sentence on what it shows."""

    title: str
    caption: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under columns; ``open``: shown without being asked for."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    open: bool = False


def figures_table(figures: Mapping[str, Figure], values: str = "value (95 % interval)") -> Table:
    """Return figures as a table: what each says, and its value; ``values``: what stands above those."""
    rows = tuple((one.says, one.text()) for one in figures.values())
    return Table(title="Figures", columns=("what", values), rows=rows)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a section found; ``figures`` are named within the section."""

    says: tuple[str, ...]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        return {
            "says": list(self.says), "figures": {name: one.record() for name, one in self.figures.items()},
            "pictures": [vars(one) for one in self.pictures],
            "tables": [{"title": one.title, "columns": list(one.columns), "rows": [list(row) for row in one.rows], "open": one.open}
                       for one in self.tables],
        }  # fmt: skip

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Findings":
        """Return the findings of plain data."""
        return cls(
            says=tuple(record["says"]), figures={name: Figure(**one) for name, one in record["figures"].items()},
            pictures=tuple(Picture(**one) for one in record["pictures"]),
            tables=tuple(
                Table(title=one["title"], columns=tuple(one["columns"]), rows=tuple(map(tuple, one["rows"])), open=one["open"])
                for one in record["tables"]
            ),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the evaluation: its number, its name in files and figures, its heading, what it does, and how much work it is.

    ``run`` and ``work`` take what the sections share: a ``Context``, or a ``HospitalContext``. ``work``: in courses of all the plan's
    patients, or in episodes of a hospital, for the progress bar.
    """

    number: int
    name: str
    title: str
    run: Callable[[Any], Findings]
    work: Callable[[Any], float] = lambda context: 0.0
