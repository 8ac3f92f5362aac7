"""Every environment in every mode, and fixed courses through them that tests compare to the bit."""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from medsim.registry import ENVIRONMENTS, make_task

Options = dict[str, Any]
MODES = ("observation", "action")  # options whose every value is tried, in every combination
MORE_SETTINGS: dict[str, list[Options]] = {  # other ways to run an environment that its contracts must survive
    "medsim/Glucose-v0": [
        {"bolus": True, "sensor_dropout": 0.3, "pump_occlusions_per_day": 4.0, "unannounced_meal": 0.5},
        {"action": "continuous", "bolus": True, "observation": "full", "pump_occlusions_per_day": 4.0, "step_minutes": 3},
        {"compat": "simglucose"},
    ],
    "medsim/Sepsis-v0": [
        {"antibiotics": "agent", "reward": "shaped", "step_hours": 2},
        {"antibiotics": "agent", "action": "continuous", "deaths": "expected", "step_hours": 4},
        {"cohort": "shifted", "antibiotic_delay_h": 6.0},
        {"observation": "multimodal", "xray": "agent", "antibiotics": "agent", "scanner": "b", "step_hours": 2},
        {"observation": "multimodal", "xray": "agent", "action": "continuous", "xray_hours": 12, "step_hours": 4},
    ],
    "medsim/SepsisSCM-v0": [
        {"version": "icml2019", "cohort": "shifted"},
        {"horizon": "infinite", "observation": "full"},
        {"horizon": "infinite", "diabetes": 0.0},
    ],
    "medsim/ICUSepsis-v0": [{"inadmissible": "terminate"}, {"observation": "vector", "cohort": "test"}],
}
HARSH: dict[str, Options] = {  # settings under which random actions end many episodes early
    "medsim/Glucose-v0": {"action": "continuous", "bolus": True, "sensor_dropout": 0.2, "pump_occlusions_per_day": 6.0},
    "medsim/Sepsis-v0": {"action": "continuous", "cohort": "shifted"},
    "medsim/SepsisSCM-v0": {"observation": "full", "cohort": "test"},
    "medsim/ICUSepsis-v0": {"cohort": "shifted", "observation": "vector"},
}
TESTED = tuple(one for one in ENVIRONMENTS if one.available)  # test_contract.py skips, and names, the ones whose package is not installed
FINITE = ("medsim/SepsisSCM-v0", "medsim/ICUSepsis-v0")  # so few states that two patients may well look the same for a step


def allowed(env_id: str, option: str) -> tuple[Any, ...]:
    fields = {field.name: field for field in dataclasses.fields(make_task(env_id).config)}
    return tuple(fields[option].metadata["allowed"]) if option in fields else ()


def settings_of(env_id: str) -> list[Options]:
    modes = [[(option, value) for value in allowed(env_id, option)] for option in MODES if allowed(env_id, option)]
    return [dict(combination) for combination in itertools.product(*modes)] + MORE_SETTINGS.get(env_id, [])


def described(options: Options) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items()) or "defaults"


CASES = [(card.id, options) for card in TESTED for options in settings_of(card.id)]
CASE_NAMES = [f"{env_id}:{described(options)}" for env_id, options in CASES]


def scrambled(numbers: np.ndarray) -> np.ndarray:
    """Return a uniform number in [0, 1) for each whole number (the finaliser of splitmix64)."""
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(11), dtype=np.float64) * 2.0**-53


def actions_at(space: spaces.Space[Any], slots: Sequence[int] | np.ndarray, step: int) -> np.ndarray:
    """Return the legal actions of a step, fixed by slot and step alone; every fourth slot acts boldly, the ones after it timidly."""
    slots = np.asarray(slots)
    size = 1 if isinstance(space, spaces.Discrete) else len(space.low)
    draws = scrambled((slots[:, None] * 100_003 + step) * 7 + np.arange(size) + 1)
    squarings = np.array([0, 1, 5, 8])[slots % 4][:, None]  # and no power: its last bits differ between machines
    for k in range(8):
        draws = np.where(k < squarings, draws * draws, draws)
    if isinstance(space, spaces.Discrete):
        return np.asarray(draws[:, 0] * int(space.n), dtype=np.int64)
    return np.asarray(space.low + draws * (space.high - space.low), dtype=space.dtype)


def arrays_in(value: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield every array within tuples and dicts."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from arrays_in(part, f"{name}/{key}")
    elif isinstance(value, tuple):
        for key, part in enumerate(value):
            yield from arrays_in(part, f"{name}/{key}")


def flat(observation: Any, *, batch: bool = False) -> np.ndarray:
    """Return an observation, or a batch of them, as rows of numbers: the arrays of a dict one after the other, by name."""
    if not isinstance(observation, dict):
        array = np.asarray(observation)
        return array[..., None] if array.ndim == int(batch) else array  # of a Discrete space: rows of one number
    parts = [array.reshape(len(array) if batch else 1, -1) for _, array in sorted(observation.items())]
    rows = np.concatenate(parts, axis=1, dtype=np.float32)
    return rows if batch else rows[0]


def bounds(space: spaces.Space[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of every number of a flat observation."""
    if isinstance(space, spaces.Dict):
        return tuple(flat({name: getattr(part, end) for name, part in space.items()}) for end in ("low", "high"))  # type: ignore[return-value]
    if isinstance(space, spaces.Discrete):
        return np.zeros(1), np.full(1, space.n - 1)
    return space.low, space.high  # type: ignore[attr-defined]


def met(env: Any, **reset: Any) -> np.ndarray:
    """Return what tells patients from others: the first observation, or, where there are few different ones, those of 40 steps."""
    batch = hasattr(env, "num_envs")
    seen, ended = [flat(env.reset(**reset)[0], batch=batch)], False
    for step in range(40 if env.spec.id in FINITE else 0):
        actions = actions_at(getattr(env, "single_action_space", env.action_space), np.arange(getattr(env, "num_envs", 1)), step)
        if ended and not batch:
            observation, ended = env.reset()[0], False
        else:
            observation, _, terminated, truncated, _ = env.step(actions if batch else actions[0])
            ended = not batch and (terminated or truncated)
        seen.append(flat(observation, batch=batch))
    return np.stack(seen)


def part_names(task: Any) -> list[str]:
    """Return the names of the numbers of a flat observation; in a chart's, those that are empty for ever end in ``(empty)``."""
    chart = getattr(task, "chart", None)
    if chart is None:
        return list(task.view.names)
    columns = [name if name in chart.produced else f"{name} (empty)" for name in chart.names]
    who = [static.name if static.name in chart.known else f"{static.name} (empty)" for static in chart.statics]
    rows = range(1 - chart.hours, 1)
    grid = [f"{row} h {name}" for row in rows for name in columns]
    given = [f"{row} h {column.name}" for row in rows for column in chart.treatments]
    camera = getattr(task, "camera", None)  # a picture's corners may stay dark
    pictures = [] if camera is None else [*["pixel (empty)"] * math.prod(camera.shape), "image_age_h"]
    return [*who, *(f"{static.name} known (empty)" for static in chart.statics), *grid * 3, *pictures, "time_h", *given]


class Course:
    """What happened step by step: obs (steps + 1, n, d), the rest (steps, n); costs and terms with their names' axis last."""

    def __init__(self, first_obs: Any, *, batch: bool = False) -> None:
        self.batch = batch
        self.obs, self.rewards, self.costs, self.terms = [flat(first_obs, batch=batch)], [], [], []
        self.terminated, self.truncated = [], []

    def add(self, obs: Any, reward: Any, terminated: Any, truncated: Any, info: dict[str, Any]) -> None:
        self.obs.append(flat(obs, batch=self.batch))
        self.rewards.append(reward)
        self.costs.append(np.stack([*info["costs"].values(), info["cost"]], axis=-1))
        self.terms.append(np.stack([*info["reward_terms"].values()], axis=-1))
        self.terminated.append(terminated)
        self.truncated.append(truncated)

    def arrays(self) -> dict[str, np.ndarray]:
        kinds = {"obs": self.obs[0].dtype, "rewards": np.float64, "costs": np.float64, "terms": np.float64}
        kinds |= {"terminated": np.bool_, "truncated": np.bool_}
        return {name: np.array(getattr(self, name), dtype=kind) for name, kind in kinds.items()}


def play_one(env_id: str, options: Options, steps: int, *, seed: int = 1, slot: int = 0) -> dict[str, np.ndarray]:
    """Return the course of one patient; the step after an episode's end begins the next, as vector environments have it."""
    env = gym.make(env_id, **options)
    obs, info = env.reset(seed=seed, options={"slot": slot})
    course, ended = Course(obs), False
    for step in range(steps):
        if ended:
            obs, info = env.reset()
            course.add(obs, 0.0, False, False, info)
            ended = False
        else:
            obs, reward, terminated, truncated, info = env.step(actions_at(env.action_space, [slot], step)[0])
            course.add(obs, reward, terminated, truncated, info)
            ended = terminated or truncated
    return course.arrays()


def play_batch(env_id: str, options: Options, steps: int, n: int, *, seed: int = 1, threads: int = 1) -> dict[str, np.ndarray]:
    """Return the courses of slots 0 to n - 1."""
    env = gym.make_vec(env_id, num_envs=n, threads=threads, **options)
    course = Course(env.reset(seed=seed)[0], batch=True)
    for step in range(steps):
        course.add(*env.step(actions_at(env.single_action_space, np.arange(n), step)))
    return course.arrays()


def patient_of(course: dict[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    return {name: values[:, k] for name, values in course.items()}


def fingerprint(course: dict[str, np.ndarray]) -> str:
    """Return a hash of every bit of a course."""
    digest = hashlib.sha256()
    for name, values in sorted(course.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def equal_to_the_bit(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return fingerprint(a) == fingerprint(b)
