"""A hospital's configuration from a file, with errors that name the file."""

import json
from pathlib import Path

from medsim.hospital.flow.config import HospitalConfig

__all__ = ["read_hospital"]


def read_hospital(path: str | Path) -> HospitalConfig:
    """Return the hospital that a JSON file describes, as ``medsim hospital fit --out`` writes it.

    Raises:
        ValueError: the file cannot be read, is no JSON (cut short, say), or does not describe a hospital; one line that names the file.
    """
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is no whole JSON file: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{str(path)!r} is no whole JSON file: it is nested too deep") from error
    what = f"{str(path)!r} does not describe a hospital (medsim hospital fit --out writes a file that does)"
    if not isinstance(plain, dict):
        raise ValueError(f"{what}: it holds a {type(plain).__name__}, not a mapping with units and arrivals")
    try:
        return HospitalConfig.from_dict(plain)
    except KeyError as error:
        raise ValueError(f"{what}: a unit lacks {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
