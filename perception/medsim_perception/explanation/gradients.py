"""Integrated gradients: what each input adds to an answer, on the straight way from a baseline (Sundararajan et al. 2017).

Attributions sum to the difference of the answers (completeness), and of a linear function they are exact: weight times input less baseline.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["Answer", "gradient_of", "integrated_gradients"]

Answer = Callable[[Tensor], Tensor]  # inputs (n, ...) -> one number for each, (n,); no input may change another's answer


def gradient_of(answer: Answer, inputs: Tensor) -> Tensor:
    """The gradient of each answer with respect to its own input, of the inputs' shape.

    Raises ValueError where the answers are not (n,), or do not depend on the inputs.
    """
    at = checked(inputs).detach().clone().requires_grad_(True)
    with torch.enable_grad():
        answers = answers_of(answer, at)
        if not answers.requires_grad:
            raise ValueError("the answer must depend on the inputs by operations that torch can differentiate")
        (gradient,) = torch.autograd.grad(answers.sum(), at)
    return gradient


def integrated_gradients(answer: Answer, inputs: Tensor, baseline: Tensor | float = 0.0, *, steps: int = 32) -> Tensor:
    """Attributions of the inputs' shape, with the answer's unit; they sum to answer(inputs) - answer(baseline) but for quadrature.

    Args:
        answer: see `Answer`.
        inputs: floats (n, ...).
        baseline: where the way begins: a number, or a tensor that broadcasts to the inputs.
        steps: places on the way, those of Gauss and Legendre; how far the sum is off tells whether they suffice.

    Raises ValueError for steps below 1, inputs that are not floats, or a baseline of another shape.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps}")
    inputs = checked(inputs).detach()
    start = torch.as_tensor(baseline, dtype=inputs.dtype, device=inputs.device).detach()
    try:
        start = start.expand_as(inputs)
    except RuntimeError as error:
        raise ValueError(f"the baseline must broadcast to {tuple(inputs.shape)}, not have the shape {tuple(start.shape)}") from error
    places, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(inputs)
    for place, weight in zip(places, weights, strict=True):
        total += 0.5 * float(weight) * gradient_of(answer, start + 0.5 * (1.0 + float(place)) * (inputs - start))
    return (inputs - start) * total


def checked(inputs: Tensor) -> Tensor:
    """The inputs; raises ValueError unless they are floats (n, ...) with n of 1 or more."""
    if inputs.ndim < 1 or not len(inputs) or not inputs.is_floating_point():
        raise ValueError(f"inputs must be floats (n, ...) with n of 1 or more, not {inputs.dtype} {tuple(inputs.shape)}")
    return inputs


def answers_of(answer: Answer, inputs: Tensor) -> Tensor:
    """The answers; raises ValueError unless there is one number for each input."""
    answers = answer(inputs)
    if answers.shape != (len(inputs),):
        raise ValueError(f"the answer must be one number for each input, ({len(inputs)},), not {tuple(answers.shape)}")
    return answers
