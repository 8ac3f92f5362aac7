"""Batches of every environment across the ends of episodes: autoreset, named patients, wrappers, snapshots and copies."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import NormalizeObservation, RecordEpisodeStatistics

from medsim.registry import make_task
from tests.courses import FINITE, HARSH, TESTED, actions_at, arrays_in

N = 11  # enough for the batch kernel, and not a whole tile of it
every_id = pytest.mark.parametrize("env_id", [one.id for one in TESTED])


# The end of an episode


def loop_of_singles(env_id: str, seed: int) -> list[gym.Env[Any, Any]]:
    made = [gym.make(env_id, expose_state=True, **HARSH[env_id]) for _ in range(N)]
    for slot, env in enumerate(made):
        env.reset(seed=seed, options={"slot": slot})
    return made


@every_id
def test_next_step_autoreset_ignores_the_action_and_returns_the_next_start(env_id: str) -> None:
    batch = gym.make_vec(env_id, num_envs=N, **HARSH[env_id])
    assert batch.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    batch.reset(seed=6)
    singles = loop_of_singles(env_id, 6)
    ended, resets = np.zeros(N, dtype=bool), 0
    for step in range(80):
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        obs, rewards, terminated, truncated, info = batch.step(actions)
        for k, env in enumerate(singles):
            if ended[k]:
                start, start_info = env.reset()
                resets += 1
                np.testing.assert_array_equal(obs[k], start)
                assert (rewards[k], terminated[k], truncated[k], info["outcome"][k]) == (0.0, False, False, 0)
                assert info["cost"][k] == start_info["cost"] == 0.0
            else:
                single = env.step(actions[k])
                np.testing.assert_array_equal(obs[k], single[0])
                assert (rewards[k], terminated[k], truncated[k]) == single[1:4]
        ended = terminated | truncated
    assert resets > 5


@every_id
def test_same_step_autoreset_returns_the_next_start_and_keeps_the_final_step(env_id: str) -> None:
    batch = gym.make_vec(env_id, num_envs=N, autoreset_mode=AutoresetMode.SAME_STEP, expose_state=True, **HARSH[env_id])
    assert batch.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    batch.reset(seed=6)
    singles = loop_of_singles(env_id, 6)
    resets, state_of_end, state_of_start = 0, [], []
    for step in range(80):
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        obs, rewards, terminated, truncated, info = batch.step(actions)
        ended = terminated | truncated
        assert ("final_obs" in info) == ended.any()
        if ended.any():
            np.testing.assert_array_equal(info["_final_obs"], ended)
            np.testing.assert_array_equal(info["_final_info"], ended)
        for k, env in enumerate(singles):
            last, reward, *ends, last_info = env.step(actions[k])
            assert (rewards[k], terminated[k], truncated[k]) == (reward, *ends)
            if ended[k]:
                resets += 1
                start, start_info = env.reset()
                final = info["final_info"]
                np.testing.assert_array_equal(info["final_obs"][k], last)
                np.testing.assert_array_equal(obs[k], start)
                assert final["cost"][k] == last_info["cost"]
                assert {name: values[k] for name, values in final["costs"].items()} == last_info["costs"]
                assert batch.outcomes[final["outcome"][k]] == last_info["outcome"]
                assert final["outcome_time_h"][k] == last_info["outcome_time_h"]
                state_of_end.append(({name: values[k] for name, values in final["state"].items()}, last_info["state"]))
                state_of_start.append(({name: values[k] for name, values in info["state"].items()}, start_info["state"]))
            else:
                np.testing.assert_array_equal(obs[k], last)
    assert resets > 5
    assert all(ours == theirs for ours, theirs in state_of_end), "final_info shows the state of the next episode"
    physiology = make_task(env_id).model.state._fields
    for ours, theirs in state_of_start:
        assert [ours[name] for name in physiology] == [theirs[name] for name in physiology]


@every_id
def test_without_autoreset_only_the_masked_begin_again(env_id: str) -> None:
    batch = gym.make_vec(env_id, num_envs=N, autoreset_mode="disabled", **HARSH[env_id])
    assert batch.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    batch.reset(seed=6)
    singles = loop_of_singles(env_id, 6)
    resets = 0
    for step in range(80):
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        obs, _, terminated, truncated, _ = batch.step(actions)
        for k, env in enumerate(singles):
            np.testing.assert_array_equal(obs[k], env.step(actions[k])[0])
        ended = terminated | truncated
        if ended.any():
            with pytest.raises(RuntimeError, match=f"environment {np.argmax(ended)} has no running episode"):
                batch.step(actions)
            fresh, _ = batch.reset(options={"reset_mask": ended})
            for k in range(N):
                np.testing.assert_array_equal(fresh[k], singles[k].reset()[0] if ended[k] else obs[k])
            resets += int(ended.sum())
    assert resets > 5


@every_id
def test_a_masked_reset_with_a_seed_leaves_the_others_as_they_are(env_id: str) -> None:
    batch, twin = (gym.make_vec(env_id, num_envs=N, **HARSH[env_id]) for _ in range(2))
    batch.reset(seed=6)
    twin.reset(seed=6)
    mask, different = np.arange(N) == 2, []
    batch.reset(seed=99, options={"reset_mask": mask})
    for step in range(60):
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        ours, theirs = batch.step(actions)[0], twin.step(actions)[0]
        np.testing.assert_array_equal(ours[~mask], theirs[~mask])
        different.append(bool((ours[mask] != theirs[mask]).any()))
    assert np.mean(different) > 0.5 if env_id in FINITE else all(different)


@every_id
def test_a_masked_reset_does_not_swallow_the_end_of_another_environment(env_id: str) -> None:
    batch = gym.make_vec(env_id, num_envs=N, **HARSH[env_id])
    batch.reset(seed=6)
    ended = np.zeros(N, dtype=bool)
    step = 0
    while not ended.any():
        _, _, terminated, truncated, _ = batch.step(actions_at(batch.single_action_space, np.arange(N), step))
        ended, step = terminated | truncated, step + 1
    twin = copy_of(batch)
    batch.reset(options={"reset_mask": ~ended & (np.arange(N) == np.argmin(ended))})
    actions = actions_at(batch.single_action_space, np.arange(N), step)
    ours, theirs = batch.step(actions), twin.step(actions)
    np.testing.assert_array_equal(ours[0][ended], theirs[0][ended])
    np.testing.assert_array_equal(ours[1][ended], 0.0)


# Named patients


@every_id
def test_named_patients_are_themselves_whatever_the_seed_and_slot(env_id: str) -> None:
    names, table = make_task(env_id).model.patients()
    batch = gym.make_vec(env_id, num_envs=N, expose_state=True)
    rows = np.arange(N) % len(names)
    for seed in (1, 2):
        batch.reset(seed=seed, options={"patient": [names[row] for row in rows]})
        np.testing.assert_array_equal(batch.unwrapped.batch.record("params").T, table[rows])
    batch.reset(seed=1, options={"patient": names[0]})
    np.testing.assert_array_equal(batch.unwrapped.batch.record("params").T, np.tile(table[0], (N, 1)))


@every_id
def test_patients_described_one_by_one_are_those_named(env_id: str) -> None:
    names, _ = make_task(env_id).model.patients()
    chosen = [names[k % len(names)] for k in range(N)]
    batch, twin = (gym.make_vec(env_id, num_envs=N, **HARSH[env_id]) for _ in range(2))
    named = batch.reset(seed=1, options={"patient": chosen})[0]
    np.testing.assert_array_equal(twin.reset(seed=1, options={"patient": [{"like": name} for name in chosen]})[0], named)
    for step in range(40):
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        np.testing.assert_array_equal(batch.step(actions)[0], twin.step(actions)[0])


@every_id
def test_a_masked_reset_leaves_the_described_patients_of_the_others(env_id: str) -> None:
    names, _ = make_task(env_id).model.patients()
    batch, twin = (gym.make_vec(env_id, num_envs=N, **HARSH[env_id]) for _ in range(2))
    for one in (batch, twin):
        one.reset(seed=1, options={"patient": {"like": names[3]}})
    mask = np.arange(N) == 2
    batch.reset(options={"reset_mask": mask})
    batch.reset(options={"reset_mask": mask, "patient": {"like": names[5]}})
    for step in range(60):  # across autoresets, which recruit the same patients again
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        np.testing.assert_array_equal(batch.step(actions)[0][~mask], twin.step(actions)[0][~mask])


# Wrappers, snapshots, copies


def copy_of(batch: Any) -> Any:
    """Return a second batch in the same state."""
    twin = gym.make_vec(batch.spec.id, num_envs=batch.num_envs, **HARSH[batch.spec.id])
    twin.reset(seed=0)
    twin.restore(batch.snapshot())
    return twin


@every_id
def test_a_restored_snapshot_takes_the_same_course(env_id: str) -> None:
    batch = gym.make_vec(env_id, num_envs=N, **HARSH[env_id])
    batch.reset(seed=8)
    for step in range(25):
        batch.step(actions_at(batch.single_action_space, np.arange(N), step))
    twin = copy_of(batch)
    for step in range(25, 60):
        actions = actions_at(batch.single_action_space, np.arange(N), step)
        for (name, ours), (_, theirs) in zip(arrays_in(batch.step(actions)), arrays_in(twin.step(actions)), strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


@every_id
def test_gymnasiums_vector_wrappers_work(env_id: str) -> None:
    plain = gym.make_vec(env_id, num_envs=N, **HARSH[env_id])
    wrapped = NormalizeObservation(RecordEpisodeStatistics(gym.make_vec(env_id, num_envs=N, **HARSH[env_id])))
    plain.reset(seed=1)
    wrapped.reset(seed=1)
    returns, lengths, episodes = np.zeros(N), np.zeros(N, dtype=int), 0
    for step in range(80):
        actions = actions_at(plain.single_action_space, np.arange(N), step)
        _, rewards, terminated, truncated, _ = plain.step(actions)
        observations, *_, info = wrapped.step(actions)
        assert np.isfinite(observations).all()
        returns, lengths = returns + rewards, lengths + 1
        for k in np.flatnonzero(terminated | truncated):
            episodes += 1
            assert info["episode"]["r"][k] == pytest.approx(returns[k])
            assert info["episode"]["l"][k] == lengths[k]
            returns[k], lengths[k] = 0.0, -1  # the step of the reset is not counted
    assert episodes > 5


@every_id
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("shell", ["one", "batch"])
def test_a_copy_takes_the_same_course_and_leaves_the_original_alone(env_id: str, copied: Callable[[Any], Any], shell: str) -> None:
    def make() -> Any:
        return gym.make(env_id) if shell == "one" else gym.make_vec(env_id, num_envs=N)

    def act(env: Any, step: int) -> np.ndarray:
        slots = np.arange(N) if shell == "batch" else np.arange(1)
        actions = actions_at(getattr(env, "single_action_space", env.action_space), slots, step)
        seen, _, *ends, _ = env.step(actions if shell == "batch" else actions[0])
        if shell == "one" and any(ends):
            env.reset()
        return np.asarray(seen)

    env, untouched = make(), make()
    for one in (env, untouched):
        one.reset(seed=1)
        for step in range(10):
            act(one, step)
    twin = copied(env)
    theirs = [act(twin, step) for step in range(10, 20)]
    np.testing.assert_array_equal(theirs, [act(env, step) for step in range(10, 20)])
    np.testing.assert_array_equal(theirs, [act(untouched, step) for step in range(10, 20)])


@every_id
def test_a_copy_keeps_its_own_record_of_what_happened(env_id: str) -> None:
    env = gym.make(env_id, render_mode="ansi")
    env.reset(seed=1)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(env)))
    for step in range(3):
        for one in (env, twin):
            one.step(actions_at(env.action_space, [0], step)[0])
    assert twin.render() == env.render()
