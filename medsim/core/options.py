"""Settings of an environment: a frozen dataclass, checked field by field, with errors that name what is allowed."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["choice", "parse_options", "switch", "within"]

T = TypeVar("T")


def choice(default: Any, *allowed: Any, doc: str) -> Any:
    """Return a dataclass field that takes one of the allowed values."""
    return dataclasses.field(default=default, metadata={"allowed": (default, *allowed), "doc": doc})


def within(default: float | None, low: float, high: float, *, doc: str) -> Any:
    """Return a dataclass field that takes a number from low to high, or None if that is its default."""
    return dataclasses.field(default=default, metadata={"range": (low, high), "none": default is None, "doc": doc})


def switch(default: bool, *, doc: str) -> Any:
    """Return a dataclass field that is true or false."""
    return choice(default, not default, doc=doc)


def parse_options(config: type[T], options: Mapping[str, Any]) -> T:
    """Return the configuration with the options given.

    Raises:
        ValueError: an option is unknown, or its value is not allowed; the message names both.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    for name, value in options.items():
        if name not in fields:
            raise ValueError(f"unknown option {name!r}; allowed are {', '.join(sorted(fields))}")
        check_value(name, value, fields[name].metadata)
    return config(**options)


def check_value(name: str, value: Any, rule: Mapping[str, Any]) -> None:
    """Raise ValueError if an option's value breaks its field's rule."""
    if "allowed" in rule:
        same_kind = [a for a in rule["allowed"] if a == value and isinstance(a, bool) == isinstance(value, bool)]
        if not same_kind:
            raise ValueError(f"option {name} must be one of {', '.join(map(repr, rule['allowed']))}, not {value!r}")
    elif "range" in rule:
        low, high = rule["range"]
        if value is None and rule["none"]:
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"option {name} must be a number from {low:g} to {high:g}{' or None' * rule['none']}, not {value!r}")
