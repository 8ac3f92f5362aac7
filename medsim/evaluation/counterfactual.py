"""What would have happened to this very patient under another policy: counterfactual episodes where the course is a table.

The courses of a table are taken for a Gumbel-max structural causal model (Oberst, Sontag, ICML 2019): the next state is the one with
the largest log probability plus noise, and the noise, one Gumbel number for each state and step, belongs to the patient. What happened
tells about that noise: its posterior is drawn top-down (Maddison, Tarlow, Minka, NIPS 2014), and the patient is treated again under it.
Whoever is treated alike has the same course; and what happened stays unless another action made something else relatively more likely
(counterfactual stability). Choices of a policy that decides by chance have noise of the same kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from medsim.core.compile import compiled_together, jit_enabled
from medsim.core.portable import exp, log
from medsim.core.streams import Key, seed_words, uniform, words
from medsim.core.tabular import TabularTask
from medsim.core.tabular_kernels import STATE
from medsim.core.vector import PatientVectorEnv
from medsim.evaluation.scoring import table_of
from medsim.policies.policy import Policy
from medsim.registry import make_task

__all__ = ["Trajectory", "counterfactual", "counterfactuals", "record_trajectories"]

Array = Any

NOISE_STREAM = 1_000_003  # streams of their own, away from the models' purposes: of states, and of choices
CHOICE_NOISE_STREAM = 1_000_004
TOP = 0xFFFF  # the place of the largest number's own draw, which no state has
NOWHERE = -1  # after the end


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """One patient's course: states (steps + 1,), actions and rewards (steps,), in an environment with options."""

    env_id: str
    states: npt.NDArray[np.int64]
    actions: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float64]
    outcome: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The sum of the rewards."""
        return float(self.rewards.sum())


def noise_given(p: float, happened: bool, top: float, e: float) -> float:
    """Return a Gumbel number, given what happened.

    Args:
        p: probability that its own event had; happened: whether it is the one that happened; top: the largest log probability plus
            noise there was; e: a standard exponential number.
    """
    if p <= 0.0:
        return -log(e)  # nothing is learned of it
    if happened:
        return top - log(p)
    return -log(exp(-top) + e / p) - log(p)


def exponential(key: Key, step: int, place: int, stream: int) -> float:
    """Return the standard exponential number of a place."""
    return -log(uniform(words(key, step * 65536 + place, stream)[0]))


def probability_of(state: int, pair: int, first: Array, to: Array, p: Array) -> float:
    """Return the probability of a state after a pair of state and action."""
    low, high = first[pair], first[pair + 1]
    while low < high:
        middle = (low + high) // 2
        if to[middle] < state:
            low = middle + 1
        else:
            high = middle
    return p[low] if low < first[pair + 1] and to[low] == state else 0.0


def next_state(key: Key, step: int, pair: int, fact: int, fact_next: int, first: Array, to: Array, p: Array) -> int:
    """Return where a pair leads under the noise of a step in which the pair ``fact`` (-1: none) led to ``fact_next``."""
    top = -log(exponential(key, step, TOP, NOISE_STREAM))
    best, chosen = -1e300, NOWHERE
    for link in range(first[pair], first[pair + 1]):
        state = int(to[link])
        before = probability_of(state, fact, first, to, p) if fact >= 0 else 0.0
        value = log(p[link]) + noise_given(before, state == fact_next, top, exponential(key, step, state, NOISE_STREAM))
        if value > best:
            best, chosen = value, state
    return chosen


def next_action(key: Key, step: int, chances: Array, before: Array, fact: int) -> int:
    """Return the choice by probabilities ``chances`` under the noise with which ``before`` (zeros: unknown) chose ``fact``."""
    top = -log(exponential(key, step, TOP, CHOICE_NOISE_STREAM))
    best, chosen = -1e300, 0
    for action in range(chances.shape[0]):
        if chances[action] > 0.0:
            e = exponential(key, step, action, CHOICE_NOISE_STREAM)
            value = log(chances[action]) + noise_given(before[action], action == fact, top, e)
            if value > best:
                best, chosen = value, action
    return chosen


def treat_again(seed_low: int, seed_high: int, first: Array, to: Array, p: Array, over: Array, policy: Array, behaviour: Array,
                facts: Array, done: Array, states: Array, actions: Array) -> None:  # fmt: skip
    """Treat patients again: fill states (n, steps + 1) and actions (n, steps), given facts and what was done of the same shapes."""
    count = policy.shape[2]
    for i in range(facts.shape[0]):
        key = Key(seed_low, seed_high, i, 0, 0)
        states[i, 0] = facts[i, 0]
        for t in range(actions.shape[1]):
            state, fact = int(states[i, t]), int(facts[i, t])
            if over[state]:
                break
            known = done[i, t] >= 0
            before = behaviour[min(t, behaviour.shape[0] - 1), fact] if known else behaviour[0, 0] * 0.0
            action = next_action(key, t, policy[min(t, policy.shape[0] - 1), state], before, int(done[i, t]))
            pair = fact * count + int(done[i, t]) if known else NOWHERE
            fact_next = int(facts[i, t + 1]) if known else NOWHERE
            actions[i, t] = action
            states[i, t + 1] = next_state(key, t, state * count + action, pair, fact_next, first, to, p)


@lru_cache(maxsize=2)
def kernel(compiled: bool) -> Any:
    """Return the loop, compiled or as plain Python."""
    return compiled_together("counterfactual", treat_again)["treat_again"] if compiled else treat_again


def record_trajectories(env_id: str, policy: Policy, patients: int, *, seed: int = 0, **options: Any) -> list[Trajectory]:
    """Return the courses of the first patients of a seed under a policy.

    Raises:
        ValueError: the environment's course is no table, or an option is not allowed.
    """
    given = {**policy.options, **options}
    env = PatientVectorEnv(table_task(env_id, given), patients, autoreset_mode=AutoresetMode.DISABLED, threads=1)
    batch: Any = env.batch
    observations, _ = env.reset(seed=seed)
    policy.begin(env)
    states, actions, running = [batch.lanes[:, STATE].copy()], [], np.ones(patients, dtype=np.bool_)
    while running.any():
        chosen = np.asarray(policy.act(observations))
        ended = env.step_running(chosen)
        states.append(np.where(running, batch.lanes[:, STATE], NOWHERE))
        actions.append(np.where(running, chosen, NOWHERE))
        running &= ~ended
        observations = batch.obs.copy()
    return trajectories_of(env_id, given, np.stack(states, axis=1), np.stack(actions, axis=1))


def counterfactual(trajectory: Trajectory, policy: Policy, *, behaviour: Policy | None = None, seed: int = 0) -> Trajectory:
    """Return what would have happened to a patient under another policy.

    Args:
        trajectory: what happened; policy: acts by what it sees, without a memory of its own.
        behaviour: the policy under which it happened, if it decided by chance: its choices then tell of their noise, too.
        seed: of the noise that what happened leaves open.

    Raises:
        ValueError: a policy with a memory.
    """
    return counterfactuals([trajectory], policy, behaviour=behaviour, seed=seed)[0]


def counterfactuals(trajectories: Sequence[Trajectory], policy: Policy, *, behaviour: Policy | None = None,
                    seed: int = 0) -> list[Trajectory]:  # fmt: skip
    """Return ``counterfactual`` of several patients of one environment with one set of options; each has noise of their own."""
    one = trajectories[0]
    task = table_task(one.env_id, {**one.options, "observation": dict(policy.options).get("observation", "index")})
    model, steps = task.tables, task.horizon_steps
    matrix = model.transitions.tocsr()
    matrix.sort_indices()
    facts, done = np.full((len(trajectories), steps + 1), NOWHERE), np.full((len(trajectories), steps), NOWHERE)
    for i, each in enumerate(trajectories):
        facts[i, : len(each.states)], done[i, : len(each.actions)] = each.states, each.actions
    states, actions = np.full_like(facts, NOWHERE), np.full_like(done, NOWHERE)
    chances = by_state(policy, task)
    before = np.zeros((1, model.states, model.actions)) if behaviour is None else by_state(behaviour, table_task(
        one.env_id, {**one.options, **behaviour.options}))  # fmt: skip
    low, high = seed_words(seed)
    kernel(jit_enabled())(
        low, high, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data, model.outcome_of > 0, chances, before,
        facts, done, states, actions,
    )  # fmt: skip
    return trajectories_of(one.env_id, one.options, states, actions)


def by_state(policy: Policy, task: TabularTask) -> npt.NDArray[np.float64]:
    """Return a policy's probabilities (steps or 1, states, actions)."""
    table = table_of(policy, task)
    if table is None:
        raise ValueError(f"{policy.name} may remember what it saw: counterfactuals take policies that say they act by table or memoryless")
    views = task.tables.views
    code_of = np.zeros(task.tables.states, dtype=np.int64) if table.observation == "any" else views[table.observation].code_of_state
    return np.ascontiguousarray(table.probabilities[:, code_of])


def trajectories_of(env_id: str, options: Mapping[str, Any], states: npt.NDArray[np.int64],
                    actions: npt.NDArray[np.int64]) -> list[Trajectory]:  # fmt: skip
    """Return the courses in arrays (n, steps + 1) and (n, steps), in which NOWHERE stands after an end."""
    task = table_task(env_id, dict(options))
    model, found = task.tables, []
    for row, did in zip(states, actions, strict=True):
        length = int((did >= 0).sum())
        code = int(model.outcome_of[row[length]]) or int(task.settings.outcome_at_horizon)
        found.append(
            Trajectory(
                env_id=env_id, states=row[: length + 1].copy(), actions=did[:length].copy(), rewards=model.rewards[row[1 : length + 1]],
                outcome=model.outcomes[code], options=dict(options),
            )
        )  # fmt: skip
    return found


def table_task(env_id: str, options: Mapping[str, Any]) -> TabularTask:
    """Return the task of an environment whose course is a table."""
    task = make_task(env_id, **options)
    if not isinstance(task, TabularTask):
        raise ValueError(f"counterfactual episodes need an environment whose course is a table, and {env_id} is none")
    return task
