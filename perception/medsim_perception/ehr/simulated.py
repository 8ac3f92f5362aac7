"""Simulated patients' charts to learn from: whole courses of `medsim/Sepsis-v0` under a mix of policies, with the hidden state beside them.

A course is simulated twice in lockstep with the same random streams: once as the bedside sees it, for policies to act on, and once as a
chart. Who is treated how is drawn for each patient, so that a network cannot read the policy instead of the patient. Windows of 24 h cut
out of the courses are the environment's own observations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsim.core.charts import NEVER_H, positions
from medsim.treatments.sepsis.chart import SEPSIS_CHART

__all__ = ["ARMS", "HIDDEN", "SENSIBLE_ARMS", "WINDOW_H", "Courses", "observations", "simulate"]

WINDOW_H, COURSE_H = SEPSIS_CHART.hours, 72
HIDDEN = (
    "lung_water_ml_per_kg", "damage", "fluid_excess_ml", "sofa", "map_unsupported_mmhg",
    "map_mmhg", "lactate_mmol_per_l", "creatinine_mg_per_dl", "inflammation",
)  # fmt: skip
SENSIBLE_ARMS: Mapping[str, float] = {"surviving-sepsis": 2.0, "restrictive": 1.0, "liberal": 1.0, "map-80": 1.0, "adaptive": 1.0}
ARMS: Mapping[str, float] = {**SENSIBLE_ARMS, "no-treatment": 0.2, "noisy": 1.5, "sticky": 2.0, "hourly": 1.5}
"""Shares of patients (chosen): protocols, and what an agent that is still learning does. `noisy` is the adaptive rule with doses times a
random factor, `sticky` draws levels of the discrete grid anew about every four steps, `hourly` at every step."""

MOST = (1000.0, 2.0)  # mL/h, mcg/kg/min: the environment's limits of doses

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Courses:
    """Courses of n patients, hours 0 to 72; rows after the end of a course repeat nothing: they are empty."""

    values: Floats  # (n, 73, produced columns), 0 where not measured
    mask: NDArray[np.bool_]  # the same shape
    hours_since: Floats  # the same shape
    treatment: Floats  # (n, 73, 3)
    demographics: Floats  # (n, 4), 0 where unknown
    hidden: Floats  # (n, 73, HIDDEN), NaN after the end
    last_h: NDArray[np.int64]  # (n,): the last hour of the course
    died_h: Floats  # (n,): hour of death, infinite where alive at day 28
    key: tuple[str, int]  # cohort and seed: no patient is in two of them

    def __len__(self) -> int:
        return len(self.last_h)


def simulate(
    n: int, seed: int, *, cohort: str = "train", arms: Mapping[str, float] = ARMS, first_patient: int = 0, **options: Any
) -> Courses:
    """Courses of n patients of a cohort; the same arguments give the same numbers.

    Args:
        arms: shares of policies; options: more of the environment's, such as `lungs="varied"` or `step_hours=4`.
        first_patient: slot of the first patient, so that parts of a seed's patients can be had apart.

    Raises ValueError for an unknown arm.
    """
    from medsim.treatments.sepsis.environment import SepsisVectorEnv

    unknown = [name for name in arms if name not in ARMS]
    if unknown or n < 1:
        raise ValueError(f"n must be 1 or more and arms among {', '.join(ARMS)}, not n={n}, {', '.join(unknown)}")
    shared: dict[str, Any] = {**options, "cohort": cohort, "action": "continuous", "autoreset_mode": "disabled", "num_envs": n}
    bedside, chart = SepsisVectorEnv(observation="vector", **shared), SepsisVectorEnv(observation="ehr", expose_state=True, **shared)
    for env in (bedside, chart):
        env.batch.seed(seed, np.arange(first_patient, first_patient + n))
        env._seeded = True
        env.reset()
    caregivers = _Caregivers(bedside, arms, np.random.default_rng((seed, first_patient, 1)))
    return _record(bedside, chart, caregivers, (cohort, seed))


def _record(bedside: Any, chart: Any, caregivers: _Caregivers, key: tuple[str, int]) -> Courses:
    n, step_h = chart.num_envs, int(chart.task.step_h)
    at, hours = positions(SEPSIS_CHART.produced, SEPSIS_CHART.columns), COURSE_H + 1
    shape = (n, hours, len(at))
    values, mask, since = np.zeros(shape, np.float32), np.zeros(shape, np.bool_), np.full(shape, NEVER_H, np.float32)
    treatment = np.zeros((n, hours, len(SEPSIS_CHART.treatments)), np.float32)
    hidden = np.full((n, hours, len(HIDDEN)), np.nan, np.float32)
    last_h, died_h = np.zeros(n, np.int64), np.full(n, np.inf, np.float32)
    running = np.ones(n, np.bool_)
    demographics = chart.observations()["demographics"]
    for hour in range(0, hours, step_h):
        seen = chart.observations()
        rows = slice(max(hour - step_h + 1, 0), hour + 1)
        new = slice(-(rows.stop - rows.start), None)
        values[running, rows], mask[running, rows] = seen["ehr"][running, new][..., at], seen["ehr_mask"][running, new][..., at] == 1
        since[running, rows], treatment[running, rows] = seen["ehr_hours_since"][running, new][..., at], seen["treatment"][running, new]
        state = chart._info(chart.batch.out)["state"]
        hidden[running, hour] = np.stack([state[name] for name in HIDDEN], axis=-1)[running]
        last_h[running] = hour
        if hour + step_h > COURSE_H:
            break
        actions = caregivers.act(bedside.observations())
        bedside.step_running(actions)
        ended = chart.step_running(actions) & running
        info = chart._info(chart.batch.out)
        names = np.array(chart.outcomes)[info["outcome"]]
        dead = ended & np.char.startswith(names.astype(str), "died")
        died_h[dead] = info["outcome_time_h"][dead]
        running &= ~(ended & (names == "died_within_72_h"))
        if not running.any():
            break
    return Courses(values, mask, since, treatment, demographics, hidden, last_h, died_h, key)


class _Caregivers:
    """One policy for each patient; `act` returns doses (n, numbers of an action)."""

    def __init__(self, bedside: Any, arms: Mapping[str, float], generator: np.random.Generator) -> None:
        from medsim.policies.sepsis import POLICIES

        shares = np.array(list(arms.values())) / sum(arms.values())
        self.names: Sequence[str] = list(arms)
        self.arm = generator.choice(len(arms), size=bedside.num_envs, p=shares)
        self.generator = generator
        self.policies = {name: POLICIES["adaptive" if name == "noisy" else name]() for name in arms if name not in ("sticky", "hourly")}
        for policy in self.policies.values():
            policy.begin(bedside)
        self.width = bedside.single_action_space.shape[0]  # 1: nurses titrate norepinephrine; 3: antibiotics are the agent's too
        self.levels = self._drawn_levels(bedside.num_envs)

    def act(self, seen: NDArray[Any]) -> NDArray[np.float64]:
        n = len(seen)
        fresh = self._drawn_levels(n)
        actions = fresh.copy()
        changed = self.generator.random(n) < 0.25  # chosen: a mean stay of four steps on a level
        self.levels[changed] = fresh[changed]
        factor = np.exp(0.5 * self.generator.standard_normal((n, 2)))
        for number, name in enumerate(self.names):
            who = self.arm == number
            if name == "sticky":
                actions[who] = self.levels[who]
            elif name in self.policies:
                actions[who] = self.policies[name].act(seen)[who, : self.width]
                if name == "noisy":
                    actions[who, :2] = np.minimum(actions[who, :2] * factor[who, : self.width], MOST[: self.width])
        return actions

    def _drawn_levels(self, n: int) -> NDArray[np.float64]:
        from medsim.treatments.sepsis.definition import FLUID_LEVELS_ML_PER_H, LEVELS, NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN

        index = self.generator.integers(LEVELS, size=(2, n))
        doses = [np.take(FLUID_LEVELS_ML_PER_H, index[0]), np.take(NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN, index[1])]
        more = [self.generator.random(n) < 0.3] if self.width == 3 else []
        return np.stack([*doses, *more], axis=-1).astype(np.float64)[:, : self.width]


def observations(courses: Courses, patients: NDArray[np.int64], hours: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The environment's observations of these patients at these hours, (len(patients), ...) each; see `medsim.core.charts`."""
    rows = hours[:, None] + np.arange(1 - WINDOW_H, 1)  # (b, 24)
    before, at = rows < 0, positions(SEPSIS_CHART.produced, SEPSIS_CHART.columns)
    who, rows = patients[:, None], np.maximum(rows, 0)
    shape = (len(patients), WINDOW_H, len(SEPSIS_CHART.columns))
    values, mask, since = np.zeros(shape, np.float32), np.zeros(shape, np.uint8), np.full(shape, NEVER_H, np.float32)
    values[..., at] = np.where(before[..., None], 0.0, courses.values[who, rows])
    mask[..., at] = courses.mask[who, rows] & ~before[..., None]
    since[..., at] = np.where(before[..., None], NEVER_H, courses.hours_since[who, rows])
    known = np.isin([c.name for c in SEPSIS_CHART.statics], SEPSIS_CHART.known)
    return {
        "demographics": courses.demographics[patients],
        "demographics_mask": np.broadcast_to(known, (len(patients), len(known))).astype(np.uint8),
        "ehr": values,
        "ehr_hours_since": since,
        "ehr_mask": mask,
        "time_h": hours[:, None].astype(np.float32),
        "treatment": np.where(before[..., None], 0.0, courses.treatment[who, rows]).astype(np.float32),
    }
