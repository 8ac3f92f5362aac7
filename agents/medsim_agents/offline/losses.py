"""What offline learners make small, each as a function whose answer is known on a small case."""

import torch
from torch import nn

__all__ = ["advantage_weights", "clipped_blend", "conservative_gap", "expectile_loss", "imitable"]

Tensor = torch.Tensor

MOST_WEIGHT = 100.0  # of an advantage; Kostrikov et al., ICLR 2022, their code


def expectile_loss(difference: Tensor, expectile: float) -> Tensor:
    """Return the mean of squares, those above weighing ``expectile``, those below the rest (Kostrikov et al., ICLR 2022, eq. 5).

    Args:
        difference: what is estimated less the estimate, (n,); 0.5 makes the estimate the mean, towards 1 it becomes the largest.
    """
    weight = torch.where(difference > 0.0, expectile, 1.0 - expectile)
    return (weight * difference**2).mean()


def advantage_weights(advantages: Tensor, temperature: float) -> Tensor:
    """Return how much each logged action counts in imitation, exp(temperature x advantage), at most 100."""
    return torch.exp(temperature * advantages).clamp(max=MOST_WEIGHT)


def conservative_gap(values: Tensor, taken: Tensor) -> Tensor:
    """Return how far all actions' values (n, m), by log-sum-exp, lie above those taken (n,) (Kumar et al., NeurIPS 2020, eq. 4)."""
    return (torch.logsumexp(values, dim=1) - taken).mean()


def imitable(logits: Tensor, threshold: float) -> Tensor:
    """Return which actions (n, m) are at least ``threshold`` times as probable as the likeliest (Fujimoto et al. 2019, discrete BCQ)."""
    probabilities = nn.functional.softmax(logits, dim=1)
    return probabilities >= threshold * probabilities.max(dim=1, keepdim=True).values


def clipped_blend(values: Tensor, least_share: float) -> Tensor:
    """Return of twin values (2, n) the lesser, weighing ``least_share``, and the larger (Fujimoto et al., ICML 2019, eq. 13)."""
    return least_share * values.min(dim=0).values + (1.0 - least_share) * values.max(dim=0).values
