"""Nothing leaks: train and test patients are other people, and no observation holds what is hidden.

What an observation may depend on is checked by changing the hidden patient under it: an array that shows the present must not change
before the sensors have looked again.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from medsim.core.charts import Chart, ChartedBatch
from medsim.core.vector import PatientVectorEnv
from medsim.registry import make_task
from tests.courses import actions_at

ENV = "medsim/Sepsis-v0"
N = 200
HIDDEN = (
    "lung_water_ml_per_kg", "consolidation", "effusion_ml", "pathogen", "phagocytes", "damage", "mediator", "plasma_excess_ml",
    "norepinephrine_ng_per_ml", "hazard",
)  # fmt: skip
KNOWN = {"time_h", "age_years", "weight_kg"}  # fields of the state and the parameters that a chart shows as they are
MEASURED = {"lactate_mmol_per_l", "creatinine_mg_per_dl", "map_mmhg", "urine_rate_ml_per_h"}  # with noise, or over an hour


def patients(cohort: str, seed: int = 3) -> np.ndarray:
    env = PatientVectorEnv(make_task(ENV, observation="multimodal", cohort=cohort), N, autoreset_mode="disabled", threads=1)
    env.reset(seed=seed)
    return np.asarray(env.batch.record("params").T)


def test_patients_of_the_test_cohort_are_nobody_of_the_train_cohort_even_of_the_same_seed() -> None:
    rows = {cohort: {row.tobytes() for row in patients(cohort)} for cohort in ("train", "test", "shifted")}
    assert all(len(some) == N for some in rows.values())
    assert not rows["train"] & rows["test"]
    assert not rows["train"] & rows["shifted"]
    assert not rows["test"] & rows["shifted"]


def test_anatomies_of_patients_of_other_seeds_are_other_anatomies() -> None:
    imaging = pytest.importorskip("medsim.imaging")
    findings = imaging.ChestFindings(lung_water_ml_per_kg=7.4, consolidation=0.0, effusion_ml=0.0)
    pictures = [imaging.render_chest(imaging.image_keys(seed, 50), findings, masks=False).image for seed in (0, 1)]
    assert not {one.tobytes() for one in pictures[0]} & {one.tobytes() for one in pictures[1]}


def numbers_shown(observation: dict[str, np.ndarray], chart: Chart) -> dict[str, np.ndarray]:
    """Return the newest value of every numeric column of a batch's observation, (n,) each: NaN where a measurement was not made."""
    shown = {}
    for name, array in observation.items():
        newest = array[:, -1] if array.ndim == 3 else array
        if name == "image":
            continue
        if name == "ehr":
            newest = np.where(observation["ehr_mask"][:, -1] == 1, newest, np.nan)
        columns = chart.names if name.startswith("ehr") else range(newest.shape[1])
        shown |= {f"{name} {column}": newest[:, k].astype(np.float64) for k, column in enumerate(columns)}
    return shown


@pytest.mark.parametrize("observation", ["ehr", "multimodal"])
def test_no_number_of_a_chart_equals_or_follows_a_hidden_variable(observation: str) -> None:
    """Over a whole course no newest number is a hidden quantity of all patients: none equals it, none has a correlation of 1 with it.

    Measurements with noise follow what they measure: lactate, creatinine, pressure and urine up to a correlation of 0.997 (coefficients of
    variation of 5 and 6 % in sensor.py), and what is not measured itself follows others up to 0.93 (white cells are made of phagocytes).
    """
    task = make_task(ENV, observation=observation, lungs="varied", deaths="expected", step_hours=4)
    env = PatientVectorEnv(task, N, autoreset_mode="disabled", threads=1)
    assert task.chart is not None
    produced = [name in task.chart.produced for name in task.chart.names]
    numbers, truths = [], []
    for step in range(-1, 18):
        seen = env.reset(seed=5)[0] if step < 0 else env.step(actions_at(task.action_space, np.arange(N), step))[0]
        assert set(seen) == set(task.observation_space().spaces)
        assert not set(seen) & {*task.model.state._fields, *task.model.params._fields} - KNOWN
        assert not seen["ehr"][..., np.logical_not(produced)].any()
        assert not seen["ehr"][seen["ehr_mask"] == 0].any()
        numbers.append(numbers_shown(seen, task.chart))
        truths.append(np.concatenate([env.batch.record("state"), env.batch.record("params")]).T)
    truth = dict(zip((*task.model.state._fields, *task.model.params._fields), np.concatenate(truths).T, strict=True))
    assert set(HIDDEN) <= {name for name, values in truth.items() if values.std() > 0} - KNOWN
    compared = 0
    for column in numbers[0]:
        values = np.concatenate([one[column] for one in numbers])
        made = ~np.isnan(values)
        if not made.any() or np.ptp(values[made]) == 0:
            continue
        assert made.sum() > N
        compared += 1
        for name in set(truth) - KNOWN:
            hidden = truth[name][made]
            if np.ptp(hidden) == 0:
                continue
            most = 0.999 if name in MEASURED else 0.95
            assert abs(np.corrcoef(values[made], hidden)[0, 1]) < most, (column, name)
            if name in task.model.state._fields and column != "time_h 0":  # which is also how long some have been hypotensive
                equal = np.isclose(values[made], hidden, rtol=1e-5, atol=0.0)[hidden != 0].mean()
                assert equal < 0.1, (column, name)  # the urine of the first of 18 steps is all that there was
    assert compared > 2 * len(task.chart.produced)


def test_no_observation_names_or_equals_a_hidden_variable() -> None:
    """Over a whole course no number of the observation as a row is a hidden quantity of all patients, in any unit (correlation 1)."""
    task = make_task(ENV, observation="vector", lungs="varied", deaths="expected", step_hours=4)
    env = PatientVectorEnv(task, N, autoreset_mode="disabled", threads=1)
    env.reset(seed=5)
    seen, hidden = [], []
    for step in range(18):
        seen.append(env.step(actions_at(task.action_space, np.arange(N), step))[0])
        hidden.append(np.stack([env.batch.fields("state", name, np.arange(N)) for name in HIDDEN], axis=1))
    numbers, truths = np.concatenate(seen), np.concatenate(hidden)
    assert not set(task.view.names) & set(HIDDEN)
    moving = numbers[:, numbers.std(axis=0) > 0]
    closest = np.abs(np.corrcoef(moving.T, truths.T)[: moving.shape[1], moving.shape[1] :]).max()
    assert closest < 0.999


def test_what_is_seen_changes_only_when_the_sensors_look_and_not_with_the_hidden_state() -> None:
    """The patient's hidden state is replaced by another's: the observation of this moment stays what it was."""
    task = make_task(ENV, observation="multimodal", deaths="expected")
    env = PatientVectorEnv(task, 12, autoreset_mode="disabled", threads=1)
    env.reset(seed=5)
    for step in range(5):
        env.step(actions_at(task.action_space, np.arange(12), step))
    assert isinstance(env.batch, ChartedBatch)
    before: dict[str, Any] = env.batch.observation()
    env.batch.block[:, : len(env.task.model.state._fields) * 16] += 5.0
    after = env.batch.observation()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name], err_msg=name)


def test_a_picture_shows_the_hidden_findings_and_nothing_else_of_the_patient() -> None:
    """Two patients of the same stream with the same findings have the same picture, whatever else is wrong with them."""
    task = make_task(ENV, observation="multimodal", deaths="expected")
    camera = task.camera
    assert camera is not None
    assert set(camera.sees) == {"lung_water_ml_per_kg", "consolidation", "effusion_ml"}
    keys = np.array([[1, 0, 7, 0, 0]] * 2, dtype=np.int64)
    seen = {"lung_water_ml_per_kg": np.array([9.0, 9.0]), "consolidation": np.array([0.1, 0.1]), "effusion_ml": np.array([200.0, 200.0])}
    first, second = camera.take(seen, keys)
    np.testing.assert_array_equal(first, second)


def test_infos_hold_the_state_only_if_it_is_asked_for() -> None:
    for exposed in (False, True):
        _, info = gym.make(ENV, observation="multimodal", expose_state=exposed).reset(seed=1)
        assert ("state" in info) == exposed


def splits() -> dict[str, tuple[set[bytes], set[bytes]]]:
    """Return what identifies train and test patients of the recipes whose data are made here."""
    from medsim_perception.ehr import multitask
    from medsim_perception.triage import acuity
    from medsim_perception.vision import chest_state

    def people(part: str) -> set[bytes]:
        first, n = chest_state.PATIENTS[part]
        return {number.to_bytes(8, "little") for number in range(first, first + n)}

    arrivals = [{chart.tobytes() for chart in acuity.arrivals(500, seed).charts} for seed in (acuity.TRAIN_SEED, acuity.TEST_SEED)]
    courses = [multitask.cohort(20, seed, name).courses for seed, name in ((multitask.TRAIN_SEED, "train"), (multitask.TEST_SEED, "test"))]
    charts = [{row.tobytes() for row in course.demographics} for course in courses]
    return {
        "chest-lung-water": (people("train") | people("validation"), people("test")),
        "triage-acuity": (arrivals[0], arrivals[1]),
        "ehr-multitask": (charts[0], charts[1]),
    }


@pytest.mark.parametrize("name", ["chest-lung-water", "triage-acuity", "ehr-multitask"])
def test_a_recipes_training_and_test_patients_are_disjoint(name: str) -> None:
    pytest.importorskip("torch", reason="perception needs torch")
    train, test = splits()[name]
    assert train
    assert test
    assert not train & test
