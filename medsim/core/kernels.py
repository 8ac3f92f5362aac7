"""The loops over patients, written once for every backend.

Patients lie in tiles of ``WIDTH`` lanes: ``block[tile, field * WIDTH + lane]``. A batch integrates a whole tile in one loop over
lanes, which the compiler turns into SIMD instructions; the rest of a step is scalar, lane by lane. One patient takes
``step_lanes``, which keeps the state in registers. Both call the model's same functions in the same order, so they agree to the bit.
A lane whose episode has ended stands still until ``reset_lanes`` begins its next one.

The names declared below without a value are filled in for each model by ``medsim.core.compile``.
"""

from collections.abc import Callable
from typing import Any

from medsim.core.streams import Key

Array = Any

WIDTH = 16
NEXT_STEP, SAME_STEP, DISABLED = 0, 1, 2  # what happens to a lane whose episode has ended
SEED_LOW, SEED_HIGH, SLOT, EPISODE, STEP, NAMED_ROW, ENDED = 0, 1, 2, 3, 4, 5, 6  # columns of ids
ID_COLUMNS = 7
REWARD, COST, OUTCOME, TIME_H, FIRST_TERM = 0, 1, 2, 3, 4  # rows of out; then terms, costs, measures

pick: Callable[..., int]
recruit: Callable[..., Any]
control: Callable[..., Any]
interval: Callable[..., Any]
derivative: Callable[..., Any]
advance: Callable[..., Any]  # the model's own, or rk4
sense: Callable[..., Any]
judge: Callable[..., Any]
measure: Callable[..., Any]
view: Callable[..., Any]
load_state: Callable[..., Any]
load_params: Callable[..., Any]
load_memory: Callable[..., Any]
load_drive: Callable[..., Any]
load_action: Callable[..., Any]
load_settings: Callable[..., Any]
load_patient: Callable[..., Any]
store_state: Callable[..., None]
store_params: Callable[..., None]
store_memory: Callable[..., None]
store_drive: Callable[..., None]
store_after_control: Callable[..., None]
store_after_interval: Callable[..., None]
store_after_judge: Callable[..., None]
store_view: Callable[..., None]
store_report: Callable[..., None]
store_measures: Callable[..., None]
axpy: Callable[..., Any]
rk4_sum: Callable[..., Any]
interval_length: float
prange: type[range]


def rk4(x: Any, u: Any, p: Any, s: Any, h: float) -> Any:
    """Return the state one Runge-Kutta step of length h later: what ``advance`` is for a model that has a derivative."""
    k1 = derivative(x, u, p)
    k2 = derivative(axpy(x, 0.5 * h, k1), u, p)
    k3 = derivative(axpy(x, 0.5 * h, k2), u, p)
    k4 = derivative(axpy(x, h, k3), u, p)
    return rk4_sum(x, h / 6.0, k1, k2, k3, k4)


def key_of(ids: Array, i: int) -> Key:
    """Return the random key of patient i."""
    return Key(int(ids[i, SEED_LOW]), int(ids[i, SEED_HIGH]), int(ids[i, SLOT]), int(ids[i, EPISODE]), int(ids[i, STEP]))


def begin_lane(row: Array, lane: int, i: int, ids: Array, s: Any, actions: Array) -> None:
    """Apply the action."""
    ids[i, STEP] += 1
    x, p, m = load_state(row, lane), load_params(row, lane), load_memory(row, lane)
    store_after_control(row, lane, control(x, m, p, load_action(actions, i), s, key_of(ids, i)))


def drive_lane(row: Array, lane: int, i: int, ids: Array, s: Any) -> None:
    """Begin an interval."""
    m, u = interval(load_state(row, lane), load_memory(row, lane), load_params(row, lane), s, key_of(ids, i))
    store_after_interval(row, lane, m)
    store_drive(row, lane, u)


def finish_lane(row: Array, lane: int, i: int, ids: Array, s: Any, obs: Array, out: Array, ends: Array) -> None:
    """Measure, judge and observe the end of a step."""
    x, p = load_state(row, lane), load_params(row, lane)
    m = sense(x, load_memory(row, lane), p, s, key_of(ids, i))
    m, terms, costs, end = judge(x, m, p, s)
    store_after_judge(row, lane, m)
    ended, outcome, time_h = end
    store_report(out, i, outcome, time_h, terms, costs, measure(x, m, p, s))
    store_view(obs, i, view(x, m, p, s))
    ends[0, i] = ended == 1.0
    ends[1, i] = ended == 2.0
    if ended > 0.0:
        ids[i, ENDED] = 1


def step_lanes(first: int, last: int, block: Array, ids: Array, settings: Array, actions: Array, obs: Array, out: Array,
               ends: Array) -> None:  # fmt: skip
    """Step patients first to last - 1, one after the other."""
    s = load_settings(settings)
    h = interval_length / s.substeps
    for i in range(first, last):
        if ids[i, ENDED] == 0:
            row = block[i // WIDTH]
            lane = i % WIDTH
            begin_lane(row, lane, i, ids, s, actions)
            p = load_params(row, lane)
            for _ in range(int(s.intervals)):
                drive_lane(row, lane, i, ids, s)
                x, u = load_state(row, lane), load_drive(row, lane)
                for _ in range(int(s.substeps)):
                    x = advance(x, u, p, s, h)
                store_state(row, lane, x)
            finish_lane(row, lane, i, ids, s, obs, out, ends)


def advance_tile(row: Array, s: Any, h: float) -> None:
    """Integrate all lanes of a tile by one step: the loop that is vectorised. Lanes that stand still go along; ``reset`` renews them."""
    for lane in range(WIDTH):
        store_state(row, lane, advance(load_state(row, lane), load_drive(row, lane), load_params(row, lane), s, h))


def step_tiles(first: int, last: int, block: Array, ids: Array, settings: Array, actions: Array, obs: Array, out: Array,
               ends: Array) -> None:  # fmt: skip
    """Step the patients of tiles first to last - 1."""
    s = load_settings(settings)
    h = interval_length / s.substeps
    for tile in range(first, last):
        row = block[tile]
        base = tile * WIDTH
        lanes = min(WIDTH, ids.shape[0] - base)
        for lane in range(lanes):
            if ids[base + lane, ENDED] == 0:
                begin_lane(row, lane, base + lane, ids, s, actions)
        for _ in range(int(s.intervals)):
            for lane in range(lanes):
                if ids[base + lane, ENDED] == 0:
                    drive_lane(row, lane, base + lane, ids, s)
            for _ in range(int(s.substeps)):
                advance_tile(row, s, h)
        for lane in range(lanes):
            if ids[base + lane, ENDED] == 0:
                finish_lane(row, lane, base + lane, ids, s, obs, out, ends)


def step_tiles_parallel(first: int, last: int, block: Array, ids: Array, settings: Array, actions: Array, obs: Array, out: Array,
                        ends: Array) -> None:  # fmt: skip
    """Step the patients of tiles first to last - 1, shared between threads."""
    for tile in prange(first, last):
        step_tiles(tile, tile + 1, block, ids, settings, actions, obs, out, ends)


def reset_lanes(first: int, last: int, mask: Array, clear: bool, block: Array, ids: Array, settings: Array, table: Array,
                obs: Array, out: Array, ends: Array) -> None:  # fmt: skip
    """Begin the next episode of the patients first to last - 1 whose mask is set; ``clear`` zeroes what the last step reported."""
    s = load_settings(settings)
    for i in range(first, last):
        if mask[i]:
            row, lane = block[i // WIDTH], i % WIDTH
            ids[i, EPISODE] += 1
            ids[i, STEP] = 0
            ids[i, ENDED] = 0
            key = key_of(ids, i)
            patient = int(ids[i, NAMED_ROW])
            named = patient >= 0
            if not named:
                patient = pick(s, key)
            x, p, m = recruit(key, load_patient(table, patient), named, s)
            m = sense(x, m, p, s, key)
            store_state(row, lane, x)
            store_params(row, lane, p)
            store_memory(row, lane, m)
            store_view(obs, i, view(x, m, p, s))
            if clear:
                for k in range(out.shape[0]):
                    out[k, i] = 0.0
                store_measures(out, i, measure(x, m, p, s))
                ends[0, i] = False
                ends[1, i] = False
