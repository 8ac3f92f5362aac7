"""From rendered to real chests: learn a patient's state on unlimited rendered images, then pneumonia on a few real ones.

The first training reads the same four targets as `chest-lung-water`, on images as small as the real ones (28 x 28), in more varied
positions, since children in the real set fill the picture. Its encoder is the one of `chest-pneumonia`, so its weights can go on learning
there, all of them, the later ones, or none but a new head.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from medsim_perception.recipe import Recipe
from medsim_perception.vision import chest_state, pneumonia
from medsim_perception.vision.augment import Augmentation
from medsim_perception.vision.heads import StateRegressor
from medsim_perception.vision.learning import CalibratedLearner
from medsim_perception.vision.transfer import copy_encoder, freeze

SIDE = 28
STEPS = 600  # chosen: with the fine-tuning, as many images seen as in a training from scratch
FINE_TUNING_EPOCHS, FROZEN_EPOCHS = 8, 4  # chosen: half and a quarter of those from scratch
# chosen: anything a small film of a child could look like; wider than ANY_SCANNER in position and contrast
ANY_CHEST = Augmentation(
    rotation_degrees=10, scale=0.3, shift=0.1, gamma=0.6, contrast=0.5, brightness=0.15, noise=0.05, blur_pixels=0.7, collimation=0.06
)


def build() -> StateRegressor:
    """The untrained net: the encoder of `chest-pneumonia` under the head of `chest-lung-water`."""
    return StateRegressor(pneumonia.encoder(), chest_state.TARGETS, chest_state.CENTRE, chest_state.SCALE)


def begin(seed: int, device: torch.device) -> CalibratedLearner:
    """A training on rendered chests only."""
    torch.manual_seed(seed)
    return chest_state.begin_with(build(), seed, device, side=SIDE, steps=STEPS, augmentation=ANY_CHEST)


def rendered_recipe() -> Recipe:
    """How an encoder of 28 x 28 chests is made from rendered images alone."""
    return replace(chest_state.recipe(), name="chest-state-28", build=build, begin=begin)


def fine_tuning_recipe(pretrained: StateRegressor, *, frozen: bool) -> Recipe:
    """How a pneumonia classifier is made from an encoder that has learnt on rendered chests; `frozen`: only a new head learns."""

    def begin_from_pretrained(seed: int, device: torch.device) -> CalibratedLearner:
        torch.manual_seed(seed)
        model = pneumonia.build()
        copy_encoder(copy.deepcopy(pretrained).to("cpu"), model)
        if frozen:
            freeze(model)
        return pneumonia.begin_from(model, seed, device, epochs=FROZEN_EPOCHS if frozen else FINE_TUNING_EPOCHS)

    name = f"chest-pneumonia-{'frozen' if frozen else 'fine-tuned'}"
    return replace(pneumonia.recipe(), name=name, begin=begin_from_pretrained)
