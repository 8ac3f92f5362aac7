"""Many hospitals side by side, each standing at a decision: what learning steps.

In a hospital one agent is asked at a time. A ``DecisionBatch`` holds n hospitals of a task, tells who is asked in each, what they see and
may do, and takes all answers at once. ``ShellBatch`` does it for any model; a task whose attribute ``make_batch`` is a function of n
brings a faster one of its own, and ``make_decision_batch`` uses it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medsim.core.streams import Key, fresh_seed
from medsim.hospital.decisions import NOTHING
from medsim.hospital.shells import FORBIDDEN, HospitalShell
from medsim.hospital.task import HospitalTask

__all__ = ["NOBODY", "BatchPlay", "DecisionBatch", "ShellBatch", "make_decision_batch", "play_batch"]

NOBODY = -1  # who is asked in a hospital whose episode is over

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]
Switches = npt.NDArray[np.bool_]


class DecisionBatch(Protocol):
    """n hospitals of a task. All arrays are overwritten by ``reset`` and ``step``: copy what is to be kept.

    Attributes:
        agent: (n,) who is asked, a number into ``task.agents``; NOBODY once the episode is over, and before the first ``reset``.
        observations: (n, K) what the asked agent sees, cut at its limits; zeros beyond its own numbers. K: the most that a role sees.
        masks: (n, A), int8: 1 where the asked agent's action is legal; zeros beyond its own actions. A: the most that a role can do.
        rewards: (n,) of the team, over the last step; zeros for hospitals that were not stepped, as in the next three.
        local: (n, agents) each agent's own part, where the model tells them apart. terms: (n, terms) of the team's reward.
        costs: (n, costs) harms, in the order of ``cost_names``: the task's, and forbidden actions.
        ended: (n,) whether the episode is over. time_h: (n,) hours since the episode's start.
    """

    task: HospitalTask
    n: int
    cost_names: tuple[str, ...]
    agent: Whole
    observations: Rows
    masks: Bytes
    rewards: Floats
    local: Floats
    terms: Floats
    costs: Floats
    ended: Switches
    time_h: Floats

    def seed(self, seed: int | Sequence[int], slots: Sequence[int] | None = None) -> None:
        """Key the streams from the next reset on: one seed for all or one each, slots 0, 1, ... unless others are given."""

    def key(self, row: int) -> Key:
        """Return the key of a hospital's present episode."""

    def reset(self, mask: Switches | None = None) -> None:
        """Begin the next episode of all hospitals, or of those in the mask, and run to its first decision."""

    def step(self, actions: npt.NDArray[Any], mask: Switches | None = None) -> None:
        """Answer in all hospitals, or in those of the mask, and run each to its next decision; those that are over stay as they are.

        An action that the hospital's mask forbids does nothing and counts as the cost ``forbidden_action``.

        Raises:
            ValueError: an action is not from 0 to A - 1; nothing has happened then.
        """

    def observe(self, rows: npt.NDArray[Any], agents: npt.NDArray[Any]) -> Rows:
        """Return what agents see now in these hospitals (m, K), asked or not, also after the end."""

    def metrics(self, row: int) -> dict[str, float]:
        """Return figures of a hospital's episode so far, such as mean waits in hours; they stay as they are after its end."""

    def snapshot(self) -> dict[str, Any]:
        """Return what ``restore`` needs to come back to this moment, to the bit; it can be pickled."""

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to the moment of a snapshot of a batch of the same task and size."""


def make_decision_batch(task: HospitalTask, n: int) -> DecisionBatch:
    """Return n hospitals of a task: the task's own kind of batch (``task.make_batch(n)``) if it has one, else a ``ShellBatch``.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"a batch holds 1 hospital or more, not {n}")
    own: Callable[[int], DecisionBatch] | None = getattr(task, "make_batch", None)
    return ShellBatch(task, n) if own is None else own(n)


class ShellBatch:
    """n hospitals of any model, one after the other in Python. A snapshot holds keys and answers; ``restore`` plays them again."""

    def __init__(self, task: HospitalTask, n: int) -> None:
        self.task, self.n = task, n
        self.cost_names = (*task.cost_names, FORBIDDEN)
        self.numbers = {agent: number for number, agent in enumerate(task.agents)}
        self.shells = [HospitalShell(task, None) for _ in range(n)]
        self.answers: list[list[int]] = [[] for _ in range(n)]
        widest = max(len(seen) for seen in task.seen.values())
        most = max(len(names) for names in task.actions.values())
        self.low, self.high = (padded(limits, widest) for limits in zip(*(task.limits(role) for role in task.roles.values()), strict=True))
        self.agent = np.full(n, NOBODY, dtype=np.int64)
        self.observations = np.zeros((n, widest), dtype=np.float32)
        self.masks = np.zeros((n, most), dtype=np.int8)
        self.rewards, self.time_h = np.zeros(n), np.zeros(n)
        self.local = np.zeros((n, len(task.agents)))
        self.terms, self.costs = np.zeros((n, len(task.term_names))), np.zeros((n, len(self.cost_names)))
        self.ended = np.ones(n, dtype=np.bool_)
        self.seeds: list[tuple[int, int]] | None = None  # of the next reset: (seed, slot) each
        self.keyed = False

    def seed(self, seed: int | Sequence[int], slots: Sequence[int] | None = None) -> None:
        """Key the streams from the next reset on, as ``DecisionBatch`` says.

        Raises:
            ValueError: there are not as many seeds or slots as hospitals.
        """
        seeds = [int(one) for one in seed] if isinstance(seed, Sequence | np.ndarray) else [int(seed)] * self.n
        chosen = list(range(self.n)) if slots is None else [int(one) for one in slots]
        if len(seeds) != self.n or len(chosen) != self.n:
            raise ValueError(f"{self.n} hospitals need as many seeds (or one) and slots, not {len(seeds)} and {len(chosen)}")
        self.seeds = list(zip(seeds, chosen, strict=True))

    def key(self, row: int) -> Key:
        """Return the key of a hospital's present episode."""
        return self.shells[row].key

    def reset(self, mask: Switches | None = None) -> None:
        """Begin the next episode of all hospitals, or of those in the mask.

        Raises:
            ValueError: there are new seeds or none yet, and the mask leaves hospitals out.
        """
        if mask is not None and not mask.all() and (self.seeds is not None or not self.keyed):
            raise ValueError("the first reset after seed() must begin all hospitals: leave the mask out")
        if self.seeds is None and not self.keyed:
            self.seed(fresh_seed())
        self._clear()
        for row in range(self.n) if mask is None else np.flatnonzero(mask).tolist():
            seed, slot = (None, None) if self.seeds is None else self.seeds[row]
            self.shells[row].begin(seed, None if slot is None else {"slot": slot})
            self.answers[row].clear()
            self._look(row)
        self.seeds, self.keyed = None, True

    def step(self, actions: npt.NDArray[Any], mask: Switches | None = None) -> None:
        """Answer in all hospitals, or in those of the mask, as ``DecisionBatch`` says.

        Raises:
            ValueError: an action is not from 0 to A - 1; nothing has happened then.
        """
        chosen = ~self.ended if mask is None else mask & ~self.ended
        self._refuse_unless_actions(actions, chosen)
        self._clear()
        for row in np.flatnonzero(chosen).tolist():
            action = int(actions[row])
            forbidden = not self.masks[row, action]
            self._answer(row, NOTHING if forbidden else action)
            self.costs[row, -1] = float(forbidden)
            self._look(row)

    def _refuse_unless_actions(self, actions: npt.NDArray[Any], chosen: Switches) -> None:
        most = self.masks.shape[1]
        if actions.shape != (self.n,) or not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(f"actions must be {self.n} whole numbers, not an array {actions.shape} of {actions.dtype}")
        wrong = chosen & ((actions < 0) | (actions >= most))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"the action in hospital {row} must be from 0 to {most - 1}, not {actions[row]}")

    def _clear(self) -> None:
        for sums in (self.rewards, self.local, self.terms, self.costs):
            sums[...] = 0.0

    def _answer(self, row: int, action: int) -> None:
        """Answer, run to the next decision, and read the ledger."""
        model = self.shells[row].present_model()
        self.answers[row].append(action)
        model.answer(action)
        model.run()
        ledger = model.drain()
        self.terms[row] = [ledger.terms[name] for name in self.task.term_names]
        self.costs[row, :-1] = [ledger.costs[name] for name in self.task.cost_names]
        self.rewards[row] = sum(ledger.terms.values())
        self.local[row] = [ledger.local.get(agent, 0.0) for agent in self.task.agents]

    def _look(self, row: int) -> None:
        """Write down where a hospital stands; after the end nobody is asked, and ``observe`` still tells what agents see."""
        model = self.shells[row].present_model()
        request = model.request
        self.time_h[row] = model.time_h
        self.ended[row] = request is None
        self.masks[row] = 0
        if request is None:
            self.agent[row] = NOBODY
            self.masks[row, NOTHING] = 1
            return
        number = self.numbers[request.agent]
        self.agent[row] = number
        self.masks[row, : len(request.mask)] = request.mask
        self._see(self.observations[row], row, number)

    def _see(self, out: Rows, row: int, number: int) -> None:
        seen = self.shells[row].present_model().observe(self.task.agents[number])
        out[len(seen) :] = 0.0
        out[: len(seen)] = seen
        np.clip(out, self.low[number], self.high[number], out=out)

    def observe(self, rows: npt.NDArray[Any], agents: npt.NDArray[Any]) -> Rows:
        """Return what agents see now in these hospitals (m, K)."""
        out = np.zeros((len(rows), self.observations.shape[1]), dtype=np.float32)
        for at, (row, number) in enumerate(zip(rows.tolist(), agents.tolist(), strict=True)):
            self._see(out[at], row, number)
        return out

    def metrics(self, row: int) -> dict[str, float]:
        """Return figures of a hospital's episode so far."""
        return self.shells[row].present_model().metrics()

    def snapshot(self) -> dict[str, Any]:
        """Return the key and the answers of every hospital's episode."""
        return {"keys": [tuple_of(shell) for shell in self.shells], "answers": [list(given) for given in self.answers]}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Play every hospital's episode again up to the moment of a snapshot; rewards and costs of the last step are zero then."""
        self._clear()
        for row, ((seed, slot, episode), given) in enumerate(zip(snapshot["keys"], snapshot["answers"], strict=True)):
            shell = self.shells[row]
            shell.seed_of_streams, shell.slot, shell.episode = seed, slot, episode - 1
            shell.begin(None, None)
            self.answers[row].clear()
            for action in given:
                self._answer(row, action)
            self._look(row)
        self._clear()
        self.seeds, self.keyed = None, True


def padded(rows: Sequence[Rows], width: int) -> Rows:
    """Return rows of different lengths as one array, zeros behind the shorter ones."""
    out = np.zeros((len(rows), width), dtype=np.float32)
    for row, values in enumerate(rows):
        out[row, : len(values)] = values
    return out


def tuple_of(shell: HospitalShell) -> tuple[int, int, int]:
    """Return seed, slot and episode of a shell.

    Raises:
        RuntimeError: no episode has begun.
    """
    if shell.seed_of_streams is None:
        raise RuntimeError("no episode has begun: call reset() first")
    return shell.seed_of_streams, shell.slot, shell.episode


@dataclass(frozen=True, kw_only=True)
class BatchPlay:
    """One episode of every hospital of a batch: sums (n,) or by name (n, names), and how many decisions were asked for (n,)."""

    returns: Floats
    terms: Floats
    costs: Floats
    decisions: Whole


def play_batch(
    batch: DecisionBatch,
    act: Callable[[DecisionBatch], npt.NDArray[Any]],
    *,
    seed: int,
    slots: Sequence[int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> BatchPlay:
    """Play one episode in every hospital; ``act`` gives the actions (n,) for where a batch stands (those that are over are ignored).

    Args:
        slots: of the seed (default 0, 1, ...): the episodes of ``evaluate_hospital``. progress: called with 1 as each episode ends.
    """
    batch.seed(seed, slots)
    batch.reset()
    returns, terms, costs = np.zeros(batch.n), np.zeros_like(batch.terms), np.zeros_like(batch.costs)
    decisions = np.zeros(batch.n, dtype=np.int64)
    while not batch.ended.all():
        running = ~batch.ended
        decisions += running
        batch.step(np.asarray(act(batch)))
        returns += batch.rewards
        terms += batch.terms
        costs += batch.costs
        if progress is not None:
            progress(int((running & batch.ended).sum()))
    return BatchPlay(returns=returns, terms=terms, costs=costs, decisions=decisions)
