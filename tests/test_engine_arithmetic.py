"""The engine's own arithmetic, compiled: the bits of plain Python for every kind of argument, and loops that become SIMD instructions."""

import math
import types
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from medsim.core import portable
from medsim.core.compile import Binder
from medsim.core.cpu_bits import BIT_INTRINSICS
from medsim.core.inlining import is_compiled_once

SMALLEST, SMALLEST_NORMAL, LARGEST = 5e-324, 2.0**-1022, math.nextafter(math.inf, 0.0)
LN2 = math.log(2.0)
ALL = np.random.default_rng(20260)


def neighbours(*values: float) -> list[float]:
    return [near for value in values for near in (math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf))]


EDGES = [
    *(sign * value for sign in (1.0, -1.0) for value in (0.0, SMALLEST, SMALLEST_NORMAL, 1e-300, 1.0, 1e300, LARGEST, math.inf)),
    *neighbours(-700.0, 700.0, -38.0, 38.0, -19.0, 19.0, math.sqrt(0.5), math.sqrt(2.0), SMALLEST_NORMAL),
    *neighbours(*(2.0**k for k in range(-5, 6)), *(-(2.0**k) for k in range(-5, 6))),
    *neighbours(*((k + half) * LN2 for k in (-1000, -3, -1, 0, 1, 2, 999) for half in (0.0, 0.5))),
    math.nan,
]  # fmt: skip
BITS = ALL.integers(0, 2**64, 30_000, dtype=np.uint64).view(np.float64)  # of every size, with both signs
ARGUMENTS = np.array(
    [*EDGES, *BITS, *ALL.uniform(-750.0, 750.0, 30_000), *ALL.uniform(-2.0, 2.0, 10_000), *ALL.lognormal(0.0, 3.0, 30_000)]
)


def inline_root(x: float) -> float:
    return inline_power(x, 0.7)


def called_root(x: float) -> float:
    return power(x, 0.7)


inline_power, power = portable.inline_power, portable.power
FUNCTIONS: dict[str, Any] = {
    name: getattr(portable, name) for name in ("inline_exp", "inline_log", "exp", "log", "tanh", "sigmoid", "sinh")
}
FUNCTIONS |= {"inline_power": inline_root, "power": called_root}


def compiled_loop(function: types.FunctionType, parts: dict[str, Any]) -> Any:
    """Return a compiled ``run(x, y)`` with y = function(x), the function being compiled as the engine does."""

    def inner(one: types.FunctionType) -> Any:
        return numba.njit(forceinline=not is_compiled_once(one), error_model="numpy")(one)

    one = Binder(parts, inner).bind(function)

    def run(x: np.ndarray, y: np.ndarray) -> None:
        for i in range(x.shape[0]):
            y[i] = one(x[i])

    return numba.njit(run, error_model="numpy")


@pytest.mark.filterwarnings("ignore:.*encountered in")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_functions_give_the_bits_of_plain_python(name: str) -> None:
    function: Callable[[float], float] = FUNCTIONS[name]
    ours = np.empty_like(ARGUMENTS)
    compiled_loop(FUNCTIONS[name], BIT_INTRINSICS)(ARGUMENTS, ours)
    plain = np.array([function(x) for x in ARGUMENTS.tolist()])
    same = (ours.view(np.int64) == plain.view(np.int64)) | (np.isnan(ours) & np.isnan(plain))
    assert same.all(), f"{name}({ARGUMENTS[~same][0]!r}) is {ours[~same][0]!r}, in plain Python {plain[~same][0]!r}"


@pytest.mark.parametrize("name", ["exp", "log", "power"])
def test_the_inlined_form_is_the_same_function(name: str) -> None:
    points = ARGUMENTS[:2000].tolist()
    inlined, called = FUNCTIONS[f"inline_{name}"], FUNCTIONS[name]
    assert [inlined(x).hex() for x in points] == [called(x).hex() for x in points]


@pytest.mark.parametrize("name", ["inline_exp", "inline_log", "inline_power", "tanh", "sigmoid"])
def test_a_loop_over_patients_becomes_simd_instructions(name: str) -> None:
    run = compiled_loop(FUNCTIONS[name], BIT_INTRINSICS)
    run(np.ones(16), np.ones(16))
    assert " x double>" in run.inspect_llvm(run.signatures[0])
    scalar = compiled_loop(FUNCTIONS["inline_exp"], {})  # by the C library
    scalar(np.ones(16), np.ones(16))
    assert " x double>" not in scalar.inspect_llvm(scalar.signatures[0])


def test_the_logarithm_of_the_smallest_numbers_is_exact_too() -> None:
    assert portable.log(SMALLEST) == pytest.approx(-1074.0 * LN2, rel=1e-15)
    assert portable.log(SMALLEST_NORMAL) == pytest.approx(-1022.0 * LN2, rel=1e-15)
    assert math.isnan(portable.log(math.nan))
