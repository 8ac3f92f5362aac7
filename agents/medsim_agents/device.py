"""Where networks are trained: on the processor, which promises the same bits again, or on a graphics card, which does not."""

from collections.abc import Mapping
from typing import Any

__all__ = ["DEVICES", "card_in_use", "device_of"]

DEVICES = ("auto", "cpu", "cuda")


def device_of(hyperparameters: Mapping[str, Any]) -> str:
    """Return where networks are trained: "cpu" unless settings say "cuda", or "auto" and there is a graphics card.

    Raises:
        ValueError: it is none of ``DEVICES``, or "cuda" and there is none.
    """
    asked = hyperparameters.get("device", "cpu")
    if asked not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {asked!r}")
    if asked == "cpu":
        return "cpu"
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise ValueError("device=cuda: torch finds no graphics card here; take cpu, or auto for whichever there is")
    return "cuda" if there else "cpu"


def card_in_use(hyperparameters: Mapping[str, Any]) -> str | None:
    """Return the name of the graphics card that networks are trained on, or None if it is the processor."""
    if device_of(hyperparameters) == "cpu":
        return None
    import torch

    return str(torch.cuda.get_device_name())
