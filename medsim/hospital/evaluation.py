"""Evaluation of hospital policies on a fixed list of episodes: the same arrivals, stays and chances for every policy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from medsim.hospital.batch import DecisionBatch, make_decision_batch, play_batch
from medsim.hospital.decisions import NOTHING
from medsim.hospital.draws import key_of
from medsim.hospital.policy import HospitalPolicy
from medsim.hospital.shells import FORBIDDEN, HospitalShell
from medsim.hospital.task import HospitalTask, Ledger
from medsim.registry import hospital_card, make_task

__all__ = ["DEFAULT_SEED", "BatchPolicy", "HospitalResult", "decide_by", "evaluate_hospital", "play_episode"]

DEFAULT_SEED = 20260  # the fixed list of episodes: slots 0, 1, ... of this seed
SIDE_BY_SIDE = 128  # chosen: episodes of a batch; more save little, and a SimPy model holds some megabytes
SAME_COURSE = ("engine", "log_events", "mask_in_observation", "local_rewards", "expose_state")  # options that no return depends on

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class HospitalResult:
    """How a policy did, episode by episode; arrays are (n,)."""

    env_id: str
    policy: str
    episodes: int
    seed: int
    returns: Array  # of the team
    normalised: Array  # 0 the floor, 1 the ceiling, by the mean returns of the registry
    unscored: str = ""  # why ``normalised`` says nothing here: the options by which this hospital differs from the registry's
    terms: dict[str, Array]  # sums over the episode
    costs: dict[str, Array]
    metrics: dict[str, Array]
    decisions: Array

    def record(self) -> dict[str, Any]:
        """Return the result as plain lists and numbers; ``normalised`` is None where ``unscored`` says why."""
        normalised = None if self.unscored else self.normalised.tolist()
        parts = {"terms": self.terms, "costs": self.costs, "metrics": self.metrics}
        plain = {name: {key: values.tolist() for key, values in part.items()} for name, part in parts.items()}
        return {"returns": self.returns.tolist(), "normalised": normalised, "decisions": self.decisions.tolist(), **plain}


@dataclass(frozen=True, kw_only=True)
class Played:
    """One episode: sums of its terms and costs, its figures at the end, and how many decisions were asked for."""

    terms: dict[str, float]
    costs: dict[str, float]
    metrics: dict[str, float]
    decisions: int


def play_episode(task: HospitalTask, policy: HospitalPolicy, *, seed: int, slot: int = 0, shell: HospitalShell | None = None) -> Played:
    """Play one episode of a task under a policy; a shell that is given is used, and can be asked for its event log afterwards."""
    shell = shell or HospitalShell(task, None)
    shell.begin(seed, {"slot": slot})
    model = shell.present_model()
    policy.begin(task, shell.key)
    terms, costs, decisions = dict.fromkeys(task.term_names, 0.0), dict.fromkeys([*task.cost_names, FORBIDDEN], 0.0), 0
    while model.request is not None:
        ledger = decide_by(shell, policy)
        decisions += 1
        for name in terms:
            terms[name] += ledger.terms[name]
        for name in costs:
            costs[name] += ledger.costs[name]
    return Played(terms=terms, costs=costs, metrics=model.metrics(), decisions=decisions)


def decide_by(shell: HospitalShell, policy: HospitalPolicy) -> Ledger:
    """Let a policy answer the question that waits, run to the next, and return what came in."""
    task, model = shell.task, shell.present_model()
    assert model.request is not None
    agent = model.request.agent
    low, high = shell.limits[task.roles[agent]]
    seen = np.clip(np.array(model.observe(agent), dtype=np.float32), low, high)
    action = policy.act(agent, seen, model.request.mask)
    ledger, _ = shell.decide({**dict.fromkeys(task.agents, NOTHING), agent: action})
    return ledger


class BatchPolicy(Protocol):
    """A policy that answers in many hospitals at once, with the actions that ``act`` would give one by one."""

    def begin(self, task: HospitalTask, key: Any) -> None:
        """Episodes of a task begin."""

    def act_batch(
        self, agents: npt.NDArray[np.int64], seen: npt.NDArray[np.float32], masks: npt.NDArray[np.int8], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[Any]:
        """Return actions (m,) of the agents that are asked (m,), numbers into ``task.agents``, from what they see (m, K) and may do (m, A);
        zeros beyond an agent's own numbers and actions, as in a ``DecisionBatch``. ``rows`` (m,): which hospitals these are, for a policy
        that remembers what it saw in each."""


def answers_many(policy: Any) -> TypeGuard[BatchPolicy]:
    """Return whether a policy can answer in many hospitals at once."""
    return hasattr(policy, "act_batch")


def play_side_by_side(
    task: HospitalTask, policy: BatchPolicy, *, seed: int, slots: range, progress: Callable[[int], None] | None = None
) -> list[Played]:
    """Play one episode for each slot under a policy, all side by side: the episodes of ``play_episode``."""
    policy.begin(task, key_of(seed, slots[0]))
    batch = make_decision_batch(task, len(slots))

    def act(batch: DecisionBatch) -> npt.NDArray[Any]:
        actions = np.full(batch.n, NOTHING, dtype=np.int64)
        rows = np.flatnonzero(~batch.ended)
        actions[rows] = policy.act_batch(batch.agent[rows], batch.observations[rows], batch.masks[rows], rows)
        return actions

    sums = play_batch(batch, act, seed=seed, slots=slots, progress=progress)
    return [
        Played(
            terms=dict(zip(task.term_names, sums.terms[row].tolist(), strict=True)),
            costs=dict(zip(batch.cost_names, sums.costs[row].tolist(), strict=True)),
            metrics=batch.metrics(row),
            decisions=int(sums.decisions[row]),
        )
        for row in range(batch.n)
    ]


def play_list(
    task: HospitalTask, policy: HospitalPolicy, count: int, seed: int, progress: Callable[[int], None] | None = None
) -> list[Played]:
    """Play the first ``count`` episodes of the list: side by side where the policy can, else one after the other; the results are the
    same."""
    played: list[Played] = []
    if answers_many(policy):
        for first in range(0, count, SIDE_BY_SIDE):
            slots = range(first, min(first + SIDE_BY_SIDE, count))
            played += play_side_by_side(task, policy, seed=seed, slots=slots, progress=progress)
        return played
    for slot in range(count):
        played.append(play_episode(task, policy, seed=seed, slot=slot))
        if progress is not None:
            progress(1)
    return played


def evaluate_hospital(
    env_id: str,
    policy: HospitalPolicy,
    *,
    options: Mapping[str, Any] | None = None,
    episodes: int | None = None,
    seed: int = DEFAULT_SEED,
    progress: Callable[[int], None] | None = None,
) -> HospitalResult:
    """Return how a policy does on the first ``episodes`` episodes of the list.

    Args:
        options: of the environment, over the policy's own, over those that its card evaluates under; episodes: None: as many as the
            card says; progress: called with how many episodes have ended since the last call.

    Raises:
        ValueError: an option is not allowed, or episodes is below 1.
    """
    known = hospital_card(env_id)
    count = known.episodes if episodes is None else episodes
    if count < 1:
        raise ValueError(f"episodes must be 1 or more, not {count}")
    given = {**known.evaluation, **policy.options, **(options or {})}
    played = play_list(make_task(env_id, **given), policy, count, seed, progress)
    terms = stacked([one.terms for one in played])
    returns = np.sum(list(terms.values()), axis=0)
    return HospitalResult(
        env_id=env_id,
        policy=policy.name,
        episodes=count,
        seed=seed,
        returns=returns,
        normalised=(returns - known.scores.floor) / (known.scores.ceiling - known.scores.floor),
        unscored=differing(env_id, given),
        terms=terms,
        costs=stacked([one.costs for one in played]),
        metrics=stacked([one.metrics for one in played]),
        decisions=np.array([float(one.decisions) for one in played]),
    )


def differing(env_id: str, given: Mapping[str, Any]) -> str:
    """Return the options, as ``name=value``, by which a hospital differs from the one whose floor and ceiling the registry holds."""
    measured = hospital_card(env_id).evaluation
    defaults = make_task(env_id, **measured).config
    usual = {**(vars(defaults) if defaults is not None else {}), **measured}
    changed = [name for name, value in given.items() if name not in SAME_COURSE and (name not in usual or usual[name] != value)]
    return ", ".join(f"{name}={given[name]}" for name in changed)


def stacked(rows: list[dict[str, float]]) -> dict[str, Array]:
    """Return one array (n,) a name from n rows of the same names."""
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
