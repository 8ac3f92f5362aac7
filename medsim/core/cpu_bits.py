"""The exact steps of ``medsim.core.portable`` through the bits of a float, as compiler intrinsics.

Python's ``floor``, ``ldexp`` and ``frexp`` become calls or conversions to integers, for which most CPUs have no SIMD instruction; the
compiler then leaves the whole loop over patients scalar. These do the same in additions, shifts and masks, to the same bits.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

__all__ = ["BIT_INTRINSICS"]

FLOAT, WORD = ir.DoubleType(), ir.IntType(64)
MANTISSA_BITS = 52
MANTISSA_MASK = (1 << MANTISSA_BITS) - 1
HALF_BITS = 0x3FE0000000000000  # of 0.5: exponent field 1022, mantissa field 0
TWO_TO_52_BITS = 0x4330000000000000  # of 2**52, whose last bit counts ones: a whole number below 2**52 in its mantissa field adds itself
SMALLEST_NORMAL = 2.0**-1022


def number(value: float) -> Any:
    """Return a constant."""
    return ir.Constant(FLOAT, value)


def word(value: int) -> Any:
    """Return a constant of 64 bits."""
    return ir.Constant(WORD, value)


@intrinsic  # type: ignore[untyped-decorator]
def round_down(typing: Any, v: Any) -> Any:
    """Return the largest whole number that is not above v."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floor = builder.module.declare_intrinsic("llvm.floor", [FLOAT])
        return builder.call(floor, arguments)

    return types.float64(types.float64), emit


@intrinsic  # type: ignore[untyped-decorator]
def two_to_the(typing: Any, k: Any) -> Any:
    """Return 2**k: k + 1023 in the exponent field. Adding 1.5 * 2**52 puts a whole number into the last bits, also a negative one."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        shifted = builder.fadd(arguments[0], number(1.5 * 2.0**52 + 1023.0))
        return builder.bitcast(builder.shl(builder.bitcast(shifted, WORD), word(MANTISSA_BITS)), FLOAT)

    return types.float64(types.float64), emit


@intrinsic  # type: ignore[untyped-decorator]
def mantissa_and_exponent(typing: Any, x: Any) -> Any:
    """Return the mantissa and the exponent of ``frexp``: a number that is too small to be normal is first multiplied by 2**54."""
    pair = types.UniTuple(types.float64, 2)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (given,) = arguments
        tiny = builder.fcmp_ordered("<", given, number(SMALLEST_NORMAL))
        normal = builder.select(tiny, builder.fmul(given, number(2.0**54)), given)
        bits = builder.bitcast(normal, WORD)
        field = builder.lshr(bits, word(MANTISSA_BITS))
        whole = builder.bitcast(builder.or_(field, word(TWO_TO_52_BITS)), FLOAT)
        exponent = builder.fsub(whole, builder.select(tiny, number(2.0**52 + 1022.0 + 54.0), number(2.0**52 + 1022.0)))
        mantissa = builder.bitcast(builder.or_(builder.and_(bits, word(MANTISSA_MASK)), word(HALF_BITS)), FLOAT)
        finite = builder.fcmp_ordered("<", given, number(float("inf")))
        return context.make_tuple(builder, pair, [builder.select(finite, mantissa, given), exponent])

    return pair(types.float64), emit


BIT_INTRINSICS = {"round_down": round_down, "two_to_the": two_to_the, "mantissa_and_exponent": mantissa_and_exponent}
