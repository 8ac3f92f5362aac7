"""A learner for whoever has batches and a loss: AdamW, a rate that rises and falls, clipped gradients, averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medsim_perception.device import autocast

__all__ = ["SCHEDULES", "Batch", "SupervisedLearner", "learning_rate_at"]

Batch = tuple[Any, ...]  # tensors, arrays, or dicts of them, as the loss wants them
SCHEDULES = ("one-cycle", "cosine", "constant")
WARM_UP = {"one-cycle": 0.25, "cosine": 0.02, "constant": 0.0}  # chosen: share of the steps in which the rate rises
START, END = 1 / 25, 1e-4  # of the peak rate: where one-cycle begins (Smith & Topin 2018, as torch's OneCycleLR does) and ends


def learning_rate_at(step: int, planned: int, peak: float, schedule: str = "one-cycle") -> float:
    """The learning rate of a step (from 0) among so many: a rise from peak / 25 and a fall to peak / 10,000, both half cosines.

    `cosine` rises in the first 2 % of the steps, `one-cycle` in the first quarter, `constant` stays. Raises ValueError for another name.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, not {schedule!r}")
    if schedule == "constant":
        return peak
    place, rise = step / max(1, planned - 1), WARM_UP[schedule]
    start, end, part = (START, 1.0, place / rise) if place < rise else (1.0, END, (place - rise) / (1 - rise))
    return peak * (end + (start - end) * (1 + math.cos(math.pi * min(1.0, part))) / 2)


class SupervisedLearner:
    """A training by batches and a loss (a `medsim_perception.recipe.Learner`).

    `sample(rng, batch_size)` returns a batch as a tuple; its generator is made of the seed and the step's number, so that a resumed
    training meets the same batches. Augment there; torch's generators come from `torch.Generator().manual_seed(int(rng.integers(2**63)))`.
    `loss(network, *batch)` returns a number to descend; the batch's tensors are on the device, and NumPy arrays have become tensors.
    Weights that do not require gradients stay as they are. With `averaging` (0.99, say) `model` is the running mean of the weights over
    that memory, and `network` is what is trained; without, they are one. Mixed precision is bfloat16 and, unless said, on CUDA only.
    """

    def __init__(
        self,
        model: nn.Module,
        sample: Callable[[np.random.Generator, int], Batch],
        loss: Callable[..., Tensor],
        *,
        seed: int,
        device: torch.device,
        steps: int,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        schedule: str = "one-cycle",
        clip: float = 1.0,
        averaging: float | None = None,
        mixed_precision: bool | None = None,
    ) -> None:
        learning_rate_at(0, steps, learning_rate, schedule)
        if steps < 1 or batch_size < 1:
            raise ValueError(f"steps and batch_size must be 1 or more, not {steps} and {batch_size}")
        if averaging is not None and not 0.0 < averaging < 1.0:
            raise ValueError(f"averaging must lie between 0 and 1, not {averaging}")
        self.network = model.to(device).train()
        self.model = self.network if averaging is None else copy.deepcopy(self.network).requires_grad_(False).eval()
        self.sample, self.loss, self.seed, self.device = sample, loss, seed, device
        self.planned_steps, self.step_number, self.batch_size = steps, 0, batch_size
        self.learning_rate, self.schedule, self.clip = learning_rate, schedule, clip
        self.averaging, self.mixed_precision = averaging, mixed_precision
        self.optimizer = torch.optim.AdamW(parameter_groups(self.network, weight_decay), lr=learning_rate)

    def step(self) -> float:
        """Make one update; returns its loss."""
        rate = learning_rate_at(self.step_number, self.planned_steps, self.learning_rate, self.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((self.seed, self.step_number))
        batch = [to_device(part, self.device) for part in self.sample(rng, self.batch_size)]
        self.network.train()
        with autocast(self.device, self.mixed_precision):
            loss = self.loss(self.network, *batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for group in self.optimizer.param_groups for p in group["params"]], self.clip)
        self.optimizer.step()
        self.step_number += 1
        self.average()
        return float(loss.detach())

    @torch.no_grad()
    def average(self) -> None:
        """Move the shipped weights towards the trained ones; the first steps count more, so that where it began is soon forgotten."""
        if self.averaging is None:
            return
        memory = min(self.averaging, self.step_number / (self.step_number + 10))  # chosen: as in TensorFlow's ExponentialMovingAverage
        trained = self.network.state_dict()
        for name, kept in self.model.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(trained[name], 1 - memory)
            else:
                kept.copy_(trained[name])

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step_number": self.step_number,
            "planned_steps": self.planned_steps,
        }
        return state if self.averaging is None else {**state, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step_number, self.planned_steps = state["step_number"], state["planned_steps"]
        if self.averaging is not None:
            self.model.load_state_dict(state["model"])


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights that are trained: matrices and kernels decay, biases and scales of normalisation do not; ValueError where there are none."""
    trained = [p for p in network.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("the network has no weights to train: none requires a gradient")
    decayed = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    groups: Iterable[tuple[list[nn.Parameter], float]] = ((decayed, weight_decay), (others, 0.0))
    return [{"params": members, "weight_decay": decay} for members, decay in groups if members]


def to_device(part: Any, device: torch.device) -> Any:
    """A tensor, an array, or dicts, lists and tuples of them, on a device."""
    if isinstance(part, np.ndarray):
        part = torch.from_numpy(part)
    if isinstance(part, Tensor):
        return part.to(device, non_blocking=True)
    if isinstance(part, dict):
        return {name: to_device(one, device) for name, one in part.items()}
    if isinstance(part, tuple) and hasattr(part, "_fields"):
        return type(part)(*(to_device(one, device) for one in part))
    if isinstance(part, (list, tuple)):
        return type(part)(to_device(one, device) for one in part)
    return part
