"""The loops over patients whose course is a table, compiled, or run as plain Python.

Handing over an array costs a compiled function 0.1 us, which one patient notices, so there are few: ``lanes`` holds all whole numbers of
a patient (n, LANE_COLUMNS), ``tables`` those of the model one part after the other (which row of each pair and law, the rows' first
cells, the cells, the states' outcomes; ``layout`` says where each begins), ``reports`` what a state adds to a step's report and below
it what each pair adds.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from medsim.core.compile import compiled_together, jit_enabled
from medsim.core.kernels import (
    COST,
    ENDED,
    EPISODE,
    FIRST_TERM,
    ID_COLUMNS,
    NAMED_ROW,
    OUTCOME,
    REWARD,
    SEED_HIGH,
    SEED_LOW,
    SLOT,
    STEP,
    TIME_H,
)
from medsim.core.streams import Key, words

__all__ = ["ACTION", "LANE_COLUMNS", "START", "STATE", "TabularKernels", "tabular_kernels"]

Array = Any

STATE, START, ACTION = ID_COLUMNS, ID_COLUMNS + 1, ID_COLUMNS + 2  # columns of lanes, after those of ids
LANE_COLUMNS = ID_COLUMNS + 3
STATES, ACTIONS, TERMS, COSTS, FIRST, CELLS, OUTCOMES = 0, 1, 2, 3, 4, 5, 6  # of layout: counts, then where the tables' parts begin
HORIZON, ENDS_BY_ITSELF, OUTCOME_AT_HORIZON, STEP_H, START_LAW = 0, 1, 2, 3, 4  # of the settings
TRANSITION_STREAM, START_STREAM = 1, 2  # of the first law of the start; each law, and so each cohort, has two streams of its own
prange = range


def drawn(row: int, layout: Array, tables: Array, one: int, two: int) -> int:
    """Return a state from a row's alias table by two random words of 32 bits."""
    begin = tables[layout[FIRST] + row]
    cell = tables[layout[CELLS] + begin + ((one * (tables[layout[FIRST] + row + 1] - begin)) >> 32)]
    if (two >> 1) < (cell >> 32):
        return (cell >> 16) & 0xFFFF  # type: ignore[no-any-return]
    return cell & 0xFFFF  # type: ignore[no-any-return]


def observe(i: int, state: int, steps_left: float, view: Array, obs: Array) -> None:
    """Write what is seen of a state; where there is a place more than the view has numbers, the steps left."""
    for k in range(view.shape[1]):
        obs[i, k] = view[state, k]
    if obs.shape[1] > view.shape[1]:
        obs[i, view.shape[1]] = steps_left


def key_of(lanes: Array, i: int, step: int) -> Key:
    """Return the random key of patient i at a step."""
    return Key(int(lanes[i, SEED_LOW]), int(lanes[i, SEED_HIGH]), int(lanes[i, SLOT]), int(lanes[i, EPISODE]), step)


def step_patients(begin: int, end: int, lanes: Array, settings: Array, layout: Array, tables: Array, reports: Array, view: Array,
                  obs: Array, out: Array, ends: Array) -> None:  # fmt: skip
    """Step patients begin to end - 1; one whose episode has ended stands still."""
    states, actions = layout[STATES], layout[ACTIONS]
    terms, reported = layout[TERMS], layout[TERMS] + layout[COSTS]
    stream = TRANSITION_STREAM + 2 * int(settings[START_LAW])
    for i in range(begin, end):
        if lanes[i, ENDED] == 0:
            step = int(lanes[i, STEP]) + 1
            one, two, _, _ = words(key_of(lanes, i, step), step, stream)
            pair = lanes[i, STATE] * actions + lanes[i, ACTION]
            state = drawn(tables[pair], layout, tables, one, two)
            lanes[i, STEP] = step
            lanes[i, STATE] = state
            reward, cost = 0.0, 0.0
            for k in range(reports.shape[1]):
                value = reports[state, k] + reports[states + pair, k]
                out[FIRST_TERM + k, i] = value
                if k < terms:
                    reward += value
                elif k < reported:
                    cost += value
            outcome = tables[layout[OUTCOMES] + state]
            terminated = outcome > 0
            truncated = False
            if not terminated and step >= settings[HORIZON]:
                terminated = settings[ENDS_BY_ITSELF] > 0.0
                truncated = not terminated
                outcome = int(settings[OUTCOME_AT_HORIZON])
            out[REWARD, i] = reward
            out[COST, i] = cost
            out[OUTCOME, i] = outcome
            out[TIME_H, i] = step * settings[STEP_H]
            ends[0, i] = terminated
            ends[1, i] = truncated
            if terminated or truncated:
                lanes[i, ENDED] = 1
            observe(i, state, settings[HORIZON] - step, view, obs)


def step_patients_parallel(chunks: int, lanes: Array, settings: Array, layout: Array, tables: Array, reports: Array, view: Array,
                           obs: Array, out: Array, ends: Array) -> None:  # fmt: skip
    """Step all patients in ``chunks`` shares, side by side."""
    n = lanes.shape[0]
    for chunk in prange(chunks):
        step_patients(chunk * n // chunks, (chunk + 1) * n // chunks, lanes, settings, layout, tables, reports, view, obs, out, ends)


def begin_patients(mask: Array, clear: bool, named_starts: Array, lanes: Array, settings: Array, layout: Array, tables: Array,
                   reports: Array, view: Array, obs: Array, out: Array, ends: Array) -> None:  # fmt: skip
    """Begin the next episode of the patients whose mask is set; ``clear`` zeroes what the last step reported."""
    law = int(settings[START_LAW])
    start_row = tables[layout[STATES] * layout[ACTIONS] + law]
    for i in range(lanes.shape[0]):
        if mask[i]:
            lanes[i, EPISODE] += 1
            lanes[i, STEP] = 0
            lanes[i, ENDED] = 0
            if lanes[i, NAMED_ROW] >= 0:
                state = named_starts[lanes[i, NAMED_ROW]]
            else:
                one, two, _, _ = words(key_of(lanes, i, 0), 0, START_STREAM + 2 * law)
                state = drawn(start_row, layout, tables, one, two)
            lanes[i, STATE] = state
            lanes[i, START] = state
            observe(i, state, settings[HORIZON], view, obs)
            if clear:
                for k in range(out.shape[0]):
                    out[k, i] = 0.0
                for k in range(layout[TERMS] + layout[COSTS], reports.shape[1]):
                    out[FIRST_TERM + k, i] = reports[state, k]
                ends[0, i] = False
                ends[1, i] = False


class TabularKernels:
    """The entry points; ``compiled`` says whether they are machine code."""

    def __init__(self, step: Callable[..., None], step_parallel: Callable[..., None], begin: Callable[..., None], compiled: bool) -> None:
        self.step, self.step_parallel, self.begin, self.compiled = step, step_parallel, begin, compiled


@lru_cache(maxsize=2)
def kernels_of(compiled: bool) -> TabularKernels:
    """Return the kernels of one kind, the same ones each time."""
    if not compiled:
        return TabularKernels(step_patients, step_patients_parallel, begin_patients, compiled=False)
    made = compiled_together("tabular", step_patients, begin_patients, parallel=(step_patients_parallel,))
    return TabularKernels(made["step_patients"], made["step_patients_parallel"], made["begin_patients"], compiled=True)


def tabular_kernels() -> TabularKernels:
    """Return the kernels for this process: compiled, or plain Python with ``MEDSIM_JIT=0``."""
    return kernels_of(jit_enabled())
