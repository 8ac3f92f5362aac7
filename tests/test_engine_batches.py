"""The contract between a shell and its batch: a task may bring another kind of batch, of which the shells ask no more than is written."""

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from medsim.core.batch import Batch, PatientBatch
from medsim.core.environment import PatientEnv
from medsim.core.task import Task
from medsim.core.vector import PatientVectorEnv
from medsim.registry import make_task

PROMISED = {name for name in {*vars(PatientBatch), *PatientBatch.__annotations__} if not name.startswith("_")}


class Narrow:
    """A batch that has what ``PatientBatch`` promises, and nothing else."""

    def __init__(self, batch: Batch) -> None:
        vars(self)["inner"] = batch

    def __getattr__(self, name: str) -> Any:
        if name in PROMISED and not name.startswith("__"):
            return getattr(vars(self)["inner"], name)
        raise AttributeError(f"a shell asks its batch for {name!r}, which PatientBatch does not promise")

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in ("table", "keep_final_state"), f"a shell replaces {name!r} of its batch"
        setattr(vars(self)["inner"], name, value)

    def __getstate__(self) -> Any:
        return vars(self)["inner"]

    def __setstate__(self, batch: Any) -> None:
        vars(self)["inner"] = batch


class NarrowTask(Task):
    def make_batch(self, n: int, *, mode: int, threads: int = 1) -> Any:
        return Narrow(Batch(self.model, self.view, n, self.settings, mode=mode, threads=threads))


def tasks(**options: Any) -> tuple[Task, Task]:
    task = make_task("medsim/Glucose-v0", **options)
    return task, NarrowTask(**{field.name: getattr(task, field.name) for field in dataclasses.fields(task)})


def same(a: Any, b: Any) -> None:
    np.testing.assert_equal(a, b)


@pytest.mark.parametrize("expose_state", [False, True])
def test_one_patient_needs_no_more_than_the_contract(expose_state: bool) -> None:
    ours, theirs = (PatientEnv(task) for task in tasks(expose_state=expose_state))
    assert isinstance(theirs.batch, Narrow)
    for options in ({"slot": 3}, {"patient": {"like": "adult#002", "weight_kg": 80.0}}, {"patient": "child#001"}):
        same(ours.reset(seed=2, options=options), theirs.reset(seed=2, options=options))
        for _ in range(5):
            same(ours.step(1), theirs.step(1))


@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
@pytest.mark.parametrize("expose_state", [False, True])
def test_a_batch_needs_no_more_than_the_contract(mode: str, expose_state: bool) -> None:
    options = {"compat": "simglucose", "fidelity": "fast", "expose_state": expose_state}
    ours, theirs = (PatientVectorEnv(task, 3, autoreset_mode=mode, threads=1) for task in tasks(**options))
    same(ours.reset(seed=2), theirs.reset(seed=2))
    snapshots = [env.snapshot() for env in (ours, theirs)]
    same(*snapshots)
    actions = np.array([[30.0], [0.02], [30.0]])
    ended = False
    for _ in range(26):
        results = [env.step(actions) for env in (ours, theirs)]
        same(*results)
        ended = bool((results[0][2] | results[0][3]).any())
        if ended and mode == "disabled":
            mask = {"reset_mask": results[0][2] | results[0][3]}
            same(ours.reset(options=mask), theirs.reset(options=mask))
    for env, snapshot in zip((ours, theirs), snapshots, strict=True):
        env.restore(snapshot)
    same(ours.step(actions), theirs.step(actions))


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["deepcopy", "pickle"])
def test_a_copied_environment_goes_on_as_its_original_and_apart_from_it(twin: Any) -> None:
    env = PatientEnv(make_task("medsim/Glucose-v0", expose_state=True))
    env.reset(seed=4)
    env.step(3)
    other = twin(env)
    assert not any(
        np.shares_memory(getattr(env.batch, name), getattr(other.batch, name)) for name in ("obs", "out", "ends", "actions", "ids")
    )
    for _ in range(4):
        other.step(7)  # the copy's course is its own
    later = twin(env)
    for _ in range(4):
        same(env.step(2), later.step(2))
