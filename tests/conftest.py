"""What several test modules need."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: its threads and pytest's workers would fight for the cores

ROOT = Path(__file__).parent.parent


def python(code: str, *, package_root: Path = ROOT, check: bool = True, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter that imports medsim from ``package_root``; a variable of None is taken out of its environment."""
    path = os.pathsep.join([str(package_root), str(ROOT), str(ROOT / "agents"), str(ROOT / "perception")])
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    command = [sys.executable, "-P", "-c", code]  # -P: the working folder is not searched for packages
    kept = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=300, check=False)
    assert not check or done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    return python
