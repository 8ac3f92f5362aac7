"""The question that decides about made images: does a classifier that learns from them too do better than one with the usual remedies?

Two classes, 1 the rare one. Every arm trains the same small net from the same seed for the same number of steps on the same images; it
differs only in how images are drawn, weighted, changed or added (`ARMS`). Added images are of the rare class: made ones, or, as the upper
bound, as many real ones that had been held back. Thresholds are never tuned: a class is said where its probability exceeds one half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.gan.distances import Floats
from medsim_perception.metrics import auprc, auroc, balanced_accuracy, recall
from medsim_perception.vision.augment import CLINIC, NONE, Augmentation
from medsim_perception.vision.nets import ConvolutionalEncoder, plain_encoder

__all__ = ["ARMS", "Arm", "RareClass", "SmallClassifier", "efficiency", "score", "told_apart", "train_classifier"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One remedy against a rare class."""

    balanced: bool = False  # both classes equally often in a batch
    weighted: bool = False  # losses of a class weigh by the inverse of its share
    augmentation: Augmentation = NONE
    added: str = ""  # "made" or "real": images of the rare class beside the training ones

    def __post_init__(self) -> None:
        if self.added not in ("", "made", "real"):
            raise ValueError(f"added must be '', 'made' or 'real', not {self.added!r}")
        if self.balanced and self.weighted:
            raise ValueError("an arm is either balanced or weighted: together they count the rare class twice")


ARMS = {
    "nothing": Arm(),
    "balanced sampling": Arm(balanced=True),
    "weighted loss": Arm(weighted=True),
    "classical augmentation": Arm(augmentation=CLINIC),
    "balanced + classical": Arm(balanced=True, augmentation=CLINIC),
    "made": Arm(added="made"),
    "made + balanced": Arm(balanced=True, added="made"),
    "extra real": Arm(added="real"),
    "extra real + balanced": Arm(balanced=True, added="real"),
}


@dataclass(frozen=True, kw_only=True)
class RareClass:
    """Images of a task with a rare class: uint8 (n, 1, h, w), labels int64 (n,), 1 the rare one."""

    images: Tensor
    labels: Tensor
    extra_real: Tensor  # of the rare class, held back

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels) or set(self.labels.tolist()) != {0, 1}:
            raise ValueError(f"labels must be 0 and 1, both there, one for each of {len(self.images)} images")
        if self.extra_real.shape[1:] != self.images.shape[1:]:
            raise ValueError(f"extra_real must be like the images {tuple(self.images.shape[1:])}, not {tuple(self.extra_real.shape[1:])}")


class SmallClassifier(nn.Module):
    """A plain convolutional net of about 20 thousand weights; `encoder` gives its features, (n, 44).

    `stem_stride` 1 sees every pixel, 2 suits larger images (a quarter of the work).
    """

    def __init__(self, stem_stride: int = 1) -> None:
        super().__init__()
        self.encoder: ConvolutionalEncoder = plain_encoder((16, 32, 44), stem_stride=stem_stride)
        self.head = nn.Linear(self.encoder.features, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the two classes, (n, 2)."""
        return self.head(self.encoder(images))  # type: ignore[no-any-return]


@torch.enable_grad()  # judges, which call this, need no gradients of what they judge
def train_classifier(
    task: RareClass,
    arm: Arm,
    seed: int,
    *,
    made: Tensor | None = None,
    steps: int = 300,
    batch: int = 64,
    stem_stride: int = 1,
    device: torch.device | str = "cpu",
) -> SmallClassifier:
    """The classifier of an arm, trained; `made` are the images that an arm with made ones adds, of the rare class.

    AdamW, the rate rising for a tenth of the steps to 3e-3 and falling to zero along a cosine. Raises ValueError where an arm has nothing
    to add.
    """
    images, labels = _with_added(task, arm, made)
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SmallClassifier(stem_stride).to(device)
    images, weights = images.to(device), _weights(labels, arm).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    places = [torch.nonzero(labels == one)[:, 0] for one in (0, 1)]
    for _ in range(steps):
        place = drawn_places(places, batch, arm.balanced, draws)
        shown = arm.augmentation(images[place.to(device)], draws)
        loss = functional.cross_entropy(model(shown), labels[place].to(device), weight=weights)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return model.eval()


def _with_added(task: RareClass, arm: Arm, made: Tensor | None) -> tuple[Tensor, Tensor]:
    if not arm.added:
        return task.images, task.labels
    added = task.extra_real if arm.added == "real" else made
    if added is None or len(added) == 0 or added.shape[1:] != task.images.shape[1:]:
        seen = None if added is None else tuple(added.shape)
        raise ValueError(f"an arm with added images needs some, like the task's {tuple(task.images.shape[1:])}, not {seen}")
    return torch.cat([task.images, added.cpu()]), torch.cat([task.labels, torch.ones(len(added), dtype=torch.int64)])


def _weights(labels: Tensor, arm: Arm) -> Tensor:
    counts = torch.bincount(labels, minlength=2).float()
    return len(labels) / (2 * counts) if arm.weighted else torch.ones(2)


def drawn_places(places: list[Tensor], batch: int, balanced: bool, draws: torch.Generator) -> Tensor:
    """Places of a batch, (batch,), among those of either class: each class equally often, or as often as it occurs."""
    counts = torch.tensor([float(len(one)) for one in places])
    rare = torch.rand(batch, generator=draws) < (0.5 if balanced else float(counts[1] / counts.sum()))
    picks = torch.rand(batch, generator=draws)
    of_class = [one[(picks * len(one)).long()] for one in places]
    return torch.where(rare, of_class[1], of_class[0])


@torch.no_grad()
def score(model: nn.Module, images: Tensor | NDArray[Any], labels: NDArray[np.int64]) -> tuple[Floats, dict[str, float]]:
    """Probabilities of the rare class, (n,), and balanced accuracy, recall of the rare class, AUROC and AUPRC (of the rare class) against
    labels."""
    device = next(model.parameters()).device
    parts = [torch.softmax(model(part.to(device)), 1)[:, 1].cpu().numpy() for part in torch.split(torch.as_tensor(images), 512)]
    found = np.concatenate(parts).astype(np.float64)
    said = found > 0.5
    return found, {
        "balanced accuracy": balanced_accuracy(labels, said),
        "rare recall": recall(labels, said),
        "AUROC": auroc(labels, found),
        "AUPRC": auprc(labels, found),
    }


def told_apart(train: Tensor, held_out: Tensor, made: Tensor, seed: int = 0, *, steps: int = 150, stem_stride: int = 1) -> float:
    """How surely a small net that is trained to do so tells made images from real ones: AUROC, 0.5 where it cannot, 1 where it always does.

    All are uint8 (n, 1, h, w) of one class. It learns from the training images and one half of the made ones, and is asked about the
    held-out real ones and the other half. Features of a classifier of disease can overlook what this sees: textures that no machine makes.
    """
    half = len(made) // 2
    if min(half, len(train), len(held_out)) < 2:
        raise ValueError(f"2 images of each kind, 4 made, are needed, not {len(train)}, {len(held_out)} and {len(made)}")
    labels = torch.cat([torch.zeros(len(train), dtype=torch.int64), torch.ones(half, dtype=torch.int64)])
    task = RareClass(images=torch.cat([train, made[:half]]), labels=labels, extra_real=made[:0])
    judge = train_classifier(task, ARMS["balanced sampling"], seed, steps=steps, stem_stride=stem_stride)
    asked = torch.cat([held_out, made[half:]])
    return score(judge, asked, np.repeat([0, 1], [len(held_out), len(made) - half]))[1]["AUROC"]


def efficiency(base: float, made: float, upper: float) -> float:
    """How much of what real images would have brought the made ones bring, (made - base) / (upper - base).

    1 is as good as real images, 0 as good as none, below 0 harmful; not a number where real images bring less than 0.1 points of a
    percentage.
    """
    return (made - base) / (upper - base) if upper - base > 1e-3 else float("nan")
