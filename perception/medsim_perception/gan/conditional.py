"""Training of the conditional generator: hinge loss, differentiable augmentation, a penalty on gradients, and an average of weights to
ship."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.gan.adversaries import Adversaries
from medsim_perception.gan.differentiable import augment
from medsim_perception.gan.nets import ConditionalGenerator, ProjectionDiscriminator, check_labels
from medsim_perception.gan.stability import check_finite, gradient_norm, update_average

__all__ = ["ConditionalLearner", "GanSettings"]


@dataclass(frozen=True, kw_only=True)
class GanSettings:
    """How a conditional generator is trained."""

    steps: int = 20_000
    batch: int = 64
    latent: int = 32
    width: int = 16
    generator_rate: float = 4e-4  # Adam; chosen: a quarter of the discriminator's (two time scales as Heusel et al. 2017)
    discriminator_rate: float = 1.6e-3
    betas: tuple[float, float] = (0.0, 0.99)  # as usual with spectral norms (Miyato et al. 2018; Brock et al. 2019)
    penalty: float = 0.1  # R1 (Mescheder et al. 2018); chosen: small, for spectral norms bound the gradient already
    penalty_every: int = 16  # lazy, the weight made up for (Karras et al. 2020)
    average: float = 0.995  # chosen: a memory of about 200 steps suits trainings of a few thousand
    augment: bool = True
    balanced: bool = True  # classes equally often, whatever their share in the data
    log_every: int = 10

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "latent", "width", "penalty_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must lie in 0..1, 1 excluded, not {self.average}")
        if self.penalty < 0 or self.generator_rate <= 0 or self.discriminator_rate <= 0:
            raise ValueError(f"rates must be above 0 and the penalty not below, not {self}")


class ConditionalLearner(Adversaries):
    """One training of a conditional generator on labelled images; `model` is the running average of its weights.

    Images are uint8, (n, 1, side, side), labels int64, (n,), classes counted from 0 and none of them empty. Every step writes down, every
    `log_every` steps, losses, gradient norms and how often the discriminator was right: `history`, for `stability`. Raises ValueError for
    data that do not fit and FloatingPointError at a step whose loss is not finite.
    """

    parts = ("model", "generator", "discriminator", "generator_steps", "discriminator_steps")

    def __init__(self, images: Tensor, labels: Tensor, seed: int, device: torch.device, settings: GanSettings | None = None) -> None:
        self.settings = settings or GanSettings()
        super().__init__(seed, device, self.settings.steps)
        classes = _check_data(images, labels)
        self.images, self.labels = images.to(device), labels.to(device)
        self.places = [torch.nonzero(labels == one)[:, 0] for one in range(classes)]
        side = images.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = ConditionalGenerator(classes, side, self.settings.latent, self.settings.width).to(device)
            self.discriminator = ProjectionDiscriminator(classes, side, self.settings.width).to(device)
        self.model: nn.Module = copy.deepcopy(self.generator).requires_grad_(False)
        s = self.settings
        self.generator_steps = torch.optim.Adam(self.generator.parameters(), s.generator_rate, s.betas)
        self.discriminator_steps = torch.optim.Adam(self.discriminator.parameters(), s.discriminator_rate, s.betas)

    def step(self) -> float:
        """One update of the discriminator and one of the generator; returns the generator's loss."""
        self._set_rates()
        row: dict[str, float] = {"step": float(self.step_number)}
        log = self.step_number % self.settings.log_every == 0
        self._update_discriminator(row if log else None)
        loss = self._update_generator(row if log else None)
        if log:
            self.history.append(row)
        update_average(self.model, self.generator, min(self.settings.average, (1 + self.step_number) / (10 + self.step_number)))
        self.step_number += 1
        return loss

    def _set_rates(self) -> None:
        """Constant for the first half, then falling to a tenth in a line."""
        left = 1 - self.step_number / max(1, self.planned_steps)
        rates = (self.generator_steps, self.settings.generator_rate), (self.discriminator_steps, self.settings.discriminator_rate)
        self.set_rates(min(1.0, 0.1 + 1.8 * max(0.0, left)), *rates)

    def _real(self) -> tuple[Tensor, Tensor]:
        batch = self.settings.batch
        if self.settings.balanced:
            classes = torch.randint(len(self.places), (batch,), generator=self.draws)
            picks = torch.rand(batch, generator=self.draws)
            place = torch.stack([self.places[c][int(p * len(self.places[c]))] for c, p in zip(classes, picks, strict=True)])
        else:
            place = torch.randint(len(self.labels), (batch,), generator=self.draws)
        place = place.to(self.device)
        return self.images[place].float() / 255, self.labels[place]

    def _made(self, labels: Tensor) -> Tensor:
        latent = torch.randn(len(labels), self.settings.latent, generator=self.draws).to(self.device)
        images: Tensor = self.generator(latent, labels)
        return images

    def _shown(self, images: Tensor) -> Tensor:
        return augment(images, self.draws) if self.settings.augment else images

    def _update_discriminator(self, row: dict[str, float] | None) -> None:
        real, labels = self._real()
        with torch.no_grad():
            made = self._made(labels)
        self.discriminator_steps.zero_grad(set_to_none=True)
        on_real = self.discriminator(self._shown(real), labels)
        on_made = self.discriminator(self._shown(made), labels)
        loss = functional.relu(1 - on_real).mean() + functional.relu(1 + on_made).mean()
        check_finite(self.step_number, discriminator_loss=loss)
        torch.autograd.backward(loss)
        if row is not None:
            row["discriminator_loss"] = float(loss.detach())
            row["discriminator_gradient"] = gradient_norm(self.discriminator.parameters())  # before the penalty, which few steps have
            row["accuracy_real"] = float((on_real > 0).float().mean())
            row["accuracy_made"] = float((on_made < 0).float().mean())
        if self.settings.penalty and self.step_number % self.settings.penalty_every == 0:
            torch.autograd.backward(self.settings.penalty * self.settings.penalty_every * self._penalty(real, labels))
        self.discriminator_steps.step()

    def _penalty(self, real: Tensor, labels: Tensor) -> Tensor:
        """R1: half the squared gradient of the score in the real image, mean over images."""
        shown = self._shown(real).requires_grad_(True)
        (gradient,) = torch.autograd.grad(self.discriminator(shown, labels).sum(), shown, create_graph=True)
        return 0.5 * gradient.square().sum((1, 2, 3)).mean()

    def _update_generator(self, row: dict[str, float] | None) -> float:
        _, labels = self._real()
        self.discriminator.requires_grad_(False)
        self.generator_steps.zero_grad(set_to_none=True)
        loss = -self.discriminator(self._shown(self._made(labels)), labels).mean()
        check_finite(self.step_number, generator_loss=loss)
        torch.autograd.backward(loss)
        self.discriminator.requires_grad_(True)
        value = float(loss.detach())
        if row is not None:
            row["generator_loss"], row["generator_gradient"] = value, gradient_norm(self.generator.parameters())
        self.generator_steps.step()
        return value


def _check_data(images: Tensor, labels: Tensor) -> int:
    """The number of classes; raises ValueError for images or labels that do not fit."""
    if images.ndim != 4 or images.shape[1] != 1 or images.shape[2] != images.shape[3] or images.dtype != torch.uint8:
        raise ValueError(f"images must be (n, 1, side, side) uint8, not {tuple(images.shape)} {images.dtype}")
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(f"there must be one label for each image, and at least one, not {len(labels)} for {len(images)}")
    classes = int(labels.max()) + 1
    check_labels(labels, classes)
    empty = [one for one in range(classes) if not bool((labels == one).any())]
    if empty:
        raise ValueError(f"every class from 0 to {classes - 1} needs images, and {empty} have none")
    return classes
