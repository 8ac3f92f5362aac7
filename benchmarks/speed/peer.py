"""simglucose, stepped in a process of its own: it needs older packages than medsim. ``make_peer_env.py`` makes them an environment."""

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCRIPT = Path(__file__).with_name("peer_simglucose.py")
HOW_TO = "python benchmarks/speed/make_peer_env.py FOLDER makes one, then --peer-python FOLDER/bin/python"

__all__ = ["HOW_TO", "Peer", "why_no_peer", "why_not_importable"]


def why_no_peer(python: Path | None) -> str | None:
    """Return why simglucose cannot be run by this interpreter, or None if it can."""
    return why_not_importable(python, "simglucose", "simglucose", HOW_TO)


def why_not_importable(python: Path | None, name: str, package: str, how_to: str) -> str | None:
    """Return why an interpreter cannot import the package of a peer of that name, or None if it can; how_to: what makes one that can."""
    if python is None:
        return f"no interpreter with {name} was given: {how_to}"
    try:
        done = subprocess.run([str(python), "-c", f"import {package}"], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} cannot be run: {error}"
    return None if done.returncode == 0 else f"{python} cannot import {package}: {how_to}"


class Peer:
    """simglucose, waiting for orders."""

    def __init__(self, python: Path, patient: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [str(python), str(SCRIPT), patient]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
        )
        self.versions = self._answer()
        self.last_readings: dict[int, float] = {}  # at the end of so many steps

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):  # what its packages print on import
            line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("simglucose ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def day(self, which: str, steps: int) -> tuple[float, float]:
        """Step the environment ``"shipped"`` or ``"plain"`` from the start of its day; returns CPU and wall seconds.

        Raises:
            RuntimeError: simglucose failed, its patient did not survive, or the two environments disagree.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(f"{which} {steps}\n")
        self.process.stdin.flush()
        answer = self._answer()
        if answer["ended"]:
            raise RuntimeError(f"simglucose's episode ended, at {answer['cgm']} mg/dL: its steps no longer mean anything")
        if self.last_readings.setdefault(steps, answer["cgm"]) != answer["cgm"]:
            raise RuntimeError(f"{which} ended at {answer['cgm']} mg/dL, another run of the same day at {self.last_readings[steps]}")
        return answer["cpu_s"], answer["wall_s"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
