"""The recipe `ehr-mortality`: who dies, learnt on simulated patients charted as seldom as real ones, to be fine-tuned on real stays.

A few dozen deaths teach a recurrent network little, and simulated patients can be had without number. What both charts hold is learnt on
the simulated ones: the fifteen columns that the model produces, thinned to the shares of hours in which real stays have them, without the
treatments, which real tables lack. Columns that only real stays have are left to `fine_tune`, which starts from there or, as a control,
from nothing. Scales of columns that the simulator has are the simulated patients', so that a number means the same before and after; the
other columns' scales are the training stays'.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim.core.charts import NEVER_H, positions
from medsim.treatments.harmonised import STATICS
from medsim.treatments.sepsis.chart import SEPSIS_CHART
from medsim_perception.ehr.multitask import TEST_SEED, Cohort, joined, labels
from medsim_perception.ehr.nets import ChartNet, Recurrent, make_net
from medsim_perception.ehr.simulated import SENSIBLE_ARMS, simulate
from medsim_perception.ehr.tables import COLUMN_NAMES, STATIC_NAMES, Charts, hours_since_measured
from medsim_perception.metrics import auprc, auroc, brier, calibration_error
from medsim_perception.recipe import Recipe
from medsim_perception.supervised import SupervisedLearner

__all__ = ["HEADS", "ROWS", "SHARES", "build", "fine_tune", "inputs_of", "judge", "open_to", "recipe", "thinned"]

ROWS = 25  # hours 0 to 24 of a stay, as YAIB's mortality at 24 h has them
SHARES: Mapping[str, float] = {
    "hr": 0.953, "sbp": 0.883, "map": 0.884, "dbp": 0.883, "resp": 0.850, "temp": 0.285, "o2sat": 0.896, "urine": 0.208,
    "fio2": 0.122, "po2": 0.032, "lact": 0.019, "crea": 0.064, "bili": 0.022, "plt": 0.051, "wbc": 0.052,
}  # fmt: skip
"""Shares of hours in which real stays have a column: the eICU demo's, 34,175 hours of 1,367 stays (`medsim.treatments.sepsis.chart`)."""
HEADS = {"mortality": 1, "shock": 1, "creatinine": 1, "next": len(SEPSIS_CHART.produced)}
COHORTS: tuple[Mapping[str, Any], ...] = (
    {"cohort": "train"}, {"cohort": "train", "lungs": "varied"}, {"cohort": "shifted"},
    {"cohort": "world-1"}, {"cohort": "world-2"}, {"cohort": "world-3"},
)  # fmt: skip
PATIENTS, STEPS, BATCH, WIDTH = 9000, 1500, 128, 32
TRAIN_SEED = 710_000
PRIOR_DEATHS = (
    14.0  # chosen, on a division of the eICU demo that no figure is reported of: how many real deaths simulated patients are worth
)
JUDGED = 1500
AT = positions(SEPSIS_CHART.produced, SEPSIS_CHART.columns)

Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def build() -> ChartNet:
    """The network, untrained: an LSTM of 32 numbers over all 48 columns."""
    return make_net("lstm", COLUMN_NAMES, STATIC_NAMES, HEADS, width=WIDTH, dropout=0.2, column_dropout=0.3)


def thinned(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Leave out what real charts leave out, (n, T, produced): each window has its own share of each column, a few have a column often.

    Shares are `SHARES` times a standard exponential number (chosen: many stays have no lactate at all, those that have one have several).
    """
    wanted = np.array([SHARES[name] for name in SEPSIS_CHART.produced])
    own = np.where(wanted > 0.5, wanted, wanted * rng.standard_exponential((len(mask), 1, mask.shape[-1])))
    there = np.maximum(mask.mean(axis=1, keepdims=True), 1.0 / mask.shape[1])
    return np.asarray(mask & (rng.random(mask.shape) < own / there))


def windows(cohort: Cohort, patients: NDArray[np.int64], hours: NDArray[np.int64], rng: np.random.Generator) -> Arrays:
    """Values, mask, hours since and statics of windows that end at these hours (24 or later), as a real stay's first 25 hours look."""
    courses, rows = cohort.courses, hours[:, None] + np.arange(1 - ROWS, 1)
    shape = (len(patients), ROWS, len(COLUMN_NAMES))
    values, mask = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    seen = thinned(courses.mask[patients[:, None], rows], rng)
    mask[..., AT] = seen
    values[..., AT] = courses.values[patients[:, None], rows] * seen
    known = np.isin([column.name for column in STATICS], SEPSIS_CHART.known)
    statics = np.where(known, courses.demographics[patients], np.nan).astype(np.float32)
    return values, mask, hours_since_measured(mask), statics


@lru_cache(maxsize=2)
def pretraining_cohort(patients: int, seed: int) -> Cohort:
    """Simulated patients of several cohorts under sensible care; kept in memory, not to be changed."""
    each = -(-patients // len(COHORTS))
    parts = [simulate(each, seed, arms=SENSIBLE_ARMS, first_patient=i * each, **options) for i, options in enumerate(COHORTS)]
    courses = joined(parts)
    return Cohort(courses, labels(courses))


def drawn(cohort: Cohort, rng: np.random.Generator, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Patients who live to hour 24, and an hour of their second or third day."""
    who = rng.choice(np.flatnonzero(cohort.courses.last_h >= ROWS - 1), size)
    latest = np.minimum(cohort.courses.last_h[who], 48)
    return who, ROWS - 1 + (rng.random(size) * (latest - ROWS + 2)).astype(np.int64)


def begin(seed: int, device: torch.device, *, patients: int = PATIENTS, steps: int = STEPS) -> SupervisedLearner:
    """The pre-training of that seed, on simulated patients alone."""
    cohort = pretraining_cohort(patients, TRAIN_SEED + seed)
    torch.manual_seed(seed)
    net = build()
    rng = np.random.default_rng((seed, 7))
    net.fit_scales(*(torch.from_numpy(array) for array in windows(cohort, *drawn(cohort, rng, 2048), rng)))

    def sample(rng: np.random.Generator, size: int) -> tuple[Any, ...]:
        who, hours = drawn(cohort, rng, size)
        after = np.minimum(hours + 1, cohort.courses.last_h[who])
        ahead = np.zeros((size, len(COLUMN_NAMES)), np.float32)
        ahead[:, AT] = cohort.courses.values[who, after]
        measured = cohort.courses.mask[who, after] & (after > hours)[:, None]
        asked = {name: cohort.labels[name][who, hours] for name in ("mortality", "shock", "creatinine")}
        return (*windows(cohort, who, hours, rng), asked, ahead, measured.astype(np.float32))

    return SupervisedLearner(net, sample, loss_of, seed=seed, device=device, steps=steps, batch_size=BATCH, learning_rate=4e-3)


def loss_of(net: ChartNet, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor,
            asked: dict[str, Tensor], ahead: Tensor, measured: Tensor) -> Tensor:  # fmt: skip
    """Cross-entropies of death and shock, squared errors of creatinine to come and of the next hour; the unknown counts nothing."""
    heads = net(values, mask, hours_since, statics)
    loss = values.new_zeros(())
    for name in ("mortality", "shock"):
        known = ~torch.isnan(asked[name])
        loss = loss + functional.binary_cross_entropy_with_logits(heads[name][known, 0], asked[name][known])
    scaled = net.of_values(ahead)[:, torch.from_numpy(AT).to(ahead.device)]
    loss = loss + 0.5 * ((heads["next"] - scaled).square() * measured).sum() / measured.sum().clamp(min=1)
    at = COLUMN_NAMES.index("crea")
    known = ~torch.isnan(asked["creatinine"])
    column = ahead.clone()
    column[:, at] = torch.nan_to_num(asked["creatinine"])
    error = heads["creatinine"][:, 0] - net.of_values(column)[:, at]
    loss = loss + 0.5 * (error.square() * known).sum() / known.sum().clamp(min=1)
    return torch.as_tensor(loss)


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Metrics on simulated test patients at hour 24, charted with real gaps."""
    if not isinstance(model, ChartNet):
        raise TypeError(f"judge needs a ChartNet, not {type(model).__name__}")
    values, mask, since, statics, died = judged()
    with torch.no_grad():
        heads = model.eval()(*(torch.from_numpy(array).to(device) for array in (values, mask, since, statics)))
    risk = torch.sigmoid(heads["mortality"][:, 0]).cpu().numpy()
    return {
        "auroc": auroc(died, risk),
        "auprc": auprc(died, risk),
        "brier": brier(died, risk),
        "calibration_error": calibration_error(died, risk),
    }


@lru_cache(maxsize=1)
def judged() -> tuple[NDArray[Any], ...]:
    """Windows of test patients at hour 24, and whether they die by day 28."""
    courses = simulate(JUDGED, TEST_SEED + 1, cohort="test", arms=SENSIBLE_ARMS)
    cohort = Cohort(courses, labels(courses))
    who = np.flatnonzero(courses.last_h >= ROWS - 1)
    hours = np.full(len(who), ROWS - 1)
    return (*windows(cohort, who, hours, np.random.default_rng(12)), cohort.labels["mortality"][who, hours])


def inputs_of(charts: Charts) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Real charts as the network takes them."""
    values, mask, since, statics = (torch.from_numpy(a) for a in (charts.values, charts.mask, charts.hours_since, charts.statics))
    return values, mask, since, statics


def fine_tune(
    net: ChartNet, charts: Charts, died: ArrayLike, *, seed: int, device: torch.device | None = None, epochs: int = 18,
    learning_rate: float = 2e-3, batch_size: int = 64, pretrained: bool = True, kept: float | None = None,
) -> ChartNet:  # fmt: skip
    """Train the head `mortality` and all below it on real stays; the network is changed, and returned.

    With `pretrained`, it begins as `open_to` leaves it, and ends between there and where training led it: `kept` is the share of the
    weights it began with (robust fine-tuning, Wortsman et al., CVPR 2022), if not said `PRIOR_DEATHS` among those and the stays' deaths.
    Without, every scale is the stays'. Raises ValueError where the labels are not one 0 or 1 for each stay, or all the same.
    """
    y = np.asarray(died, np.float32)
    if y.shape != (len(charts),) or not np.isin(y, (0, 1)).all() or y.min() == y.max():
        raise ValueError(
            f"labels must be 0 and 1, one for each of {len(charts)} stays and both of them, not {np.unique(y)[:5]} of shape {y.shape}"
        )
    data = inputs_of(charts)
    if pretrained:
        open_to(net, charts)
    else:
        take_scales(net, data, keep_simulated=False)
    with torch.no_grad():  # the answer begins at the stays' share of deaths
        net.heads["mortality"].bias.fill_(float(np.log(y.mean() / (1 - y.mean()))))  # type: ignore[operator]
    labels_of, first = torch.from_numpy(y), {name: tensor.clone() for name, tensor in net.state_dict().items()}

    def sample(rng: np.random.Generator, size: int) -> tuple[Any, ...]:
        rows = torch.from_numpy(rng.choice(len(y), size, replace=False))
        return (*(part[rows] for part in data), labels_of[rows])

    def loss(net: ChartNet, values: Tensor, mask: Tensor, hours_since: Tensor, statics: Tensor, label: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(net(values, mask, hours_since, statics)["mortality"][:, 0], label)

    size = min(batch_size, len(y))
    learner = SupervisedLearner(
        net, sample, loss, seed=seed, device=device or torch.device("cpu"), steps=max(1, epochs * len(y) // size), batch_size=size,
        learning_rate=learning_rate, weight_decay=0.05, averaging=0.98,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        while learner.step_number < learner.planned_steps:
            learner.step()
    share = (PRIOR_DEATHS / (PRIOR_DEATHS + float(y.sum())) if kept is None else kept) if pretrained else 0.0
    net.load_state_dict({name: torch.lerp(tensor, first[name], share) for name, tensor in learner.model.state_dict().items()})
    return net.eval()


@torch.no_grad()
def open_to(net: ChartNet, charts: Charts) -> ChartNet:
    """Make a network of simulated patients ready for real stays; it is changed, and returned.

    What simulated patients lack begins at nothing: weights of those columns and statics become 0, with the constant that their never having
    been measured has added kept in the bias, so that a real chart's risk is at first that of the columns that both have. Scales of the
    others become those of the stays.
    """
    if not isinstance(net, Recurrent):
        raise TypeError(f"open_to needs a recurrent network, not {type(net).__name__}")
    lacking = torch.from_numpy(~np.isin(COLUMN_NAMES, SEPSIS_CHART.produced))
    values, mask, age = net.embed.weight.view(net.width, 3, len(COLUMN_NAMES)).unbind(1)
    never = float(net.ages(torch.tensor(NEVER_H)))
    net.embed.bias.add_(never * age[:, lacking].sum(1))
    for part in (values, mask, age):
        part[:, lacking] = 0.0
    unknown = torch.from_numpy(~np.isin(STATIC_NAMES, SEPSIS_CHART.known))
    net.static_input.weight.view(net.width, 2, len(STATIC_NAMES))[..., unknown] = 0.0
    take_scales(net, inputs_of(charts), keep_simulated=True)
    return net


def take_scales(net: ChartNet, data: tuple[Tensor, Tensor, Tensor, Tensor], *, keep_simulated: bool) -> None:
    """Centres and spreads of the training stays, but for those that pre-training has given."""
    before = [scale.state_dict() for scale in (net.of_values, net.of_statics)]
    before = [{name: tensor.clone() for name, tensor in one.items()} for one in before]
    net.fit_scales(*data)
    if not keep_simulated:
        return
    known = [torch.from_numpy(np.isin(COLUMN_NAMES, SEPSIS_CHART.produced)), torch.from_numpy(np.isin(STATIC_NAMES, SEPSIS_CHART.known))]
    for scale, old, kept in zip((net.of_values, net.of_statics), before, known, strict=True):
        for name in ("centre", "spread"):
            tensor = getattr(scale, name)
            tensor.copy_(torch.where(kept, old[name], tensor))


def recipe() -> Recipe:
    """How `ehr-mortality` is made."""
    return Recipe(
        name="ehr-mortality",
        question="From the first 24 hours of an ICU chart with real gaps: death; a start for fine-tuning on real stays",
        data="simulated patients of medsim/Sepsis-v0, cohorts train, shifted and worlds 1 to 3, charted as seldom as real stays",
        licence="Apache-2.0",
        build=build,
        begin=begin,
        judge=judge,
    )
