"""What every hospital environment keeps, whatever it is about."""

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import pettingzoo
import pytest
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test, state_test

import medsim  # noqa: F401  registers the environments
from medsim.hospital.draws import POLICY, draw_uniform, key_of
from medsim.hospital.evaluation import evaluate_hospital, play_episode
from medsim.hospital.shells import FORBIDDEN, HospitalEnv, HospitalParallelEnv, HospitalShell
from medsim.policies import hospital_policies
from medsim.registry import HOSPITALS, card, hospital_card, make_task

Options = dict[str, Any]
SHORT: dict[str, list[Options]] = {  # options under which an episode takes a moment
    "medsim/HospitalFlow-v0": [
        {"days": 0.5},
        {"days": 0.5, "engine": "simpy"},
        {"days": 0.5, "config": "metropolitan", "log_events": True},
    ],
    "medsim/ICUAdmission-v0": [{}, {"variant": "queue"}],
    "medsim/RegionalNetwork-v0": [{"horizon_h": 6.0}, {"variant": "routing", "horizon_h": 12.0}],
    "medsim/Theatre-v0": [{"rooms": 2, "electives_per_day": 4}, {}],
}
CASES = [(env_id, options) for env_id, several in SHORT.items() for options in several]
NAMES = [f"{env_id.removeprefix('medsim/')} {options}" for env_id, options in CASES]
every_case = pytest.mark.parametrize(("env_id", "options"), CASES, ids=NAMES)
every_id = pytest.mark.parametrize("env_id", list(SHORT))
SEVERAL = [(env_id, options) for env_id, options in CASES if hospital_card(env_id).several_agents]
several_agents = pytest.mark.parametrize(("env_id", "options"), SEVERAL, ids=[NAMES[CASES.index(case)] for case in SEVERAL])
ONE = [case for case in CASES if case not in SEVERAL]
one_agent = pytest.mark.parametrize(("env_id", "options"), ONE, ids=[NAMES[CASES.index(case)] for case in ONE])


def make(env_id: str, **options: Any) -> Any:
    if hospital_card(env_id).several_agents:
        return pettingzoo.make("parallel", env_id, **options)
    return gym.make(env_id, **options).unwrapped


def shell_of(env: Any) -> HospitalShell:
    inner = env.unwrapped
    assert isinstance(inner, HospitalParallelEnv | HospitalEnv)
    return inner.shell


ADVICE = (  # of the checkers, which holds for most environments and not for these
    ".*named in the format <descriptor>_<number>",  # agents are called by what they are
    ".*recommend.*symmetric and normalized",  # numbers are in their units
    "Observation space for each agent probably should be gymnasium.spaces.box",  # a Dict, where the mask is asked for
    "Observation is not a NumPy array",
    "(Observation|State) numpy array is all zeros",  # an empty hospital
    "Agents have different (observation|action) space sizes",  # roles differ
    "Observations are different shapes",
)


@contextmanager
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message in ADVICE:
            warnings.filterwarnings("ignore", message=message)
        yield


def test_every_hospital_is_tested_here() -> None:
    assert {one.id for one in HOSPITALS} == set(SHORT)


# The checkers of others


@several_agents
@pytest.mark.parametrize("masked", [False, True])
def test_pettingzoos_tests_pass(env_id: str, options: Options, masked: bool) -> None:
    told = {**options, "mask_in_observation": masked}

    def parallel(**more: Any) -> Any:
        return pettingzoo.make("parallel", env_id, **told, **more)

    def turns(**more: Any) -> Any:
        return pettingzoo.make("aec", env_id, **told, **more)

    with warnings_are_errors():
        parallel_api_test(parallel(), num_cycles=60)
        parallel_seed_test(parallel, num_cycles=30)
        api_test(turns(), num_cycles=60)
        seed_test(turns, num_cycles=30)
        state_test(turns(), parallel(), num_cycles=20)
        render_test(lambda render_mode: turns(render_mode=render_mode))


@one_agent
@pytest.mark.parametrize("masked", [False, True])
def test_gymnasiums_checker_finds_nothing(env_id: str, options: Options, masked: bool) -> None:
    with warnings_are_errors():
        check_env(gym.make(env_id, mask_in_observation=masked, render_mode="rgb_array", **options).unwrapped)


@several_agents
def test_pettingzoo_knows_it_as_parallel_and_turn_taking(env_id: str, options: Options) -> None:
    assert isinstance(pettingzoo.make("parallel", env_id, **options).unwrapped, pettingzoo.ParallelEnv)
    assert isinstance(pettingzoo.make("aec", env_id, **options), pettingzoo.AECEnv)


# An episode as a whole


def course(env_id: str, options: Options, *, seed: int, steps: int = 60, slot: int | None = None) -> list[tuple[Any, ...]]:
    """Return what a shell reports, under drawn actions of which a third is not in the mask."""
    shell = HospitalShell(make_task(env_id, **options), None)
    shell.begin(seed, None if slot is None else {"slot": slot})
    rows: list[tuple[Any, ...]] = []
    for step in range(steps):
        seen = tuple(np.asarray(flat(shell.observation_of(agent))).tobytes() for agent in shell.task.agents)
        masks = {agent: shell.mask_of(agent) for agent in shell.task.agents}
        rows.append((seen, tuple(mask.tobytes() for mask in masks.values()), tuple(shell.present_model().state())))
        if not shell.running or shell.request is None:
            break
        u = draw_uniform(key_of(5), POLICY, step, 0)
        actions = {agent: int(u * len(mask)) if step % 3 == 0 else int(np.flatnonzero(mask)[-1]) for agent, mask in masks.items()}
        ledger, forbidden = shell.decide(actions)
        rows.append((tuple(ledger.terms.items()), tuple(ledger.costs.items()), tuple(forbidden.items())))
    return rows


def flat(seen: Any) -> Any:
    return seen["observation"] if isinstance(seen, dict) else seen


@every_case
def test_the_same_seed_gives_the_same_episode_and_others_differ(env_id: str, options: Options) -> None:
    first = course(env_id, options, seed=3)
    assert course(env_id, options, seed=3) == first
    assert course(env_id, options, seed=4) != first
    assert course(env_id, options, seed=3, slot=1) != first


@every_case
def test_a_reset_without_a_seed_goes_on_with_the_next_episode(env_id: str, options: Options) -> None:
    env = make(env_id, **options)
    shell = shell_of(env)
    env.reset(seed=8)
    keys = [shell.key]
    for _ in range(2):
        env.reset()
        keys.append(shell.key)
    assert [key.episode for key in keys] == [0, 1, 2]
    assert len({key._replace(episode=0) for key in keys}) == 1
    fresh = [shell_of(one).key for one in (make(env_id, **options), make(env_id, **options)) if one.reset() is not None]
    assert fresh[0] != fresh[1]


@every_case
def test_observations_stay_inside_their_space_and_costs_are_never_negative(env_id: str, options: Options) -> None:
    task = make_task(env_id, **options)
    shell = HospitalShell(task, None)
    spaces = {agent: task.observation_space(role) for agent, role in task.roles.items()}
    for episode in range(2):
        shell.begin(episode, None)
        for step in range(150):
            for agent in task.agents:
                assert spaces[agent].contains(shell.observation_of(agent)), agent
                mask = shell.mask_of(agent)
                assert mask.any()
                assert (mask[1:].any()) == (shell.request is not None and shell.request.agent == agent)
            if not shell.running or shell.request is None:
                break
            mask = shell.request.mask
            legal = np.flatnonzero(mask)
            choice = int(legal[int(draw_uniform(key_of(6), POLICY, step, 0) * len(legal))])
            ledger, _ = shell.decide({**dict.fromkeys(task.agents, 0), shell.request.agent: choice})
            assert set(ledger.terms) == set(task.term_names)
            assert set(ledger.costs) == {*task.cost_names, FORBIDDEN}
            assert all(np.isfinite(value) and value >= 0.0 for value in ledger.costs.values())
            assert all(np.isfinite(value) for value in ledger.terms.values())


@every_case
def test_what_a_mask_forbids_does_nothing_is_counted_and_costs(env_id: str, options: Options) -> None:
    task = make_task(env_id, **options)
    ours, twin = HospitalShell(task, None), HospitalShell(task, None)
    for shell in (ours, twin):
        shell.begin(2, None)
    tried = everything_legal = 0
    for _ in range(40):
        if not ours.running or ours.request is None:
            break
        agent, mask = ours.request.agent, ours.request.mask
        illegal = 1 + np.flatnonzero(mask[1:] == 0)
        idle = dict.fromkeys(task.agents, 0)
        wrong = int(illegal[0]) if len(illegal) else 0
        ledger, forbidden = ours.decide({**idle, agent: wrong})
        other, _ = twin.decide(idle)
        may_hold = bool(mask[0])
        assert forbidden[agent] == bool(len(illegal)) or not may_hold
        assert ledger.costs[FORBIDDEN] == float(len(illegal) > 0 or not may_hold)
        assert other.costs[FORBIDDEN] == float(not may_hold)
        assert ledger.terms == other.terms
        np.testing.assert_array_equal(ours.present_model().state(), twin.present_model().state())
        tried += len(illegal) > 0
        everything_legal += len(illegal) == 0
    assert tried > 5 or everything_legal == 40


@every_case
@pytest.mark.parametrize("wrong", [-1, 10_000, 1.5, None, "1", True, np.array([1, 2])])
def test_an_action_outside_the_space_is_refused_by_name_and_nothing_happens(env_id: str, options: Options, wrong: Any) -> None:
    env = make(env_id, **options)
    env.reset(seed=1)
    shell = shell_of(env)
    before = shell.present_model().time_h, shell.request
    agent = shell.task.agents[-1]
    given = {**dict.fromkeys(shell.task.agents, 0), agent: wrong} if hospital_card(env_id).several_agents else wrong
    with pytest.raises(ValueError, match=f"'{agent}' must be a whole number from 0 to"):
        env.step(given)
    assert (shell.present_model().time_h, shell.request) == before


@several_agents
def test_taking_turns_refuses_a_wrong_action_at_once(env_id: str, options: Options) -> None:
    env = pettingzoo.make("aec", env_id, **options)
    env.reset(seed=1)
    first = env.agent_selection
    with pytest.raises(ValueError, match=f"agent '{first}' must be a whole number"):
        env.step(10_000)
    assert env.agent_selection == first
    env.step(0)
    assert len(env.agents) == 1 or env.agent_selection != first


def test_an_id_of_the_other_kind_is_pointed_to_its_own_functions() -> None:
    with pytest.raises(ValueError, match=r"is a hospital: use evaluate_hospital"):
        card("medsim/HospitalFlow-v0")
    with pytest.raises(ValueError, match=r"is no hospital: use evaluate"):
        hospital_card("medsim/Sepsis-v0")


@several_agents
def test_a_step_without_everybodys_action_is_refused(env_id: str, options: Options) -> None:
    env = make(env_id, **options)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(dict.fromkeys(env.possible_agents, 0))
    env.reset(seed=1)
    with pytest.raises(ValueError, match="an action for each of"):
        env.step({})
    with pytest.raises(ValueError, match="stranger"):
        env.step({**dict.fromkeys(env.agents, 0), "stranger": 0})


@every_case
def test_wrong_resets_are_refused_by_name(env_id: str, options: Options) -> None:
    env = make(env_id, **options)
    for arguments, named in (({"seed": -1}, "-1"), ({"options": {"colour": 1}}, "'colour'"), ({"options": {"slot": -2}}, "-2")):
        with pytest.raises(ValueError, match=named):
            env.reset(**arguments)


@every_id
def test_wrong_options_are_refused_by_name(env_id: str) -> None:
    with pytest.raises(ValueError, match="'colour'"):
        make_task(env_id, colour="blue")
    with pytest.raises(ValueError, match=r"render_mode.*'hologram'"):
        make(env_id, render_mode="hologram")


@every_case
def test_an_episode_ends_once_with_an_outcome_and_its_time(env_id: str, options: Options) -> None:
    env = make(env_id, **options)
    env.reset(seed=1)
    shell = shell_of(env)
    several = hospital_card(env_id).several_agents
    for _ in range(100_000):
        request = shell.request
        action = int(np.flatnonzero(request.mask)[-1]) if request is not None else 0
        idle = dict.fromkeys(shell.task.agents, 0)
        result = env.step({**idle, request.agent: action} if several and request is not None else idle if several else action)
        terminated, truncated, info = (result[k][shell.task.agents[0]] if several else result[k] for k in (2, 3, 4))
        if terminated or truncated:
            break
        assert "outcome" not in info
    assert terminated == shell.task.ends_by_itself
    assert truncated != terminated
    assert isinstance(info["outcome"], str)
    assert info["outcome"]
    assert 0.0 < info["outcome_time_h"] <= shell.task.horizon_h + 1e-9
    if several:
        assert env.agents == []
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(idle if several else 0)


@every_case
def test_arrays_of_two_steps_share_no_memory(env_id: str, options: Options) -> None:
    shell = HospitalShell(make_task(env_id, **options), None)
    shell.begin(1, None)
    agent = shell.task.agents[0]
    first, mask = flat(shell.observation_of(agent)), shell.mask_of(agent)
    first[...] = -7.0
    mask[...] = 0
    assert not (flat(shell.observation_of(agent)) == -7.0).all()
    assert shell.mask_of(agent).any()


@every_case
def test_the_true_state_is_told_only_on_request(env_id: str, options: Options) -> None:
    for shown in (False, True):
        shell = HospitalShell(make_task(env_id, expose_state=shown, **options), None)
        shell.begin(1, None)
        info = shell.info_of(shell.task.agents[0], None, False)
        assert ("state" in info) == shown
        if shown:
            assert set(info["state"]) == set(shell.task.state_names)


@every_case
def test_every_parameter_has_a_value_and_a_source(env_id: str, options: Options) -> None:
    rows = make(env_id, **options).provenance()
    names = [row.name for row in rows]
    assert len(set(names)) == len(names) > 4
    for row in rows:
        assert row.value != ""
        assert len(row.source) > 5, row.name
    assert make_task(env_id, **options).citation


@every_case
def test_the_event_log_is_a_table_in_order_of_time(env_id: str, options: Options) -> None:
    task = make_task(env_id, **{**options, "log_events": True})
    shell = HospitalShell(task, None)
    play_episode(task, hospital_policies(env_id)["random"](), seed=1, shell=shell)
    frame = shell.present_model().log.frame()
    assert len(frame) > 5
    assert frame["time_h"].is_monotonic_increasing
    assert set(frame["event"].unique()) - {""}


@every_case
def test_a_picture_shows_the_moment_and_keeps_its_size(env_id: str, options: Options) -> None:
    env = make(env_id, render_mode="rgb_array", **options)
    env.reset(seed=1)
    first = env.render()
    assert first.dtype == np.uint8
    assert first.ndim == 3
    shell = shell_of(env)
    for _ in range(10):
        if shell.request is not None:
            shell.decide({**dict.fromkeys(shell.task.agents, 0), shell.request.agent: int(np.flatnonzero(shell.request.mask)[-1])})
    assert env.render().shape == first.shape
    text = make(env_id, render_mode="ansi", **options)
    text.reset(seed=1)
    assert "medical advice" in text.render()


@every_id
def test_policies_are_compared_on_the_same_episodes_and_stay_within_the_masks(env_id: str) -> None:
    options = SHORT[env_id][0]
    for _name, maker in hospital_policies(env_id).items():
        policy = maker()
        if policy.options.get("variant") == "routing":
            continue
        result = evaluate_hospital(env_id, policy, options=options, episodes=2)
        assert np.isfinite(result.returns).all()
        again = evaluate_hospital(env_id, maker(), options=options, episodes=2)
        np.testing.assert_array_equal(result.returns, again.returns)
    with pytest.raises(ValueError, match="episodes must be 1 or more, not 0"):
        evaluate_hospital(env_id, hospital_policies(env_id)["random"](), episodes=0)


@every_id
def test_cards_name_their_policies_and_an_ordered_scale(env_id: str) -> None:
    card = hospital_card(env_id)
    names = hospital_policies(env_id)
    assert {card.floor_policy, card.protocol_policy, card.ceiling_policy} <= set(names)
    assert next(iter(names)) == card.floor_policy == "random"
    assert card.scores.floor < card.scores.protocol <= card.scores.ceiling
    assert make_task(env_id).id == env_id


@every_id
def test_a_task_can_be_pickled_for_another_process(env_id: str) -> None:
    env = make(env_id, **SHORT[env_id][0])
    env.reset(seed=1)
    name = type(env.unwrapped)
    assert pickle.loads(pickle.dumps(name)) is name
