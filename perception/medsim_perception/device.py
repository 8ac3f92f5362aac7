"""Where torch works, and in which precision: one choice, one error, one reason when something cannot be had."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

__all__ = ["DEVICES", "Compiled", "autocast", "choose_device", "compiled"]

DEVICES = ("auto", "cpu", "cuda")


class Compiled(NamedTuple):
    """A model to call, whether it is compiled, and if not, why not."""

    model: Callable[..., Any]
    is_compiled: bool
    reason: str


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is CUDA where there is one.

    Raises ValueError for another name, and for `cuda` where torch has none.
    """
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {name!r}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        built = "this build of torch has no CUDA" if torch.version.cuda is None else "torch finds no CUDA device"
        raise ValueError(f"device 'cuda' cannot be had: {built}; choose 'cpu' or 'auto'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def autocast(device: torch.device, enabled: bool | None = None) -> contextlib.AbstractContextManager[object]:
    """A context of mixed precision (bfloat16: it needs no scaling of the loss); `None` means on CUDA only."""
    wanted = device.type == "cuda" if enabled is None else enabled
    return torch.autocast(device.type, dtype=torch.bfloat16) if wanted else contextlib.nullcontext()


def compiled(model: nn.Module, enabled: bool = True, *, example: tuple[object, ...] = ()) -> Compiled:
    """The model through `torch.compile`, or as it is with the reason: not wanted, or the compiler fails (there may be none).

    Compilation happens at the first call, so give an `example` of the arguments to have it tried here, without gradients.
    """
    if not enabled:
        return Compiled(model, False, "not asked for")
    try:
        quick = torch.compile(model)
        if example:
            with torch.no_grad():
                quick(*example)
    except Exception as error:  # whatever a compiler can raise: the model itself still works
        return Compiled(
            model, False, f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
        )
    return Compiled(quick, True, "")
