"""Chest X-rays become classes and numbers: small encoders, heads with uncertainty, augmentation, transfer, ensembles, calibration."""

from medsim_perception.estimate import Estimate
from medsim_perception.vision.augment import ANY_SCANNER, CLINIC, Augmentation
from medsim_perception.vision.calibration import (
    calibrate_classifier,
    calibrate_regressor,
    coverage,
    even_threshold,
    spread,
    temperature,
)  # fmt: skip
from medsim_perception.vision.heads import Classifier, StateRegressor, focal_loss, gaussian_loss
from medsim_perception.vision.nets import ConvolutionalEncoder, count_weights, plain_encoder, residual_encoder
from medsim_perception.vision.prediction import Ensemble, SeveralViews, estimates_of, logits_of
from medsim_perception.vision.transfer import copy_encoder, freeze, thaw

__all__ = [
    "ANY_SCANNER", "CLINIC", "Augmentation", "Classifier", "ConvolutionalEncoder", "Ensemble", "Estimate", "SeveralViews",
    "StateRegressor", "calibrate_classifier", "calibrate_regressor", "copy_encoder", "count_weights", "coverage", "estimates_of",
    "even_threshold", "focal_loss", "freeze", "gaussian_loss", "logits_of", "plain_encoder", "residual_encoder", "spread",
    "temperature", "thaw",
]  # fmt: skip
