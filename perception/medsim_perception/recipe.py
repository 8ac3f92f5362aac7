"""What it takes to train, judge and ship a perception model: a recipe, and the learner that it starts.

A recipe says everything that makes a model: what it answers, what it learns from, how a training begins and how the result is judged.
`medsim_perception.training.run` carries it out, `medsim_perception.weights` ships what came of it, and `medsim_perception.catalogue` knows
the recipes by name. Whoever has batches and a loss needs no learner of their own: `medsim_perception.supervised.SupervisedLearner` is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Learner", "Recipe"]


class Learner(Protocol):
    """One training in progress.

    `planned_steps` may be lowered before the first step, or after a few of them, by a training that has to fit a time; learning rates
    should therefore be worked out from `step_number` and `planned_steps` at each step. `state_dict` holds all that the remaining steps
    depend on, as tensors, numbers, texts, lists and dicts of those (generators by their state), `planned_steps` and `step_number` among
    them; the state of torch's global generator is kept by `run`.
    """

    model: nn.Module  # what is shipped: the inference network
    planned_steps: int
    step_number: int  # steps done

    def step(self) -> float:
        """Make one update; returns its loss."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is made; the name is that of its weights, its card and its run folders.

    `judge` returns metrics, by name, on patients that were never trained on nor chosen by; larger is better unless the name says error,
    loss, brier or calibration.
    """

    name: str  # small letters, digits and hyphens, such as "chest-lung-water"
    question: str  # what it answers, in a line
    data: str  # what it learns from
    licence: str  # that of the data, which the weights come from
    build: Callable[[], nn.Module]  # the inference network, untrained
    begin: Callable[[int, torch.device], Learner]  # of a seed and a device
    judge: Callable[[nn.Module, torch.device], dict[str, float]]

    def __post_init__(self) -> None:
        if not self.name or set(self.name) - set("abcdefghijklmnopqrstuvwxyz0123456789-"):
            raise ValueError(f"a recipe's name must be of small letters, digits and hyphens, not {self.name!r}")
        for field in ("question", "data", "licence"):
            if not getattr(self, field).strip():
                raise ValueError(f"the recipe {self.name} must say its {field}")
