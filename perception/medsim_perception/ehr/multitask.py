"""The recipe `ehr-multitask`: the hidden state of a simulated patient, and what comes next, from the chart of 24 hours.

It learns from training patients of `medsim/Sepsis-v0` under protocols and under the treatments of agents that are still learning, with
both kinds of lungs, steps of 1, 2 and 4 hours, norepinephrine by the agent or by nurses, and antibiotics on the patient's or the agent's
clock, and is judged on test patients, who are other people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim.core.charts import positions
from medsim.treatments.sepsis.chart import SEPSIS_CHART
from medsim_perception.ehr.encoder import CREATININE_H, LARGEST_LOG_SD, SHOCK_H, SMALLEST_LOG_SD, TARGETS, ChartEncoder
from medsim_perception.ehr.labels import dies_within, happens_within, last_value_within, shock_hours
from medsim_perception.ehr.simulated import HIDDEN, Courses, observations, simulate
from medsim_perception.metrics import auprc, auroc, brier, calibration_error, r_squared
from medsim_perception.recipe import Recipe
from medsim_perception.supervised import SupervisedLearner

__all__ = ["PATIENTS", "TEST_SEED", "Cohort", "cohort", "judge", "labels", "loss_of", "recipe"]

KINDS: tuple[tuple[float, Mapping[str, Any]], ...] = (
    (0.30, {"lungs": "varied"}),
    (0.15, {"lungs": "typical"}),
    (0.10, {"lungs": "varied", "step_hours": 2}),
    (0.10, {"lungs": "varied", "step_hours": 4}),
    (0.25, {"lungs": "varied", "step_hours": 4, "norepinephrine": "nurses"}),
    (0.10, {"lungs": "varied", "antibiotics": "agent"}),
)
"""Shares of training patients and the environment they live in (chosen)."""
PATIENTS, STEPS, BATCH = 10_000, 6000, 256
TRAIN_SEED, TEST_SEED = 510_000, 990_000  # a training's patients have the seed TRAIN_SEED + its own seed, of cohort "train"; tests: "test"
JUDGED, JUDGED_WINDOWS = 1500, 6  # test patients, and windows of each
OUTLIER = 6.0  # chosen: standardised targets beyond are cut, for training only

Labels = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Cohort:
    """Courses with what is to be learnt from them at every hour, (n, 73) or (n, 73, targets); NaN where unknown."""

    courses: Courses
    labels: Labels

    def batch(self, patients: NDArray[np.int64], hours: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], Labels]:
        """Observations and labels of these patients at these hours."""
        return observations(self.courses, patients, hours), {name: table[patients, hours] for name, table in self.labels.items()}


def labels(courses: Courses) -> Labels:
    """What is asked at every hour of these courses; NaN where it is not known, or the patient is not there to be asked about."""
    at = [SEPSIS_CHART.produced.index(name) for name in ("map", "lact", "crea")]
    values = np.where(courses.mask, courses.values, np.nan)
    pressure, lactate, creatinine = (values[..., i] for i in at)
    shock = shock_hours(pressure, lactate, courses.treatment[..., 1])
    state = courses.hidden.copy()
    state[..., HIDDEN.index("fluid_excess_ml")] /= courses.demographics[:, None, weight_at()]
    made: Labels = {"state": state}
    columns: dict[str, list[NDArray[Any]]] = {"mortality": [], "shock": [], "creatinine": []}
    for hour in range(state.shape[1]):
        now = np.full(len(courses), hour)
        columns["mortality"].append(dies_within(np.maximum(courses.died_h, hour), now))
        columns["shock"].append(happens_within(shock, now, courses.last_h, SHOCK_H))
        columns["creatinine"].append(last_value_within(creatinine, now, CREATININE_H))
    there = ~np.isnan(state[..., 0])
    for name, many in columns.items():
        made[name] = np.where(there, np.stack(many, axis=1), np.nan).astype(np.float32)
    return made


def weight_at() -> int:
    """The column of the weight in the demographics."""
    return int(positions(("weight",), SEPSIS_CHART.statics)[0])


@lru_cache(maxsize=4)
def cohort(n: int, seed: int, name: str) -> Cohort:
    """n patients of the cohort `train` or `test`, of all kinds, with labels; kept in memory, not to be changed."""
    shares = np.cumsum([share for share, _ in KINDS])
    ends = [0, *(round(n * float(share / shares[-1])) for share in shares)]
    parts = []
    for (_, options), start, stop in zip(KINDS, ends[:-1], ends[1:], strict=True):
        if stop > start:
            parts.append(simulate(stop - start, seed, cohort=name, first_patient=start, **options))
    courses = joined(parts)
    return Cohort(courses, labels(courses))


def joined(parts: list[Courses]) -> Courses:
    """Courses of several parts as one."""
    names = ("values", "mask", "hours_since", "treatment", "demographics", "hidden", "last_h", "died_h")
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **arrays)


def fit_scales(model: ChartEncoder, training: Cohort, rng: np.random.Generator) -> None:
    """Take centres and spreads from training patients."""
    patients = rng.integers(len(training.courses), size=4096)
    hours = (rng.random(4096) * (training.courses.last_h[patients] + 1)).astype(np.int64)
    seen, asked = training.batch(patients, hours)
    model.net.fit_scales(*model.inputs({name: torch.from_numpy(array) for name, array in seen.items()}))
    targets = np.concatenate([asked["state"], asked["creatinine"][:, None]], axis=-1)
    model.target_centre.copy_(torch.from_numpy(np.nanmean(targets, axis=0)))
    model.target_spread.copy_(torch.from_numpy(np.nanstd(targets, axis=0)))


def loss_of(model: ChartEncoder, seen: dict[str, Tensor], asked: dict[str, Tensor]) -> Tensor:
    """Gaussian likelihoods of the state and of creatinine, cross-entropies of death and shock; what is unknown counts nothing."""
    heads = model(seen)
    targets = torch.cat([asked["state"], asked["creatinine"][:, None]], dim=-1)
    targets = ((targets - model.target_centre) / model.target_spread).clamp(-OUTLIER, OUTLIER)
    loss = _gaussian(heads["state"], targets[:, :-1]) + _gaussian(heads["creatinine"], targets[:, -1:])
    for name in ("mortality", "shock"):
        known = ~torch.isnan(asked[name])
        loss = loss + functional.binary_cross_entropy_with_logits(heads[name][known, 0], asked[name][known])
    return loss


def _gaussian(outputs: Tensor, targets: Tensor) -> Tensor:
    mean, log_sd = outputs.chunk(2, dim=-1)
    log_sd = log_sd.clamp(SMALLEST_LOG_SD, LARGEST_LOG_SD)
    known = ~torch.isnan(targets)
    error = (torch.nan_to_num(targets) - mean) * torch.exp(-log_sd)
    return ((0.5 * error.square() + log_sd) * known).sum() / known.sum().clamp(min=1)


def begin(
    seed: int, device: torch.device, *, core: str = "lstm", width: int = 48, patients: int = PATIENTS, steps: int = STEPS
) -> SupervisedLearner:
    """A training of that seed."""
    training = cohort(patients, TRAIN_SEED + seed, "train")
    torch.manual_seed(seed)
    model = ChartEncoder(core, width)
    fit_scales(model, training, np.random.default_rng((seed, 7)))

    def sample(rng: np.random.Generator, size: int) -> tuple[dict[str, NDArray[Any]], Labels]:
        who = rng.integers(len(training.courses), size=size)
        return training.batch(who, asked_hours(training.courses, who, rng))

    return SupervisedLearner(
        model, sample, loss_of, seed=seed, device=device, steps=steps, batch_size=BATCH, learning_rate=4e-3, averaging=0.995
    )


def asked_hours(courses: Courses, patients: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """An hour of each course at which its patient is seen by whoever decides: any hour that was charted as the end of a step."""
    hours = (rng.random(len(patients)) * (courses.last_h[patients] + 1)).astype(np.int64)
    there = ~np.isnan(courses.hidden[patients, :, 0])
    before = np.maximum.accumulate(np.where(there, np.arange(there.shape[1]), 0), axis=1)
    return np.asarray(np.take_along_axis(before, hours[:, None], axis=1)[:, 0])


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Metrics on test patients: R2 of the hidden state and coverage of its 90 % intervals, AUROC and others of the risks."""
    if not isinstance(model, ChartEncoder):
        raise TypeError(f"judge needs a ChartEncoder, not {type(model).__name__}")
    seen, asked = judged()
    with torch.no_grad():
        reading = model.eval().read({name: torch.from_numpy(array).to(device) for name, array in seen.items()})
    found: dict[str, float] = {}
    mean, sd = (part.cpu().numpy() for part in reading.state)
    for i, name in enumerate(TARGETS):
        found[f"r2_{name}"] = r_squared(asked["state"][:, i], mean[:, i])
    found["coverage_90"] = float((np.abs(asked["state"] - mean) <= 1.6449 * sd).mean())
    for name, scores in (("mortality", reading.mortality.cpu().numpy()), ("shock", reading.shock.cpu().numpy())):
        known = ~np.isnan(asked[name])
        y, p = asked[name][known], scores[known]
        found |= {f"auroc_{name}": auroc(y, p), f"auprc_{name}": auprc(y, p), f"brier_{name}": brier(y, p)}
        found[f"calibration_error_{name}"] = calibration_error(y, p)
    known = ~np.isnan(asked["creatinine"])
    found["r2_creatinine_ahead"] = r_squared(asked["creatinine"][known], reading.creatinine.mean.cpu().numpy()[known])
    return found


@lru_cache(maxsize=1)
def judged() -> tuple[dict[str, NDArray[Any]], Labels]:
    """The windows of test patients that every network is judged on."""
    test = cohort(JUDGED, TEST_SEED, "test")
    rng = np.random.default_rng(11)
    who = np.repeat(np.arange(JUDGED), JUDGED_WINDOWS)
    return test.batch(who, asked_hours(test.courses, who, rng))


def recipe() -> Recipe:
    """How `ehr-multitask` is made."""
    return Recipe(
        name="ehr-multitask",
        question="From 24 hours of a septic patient's chart: the hidden state with its uncertainty, death, shock, creatinine to come",
        data="simulated patients of medsim/Sepsis-v0, cohort train",
        licence="Apache-2.0",
        build=ChartEncoder,
        begin=begin,
        judge=judge,
    )
