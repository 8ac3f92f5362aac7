"""The GPU's kernels, in Numba's CUDA simulator: the same functions, thread by thread."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed (extra gpu)")


def in_simulator(script: str) -> str:
    """Run a script with the CUDA simulator; the switch must be set before Numba is imported."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


COMPARE = """
    import numpy as np
    from medsim.core.batch import Batch
    from medsim.core.cuda import CudaBatch
    from medsim.registry import make_task

    task = make_task("medsim/Glucose-v0", **{options})
    cpu, gpu = (kind(task.model, task.view, 3, task.settings, mode={mode}) for kind in (Batch, CudaBatch))
    actions = np.array({actions})
    for batch in (cpu, gpu):
        batch.seed(11)
        batch.reset()
    same = 0
    for step in range({steps}):
        for batch in (cpu, gpu):
            batch.actions[:] = actions
            batch.step()
        for name in ("obs", "out", "ends", "final_obs"):
            assert np.array_equal(getattr(cpu, name), getattr(gpu, name).copy_to_host()), (step, name)
        same += 1
    print(same, int(gpu.ids.copy_to_host()[:, 3].max()))
"""


def test_the_gpu_kernels_equal_the_cpu_to_the_bit() -> None:
    steps, _ = in_simulator(COMPARE.format(options={"fidelity": "fast"}, mode=1, actions=[[2.0, 0], [7.0, 0], [5.0, 0]], steps=4)).split()
    assert int(steps) == 4


@pytest.mark.parametrize("mode", [0, 1])
def test_an_episode_that_ends_begins_again_on_the_gpu_as_on_the_cpu(mode: int) -> None:
    options = {"compat": "simglucose", "fidelity": "fast"}
    script = COMPARE.format(options=options, mode=mode, actions=[[30.0, 0], [0.02, 0], [30.0, 0]], steps=26)
    steps, episode = in_simulator(script).split()
    assert int(steps) == 26
    assert int(episode) >= 1, "a flood of insulin ends an episode within the hour"
