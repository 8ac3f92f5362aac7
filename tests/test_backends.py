"""The same model in every backend of the CPU: plain Python, the kernel for one patient, the kernel for tiles; equal to the bit."""

import json
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from medsim.registry import make_task
from tests.courses import CASES, HARSH, MORE_SETTINGS, TESTED, Options, described, fingerprint, patient_of, play_batch, play_one

PATIENTS = 4
LONGER: dict[str, list[tuple[Options, int]]] = {"medsim/Glucose-v0": [({"days": 7, "fidelity": "fast", "bolus": True}, 600)]}
COURSES: list[tuple[str, Options, int]] = [
    *((env_id, options, 100) for env_id, options in CASES),
    *((one.id, HARSH[one.id], 100) for one in TESTED),
    *((one.id, options, steps) for one in TESTED for options, steps in LONGER.get(one.id, [])),
]
NAMES = [f"{env_id}:{described(options)}" for env_id, options, _ in COURSES]
every_course = pytest.mark.parametrize("number", range(len(COURSES)), ids=NAMES)

PLAIN_PYTHON = """
import json, sys
from tests.courses import fingerprint, patient_of, play_batch
from tests.test_backends import COURSES, PATIENTS
found = []
for env_id, options, steps in COURSES:
    course = play_batch(env_id, options, steps, PATIENTS)
    found.append([fingerprint(patient_of(course, k)) for k in range(PATIENTS)])
print(json.dumps([found, "numba" in sys.modules]))
"""


@pytest.fixture(scope="module")
def plain_python(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> list[list[str]]:
    done = run_python(PLAIN_PYTHON, MEDSIM_JIT="0")
    found, used_numba = json.loads(done.stdout)
    assert not used_numba
    assert done.stderr == ""
    return list(found)


def compiled(number: int, n: int) -> dict[str, np.ndarray]:
    env_id, options, steps = COURSES[number]
    return play_batch(env_id, options, steps, n)


@every_course
def test_plain_python_gives_the_bits_of_compiled_kernels(number: int, plain_python: list[list[str]]) -> None:
    for n in (PATIENTS, 9):  # one after the other, and in a tile
        course = compiled(number, n)
        assert [fingerprint(patient_of(course, k)) for k in range(PATIENTS)] == plain_python[number]


@every_course
def test_the_kernel_for_one_patient_gives_the_bits_of_the_kernel_for_tiles(number: int) -> None:
    env_id, options, steps = COURSES[number]
    alone, tiles = compiled(number, 7), compiled(number, 40)
    for k in range(7):
        assert fingerprint(patient_of(alone, k)) == fingerprint(patient_of(tiles, k))
    assert fingerprint(patient_of(tiles, 39)) == fingerprint(play_one(env_id, options, steps, slot=39))


def test_the_courses_compared_have_meals_lost_readings_blocked_pumps_new_days_and_resets() -> None:
    env_id = "medsim/Glucose-v0"

    def seen(options: Options, name: str) -> np.ndarray:
        course = compiled(next(i for i, course in enumerate(COURSES) if course[:2] == (env_id, options)), PATIENTS)
        return np.asarray(course["obs"][..., make_task(env_id, **options).view.names.index(name)])

    faulty, blocked, _ = MORE_SETTINGS[env_id]
    (week, _), *_ = LONGER[env_id]
    assert seen({"observation": "vector", "action": "discrete"}, "announced_carbs_g").any()
    assert seen(faulty, "cgm_age_min").any()
    assert seen(faulty, "bolus_u").any()
    assert seen(blocked, "blocked_minutes").any()
    assert seen(week, "hours_elapsed").max() > 24.0
    assert (np.diff(seen(HARSH[env_id], "hours_elapsed"), axis=0) < 0.0).any()


def test_what_a_model_says_it_changes_is_all_that_it_changes() -> None:
    """Writing back the whole memory after every function gives the same course as writing back the parts that are named."""
    import dataclasses

    from medsim.core.batch import Batch
    from medsim.core.compile import python_kernels
    from medsim.core.tabular import TabularTask
    from medsim.registry import make_task

    for card in TESTED:
        task = make_task(card.id)
        if isinstance(task, TabularTask):
            continue  # there is no memory
        batches = [Batch(task.model, task.view, 1, task.settings) for _ in range(2)]
        batches[0].kernels = python_kernels(task.model, task.view)
        batches[1].kernels = python_kernels(dataclasses.replace(task.model, changes={}), task.view)
        for batch in batches:
            batch.seed(3)
            batch.reset()
            batch.actions[:] = 1.0
        for _ in range(30):
            for batch in batches:
                batch.step_one()
            np.testing.assert_array_equal(batches[0].record("memory"), batches[1].record("memory"))
