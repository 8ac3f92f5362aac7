"""Reference policies of ``medsim/ICUAdmission-v0``. Each adapts to the variant of the environment in which it acts.

In ``variant="queue"`` a policy does nothing where it does not admit: the patient waits.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.streams import Key
from medsim.hospital.icu_admission.exact import optimum
from medsim.hospital.icu_admission.settings import QueueConfig, TrunkConfig
from medsim.hospital.policy import DoNothing, HospitalPolicy, NamedPolicy, RandomHospitalPolicy
from medsim.hospital.task import HospitalTask
from medsim.hospital.theory.loss import AdmissionOptimum

__all__ = ["POLICIES", "SEARCHED", "Optimal", "Reserve", "Searched"]

Vector = npt.NDArray[np.float32]
Mask = npt.NDArray[np.int8]
EXACT_OPTIONS = (
    "beds", "emergencies_per_day", "electives_per_day", "mean_stay_days", "emergency_refusal_cost", "elective_refusal_cost",
)  # fmt: skip


def solved(config: Any) -> AdmissionOptimum:
    """Return the optimum of a configuration.

    Raises:
        ValueError: it is not of ``variant="trunk"``.
    """
    if not isinstance(config, TrunkConfig):
        raise ValueError(f"the optimum is known for variant='trunk' only, not for {config.variant!r}; try the policy 'searched'")
    return optimum(**{name: getattr(config, name) for name in EXACT_OPTIONS})


def beds_of(task: HospitalTask) -> int:
    """Return how many beds the unit has; without one, nothing is ever asked, and there is nothing to solve."""
    return int(task.config.beds)


class Reserve(NamedPolicy):
    """The urgent get any free bed, all others one only while more than a reserve is free.

    Args:
        reserve: beds that are kept for the urgent.
        discharge_early: for whom someone leaves early when the unit is full: "nobody", "urgent", "all".
        ready_within_h: only if the next is forecast to be ready so soon.
        divert_waiting: who is not urgent is sent elsewhere if more than so many wait, they too; None: never.
    """

    def __init__(
        self,
        name: str,
        reserve: int = 0,
        *,
        discharge_early: str = "nobody",
        ready_within_h: float = math.inf,
        divert_waiting: int | None = None,
    ) -> None:
        self.name, self.reserve = name, reserve
        self.discharge_early, self.ready_within_h, self.divert_waiting = discharge_early, ready_within_h, divert_waiting
        self.options: Mapping[str, Any] = {}

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Learn where each name stands, and how many beds there are."""
        super().begin(task, key)
        self.beds = beds_of(task)
        self.queues = task.config.variant == "queue"

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return the action for the patient at hand."""
        urgent = self.value(agent, seen, "urgent at hand") > 0.5
        free = round((1.0 - self.value(agent, seen, "beds busy share")) * self.beds)
        if free > (0 if urgent else self.reserve):
            return self.number(agent, "admit")
        return self.when_no_bed(agent, seen, mask, urgent) if self.queues else self.number(agent, "nothing")

    def when_no_bed(self, agent: str, seen: Vector, mask: Mask, urgent: bool) -> int:
        """Return the action for who gets no free bed of a unit with a queue."""
        early = self.number(agent, "discharge_early")
        wanted = self.discharge_early == "all" or (self.discharge_early == "urgent" and urgent)
        if mask[early] and wanted and self.value(agent, seen, "next forecast ready in h") <= self.ready_within_h:
            return early
        waiting = sum(self.value(agent, seen, f"{name} waiting") for name in ("urgent", "low acuity", "elective"))
        if self.divert_waiting is not None and not urgent and waiting > self.divert_waiting:
            return self.number(agent, "refuse")
        return self.number(agent, "nothing")


class Optimal(NamedPolicy):
    """The policy of least long-run cost of ``variant="trunk"``, by value iteration for the options at hand."""

    name = "optimal"
    options: Mapping[str, Any] = {"variant": "trunk"}

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Solve the unit.

        Raises:
            ValueError: the variant is another.
        """
        super().begin(task, key)
        if getattr(self, "solved_for", None) != task.config:
            self.table = solved(task.config).admit if beds_of(task) else np.zeros((0, 2), dtype=np.bool_)
            self.solved_for = task.config

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return what the table says."""
        busy = min(round(self.value(agent, seen, "beds busy share") * len(self.table)), len(self.table) - 1)  # a board may be wrong
        kind = 0 if self.value(agent, seen, "urgent at hand") > 0.5 else 1
        return self.number(agent, "admit" if self.table[busy, kind] else "nothing")


SEARCHED: Mapping[str, Any] = {"reserve": 0, "discharge_early": "urgent", "ready_within_h": 24.0, "divert_waiting": 0}


class Searched(Reserve):
    """The best known rule: in ``variant="queue"`` that of a search over reserves, early discharge and diversion for its default options
    (``python -m benchmarks.hospital.icu_admission --search-queue``); in ``variant="trunk"`` the reserve r* of the optimum.
    """

    def __init__(self) -> None:
        super().__init__("searched", **SEARCHED)

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Take the reserve of the variant."""
        super().begin(task, key)
        searched = isinstance(task.config, QueueConfig) or not beds_of(task)
        self.reserve = int(SEARCHED["reserve"]) if searched else solved(task.config).reserves[1]


POLICIES: dict[str, Callable[[], HospitalPolicy]] = {
    "random": RandomHospitalPolicy,
    "nothing": DoNothing,
    "admit-all": lambda: Reserve("admit-all"),
    "trunk-1": lambda: Reserve("trunk-1", 1),
    "trunk-2": lambda: Reserve("trunk-2", 2),
    "trunk-3": lambda: Reserve("trunk-3", 3),
    "early-discharge": lambda: Reserve("early-discharge", discharge_early="urgent"),
    "searched": Searched,
    "optimal": Optimal,
}
