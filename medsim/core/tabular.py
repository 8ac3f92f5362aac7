"""Patients whose whole course is a table: a finite number of states, and the probabilities of the next one under each action.

A ``TabularModel`` says what an environment's author knows (probabilities, outcomes, rewards, costs, what is seen), and nothing of
arrays for kernels. The same tables are sampled by ``medsim.core.tabular_batch`` and solved by ``medsim.evaluation.exact``, so what
is simulated and what is computed cannot differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.task import Task, named_row

__all__ = ["TabularModel", "TabularSettings", "TabularTask", "TabularView"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

GOES_ON = 0  # the outcome of a state in which the course is not over


class TabularSettings(NamedTuple):
    """Numbers shared by all patients of a batch."""

    horizon_steps: float
    ends_by_itself: float  # 1: at the horizon the course is over (terminated); 0: only our watching is (truncated)
    outcome_at_horizon: float
    step_h: float
    start_law: float  # which of the model's start distributions


@dataclass(frozen=True, kw_only=True)
class TabularView:
    """One way to observe a state: a number for each state, or a row of numbers.

    Args:
        table: (states, numbers seen); whole numbers if ``codes`` is given.
        codes: how many different numbers there are, if one whole number is all that is seen (a Discrete space).
        steps_left: whether the number of steps left is added as the last one.
        weights: how to get back the observed code from a row, if a sum of the numbers times these weights is one.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    table: npt.NDArray[Any]
    codes: int | None = None
    steps_left: bool = False
    weights: tuple[float, ...] | None = None

    def space(self) -> spaces.Box | spaces.Discrete:
        """Return the space of one observation."""
        if self.codes is not None:
            return spaces.Discrete(self.codes)
        return spaces.Box(np.array(self.low, dtype=np.float32), np.array(self.high, dtype=np.float32), dtype=np.float32)

    def seen(self, states: Integers, steps_left: float) -> npt.NDArray[Any]:
        """Return the observations of states (n,): (n,) codes or (n, numbers)."""
        if self.codes is not None:
            return np.asarray(self.table[states, 0], dtype=np.int64)
        rows = np.asarray(self.table[states], dtype=np.float32)
        if self.steps_left:
            rows = np.column_stack([rows, np.full(len(rows), steps_left, dtype=np.float32)])
        return rows

    @cached_property
    def code_of_state(self) -> Integers:
        """A number for each state (states,), equal for states that look the same: the code, or the rank of the first alike."""
        if self.codes is not None:
            return np.asarray(self.table[:, 0], dtype=np.int64)
        if self.weights is not None:
            return np.asarray(np.rint(self.table @ np.array(self.weights[: self.table.shape[1]])), dtype=np.int64)
        return np.asarray(np.unique(self.table, axis=0, return_inverse=True)[1], dtype=np.int64).reshape(-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularModel:
    """A finite Markov decision process with the names of everything in it.

    Args:
        transitions: probabilities (states x actions, states), a row for each pair state x actions + action: a scipy CSR matrix.
        outcome_of: (states,) the number of the outcome in ``outcomes``; GOES_ON where the course is not over.
        starts: probabilities (laws, states) of the first state, one row for each law, such as a cohort's.
        reward_terms: name -> (states,), earned on arrival.
        costs: name -> ((states,) on arrival, (states x actions,) for choosing the action).
        measures, action_measures: name -> (states,) on arrival, name -> (states x actions,) of the step's choice.
        state_fields: name -> (states,), what ``expose_state`` shows.
        params: a record of what describes a patient at the start; patients: their names and rows; start_of: the first state of
            each row, which raises ValueError for one that cannot be; params_of: the rows of first states (n,).
        action_names: what each action is called.
        made_by: the function and its arguments that make this very model, by which copies of it are made.
    """

    name: str
    made_by: tuple[Callable[..., "TabularModel"], tuple[Any, ...]]
    transitions: Any
    outcome_of: Integers
    starts: Array
    reward_terms: Mapping[str, Array]
    costs: Mapping[str, tuple[Array, Array]]
    measures: Mapping[str, Array]
    action_measures: Mapping[str, Array]
    state_fields: Mapping[str, Array]
    params: Any
    patients: Callable[[], tuple[tuple[str, ...], Array]]
    start_of: Callable[[Array], Integers]
    params_of: Callable[[Integers], Array]
    views: Mapping[str, TabularView]
    outcomes: tuple[str, ...]
    action_names: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return self.made_by

    def __deepcopy__(self, memo: dict[int, Any]) -> "TabularModel":
        return self

    @property
    def states(self) -> int:
        """How many states there are."""
        return len(self.outcome_of)

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return int(self.transitions.shape[0]) // self.states

    @property
    def state(self) -> Any:
        """The record of what ``expose_state`` shows."""
        return NamedTuple("State", [(name, float) for name in self.state_fields])

    @cached_property
    def rewards(self) -> Array:
        """The reward on arrival in each state, (states,)."""
        return np.asarray(np.sum(list(self.reward_terms.values()), axis=0))

    @cached_property
    def sampler(self) -> "Sampler":
        """The tables that kernels draw from."""
        return Sampler.of(self)


def alias_cells(probabilities: Array, successors: Integers) -> Integers:
    """Return a row's alias table (Walker 1977; Vose 1991): as many cells as successors, each chosen alike.

    A cell is one whole number: a threshold of 31 bits, and two states of 16. The first is taken where 31 random bits are below the
    threshold, else the second. The probabilities are kept to 2**-31 of a cell.
    """
    count = len(successors)
    share = (probabilities / probabilities.sum() * count).tolist()
    small = [k for k, value in enumerate(share) if value < 1.0]
    large = [k for k, value in enumerate(share) if value >= 1.0]
    other = list(range(count))
    while small and large:
        low, high = small.pop(), large[-1]
        other[low] = high
        share[high] -= 1.0 - share[low]
        if share[high] < 1.0:
            small.append(large.pop())
    for k in (*small, *large):
        share[k] = 1.0
    threshold = np.rint(np.minimum(share, 1.0) * 2.0**31).astype(np.int64)
    threshold = np.where(np.array(other) == np.arange(count), 0, threshold)  # both states the same: nothing to decide
    return np.asarray((threshold << 32) | (successors << 16) | successors[np.array(other)], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """What kernels read, laid out as ``core.tabular_kernels`` says."""

    layout: Integers
    tables: Integers
    reports: Array

    @classmethod
    def of(cls, model: TabularModel) -> "Sampler":
        """Return the tables of a model."""
        if model.states > 2**16:
            raise ValueError(f"a tabular model can have at most {2**16} states, not {model.states}")
        known: dict[bytes, int] = {}
        row_of, first, cells = [], [0], []
        for successors, probabilities in rows_of(model):
            mark = successors.tobytes() + probabilities.tobytes()
            if mark not in known:
                known[mark] = len(known)
                cells.append(alias_cells(probabilities, successors))
                first.append(first[-1] + len(successors))
            row_of.append(known[mark])
        parts = [np.array(row_of), np.array(first), np.concatenate(cells), model.outcome_of]
        begins = np.cumsum([len(part) for part in parts[:-1]]).tolist()
        counts = [model.states, model.actions, len(model.reward_terms), len(model.costs)]
        return cls(
            layout=np.array([*counts, *begins], dtype=np.int64), tables=np.concatenate(parts, dtype=np.int64),
            reports=np.concatenate(reports(model)),
        )  # fmt: skip


def rows_of(model: TabularModel) -> list[tuple[Integers, Array]]:
    """Return successors and probabilities of every pair of state and action, then of every law of the start."""
    matrix = model.transitions.tocsr()
    matrix.sort_indices()
    pairs = [(matrix.indices[a:b].astype(np.int64), matrix.data[a:b]) for a, b in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)]
    laws = [(np.flatnonzero(law), law[law > 0.0]) for law in model.starts]
    return pairs + laws


def reports(model: TabularModel) -> tuple[Array, Array]:
    """Return what is reported on arrival in a state, and for a choice: terms, costs, measures, action measures in columns."""
    states, pairs = model.states, model.states * model.actions
    nothing_on_arrival, nothing_of_choice = np.zeros(states), np.zeros(pairs)
    arrival = [*model.reward_terms.values(), *(on_arrival for on_arrival, _ in model.costs.values()), *model.measures.values()]
    arrival += [nothing_on_arrival] * len(model.action_measures)
    choice = [nothing_of_choice] * len(model.reward_terms)
    choice += [of_choice for _, of_choice in model.costs.values()]
    choice += [nothing_of_choice] * len(model.measures) + list(model.action_measures.values())
    return np.column_stack(arrival), np.column_stack(choice)


def length_of_course(measures: Any, steps_lived: Integers, task: Task) -> dict[str, Array]:
    """Return the steps that each patient's course took."""
    return {"length": steps_lived.astype(np.float64)}


@dataclass(frozen=True, kw_only=True)
class TabularTask(Task):
    """A task whose model is a table; ``discount`` is the one that its return is defined with."""

    model: Any
    metrics: Callable[..., dict[str, Array]] = length_of_course
    discount: float = 1.0
    level_limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # of a described patient's parameters

    @property
    def tables(self) -> TabularModel:
        """The model."""
        model: TabularModel = self.model
        return model

    @property
    def view(self) -> Any:
        """The view that the agent sees."""
        return self.tables.views[self.view_name]

    @property
    def has_deadline(self) -> bool:
        """Whether the return ends at the horizon, so that what is left of it matters."""
        return bool(self.settings.ends_by_itself)

    @property
    def start(self) -> Array:
        """The probabilities of the first state, (states,)."""
        return np.asarray(self.tables.starts[int(self.settings.start_law)])

    def observation_space(self) -> Any:
        """Return the space of one observation."""
        return self.tables.views[self.view_name].space()

    def make_batch(self, n: int, *, mode: int, threads: int = 1) -> Any:
        """Return a batch of n patients of this task."""
        from medsim.core.tabular_batch import TabularBatch

        return TabularBatch(self.tables, self.view, n, self.settings, mode=mode, threads=threads)

    def patient_rows(self, patient: Any) -> tuple[Array | None, int]:
        """Return (a row to add to the table of patients or None, the named row's number) for a ``patient`` option.

        Args:
            patient: a name, or a mapping of parameters, whose ``"like"`` names the patient who gives those that are left out.
                None means: whoever the cohort sends.

        Raises:
            ValueError: no such patient, no such parameter, or a value that is not one of its levels.
        """
        names, table = self.tables.patients()
        if patient is None:
            return None, -1
        if isinstance(patient, str):
            return None, named_row(names, patient)
        if not isinstance(patient, Mapping):
            raise ValueError(f"option patient must be a name or a mapping of parameters, not {patient!r}")
        row = table[named_row(names, patient.get("like", names[0]))].copy()
        parameters = self.tables.params._fields
        for name, value in patient.items():
            if name == "like":
                continue
            if name not in parameters:
                raise ValueError(f"unknown parameter {name!r} of a patient; allowed are like, {', '.join(parameters)}")
            low, high = self.level_limits[name]
            if isinstance(value, str | complex) or not low <= value <= high or int(value) != value:
                raise ValueError(f"a patient's {name} must be a whole number from {low} to {high}, not {value!r}")
            row[parameters.index(name)] = value
        self.tables.start_of(row[None])
        return row, len(table)
