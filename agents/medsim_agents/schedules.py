"""Settings that change in the course of a training: a straight line or an exponential, written as a text such as ``linear:3e-4``.

``linear:FIRST:LAST:SHARE`` goes from FIRST to LAST over the first SHARE of the training and stays there; ``exponential:FIRST:LAST:SHARE``
changes by the same factor in each part of the way. LAST is 0 for a line where it is left out, SHARE is 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["KINDS", "Schedule", "follow", "move", "parse_schedule", "scheduled"]

KINDS = ("linear", "exponential")
WRITTEN = "linear:FIRST, linear:FIRST:LAST, exponential:FIRST:LAST, each with :SHARE of the training behind"
SCHEDULED = ("learning_rate", "clip_range", "ent_coef", "exploration_rate")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A number over the course of a training; Stable-Baselines3 calls it with what remains of the course, from 1 to 0."""

    kind: str
    first: float
    last: float
    share: float

    def __call__(self, remaining: float) -> float:
        """Return the number with so much of the training left."""
        gone = min((1.0 - remaining) / self.share, 1.0)
        if self.kind == "linear":
            return self.first + gone * (self.last - self.first)
        return float(self.first * (self.last / self.first) ** gone)


def parse_schedule(text: str, where: str) -> Schedule:
    """Return the schedule that a text describes; ``where``: what it is for, for the message.

    Raises:
        ValueError: it is none.
    """
    kind, *parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if kind not in KINDS or not 1 <= len(numbers) <= 3 or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{where} must be a number or a schedule ({WRITTEN}), not {text!r}")
    if kind == "exponential" and (len(numbers) < 2 or min(numbers[:2]) <= 0.0):
        raise ValueError(f"{where}: an exponential needs FIRST and LAST above 0, as in exponential:1e-3:1e-5, not {text!r}")
    first, last, share = numbers[0], numbers[1] if len(numbers) > 1 else 0.0, numbers[2] if len(numbers) > 2 else 1.0
    if min(first, last) < 0.0 or not 0.0 < share <= 1.0:
        raise ValueError(f"{where}: FIRST and LAST must not be below 0 and SHARE must be above 0 and at most 1, not {text!r}")
    return Schedule(kind=kind, first=first, last=last, share=share)


def scheduled(hyperparameters: Mapping[str, Any], name: str) -> Schedule | None:
    """Return the schedule of a setting, or None if it is a number, is not there, or a word of the algorithm's own (SAC's "auto")."""
    value = hyperparameters.get(name)
    if not isinstance(value, str) or value.startswith("auto"):
        return None
    return parse_schedule(value, name)


def follow(model: Any, hyperparameters: Mapping[str, Any]) -> Any:
    """Let a model, new or loaded, follow the schedules for which its class takes a number only; returns the model."""
    exploration = scheduled(hyperparameters, "exploration_rate")
    if exploration is not None:
        model.exploration_schedule = exploration
    model.ent_coef_schedule = scheduled(hyperparameters, "ent_coef")
    return model


def move(model: Any) -> None:
    """Set a model's weight of entropy to where its schedule is, between a rollout and what is learnt from it."""
    schedule = getattr(model, "ent_coef_schedule", None)
    if schedule is not None:
        model.ent_coef = schedule(1.0 - model.num_timesteps / model._total_timesteps)
