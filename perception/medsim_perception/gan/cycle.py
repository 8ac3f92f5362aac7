"""Training of translators between two scanners without pairs: patients of one scanner need not have been seen by the other (Zhu et al.
2017).

Each translator must convince a judge of the other scanner's patches, be undone by the other translator (the cycle) and leave images that
already have the look as they are (identity).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.gan.adversaries import Adversaries
from medsim_perception.gan.cycle_nets import PatchJudge, ScannerTranslation
from medsim_perception.gan.stability import check_finite, gradient_norm, update_average
from medsim_perception.metrics import psnr

__all__ = ["CycleLearner", "CycleSettings", "cycle_psnr", "translate"]


@dataclass(frozen=True, kw_only=True)
class CycleSettings:
    """How translators are trained."""

    steps: int = 20_000
    batch: int = 4
    width: int = 12
    blocks: int = 2
    judge_width: int = 16
    rate: float = 2e-3  # Adam; chosen: translators begin as the identity, and ten times the paper's 2e-4 saves most of the time
    judge_rate: float = 2e-3
    betas: tuple[float, float] = (0.5, 0.99)
    cycle: float = 2.0  # weight of the difference after there and back; chosen: from the identity, Zhu et al.'s 10 never lets go
    identity: float = 1.0  # half of it, as theirs
    average: float = 0.99
    log_every: int = 10

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "width", "judge_width", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if min(self.cycle, self.identity) < 0 or min(self.rate, self.judge_rate) <= 0 or not 0 <= self.average < 1:
            raise ValueError(f"weights must not be below 0, rates above 0, and the average in 0..1, 1 excluded, not {self}")


class CycleLearner(Adversaries):
    """One training of `ScannerTranslation` on unpaired images of two scanners, uint8 (n, 1, side, side); `model` is the average of its
    weights.

    Raises ValueError for images that do not fit and FloatingPointError at a step whose loss is not finite.
    """

    parts = ("model", "translators", "judges", "translator_steps", "judge_steps")

    def __init__(self, images_a: Tensor, images_b: Tensor, seed: int, device: torch.device, settings: CycleSettings | None = None) -> None:
        self.settings = s = settings or CycleSettings()
        super().__init__(seed, device, s.steps)
        _check_images(images_a, images_b)
        self.images = {"a": images_a.to(device), "b": images_b.to(device)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.translators = ScannerTranslation(s.width, s.blocks).to(device)
            self.judges = torch.nn.ModuleDict({name: PatchJudge(s.judge_width) for name in ("a", "b")}).to(device)
        self.model: nn.Module = copy.deepcopy(self.translators).requires_grad_(False)
        self.translator_steps = torch.optim.Adam(self.translators.parameters(), s.rate, s.betas)
        self.judge_steps = torch.optim.Adam(self.judges.parameters(), s.judge_rate, s.betas)

    def step(self) -> float:
        """One update of the translators and one of the judges; returns the translators' loss."""
        factor = min(1.0, max(0.02, 2 * (1 - self.step_number / max(1, self.planned_steps))))  # constant, then falling in a line
        self.set_rates(factor, (self.translator_steps, self.settings.rate), (self.judge_steps, self.settings.judge_rate))
        row: dict[str, float] = {"step": float(self.step_number)}
        a, b = self._draw("a"), self._draw("b")
        loss, like_a, like_b = self._update_translators(a, b, row)
        self._update_judges({"a": (a, like_a), "b": (b, like_b)}, row)
        if self.step_number % self.settings.log_every == 0:
            self.history.append(row)
        update_average(self.model, self.translators, min(self.settings.average, (1 + self.step_number) / (10 + self.step_number)))
        self.step_number += 1
        return loss

    def _draw(self, scanner: str) -> Tensor:
        images = self.images[scanner]
        return images[torch.randint(len(images), (self.settings.batch,), generator=self.draws).to(self.device)].float() / 255

    def _update_translators(self, a: Tensor, b: Tensor, row: dict[str, float]) -> tuple[float, Tensor, Tensor]:
        to_a, to_b = self.translators.to_a, self.translators.to_b
        self.judges.requires_grad_(False)
        self.translator_steps.zero_grad(set_to_none=True)
        like_b, like_a = to_b(a), to_a(b)
        fooled = (self.judges["b"](like_b) - 1).square().mean() + (self.judges["a"](like_a) - 1).square().mean()
        cycle = functional.l1_loss(to_a(like_b), a) + functional.l1_loss(to_b(like_a), b)
        identity = functional.l1_loss(to_a(a), a) + functional.l1_loss(to_b(b), b)
        loss = fooled + self.settings.cycle * cycle + self.settings.identity * identity
        check_finite(self.step_number, translator_loss=loss)
        torch.autograd.backward(loss)
        self.judges.requires_grad_(True)
        row |= {name: float(part.detach()) for name, part in (("fooled_loss", fooled), ("cycle_loss", cycle), ("identity_loss", identity))}
        row["generator_gradient"] = gradient_norm(self.translators.parameters())
        self.translator_steps.step()
        return float(loss.detach()), like_a.detach(), like_b.detach()

    def _update_judges(self, shown: dict[str, tuple[Tensor, Tensor]], row: dict[str, float]) -> None:
        self.judge_steps.zero_grad(set_to_none=True)
        scores = {name: (self.judges[name](real), self.judges[name](made)) for name, (real, made) in shown.items()}
        losses = [(real - 1).square().mean() + made.square().mean() for real, made in scores.values()]
        loss = torch.stack(losses).sum()
        check_finite(self.step_number, judge_loss=loss)
        torch.autograd.backward(loss)
        row["discriminator_loss"] = float(loss.detach())
        row["discriminator_gradient"] = gradient_norm(self.judges.parameters())
        row["accuracy_real"] = float(np.mean([float((real > 0.5).float().mean()) for real, _ in scores.values()]))
        row["accuracy_made"] = float(np.mean([float((made < 0.5).float().mean()) for _, made in scores.values()]))
        self.judge_steps.step()


def _check_images(*sets: Tensor) -> None:
    for images in sets:
        if images.ndim != 4 or images.shape[1] != 1 or images.dtype != torch.uint8 or images.shape[1:] != sets[0].shape[1:]:
            raise ValueError(
                f"images of both scanners must be (n, 1, side, side) uint8 of one side, not {tuple(images.shape)} {images.dtype}"
            )
        if len(images) == 0 or images.shape[2] % 4:
            raise ValueError(f"there must be images, with a side that is a multiple of 4, not {tuple(images.shape)}")


@torch.no_grad()
def translate(model: nn.Module, images: NDArray[np.uint8], to: str = "a", batch: int = 256) -> NDArray[np.uint8]:
    """Images, (n, 1, h, w) uint8, as that scanner would show them."""
    device = next(model.parameters()).device
    parts = [
        model(part.to(device), to).mul(255).round().to(torch.uint8).cpu().numpy() for part in torch.split(torch.as_tensor(images), batch)
    ]
    return np.concatenate(parts) if parts else images.copy()


@torch.no_grad()
def cycle_psnr(model: nn.Module, images: NDArray[np.uint8], via: str) -> float:
    """Mean peak signal to noise, dB, of images after the way to scanner `via` and back."""
    back = "a" if via == "b" else "b"
    device = next(model.parameters()).device
    x = torch.as_tensor(images).to(device).float() / 255
    again = model(model(x, via), back)
    return float(np.mean(psnr(x.cpu().numpy(), again.cpu().numpy())))
