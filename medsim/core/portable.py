"""Arithmetic that gives the same bits in every backend.

The C library's ``exp``, ``log``, ``tanh`` and ``pow`` differ between machines and between CPU and GPU in the last bits, so
models use the functions below, which are built from operations that IEEE 754 rounds correctly (+ - * / and sqrt) and from
``floor``, ``frexp`` and ``ldexp``, which are exact. Each takes and returns one float.

In a ``derivative`` or an ``advance``, use ``inline_exp``, ``inline_log``, ``inline_power``, ``tanh`` and ``sigmoid``: they have no
branches and are copied into their callers, so that a batch of patients vectorises. ``exp``, ``log``, ``power`` and ``sinh`` give the
same numbers by a call: they are for everywhere else, where they keep the time to compile short.

Largest errors against 50-digit arithmetic (``tests/test_portable.py``): ``exp`` and ``log`` 4e-16 relative; ``power`` 3e-14, but
1e-15 where abs(exponent * log(x)) < 2; ``tanh`` 3e-14 absolute; ``sigmoid`` 2e-14 absolute; ``sinh`` 4e-16 absolute within 0.5 of zero,
1e-15 relative beyond.
"""

import math

from medsim.core.inlining import compiled_once

__all__ = [
    "exp", "fmax", "fmin", "inline_exp", "inline_log", "inline_power", "log", "power", "round_half_up", "sigmoid", "sinh", "tanh", "where",
]  # fmt: skip

LN2_HIGH = 0.693147180369123816490  # ln 2 in two parts: the first has 33 significant bits, so k * LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10
SQRT_HALF = 0.70710678118654752440


def where(condition: bool, yes: float, no: float) -> float:
    """Return ``yes`` if the condition holds, else ``no``; both are computed, which lets a batch run without branches."""
    return yes if condition else no


def fmin(a: float, b: float) -> float:
    """Return the smaller of two numbers."""
    return a if a < b else b


def fmax(a: float, b: float) -> float:
    """Return the larger of two numbers."""
    return a if a > b else b


# Exact steps through the bits of a float. On the CPU the engine replaces these three by the instructions of ``core/cpu_bits.py``,
# because a call of the C library keeps a loop from being vectorised.


def round_down(v: float) -> float:
    """Return the largest whole number that is not above v, for v that is finite and not -0.0."""
    return float(math.floor(v))


def two_to_the(k: float) -> float:
    """Return 2**k for a whole number from -1022 to 1023."""
    return math.ldexp(1.0, int(k))


def mantissa_and_exponent(x: float) -> tuple[float, float]:
    """Return (m, k) such that x = m 2**k and m is at least 0.5 and below 1, for a positive number; any numbers for another."""
    mantissa, exponent = math.frexp(x)
    return mantissa, float(exponent)


def squared_eight_times(z: float) -> float:
    """Return about e**(256 z), for z within 0.15 of zero: a sixth-degree polynomial, squared eight times."""
    s = z * (1.0 / 720.0) + 1.0 / 120.0
    s = s * z + 1.0 / 24.0
    s = s * z + 1.0 / 6.0
    s = s * z + 1.0 / 2.0
    s = s * z + 1.0
    s = s * z + 1.0
    s = s * s
    s = s * s
    s = s * s
    s = s * s
    s = s * s
    s = s * s
    s = s * s
    return s * s


def tanh(v: float) -> float:
    """Return the hyperbolic tangent, 1 - 2 / (e**2v + 1); where e**2v is inexact, the tangent is close to 1 and does not show it."""
    return 1.0 - 2.0 / (squared_eight_times(fmin(fmax(v, -19.0), 19.0) * 0.0078125) + 1.0)


def sigmoid(v: float) -> float:
    """Return 1 / (1 + e**-v), the logistic function; beyond 38 it is 1, below -38 what it is at -38, 3e-17."""
    e = squared_eight_times(fmin(fmax(v, -38.0), 38.0) * 0.00390625)
    return e / (e + 1.0)


def inline_exp(y: float) -> float:
    """Return e**y for any y; overflow is cut at e**700. For a derivative."""
    y = fmin(fmax(y, -700.0), 700.0)
    k = round_down(y * 1.44269504088896340736 + 0.5)
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    r2 = r * r  # Estrin's scheme: pairs in parallel, for a short chain of dependent operations
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (1.0 / 2.0 + r * (1.0 / 6.0))
    middle = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0))
    high = (1.0 / 40320.0 + r * (1.0 / 362880.0)) + r2 * (1.0 / 3628800.0 + r * (1.0 / 39916800.0))
    top = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0)
    s = low + r4 * (middle + r4 * (high + r4 * top))
    return s * two_to_the(k)


@compiled_once
def exp(y: float) -> float:
    """Return e**y for any y; overflow is cut at e**700."""
    return inline_exp(y)


def sinh(v: float) -> float:
    """Return the hyperbolic sine."""
    e = exp(v)
    return 0.5 * (e - 1.0 / e)


def inline_log(x: float) -> float:
    """Return the natural logarithm of a positive number; minus infinity's place is taken by -745 for x <= 0. For a derivative."""
    positive = where(x <= 0.0, 1.0, x)
    mantissa, k = mantissa_and_exponent(positive)
    small = mantissa < SQRT_HALF
    mantissa = where(small, mantissa + mantissa, mantissa)
    k = where(small, k - 1.0, k)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    q = s * s
    q2 = q * q
    low = (2.0 / 3.0 + q * (2.0 / 5.0)) + q2 * (2.0 / 7.0 + q * (2.0 / 9.0))
    high = (2.0 / 11.0 + q * (2.0 / 13.0)) + q2 * (2.0 / 15.0 + q * (2.0 / 17.0))
    top = 2.0 / 19.0 + q * (2.0 / 21.0)
    series = low + (q2 * q2) * (high + (q2 * q2) * top)
    return where(x <= 0.0, -745.0, k * LN2_HIGH + (k * LN2_LOW + (2.0 * s + s * q * series)))


@compiled_once
def log(x: float) -> float:
    """Return the natural logarithm of a positive number; minus infinity's place is taken by -745 for x <= 0."""
    return inline_log(x)


def inline_power(x: float, exponent: float) -> float:
    """Return x**exponent for x > 0. For a derivative."""
    return inline_exp(exponent * inline_log(x))


def power(x: float, exponent: float) -> float:
    """Return x**exponent for x > 0."""
    return exp(exponent * log(x))


def round_half_up(x: float) -> float:
    """Return the nearest whole number; halves go up."""
    return round_down(x + 0.5)
