"""The recipe `dna-splice`: three small nets that look for exon ends in 60 bases, trained together and answering together."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.metrics import accuracy
from medsim_perception.recipe import Learner, Recipe
from medsim_perception.sequences.encoding import BASES, encode_dna
from medsim_perception.sequences.nets import Committee, WindowNet
from medsim_perception.sequences.splice import CLASSES, LENGTH, SpliceWindows, read_splice_windows
from medsim_perception.supervised import SupervisedLearner

STEPS = 500
MEMBERS = 3  # chosen: three halve the spread between seeds and stay below 60 kB
LABEL_SMOOTHING = 0.1  # chosen on validation windows of the training part


def recipe() -> Recipe:
    """Splice junctions in windows of 60 bases."""
    return Recipe(
        name="dna-splice",
        question="Does the middle of 60 bases of DNA end an exon, begin one, or neither?",
        data="StatLog DNA, 2,000 training windows (R package mlbench, GPL-2)",
        licence="GPL-2 (package mlbench); the windows are GenBank records",
        build=build,
        begin=begin,
        judge=judge,
    )


def build() -> nn.Module:
    """The committee, untrained: encoded windows (n, 60, 4) to logits (n, 3) in the order of `CLASSES`."""
    return Committee([WindowNet(len(BASES), LENGTH, len(CLASSES)) for _ in range(MEMBERS)])


def begin(seed: int, device: torch.device) -> Learner:
    """A training on StatLog's 2,000 training windows."""
    torch.manual_seed(seed)
    return learner(_encoded_split()[0], seed, device)


def learner(windows: tuple[Tensor, Tensor], seed: int, device: torch.device, steps: int = STEPS) -> SupervisedLearner:
    """A training on encoded windows (n, 60, 4) and labels (n,); weights are drawn from torch's generator as it stands."""
    x, y = windows

    def sample(rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(rng.integers(len(y), size=size))
        return x[rows], y[rows]

    return SupervisedLearner(
        build(),
        sample,
        committee_loss,
        seed=seed,
        device=device,
        steps=steps,
        learning_rate=4e-3,
        weight_decay=0.02,
        schedule="cosine",
        averaging=0.98,
    )


def committee_loss(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The mean of the members' own cross-entropies, so that each learns by itself."""
    assert isinstance(network, Committee)
    votes = network.votes(x)
    return functional.cross_entropy(votes.flatten(0, 1), y.repeat(len(votes)), label_smoothing=LABEL_SMOOTHING) * len(votes)


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Accuracy, and recall of each class, on StatLog's 1,186 test windows."""
    x, y = _encoded_split()[1]
    model.eval()
    with torch.inference_mode():
        predicted = model(x.to(device)).argmax(1).cpu()
    recalls = {f"recall {name}": float((predicted[y == k] == k).float().mean()) for k, name in enumerate(CLASSES)}
    return {"accuracy": accuracy(y.numpy(), predicted.numpy()), **recalls}


def encoded(windows: SpliceWindows) -> tuple[Tensor, Tensor]:
    """Windows as tensors: (n, 60, 4) and labels (n,)."""
    return torch.from_numpy(np.stack([encode_dna(sequence) for sequence in windows.sequences])), torch.from_numpy(windows.labels)


@lru_cache(maxsize=1)
def _encoded_split() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    train, test = read_splice_windows()
    return encoded(train), encoded(test)
