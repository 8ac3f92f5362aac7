"""What a user waits for: the import, and the first step, in fresh processes."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed.batches import GLUCOSE
from benchmarks.speed.measures import MEASURES, Found, Plan
from benchmarks.speed.timing import Clocks, Timing
from medsim.cli.progress import Progress

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
    environment = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), **({"MEDSIM_CACHE_DIR": str(cache)} if cache else {})}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-P", "-c", code], env=environment, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, time.perf_counter() - start


def measure(plan: Plan) -> Found:
    """Time, round after round, the import, the first step with an empty cache of kernels, and the first step with that cache full."""
    timings = {measure.name: Timing() for measure in MEASURES if measure.group == "startup"}
    in_fresh_process(IMPORT)  # Python writes its byte code
    repeats = 1 if plan.quick else 5
    with Progress(repeats, "rounds", "start-up") as progress:
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                for name, code in (("import_s", IMPORT), ("cold_s", FIRST_STEP), ("cached_s", FIRST_STEP)):
                    cpu, wall = in_fresh_process(code, Path(cache))
                    timings[name].cpu.append(cpu)
                    timings[name].wall.append(wall)
            progress.update()
    return Found(values={name: timing.cpu for name, timing in timings.items()}, timings=timings)
