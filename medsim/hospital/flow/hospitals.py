"""The arrays of n hospitals, and the kernels that move them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.streams import Key, fresh_seed, seed_words
from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.crowd import FREE_SLOTS, NOBODY, Crowd, new_crowd
from medsim.hospital.flow.kernels import FlowKernels, flow_kernels
from medsim.hospital.flow.plan import plan_of
from medsim.hospital.flow.seen import action_names, agents_of, seen_of
from medsim.hospital.flow.situation import COSTS, TERMS, Situation, Tally, new_situation, new_tally

__all__ = ["Hospitals"]

Switches = npt.NDArray[np.bool_]


class Hospitals:
    """n episodes of one hospital, side by side.

    Args:
        config: the hospital; n: how many episodes; horizon_h: how long each is watched; warm_up_h: when counts are forgotten.

    Attributes:
        agent: (n,) who is asked, a number into ``agents``; NOBODY (-1) before the first reset, and once the episode is over.
        masks: (n, A), int8; ended: (n,); terms, costs: (n, 5), (n, 6) of the last ``drain``.
        s, t, c: the situations, tallies and people of all. Arrays that depend on how many people there are grow as needed.
    """

    def __init__(self, config: HospitalConfig, n: int, *, horizon_h: float, warm_up_h: float = 0.0) -> None:
        self.config, self.n, self.horizon_h, self.warm_up_h = config, n, float(horizon_h), float(warm_up_h)
        self.plan = plan_of(config)
        self.agents = agents_of(config)
        seen = seen_of(config, self.plan)
        self.low, self.high = np.array([one.low for one in seen]), np.array([one.high for one in seen])
        self.row = np.zeros(len(seen))
        self.keys = np.zeros((n, 4), dtype=np.int64)
        self.keys[:, 2], self.keys[:, 3] = np.arange(n), -1
        self.keyed = False
        self.s: Situation = new_situation(self.plan, (n,))
        self.t: Tally = new_tally(self.plan, (n,))
        people = 64 + int(self.plan.beds[self.plan.beds < 10_000].sum()) // 2 * 3
        people = max(people, int(self.plan.started.sum()) + 64)
        self.c: Crowd = new_crowd(self.plan, n, people, 2 * people + 32)
        self.actions = [len(action_names(config, agent, self.plan)) for agent in self.agents]
        most = max([1, *self.actions])
        self.masks = np.zeros((n, most), dtype=np.int8)
        self.agent = np.full(n, NOBODY, dtype=np.int64)
        self.ended = np.ones(n, dtype=np.bool_)
        self.todo = np.zeros(n, dtype=np.int64)
        self.terms, self.costs = np.zeros((n, len(TERMS))), np.zeros((n, len(COSTS)))
        self.kernels: FlowKernels = flow_kernels()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "kernels"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.kernels = flow_kernels()

    def seed(self, seed: int | Sequence[int], slots: Sequence[int] | None = None) -> None:
        """Key the streams from the next reset on: one seed for all or one each; episodes count from zero again.

        Raises:
            ValueError: a seed is negative or no whole number, or there are not n of them.
        """
        seeds = [int(one) for one in seed] if isinstance(seed, Sequence | np.ndarray) else [seed] * self.n
        if len(seeds) != self.n:
            raise ValueError(f"{self.n} hospitals take one seed or {self.n}, not {len(seeds)}")
        self.keys[:, :2] = [seed_words(one) for one in seeds]
        self.keys[:, 2] = np.arange(self.n) if slots is None else np.asarray(slots)
        self.keys[:, 3] = -1
        self.keyed = True

    def set_keys(self, keys: Sequence[Key]) -> None:
        """Key the streams for the next reset, one key each."""
        self.keys[:] = [(key.seed_low, key.seed_high, key.slot, key.episode - 1) for key in keys]
        self.keyed = True

    def key(self, row: int) -> Key:
        """Return the key of a hospital's present episode."""
        low, high, slot, episode = (int(value) for value in self.keys[row])
        return Key(low, high, slot, episode, 0)

    def reset(self, mask: Switches | None = None) -> None:
        """Begin the next episode of all, or of those in the mask, and run to its first question."""
        if not self.keyed:
            self.seed(fresh_seed())
        chosen = np.ones(self.n, dtype=np.bool_) if mask is None else np.asarray(mask, dtype=np.bool_)
        self.keys[chosen, 3] += 1
        for arrays in (self.s, self.t, self.c):
            for name, values in zip(arrays._fields, arrays, strict=True):
                if name != "first_bed":
                    values[chosen] = 0
        self.kernels.begin(self.keys, chosen, self.plan, self.s, self.t, self.c, self.horizon_h, self.warm_up_h)
        self.ended[chosen] = False
        self.todo[:] = chosen
        self._run(np.zeros(self.n, dtype=np.int64))

    def answer(self, actions: npt.NDArray[Any], mask: Switches | None = None) -> None:
        """Answer in all hospitals that ask, or in those of the mask, with allowed actions (n,), and run each to its next question.

        Raises:
            ValueError: an action is neither allowed by the hospital's mask nor 0; nothing has happened then.
        """
        chosen = self.agent >= 0 if mask is None else mask & (self.agent >= 0)
        given = np.asarray(actions, dtype=np.int64)
        rows = np.flatnonzero(chosen & (given != 0))
        inside = (given[rows] > 0) & (given[rows] < self.masks.shape[1])
        wrong = rows[~inside | (self.masks[rows, np.where(inside, given[rows], 0)] == 0)]
        if len(wrong):
            allowed = np.flatnonzero(self.masks[wrong[0]]).tolist()
            raise ValueError(f"action {given[wrong[0]]} of hospital {wrong[0]} is not allowed now; allowed are {allowed}")
        self.todo[:] = 2 * chosen
        self._run(given)

    def _run(self, actions: npt.NDArray[np.int64]) -> None:
        """Run those to do; where people or events outgrow their arrays, these are enlarged, and the rest of the way is run."""
        while self.kernels.run(self.keys, self.todo, actions, self.plan, self.s, self.t, self.c, self.horizon_h, self.masks, self.agent,
                               self.ended):  # fmt: skip
            self._enlarge()

    def _enlarge(self) -> None:
        """Double the places for people and events."""
        people, events = self.c.number.shape[1], self.c.event_h.shape[1]
        new = new_crowd(self.plan, self.n, 2 * people, 2 * events)
        for name in Crowd._fields:
            old, place = getattr(self.c, name), getattr(new, name)
            place[tuple(slice(size) for size in old.shape)] = old
        fresh = np.arange(2 * people - 1, people - 1, -1)
        for name in ("number", "bed", "queue"):
            getattr(new, name)[:, people:] = NOBODY
        new.slots[:, :people] = fresh  # the new places lie below the old ones on the stack
        new.slots[:, people:] = self.c.slots
        new.counters[:, FREE_SLOTS] += people
        self.c = new

    def observe(self, rows: npt.NDArray[Any], agents: npt.NDArray[Any], out: npt.NDArray[np.float32]) -> None:
        """Write what agents (m,) see in hospitals (m,) into out (m, K)."""
        self.kernels.observe(self.plan, self.s, rows, agents, self.low, self.high, self.row, out)

    def drain(self, mask: Switches) -> None:
        """Hand over what has come in since the last time: ``terms`` and ``costs``, zeros where the mask is not set."""
        self.kernels.drain(self.t, mask, self.terms, self.costs)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that the episodes depend on."""
        arrays = {f"{kind}.{name}": value.copy() for kind in "stc" for name, value in getattr(self, kind)._asdict().items()}
        return arrays | {name: getattr(self, name).copy() for name in ("keys", "masks", "agent", "ended")}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to the moment of a snapshot.

        Raises:
            ValueError: it is of other hospitals or another number of them.
        """
        if snapshot["keys"].shape != self.keys.shape or snapshot["s.waiting"].shape != self.s.waiting.shape:
            raise ValueError(f"the snapshot is of {len(snapshot['keys'])} hospitals, or of another kind; these are {self.n}")
        for kind, record in (("s", Situation), ("t", Tally), ("c", Crowd)):
            setattr(self, kind, record(*(snapshot[f"{kind}.{name}"].copy() for name in record._fields)))
        for name in ("keys", "masks", "agent", "ended"):
            getattr(self, name)[...] = snapshot[name]
        self.keyed = True

    def copy_episode(self, source: int, target: int) -> None:
        """Make one hospital's episode a copy of another's, to the bit, random streams included: it can then be played differently."""
        for arrays in (self.s, self.t, self.c):
            for values in arrays:
                values[target] = values[source]
        for values in (self.keys, self.masks, self.agent, self.ended):
            values[target] = values[source]

    @property
    def time_h(self) -> npt.NDArray[np.float64]:
        """Hours since Monday, midnight (n,)."""
        return np.asarray(self.s.clock[:, 0].copy())
