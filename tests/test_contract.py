"""What every registered environment keeps, in every observation and action mode, alone and in batches."""

import json
import math
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import medsim  # noqa: F401  registers the environments
from medsim.registry import ENVIRONMENTS, EnvironmentCard, make_task
from tests.courses import (
    CASE_NAMES,
    CASES,
    FINITE,
    HARSH,
    TESTED,
    Options,
    actions_at,
    allowed,
    arrays_in,
    bounds,
    equal_to_the_bit,
    fingerprint,
    met,
    part_names,
    patient_of,
    play_batch,
    play_one,
)

N = 11  # enough for the batch kernel, and not a whole tile of it
IDS = [one.id for one in TESTED]
every_case = pytest.mark.parametrize(("env_id", "options"), CASES, ids=CASE_NAMES)
every_id = pytest.mark.parametrize("env_id", IDS)


def horizon(env_id: str, options: Options) -> int:
    return int(make_task(env_id, **options).horizon_steps)


# The checkers of others


@contextmanager
def errors_but_for_advice() -> Iterator[None]:
    """Turn warnings into errors, but for two pieces of advice: doses are in their units, and agents rescale them; charts have rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*recommend.*symmetric and normalized")
        warnings.filterwarnings("ignore", message="Your observation (ehr|treatment).* has an unconventional shape")
        yield


@every_case
def test_gymnasiums_checker_finds_nothing(env_id: str, options: Options) -> None:
    with errors_but_for_advice():
        check_env(gym.make(env_id, **options).unwrapped)


@every_case
def test_sb3s_checker_finds_nothing(env_id: str, options: Options) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with errors_but_for_advice():
        checker.check_env(gym.make(env_id, **options).unwrapped, skip_render_check=True)


@every_id
def test_an_environment_can_be_made_without_importing_medsim_first(
    env_id: str, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run_python(f"import gymnasium; print(gymnasium.make('medsim:{env_id}').spec.id)")
    assert done.stdout.strip() == env_id


def test_every_card_names_a_task_of_its_own_id_and_an_ordered_scale() -> None:
    for one in ENVIRONMENTS:
        if one.available:
            assert make_task(one.id).id == one.id
        assert one.scores.floor < one.scores.protocol <= one.scores.ceiling
        assert one.scores.normalised(one.scores.floor) == 0.0
        assert one.scores.normalised(one.scores.ceiling) == 1.0


@pytest.mark.parametrize("one", ENVIRONMENTS, ids=[one.id for one in ENVIRONMENTS])
def test_an_environment_is_tested_wherever_what_it_needs_is_installed(one: EnvironmentCard) -> None:
    if not one.available:
        pytest.skip(f"{one.id} needs {one.needs}: pip install 'medsim[{one.extra}]'; none of its contracts is tested here")
    assert one.id in {env_id for env_id, _ in CASES}


# Randomness


@every_case
def test_the_same_seed_gives_the_same_episodes(env_id: str, options: Options) -> None:
    steps = horizon(env_id, options) + 20
    assert equal_to_the_bit(play_one(env_id, options, steps), play_one(env_id, options, steps))


@every_case
def test_seeds_slots_and_episodes_differ(env_id: str, options: Options) -> None:
    env = gym.make(env_id, **options)
    starts = [met(env, seed=seed, options={"slot": slot}) for seed in range(4) for slot in range(4)]
    starts += [met(env) for _ in range(8)]
    assert len({start.tobytes() for start in starts}) == len(starts)


@every_id
def test_seeding_again_begins_the_seeds_episodes_again(env_id: str) -> None:
    env = gym.make(env_id)
    first = [env.reset(seed=5)[0], env.reset()[0], env.reset()[0]]
    again = [env.reset(seed=5)[0], env.reset()[0], env.reset()[0]]
    np.testing.assert_array_equal(first, again)


@every_id
def test_without_a_seed_two_environments_meet_different_patients(env_id: str) -> None:
    assert (met(gym.make(env_id)) != met(gym.make(env_id))).any()
    batches = [met(gym.make_vec(env_id, num_envs=3)) for _ in range(2)]
    assert (batches[0] != batches[1]).any(axis=(0, 2)).all()


@every_case
def test_both_shells_agree_to_the_bit_over_a_whole_episode(env_id: str, options: Options) -> None:
    steps = horizon(env_id, options) + 30
    together = play_batch(env_id, options, steps, N)
    for slot in range(N):
        assert equal_to_the_bit(patient_of(together, slot), play_one(env_id, options, steps, slot=slot)), f"slot {slot}"
    assert (together["terminated"] | together["truncated"]).any(axis=0).all()  # resets were among the steps


@every_id
def test_a_list_of_seeds_gives_each_environment_the_first_slot_of_its_own(env_id: str) -> None:
    seeds = [7, 3, 2**40, 7, 0]
    observations, _ = gym.make_vec(env_id, num_envs=5).reset(seed=seeds)
    env = gym.make(env_id)
    np.testing.assert_array_equal(observations, [env.reset(seed=seed)[0] for seed in seeds])


@every_id
def test_seeds_may_be_numpys_and_of_any_size(env_id: str) -> None:
    env, batch = gym.make(env_id), gym.make_vec(env_id, num_envs=2)
    np.testing.assert_array_equal(env.reset(seed=np.int64(7))[0], env.reset(seed=7)[0])  # type: ignore[arg-type]
    np.testing.assert_array_equal(batch.reset(seed=np.array([7, 8]))[0], batch.reset(seed=[7, 8])[0])  # type: ignore[arg-type]
    starts = [met(env, seed=seed).tobytes() for seed in (0, 2**32, 2**63, 2**64, 2**90)]
    assert len(set(starts)) == len(starts)


@every_id
def test_gymnasiums_own_vectorisation_gives_the_same_as_ours(env_id: str) -> None:
    ours = gym.make_vec(env_id, num_envs=3, **HARSH[env_id])
    theirs = gym.make_vec(env_id, num_envs=3, vectorization_mode="sync", **HARSH[env_id])
    np.testing.assert_array_equal(ours.reset(seed=[1, 2, 3])[0], theirs.reset(seed=[1, 2, 3])[0])
    for step in range(60):
        actions = actions_at(ours.single_action_space, np.arange(3), step)
        mine, other = ours.step(actions), theirs.step(actions)
        for a, b in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(mine[4]["cost"], other[4]["cost"])
        for name in ("costs", "reward_terms"):
            for key, values in mine[4][name].items():
                np.testing.assert_array_equal(values, other[4][name][key], err_msg=key)


# What an environment reports


@every_case
def test_observations_are_finite_and_inside_their_space(env_id: str, options: Options) -> None:
    space = make_task(env_id, **options).observation_space()
    observations = play_batch(env_id, options, horizon(env_id, options) + 10, N)["obs"]
    low, high = bounds(space)
    assert np.isfinite(observations).all()
    assert (observations >= low).all()
    assert (observations <= high).all()
    first, _ = gym.make(env_id, **options).reset(seed=1)
    assert space.contains(first)
    kinds = {name: part.dtype for name, part in space.items()} if isinstance(space, spaces.Dict) else {"": space.dtype}
    found = {name.strip("/"): array.dtype for name, array in arrays_in(first)}
    assert (found or {"": first.dtype}) == kinds  # of a Discrete space: a number


@every_id
def test_no_part_of_an_observation_is_constant(env_id: str) -> None:
    views: dict[tuple[str, ...], list[np.ndarray]] = {}
    for case_id, options in CASES:
        if case_id == env_id:
            seen = play_batch(env_id, options, horizon(env_id, options), N)["obs"]
            names = part_names(make_task(env_id, **options))
            views.setdefault(tuple(names), []).append(seen.reshape(-1, seen.shape[-1]))
    for names, seen in views.items():
        together = np.concatenate(seen)
        assert len(names) == together.shape[1]
        constant = [name for name, values in zip(names, together.T, strict=True) if len(np.unique(values)) < 2]
        assert [name for name in constant if not name.endswith("(empty)")] == []


@every_case
def test_costs_are_reported_never_negative_and_sum_to_the_cost(env_id: str, options: Options) -> None:
    costs = play_batch(env_id, options, horizon(env_id, options), N)["costs"]
    assert costs.shape[-1] > 1
    assert (costs >= 0.0).all()
    np.testing.assert_allclose(costs[..., :-1].sum(axis=-1), costs[..., -1], rtol=1e-12)
    assert costs.any()


@every_case
def test_reward_terms_sum_to_the_reward(env_id: str, options: Options) -> None:
    course = play_batch(env_id, options, horizon(env_id, options), N)
    np.testing.assert_allclose(course["terms"].sum(axis=-1), course["rewards"], rtol=1e-12)


@every_id
def test_a_reset_reports_zeros(env_id: str) -> None:
    env, batch = gym.make(env_id), gym.make_vec(env_id, num_envs=2)
    env.reset(seed=1)
    batch.reset(seed=1)
    for step in range(3):
        env.step(actions_at(env.action_space, [0], step)[0])
        batch.step(actions_at(env.action_space, [0, 1], step))
    for info in (env.reset(seed=1)[1], batch.reset(seed=1)[1]):
        assert set(info) >= {"cost", "costs", "reward_terms"}
        assert info["costs"]
        assert info["reward_terms"]
        for name, value in [("cost", info["cost"]), *info["costs"].items(), *info["reward_terms"].items()]:
            assert not np.any(value), name


@every_case
def test_an_episodes_end_has_a_named_outcome_and_its_time(env_id: str, options: Options) -> None:
    task = make_task(env_id, **options)
    env = gym.make(env_id, **options)
    for slot in range(4):
        _, info = env.reset(seed=3, options={"slot": slot})
        ended, step = False, 0
        while not ended:
            assert "outcome" not in info
            _, _, terminated, truncated, info = env.step(actions_at(env.action_space, [slot], step)[0])
            ended, step = terminated or truncated, step + 1
        assert not (terminated and truncated)
        assert info["outcome"] in task.model.outcomes[1:]
        assert info["outcome_time_h"] > (step - 1) * task.step_h  # within the last step, or later where the model looks ahead
        assert terminated or info["outcome_time_h"] == pytest.approx(step * task.step_h)
        assert step <= task.horizon_steps
        assert terminated or step == task.horizon_steps
        with pytest.raises(RuntimeError, match="call reset"):
            env.unwrapped.step(actions_at(env.action_space, [slot], step)[0])


@every_id
def test_a_batch_reports_the_outcomes_that_single_environments_do(env_id: str) -> None:
    options = HARSH[env_id]
    batch = gym.make_vec(env_id, num_envs=N, **options)
    batch.reset(seed=4)
    found: dict[int, tuple[str, float]] = {}
    for step in range(horizon(env_id, options)):
        _, _, terminated, truncated, info = batch.step(actions_at(batch.single_action_space, np.arange(N), step))
        ended = terminated | truncated
        assert not info["outcome"][~ended].any()
        for k in np.flatnonzero(ended):
            found.setdefault(int(k), (batch.outcomes[info["outcome"][k]], float(info["outcome_time_h"][k])))
        if len(found) == N:
            break
    env = gym.make(env_id, **options)
    for slot in range(N):
        env.reset(seed=4, options={"slot": slot})
        ended, step = False, 0
        while not ended:
            _, _, terminated, truncated, info = env.step(actions_at(env.action_space, [slot], step)[0])
            ended, step = terminated or truncated, step + 1
        assert found[slot] == (info["outcome"], info["outcome_time_h"])
    assert len({outcome for outcome, _ in found.values()}) > 1


@every_case
def test_the_true_state_is_shown_only_on_request(env_id: str, options: Options) -> None:
    for shown in (False, True):
        env = gym.make(env_id, expose_state=shown, **options)
        batch = gym.make_vec(env_id, num_envs=N, expose_state=shown, **options)
        infos = [env.reset(seed=1)[1], env.step(actions_at(env.action_space, [0], 0)[0])[4]]
        batch_infos = [batch.reset(seed=1)[1], batch.step(actions_at(env.action_space, range(N), 0))[4]]
        assert all(("state" in info) == shown for info in infos + batch_infos)
        if shown:
            for info, batch_info in zip(infos, batch_infos, strict=True):
                assert {name: values[0] for name, values in batch_info["state"].items()} == info["state"]
                assert all(math.isfinite(value) for value in info["state"].values())


# Nobody else's memory


@every_case
def test_arrays_of_two_steps_share_no_memory(env_id: str, options: Options) -> None:
    env, batch = gym.make(env_id, **options).unwrapped, gym.make_vec(env_id, num_envs=N, expose_state=True, **options)
    single, ended = [env.reset(seed=1)], False
    for step in range(2):
        single.append(env.reset() if ended else env.step(actions_at(env.action_space, [1], step)[0]))
        ended = len(single[-1]) == 5 and (single[-1][2] or single[-1][3])
    single.append(env.reset())
    several = [batch.reset(seed=1), *(batch.step(actions_at(env.action_space, range(N), step)) for step in range(2)), batch.reset()]
    for results in (single, several):
        for i, one in enumerate(results):
            mine = list(arrays_in(one))
            assert mine or isinstance(env.observation_space, spaces.Discrete)
            others = [pair for other in results[i + 1 :] for pair in arrays_in(other)]
            for name, array in mine:
                assert not any(np.shares_memory(array, other) for _, other in others), name
            assert not any(np.shares_memory(a, b) for k, (_, a) in enumerate(mine) for _, b in mine[k + 1 :])


@every_id
@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_writing_into_what_was_returned_changes_nothing(env_id: str, mode: str) -> None:
    def play(scribble: bool) -> str:
        batch = gym.make_vec(env_id, num_envs=N, autoreset_mode=mode, expose_state=True, **HARSH[env_id])
        results: list[Any] = [batch.reset(seed=1)]
        kept = []
        for step in range(60):
            kept.append({name: array.copy() for name, array in arrays_in(results[-1])})
            if scribble:
                for _, array in arrays_in(results[-1]):
                    array[...] = 77
            results.append(batch.step(actions_at(batch.single_action_space, np.arange(N), step)))
        return fingerprint({f"{step} {name}": array for step, arrays in enumerate(kept) for name, array in arrays.items()})

    assert play(True) == play(False)


# Provenance and pictures


@every_id
def test_every_parameter_has_a_value_a_unit_and_a_source(env_id: str) -> None:
    rows = gym.make(env_id).unwrapped.provenance()
    assert rows == gym.make_vec(env_id, num_envs=2).provenance()
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.name
        assert row.value != ""
        assert isinstance(row.value, str) or math.isfinite(row.value)
        assert row.source
        assert row.unit or isinstance(row.value, str)  # a bare number says what it is counted in
    named = " ".join(row.name for row in rows)
    assert all(name.rpartition("_")[0] in named or name in named for name in make_task(env_id).model.params._fields)
    assert make_task(env_id).citation


@every_id
def test_the_picture_is_not_blank_and_changes_over_time(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=1)
    pictures = []
    every = 1 if env_id in FINITE else 12  # steps: courses that are tables are short
    for step in range(2 * every):
        env.step(actions_at(env.action_space, [0], step)[0])
        if step % every == every - 1:
            pictures.append(env.render())
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.min() < picture.max()
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()


@every_id
def test_the_line_of_text_changes_over_time(env_id: str) -> None:
    env = gym.make(env_id, render_mode="ansi")
    env.reset(seed=1)
    lines = set()
    for step in range(3 if env_id in FINITE else 6):
        env.step(actions_at(env.action_space, [0], step)[0])
        lines.add(env.render())
    assert len(lines) > 1
    assert all(isinstance(line, str) and line for line in lines)


@every_id
def test_render_without_a_mode_warns_and_returns_nothing(env_id: str) -> None:
    env = gym.make(env_id).unwrapped
    env.reset(seed=1)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_the_cases_cover_every_value_of_every_mode() -> None:
    for env_id in IDS:
        used = [{"observation": "vector", **options} for case, options in CASES if case == env_id]
        assert {options["observation"] for options in used} == set(allowed(env_id, "observation"))
        assert {options["observation"] for options in used} >= ({"vector"} if env_id in FINITE else {"vector", "full"})
    assert json.dumps(CASES)  # settings are plain data, so that a test's name says them all
