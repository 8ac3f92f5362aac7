"""A patient's course depends on who they are and what is done to them, and on nothing else: not on batch, order, thread or process."""

import json
import subprocess
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest

from tests.courses import CASE_NAMES, CASES, HARSH, TESTED, Options, actions_at, fingerprint, patient_of, play_batch, play_one

STEPS = 48  # under HARSH, most patients' first episode ends within these and several more follow
FEW_STEPS = 5
MANY = 4096
FOLLOWED = (0, 1, 2, 3, 6)
every_id = pytest.mark.parametrize("env_id", [one.id for one in TESTED])


def fingerprints(course: dict[str, np.ndarray], patients: tuple[int, ...] = FOLLOWED) -> list[str]:
    return [fingerprint(patient_of(course, k)) for k in patients]


@pytest.fixture(scope="module", params=[one.id for one in TESTED])
def alone(request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    """The courses of some patients, each played alone."""
    env_id = request.param
    courses = [play_one(env_id, HARSH[env_id], STEPS, slot=slot) for slot in FOLLOWED]
    assert sum(course["terminated"].sum() for course in courses) >= 5  # the course goes on across early ends
    return env_id, [fingerprint(course) for course in courses]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [7, 16, 33, MANY])
def test_a_patient_has_the_same_course_in_any_batch_on_any_number_of_threads(alone: tuple[str, list[str]], n: int, threads: int) -> None:
    env_id, expected = alone
    course = play_batch(env_id, HARSH[env_id], STEPS if n < MANY else FEW_STEPS, n, threads=threads)
    if n < MANY:
        assert fingerprints(course) == expected
    else:
        assert fingerprints(course) == [fingerprint(play_one(env_id, HARSH[env_id], FEW_STEPS, slot=slot)) for slot in FOLLOWED]
        last = n - 1
        assert fingerprint(patient_of(course, last)) == fingerprint(play_one(env_id, HARSH[env_id], FEW_STEPS, slot=last))


@every_id
def test_a_batch_of_one_is_the_patient_alone(env_id: str) -> None:
    course = play_batch(env_id, HARSH[env_id], STEPS, 1)
    assert fingerprints(course, (0,)) == [fingerprint(play_one(env_id, HARSH[env_id], STEPS))]


def test_another_process_gives_the_same_courses(
    alone: tuple[str, list[str]], run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    env_id, expected = alone
    code = f"""
import json
from tests.courses import HARSH, play_batch, play_one
from tests.test_streams_and_batches import FOLLOWED, STEPS, fingerprint, fingerprints
print(json.dumps([fingerprints(play_batch({env_id!r}, HARSH[{env_id!r}], STEPS, 16, threads=threads)) for threads in (1, 2)]
                 + [[fingerprint(play_one({env_id!r}, HARSH[{env_id!r}], STEPS, slot=slot)) for slot in FOLLOWED]]))
"""
    assert json.loads(run_python(code).stdout) == [expected] * 3


@every_id
def test_the_order_in_which_patients_are_played_moves_nothing(env_id: str) -> None:
    forwards = [fingerprint(play_one(env_id, HARSH[env_id], STEPS, slot=slot)) for slot in range(4)]
    backwards = [fingerprint(play_one(env_id, HARSH[env_id], STEPS, slot=slot)) for slot in reversed(range(4))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 4


@every_id
def test_environments_stepped_in_turn_do_not_disturb_each_other(env_id: str) -> None:
    envs = [gym.make(env_id, **HARSH[env_id]) for _ in range(3)]
    seen = [[env.reset(seed=1, options={"slot": slot})[0]] for slot, env in enumerate(envs)]
    running = [True] * 3
    for step in range(8):
        for slot, env in enumerate(envs):
            if running[slot]:
                obs, _, terminated, truncated, _ = env.step(actions_at(env.action_space, [slot], step)[0])
                seen[slot].append(obs)
                running[slot] = not (terminated or truncated)
    for slot in range(3):
        alone = play_one(env_id, HARSH[env_id], 8, slot=slot)["obs"]
        np.testing.assert_array_equal(seen[slot], alone[: len(seen[slot])])


@pytest.mark.parametrize(("env_id", "options"), CASES, ids=CASE_NAMES)
def test_another_patient_in_the_batch_moves_no_other(env_id: str, options: Options) -> None:
    fewer, more = (play_batch(env_id, options, STEPS, n) for n in (16, 17))
    assert fingerprints(fewer, tuple(range(16))) == fingerprints(more, tuple(range(16)))


@every_id
def test_what_is_done_to_one_patient_moves_no_other(env_id: str) -> None:
    def play(act: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
        env = gym.make_vec(env_id, num_envs=17, **HARSH[env_id])
        observations = [env.reset(seed=1)[0]]
        for step in range(STEPS):
            actions = actions_at(env.single_action_space, np.arange(17), step)
            observations.append(env.step(act(actions))[0])
        return {"obs": np.array(observations)}

    def changed(actions: np.ndarray) -> np.ndarray:
        actions[5] = actions[4]
        return actions

    a, b = play(lambda actions: actions), play(changed)
    others = [k for k in range(17) if k != 5]
    assert (a["obs"][:, 5] != b["obs"][:, 5]).any()
    np.testing.assert_array_equal(a["obs"][:, others], b["obs"][:, others])


@every_id
def test_two_policies_on_the_same_seed_meet_the_same_patients_and_noise(env_id: str) -> None:
    def starts(bold: bool) -> tuple[np.ndarray, np.ndarray]:
        env = gym.make_vec(env_id, num_envs=9, autoreset_mode="disabled", **HARSH[env_id])
        first = env.reset(seed=3)[0]
        for step in range(10):
            env.unwrapped.step_running(actions_at(env.single_action_space, np.full(9, 0 if bold else 3), step))
        return first, env.reset()[0]

    for bold, timid in zip(starts(True), starts(False), strict=True):
        np.testing.assert_array_equal(bold, timid)
