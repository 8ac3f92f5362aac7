"""Pneumonia in children's chest X-rays (PneumoniaMNIST): the recipe `chest-pneumonia` and the pieces its benchmark varies.

The published split is kept. Normal and pneumonia are drawn equally often, since their shares differ between training (26 : 74) and test
(38 : 62); temperature and threshold come from the validation images, and test images are only judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.metrics import accuracy, auroc, balanced_accuracy, brier, calibration_error, recall
from medsim_perception.real_data import LabelledImages, PneumoniaMNIST, pneumonia_mnist
from medsim_perception.recipe import Recipe
from medsim_perception.supervised import Batch
from medsim_perception.vision.augment import CLINIC, Augmentation
from medsim_perception.vision.calibration import calibrate_classifier
from medsim_perception.vision.heads import Classifier
from medsim_perception.vision.learning import CalibratedLearner, as_images, balanced_choice, generator_of
from medsim_perception.vision.nets import ConvolutionalEncoder, plain_encoder
from medsim_perception.vision.prediction import logits_of

EPOCHS = 16  # chosen, as the net and the augmentation, by AUC and loss on the validation images (seed 0, ten trials)
BATCH_SIZE = 64
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 0.05


@lru_cache(maxsize=1)
def images() -> PneumoniaMNIST:
    """The real images, read once."""
    return pneumonia_mnist()


def encoder() -> ConvolutionalEncoder:
    """An untrained plain net of six convolutions: 77 thousand weights."""
    return plain_encoder((24, 32, 64), blocks=2)


def build() -> Classifier:
    """The untrained classifier of 28 x 28 images: normal or pneumonia."""
    return Classifier(encoder())


class SampleBatches:
    """A function of a generator and a size that returns images, floats (n, 1, 28, 28), and labels (n,)."""

    def __init__(self, part: LabelledImages, augmentation: Augmentation = CLINIC) -> None:
        self.images, self.labels, self.augmentation = as_images(part.images), part.labels, augmentation

    def __call__(self, rng: np.random.Generator, n: int) -> Batch:
        """One batch."""
        chosen = torch.from_numpy(balanced_choice(self.labels, rng, n))
        return self.augmentation(self.images[chosen], generator_of(rng)), torch.from_numpy(self.labels)[chosen]


def loss(model: nn.Module, batch: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy."""
    return functional.cross_entropy(model(batch), labels)


def calibrate(model: nn.Module) -> None:
    """Temperature and threshold from the validation images."""
    assert isinstance(model, Classifier)
    validation = images().validation
    calibrate_classifier(model, as_images(validation.images), validation.labels)


def begin(seed: int, device: torch.device) -> CalibratedLearner:
    """A training from scratch."""
    torch.manual_seed(seed)
    return begin_from(build(), seed, device)


def begin_from(
    model: Classifier, seed: int, device: torch.device, *, epochs: float = EPOCHS, rate: float = LEARNING_RATE
) -> CalibratedLearner:
    """A training of a model whose encoder may have learnt before; weights that are held still stay as they are."""
    train = images().train
    steps = int(epochs * len(train.labels) / BATCH_SIZE)
    return CalibratedLearner(
        model, SampleBatches(train), loss, seed=seed, device=device, steps=steps, batch_size=BATCH_SIZE, learning_rate=rate,
        weight_decay=WEIGHT_DECAY, averaging=0.99, calibrate=calibrate,
    )  # fmt: skip


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Metrics on the 624 test images with the model's own temperature and threshold."""
    assert isinstance(model, Classifier)
    test = images().test
    logits = logits_of(model.to(device), as_images(test.images)).numpy().astype(np.float64)
    return judge_logits(logits, test.labels, float(model.temperature), float(model.threshold))


def judge_logits(logits: NDArray[np.float64], labels: NDArray[np.int64], degree: float, threshold: float) -> dict[str, float]:
    """Metrics of logits (n, 2): the probability of pneumonia at that temperature, named where it exceeds the threshold."""
    raw = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    probability = 1 / (1 + np.exp((logits[:, 0] - logits[:, 1]) / degree))
    named = (probability >= threshold).astype(np.int64)
    return {
        "auroc": auroc(labels, probability),
        "accuracy": accuracy(labels, named),
        "balanced_accuracy": balanced_accuracy(labels, named),
        "sensitivity": recall(labels, named),
        "specificity": recall(1 - labels, 1 - named),
        "accuracy_at_a_half": accuracy(labels, (raw >= 0.5).astype(np.int64)),
        "brier": brier(labels, probability),
        "calibration_error": calibration_error(labels, probability),
        "calibration_error_before": calibration_error(labels, raw),
    }


def recipe() -> Recipe:
    """How `chest-pneumonia` is made."""
    return Recipe(
        name="chest-pneumonia",
        question="does this chest X-ray of a child show pneumonia?",
        data="PneumoniaMNIST (MedMNIST v2, Yang et al. 2023; from Kermany et al. 2018), 4,708 training images of 28 x 28",
        licence="CC BY 4.0",
        build=build,
        begin=begin,
        judge=judge,
    )


PUBLISHED: Mapping[str, tuple[float, float]] = {
    "ResNet-18 (28)": (0.944, 0.854),
    "ResNet-18 (224)": (0.956, 0.864),
    "ResNet-50 (28)": (0.948, 0.854),
    "ResNet-50 (224)": (0.962, 0.884),
    "auto-sklearn": (0.942, 0.855),
    "AutoKeras": (0.947, 0.878),
    "Google AutoML Vision": (0.991, 0.946),
}
"""AUC and accuracy on the same test images: MedMNIST v2, Yang et al. 2023, table 3."""
