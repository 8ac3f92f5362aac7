"""The recipe `dna-genotype`: CYP2C9 *2, CYP2C9 *3 and VKORC1 -1639G>A from raw reads, as a state with its uncertainty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.metrics import accuracy, calibration_error
from medsim_perception.recipe import Learner, Recipe
from medsim_perception.sequences.nets import GenotypeNet
from medsim_perception.sequences.reads import SITES, Patients, Reading, draw_genotypes, draw_patients, read_genotypes
from medsim_perception.supervised import SupervisedLearner

STEPS = 300
BATCH = 32
TEST_PATIENTS = 2000
TEST_SEED = 88_001  # trainings draw from default_rng((seed, step)): (88001, 7, ...) is met by none


class GenotypeState(NamedTuple):
    """What an agent may know of a patient's genotype: one row a patient, one column a site in the order of `SITES`."""

    chances: NDArray[np.float32]  # (n, 3, 3): of 0, 1 and 2 copies of each variant
    copies: NDArray[np.float32]  # (n, 3): expected copies
    sd: NDArray[np.float32]  # (n, 3): their standard deviation


def recipe() -> Recipe:
    """Warfarin genotypes from reads."""
    return Recipe(
        name="dna-genotype",
        question="How many copies of CYP2C9*2, CYP2C9*3 and VKORC1 -1639A does a patient carry, given raw sequencing reads?",
        data="simulated reads; allele frequencies of the 1000 Genomes Project; the flanks of two sites are synthetic",
        licence="none needed (simulated)",
        build=build,
        begin=begin,
        judge=judge,
    )


def build() -> nn.Module:
    """The net, untrained: reads (n, r, length, 4) and which exist (n, r) to logits (n, 3 sites, 3 copies)."""
    return GenotypeNet(len(SITES))


def begin(seed: int, device: torch.device) -> Learner:
    """A training on fresh patients of all populations at every step, read with errors of 0.2 to 12 % and coverages of 8 to 60."""
    torch.manual_seed(seed)
    return SupervisedLearner(
        build(),
        sample,
        loss,
        seed=seed,
        device=device,
        steps=STEPS,
        batch_size=BATCH,
        learning_rate=6e-3,
        weight_decay=1e-3,
        averaging=0.97,
    )


def sample(rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Reads, which exist, what each shows, and copies, of new patients of one random reading."""
    reading = Reading(
        error=float(np.exp(rng.uniform(np.log(0.002), np.log(0.12)))), coverage=float(np.exp(rng.uniform(np.log(8), np.log(60)))), least=3
    )
    patients = read_genotypes(draw_genotypes(size, rng), rng, reading)
    return tuple(map(torch.from_numpy, (patients.reads, patients.present, patients.shown, patients.copies)))  # type: ignore[return-value]


def loss(network: nn.Module, reads: Tensor, present: Tensor, shown: Tensor, copies: Tensor) -> Tensor:
    """Cross-entropies of reads and of genotypes."""
    assert isinstance(network, GenotypeNet)
    logits = network.read_logits(reads[present])
    counts = network.counted(logits, present)
    return functional.cross_entropy(logits, shown[present]) + functional.cross_entropy(network.call(counts).flatten(0, 1), copies.flatten())


def perceive(model: nn.Module, reads: NDArray[np.float32], present: NDArray[np.bool_], device: torch.device) -> GenotypeState:
    """The state of patients from their reads, (n, r, length, 4), and which of these exist, (n, r)."""
    model.eval()
    chances = []
    with torch.inference_mode():
        for at in range(0, len(reads), 64):
            part = slice(at, at + 64)
            logits = model(torch.from_numpy(reads[part]).to(device), torch.from_numpy(present[part]).to(device))
            chances.append(torch.softmax(logits, 2).cpu().numpy())
    return state_of(np.concatenate(chances))


def state_of(chances: NDArray[np.floating]) -> GenotypeState:
    """The state that chances (n, sites, 3) stand for."""
    copies = chances @ np.arange(3)
    variance = chances @ np.arange(3) ** 2 - copies**2
    return GenotypeState(chances.astype(np.float32), copies.astype(np.float32), np.sqrt(np.maximum(variance, 0)).astype(np.float32))


def judged_patients(reading: Reading, n: int = TEST_PATIENTS, population: str | None = None) -> Patients:
    """Patients for judging, whom no training draws."""
    return draw_patients(n, np.random.default_rng((TEST_SEED, 7, 7)), reading, population)


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """Accuracy over sites at an error rate of 1 % and a coverage of 30, of whole genotypes, of heterozygotes, and calibration."""
    patients = judged_patients(Reading())
    return scored(perceive(model, patients.reads, patients.present, device).chances, patients.copies)


def scored(chances: NDArray[np.floating], copies: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy over sites and of all three together, recall of one copy, log loss, and calibration of the largest chance."""
    called = chances.argmax(2)
    true_chance = np.take_along_axis(chances, copies[..., None], 2)
    return {
        "accuracy": accuracy(copies.ravel(), called.ravel()),
        "accuracy of three": float((called == copies).all(1).mean()),
        "recall of one copy": float((called[copies == 1] == 1).mean()),
        "log loss": float(-np.log(np.maximum(true_chance, 1e-12)).mean()),
        "calibration error": calibration_error((called == copies).ravel(), chances.max(2).ravel().clip(0, 1)),
    }
