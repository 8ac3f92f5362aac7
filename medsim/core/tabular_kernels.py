"""The loops over patients whose course is a table, compiled, or run as plain Python."""

import os
import sys
import tempfile
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from medsim.core.compile import Binder, cache_folder, jit_enabled
from medsim.core.kernels import COST, ENDED, EPISODE, FIRST_TERM, NAMED_ROW, OUTCOME, REWARD, SEED_HIGH, SEED_LOW, SLOT, STEP, TIME_H
from medsim.core.streams import Key, words

__all__ = ["LANE_COLUMNS", "START", "STATE", "TabularKernels", "tabular_kernels"]

Array = Any

STATE, START = 0, 1  # columns of lanes
LANE_COLUMNS = 2
HORIZON, ENDS_BY_ITSELF, OUTCOME_AT_HORIZON, STEP_H, START_LAW = 0, 1, 2, 3, 4  # of the settings
TRANSITION_STREAM, START_STREAM = 1, 2  # of the first law of the start; each law, and so each cohort, has two streams of its own
prange = range


def drawn(row: int, first: Array, cells: Array, one: int, two: int) -> int:
    """Return a state from a row's alias table by two random words of 32 bits."""
    begin = first[row]
    cell = cells[begin + ((one * (first[row + 1] - begin)) >> 32)]
    if (two >> 1) < (cell >> 32):
        return (cell >> 16) & 0xFFFF  # type: ignore[no-any-return]
    return cell & 0xFFFF  # type: ignore[no-any-return]


def observe(i: int, state: int, steps_left: float, view: Array, obs: Array) -> None:
    """Write what is seen of a state; where there is a place more than the view has numbers, the steps left."""
    for k in range(view.shape[1]):
        obs[i, k] = view[state, k]
    if obs.shape[1] > view.shape[1]:
        obs[i, view.shape[1]] = steps_left


def step_patients(begin: int, end: int, ids: Array, lanes: Array, settings: Array, actions: Array, row_of: Array, first: Array,
                  cells: Array, outcome_of: Array, arrival: Array, choice: Array, counts: Array, view: Array, obs: Array, out: Array,
                  ends: Array) -> None:  # fmt: skip
    """Step patients begin to end - 1; one whose episode has ended stands still. ``counts``: how many terms and costs there are."""
    action_count = choice.shape[0] // outcome_of.shape[0]
    terms, costs = counts[0], counts[1]
    stream = TRANSITION_STREAM + 2 * int(settings[START_LAW])
    for i in range(begin, end):
        if ids[i, ENDED] == 0:
            step = int(ids[i, STEP]) + 1
            key = Key(int(ids[i, SEED_LOW]), int(ids[i, SEED_HIGH]), int(ids[i, SLOT]), int(ids[i, EPISODE]), step)
            one, two, _, _ = words(key, step, stream)
            pair = lanes[i, STATE] * action_count + actions[i, 0]
            state = drawn(row_of[pair], first, cells, one, two)
            ids[i, STEP] = step
            lanes[i, STATE] = state
            reward, cost = 0.0, 0.0
            for k in range(terms):
                value = arrival[state, k] + choice[pair, k]
                out[FIRST_TERM + k, i] = value
                reward += value
            for k in range(terms, terms + costs):
                value = arrival[state, k] + choice[pair, k]
                out[FIRST_TERM + k, i] = value
                cost += value
            for k in range(terms + costs, arrival.shape[1]):
                out[FIRST_TERM + k, i] = arrival[state, k] + choice[pair, k]
            outcome = outcome_of[state]
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
                ids[i, ENDED] = 1
            observe(i, state, settings[HORIZON] - step, view, obs)


def step_patients_parallel(chunks: int, ids: Array, lanes: Array, settings: Array, actions: Array, row_of: Array, first: Array,
                           cells: Array, outcome_of: Array, arrival: Array, choice: Array, counts: Array, view: Array, obs: Array,
                           out: Array, ends: Array) -> None:  # fmt: skip
    """Step all patients in ``chunks`` shares, side by side."""
    n = ids.shape[0]
    for chunk in prange(chunks):
        step_patients(chunk * n // chunks, (chunk + 1) * n // chunks, ids, lanes, settings, actions, row_of, first, cells, outcome_of,
                      arrival, choice, counts, view, obs, out, ends)  # fmt: skip


def begin_patients(mask: Array, clear: bool, ids: Array, lanes: Array, settings: Array, named_starts: Array, row_of: Array,
                   first: Array, cells: Array, arrival: Array, counts: Array, view: Array, obs: Array, out: Array,
                   ends: Array) -> None:  # fmt: skip
    """Begin the next episode of the patients whose mask is set; ``clear`` zeroes what the last step reported."""
    law = int(settings[START_LAW])
    start_row = row_of[row_of.shape[0] - counts[2] + law]
    reported = counts[0] + counts[1]
    for i in range(ids.shape[0]):
        if mask[i]:
            ids[i, EPISODE] += 1
            ids[i, STEP] = 0
            ids[i, ENDED] = 0
            key = Key(int(ids[i, SEED_LOW]), int(ids[i, SEED_HIGH]), int(ids[i, SLOT]), int(ids[i, EPISODE]), 0)
            if ids[i, NAMED_ROW] >= 0:
                state = named_starts[ids[i, NAMED_ROW]]
            else:
                one, two, _, _ = words(key, 0, START_STREAM + 2 * law)
                state = drawn(start_row, first, cells, one, two)
            lanes[i, STATE] = state
            lanes[i, START] = state
            observe(i, state, settings[HORIZON], view, obs)
            if clear:
                for k in range(out.shape[0]):
                    out[k, i] = 0.0
                for k in range(reported, arrival.shape[1]):
                    out[FIRST_TERM + k, i] = arrival[state, k]
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


def compiled_together(name: str, *entries: Any, parallel: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return functions compiled, with what they call, and kept in a cache whose name is a hash of all their code."""
    import numba

    def inner(function: types.FunctionType) -> Any:
        return numba.njit(error_model="numpy", nogil=True)(function)

    binder = Binder({"prange": numba.prange}, inner)
    binder.note(numba.__version__, sys.version)
    rebuilt = {function.__name__: binder.rebuild(function) for function in (*entries, *parallel)}
    home = cache_file(name, binder.digest.hexdigest()[:16])
    made = {}
    for label, function in rebuilt.items():
        filed = types.FunctionType(function.__code__.replace(co_filename=home), function.__globals__, label, function.__defaults__)
        threaded = label in {one.__name__ for one in parallel}
        made[label] = numba.njit(cache=True, error_model="numpy", nogil=True, parallel=threaded)(filed)
    return made


def cache_file(name: str, digest: str) -> str:
    """Return the file beside which machine code is cached, made if it is not there."""
    folder = cache_folder() / "kernels"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}_{digest}.py"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as file:
            file.write(f'"""Kernels of {name} are cached beside this file."""\n')
        os.replace(file.name, path)
    return str(path)
