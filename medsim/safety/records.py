"""Records of the protocol's care, as a hospital would have them, and what can be asked of them about a policy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces

from medsim.core.task import Task
from medsim.datasets.clinician import clinician
from medsim.datasets.episodes import Episodes, collect
from medsim.evaluation.off_policy import Evidence, can_be_counted, evidence_of, probabilities_under, value_model
from medsim.policies.chance import ByChance, with_chance
from medsim.policies.grid import GRIDS
from medsim.policies.policy import Policy
from medsim.registry import make_task
from medsim.safety.context import Context

__all__ = ["Question", "Unanswerable", "evidence", "question"]

SEED_STEP = 500_009  # chosen: from the test patients' seed to that of the records' patients, whom no other section meets
MOST_BYTES = 256e6  # chosen: of what was seen, which is twice in memory while it is put together
MODEL = "The model of dm, dr, wdr and magic is {}; intervals do not hold its error."
COUNTED, FITTED = MODEL.format("counted from the records"), MODEL.format("fitted to the records by networks")
FEWEST = 100  # chosen: of fewer episodes no estimator can be judged


class Unanswerable(ValueError):
    """Records of the protocol's care cannot be asked about a policy; the message says why, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What records of the protocol's care are asked.

    Attributes:
        acts: the protocol as it decides by chance; asked: the policy as the records are asked about it.
        options: of the environment as the records show it; hidden: of what the protocol sees, if the records do not hold that.
        episodes: how many; seed: of their patients; says: all of it in sentences.
    """

    acts: Policy
    asked: Policy
    options: Mapping[str, Any]
    hidden: Mapping[str, Any]
    episodes: int
    seed: int
    says: tuple[str, ...] = ()

    def records(self, env_id: str, episodes: int | None = None) -> Episodes:
        """Return the records, or the first ``episodes`` of them."""
        return collect(
            env_id, self.acts, self.episodes if episodes is None else episodes, seed=self.seed, cohort=self.options["cohort"],
            options=self.options, hidden=self.hidden,
        )  # fmt: skip


def question(c: Context) -> Question:
    """Return who acts in the records, and who is asked about.

    Raises:
        Unanswerable: the protocol's decisions, and what was seen as they were made, cannot be written down as the policy's could.
    """
    options, told = c.options_of(c.policy), c.profile.records
    standard = c.task_of(c.protocol)
    refuse_if_actions_differ(c.task, standard)
    acts = clinician(c.env_id, options, told.epsilon, told.spread)
    asked: Policy = c.policy
    if not isinstance(asked, ByChance) and not (choosing(c.task) and isinstance(c.protocol, ByChance)):
        asked = with_chance(asked, c.task.action_space, told.epsilon, told.spread)
    seen, shown = standard.config.observation, c.task.config.observation
    found = Question(
        acts=acts, asked=asked, options=options, hidden={} if seen == shown else {"observation": seen}, episodes=how_many(c),
        seed=c.plan.seed + SEED_STEP,
    )  # fmt: skip
    refuse_unless_it_works(c, found)
    return replace(found, says=tuple(sentences(c, found, standard)))


def choosing(task: Task) -> bool:
    """Return whether there are choices, and not doses."""
    return isinstance(task.action_space, spaces.Discrete)


def refuse_if_actions_differ(task: Task, standard: Task) -> None:
    """Raise Unanswerable if what the protocol does (in its task) is nothing that the policy could do (in its own)."""
    own, other = task.action_space, standard.action_space
    if isinstance(own, spaces.Discrete) and isinstance(other, spaces.Box):
        if task.id not in GRIDS:
            raise Unanswerable(f"the protocol orders doses, the policy chooses among {own.n} actions, and there is no grid between them")
        try:
            actions = GRIDS[task.id](task.config).actions
        except ValueError as error:
            raise Unanswerable(f"the protocol orders doses and the policy chooses: {error}") from error
        if actions != own.n:
            raise Unanswerable(f"the policy chooses among {own.n} actions, and the protocol's doses fall on a grid of {actions}")
    elif type(own) is not type(other):
        raise Unanswerable("the policy orders doses, and the protocol chooses among actions: records of the one say nothing of the other")
    elif isinstance(own, spaces.Discrete) and isinstance(other, spaces.Discrete) and own.n != other.n:
        raise Unanswerable(f"the policy chooses among {own.n} actions and the protocol among {other.n}")
    elif own.shape != other.shape:
        raise Unanswerable(f"the policy orders {dose_count(own)} doses and the protocol {dose_count(other)}")


def dose_count(space: Any) -> int:
    """Return how many doses are ordered at once."""
    return int(np.prod(space.shape))


def refuse_unless_it_works(c: Context, asking: Question) -> None:
    """Raise Unanswerable, with what was said, if a record of one patient cannot be made or asked."""
    if asking.episodes < min(FEWEST, c.plan.logged):
        raise Unanswerable(f"what the policy sees is so large that {asking.episodes} records fill the memory meant for them")
    try:
        probabilities_under(asking.records(c.env_id, 1), asking.asked)
    except ValueError as error:
        raise Unanswerable(str(error)) from error


def how_many(c: Context) -> int:
    """Return how many episodes are logged: as many as the plan says, fewer where charts and pictures would fill the memory."""
    space = c.task.observation_space()
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    each = sum(int(np.prod(one.shape or (1,))) * np.dtype(one.dtype).itemsize for one in parts) * (c.task.horizon_steps + 1)
    return int(min(c.plan.logged, MOST_BYTES // each))


def sentences(c: Context, asking: Question, standard: Task) -> list[str]:
    """Return in words who acts in the records, who is asked about, and what they do not hold."""
    says = [f"{asking.episodes:,} other patients of the {c.cohort} cohort are treated by {asking.acts.name}, and what was seen and done is "
            f"written down."]  # fmt: skip
    if asking.acts.name != c.protocol.name:
        says[0] += f" Without chance records say nothing of other care ({c.profile.records.reason})."
    if choosing(c.task) and isinstance(standard.action_space, spaces.Box):
        here: Any = make_task(c.env_id, **{**asking.options, "action": "continuous"}).action_space
        if dose_count(here) < dose_count(standard.action_space):
            says.append(
                f"Of the protocol's {dose_count(standard.action_space)} doses they hold {dose_count(here)}: the policy has no other."
            )
    if asking.asked is not c.policy:
        says.append(
            f"Asked about is {asking.asked.name}: the policy with the same chance as the protocol's, since records hold no exact doses, "
            "and hardly ever a whole course of exact choices."
        )
    if asking.hidden:
        says.append(
            f"The protocol sees {asking.hidden['observation']!r}, and the records hold what the policy sees, "
            f"{c.task.config.observation!r}: they are confounded, as a hospital's are, and no estimator can know it."
        )
    return says


def evidence(c: Context, asking: Question, episodes: Episodes) -> tuple[Evidence, str]:
    """Return what the records are to estimators, and in a sentence which model of the policy's values they are given."""
    if can_be_counted(episodes, asking.asked):
        return evidence_of(episodes, asking.asked), COUNTED
    if isinstance(episodes.observation_space, spaces.Dict):
        return evidence_of(episodes, asking.asked), "No model is fitted to charts and pictures: dm, dr, wdr and magic are left out."
    fit = value_model()
    if fit is None:
        without = "No installed package fits a model of values (pip install 'medsim[agents]'): dm, dr, wdr and magic are left out."
        return evidence_of(episodes, asking.asked), without
    return evidence_of(episodes, asking.asked, fit, seed=c.plan.seed), FITTED
