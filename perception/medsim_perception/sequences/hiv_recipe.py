"""The recipe `hiv-resistance`: mutations of HIV, and the drugs they defeat, from a sequenced population with mixtures, errors and gaps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsim_perception.metrics import accuracy, f1
from medsim_perception.recipe import Learner, Recipe
from medsim_perception.sequences.encoding import AMINO_ACIDS
from medsim_perception.sequences.nets import MutationNet
from medsim_perception.sequences.resistance import DRUGS, Pattern, mutations, patterns
from medsim_perception.sequences.viruses import REPORTED, Sequencing, Viruses, draw_viruses, resistance_of
from medsim_perception.supervised import SupervisedLearner

STEPS = 1200
TRAINING_PATIENTS = 8000
TEST_PATIENTS = 1500
TEST_SEED = 77_001  # patients that no training draws: trainings use default_rng((seed, 1))
ALTERED = 0.5  # chosen: half of the training patients carry combinations that nobody was seen with
HELD_OUT_EVERY = 5  # chosen: a fifth of the combinations is met only when judging


class Called(NamedTuple):
    """What a caller says of patients."""

    mutated: NDArray[np.bool_]  # (n, mutations())
    resistant: NDArray[np.bool_]  # (n, drugs)


def recipe() -> Recipe:
    """HIV mutations and drug resistance."""
    return Recipe(
        name="hiv-resistance",
        question="Which resistance mutations does an HIV population carry, and which of ten drugs do they defeat?",
        data="simulated patients with combinations, variations and penalty scores of Stanford's HIVDB (hivfacts)",
        licence="Unlicense (hivfacts)",
        build=build,
        begin=begin,
        judge=judge,
    )


def build() -> nn.Module:
    """The net, untrained: fractions (n, 339, 20) to logits of mutations (n, mutations()) and of resistance to each drug (n, drugs)."""
    places = sorted({mutation.place for mutation in mutations()})
    site_of = torch.tensor([places.index(mutation.place) for mutation in mutations()])
    return MutationNet(len(AMINO_ACIDS), torch.tensor(places), site_of, len(DRUGS))


def begin(seed: int, device: torch.device) -> Learner:
    """A training on 8,000 patients whose combinations are not those kept for judging."""
    torch.manual_seed(seed)
    pool = draw_viruses(TRAINING_PATIENTS, np.random.default_rng((seed, 1)), combinations=split_combinations()[0], altered=ALTERED)
    x, mutated, resistant = (torch.from_numpy(part) for part in pool)

    def sample(rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
        rows = torch.from_numpy(rng.integers(len(x), size=size))
        return x[rows], mutated[rows].float(), resistant[rows].float()

    return SupervisedLearner(
        build(), sample, loss, seed=seed, device=device, steps=STEPS, learning_rate=8e-3, weight_decay=1e-3, averaging=0.98
    )


def loss(network: nn.Module, x: Tensor, mutated: Tensor, resistant: Tensor) -> Tensor:
    """Cross-entropies of mutations and of drugs; mutations are rare and count more."""
    found, drugs = network(x)
    return 5 * functional.binary_cross_entropy_with_logits(found, mutated) + functional.binary_cross_entropy_with_logits(drugs, resistant)


def split_combinations() -> tuple[list[Pattern], list[Pattern]]:
    """Combinations to train on, and those kept for judging: a fifth, whose mutations all occur in training too, in other company."""
    every = patterns()
    kept = [pattern for k, pattern in enumerate(every) if k % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 and len(pattern.mutations) > 1]
    seen = {mutation for pattern in every if pattern not in kept for mutation in pattern.mutations}
    kept = [pattern for pattern in kept if seen.issuperset(pattern.mutations)]
    return [pattern for pattern in every if pattern not in kept], kept


def judged_viruses(unseen: bool, seed: int = TEST_SEED, sequencing: Sequencing | None = None) -> Viruses:
    """Patients for judging, with combinations that were trained on, or (unseen) with others only."""
    return draw_viruses(TEST_PATIENTS, np.random.default_rng((seed, 2 + unseen)), sequencing, split_combinations()[unseen])


def judge(model: nn.Module, device: torch.device) -> dict[str, float]:
    """F1 of mutations, and F1 and accuracy of resistance, pooled over mutations and drugs; for known and for unseen combinations."""
    figures: dict[str, float] = {}
    for unseen in (False, True):
        viruses = judged_viruses(unseen)
        figures |= {
            f"{name}{' unseen' if unseen else ''}": value for name, value in scored(net_calls(model, viruses, device), viruses).items()
        }
    return figures


def scored(called: Called, truth: Viruses) -> dict[str, float]:
    """F1 of mutations, F1 and accuracy of resistance."""
    return {
        "mutation f1": f1(truth.mutated.ravel(), called.mutated.ravel()),
        "drug f1": f1(truth.resistant.ravel(), called.resistant.ravel()),
        "drug accuracy": accuracy(truth.resistant.ravel(), called.resistant.ravel()),
    }


def net_calls(model: nn.Module, viruses: Viruses, device: torch.device) -> Called:
    """What the net says, at a chance of one half."""
    model.eval()
    with torch.inference_mode():
        parts = [model(part.to(device)) for part in torch.split(torch.from_numpy(viruses.fractions), 250)]
    found, drugs = (torch.cat(answer).cpu().numpy() > 0 for answer in zip(*parts, strict=True))
    return Called(found, drugs)


def rule_calls(fractions: NDArray[np.float32]) -> Called:
    """What a report says by rule: mutations at 14 % of reads or more, and HIVDB's scores of them; places not read count as unmutated."""
    found = np.stack([fractions[:, mutation.place, AMINO_ACIDS.index(mutation.amino_acid)] >= REPORTED for mutation in mutations()], 1)
    return Called(found, resistance_of(found))
