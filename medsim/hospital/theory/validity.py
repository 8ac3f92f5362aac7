"""What a queue's numbers must be: rates positive, counts whole, loads below what the servers can carry."""

import math
from collections.abc import Iterable, Sequence

__all__ = ["fraction", "lengths_agree", "not_negative", "positive", "stable", "whole"]


def positive(name: str, value: float) -> float:
    """Return a finite number above zero as a float, or raise a ValueError that names it."""
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{name} must be a finite number above 0, not {value!r}")
    return float(value)


def not_negative(name: str, value: float) -> float:
    """Return a finite number of at least zero as a float, or raise a ValueError that names it."""
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}")
    return float(value)


def fraction(name: str, value: float) -> float:
    """Return a number strictly between 0 and 1, or raise a ValueError that names it."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, not {value!r}")
    return float(value)


def whole(name: str, value: int, least: int = 1) -> int:
    """Return a whole number of at least ``least``, or raise a ValueError that names it."""
    if isinstance(value, bool) or value != value or math.isinf(value) or int(value) != value or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def stable(load: float, servers: float, what: str = "the queue") -> float:
    """Return the load of each server (0..1), or raise a ValueError that names the load which the servers cannot carry.

    Args:
        load: the offered load in servers (arrival rate times mean service).
        servers: how many servers share it.
        what: the name of the queue, for the message.
    """
    utilisation = load / servers
    if not utilisation < 1.0:
        raise ValueError(
            f"{what} is unstable: an offered load of {load:g} on {servers:g} server(s) is a utilisation of {utilisation:.4g}, not below 1"
        )
    return utilisation


def lengths_agree(**sequences: Sequence[float] | Iterable[float]) -> int:
    """Return the common length of the named sequences, at least 1, or raise a ValueError that names their lengths."""
    lengths = {name: len(tuple(values)) for name, values in sequences.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(f"one entry for each class or station is needed in all of them, at least one, not {lengths}")
    return next(iter(lengths.values()))
