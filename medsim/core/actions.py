"""Checking actions: a NaN or a value outside the space is refused by name, never simulated."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

__all__ = ["batch_writer", "single_writer"]

Array = npt.NDArray[np.float64]


def numbers_in(action: Any, space: spaces.Box) -> Array:
    """Return what was given as an action as an array of numbers, of at least one dimension.

    Raises:
        ValueError: it is not made of numbers.
    """
    try:
        return np.atleast_1d(np.asarray(action, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"action {action!r} is not made of numbers: it must be in {space}") from error


def single_writer(space: spaces.Discrete | spaces.Box) -> Callable[[Array, Any], None]:
    """Return ``write(row, action)``, which checks one action and puts it into a row of numbers."""
    if isinstance(space, spaces.Discrete):
        count = int(space.n)

        def write_index(row: Array, action: Any) -> None:
            try:
                index = action.__index__()
            except (AttributeError, TypeError):
                index = -1
            if not 0 <= index < count or isinstance(action, bool):
                raise ValueError(f"action {action!r} is outside {space}: it must be a whole number from 0 to {count - 1}")
            row[0] = index

        return write_index

    lows, highs = space.low.tolist(), space.high.tolist()
    size = len(lows)

    def write_doses(row: Array, action: Any) -> None:
        plain = isinstance(action, np.ndarray) and action.ndim == 1 and action.dtype.kind in "fiu"
        values = action.tolist() if plain else numbers_in(action, space).tolist()
        if len(values) != size or (size and isinstance(values[0], list)):
            raise ValueError(f"action {action!r} has the wrong shape: {space} takes {size} numbers")
        for k in range(size):
            if not lows[k] <= values[k] <= highs[k]:
                raise ValueError(f"action[{k}] = {values[k]!r} is outside {space}: it must be from {lows[k]:g} to {highs[k]:g}")
            row[k] = values[k]

    return write_doses


def batch_writer(space: spaces.Discrete | spaces.Box, n: int) -> Callable[[Array, Any], None]:
    """Return ``write(rows, actions)``, which checks the actions of a batch and puts them into rows of numbers."""
    if isinstance(space, spaces.Discrete):
        count = int(space.n)

        def write_indices(rows: Array, actions: Any) -> None:
            given = np.asarray(actions)
            if given.shape != (n,) or given.dtype.kind not in "iu":
                raise ValueError(f"actions must be {n} whole numbers, not an array of {given.dtype} with shape {given.shape}")
            wrong = (given < 0) | (given >= count)
            if wrong.any():
                i = int(np.argmax(wrong))
                raise ValueError(f"action {given[i]} of environment {i} is outside {space}: it must be from 0 to {count - 1}")
            rows[:, 0] = given

        return write_indices

    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    size = len(low)

    def write_doses(rows: Array, actions: Any) -> None:
        given = numbers_in(actions, space)
        if given.shape != (n, size):
            raise ValueError(f"actions must have shape ({n}, {size}), not {given.shape}")
        right = (given >= low) & (given <= high)
        if not right.all():
            i, k = (int(index) for index in np.argwhere(~right)[0])
            raise ValueError(
                f"action[{k}] = {given[i, k]!r} of environment {i} is outside {space}: it must be from {low[k]:g} to {high[k]:g}"
            )
        rows[:, :size] = given

    return write_doses
