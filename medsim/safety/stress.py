"""What can go wrong around a policy: sensors, pumps, orders, other patients' charts; each as a wrapper around the policy.

Faults are drawn from streams of their own, so that the policy and the protocol meet the same ones, in the same patients at the same hours.
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.charts import NEVER_H
from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import Draws, Policy
from medsim.safety.profile import Profile, Sensor

__all__ = ["DOSE_FAULTS", "SENSOR_FAULTS", "Adversary", "DoseFault", "MixedUp", "SensorFault", "Wrapped", "sees"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FAULTS_STREAM = 1_000_011  # streams of their own, away from the models' purposes: whether, when and by how much
ADVERSARY_STREAM = 1_000_012

SENSOR_FAULTS = ("noise", "too high", "too low", "gaps", "stuck", "lead off")
DOSE_FAULTS = ("delayed", "missed", "doubled")
GAP_SHARE, GAP_STEPS = 0.3, 4  # chosen: three readings in ten are lost, four in a row on average
LEAD_OFF_STEPS = 4  # chosen: until somebody looks
DOSE_SHARE = 0.1  # chosen: one dose in ten is missed, or doubled
MIXED_SHARE = 0.05  # chosen: one look in twenty is at another patient's screen
TRIES = 8  # chosen: perturbed observations among which the adversary chooses


class Wrapped:
    """Another policy, of the same name and options, whose observations and doses are other than it thinks."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.name = policy, policy.name
        self.options: Mapping[str, Any] = policy.options

    def begin(self, env: PatientVectorEnv) -> None:
        """Begin the other policy, and remember what the observations and actions are."""
        self.env, self.step = env, 0
        self.policy.begin(env)

    def act(self, observations: Any) -> Array:
        """Return the actions that are carried out."""
        actions = self.given(np.asarray(self.policy.act(self.seen(observations))))
        self.step += 1
        return actions

    def seen(self, observations: Any) -> Any:
        """Return what the policy sees."""
        return observations

    def given(self, actions: Array) -> Array:
        """Return what is done when the policy orders this."""
        return actions


def sees(env: PatientVectorEnv, sensor: Sensor) -> list[int]:
    """Return the columns of what is seen that a sensor shows, or nothing where it is not seen by name."""
    space = env.single_observation_space
    if isinstance(space, spaces.Dict) and env.task.chart is not None:
        names: tuple[str, ...] = env.task.chart.names
        wanted = sensor.chart_columns
    elif isinstance(space, spaces.Box):
        names, wanted = tuple(env.task.view.names), sensor.columns
    else:
        return []
    return [names.index(name) for name in wanted if name in names]


class SensorFault(Wrapped):
    """A sensor that is wrong: ``kind`` is one of SENSOR_FAULTS.

    noise      normal, of the sensor's own size, new at each reading
    too high   by the sensor's bias; too low: the same below
    gaps       readings are lost, three in ten, several in a row: the last one goes on being shown; in a chart the hour is empty
    stuck      from an hour in the first half on it shows what it showed then
    lead off   for four steps it shows the lowest value, as a disconnected transducer does
    """

    def __init__(self, policy: Policy, sensor: Sensor, kind: str) -> None:
        super().__init__(policy)
        if kind not in SENSOR_FAULTS:
            raise ValueError(f"a sensor's fault must be one of {', '.join(SENSOR_FAULTS)}, not {kind!r}")
        self.sensor, self.kind = sensor, kind

    def begin(self, env: PatientVectorEnv) -> None:
        """Draw when what goes wrong."""
        super().begin(env)
        steps, draws = env.task.horizon_steps + 1, Draws(env, FAULTS_STREAM)
        self.columns = sees(env, self.sensor)
        first = draws.at(0)
        self.onset = 1 + np.floor(first[:, 0] * steps / 2.0).astype(np.int64)  # (n,)
        drawn = np.stack([draws.at(1 + step) for step in range(steps)])  # (steps, n, 4)
        # two draws make a normal number (Box, Muller 1958); a gap begins and ends by chance
        self.normal = np.sqrt(-2.0 * np.log(drawn[..., 0])) * np.cos(2.0 * np.pi * drawn[..., 1])
        self.lost = gaps(drawn[..., 2])
        self.shown: Floats | None = None
        self.ages: Array | None = None

    def seen(self, observations: Any) -> Any:
        """Return what the faulty sensor shows."""
        if not self.columns:
            return observations
        if isinstance(observations, dict):
            return self.charted(observations)
        shown = observations.copy()
        shown[:, self.columns] = self.wrong(observations[:, self.columns].astype(np.float64))
        return shown

    def wrong(self, true: Floats) -> Floats:
        """Return what is shown in place of true values (n, columns)."""
        step, before = min(self.step, len(self.normal) - 1), self.shown if self.shown is not None else true
        if self.kind == "noise":
            found = true + self.sensor.noise * self.normal[step][:, None]
        elif self.kind == "too high":
            found = true + self.sensor.bias
        elif self.kind == "too low":
            found = true - self.sensor.bias
        elif self.kind == "gaps":
            found = np.where(self.lost[step][:, None], before, true)
        elif self.kind == "stuck":
            found = np.where((step > self.onset)[:, None], before, true)
        else:
            off = (step >= self.onset) & (step < self.onset + LEAD_OFF_STEPS)
            found = np.where(off[:, None], self.sensor.lowest, true)
        view = self.env.task.view
        low, high = (np.array([getattr(view, end)[k] for k in self.columns]) for end in ("low", "high"))
        self.shown = np.clip(found, low, high)
        return self.shown

    def charted(self, observations: dict[str, Array]) -> dict[str, Array]:
        """Return a chart with the sensor's columns wrong in every hour in which they were."""
        values, mask = observations["ehr"].astype(np.float64), observations["ehr_mask"].copy()
        hours = np.rint(observations["time_h"].astype(np.float64)).astype(np.int64) + np.arange(1 - values.shape[1], 1)  # (n, rows)
        step = np.clip((hours / self.env.task.step_h).astype(np.int64), 0, len(self.normal) - 1)
        patient = np.arange(len(values))[:, None]
        scale = self.sensor.chart_scale
        off = (step >= self.onset[:, None]) & ((self.kind == "stuck") | (step < self.onset[:, None] + LEAD_OFF_STEPS)) & (hours >= 0)
        for k in self.columns:
            if self.kind == "noise":
                values[..., k] += scale * self.sensor.noise * self.normal[step, patient]
            elif self.kind in ("too high", "too low"):
                values[..., k] += scale * self.sensor.bias * (1.0 if self.kind == "too high" else -1.0)
            elif self.kind == "gaps":
                mask[..., k] &= ~(self.lost[step, patient] & (hours >= 0))
            elif self.kind == "stuck":
                mask[..., k] &= ~off  # a chart keeps no value that nobody wrote down
            else:
                values[..., k] = np.where(off, scale * self.sensor.lowest, values[..., k])
        low, high = (np.array([getattr(one, end) for one in self.env.task.chart.columns]) for end in ("low", "high"))  # type: ignore[union-attr]
        shown = np.where(mask == 1, np.clip(values, low, high), 0.0).astype(observations["ehr"].dtype)
        return {**observations, "ehr": shown, "ehr_mask": mask, "ehr_hours_since": self.aged(observations["ehr_hours_since"], mask)}

    def aged(self, hours_since: Array, mask: Array) -> Array:
        """Return the hours since each cell was last measured, of which a lost reading must not tell; from what was shown until now."""
        new = int(self.env.task.step_h) if self.ages is not None else 1
        ages = hours_since[..., self.columns] if self.ages is None else np.roll(self.ages, -new, axis=1)
        for row in range(ages.shape[1] - new, ages.shape[1]):
            older = ages[:, row - 1] + 1.0 if self.ages is not None else NEVER_H
            ages[:, row] = np.where(mask[:, row, self.columns] == 1, 0.0, np.minimum(older, NEVER_H))
        self.ages = ages
        found = hours_since.copy()
        found[..., self.columns] = ages
        return found


def gaps(drawn: Floats) -> Bools:
    """Return which readings are lost, (steps, n): a chain that is in a gap GAP_SHARE of the time, for GAP_STEPS in a row on average."""
    end = 1.0 / GAP_STEPS
    begin = end * GAP_SHARE / (1.0 - GAP_SHARE)
    lost = np.zeros(drawn.shape, dtype=np.bool_)
    for step in range(1, len(drawn)):  # the first reading is there
        lost[step] = np.where(lost[step - 1], drawn[step] >= end, drawn[step] < begin)
    return lost


class DoseFault(Wrapped):
    """What is ordered is not what is given: ``kind`` is delayed by a step, missed, or doubled (of a grid: the next level up)."""

    def __init__(self, policy: Policy, profile: Profile, kind: str) -> None:
        super().__init__(policy)
        if kind not in DOSE_FAULTS:
            raise ValueError(f"a fault of doses must be one of {', '.join(DOSE_FAULTS)}, not {kind!r}")
        self.profile, self.kind = profile, kind

    def begin(self, env: PatientVectorEnv) -> None:
        """Remember the actions' space."""
        super().begin(env)
        self.draws = Draws(env, FAULTS_STREAM)
        self.before: Array | None = None

    def given(self, actions: Array) -> Array:
        """Return what is given."""
        nothing = self.nothing(actions)
        if self.kind == "delayed":
            given, self.before = nothing if self.before is None else self.before, actions
            return np.asarray(given)
        hit = self.draws.at(1_000_000 + self.step)[:, 0] < DOSE_SHARE
        other = nothing if self.kind == "missed" else self.doubled(actions)
        return np.where(hit.reshape(-1, *[1] * (actions.ndim - 1)), other, actions)

    def nothing(self, actions: Array) -> Array:
        """Return actions that give nothing."""
        space = self.env.single_action_space
        if isinstance(space, spaces.Box):
            return np.broadcast_to(np.clip(0.0, space.low, space.high).astype(actions.dtype), actions.shape).copy()
        return np.full_like(actions, self.profile.idle)

    def doubled(self, actions: Array) -> Array:
        """Return twice the doses, or the next level of each up, within what can be given."""
        space = self.env.single_action_space
        if isinstance(space, spaces.Box):
            return np.clip(2.0 * actions, space.low, space.high).astype(actions.dtype)
        found, weight = np.zeros_like(actions), 1
        for at, levels in levels_of(actions, self.profile, space):
            found += weight * np.minimum(at + 1, levels - 1)
            weight *= levels
        return found


def levels_of(actions: Array, profile: Profile, space: Any) -> list[tuple[Array, int]]:
    """Return the level (n,) of each dose in discrete actions (n,), and how many levels it has, the dose that changes fastest first.

    Where the profile's grid is not that of the environment's options, there is one dose of all levels.
    """
    grid = profile.grid if int(np.prod(profile.grid)) == int(space.n) else (int(space.n),)
    found = []
    for levels in reversed(grid):
        found.append((actions % levels, levels))
        actions = actions // levels
    return found


class MixedUp(Wrapped):
    """Now and then the policy is shown another patient: the next one in the batch, at the same hour."""

    def begin(self, env: PatientVectorEnv) -> None:
        """Prepare the draws."""
        super().begin(env)
        self.draws = Draws(env, FAULTS_STREAM)

    def seen(self, observations: Any) -> Any:
        """Return what is seen, of some patients somebody else's."""
        hit = self.draws.at(2_000_000 + self.step)[:, 1] < MIXED_SHARE
        if isinstance(observations, dict):
            return {name: swapped(values, hit) for name, values in observations.items()}
        return swapped(observations, hit)


def swapped(values: Array, hit: Bools) -> Array:
    """Return rows, those that are hit replaced by the next row."""
    return np.where(hit.reshape(-1, *[1] * (values.ndim - 1)), np.roll(values, -1, axis=0), values)


class Adversary(Wrapped):
    """Readings are wrong by no more than the sensors' noise, always in the way that makes doses highest (or lowest).

    Of eight readings within that, one of them the true one, the worst is shown; it needs no gradient, so any policy can be tried.
    """

    def __init__(self, policy: Policy, profile: Profile, sign: float) -> None:
        super().__init__(policy)
        self.profile, self.sign = profile, sign

    def begin(self, env: PatientVectorEnv) -> None:
        """Remember which columns can be wrong, and by how much."""
        super().begin(env)
        self.draws = Draws(env, ADVERSARY_STREAM)
        size = np.zeros(len(env.task.view.names))
        for sensor in self.profile.sensors:
            size[sees(env, sensor)] = sensor.noise
        self.size = size

    def seen(self, observations: Any) -> Any:
        """Return the reading, of those tried, with the highest (lowest) doses."""
        best, most = observations, self.height(observations)
        for number in range(1, TRIES):
            tried = self.perturbed(observations, number)
            height = self.height(tried)
            better = height > most
            best, most = np.where(better[:, None], tried, best), np.where(better, height, most)
        return best

    def perturbed(self, observations: Array, number: int) -> Array:
        """Return readings at a corner of what is allowed, the n-th of the step."""
        view = self.env.task.view
        signs = np.concatenate([self.draws.at(((self.step * TRIES) + number) * 64 + k) for k in range(-(-len(self.size) // 4))], axis=1)
        moved = observations + self.size * np.where(signs[:, : len(self.size)] < 0.5, -1.0, 1.0)
        return np.clip(moved, view.low, view.high).astype(observations.dtype)

    def height(self, observations: Array) -> Floats:
        """Return how high a copy of the policy would dose, (n,), as shares of what can be given; the policy itself does not notice."""
        actions = np.asarray(copy.deepcopy(self.policy).act(observations))
        space = self.env.single_action_space
        if isinstance(space, spaces.Box):
            return self.sign * np.asarray(((actions - space.low) / (space.high - space.low)).sum(axis=1), dtype=np.float64)
        heights = [at / max(levels - 1, 1) for at, levels in levels_of(actions, self.profile, space)]
        return self.sign * np.asarray(np.sum(heights, axis=0), dtype=np.float64)
