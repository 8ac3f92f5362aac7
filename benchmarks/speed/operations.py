"""The floor under a model's integration: the operations of one ``advance``, counted, times what each takes in a vectorised loop here.

``advance`` is run once, in plain Python, on symbols that note what is done with them. As in compiled code, the same operation on the same
numbers counts once, and what does not depend on the patient (arithmetic on settings and constants) does not count, as it leaves the loop
over patients. Exponentials, logarithms and logistic functions count as operations of their own; their polynomials can be counted too.

The floor takes one kind after the other. A processor that does two kinds at once could go below; loads, stores and spilt registers,
which the floor leaves out, take it above.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np

from benchmarks.speed.timing import Work
from medsim.core import portable
from medsim.core.compile import Binder
from medsim.core.cpu_bits import BIT_INTRINSICS
from medsim.core.model import Model

__all__ = ["ADD_OR_MULTIPLY", "COMPARE", "DIVIDE", "EXP", "LOG", "SIGMOID", "counted", "floor_seconds", "operation_works"]

ADD_OR_MULTIPLY, DIVIDE, COMPARE = "add or multiply", "divide", "compare, least, most or choose"
EXP, LOG, SIGMOID, BITS = "exp", "log", "sigmoid", "bits"
VALUES = 2048  # that a loop runs over: they stay in the first cache
THOUSAND = 1000


class Tally:
    """What was done, each operation on the same numbers once."""

    def __init__(self) -> None:
        self.done: dict[tuple[Any, ...], Symbol] = {}

    def note(self, kind: str, name: str, *operands: Any) -> "Symbol":
        """Return the result of an operation."""
        key = (kind, name, *(id(one) if isinstance(one, Symbol) else one for one in operands))
        return self.done.setdefault(key, Symbol(self))

    def call(self, kind: str, function: Callable[..., Any], *operands: Any) -> Any:
        """Note a function of patients' numbers; compute one of plain numbers."""
        if any(isinstance(one, Symbol) for one in operands):
            return self.note(kind, function.__name__, *operands)
        return function(*operands)

    def take_apart(self, x: "Symbol") -> tuple["Symbol", "Symbol"]:
        """Note that a number's mantissa and exponent are taken."""
        return self.note(BITS, "mantissa", x), self.note(BITS, "exponent", x)

    def counts(self) -> dict[str, int]:
        """Return how many operations of each kind there were."""
        return dict(Counter(kind for kind, *_ in self.done))


def operator(kind: str, name: str, swapped: bool = False) -> Callable[["Symbol", Any], "Symbol"]:
    """Return a method that notes an operator; sums and products do not mind the order."""

    def method(self: "Symbol", other: Any) -> "Symbol":
        pair = (other, self) if swapped else (self, other)
        if name in ("+", "*"):
            pair = tuple(sorted(pair, key=lambda one: (isinstance(one, Symbol), id(one))))  # type: ignore[assignment]
        return self.tally.note(kind, name, *pair)

    return method


class Symbol:
    """A number of a patient, of which only what is done with it is known."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def __bool__(self) -> bool:
        raise TypeError("a branch on a patient's number: an advance must use where, fmin and fmax")

    def __neg__(self) -> "Symbol":
        return self.tally.note(ADD_OR_MULTIPLY, "negative", self)

    __add__, __radd__ = operator(ADD_OR_MULTIPLY, "+"), operator(ADD_OR_MULTIPLY, "+")
    __sub__, __rsub__ = operator(ADD_OR_MULTIPLY, "-"), operator(ADD_OR_MULTIPLY, "-", swapped=True)
    __mul__, __rmul__ = operator(ADD_OR_MULTIPLY, "*"), operator(ADD_OR_MULTIPLY, "*")
    __truediv__, __rtruediv__ = operator(DIVIDE, "/"), operator(DIVIDE, "/", swapped=True)
    __lt__, __gt__ = operator(COMPARE, "<"), operator(COMPARE, ">")
    __le__, __ge__ = operator(COMPARE, "<="), operator(COMPARE, ">=")


def counted(model: Model, settings: Any, h: float, *, polynomials: bool = False) -> dict[str, int]:
    """Return how many operations of each kind one ``advance`` does to a patient.

    Args:
        polynomials: count what exponentials, logarithms and logistic functions are made of, not how many there are.
    """
    tally = Tally()
    kinds = {"fmin": COMPARE, "fmax": COMPARE, "where": COMPARE}
    kinds |= {"round_down": BITS, "two_to_the": BITS} if polynomials else {"inline_exp": EXP, "inline_log": LOG, "sigmoid": SIGMOID}
    parts: dict[str, Any] = {name: partial(tally.call, kind, getattr(portable, name)) for name, kind in kinds.items()}
    if polynomials:
        parts["mantissa_and_exponent"] = tally.take_apart
    records = [kind(*(Symbol(tally) for _ in kind._fields)) for kind in (model.state, model.drive, model.params)]  # type: ignore[attr-defined]
    advance = Binder(parts, lambda function: function).bind(model.advance)  # type: ignore[arg-type]
    advance(*records, settings, h)
    return tally.counts()


def add_or_multiply(values: Any, out: Any) -> None:
    """Add and multiply 23 times, with few constants, so that all stay in registers, and few sums that wait for another."""
    for i in range(values.size):
        v = values[i]
        a, b = v * 1.01 + 0.11, v * 1.02 + 0.12
        c, d = a * b, a + b
        e, f = c * v + d, d * v + c
        g, h = e * a + f * b, e * b + f * a
        out[i] = (g * c + h * d) + (g * d + h * e)


def divide(values: Any, out: Any) -> None:
    """Divide five times; the three additions go along while the processor divides."""
    for i in range(values.size):
        v = values[i]
        out[i] = (0.9 / (v + 0.5) / (1.1 / (v + 0.7))) / (1.2 / (v + 0.9))


def compare(values: Any, out: Any) -> None:
    """Take the least and the most eight times."""
    for i in range(values.size):
        v = values[i]
        low, high = fmin(fmax(v, 0.1), 0.9), fmin(fmax(v, 0.2), 0.8)
        out[i] = fmax(fmin(low, high), fmin(fmax(v, 0.3), 0.7))


def one_exp(values: Any, out: Any) -> None:
    """Take exponentials."""
    for i in range(values.size):
        out[i] = inline_exp(values[i])


def one_log(values: Any, out: Any) -> None:
    """Take logarithms."""
    for i in range(values.size):
        out[i] = inline_log(values[i])


def one_sigmoid(values: Any, out: Any) -> None:
    """Take logistic functions."""
    for i in range(values.size):
        out[i] = sigmoid(values[i])


fmin, fmax, inline_exp, inline_log, sigmoid = portable.fmin, portable.fmax, portable.inline_exp, portable.inline_log, portable.sigmoid
LOOPS: dict[str, tuple[Callable[[Any, Any], None], int]] = {
    ADD_OR_MULTIPLY: (add_or_multiply, 23),
    DIVIDE: (divide, 5),
    COMPARE: (compare, 8),
    EXP: (one_exp, 1),
    LOG: (one_log, 1),
    SIGMOID: (one_sigmoid, 1),
}  # the loop, and operations of its kind that it does to a number


def operation_works(thousands: int) -> dict[str, Work]:
    """Return the work of each kind of operation, vectorised as a batch is; its unit is a thousand of them."""
    return {f"1,000 x {kind}": loop_work(*LOOPS[kind], thousands) for kind in LOOPS}


def loop_work(loop: Callable[[Any, Any], None], operations: int, thousands: int) -> Work:
    """Return the work of a loop, repeated in compiled code until it has done some thousands of operations."""

    def inner(function: Any) -> Any:
        return numba.njit(error_model="numpy", forceinline=True)(function)

    once = Binder(dict(BIT_INTRINSICS), inner).bind(loop)  # type: ignore[arg-type]

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def repeated(times: int, values: Any, out: Any) -> None:
        for _ in range(times):
            once(values, out)

    times = max(1, thousands * THOUSAND // (VALUES * operations))
    values, out = np.linspace(0.05, 0.95, VALUES), np.empty(VALUES)
    return Work(units=times * VALUES * operations / THOUSAND, run=lambda: repeated(times, values, out))


def floor_seconds(counts: dict[str, int], seconds_per_thousand: dict[str, float]) -> float:
    """Return what counted operations take, one kind after the other.

    Raises:
        KeyError: there is no time of a kind that was counted.
    """
    return sum(number * seconds_per_thousand[kind] / THOUSAND for kind, number in counts.items())
