"""A batch of patients of one model: the arrays, and the kernels that move them."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medsim.core import kernels as k
from medsim.core.compile import Kernels, cpu_kernels, jit_enabled, python_kernels
from medsim.core.model import Model, View, field_count, field_names, flattened, unflattened
from medsim.core.records import block_fields, block_offset, out_rows
from medsim.core.streams import seed_words

__all__ = ["FEWEST_FOR_TILES", "Batch", "Episodes", "PatientBatch"]

FEWEST_FOR_TILES = 8  # below this many patients the scalar kernel is faster (benchmarks/speed)
CONNECTED = ("terms", "costs", "measures", "kernels", "_step_arrays")  # what ``_connect`` sets

_forked = False
_kernels: dict[tuple[Any, ...], Kernels] = {}


def _after_fork() -> None:
    """A child process must not enter threaded kernels: OpenMP ends it if its parent has used them."""
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_after_fork)


def kernels_for(model: Model, view: View) -> Kernels:
    """Return the kernels of a model for this process, the same ones each time, for copies of the model too."""
    jit = jit_enabled()
    functions = (value for value in vars(model).values() if callable(value) or value is None)
    place = (*functions, repr(model.changes), model.interval_length, view.function, jit)
    if place not in _kernels:
        _kernels[place] = cpu_kernels(model, view) if jit else python_kernels(model, view)
    return _kernels[place]


class PatientBatch(Protocol):
    """What the shells ask of a batch of n patients; ``Batch`` steps a ``Model``, and another kind of course may bring its own.

    The arrays are made once and written in place, never replaced, ``table`` and ``final_state`` excepted. ``step`` also begins the
    next episode of those whose has ended, as the mode that the batch was made with says; ``step_one`` is ``step`` for a batch of one
    that never begins again by itself. Everything that the course depends on is in ``snapshot``, and a batch can be copied and pickled.

    Attributes:
        ids: (n, ID_COLUMNS of ``core.kernels``), int64: the random key of each patient, the row of the table of patients that they
            are (NAMED_ROW, -1: whoever the cohort sends), and whether their episode has ended.
        settings: the record of the task's settings as floats; table: the patients who can be named, one a row.
        actions: (n, numbers of an action), which the shell writes before a step.
        obs: (n, numbers seen) or, of a Discrete space, (n,); final_obs: in the same-step mode, the last ones before a reset.
        out: (rows, n): what the last step reported, in the rows REWARD, COST, OUTCOME, TIME_H, then terms, costs and measures.
        ends: (2, n), bool: terminated, truncated. any_ended: whether some patient's episode has ended and not begun again.
        final_state: in the same-step mode, if ``keep_final_state`` is set: the record "state" before the last resets.
    """

    n: int
    ids: npt.NDArray[np.int64]
    settings: npt.NDArray[np.float64]
    actions: npt.NDArray[Any]
    obs: npt.NDArray[Any]
    final_obs: npt.NDArray[Any]
    out: npt.NDArray[np.float64]
    ends: npt.NDArray[np.bool_]
    terms: npt.NDArray[np.float64]  # (terms, n), rows of out, and likewise
    costs: npt.NDArray[np.float64]
    measures: npt.NDArray[np.float64]
    term_names: tuple[str, ...]
    cost_names: tuple[str, ...]
    measure_names: tuple[str, ...]
    any_ended: bool
    keep_final_state: bool
    final_state: npt.NDArray[np.float64] | None

    @property
    def table(self) -> npt.NDArray[np.float64]:
        """Return the table of patients."""

    @table.setter
    def table(self, table: npt.NDArray[np.float64]) -> None: ...

    def seed(
        self,
        seeds: int | Sequence[int],
        slots: Sequence[int] | npt.NDArray[np.int64] | None = None,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Key the random streams, of all patients or of those whose mask is set; episodes count from zero again."""

    def reset(self, mask: npt.NDArray[np.bool_] | None = None) -> None:
        """Begin the next episode of every patient, or of those whose mask is set."""

    def step(self) -> None:
        """Step every patient with ``actions``."""

    def step_one(self) -> None:
        """Step a batch of one patient."""

    def record(self, name: str) -> npt.NDArray[np.float64]:
        """Return a copy of a record ("state", "params") of all patients, (fields, n)."""

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of everything that the course from here on depends on."""

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Return to a snapshot of a batch of the same shape."""


class Episodes(ABC):
    """What every batch does with episodes, whatever moves its patients: key them, begin them, and begin them again when they end.

    A batch adds its arrays, ``_begin``, which begins the next episode of those whose mask is set, and ``_step_kernel``.
    """

    n: int
    mode: int
    threads: int
    ids: npt.NDArray[np.int64]
    obs: npt.NDArray[Any]
    final_obs: npt.NDArray[Any]
    ends: npt.NDArray[np.bool_]
    any_ended: bool
    keep_final_state: bool
    final_state: npt.NDArray[np.float64] | None

    @abstractmethod
    def _begin(self, mask: npt.NDArray[np.bool_], clear: bool) -> None: ...

    @abstractmethod
    def _step_kernel(self) -> None: ...

    @abstractmethod
    def record(self, name: str) -> npt.NDArray[np.float64]:
        """Return a copy of a record of all patients, (fields, n)."""

    def seed(
        self,
        seeds: int | Sequence[int],
        slots: Sequence[int] | npt.NDArray[np.int64] | None = None,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Key the random streams, of all patients or of those whose mask is set: one seed for all slots, or one for each.

        Episodes count from zero again.
        """
        several = isinstance(seeds, Sequence | np.ndarray)
        pairs = [seed_words(seed) for seed in seeds] if several else [seed_words(seeds)] * self.n  # type: ignore[union-attr, arg-type]
        keyed = np.ones(self.n, dtype=np.bool_) if mask is None else mask
        self.ids[keyed, k.SLOT] = np.asarray(np.arange(self.n) if slots is None else slots)[keyed]
        self.ids[keyed, k.SEED_LOW] = np.array([low for low, _ in pairs])[keyed]
        self.ids[keyed, k.SEED_HIGH] = np.array([high for _, high in pairs])[keyed]
        self.ids[keyed, k.EPISODE] = -1

    def reset(self, mask: npt.NDArray[np.bool_] | None = None) -> None:
        """Begin the next episode of every patient, or of those whose mask is set."""
        self._begin(np.ones(self.n, dtype=np.bool_) if mask is None else mask, clear=True)
        self.any_ended = mask is not None and bool((self.ids[:, k.ENDED] != 0).any())

    def step(self) -> None:
        """Step every patient with ``self.actions``; results stand in obs, out, ends and, in the same-step mode, final_obs."""
        waiting = self.ids[:, k.ENDED] != 0 if self.any_ended and self.mode == k.NEXT_STEP else None
        self._step_kernel()
        if waiting is not None:
            self._begin(waiting, clear=True)
        self.any_ended = bool(self.ends.any())
        if self.any_ended and self.mode == k.SAME_STEP:
            ended = self.ends[0] | self.ends[1]
            self.final_obs[ended] = self.obs[ended]
            self.final_state = self.record("state") if self.keep_final_state else None
            self._begin(ended, clear=False)

    @property
    def threaded(self) -> bool:
        """Whether threads step it: more than one is asked for, and this process may use them."""
        return self.threads > 1 and not _forked

    def in_threads(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Run a parallel kernel on as many threads as this batch has."""
        import numba

        before = numba.get_num_threads()
        numba.set_num_threads(min(self.threads, numba.config.NUMBA_NUM_THREADS))
        kernel(*arguments)
        numba.set_num_threads(before)


class Batch(Episodes):
    """The patients of an environment: state, identity, and what the last step reported.

    Args:
        model: the model; view: what is observed; n: how many patients; settings: a record of ``model.settings``.
        mode: what happens to a patient whose episode has ended: NEXT_STEP, SAME_STEP or DISABLED of ``core.kernels``.
        threads: how many threads step the batch (1: none).
    """

    def __init__(self, model: Model, view: View, n: int, settings: Any, *, mode: int = k.NEXT_STEP, threads: int = 1) -> None:
        self.model, self.view, self.n, self.mode, self.threads = model, view, n, mode, threads
        self.settings = flattened(settings)
        self.names, self.table = model.patients()
        tiles = -(-n // k.WIDTH)
        self.block = np.ones((tiles, block_fields(model) * k.WIDTH))
        self.ids = np.zeros((n, k.ID_COLUMNS), dtype=np.int64)
        self.ids[:, k.SLOT] = np.arange(n)
        self.ids[:, k.NAMED_ROW] = -1
        self.actions = np.zeros((n, field_count(model.action)))
        self.obs = np.zeros((n, len(view.names)), dtype=np.float32)
        self.final_obs = np.zeros_like(self.obs)
        self.out = np.zeros((out_rows(model), n))
        self.ends = np.zeros((2, n), dtype=np.bool_)
        self.term_names = field_names(model.reward_terms)
        self.cost_names = field_names(model.costs)
        self.measure_names = field_names(model.measures)
        self.any_ended = False  # whether some patient's episode has ended and not begun again
        self.keep_final_state = False
        self.final_state: npt.NDArray[np.float64] | None = None  # in the same-step mode, if kept: the states before the last resets
        self._connect()

    def _connect(self) -> None:
        """Set what refers to other things, and which a copy must set anew."""
        first_cost = k.FIRST_TERM + len(self.term_names)
        first_measure = first_cost + len(self.cost_names)
        self.terms = self.out[k.FIRST_TERM : first_cost]  # (terms, n)
        self.costs = self.out[first_cost:first_measure]  # (costs, n)
        self.measures = self.out[first_measure:]  # (measures, n)
        self.kernels = kernels_for(self.model, self.view)
        self._step_arrays = (self.block, self.ids, self.settings, self.actions, self.obs, self.out, self.ends)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in CONNECTED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._connect()

    def _begin(self, mask: npt.NDArray[np.bool_], clear: bool) -> None:
        self.kernels.reset_lanes(0, self.n, mask, clear, self.block, self.ids, self.settings, self.table, self.obs, self.out, self.ends)
        self.any_ended = False

    def step_one(self) -> None:
        """Step a batch of one patient that never begins again by itself: ``step`` without the questions."""
        self.kernels.step_lanes(0, 1, *self._step_arrays)

    def _step_kernel(self) -> None:
        use, arrays = self.kernels, self._step_arrays
        if self.n < FEWEST_FOR_TILES or not use.compiled:
            use.step_lanes(0, self.n, *arrays)
        elif self.threaded:
            self.in_threads(use.step_tiles_parallel, 0, self.block.shape[0], *arrays)
        else:
            use.step_tiles(0, self.block.shape[0], *arrays)

    def record(self, name: str) -> npt.NDArray[np.float64]:
        """Return a copy of a record ("state", "params", "memory") of all patients, (fields, n)."""
        first = block_offset(self.model, name)
        count = field_count(getattr(self.model, name))
        tiles = self.block.reshape(self.block.shape[0], -1, k.WIDTH)[:, first : first + count]
        return np.ascontiguousarray(tiles.transpose(1, 0, 2).reshape(count, -1)[:, : self.n])

    def fields(self, record: str, name: str, who: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Return one field of a record of the patients ``who``, as ``who``: quicker than the whole record for a few of them."""
        place = block_offset(self.model, record) + field_names(getattr(self.model, record)).index(name)
        tile, lane = np.divmod(who, k.WIDTH)
        return np.asarray(self.block[tile, place * k.WIDTH + lane])

    def put(self, record: str, name: str, values: npt.NDArray[np.float64]) -> None:
        """Set one field of a record of all patients to values (n,): a perturbed patient, whose course goes on from here with them."""
        place = block_offset(self.model, record) + field_names(getattr(self.model, record)).index(name)
        tile, lane = np.divmod(np.arange(self.n), k.WIDTH)
        self.block[tile, place * k.WIDTH + lane] = values

    def adopt(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Go on with the patients of a batch of the same model and size under this one's own settings, seen through its own view.

        Args:
            snapshot: of a batch whose settings may differ in how actions are given and in nothing that patients depend on.
        """
        for name in ("block", "ids", "ends", "out"):
            getattr(self, name)[...] = snapshot[name]
        self.table, self.any_ended = snapshot["table"].copy(), bool((self.ids[:, k.ENDED] != 0).any())
        model, settings = self.model, unflattened(self.model.settings, iter(self.settings.tolist()))
        states, params, memories = (self.record(name).T.tolist() for name in ("state", "params", "memory"))
        for i, (x, p, m) in enumerate(zip(states, params, memories, strict=True)):
            seen = self.view.function(
                unflattened(model.state, iter(x)), unflattened(model.memory, iter(m)), unflattened(model.params, iter(p)), settings
            )  # fmt: skip
            self.obs[i] = seen

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of everything that the course from here on depends on."""
        names = ("block", "ids", "settings", "table", "obs", "out", "ends")
        return {name: getattr(self, name).copy() for name in names}

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Return to a snapshot of a batch of the same shape."""
        self.table = snapshot["table"].copy()
        self.any_ended = bool((snapshot["ids"][:, k.ENDED] != 0).any())
        for name in ("block", "ids", "settings", "obs", "out", "ends"):
            target = getattr(self, name)
            if target.shape != snapshot[name].shape:
                raise ValueError(f"the snapshot's {name} has shape {snapshot[name].shape}, this batch's has {target.shape}")
            target[...] = snapshot[name]
