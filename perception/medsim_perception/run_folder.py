"""A run folder: what a training leaves on the disk, and how it is read back.

It holds `run.json` (what is trained, how far it is, the losses), `checkpoint.pt` while it is unfinished, and `model.safetensors` when it is
finished. Everything is written whole or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medsim_perception.recipe import Recipe
from medsim_perception.weights import REMEDY, put_tensors, tensors_of

__all__ = ["CHECKPOINT", "COMPLETE", "MODEL", "RUN", "RUNNING", "load_run", "plain", "read_run"]

RUN, CHECKPOINT, MODEL = "run.json", "checkpoint.pt", "model.safetensors"
RUNNING, COMPLETE = "running", "complete"
FIELDS = ("recipe", "seed", "status", "asked_steps", "planned_steps", "steps", "seconds", "device", "versions", "curve")


def read_run(folder: str | Path) -> dict[str, Any]:
    """The record of a run folder: recipe, seed, status, planned_steps, steps, seconds, curve, device, versions.

    Raises ValueError naming the file where it is missing or damaged.
    """
    path = Path(folder) / RUN
    if not path.is_file():
        raise ValueError(f"{path} is missing: {folder} is no run folder of medsim perception train")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in FIELDS if name not in record]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}), or of no training of medsim perception") from error
    return record


def load_run(recipe: Recipe, folder: str | Path) -> nn.Module:
    """The finished model of a run folder; raises ValueError where it is unfinished, damaged, or of another recipe."""
    record, path = read_run(folder), Path(folder) / MODEL
    if record["recipe"] != recipe.name:
        raise ValueError(f"{folder} holds a training of {record['recipe']}, not of {recipe.name}")
    if record["status"] != COMPLETE or not path.is_file():
        raise ValueError(
            f"{folder} is unfinished ({record['steps']} of {record['planned_steps']} steps): go on with "
            f"medsim perception train {recipe.name} --seed {record['seed']} --out {folder}"
        )
    model = recipe.build()
    try:
        put_tensors(model, tensors_of(path.read_bytes(), path), path)
    except ValueError as error:
        again = f"medsim perception train {recipe.name} --seed {record['seed']} --out {folder}"
        raise ValueError(f"{str(error).partition(f'; {REMEDY}')[0]}; delete {folder} and train again: {again}") from error
    return model.eval()


def plain(value: Any, place: str) -> Any:
    """The value itself if it is made of tensors, numbers, texts, lists, tuples and dicts; raises TypeError naming what is not.

    Checkpoints are read without running code, and hold nothing else.
    """
    if isinstance(value, dict):
        return {key: plain(one, f"{place}[{key!r}]") for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(one, f"{place}[{number}]") for number, one in enumerate(value))
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, torch.Tensor):
        return value
    raise TypeError(f"{place} is {type(value).__name__}; a learner's state must be of tensors, numbers, texts, lists, tuples and dicts")
