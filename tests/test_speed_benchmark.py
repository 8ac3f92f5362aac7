"""The speed benchmark runs and writes its results, and the C kernel that it is compared with computes the same; no figure is judged."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks.speed import c_kernel
from benchmarks.speed.measures import MEASURES
from benchmarks.speed.operations import ADD_OR_MULTIPLY, COMPARE, DIVIDE, EXP, counted, floor_seconds
from benchmarks.speed.peer import HOW_TO, Peer
from benchmarks.speed.shares import MORE_MINUTES, MORE_SUBSTEPS, PARTS, shares_of
from benchmarks.speed.timing import Timing, Work, interleave, spread
from medsim.core import kernels as k
from medsim.core.batch import Batch
from medsim.core.compile import jit_enabled
from medsim.core.model import field_names
from medsim.core.portable import fmax, inline_exp
from medsim.treatments.glucose.definition import GLUCOSE
from medsim.treatments.glucose.environment import glucose_task, script_meals

ROOT = Path(__file__).parent.parent
MEALS = [(420, 45), (570, 15), (720, 70), (1080, 80), (1290, 10)]
STEP_MIN, STEPS = 0.25, 4


def all_patients_through_a_day() -> Batch:
    """Return the 30 published patients at midnight, at minute steps, with a day's meals; ends are not looked at."""
    task = glucose_task(step_minutes=1)
    names = GLUCOSE.patients()[0]
    batch = Batch(GLUCOSE, task.view, len(names), script_meals(task.settings, MEALS)._replace(horizon_steps=np.inf), mode=k.DISABLED)
    batch.seed(1)
    batch.ids[:, k.NAMED_ROW] = np.arange(len(names))
    batch.reset()
    batch.actions[:, 0] = 2
    return batch


def states_of(block: Any) -> Any:
    return block[:, : len(GLUCOSE.state.__annotations__) * k.WIDTH]  # stand first in a tile


def drives_of(block: Any) -> Any:
    return block[:, -len(GLUCOSE.drive.__annotations__) * k.WIDTH :]  # stand last


def assert_same_bits_as_the_batch(integrate: c_kernel.Integrate, batch: Batch, minutes: int) -> None:
    """Let the batch step, integrate the states that it had under the drives that it used, and compare."""
    for _ in range(minutes):
        copy = batch.block.copy()
        batch.step()
        batch.ids[:, k.ENDED] = 0
        drives_of(copy)[...] = drives_of(batch.block)
        integrate(copy, STEP_MIN, STEPS)
        np.testing.assert_array_equal(states_of(copy), states_of(batch.block))


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_the_c_kernel_gives_the_same_bits_through_a_day_of_meals_for_all_patients(lanes: int, tmp_path: Path) -> None:
    reason = c_kernel.why_no_c_kernel() or (None if jit_enabled() else "MEDSIM_JIT=0: there is no tile kernel to compare with")
    if reason:
        pytest.skip(reason)
    batch = all_patients_through_a_day()
    assert_same_bits_as_the_batch(c_kernel.c_integrate(GLUCOSE, tmp_path, lanes), batch, 1440)
    eaten_g = batch.record("memory")[field_names(GLUCOSE.memory).index("plate.eaten_g")]
    assert (eaten_g > 0.0).all()


def test_the_timed_tile_loop_is_the_batch_kernel() -> None:
    if not jit_enabled():
        pytest.skip("MEDSIM_JIT=0: there is no tile kernel")
    batch = all_patients_through_a_day()
    assert_same_bits_as_the_batch(c_kernel.batch_integrate(GLUCOSE, batch.view), batch, 450)


def test_competitors_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    works = {name: Work(units=2, run=lambda name=name: (order.append(name), (4.0, 6.0))[1]) for name in "ab"}
    timings = interleave(works, 2, "test")
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert timings["a"] == Timing(cpu=[2.0, 2.0], wall=[3.0, 3.0])
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]).q1 == 2.0


def test_the_parts_of_a_step_are_recovered_from_times_that_are_made_of_them() -> None:
    integration, minute, rest = 0.6, 0.1, 0.3
    one = {
        "kernel": integration + minute + rest,
        "more substeps": MORE_SUBSTEPS * integration + minute + rest,
        "more minutes": MORE_MINUTES * (integration + minute) + rest,
        "new episodes": 0.01,
        "vector shell": integration + minute + rest + 0.05,
    }
    parts = shares_of({name: Timing(cpu=[1e-6 * us]) for name, us in one.items()})
    assert [parts[name][0] for name in PARTS] == pytest.approx([integration, minute, rest, 0.01, 0.05])


class One(NamedTuple):
    value: float


def advance_by_half(x: One, u: One, p: One, s: One, h: float) -> One:
    half = h * s.value  # does not depend on the patient
    twice = (x.value / p.value) * (x.value / p.value)  # one quotient
    return One(fmax(twice + half * u.value, inline_exp(u.value * half)))


def test_an_operation_counts_once_and_what_holds_for_all_patients_not_at_all() -> None:
    model: Any = SimpleNamespace(state=One, drive=One, params=One, advance=advance_by_half)
    counts = counted(model, One(2.0), 0.5)
    assert counts == {DIVIDE: 1, ADD_OR_MULTIPLY: 3, EXP: 1, COMPARE: 1}  # u * half = half * u
    polynomials = counted(model, One(2.0), 0.5, polynomials=True)
    assert polynomials == {DIVIDE: 1, ADD_OR_MULTIPLY: 3 + 34, COMPARE: 1 + 2, "bits": 2}
    assert floor_seconds(counts, {DIVIDE: 5.0, ADD_OR_MULTIPLY: 1.0, EXP: 50.0, COMPARE: 1.0}) == pytest.approx(0.059)


def test_a_branch_on_a_patients_number_is_refused_by_the_count() -> None:
    def branches(x: One, u: One, p: One, s: One, h: float) -> One:
        return x if x.value > 0.0 else u

    with pytest.raises(TypeError, match="branch"):
        counted(SimpleNamespace(state=One, drive=One, params=One, advance=branches), One(2.0), 0.5)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The results' folder of ``--quick``, and what it printed with ``--json``."""
    if not jit_enabled():
        pytest.skip("MEDSIM_JIT=0: nothing to time")
    folder = tmp_path_factory.mktemp("speed")
    command = [sys.executable, "-m", "benchmarks.speed", "--quick", "--json", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_the_smoke_run_writes_whole_results(smoke_run: tuple[Path, dict[str, Any]]) -> None:
    folder, printed = smoke_run
    written = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert written == printed
    assert [line["name"] for line in written["measures"]] == [measure.name for measure in MEASURES]
    assert sorted(path.name for path in folder.iterdir()) == ["RESULTS.md", "growth.png", "results.json", "shares.png"]


def test_every_measure_of_the_smoke_run_is_measured_or_says_why_not(smoke_run: tuple[Path, dict[str, Any]]) -> None:
    folder, written = smoke_run
    for line in written["measures"]:
        if line["measured"] is None:
            assert line["skipped"], line["name"]
        else:
            assert line["measured"]["q1"] <= line["measured"]["median"] <= line["measured"]["q3"], line["name"]
    assert "simglucose" in written["skipped"]  # no interpreter was given
    page = (folder / "RESULTS.md").read_text(encoding="utf-8")
    assert "smoke run" in page
    assert all(line["what"] in page for line in written["measures"])


def test_the_results_say_what_they_hold_for(smoke_run: tuple[Path, dict[str, Any]]) -> None:
    _, written = smoke_run
    assert set(written) >= {"command", "date", "commit", "machine", "versions", "load_average"}
    assert written["command"] == "python -m benchmarks.speed --quick --json"
    assert {"python", "medsim", "numba", "numpy"} <= set(written["versions"])


def test_simglucose_ends_a_day_at_the_same_reading_without_its_pandas_look_ups() -> None:
    python = os.environ.get("MEDSIM_PEER_PYTHON")
    if python is None:
        pytest.skip(f"MEDSIM_PEER_PYTHON does not name an interpreter with simglucose: {HOW_TO}")
    with Peer(Path(python), "adult#001") as peer:
        peer.day("shipped", 480)
        peer.day("plain", 480)  # raises if the reading differs
