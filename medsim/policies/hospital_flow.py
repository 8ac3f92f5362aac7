"""Reference policies of ``medsim/HospitalFlow-v0``: who is next by classical rules, and where staff and beds go."""

import math
from collections.abc import Callable

from medsim.hospital.policy import DoNothing, HospitalPolicy, Mask, NamedPolicy, RandomHospitalPolicy, Vector

__all__ = ["POLICIES", "FlowPolicy"]

WARD_URGENCY = ("take from ed", "take from icu", "take from outside")  # the emergency department first: it is where boarding harms
ICU_URGENCY = ("take from ward", "take from ed", "take from outside", "take from triage")


class FlowPolicy(NamedPolicy):
    """A rule for each agent.

    Args:
        name: the policy's. seen_by: who is seen next in the emergency department: "first-come", "priority" (lowest triage number),
            "c-mu" (weight over the mean stay), "accumulating" (weight times wait so far).
        step_down_from: how many have to wait for intensive care before somebody is stepped down early (0: never).
        manage: "" leaves the arrangement of the start; "beds": flexible beds go to where beds lack, float nurses stay in the
            emergency department; "all": float nurses also go to where nurses lack most; "square-root": they go to where nurses fall
            most short of the load and its square root.
        icu_first: whether wards take from intensive care before the emergency department.
    """

    def __init__(self, name: str, seen_by: str, *, step_down_from: int = 0, manage: str = "", icu_first: bool = False) -> None:
        self.name, self.seen_by, self.step_down_from, self.manage = name, seen_by, step_down_from, manage
        self.ward_order = (WARD_URGENCY[1], WARD_URGENCY[0], WARD_URGENCY[2]) if icu_first else WARD_URGENCY

    def act(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return the rule's action."""
        if agent == "ed":
            return self.next_seen(seen, mask)
        if agent == "bed_manager":
            return self.arrangement(seen) if self.manage else 0
        return self.bed(agent, seen, mask)

    def next_seen(self, seen: Vector, mask: Mask) -> int:
        """Return whom the emergency department sees next: an index for each triage category, the largest wins."""
        weights = self.task.hospital.waiting_weights  # type: ignore[attr-defined]
        stays = self.mean_stays()
        best, best_index = 0, -1.0
        for triage in range(1, 6):
            if not mask[triage]:
                continue
            wait_h = self.value("ed", seen, f"ed triage_{triage} longest_wait_h")
            index = {
                "first-come": wait_h,
                "priority": 6.0 - triage,
                "c-mu": weights[triage - 1] / stays[triage - 1],
                "accumulating": weights[triage - 1] * wait_h,
            }[self.seen_by]
            if index > best_index:
                best, best_index = triage, index
        return best

    def mean_stays(self) -> list[float]:
        """Return the mean treatment times in the emergency department by acuity, in hours."""
        hospital = self.task.hospital  # type: ignore[attr-defined]
        stays = hospital.units[hospital.unit_number("ed")].stays
        return [stays[k if len(stays) > 1 else 0].mean_h for k in range(5)]

    def bed(self, agent: str, seen: Vector, mask: Mask) -> int:
        """Return whom a ward or intensive care takes: the first source in the order of urgency that has somebody, else who is there."""
        names = self.task.actions[agent]
        order = self.ward_order if agent == "ward" else ICU_URGENCY
        takes = [name for name in (*order, *names) if name in names and name.startswith("take") and mask[self.number(agent, name)]]
        if takes:
            return self.number(agent, takes[0])
        if self.step_down_from and "step down early" in names and mask[self.number(agent, "step down early")]:
            sources = [name.removeprefix("take from ") for name in names if name.startswith("take")]
            waiting = sum(self.value(agent, seen, f"{agent} from_{source} waiting") for source in sources)
            return self.number(agent, "step down early") if waiting >= self.step_down_from else 0
        return 0

    def arrangement(self, seen: Vector) -> int:
        """Return where float nurses and flexible beds go: to where nurses are fewest for their patients, and to where beds lack."""
        agent = "bed_manager"
        names = self.task.actions[agent]
        nursed = list(dict.fromkeys(name.partition(",")[0].removeprefix("float nurses to ") for name in names[1:]))
        slack = {unit: self.value(agent, seen, f"{unit} patients_nurses_can_take") for unit in nursed}
        if self.manage == "square-root":
            unit = max(nursed, key=lambda name: self.shortfall(name, seen))
        else:
            unit = min(nursed, key=lambda name: slack[name]) if self.manage == "all" else nursed[0]
        icu_lacks = self.value(agent, seen, "icu beds_free") <= 0.0
        ward_lacks = self.value(agent, seen, "ward beds_free") <= 0.0
        share = 1 if icu_lacks == ward_lacks else 2 if icu_lacks else 0
        return 1 + 3 * nursed.index(unit) + share

    def shortfall(self, unit: str, seen: Vector) -> float:
        """Return how many nurses a unit lacks of a + sqrt(a), where a is its load in nurses (Halfin and Whitt 1981's rule with beta 1)."""
        agent, hospital = "bed_manager", self.task.hospital  # type: ignore[attr-defined]
        ratio = hospital.units[hospital.unit_number(unit)].patients_per_nurse
        in_beds = self.value(agent, seen, f"{unit} in_treatment") + self.value(agent, seen, f"{unit} boarding")
        waiting = sum(
            float(seen[k]) for name, k in self.columns[agent].items() if name.startswith(f"{unit} ") and name.endswith(" waiting")
        )
        nurses = (self.value(agent, seen, f"{unit} patients_nurses_can_take") + in_beds) / ratio
        load = (in_beds + waiting) / ratio
        return float(load + math.sqrt(load) - nurses)


POLICIES: dict[str, Callable[[], HospitalPolicy]] = {
    "random": RandomHospitalPolicy,
    "nothing": DoNothing,
    "first-come": lambda: FlowPolicy("first-come", "first-come"),
    "priority": lambda: FlowPolicy("priority", "priority"),
    "c-mu": lambda: FlowPolicy("c-mu", "c-mu"),
    "accumulating": lambda: FlowPolicy("accumulating", "accumulating"),
    "managed": lambda: FlowPolicy("managed", "c-mu", manage="all"),
    "square-root": lambda: FlowPolicy("square-root", "priority", manage="square-root"),
    "beds-follow": lambda: FlowPolicy("beds-follow", "priority", manage="beds"),
}
