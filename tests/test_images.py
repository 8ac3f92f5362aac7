"""Cameras: when a picture is taken, of what, and that every shell hands out the same one. The camera here writes down what it sees."""

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from medsim.core.charts import NEVER_H
from medsim.core.environment import PatientEnv
from medsim.core.images import Camera
from medsim.core.task import Task
from medsim.core.vector import PatientVectorEnv
from medsim.registry import make_task
from tests.courses import actions_at

ENV = "medsim/Sepsis-v0"
N = 9
Array = np.ndarray


def noted(seen: Mapping[str, Array], keys: Array) -> Array:
    """Return pictures that hold what was seen: slot, episode, hour, and the lung water in tenths."""
    water = np.rint(10.0 * seen["lung_water_ml_per_kg"])
    numbers = [keys[:, 2], keys[:, 3], keys[:, 4], water // 256, water % 256, seen["weight_kg"]]
    return np.stack(numbers, axis=1).reshape(-1, 1, 2, 3).astype(np.uint8)


def with_camera(every_h: float | None = 6.0, **options: Any) -> Task:
    ordered = None if every_h else lambda actions: actions[:, 0] >= 20
    camera = Camera(shape=(1, 2, 3), sees=("lung_water_ml_per_kg", "weight_kg"), take=noted, every_h=every_h, ordered=ordered)
    return dataclasses.replace(make_task(ENV, observation="ehr", **options), camera=camera)


def course_of(task: Task, steps: int, *, n: int = N, mode: str = "disabled") -> tuple[list[dict[str, Array]], PatientVectorEnv]:
    env = PatientVectorEnv(task, n, autoreset_mode=mode, threads=1)
    seen = [env.reset(seed=3)[0]]
    for step in range(steps):
        seen.append(env.step(actions_at(task.action_space, np.arange(n), step))[0])
    return seen, env


def hours(observation: dict[str, Array]) -> Array:
    return observation["image"][:, 0, 0, 2]


def test_a_picture_is_taken_at_the_start_and_every_six_hours_and_ages_in_between() -> None:
    seen, _ = course_of(with_camera(deaths="expected"), 20)
    for hour, observation in enumerate(seen):
        assert (hours(observation) == hour // 6 * 6).all()
        assert (observation["image_age_h"][:, 0] == hour % 6).all()
        np.testing.assert_array_equal(observation["image"][:, 0, 0, 0], np.arange(N))


def test_a_picture_shows_the_hidden_state_of_the_hour_in_which_it_was_taken() -> None:
    task = with_camera(every_h=4.0, deaths="expected", step_hours=2)
    env = PatientVectorEnv(task, N, autoreset_mode="disabled", threads=1)
    water = []
    observation, _ = env.reset(seed=3)
    for step in range(9):
        water.append(env.batch.measures[env.batch.measure_names.index("lung_water_ml_per_kg")].copy())
        shown = observation["image"][:, 0, 1, 0] * 256.0 + observation["image"][:, 0, 1, 1]
        np.testing.assert_array_equal(shown, np.rint(10.0 * water[step // 2 * 2]))
        np.testing.assert_array_equal(observation["image"][:, 0, 1, 2], observation["demographics"][:, 3].astype(np.uint8))
        observation = env.step(actions_at(task.action_space, np.arange(N), step))[0]
    assert np.ptp(water, axis=0).min() > 0.1


def test_only_the_patients_for_whom_one_is_ordered_get_a_picture() -> None:
    task = with_camera(every_h=None, deaths="expected")
    env = PatientVectorEnv(task, N, autoreset_mode="disabled", threads=1)
    observation, _ = env.reset(seed=3)
    assert not observation["image"].any()
    assert (observation["image_age_h"] == NEVER_H).all()
    latest = np.full(N, -NEVER_H)
    for step in range(12):
        actions = actions_at(task.action_space, np.arange(N), step)
        observation = env.step(actions)[0]
        latest[actions >= 20] = step + 1
        taken = latest > 0
        np.testing.assert_array_equal(hours(observation)[taken], latest[taken])
        np.testing.assert_array_equal(observation["image_age_h"][:, 0], np.minimum(step + 1 - latest, NEVER_H))
    assert taken.any()
    assert not taken.all()


def test_one_patient_alone_sees_what_they_see_in_a_batch_over_the_end_of_an_episode() -> None:
    task = with_camera(cohort="shifted", action="continuous")
    seen, _ = course_of(task, 90, mode="next_step")
    for slot in (0, 5):
        env = PatientEnv(task)
        alone, ended = [env.reset(seed=3, options={"slot": slot})[0]], False
        for step in range(90):
            if ended:
                alone.append(env.reset()[0])
                ended = False
                continue
            observation, _, terminated, truncated, _ = env.step(actions_at(task.action_space, [slot], step)[0])
            alone.append(observation)
            ended = terminated or truncated
        for one, many in zip(alone, seen, strict=True):
            np.testing.assert_array_equal(one["image"], many["image"][slot])
            np.testing.assert_array_equal(one["image_age_h"], many["image_age_h"][slot])
    assert {int(observation["image"][0, 0, 0, 1]) for observation in seen} == {0, 1}  # two episodes


def test_the_last_picture_of_an_episode_is_not_lost_on_a_same_step_reset() -> None:
    task = with_camera(every_h=1.0)
    kept = 0
    env = PatientVectorEnv(task, N, autoreset_mode="same_step", threads=1)
    env.reset(seed=3)
    for step in range(80):
        observation, _, terminated, truncated, info = env.step(actions_at(task.action_space, np.arange(N), step))
        for i in np.flatnonzero(terminated | truncated):
            final = info["final_obs"]
            assert final["image"][i, 0, 0, 2] == final["time_h"][i, 0] > 0
            assert final["image_age_h"][i, 0] == 0.0
            assert hours(observation)[i] == 0
            kept += 1
    assert kept >= N


def test_a_dead_patient_gets_no_more_pictures() -> None:
    task = with_camera(every_h=1.0, cohort="shifted")
    env = PatientVectorEnv(task, 40, autoreset_mode="disabled", threads=1)
    env.reset(seed=3)
    died_at = np.full(40, 72.0)
    for _ in range(72):
        ended = env.step_running(np.full(40, 24))
        died_at[ended] = env.batch.obs[ended, 0]
    assert (died_at < 72.0).any()
    np.testing.assert_array_equal(hours(env.observations()), died_at)


def test_a_snapshot_keeps_the_pictures_and_a_copy_goes_on_like_the_first() -> None:
    task = with_camera(deaths="expected")
    _, env = course_of(task, 7)
    kept = env.snapshot()
    first = [env.step(actions_at(task.action_space, np.arange(N), step))[0] for step in range(7, 14)]
    env.restore(kept)
    again = [env.step(actions_at(task.action_space, np.arange(N), step))[0] for step in range(7, 14)]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["image_age_h"], two["image_age_h"])


def test_observations_share_no_memory_with_the_batch() -> None:
    seen, env = course_of(with_camera(deaths="expected"), 3)
    before = seen[-1]["image"].copy()
    seen[-1]["image"][...] = 255
    np.testing.assert_array_equal(env.observations()["image"], before)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copied", "pickled"])
def test_an_environment_with_a_camera_can_be_copied(copied: Any) -> None:
    env = PatientVectorEnv(make_task(ENV, observation="multimodal"), 3, autoreset_mode="same_step", threads=1)
    env.reset(seed=3)
    other = copied(env)
    for step in range(8):
        actions = actions_at(env.single_action_space, np.arange(3), step)
        np.testing.assert_array_equal(env.step(actions)[0]["image"], other.step(actions)[0]["image"])
