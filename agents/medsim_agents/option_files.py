"""Files that a run's options name: a run remembers what was in them, so that it is not judged in another hospital unawares."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsim_agents.provenance import canonical_json

__all__ = ["fingerprints", "refuse_if_changed"]


def fingerprints(options: Mapping[str, Any]) -> dict[str, str]:
    """Return option -> SHA-256 of what its JSON file holds, for options that name one; spaces and the order of keys do not count.

    Raises:
        ValueError: a file cannot be read, or is no JSON.
    """
    return {name: fingerprint(name, value) for name, value in options.items() if isinstance(value, str) and value.endswith(".json")}


def fingerprint(name: str, path: str) -> str:
    """Return the SHA-256 of what a JSON file holds.

    Raises:
        ValueError: it cannot be read, or is no JSON.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"option {name}: cannot read {path!r}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"option {name}: {path!r} is not JSON: {error}") from error
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def refuse_if_changed(record: Mapping[str, Any], folder: Path) -> None:
    """Raise ValueError if a file that a run's options name is gone, or holds something else than when the run began.

    Args:
        record: what ``run.json`` says; one that was written before fingerprints were kept has none, and is not refused.
    """
    options = record["training"]["options"]
    for name, then in record.get("option_files", {}).items():
        path = options[name]
        if not Path(path).is_file():
            raise ValueError(f"the run in {folder} was trained with {name}={path}, and that file is gone: put it back")
        if fingerprint(name, path) != then:
            raise ValueError(
                f"the run in {folder} was trained with {name}={path}, and that file has changed since (SHA-256 {then[:12]} then): "
                "put its content back, or train anew in another folder"
            )
