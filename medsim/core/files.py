"""Files that are written whole or not at all, and read if they are those that were meant."""

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["read_keyed", "write_whole"]


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that nobody ever sees half of it: a temporary neighbour, then a rename; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with neighbour.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, path)
    finally:
        neighbour.unlink(missing_ok=True)


def read_keyed(path: Path, key: str) -> dict[str, Any] | None:
    """Return the JSON object in a file if its ``key`` is this one; None if it is not, or the file is damaged or not there."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("key") == key else None
