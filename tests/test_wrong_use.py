"""Wrong use of every environment is refused, with the value seen and what is allowed, and nothing has happened then."""

import math
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from medsim.registry import card, make_task
from tests.courses import CASE_NAMES, CASES, HARSH, TESTED, Options, actions_at, arrays_in, flat

N = 11  # enough for the batch kernel, and not a whole tile of it
every_case = pytest.mark.parametrize(("env_id", "options"), CASES, ids=CASE_NAMES)
every_id = pytest.mark.parametrize("env_id", [one.id for one in TESTED])


def wrong_actions(space: spaces.Space[Any]) -> list[tuple[Any, str]]:
    """Return wrong actions of one environment and what the error must name."""
    if isinstance(space, spaces.Discrete):
        last = int(space.n) - 1
        allowed = f"0 to {last}"
        values = [-1, last + 1, 2**70, 1.5, math.nan, "1", None, True, [1], np.array([1, 2]), np.float32(1.0)]
        return [(value, allowed) for value in values]
    high, size = space.high, len(space.low)
    bounds = f"{space.low[0]:g} to {high[0]:g}"
    below, above = space.low.copy(), space.high.copy()
    below[0] -= 0.01
    above[-1] += 1.0
    wrong: list[tuple[Any, str]] = [
        (np.full(size, math.nan), bounds),
        (np.full(size, math.inf), bounds),
        (below, bounds),
        (above, f"{space.low[-1]:g} to {high[-1]:g}"),
        ([None] * size, ""),
        (["much"] * size, ""),
    ]
    shapes = [np.zeros(size + 1), np.zeros((1, size)), np.zeros((size, 1)), np.zeros(0), np.zeros((1, 1, 1)), None]
    shapes += [np.array(1.0), 1.0] if size > 1 else []
    return wrong + [(value, "") for value in shapes]


@every_case
def test_a_wrong_action_is_refused_by_name_and_nothing_has_happened(env_id: str, options: Options) -> None:
    for wrapped in (False, True):
        env, twin = gym.make(env_id, **options), gym.make(env_id, **options)
        if not wrapped:
            env = env.unwrapped  # type: ignore[assignment]
        env.reset(seed=2)
        twin.reset(seed=2)
        for step, (wrong, allowed) in enumerate(wrong_actions(env.action_space)):
            with pytest.raises(ValueError, match="action") as caught:
                env.step(wrong)
            assert allowed in str(caught.value)
            right = actions_at(env.action_space, [1], step)[0]
            ours, theirs = env.step(right), twin.step(right)
            np.testing.assert_array_equal(flat(ours[0]), flat(theirs[0]))
            assert ours[1:] == theirs[1:]
            if ours[2] or ours[3]:
                env.reset()
                twin.reset()


@every_case
def test_a_batch_refuses_one_wrong_action_and_nothing_has_happened_to_the_others(env_id: str, options: Options) -> None:
    batch, twin = (gym.make_vec(env_id, num_envs=N, **options) for _ in range(2))
    batch.reset(seed=2)
    twin.reset(seed=2)
    space = batch.single_action_space
    right = actions_at(space, np.arange(N), 0)
    wrong: list[tuple[Any, str]] = [(right[:-1], "shape"), (right[None], "shape"), (None, ""), ("all", "")]
    if isinstance(space, spaces.Discrete):
        bad = right.copy()
        bad[3] = space.n
        wrong += [(bad, f"action {space.n} of environment 3"), (-right - 1, "-"), (right.astype(float), "float64")]
    else:
        for value in (math.nan, math.inf, -1.0, float(space.high[0]) * 2.0):
            bad = right.copy()
            bad[3, 0] = value
            wrong.append((bad, "of environment 3"))
    for step, (actions, named) in enumerate(wrong):
        with pytest.raises(ValueError, match="action") as caught:
            batch.step(actions)
        assert named in str(caught.value)
        right = actions_at(space, np.arange(N), step)
        for (name, ours), (_, theirs) in zip(arrays_in(batch.step(right)), arrays_in(twin.step(right)), strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


WRONG_RESETS: list[tuple[dict[str, Any], str]] = [
    ({"seed": -1}, "-1"),
    ({"seed": -1, "options": {"slot": 2}}, "-1"),
    ({"seed": 1.5}, "1.5"),
    ({"options": {"colour": "blue"}}, "'colour'.*slot"),
    ({"options": {"slot": -1}}, "slot.*-1"),
    ({"options": {"slot": 1.5}}, "slot.*1.5"),
    ({"options": {"patient": "nobody"}}, "'nobody'"),
    ({"options": {"patient": 3.5}}, "patient.*3.5"),
    ({"options": {"patient": {"colour": 1.0}}}, "'colour'"),
    ({"seed": 9, "options": {"patient": {"like": "nobody"}}}, "'nobody'"),
]


@every_id
@pytest.mark.parametrize(("arguments", "named"), WRONG_RESETS, ids=[str(one[0]) for one in WRONG_RESETS])
def test_a_wrong_reset_is_refused_by_name_and_the_episode_goes_on(env_id: str, arguments: dict[str, Any], named: str) -> None:
    env, twin = gym.make(env_id), gym.make(env_id)
    for one in (env, twin):
        one.reset(seed=2, options={"slot": 5})
    with pytest.raises(ValueError, match=named):
        env.reset(**arguments)
    ended, step = False, 0
    while step < 5 and not ended:
        action = actions_at(env.action_space, [1], step)[0]
        (ours, _, *ends, _), (theirs, *_) = env.step(action), twin.step(action)
        np.testing.assert_array_equal(ours, theirs)
        ended, step = any(ends), step + 1
    np.testing.assert_array_equal(env.reset()[0], twin.reset()[0])


WRONG_BATCH_RESETS: list[tuple[dict[str, Any], str]] = [
    ({"seed": -1}, "-1"),
    ({"seed": [1] * (N - 1)}, f"{N - 1}"),
    ({"seed": [*range(N - 1), -4]}, "-4"),
    ({"options": {"colour": "blue"}}, "'colour'.*reset_mask"),
    ({"options": {"reset_mask": np.ones(N)}}, "reset_mask.*float64"),
    ({"options": {"reset_mask": np.ones(N - 1, dtype=bool)}}, "reset_mask"),
    ({"seed": 9, "options": {"patient": "nobody"}}, "'nobody'"),
    ({"seed": 9, "options": {"patient": ["nobody"] * N}}, "'nobody'"),
    ({"options": {"patient": [None] * (N - 1)}}, f"{N - 1}"),
]


@every_id
@pytest.mark.parametrize(("arguments", "named"), WRONG_BATCH_RESETS, ids=[str(one[0]) for one in WRONG_BATCH_RESETS])
def test_a_wrong_reset_of_a_batch_is_refused_by_name_and_the_episodes_go_on(env_id: str, arguments: dict[str, Any], named: str) -> None:
    batch, twin = (gym.make_vec(env_id, num_envs=N, **HARSH[env_id]) for _ in range(2))
    batch.reset(seed=2)
    twin.reset(seed=2)
    with pytest.raises(ValueError, match=named):
        batch.reset(**arguments)
    for step in range(40):  # long enough for autoresets
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        np.testing.assert_array_equal(batch.step(actions)[0], twin.step(actions)[0])


WRONG_OPTIONS = [
    ({"colour": "blue"}, "'colour'.*cohort"),
    ({"cohort": "everyone"}, "cohort.*'train'.*'everyone'"),
    ({"observation": 3}, "'vector'.*3"),
]


@every_id
@pytest.mark.parametrize(("options", "named"), WRONG_OPTIONS, ids=[str(one[0]) for one in WRONG_OPTIONS])
def test_a_wrong_option_is_refused_by_name_from_every_shell(env_id: str, options: Options, named: str) -> None:
    for make in (gym.make, partial(gym.make_vec, num_envs=2), make_task):
        with pytest.raises(ValueError, match=named):
            make(env_id, **options)


@every_id
@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"num_envs": 0}, "num_envs.*0"), ({"threads": 0}, "threads.*0"), ({"threads": 1.5}, "threads.*1.5"),
     ({"autoreset_mode": "sometimes"}, "'next_step'.*'sometimes'")],
)  # fmt: skip
def test_a_wrong_batch_is_refused_by_name(env_id: str, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        gym.make_vec(env_id, **{"num_envs": 2, **arguments})


@every_id
def test_a_wrong_render_mode_is_refused_by_name(env_id: str) -> None:
    module, _, name = card(env_id).entry_point.partition(":")
    with pytest.raises(ValueError, match=r"rgb_array.*'hologram'"):
        getattr(__import__(module, fromlist=[name]), name)(render_mode="hologram")


def test_an_unknown_id_is_refused_with_the_ids_there_are() -> None:
    with pytest.raises(ValueError, match="'medsim/Nothing-v0'; there are medsim/"):
        card("medsim/Nothing-v0")


@every_id
def test_stepping_before_the_first_reset_is_refused(env_id: str) -> None:
    env, batch = gym.make(env_id).unwrapped, gym.make_vec(env_id, num_envs=2)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(actions_at(env.action_space, [0], 0)[0])
    with pytest.raises(RuntimeError, match="call reset"):
        batch.step(actions_at(env.action_space, [0, 1], 0))


@pytest.mark.parametrize(("name", "value"), [("b", 1.0), ("d", 1.5), ("weight_kg", 500.0)])
def test_a_described_patient_whom_the_equations_cannot_hold_is_refused(name, value):
    env = gym.make("medsim/Glucose-v0")
    with pytest.raises(ValueError, match=rf"a patient's {name} must be from .*, not {value}"):
        env.reset(seed=0, options={"patient": {"like": "adult#001", name: value}})
