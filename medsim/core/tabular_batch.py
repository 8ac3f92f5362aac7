"""A batch of patients whose course is a table: the arrays, and the kernels that move them. Shells use it as they do ``core.batch``."""

from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core import kernels as k
from medsim.core.batch import Episodes
from medsim.core.tabular import TabularModel, TabularView
from medsim.core.tabular_kernels import ACTION, LANE_COLUMNS, START, STATE, tabular_kernels

__all__ = ["TabularBatch"]

Mask = npt.NDArray[np.bool_]
COPIED = ("lanes", "settings", "seen", "out", "ends")  # with the table of patients, all that a course depends on


class TabularBatch(Episodes):
    """The patients of an environment: state, identity, and what the last step reported.

    Args:
        model: the tables; view: what is observed; n: how many patients; settings: a ``TabularSettings``.
        mode: what happens to a patient whose episode has ended: NEXT_STEP, SAME_STEP or DISABLED of ``core.kernels``.
        threads: how many threads step the batch (1: none).
    """

    def __init__(self, model: TabularModel, view: TabularView, n: int, settings: Any, *, mode: int = k.NEXT_STEP, threads: int = 1) -> None:
        self.model, self.view, self.n, self.mode, self.threads = model, view, n, mode, threads
        self.settings = np.array(settings, dtype=np.float64)
        self.names, self._table = model.patients()
        self._named_starts = model.start_of(self._table)
        self.lanes = np.zeros((n, LANE_COLUMNS), dtype=np.int64)
        self.lanes[:, k.SLOT] = np.arange(n)
        self.lanes[:, k.NAMED_ROW] = -1
        self.term_names = tuple(model.reward_terms)
        self.cost_names = tuple(model.costs)
        self.measure_names = (*model.measures, *model.action_measures)
        self.out = np.zeros((k.FIRST_TERM + len(self.term_names) + len(self.cost_names) + len(self.measure_names), n))
        self.ends = np.zeros((2, n), dtype=np.bool_)
        self.seen = np.zeros((n, len(view.names)), dtype=np.float32 if view.codes is None else np.int64)
        self._final = np.zeros_like(self.seen)
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
        discrete = self.view.codes is not None
        self.obs = self.seen[:, 0] if discrete else self.seen  # (n,) or (n, numbers)
        self.final_obs = self._final[:, 0] if discrete else self._final
        self.ids = self.lanes[:, : k.ID_COLUMNS]
        self.actions = self.lanes[:, ACTION : ACTION + 1]
        self.kernels = tabular_kernels()
        made = self.model.sampler
        view = self.view.table.astype(self.seen.dtype)
        self._arrays = (self.lanes, self.settings, made.layout, made.tables, made.reports, view, self.seen, self.out, self.ends)

    def __getstate__(self) -> dict[str, Any]:
        again = ("terms", "costs", "measures", "obs", "final_obs", "ids", "actions", "kernels", "_arrays")
        return {name: value for name, value in vars(self).items() if name not in again}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._connect()

    @property
    def table(self) -> npt.NDArray[np.float64]:
        """The parameters of the patients who can be named, (patients, parameters)."""
        return self._table

    @table.setter
    def table(self, table: npt.NDArray[np.float64]) -> None:
        if table is not self._table:
            self._table, self._named_starts = table, self.model.start_of(table)

    def _begin(self, mask: Mask, clear: bool) -> None:
        self.kernels.begin(mask, clear, self._named_starts, *self._arrays)
        self.any_ended = False

    def _step_kernel(self) -> None:
        if self.threaded and self.kernels.compiled:
            self.in_threads(self.kernels.step_parallel, min(self.threads, self.n), *self._arrays)
        else:
            self.kernels.step(0, self.n, *self._arrays)

    def step_one(self) -> None:
        """Step a batch of one patient that never begins again by itself: ``step`` without the questions."""
        self.kernels.step(0, 1, *self._arrays)

    def record(self, name: str) -> npt.NDArray[np.float64]:
        """Return a copy of a record ("state" or "params") of all patients, (fields, n).

        Raises:
            KeyError: there is no such record.
        """
        if name == "state":
            states = self.lanes[:, STATE]
            return np.array([values[states] for values in self.model.state_fields.values()], dtype=np.float64)
        if name == "params":
            return np.ascontiguousarray(self.model.params_of(self.lanes[:, START]).T)
        raise KeyError(name)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of everything that the course from here on depends on."""
        return {"table": self.table.copy(), **{name: getattr(self, name).copy() for name in COPIED}}

    def restore(self, snapshot: dict[str, npt.NDArray[Any]]) -> None:
        """Return to a snapshot of a batch of the same shape."""
        for name in COPIED:
            target = getattr(self, name)
            if target.shape != snapshot[name].shape:
                raise ValueError(f"the snapshot's {name} has shape {snapshot[name].shape}, this batch's has {target.shape}")
        self.table = snapshot["table"].copy()
        for name in COPIED:
            getattr(self, name)[...] = snapshot[name]
        self.any_ended = bool((self.ids[:, k.ENDED] != 0).any())
