"""The recipe `triage-acuity`: the true acuity of simulated arrivals, from the chart at the door.

Training and test patients have the streams of different seeds and never meet. Acuities come in the mix of the preset `district-general`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim.hospital.arrival_chart import arrival_chart
from medsim.hospital.draws import key_of
from medsim_perception.metrics import auroc
from medsim_perception.recipe import Recipe
from medsim_perception.supervised import Batch, SupervisedLearner
from medsim_perception.triage.encoder import CATEGORIES, EncoderTriage, TriageNet

__all__ = ["Arrivals", "arrivals", "figures", "judge", "recipe"]

TRAIN_SEED, TEST_SEED = 610_000, 990_000  # a training's arrivals have the seed TRAIN_SEED + its own
PATIENTS, TEST_PATIENTS = 20_000, 10_000
STEPS, BATCH = 1500, 256


class Arrivals(NamedTuple):
    """People at the door: what is charted, and how urgent they are."""

    charts: NDArray[np.float32]  # (n, 8), NaN where not taken
    acuity: NDArray[np.int64]  # (n,), 0 the most urgent


def mix() -> tuple[float, ...]:
    """The shares of acuities at the door of the preset `district-general`."""
    from medsim.hospital.presets import preset

    return next(stream.acuity for stream in preset("district-general").arrivals if stream.unit == "triage")


@lru_cache(maxsize=8)
def arrivals(n: int, seed: int) -> Arrivals:
    """The first n people of a seed."""
    acuity = np.random.default_rng(seed).choice(CATEGORIES, size=n, p=np.array(mix()) / sum(mix()))
    key = key_of(seed)
    charts = np.array([arrival_chart(key, number, int(urgency)) for number, urgency in enumerate(acuity)], dtype=np.float32)
    return Arrivals(charts, acuity)


def begin(seed: int, device: torch.device) -> SupervisedLearner:
    """A training on arrivals of its own."""
    torch.manual_seed(seed)
    people = arrivals(PATIENTS, TRAIN_SEED + seed)
    charts, acuity = torch.from_numpy(people.charts), torch.from_numpy(people.acuity)

    def sample(rng: np.random.Generator, size: int) -> Batch:
        chosen = torch.from_numpy(rng.integers(len(charts), size=size))
        return charts[chosen], acuity[chosen]

    def loss(net: nn.Module, some: Tensor, true: Tensor) -> Tensor:
        return functional.cross_entropy(net(some), true)

    return SupervisedLearner(TriageNet(), sample, loss, seed=seed, device=device, steps=STEPS, batch_size=BATCH, learning_rate=3e-3)


def figures(given: NDArray[np.int64], acuity: NDArray[np.int64]) -> dict[str, float]:
    """How categories (1 to 5) agree with true acuities (from 0): shares, and the weighted kappa (Cohen 1968, squared distances)."""
    late = given - 1 - acuity
    table = np.zeros((CATEGORIES, CATEGORIES))
    np.add.at(table, (acuity, given - 1), 1.0 / len(acuity))
    squared = (np.arange(CATEGORIES)[:, None] - np.arange(CATEGORIES)[None, :]) ** 2
    by_chance = float((squared * np.outer(table.sum(axis=1), table.sum(axis=0))).sum())
    return {
        "accuracy": float((late == 0).mean()),
        "under_triage": float((late > 0).mean()),
        "over_triage": float((late < 0).mean()),
        "urgent_called_urgent": float((given[acuity <= 1] <= 2).mean()),
        "weighted_kappa": 1.0 - float((squared * table).sum()) / by_chance if by_chance > 0.0 else 1.0,
    }


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Figures on test patients, and the area under the curve for the two most urgent acuities."""
    if not isinstance(model, TriageNet):
        raise TypeError(f"judge needs a TriageNet, not {type(model).__name__}")
    people = arrivals(TEST_PATIENTS, TEST_SEED)
    triage = EncoderTriage(model.to("cpu"))
    urgent = triage.probabilities(people.charts)[:, :2].sum(axis=1)
    return {"auroc_urgent": auroc(people.acuity <= 1, urgent), **figures(triage.categories(people.charts), people.acuity)}


def recipe() -> Recipe:
    """How `triage-acuity` is made."""
    return Recipe(
        name="triage-acuity",
        question="From the chart at the door of an emergency department: how urgent is this patient?",
        data="simulated arrivals of medsim/HospitalFlow-v0 (medsim.hospital.arrival_chart)",
        licence="Apache-2.0",
        build=TriageNet,
        begin=begin,
        judge=judge,
    )
