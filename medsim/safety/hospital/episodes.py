"""What happened in many episodes of a hospital under a policy: all that the sections of its safety evaluation look at."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.batch import DecisionBatch, make_decision_batch
from medsim.hospital.decisions import NOTHING
from medsim.hospital.draws import key_of
from medsim.hospital.evaluation import SIDE_BY_SIDE, answers_many
from medsim.hospital.policy import HospitalPolicy
from medsim.hospital.task import HospitalTask
from medsim.safety.hospital.classes import Sums, classes_of, stacked_classes
from medsim.safety.hospital.faults import Fault

__all__ = ["Episodes", "play"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
DAY_H = 24.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Episodes:
    """n episodes.

    Attributes:
        returns: of the team, (n,); daily: the same by the day in which it came in, (n, days); a part of a day at the end counts as one.
        costs: by name, (n,); metrics: figures of the episode's end, by name, (n,).
        classes: measure -> class of patients -> (n, 2): a sum, and of how many patients.
    """

    policy: str
    seed: int
    returns: Floats
    daily: Floats
    costs: Mapping[str, Floats]
    metrics: Mapping[str, Floats]
    classes: Mapping[str, Mapping[str, Floats]]

    @property
    def n(self) -> int:
        """Episodes."""
        return len(self.returns)

    @property
    def loss(self) -> Floats:
        """What the reward takes off in each episode, (n,): every term of a hospital's reward is a harm."""
        return -self.returns

    def first(self, count: int) -> "Episodes":
        """Return the first episodes alone."""
        return Episodes(
            policy=self.policy, seed=self.seed, returns=self.returns[:count], daily=self.daily[:count],
            costs={name: values[:count] for name, values in self.costs.items()},
            metrics={name: values[:count] for name, values in self.metrics.items()},
            classes={measure: {name: values[:count] for name, values in one.items()} for measure, one in self.classes.items()},
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """Return the episodes as plain data, from which ``of`` makes the same to the bit."""
        return {
            "policy": self.policy, "seed": self.seed, "returns": self.returns.tolist(), "daily": self.daily.tolist(),
            "costs": {name: values.tolist() for name, values in self.costs.items()},
            "metrics": {name: values.tolist() for name, values in self.metrics.items()},
            "classes": {measure: {name: values.tolist() for name, values in one.items()} for measure, one in self.classes.items()},
        }  # fmt: skip

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Episodes":
        """Return the episodes of plain data."""
        return cls(
            policy=record["policy"], seed=record["seed"], returns=np.array(record["returns"]), daily=np.array(record["daily"]),
            costs={name: np.array(values) for name, values in record["costs"].items()},
            metrics={name: np.array(values) for name, values in record["metrics"].items()},
            classes={measure: {name: np.array(values) for name, values in one.items()} for measure, one in record["classes"].items()},
        )  # fmt: skip


def play(task: HospitalTask, policy: HospitalPolicy, count: int, *, seed: int, fault: Fault | None = None,
         progress: Callable[[float], None] | None = None) -> Episodes:  # fmt: skip
    """Return the first ``count`` episodes of a seed (those of ``evaluate_hospital``) under a policy, and what goes wrong.

    Raises:
        ValueError: count is below 1.
    """
    if count < 1:
        raise ValueError(f"there must be 1 episode or more, not {count}")
    side_by_side = min(SIDE_BY_SIDE if answers_many(policy) else 1, count)
    parts: list[Part] = []
    batch: DecisionBatch | None = None
    for first in range(0, count, side_by_side):
        slots = range(first, min(first + side_by_side, count))
        if batch is None or batch.n != len(slots):
            batch = make_decision_batch(task, len(slots))
        parts.append(play_part(task, policy, batch, slots, seed, fault))
        if progress is not None:
            progress(float(len(slots)))
    return Episodes(
        policy=policy.name, seed=seed, returns=np.concatenate([one.daily.sum(axis=1) for one in parts]),
        daily=np.concatenate([one.daily for one in parts]), costs=joined([one.costs for one in parts]),
        metrics=joined([one.metrics for one in parts]), classes=stacked_classes([sums for one in parts for sums in one.classes]),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The same of the episodes that were played side by side."""

    daily: Floats
    costs: dict[str, Floats]
    metrics: dict[str, Floats]
    classes: list[Sums]


def joined(parts: list[dict[str, Floats]]) -> dict[str, Floats]:
    """Return one array a name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def play_part(task: HospitalTask, policy: HospitalPolicy, batch: DecisionBatch, slots: range, seed: int, fault: Fault | None) -> Part:
    """Play one episode in every hospital of a batch."""
    batch.seed(seed, slots)
    batch.reset()
    policy.begin(task, key_of(seed, slots[0]))
    if fault is not None:
        fault.begin(task, batch)
    days = max(math.ceil(task.horizon_h / DAY_H - 1e-9), 1)
    daily, costs = np.zeros((batch.n, days)), np.zeros_like(batch.costs)
    everywhere = np.arange(batch.n)
    while not batch.ended.all():
        batch.step(answers(task, policy, batch, fault))
        day = np.clip(np.ceil(batch.time_h / DAY_H - 1e-9).astype(np.int64) - 1, 0, days - 1)
        daily[everywhere, day] += batch.rewards
        costs += batch.costs
    ended = [batch.metrics(row) for row in range(batch.n)]
    return Part(
        daily=daily, costs={name: costs[:, k].copy() for k, name in enumerate(batch.cost_names)},
        metrics={name: np.array([one[name] for one in ended]) for name in ended[0]},
        classes=[classes_of(batch, row) for row in range(batch.n)],
    )  # fmt: skip


def answers(task: HospitalTask, policy: HospitalPolicy, batch: DecisionBatch, fault: Fault | None) -> Whole:
    """Return the actions (n,) of a policy, and of what goes wrong, where a batch stands."""
    rows = np.flatnonzero(~batch.ended)
    agents, seen, masks = batch.agent[rows], batch.observations[rows], batch.masks[rows]
    shown = seen if fault is None else fault.see(rows, agents, seen)
    given: Any
    if answers_many(policy):
        given = np.asarray(policy.act_batch(agents, shown, masks, rows), dtype=np.int64)
    else:
        given = np.array([one_answer(task, policy, int(agents[0]), shown[0], masks[0])], dtype=np.int64)
    actions = np.full(batch.n, NOTHING, dtype=np.int64)
    actions[rows] = given if fault is None else fault.answer(rows, agents, masks, given)
    return actions


def one_answer(task: HospitalTask, policy: HospitalPolicy, number: int, seen: Any, mask: Any) -> int:
    """Return the action of the agent of that number, which is shown its own numbers and actions only."""
    agent = task.agents[number]
    role = task.roles[agent]
    return int(policy.act(agent, seen[: len(task.seen[role])], mask[: len(task.actions[role])]))
