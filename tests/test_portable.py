"""The engine's own arithmetic and random words: against 50-digit decimals, scipy, and published known answers."""

import itertools
import math
import random
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.stats import kstest, norm

from medsim.core.portable import exp, fmax, fmin, log, power, round_half_up, sigmoid, sinh, tanh, where
from medsim.core.streams import Key, log_normal, normal, normal_quantile, seed_words, uniform, words

DRAW = random.Random(20260)


def spread(low: float, high: float, count: int = 1000) -> list[float]:
    return [DRAW.uniform(low, high) for _ in range(count)]


def decimal_exp(x: float) -> Decimal:
    return Decimal(x).exp()


def decimal_log(x: float) -> Decimal:
    return Decimal(x).ln()


def decimal_tanh(x: float) -> Decimal:
    e = (2 * Decimal(x)).exp()
    return (e - 1) / (e + 1)


def decimal_sinh(x: float) -> Decimal:
    e = Decimal(x).exp()
    return (e - 1 / e) / 2


def decimal_sigmoid(x: float) -> Decimal:
    return 1 / (1 + (-Decimal(x)).exp())


NEAR_ONE = [1.0 + sign * 10.0**-k * f for sign in (-1, 1) for k in range(1, 15) for f in spread(0.5, 5.0, 40)]
ACCURACY: dict[str, tuple[Callable[[float], float], Callable[[float], Decimal], list[float], float, bool]] = {
    "exp": (exp, decimal_exp, spread(-699.0, 699.0) + spread(-1.0, 1.0), 4e-16, True),
    "log": (log, decimal_log, [math.exp(y) for y in spread(-699.0, 699.0)] + NEAR_ONE, 4e-16, True),
    "tanh": (tanh, decimal_tanh, spread(-20.0, 20.0) + spread(-0.1, 0.1), 3e-14, False),
    "sigmoid": (sigmoid, decimal_sigmoid, spread(-40.0, 40.0) + spread(-0.1, 0.1), 2e-14, False),
    "sinh_near_zero": (sinh, decimal_sinh, spread(-0.5, 0.5), 4e-16, False),
    "sinh": (sinh, decimal_sinh, spread(0.5, 600.0) + spread(-5.0, -0.5), 1e-15, True),
}


@pytest.mark.parametrize("name", ACCURACY)
def test_the_error_is_no_larger_than_the_module_states(name: str) -> None:
    ours, exact, points, bound, relative = ACCURACY[name]
    with localcontext() as context:
        context.prec = 50
        for x in points:
            truth = exact(x)
            error = abs(Decimal(ours(x)) - truth) / (abs(truth) if relative else 1)
            assert error < Decimal(bound), f"{name}({x!r}) is off by {float(error):.2e}"


@pytest.mark.parametrize(("largest", "bound"), [(2.0, 1e-15), (500.0, 3e-14)])
def test_power_is_as_accurate_as_the_module_states(largest: float, bound: float) -> None:
    with localcontext() as context:
        context.prec = 50
        for logarithm, exponent in zip(spread(-50.0, 50.0), spread(-10.0, 10.0), strict=True):
            x = math.exp(logarithm * min(1.0, largest / abs(logarithm * exponent)))
            truth = (Decimal(exponent) * Decimal(x).ln()).exp()
            assert abs(Decimal(power(x, exponent)) - truth) / truth < Decimal(bound), f"power({x!r}, {exponent!r})"


def test_special_points_are_exact() -> None:
    assert exp(0.0) == 1.0
    assert exp(1.0) == math.e
    assert log(1.0) == tanh(0.0) == sinh(0.0) == 0.0
    assert log(2.0) == math.log(2.0)
    assert power(7.3, 0.0) == power(1.0, 7.3) == 1.0
    assert tanh(19.0) == tanh(1e300) == pytest.approx(1.0, abs=1.2e-16)
    assert sigmoid(0.0) == 0.5
    assert sigmoid(38.0) == sigmoid(1e300) == 1.0
    assert 0.0 < sigmoid(-1e300) == sigmoid(-38.0) < 1e-16
    assert tanh(-19.0) == tanh(-1e300) == pytest.approx(-1.0, abs=1.2e-16)
    assert (round_half_up(2.5), round_half_up(-2.5), round_half_up(2.4999), round_half_up(-0.2)) == (3.0, -2.0, 2.0, 0.0)
    assert (where(True, 1.0, 2.0), where(False, 1.0, 2.0)) == (1.0, 2.0)
    assert (fmin(1.0, -2.0), fmax(1.0, -2.0), fmin(3.0, 3.0)) == (-2.0, 1.0, 3.0)


def test_overflow_and_the_logarithm_of_nothing_stay_finite() -> None:
    assert exp(1e9) == exp(700.0)
    assert exp(-1e9) == exp(-700.0) > 0.0
    assert log(0.0) == log(-1.0) == -745.0


RANGES = [(exp, -699.0, 699.0), (log, 1e-6, 1e6), (tanh, -19.0, 19.0), (sigmoid, -38.0, 30.0), (sinh, -600.0, 600.0)]


@pytest.mark.parametrize(("function", "low", "high"), RANGES)
def test_functions_never_fall_where_the_true_one_rises(function: Callable[[float], float], low: float, high: float) -> None:
    values = [function(float(x)) for x in np.linspace(low, high, 20_001)]
    assert all(a <= b for a, b in itertools.pairwise(values))
    assert values[0] < values[-1]


def test_the_normal_quantile_is_scipys() -> None:
    tails = [2.0**-k for k in range(1, 34)]
    seams = [0.075, 0.925, math.nextafter(0.075, 0), math.nextafter(0.925, 1)]
    probabilities = [*spread(0.0, 1.0, 3000), *tails, *(1.0 - p for p in tails), *seams]
    ours = np.array([normal_quantile(p) for p in probabilities])
    np.testing.assert_allclose(ours, norm.ppf(probabilities), rtol=1e-13, atol=1e-15)


# Random words


def counter_words(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    index, episode, slot, stream = counter
    return words(Key(*key, slot, episode, 0), index, stream)


ONES = 0xFFFFFFFF
KNOWN_ANSWERS = [  # Random123's kat_vectors, philox 4x32 of 10 rounds
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter: tuple[int, int, int, int], key: tuple[int, int], answer: tuple[int, ...]) -> None:
    assert counter_words(counter, key) == answer


BASE = {"seed_low": 1, "seed_high": 2, "slot": 3, "episode": 4}
SHIFTED = [{**BASE, name: BASE[name] + 1} for name in BASE]


def stream_of(key: dict[str, int], purpose: int, count: int = 4000) -> np.ndarray:
    return np.array([uniform(words(Key(**key, step=0), index, purpose)[0]) for index in range(count)])


@pytest.mark.parametrize("other", [*((key, 5) for key in SHIFTED), (BASE, 6)], ids=["seed_low", "seed_high", "slot", "episode", "purpose"])
def test_streams_that_differ_in_one_thing_are_uncorrelated(other: tuple[dict[str, int], int]) -> None:
    a, b = stream_of(BASE, 5), stream_of(*other)
    assert (a != b).all()
    assert abs(np.corrcoef(a, b)[0, 1]) < 4.0 / math.sqrt(len(a))


def test_words_are_uniform_and_independent_of_the_one_before() -> None:
    stream = stream_of(BASE, 7, 20_000)
    assert kstest(stream, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(stream[1:], stream[:-1])[0, 1]) < 4.0 / math.sqrt(len(stream))


def test_a_draw_does_not_depend_on_the_step_but_on_what_it_is_for() -> None:
    assert words(Key(1, 2, 3, 4, 5), 6, 7) == words(Key(1, 2, 3, 4, 99), 6, 7)


def test_uniform_never_reaches_its_ends() -> None:
    assert uniform(0) == 2.0**-33
    assert uniform(ONES) == 1.0 - 2.0**-33


def test_the_most_extreme_words_give_finite_normals() -> None:
    assert normal(0) == pytest.approx(norm.ppf(2.0**-33), rel=1e-12)
    assert normal(ONES) == pytest.approx(norm.isf(2.0**-33), rel=1e-6)  # 1 - 2**-33 is held with 20 bits less


def test_a_log_normal_factor_has_its_coefficient_of_variation_and_its_cut() -> None:
    draws = np.array([log_normal(word, 0.2, 9.0) for word in (words(Key(*seed_words(1), 0, 0, 0), k, 1)[0] for k in range(20_000))])
    assert np.median(draws) == pytest.approx(1.0, abs=0.006)
    assert draws.std() / draws.mean() == pytest.approx(0.2, abs=0.005)
    sd = math.sqrt(math.log(1.04))
    assert log_normal(ONES, 0.2, 2.0) == pytest.approx(math.exp(2.0 * sd))
    assert log_normal(0, 0.2, 2.0) == pytest.approx(math.exp(-2.0 * sd))


def test_seeds_of_any_size_are_taken_and_told_apart() -> None:
    seeds = [0, 1, 2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 2**200]
    halves = [seed_words(seed) for seed in seeds]
    assert len(set(halves)) == len(seeds)
    assert all(0 <= half < 2**32 for pair in halves for half in pair)
    assert seed_words(2**32 + 7) == (7, 1)


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_a_seed_that_is_none_is_refused_by_name(seed: object) -> None:
    with pytest.raises(ValueError, match=rf"seed must be a whole number, 0 or larger, not {seed!r}"):
        seed_words(seed)  # type: ignore[arg-type]
