"""Whatever an agent does and whatever goes wrong, ``medsim/Glucose-v0`` stays physical; and insulin lowers glucose."""

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medsim.treatments.glucose import GlucoseConfig, own_basal_u_per_min, simulate
from medsim.treatments.glucose.definition import patients
from medsim.treatments.glucose.objective import risk
from tests.courses import Options

ENV_ID = "medsim/Glucose-v0"
NAMES, _ = patients()
AMOUNTS = ("qsto1_mg", "qsto2_mg", "qgut_mg", "ip_pmol_per_kg", "il_pmol_per_kg", "isc1_pmol_per_kg", "isc2_pmol_per_kg", "i1_pmol_per_l")
modest = settings(derandomize=True, deadline=None, max_examples=60)

FAULTS: Options = {"sensor_dropout": 0.5, "pump_occlusions_per_day": 12.0, "unannounced_meal": 0.3, "cohort": "shifted"}
WAYS_TO_ACT: list[Options] = [
    {"action": "discrete"},
    {"action": "discrete", "bolus": True, "observation": "full"},
    {"action": "continuous"},
    {"action": "continuous", "bolus": True},
    {"action": "continuous", "bolus": True, "observation": "full", "step_minutes": 1, "fidelity": "fast"},
    {"compat": "simglucose"},
]

held_actions = st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(1, 60)), min_size=1, max_size=8)
scripts = st.lists(st.tuples(st.integers(0, 1439), st.floats(0.0, 500.0)), max_size=6)
seeds = st.one_of(st.integers(0, 2**32), st.integers(2**63, 2**70))


def as_action(space: spaces.Space[Any], first: float, second: float) -> Any:
    """Return the action at two coordinates of a space, each from 0 to 1, ends included."""
    if isinstance(space, spaces.Discrete):
        return min(int(first * int(space.n)), int(space.n) - 1)
    assert isinstance(space, spaces.Box)
    return space.low + np.array([first, second], dtype=np.float32)[: len(space.low)] * (space.high - space.low)


def check(env: gym.Env[Any, Any], observation: np.ndarray, info: dict[str, Any]) -> None:
    space = env.observation_space
    assert isinstance(space, spaces.Box)
    outside = ~((observation >= space.low) & (observation <= space.high))
    assert not outside.any(), [(env.unwrapped.task.view.names[k], float(observation[k])) for k in np.flatnonzero(outside)]  # type: ignore[attr-defined]
    state = info["state"]
    assert np.isfinite(list(state.values())).all()
    assert min(state[name] for name in AMOUNTS) >= -1e-9, {name: state[name] for name in AMOUNTS}
    assert min(*info["costs"].values(), info["cost"], state["insulin_delivered_u"], state["carbs_g"]) >= 0.0


def play(options: Options, seed: int, held: list[tuple[float, float, int]], reset_options: Options) -> None:
    env = gym.make(ENV_ID, expose_state=True, **options)
    observation, info = env.reset(seed=seed, options=reset_options)
    check(env, observation, info)
    for first, second, repeats in held:
        action = as_action(env.action_space, first, second)
        for _ in range(repeats):
            observation, reward, terminated, truncated, info = env.step(action)
            check(env, observation, info)
            assert np.isfinite(reward)
            if "compat" not in options:
                assert -1.0 <= info["reward_terms"]["risk"] <= 0.0
            if terminated or truncated:
                return


@modest
@given(st.sampled_from(WAYS_TO_ACT), seeds, held_actions)
@example(WAYS_TO_ACT[3], 0, [(1.0, 1.0, 60)])
@example(WAYS_TO_ACT[3], 0, [(0.0, 0.0, 60)] * 5)
def test_no_sequence_of_legal_actions_leaves_what_is_possible(options: Options, seed: int, held: list[tuple[float, float, int]]) -> None:
    faults = {} if "compat" in options else FAULTS
    play({**faults, **options}, seed, held, {})


@modest
@given(st.sampled_from(WAYS_TO_ACT), held_actions, st.sampled_from(NAMES), scripts)
@example(WAYS_TO_ACT[2], [(0.05, 0.0, 60)], "child#001", [(0, 500.0)] * 6)
@example(WAYS_TO_ACT[4], [(0.0, 0.0, 60)] * 5, "adult#009", [(0, 500.0)] * 6)
def test_no_diet_leaves_what_is_possible(
    options: Options, held: list[tuple[float, float, int]], name: str, script: list[tuple[int, float]]
) -> None:
    play(options, 1, held, {"patient": name, "meals": script})


def values_of(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Return the values that an option allows."""
    if "allowed" in field.metadata:
        return st.sampled_from(field.metadata["allowed"])
    low, high = field.metadata["range"]
    return st.floats(low, high)


free = [field for field in dataclasses.fields(GlucoseConfig) if field.name not in ("compat", "expose_state")]


@modest
@given(st.fixed_dictionaries({}, optional={field.name: values_of(field) for field in free}), seeds, held_actions)
def test_no_combination_of_options_leaves_what_is_possible(options: Options, seed: int, held: list[tuple[float, float, int]]) -> None:
    play(options, seed, held, {})


insulin_courses = st.lists(st.tuples(st.floats(0.0, 4.0), st.integers(20, 200)), min_size=1, max_size=5)
few_meals = st.lists(st.tuples(st.integers(0, 300), st.floats(0.0, 100.0)), max_size=3)


@modest
@given(st.sampled_from(NAMES), insulin_courses, few_meals, st.integers(0, 300), st.floats(0.05, 10.0))
def test_more_insulin_never_gives_a_higher_glucose(
    name: str, course: list[tuple[float, int]], meals: list[tuple[int, float]], minute: int, extra_u: float
) -> None:
    insulin = np.concatenate([np.full(minutes, own_basal_u_per_min(name) * multiple) for multiple, minutes in course])
    more = insulin.copy()
    more[min(minute, len(more) - 1)] += extra_u
    less_treated, treated = (simulate(name, doses, meals).plasma_glucose_mg_per_dl.to_numpy() for doses in (insulin, more))
    lived = np.cumsum(treated < 1.0) == 0  # below that, the model has nothing to say
    assert (treated[lived] <= less_treated[lived] + 1e-9).all()
    after = min(minute, len(more) - 1) + 30
    if after < lived.sum():
        assert treated[after] < less_treated[after]


@modest
@given(st.floats(0.1, 1000.0), st.floats(0.1, 1000.0))
def test_the_risk_grows_with_the_distance_from_112_5_on_either_side(a: float, b: float) -> None:
    near, far = sorted((a, b), key=lambda glucose: abs(np.log(glucose / 112.517)))
    if (near - 112.517) * (far - 112.517) > 0.0:
        assert 0.0 <= risk(near) <= risk(far) <= 100.0
