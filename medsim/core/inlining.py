"""The one hint that a model's author gives the compiler."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["compiled_once", "is_compiled_once"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled_once(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function to be compiled once and called, where others are copied into their callers.

    For what is seldom called, or from many places: it keeps the first use quick. Never for what a derivative calls, since a
    call keeps the loop over patients from being vectorised.
    """
    function.compiled_once = True  # type: ignore[attr-defined]
    return function


def is_compiled_once(function: object) -> bool:
    """Return whether a function carries the mark."""
    return getattr(function, "compiled_once", False)
