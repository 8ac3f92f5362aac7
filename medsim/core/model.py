"""What an environment's author writes: one patient in scalar functions, and the names of everything in it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Model", "View", "field_count", "field_names", "flattened", "unflattened"]

Record = type[tuple[Any, ...]]  # a NamedTuple class, whose fields are floats or other such classes


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to observe: its function, and the name, lowest and highest value of each number it returns."""

    function: Callable[..., tuple[float, ...]]  # (x, m, p, s) -> floats
    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """One patient, as scalar functions over records of floats.

    The engine compiles these same functions for one patient, for a batch and for a GPU, and runs them as plain Python. They may
    use arithmetic, comparisons, ``medsim.core.portable``, ``medsim.core.streams``, module constants, and functions imported by
    name. ``derivative`` or ``advance`` runs in a vectorised loop: no branches there, only ``where``, and no function marked
    ``@compiled_once``.

    Records:
        state: physiology; drive: what enters it, constant over an interval; params: the patient; memory: all else that an
        episode carries; settings: numbers shared by all patients, among them ``intervals`` (of a step) and ``substeps`` (of an
        interval), which the engine reads; action: what the agent sends; reward_terms, costs, measures: what a step reports.

    Functions (x state, u drive, p params, m memory, a action, s settings, key the random stream's key):
        pick(s, key) -> row: the patient of the table whom a new one resembles.
        recruit(key, base, named, s) -> (x, p, m): a patient at the start of an episode: like ``base``, or exactly them if named.
        control(x, m, p, a, s, key) -> m: the action takes effect, at the start of a step.
        interval(x, m, p, s, key) -> (m, u): an interval begins.
        derivative(x, u, p) -> dx/dt, integrated by fourth-order Runge-Kutta in steps of interval_length / s.substeps. Or, instead:
        advance(x, u, p, s, h) -> x: one step of length h by the model's own integrator. Exactly one of the two is given.
        sense(x, m, p, s, key) -> m: measurements are taken, at the end of a step and at the start of an episode.
        judge(x, m, p, s) -> (m, reward terms, costs, (ended, outcome, time_h)): ended is 0, 1 terminated or 2 truncated.
        measure(x, m, p, s) -> measures.

    ``changes`` may name, for "control", "interval" and "judge" (which comes with sense), the parts of the memory that these may
    change: the others are not written back, which saves time.
    """

    name: str
    state: Record
    drive: Record
    params: Record
    memory: Record
    settings: Record
    action: Record
    reward_terms: Record
    costs: Record
    measures: Record
    pick: Callable[..., int]
    recruit: Callable[..., Any]
    control: Callable[..., Any]
    interval: Callable[..., Any]
    sense: Callable[..., Any]
    judge: Callable[..., Any]
    measure: Callable[..., Any]
    views: Mapping[str, View]
    outcomes: tuple[str, ...]
    patients: Callable[[], tuple[tuple[str, ...], npt.NDArray[np.float64]]]  # names, and their params (patients, fields of params)
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    derivative: Callable[..., Any] | None = None
    advance: Callable[..., Any] | None = None
    interval_length: float = 1.0  # in the time unit of the derivative

    def __post_init__(self) -> None:
        """Check that there is one way to integrate.

        Raises:
            ValueError: both ``derivative`` and ``advance`` are given, or neither.
        """
        if (self.derivative is None) == (self.advance is None):
            given = "neither" if self.derivative is None else "both"
            raise ValueError(f"the model {self.name!r} must have exactly one of derivative and advance, not {given}")


def field_names(record: Record) -> tuple[str, ...]:
    """Return the names of a record's fields; fields of records within it are named ``outer.inner``."""
    names: list[str] = []
    for name, kind in record.__annotations__.items():
        if isinstance(kind, type) and issubclass(kind, tuple):
            names.extend(f"{name}.{inner}" for inner in field_names(kind))
        else:
            names.append(name)
    return tuple(names)


def field_count(record: Record) -> int:
    """Return how many floats a record holds."""
    return len(field_names(record))


def unflattened(record: Record, numbers: Iterator[float]) -> Any:
    """Return the record of floats in the order of ``field_names``: the other way round of ``flattened``."""
    kinds = record.__annotations__.values()
    nested = [isinstance(kind, type) and issubclass(kind, tuple) for kind in kinds]
    return record(*(unflattened(kind, numbers) if inner else next(numbers) for kind, inner in zip(kinds, nested, strict=True)))  # type: ignore[arg-type]


def flattened(values: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    """Return a record's floats in the order of ``field_names``, those of records within it in place."""
    numbers: list[float] = []
    for value in values:
        numbers.extend(flattened(value) if isinstance(value, tuple) else [value])
    return np.array(numbers, dtype=np.float64)
