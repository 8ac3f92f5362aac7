"""A model's own integrator: it takes the place of Runge-Kutta in every backend, and reads nested settings."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from medsim.core.batch import Batch
from medsim.core.compile import python_kernels
from medsim.core.model import Model, View
from medsim.core.portable import where
from medsim.core.streams import Key, uniform, words


class State(NamedTuple):
    amount_mg: float
    cleared_mg: float


class Drive(NamedTuple):
    rate_mg_per_h: float


class Params(NamedTuple):
    clearance_per_h: float


class Memory(NamedTuple):
    dose_mg: float
    steps: float


Row = NamedTuple("Row", [(f"weight_{k}", float) for k in range(48)])  # type: ignore[misc]


class Tables(NamedTuple):
    low: Row  # type: ignore[valid-type]
    high: Row  # type: ignore[valid-type]


class Settings(NamedTuple):
    intervals: float
    substeps: float
    tables: Tables


class Action(NamedTuple):
    dose_mg: float


class Terms(NamedTuple):
    comfort: float


class Costs(NamedTuple):
    overdose: float


class Measures(NamedTuple):
    amount_mg: float


def pick(s: Settings, key: Key) -> int:
    return 0


def recruit(key: Key, base: Params, named: bool, s: Settings) -> tuple[State, Params, Memory]:
    return State(10.0 * uniform(words(key, 0, 1)[0]), 0.0), base, Memory(0.0, 0.0)


def control(x: State, m: Memory, p: Params, a: Action, s: Settings, key: Key) -> Memory:
    return Memory(a.dose_mg, m.steps + 1.0)


def interval(x: State, m: Memory, p: Params, s: Settings, key: Key) -> tuple[Memory, Drive]:
    return m, Drive(m.dose_mg)


def weight(s: Settings) -> float:
    return s.tables.low.weight_0 + s.tables.high.weight_47


def derivative(x: State, u: Drive, p: Params) -> State:
    cleared = p.clearance_per_h * x.amount_mg
    return State(u.rate_mg_per_h - cleared, cleared)


def euler(x: State, u: Drive, p: Params, s: Settings, h: float) -> State:
    """One Euler step, of a drug whose clearance the settings change and that is cleared twice as fast above 5 mg."""
    cleared = h * weight(s) * p.clearance_per_h * x.amount_mg * where(x.amount_mg > 5.0, 2.0, 1.0)
    return State(x.amount_mg + h * u.rate_mg_per_h - cleared, x.cleared_mg + cleared)


def sense(x: State, m: Memory, p: Params, s: Settings, key: Key) -> Memory:
    return m


def judge(x: State, m: Memory, p: Params, s: Settings) -> tuple[Memory, Terms, Costs, tuple[float, float, float]]:
    return m, Terms(-x.amount_mg), Costs(0.0), (where(m.steps >= 20.0, 2.0, 0.0), 0.0, m.steps)


def measure(x: State, m: Memory, p: Params, s: Settings) -> Measures:
    return Measures(x.amount_mg)


def seen(x: State, m: Memory, p: Params, s: Settings) -> tuple[float, float]:
    return x.amount_mg, x.cleared_mg


def patients() -> tuple[tuple[str, ...], Any]:
    return ("one",), np.array([[0.5]])


DRUG = Model(
    name="drug", state=State, drive=Drive, params=Params, memory=Memory, settings=Settings, action=Action, reward_terms=Terms,
    costs=Costs, measures=Measures, pick=pick, recruit=recruit, control=control, interval=interval, advance=euler, sense=sense,
    judge=judge, measure=measure, views={"full": View(function=seen, names=("amount_mg", "cleared_mg"), low=(0.0, 0.0), high=(99.0, 99.0))},
    outcomes=("",), patients=patients,
)  # fmt: skip
NUMBERS = np.arange(98) / 50.0  # low.weight_0 = 0.04, high.weight_47 = 1.94
SETTINGS = Settings(3.0, 4.0, Tables(Row(*NUMBERS[2:50].tolist()), Row(*NUMBERS[50:98].tolist())))


def settings(substeps: float) -> np.ndarray:
    numbers = NUMBERS.copy()
    numbers[:2] = 3.0, substeps
    return numbers


def course(model: Model, n: int, substeps: float, plain: bool = False) -> np.ndarray:
    """Return amount and cleared (steps, 2, patients) under doses that differ from patient to patient."""
    batch = Batch(model, model.views["full"], n, settings(substeps))
    if plain:
        batch.kernels = python_kernels(model, model.views["full"])
    batch.seed(5)
    batch.reset()
    batch.actions[:, 0] = np.arange(n) % 7
    states = [batch.record("state")]
    for _ in range(10):
        batch.step()
        states.append(batch.record("state"))
    return np.array(states)


def test_the_models_own_integrator_is_what_runs() -> None:
    states = course(DRUG, 3, 4.0)
    amount, cleared = 10.0 * uniform(words(Key(5, 0, 2, 0, 0), 0, 1)[0]), 0.0
    for step in range(10):
        for _ in range(12):
            amount, cleared = euler(State(amount, cleared), Drive(2.0), Params(0.5), SETTINGS, 0.25)
        assert (amount, cleared) == tuple(states[step + 1, :, 2])


def test_every_backend_gives_the_same_bits() -> None:
    plain = course(DRUG, 19, 4.0, plain=True)
    np.testing.assert_array_equal(course(DRUG, 19, 4.0), plain)  # in tiles
    np.testing.assert_array_equal(course(DRUG, 7, 4.0), plain[..., :7])  # one after the other


def test_short_steps_of_the_models_own_integrator_approach_runge_kutta() -> None:
    slow = dataclasses.replace(DRUG, advance=euler_of_derivative)
    exact = dataclasses.replace(DRUG, advance=None, derivative=derivative)
    assert np.abs(course(slow, 4, 2000.0) - course(exact, 4, 20.0)).max() < 0.01


def euler_of_derivative(x: State, u: Drive, p: Params, s: Settings, h: float) -> State:
    """Euler's step of ``derivative``."""
    slope = derivative(x, u, p)
    return State(x.amount_mg + h * slope.amount_mg, x.cleared_mg + h * slope.cleared_mg)


def test_nothing_is_lost_by_the_integrator() -> None:
    states = course(DRUG, 9, 4.0)
    given = 3.0 * np.arange(11)[:, None] * (np.arange(9) % 7)
    np.testing.assert_allclose(states.sum(axis=1), states[0, 0] + given, rtol=1e-13)
    assert math.isclose(weight(SETTINGS), 0.04 + 1.94)


@pytest.mark.parametrize(("more", "given"), [({"derivative": derivative}, "both"), ({"advance": None}, "neither")])
def test_a_model_has_exactly_one_of_derivative_and_advance(more: dict[str, Any], given: str) -> None:
    with pytest.raises(ValueError, match=f"the model 'drug' must have exactly one of derivative and advance, not {given}"):
        dataclasses.replace(DRUG, **more)
