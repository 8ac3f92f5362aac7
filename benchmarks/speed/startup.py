"""What a user waits for: the import, and the first step, in fresh processes."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed.batches import GLUCOSE
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.timing import Clocks, Work, interleave

__all__ = ["measure"]

ROOT = Path(__file__).parents[2]
IMPORT = "import medsim"
FIRST_STEP = f"""
import gymnasium, medsim
env = gymnasium.make("{GLUCOSE}")
env.reset(seed=0)
env.step(env.action_space.sample())
"""


def in_fresh_process(code: str, cache: Path | None = None) -> Clocks:
    """Run code in a new interpreter; returns CPU time, user and system, of the whole process, and wall time."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "agents"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}
    if cache is not None:
        environment["MEDSIM_CACHE_DIR"] = str(cache)
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-P", "-c", code], env=environment, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, time.perf_counter() - start


def measure(plan: Plan) -> Found:
    """Time the import, the first step with an empty cache of kernels, and the first step with a full one."""
    with tempfile.TemporaryDirectory() as full:

        def cold() -> Clocks:
            with tempfile.TemporaryDirectory() as empty:
                return in_fresh_process(FIRST_STEP, Path(empty))

        works = {
            "import_s": Work(units=1, run=lambda: in_fresh_process(IMPORT)),
            "cold_s": Work(units=1, run=cold),
            "cached_s": Work(units=1, run=lambda: in_fresh_process(FIRST_STEP, Path(full))),
        }
        timings = interleave(works, 1 if plan.quick else 5, "start-up")
    return Found(values={name: timing.cpu for name, timing in timings.items()}, timings=timings)
