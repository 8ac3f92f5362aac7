"""What happens before the first step: imports, compiling once, caches that are empty, old or read-only, and forked workers."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import medsim

PACKAGE = Path(medsim.__file__).parent
ENV_ID = "medsim/Glucose-v0"
Run = Callable[..., subprocess.CompletedProcess[str]]

FIRST_USE = """
import json
import gymnasium, medsim
env = gymnasium.make("medsim/Glucose-v0", observation="full", random_start=False)
print(json.dumps([env.reset(seed=1, options={"patient": "adult#001", "meals": [(0, 60)]})[0].tolist()] +
                 [env.step(2)[0].tolist() for _ in range(6)]))
"""
BIND = """
import gymnasium, medsim
gymnasium.make("medsim/Glucose-v0")
"""


def test_importing_medsim_loads_no_heavy_package_and_says_nothing(run_python: Run, tmp_path: Path) -> None:
    code = "import sys, json, medsim; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = run_python(code, MEDSIM_CACHE_DIR=str(tmp_path / "cache"))
    loaded = json.loads(done.stdout)
    assert "gymnasium" in loaded
    # PettingZoo, which has the registry of hospitals, is light: 0.01 s after Gymnasium
    assert not {"torch", "numba", "llvmlite", "matplotlib", "pandas", "scipy", "simpy", "stable_baselines3"} & set(loaded)
    assert done.stderr == ""
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("value", ["2", "yes", ""])
def test_a_jit_switch_that_is_neither_0_nor_1_is_refused_by_name(run_python: Run, value: str) -> None:
    done = run_python(BIND, check=False, MEDSIM_JIT=value)
    assert done.returncode != 0
    assert f"ValueError: the environment variable MEDSIM_JIT must be 0 or 1, not {value!r}" in done.stderr


# The cache


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of the package in ``package``."""
    shutil.copytree(PACKAGE, tmp_path / "package" / "medsim", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def use(run_python: Run, folder: Path, code: str = FIRST_USE, package: str = "package") -> subprocess.CompletedProcess[str]:
    return run_python(code, package_root=folder / package, MEDSIM_CACHE_DIR=str(folder / "cache"), PYTHONDONTWRITEBYTECODE="1")


EDITS = {  # what is changed: file, text, new text
    "a constant of a function that the derivative calls": ("core/portable.py", "fmax(v, -19.0), 19.0)", "fmax(v, -0.5), 0.5)"),
    "a constant of the model's module": ("treatments/glucose/model.py", "EATING_RATE_G_PER_MIN = 5.0", "EATING_RATE_G_PER_MIN = 2.0"),
    "a constant of the sensor's module": ("treatments/glucose/sensor.py", "PERSISTENCE = 0.7\n", "PERSISTENCE = 0.6\n"),
    "an operator of the integrator": ("core/kernels.py", "axpy(x, h, k3)", "axpy(x, -h, k3)"),
    "an instruction that exp is made of": ("core/cpu_bits.py", "1.5 * 2.0**52 + 1023.0", "1.5 * 2.0**52 + 1024.0"),
    "the loading of a record": ("core/cpu_records.py", "self.position += self.stride", "self.position += 2 * self.stride"),
    "a number of the random streams": ("core/streams.py", "0x9E3779B9", "0x9E3779B8"),
}


def edited(folder: Path, edit: str) -> str:
    """Copy the package, change one thing in it, and return the copy's name."""
    name = f"edited_{list(EDITS).index(edit)}"
    shutil.copytree(folder / "package", folder / name)
    file, old, new = EDITS[edit]
    path = folder / name / "medsim" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} no longer has {old!r}: choose another edit"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return name


def test_kernels_are_compiled_at_their_first_use_once_and_again_only_after_an_edit(copied: Path, run_python: Run) -> None:
    before = contents(copied / "package")
    first = use(run_python, copied)
    assert first.stderr
    assert all(line.startswith("medsim: compiling the glucose model") for line in first.stderr.splitlines())
    assert contents(copied / "package") == before, "using the package wrote into it: a read-only one would not work"
    again = use(run_python, copied)
    assert (again.stderr, again.stdout) == ("", first.stdout)

    changed = use(run_python, copied, package=edited(copied, "a constant of a function that the derivative calls"))
    assert "compiling" in changed.stderr  # although the file that was edited is not the one that the kernels stand in
    assert json.loads(changed.stdout) != json.loads(first.stdout)
    assert use(run_python, copied).stdout == first.stdout  # and the first is still there


def test_kernels_are_filed_apart_after_an_edit_anywhere(copied: Path, run_python: Run) -> None:
    def filed(package: str) -> set[str]:
        use(run_python, copied, BIND, package)
        return {path.name for path in (copied / "cache" / "kernels").glob("*.py")}

    known = filed("package")
    assert filed("package") == known
    for edit in EDITS:
        now = filed(edited(copied, edit))
        assert len(now - known) == 1, edit
        known = now


def test_without_a_writable_home_kernels_are_kept_in_a_temporary_folder(run_python: Run, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.write_text("not a folder")
    temporary.mkdir()
    run_python(BIND, HOME=str(home), XDG_CACHE_HOME=None, MEDSIM_CACHE_DIR=None, TMPDIR=str(temporary))
    assert list(temporary.glob("medsim-*/kernels/glucose_*.py"))


def test_without_any_writable_folder_the_error_says_what_to_set(run_python: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = run_python(BIND, check=False, MEDSIM_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith("OSError: no folder to keep compiled kernels in")
    assert str(tmp_path / "file" / "cache") in last
    assert "set MEDSIM_CACHE_DIR" in last


# Forked workers of a parent that has used threads


PARENT = """
import multiprocessing
import gymnasium, medsim
import numpy as np
from tests.courses import HARSH, actions_at, fingerprint, play_batch
ENV_ID = "medsim/Glucose-v0"
def play(threads):
    return fingerprint(play_batch(ENV_ID, HARSH[ENV_ID], 6, 40, threads=threads))
expected = play(2)
"""
WORKERS = {
    "process": """
def work(queue):
    queue.put([play(1), play(2)])
context = multiprocessing.get_context("fork")
queue = context.Queue()
process = context.Process(target=work, args=(queue,))
process.start()
assert queue.get(timeout=120) == [expected, expected]
process.join()
assert process.exitcode == 0
""",
    "async_vector_env": """
makers = [lambda: gymnasium.make(ENV_ID)] * 2
forked = gymnasium.vector.AsyncVectorEnv(makers, context="fork")
alike = gymnasium.vector.SyncVectorEnv(makers)
np.testing.assert_array_equal(forked.reset(seed=1)[0], alike.reset(seed=1)[0])
for step in range(3):
    actions = actions_at(alike.single_action_space, [0, 1], step)
    np.testing.assert_array_equal(forked.step(actions)[0], alike.step(actions)[0])
forked.close()
""",
    "sb3_subproc_vec_env": """
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
makers = [lambda: gymnasium.make(ENV_ID)] * 2
forked, alike = SubprocVecEnv(makers, start_method="fork"), DummyVecEnv(makers)
forked.seed(1), alike.seed(1)
np.testing.assert_array_equal(forked.reset(), alike.reset())
for step in range(3):
    actions = actions_at(alike.action_space, [0, 1], step)
    np.testing.assert_array_equal(forked.step(actions)[0], alike.step(actions)[0])
forked.close()
""",
}


@pytest.mark.parametrize("worker", WORKERS)
def test_a_forked_worker_survives_a_parent_that_used_threads(worker: str, run_python: Run) -> None:
    if worker == "sb3_subproc_vec_env":
        pytest.importorskip("stable_baselines3")
    run_python(PARENT + WORKERS[worker] + "assert play(2) == expected\nprint('alive')\n")
