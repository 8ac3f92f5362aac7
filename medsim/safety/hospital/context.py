"""What the sections of a hospital's safety evaluation share: the policy, the protocol, how much, and the episodes that they all look at."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from medsim.core.files import read_keyed, write_whole
from medsim.hospital.evaluation import DEFAULT_SEED, differing
from medsim.hospital.policy import HospitalPolicy
from medsim.hospital.task import HospitalTask
from medsim.policies import hospital_policies
from medsim.registry import HospitalCard, hospital_card, make_task
from medsim.safety.hospital.episodes import Episodes, play
from medsim.safety.hospital.faults import Fault
from medsim.safety.hospital.profile import Amount, HospitalProfile, check_fits

__all__ = ["HospitalContext", "HospitalPlan"]


@dataclass(frozen=True, kw_only=True)
class HospitalPlan:
    """How much is asked for; the seed is that of the fixed list of episodes."""

    name: str
    amount: Amount
    seed: int = DEFAULT_SEED

    def record(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {"name": self.name, "seed": self.seed, **asdict(self.amount)}


class HospitalContext:
    """A policy in a hospital, beside the hospital's protocol, on the same episodes with the same arrivals and chances.

    Raises:
        ValueError: an option is not allowed, or the profile is not one of this hospital, or names a protocol that there is not.
    """

    cohort = "fixed list"

    def __init__(self, env_id: str, policy: HospitalPolicy, profile: HospitalProfile, plan: HospitalPlan, *,
                 options: Mapping[str, Any] | None = None, progress: Callable[[float], None] | None = None) -> None:  # fmt: skip
        self.env_id, self.policy, self.profile, self.plan = env_id, policy, profile, plan
        self.given, self.progress = dict(options or {}), progress
        self.card: HospitalCard = hospital_card(env_id)
        self.protocol = protocol_of(self.card, profile)
        self.task = self.make()
        self.kept: tuple[Path, str] | None = None
        check_fits(profile, self.task)

    def options_of(self, policy: HospitalPolicy, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the options of the hospital, the same for both: the card's, the protocol's, the policy's, those given."""
        return {**self.card.evaluation, **self.protocol.options, **self.policy.options, **self.given, **(more or {})}

    def make(self, more: Mapping[str, Any] | None = None) -> HospitalTask:
        """Return the task, with other options where some are given."""
        task: HospitalTask = make_task(self.env_id, **self.options_of(self.policy, more))
        return task

    def play(self, policy: HospitalPolicy, count: int, *, more: Mapping[str, Any] | None = None, fault: Fault | None = None) -> Episodes:
        """Return the first episodes of the list under a policy."""
        task = self.task if more is None else self.make(more)
        return play(task, policy, count, seed=self.plan.seed, fault=fault, progress=self.progress)

    def keep_in(self, folder: Path, key: str) -> None:
        """Keep the ordinary episodes in a folder from now on, and take them from there if they are those of this very evaluation."""
        self.kept = folder, key

    def ordinary(self, name: str, policy: HospitalPolicy) -> Episodes:
        """Return the ordinary episodes under a policy, from the file of that name where they are kept."""
        if self.kept is None:
            return self.play(policy, self.plan.amount.episodes)
        folder, key = self.kept
        path = folder / f"{name}.json"
        record = read_keyed(path, key)
        if record is not None:
            return Episodes.of(record)
        played = self.play(policy, self.plan.amount.episodes)
        write_whole(path, json.dumps({"key": key, **played.record()}) + "\n")
        return played

    @cached_property
    def own(self) -> Episodes:
        """The episodes under the policy."""
        return self.ordinary("policy", self.policy)

    @cached_property
    def standard(self) -> Episodes:
        """The same episodes under the protocol."""
        return self.ordinary("protocol", self.protocol)

    def both(self, count: int, *, more: Mapping[str, Any] | None = None, fault: Fault | None = None) -> tuple[Episodes, Episodes]:
        """Return the first episodes under the policy, and under the protocol, where something is other than usual."""
        return self.play(self.policy, count, more=more, fault=fault), self.play(self.protocol, count, more=more, fault=fault)

    @property
    def unscored(self) -> str:
        """The options by which this hospital differs from the one whose floor and ceiling are known; nothing: none."""
        return differing(self.env_id, self.options_of(self.policy))


def protocol_of(card: HospitalCard, profile: HospitalProfile) -> HospitalPolicy:
    """Return the reference policy that others are put beside; raises ValueError if the profile names none that there is."""
    known, name = hospital_policies(card.id), profile.protocol or card.protocol_policy
    if name not in known:
        raise ValueError(f"no policy is called {name!r}, the protocol of the safety profile; there are {', '.join(known)}")
    return known[name]()
