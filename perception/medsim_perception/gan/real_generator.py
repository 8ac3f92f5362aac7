"""The recipe `chest-gan`: children's chest X-rays, normal or with pneumonia, made from noise.

Judged on images that were never trained on: distances on features of a classifier of our own, coverage, copies, how well a classifier
that has seen made images only tells real ones apart, and how surely a net that is trained to tells made from real (`told_apart_error`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import nn

from medsim_perception.gan.conditional import ConditionalLearner, GanSettings
from medsim_perception.gan.distances import distances, features_of
from medsim_perception.gan.diversity import manifold, memorisation
from medsim_perception.gan.nets import ConditionalGenerator
from medsim_perception.gan.protocol import ARMS, RareClass, SmallClassifier, score, told_apart, train_classifier
from medsim_perception.real_data import PneumoniaMNIST, pneumonia_mnist
from medsim_perception.recipe import Recipe

__all__ = ["build", "recipe"]

CLASSES = ("normal", "pneumonia")
SETTINGS = GanSettings(batch=32)
MADE_EACH = 400  # chosen: images a class for the metrics: about as many as the test set has


@lru_cache(maxsize=1)
def images() -> PneumoniaMNIST:
    """The real images, read once."""
    return pneumonia_mnist()


def build() -> ConditionalGenerator:
    """The untrained generator: 28 x 28, classes normal and pneumonia."""
    return ConditionalGenerator(len(CLASSES), 28, SETTINGS.latent, SETTINGS.width)


def begin(seed: int, device: torch.device) -> ConditionalLearner:
    """A training on the 4,708 training images."""
    train = images().train
    return ConditionalLearner(torch.from_numpy(train.images), torch.from_numpy(train.labels), seed, device, SETTINGS)


@lru_cache(maxsize=1)
def judging_encoder() -> SmallClassifier:
    """The classifier whose features distances are measured on: trained on the training images, from a fixed seed."""
    train = images().train
    return train_classifier(_task(torch.from_numpy(train.images), torch.from_numpy(train.labels)), ARMS["balanced sampling"], seed=0)


def _task(pixels: torch.Tensor, labels: torch.Tensor) -> RareClass:
    return RareClass(images=pixels, labels=labels, extra_real=pixels[:0])


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Metrics beside the 624 test images; `_of_real` are the same for training images in the place of made ones: what can be reached."""
    assert isinstance(model, ConditionalGenerator)
    labels = torch.arange(len(CLASSES)).repeat_interleave(MADE_EACH)
    made = model.to(device).sample(labels, torch.Generator().manual_seed(0)).cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = build().sample(labels, torch.Generator().manual_seed(0))
    found: dict[str, list[float]] = {}
    for number in range(len(CLASSES)):
        chosen = labels == number
        for name, value in _of_class(number, made[chosen], untrained[chosen]).items():
            found.setdefault(name, []).append(value)
    metrics = {name: float(np.mean(values)) for name, values in found.items()}
    student = train_classifier(_task(made, labels), ARMS["nothing"], seed=0)
    test = images().test
    return metrics | {"auroc_learned_from_made": score(student, test.images, test.labels)[1]["AUROC"]}


def _of_class(number: int, made: torch.Tensor, untrained: torch.Tensor) -> dict[str, float]:
    train, test = (part.images[part.labels == number] for part in (images().train, images().test))
    encoder = judging_encoder().encoder
    f_train, f_test, f_made, f_blank = (features_of(encoder, one) for one in (train, test, made, untrained))
    far, blank, region = distances(f_test, f_made, f_train), distances(f_test, f_blank, f_train), manifold(f_test, f_made)
    pixels = [one.reshape(len(one), -1) / 255.0 for one in (train, test, made.numpy())]
    return {
        "frechet_error": far.frechet,
        "frechet_error_of_real": far.frechet_of_real,
        "frechet_error_untrained": blank.frechet,
        "kernel_error": far.kernel,
        "kernel_error_of_real": far.kernel_of_real,
        "coverage": region.coverage,
        "precision": region.precision,
        "recall": region.recall,
        "copies_error": memorisation(*pixels).copies,
        "told_apart_error": told_apart(*(torch.as_tensor(one) for one in (train, test)), made),
    }


def recipe() -> Recipe:
    """How `chest-gan` is made."""
    return Recipe(
        name="chest-gan",
        question="what could a child's chest X-ray look like, normal or with pneumonia?",
        data="PneumoniaMNIST (MedMNIST v2, Yang et al. 2023; from Kermany et al. 2018), 4,708 training images of 28 x 28",
        licence="CC BY 4.0",
        build=build,
        begin=begin,
        judge=judge,
    )
