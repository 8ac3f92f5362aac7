"""Shipped weights: safetensors, each with a card (JSON) that says where it comes from, how good it is and what its bytes must be.

Weights are loaded from the installed package and never fetched. A file that is not the one its card describes is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medsim.core.files import write_whole

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medsim_perception.recipe import Recipe

__all__ = ["WEIGHTS", "Card", "Measured", "list_cards", "load_into", "load_model", "read_card", "save_weights"]

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped weights and cards."""
REMEDY = "install medsim again, or train and ship it again: medsim perception train, then medsim perception ship"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A metric over training seeds: mean, 95 % t interval (None of a single seed), and each seed's figure."""

    mean: float
    low: float | None
    high: float | None
    seeds: dict[str, float]  # by seed


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is to be known of a file of weights."""

    name: str
    question: str
    data: str
    licence: str
    command: str  # that trains it
    seed: int  # whose weights these are
    steps: int
    metrics: dict[str, Measured]
    sha256: str
    bytes: int
    dtype: str  # of the stored numbers: float32 or float16
    numbers: int  # how many
    torch: str  # version that trained it


def list_cards(folder: Path | None = None) -> list[Card]:
    """The cards of all weights, by name."""
    place = folder or WEIGHTS
    return [read_card(path.stem, place) for path in sorted(place.glob("*.json"))]


def read_card(name: str, folder: Path | None = None) -> Card:
    """The card of some weights; raises ValueError naming the file where it is missing or not one."""
    path = (folder or WEIGHTS) / f"{name}.json"
    if not path.is_file():
        there = ", ".join(one.stem for one in sorted(path.parent.glob("*.json"))) or "none"
        raise ValueError(f"{path} is missing: there are no weights called {name!r} (there are: {there}), or their card is lost; {REMEDY}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Card(**{**content, "metrics": {key: Measured(**value) for key, value in content["metrics"].items()}})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is not a card ({error}); {REMEDY}") from error


def load_model(name: str, device: str | torch.device = "cpu", folder: str | Path | None = None) -> nn.Module:
    """The model of a recipe's name with its shipped weights, ready to answer (`eval`) in float32.

    Raises ValueError naming the file and what to do where the weights are missing, truncated, changed, or those of another network, and for
    a device that is not there.
    """
    from medsim_perception.catalogue import recipe
    from medsim_perception.device import choose_device

    made = recipe(name)
    place = None if folder is None else Path(folder)
    model = load_into(made.build(), read_card(made.name, place), place)
    return model.to(choose_device(device) if isinstance(device, str) else device)


def load_into(model: nn.Module, card: Card, folder: Path | None = None) -> nn.Module:
    """Put the weights of a card into its untrained network and return that; errors as of `load_model`."""
    path = (folder or WEIGHTS) / f"{card.name}.safetensors"
    put_tensors(model, tensors_of(_verified(path, card), path), path)
    return model.eval()


def _verified(path: Path, card: Card) -> bytes:
    if not path.is_file():
        raise ValueError(f"{path} is missing; {REMEDY}")
    content = path.read_bytes()
    if len(content) != card.bytes:
        raise ValueError(f"{path} has {len(content)} bytes and its card says {card.bytes}: it is truncated or another file; {REMEDY}")
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise ValueError(f"{path} has the sha256 {found} and its card says {card.sha256}: it was changed; {REMEDY}")
    return content


def tensors_of(content: bytes, path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file that was read; raises ValueError naming it where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as safetensors ({error}): it is damaged; {REMEDY}") from error


def put_tensors(model: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put tensors into a network; raises ValueError naming the file and the first that does not fit by name or shape."""
    wanted = model.state_dict()
    odd = sorted(set(wanted) ^ set(tensors))
    if odd:
        what = "lacks" if odd[0] in wanted else "has, and the network does not,"
        raise ValueError(f"{path} {what} {odd[0]!r} ({len(odd)} names differ): they are the weights of another network; {REMEDY}")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise ValueError(f"{path} has {name!r} of shape {tuple(tensor.shape)}, the network {tuple(wanted[name].shape)}; {REMEDY}")
    model.load_state_dict(dict(tensors))


def save_weights(
    recipe: Recipe,
    model: nn.Module,
    metrics: Mapping[int, Mapping[str, float]],
    *,
    seed: int,
    steps: int,
    command: str | None = None,
    half: bool = False,
    trained_with: str | None = None,
    folder: Path | None = None,
) -> Card:
    """Write a model's weights and their card; returns the card.

    `metrics` are what `recipe.judge` found, by training seed; `seed` says whose weights these are. With `half`, floats are stored in half
    precision: judge the model after that (`halved`). `trained_with` is the version of torch, if not this one.

    Raises ValueError for metrics that are not finite or differ in names, and for weights that half precision cannot hold.
    """
    import torch

    content = packed(model, half)
    card = Card(
        name=recipe.name,
        question=recipe.question,
        data=recipe.data,
        licence=recipe.licence,
        command=command or f"medsim perception train {recipe.name} --seed {seed}",
        seed=seed,
        steps=steps,
        metrics=measured(metrics),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        dtype="float16" if half else "float32",
        numbers=sum(tensor.numel() for tensor in model.state_dict().values()),
        torch=(trained_with or torch.__version__).partition("+")[0],
    )
    place = folder or WEIGHTS
    place.mkdir(parents=True, exist_ok=True)
    write_whole(place / f"{card.name}.safetensors", content)
    write_whole(place / f"{card.name}.json", (json.dumps(asdict(card), indent=1, allow_nan=False) + "\n").encode())
    return card


def packed(model: nn.Module, half: bool = False) -> bytes:
    """A model's weights as the bytes of a safetensors file: the same weights give the same bytes."""
    from safetensors.torch import save

    return save(stored_tensors(model, half))


def stored_tensors(model: nn.Module, half: bool) -> dict[str, torch.Tensor]:
    """What is stored of a model: its tensors on the CPU, floats in half precision if wanted."""
    import torch

    stored = {}
    for name, tensor in model.state_dict().items():
        kept = tensor.detach().to("cpu", torch.float16 if half and tensor.is_floating_point() else tensor.dtype)
        if kept.is_floating_point() and not bool(torch.isfinite(kept).all()):
            raise ValueError(f"the weights {name!r} are not finite{' in half precision' if half else ''}")
        stored[name] = kept.contiguous().clone()
    return stored


def halved(model: nn.Module) -> nn.Module:
    """Round a model's weights to half precision, in place, as shipping with `half` will; returns the model."""
    model.load_state_dict(stored_tensors(model, half=True))
    return model


def measured(metrics: Mapping[int, Mapping[str, float]]) -> dict[str, Measured]:
    """Figures by seed as means with intervals over seeds, by metric."""
    from medsim_perception.metrics import mean_interval

    if not metrics:
        raise ValueError("metrics of at least one seed are needed")
    names = [sorted(one) for one in metrics.values()]
    if any(one != names[0] for one in names):
        raise ValueError(f"seeds were judged by different metrics: {names}")
    found = {}
    for name in next(iter(metrics.values())):
        by_seed = {str(seed): float(one[name]) for seed, one in metrics.items()}
        mean, low, high = mean_interval(list(by_seed.values()))
        found[name] = Measured(mean=mean, low=_or_none(low), high=_or_none(high), seeds=by_seed)
    return found


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
