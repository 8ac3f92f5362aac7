"""What a run needs to be run again and believed: versions, commit, machine."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import medsim

__all__ = ["canonical_json", "commit", "hardware", "versions"]

PACKAGES = ("numpy", "numba", "gymnasium", "torch", "stable-baselines3", "sb3-contrib")


def canonical_json(data: Any) -> str:
    """Return data as JSON that is the same for the same data: keys sorted, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def versions() -> dict[str, str]:
    """Return the versions of Python, medsim and the packages that a result may depend on."""
    found = {"python": platform.python_version(), "medsim": medsim.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit of the source that runs, with ``-changed`` where files differ from it, or "unknown" outside a checkout."""
    folder = Path(medsim.__file__).parent
    head = _git(folder, "rev-parse", "HEAD")
    if head is None or _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return "unknown"
    changed = _git(folder.parent, "status", "--porcelain", "--untracked-files=no", "--", "medsim", "agents")
    return head + ("-changed" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def hardware(*, cores: int, gpu: str | None = None) -> Mapping[str, Any]:
    """Return the machine as a record holds it: processor, cores used, graphics card."""
    return {"cpu": _processor(), "cores": cores, "gpu": gpu}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.processor() or platform.machine()} ({os.cpu_count()} in the machine)"
