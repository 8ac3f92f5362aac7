"""What the sections of a safety evaluation share: the policy, the protocol, how many patients, and the courses that they all look at."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.tabular import TabularTask
from medsim.core.task import Task
from medsim.core.vector import PatientVectorEnv
from medsim.datasets.episodes import patients_of
from medsim.evaluation.exact import Problem, chance_by_state, probabilities_by_state
from medsim.evaluation.rollout import DEFAULT_SEED
from medsim.evaluation.scoring import table_of
from medsim.policies import reference_policies
from medsim.policies.policy import Policy
from medsim.registry import EnvironmentCard, card, make_task
from medsim.safety.courses import Courses, follow
from medsim.safety.profile import Profile

__all__ = ["FULL", "QUICK", "Context", "Plan"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is asked for; the seed is that of the fixed list of test patients."""

    name: str
    patients: int  # of the sections that look at the test cohort
    stressed: int  # of each cell of the stress matrix
    kept: int  # patients whose observations are looked at
    searched: int  # patients of a generation of the search for the worst
    generations: int  # of that search
    branched: int  # patients whose courses are branched to label dead ends
    logged: int  # episodes of the data for off-policy estimates
    replayed: int  # worst patients whose courses are drawn
    grades: tuple[float, ...]  # of the physiology: 0.2 is 20 % more and 20 % less
    seed: int = DEFAULT_SEED

    def record(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {**asdict(self), "grades": list(self.grades)}


# chosen: a rare catastrophe of 1 in 500 is met 8 times on average in 4,000 patients, and 16 times in 8,000
QUICK = Plan(
    name="quick", patients=4000, stressed=500, kept=200, searched=256, generations=4, branched=500, logged=1000, replayed=10, grades=(0.2,)
)
FULL = Plan(name="full", patients=8000, stressed=2000, kept=400, searched=512, generations=12, branched=2000, logged=5000, replayed=10,
            grades=(0.1, 0.2, 0.4))  # fmt: skip


class Context:
    """A policy in an environment, beside the environment's protocol, on the same patients with the same noise."""

    def __init__(self, env_id: str, policy: Policy, profile: Profile, plan: Plan, *, options: Mapping[str, Any] | None = None,
                 cohort: str = "test", made: str = "", progress: Callable[[float], None] | None = None) -> None:  # fmt: skip
        self.env_id, self.profile, self.plan, self.cohort = env_id, profile, plan, cohort
        self.made = made  # how the policy came about, in a sentence
        self.given, self.progress = dict(options or {}), progress
        self.policy = under(policy, self.given)
        self._chances: dict[str, Floats | None] = {}
        self.card: EnvironmentCard = card(env_id)
        self.protocol: Policy = reference_policies(env_id)[self.card.protocol_policy]()
        self.task = self.task_of(self.policy)

    @cached_property
    def shared(self) -> dict[str, Any]:
        """Options that keep the patients the same, whatever is seen of them."""
        task = make_task(self.env_id, **{**self.card.evaluation, **self.policy.options, **self.given})
        return dict(task.same_patients)

    def options_of(self, policy: Policy, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the options under which a policy acts: the card's, its own, those that keep the patients the same, those given."""
        given = dict(self.given)
        if policy is not self.policy:
            given = {name: value for name, value in given.items() if name not in ("observation", "action", *policy.options)}
        return {**self.card.evaluation, **policy.options, **self.shared, **given, "cohort": self.cohort, **(more or {})}

    def task_of(self, policy: Policy) -> Task:
        """Return the task in which a policy acts."""
        task: Task = make_task(self.env_id, **self.options_of(policy))
        return task

    def batch(self, n: int) -> PatientVectorEnv:
        """Return the first n patients, who have begun, in the policy's environment."""
        env = patients_of(self.env_id, self.options_of(self.policy), n)
        env.reset(seed=self.plan.seed)
        return env

    @property
    def own_kept(self) -> int:
        """Of how many test patients observations are kept."""
        return min(self.plan.kept, self.own.n)

    def follow(self, policy: Policy, n: int, *, more: Mapping[str, Any] | None = None, seed: int | None = None, keep: int = 0,
               prepare: Callable[[PatientVectorEnv], None] | None = None,
               reset_options: dict[str, Any] | None = None) -> Courses:  # fmt: skip
        """Return the courses of n patients under a policy."""
        return follow(
            self.env_id, policy, n, seed=self.plan.seed if seed is None else seed, options=self.options_of(policy, more), keep=keep,
            prepare=prepare, reset_options=reset_options, progress=lambda share: self.tell(share * n / self.plan.patients),
        )  # fmt: skip

    def keep_in(self, folder: Path, key: str) -> None:
        """Keep nothing: courses are played again where an evaluation goes on, since they hold what was seen at every step."""

    def tell(self, work: float) -> None:
        """Count work done, in courses of all the plan's patients."""
        if self.progress is not None:
            self.progress(work)

    @cached_property
    def own(self) -> Courses:
        """The test patients under the policy."""
        return self.follow(self.policy, self.plan.patients, keep=self.plan.kept)

    @cached_property
    def standard(self) -> Courses:
        """The same patients under the protocol."""
        return self.follow(self.protocol, self.plan.patients, keep=self.plan.kept)

    @cached_property
    def floor_return(self) -> float:
        """The mean return of the floor, the random policy, on the patients that are stressed."""
        floor = reference_policies(self.env_id)[self.card.floor_policy]()
        floor.options = {**floor.options, **self.policy.options}
        return float(self.follow(floor, self.plan.stressed).returns.mean())

    @cached_property
    def own_harm(self) -> Floats:
        """Each patient's harm under the policy, (n,)."""
        return self.harm(self.policy, self.own)

    @cached_property
    def standard_harm(self) -> Floats:
        """Each patient's harm under the protocol, (n,)."""
        return self.harm(self.protocol, self.standard)

    @cached_property
    def own_harm_calm(self) -> Floats:
        """Each patient's harm as it came under the policy, (n,): what stressed courses are compared with."""
        return self.profile.harm.of(self.own)

    @cached_property
    def standard_harm_calm(self) -> Floats:
        """The same under the protocol."""
        return self.profile.harm.of(self.standard)

    def harm(self, policy: Policy, courses: Courses) -> Floats:
        """Return each patient's harm, 0..1, (n,): the exact probability from where they start, if the course is a table; else what came."""
        exact = self.chances(policy, courses.task)
        if exact is None:
            return self.profile.harm.of(courses)
        rows = np.column_stack(list(courses.params.values()))
        task: Any = courses.task
        return np.asarray(exact[task.tables.start_of(rows)])

    def chances(self, policy: Policy, task: Any) -> Floats | None:
        """Return the exact probability of harm from each first state, (states,), or None where it cannot be told.

        Of the policy and the protocol it is computed once: it does not depend on which patients come.
        """
        if not isinstance(task, TabularTask) or self.profile.harm.measure:
            return None
        if policy is not self.policy and policy is not self.protocol:
            return self.chances_in(policy, task)
        which = "policy" if policy is self.policy else "protocol"
        if which not in self._chances:
            self._chances[which] = self.chances_in(policy, task)
        return self._chances[which]

    def chances_in(self, policy: Policy, task: TabularTask) -> Floats | None:
        """Return the same, computed."""
        table = table_of(policy, task)
        if table is None:
            return None
        problem = Problem(task)
        return np.asarray(chance_by_state(problem, self.harmful(task), probabilities_by_state(problem, table))[-1])

    def harmful(self, task: TabularTask) -> npt.NDArray[np.bool_]:
        """Return which states of a table are the harm, (states,)."""
        return np.isin(np.array(task.tables.outcomes)[task.tables.outcome_of], self.profile.harm.outcomes)

    @property
    def exact(self) -> bool:
        """Whether harm is known exactly from the first state."""
        return self.chances(self.policy, self.own.task) is not None


def under(policy: Policy, given: Mapping[str, Any]) -> Policy:
    """Return a policy whose options are those given for what it sees and does, so that whatever is put around it acts under them, too."""
    chosen = {name: value for name, value in given.items() if name in ("observation", "action", *policy.options)}
    if not chosen:
        return policy
    found = copy.copy(policy)
    found.options = {**policy.options, **chosen}
    return found
