"""What trainings of adversaries share: what is kept of them to go on, and rates that fall."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

__all__ = ["Adversaries"]


class Adversaries:
    """A training of networks against each other; `model` is the running average of the weights that are shipped.

    A subclass names in `parts` the attributes whose `state_dict` a checkpoint holds. `history` is what the steps wrote down.
    """

    parts: ClassVar[tuple[str, ...]]
    model: nn.Module

    def __init__(self, seed: int, device: torch.device, planned_steps: int) -> None:
        self.device = device
        self.draws = torch.Generator().manual_seed(seed)
        self.planned_steps, self.step_number = planned_steps, 0
        self.history: list[dict[str, float]] = []

    def set_rates(self, factor: float, *rates: tuple[torch.optim.Optimizer, float]) -> None:
        """Set each optimiser's rate times a factor."""
        for optimizer, rate in rates:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {name: getattr(self, name).state_dict() for name in self.parts} | {
            "planned_steps": self.planned_steps,
            "step_number": self.step_number,
            "draws": self.draws.get_state(),
            "history": [dict(row) for row in self.history],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])
        self.planned_steps, self.step_number = int(state["planned_steps"]), int(state["step_number"])
        self.draws.set_state(state["draws"].cpu())
        self.history = [dict(row) for row in state["history"]]
