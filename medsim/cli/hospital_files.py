"""Files that a fit reads and writes: none in the place of another, each whole or not at all."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from medsim.core import files

__all__ = ["refuse_clashes", "write_whole"]


def refuse_clashes(files: Mapping[str, Path | None]) -> None:
    """Refuse files that are one and the same, and places where no file can be written, before any work is done.

    Args:
        files: role, such as "--out" -> path, or none. The first is read, the others are written.

    Raises:
        ValueError: two are the same file (also by links), one to be written is a folder, or lies below something that is none.
    """
    given = {role: path for role, path in files.items() if path is not None}
    for role in list(given)[1:]:
        refuse_place(role, given[role])
    for (role, path), (other_role, other) in combinations(given.items(), 2):
        if same_file(path, other):
            raise ValueError(f"{role} ({path}) and {other_role} ({other}) are the same file: give {other_role} another name")


def refuse_place(role: str, path: Path) -> None:
    """Raise ValueError where no file can be written."""
    if path.is_dir():
        raise ValueError(f"{role} needs a file's name, and {path} is a folder")
    above = next(place for place in path.absolute().parents if place.exists())
    if not above.is_dir():
        raise ValueError(f"{role} {path} cannot be written: {above} is a file, not a folder")


def same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, which may not exist yet; devices can be shared."""
    if one.exists() and other.exists():
        return one.samefile(other) and one.is_file()
    return one.resolve() == other.resolve()


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all: beside its place first, then moved there. A device or a pipe is written straight."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    files.write_whole(path.resolve(), text)  # a link stays a link
