"""Checkpoints: everything that the rest of a training depends on, in one file that is written whole or not at all."""

import io
import os
import pickle
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medsim_agents.construction import load_model
from medsim_agents.normalisation import normaliser_state, restore_normaliser

__all__ = ["Course", "read_checkpoint", "restore_model", "write_checkpoint", "write_state"]


@dataclass(kw_only=True)
class Course:
    """How far a training has come: seconds spent (on the clock and of processor time), seconds of them looking at the policy,
    and the learning curve so far."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    looking_s: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def write_checkpoint(path: Path, model: Any, course: Course) -> None:
    """Write a checkpoint of a model between two rollouts: a temporary neighbour first, then a rename."""
    saved = io.BytesIO()
    model.save(saved)
    normaliser = model.get_vec_normalize_env()
    state = {
        "course": course,
        "model": saved.getvalue(),
        "memory": getattr(model, "_last_lstm_states", None),
        "replay": _filled(model.replay_buffer) if getattr(model, "replay_buffer", None) is not None else None,
        "normaliser": normaliser_state(normaliser) if normaliser is not None else None,
        "environment": with_snapshots(model.get_env()).snapshot(),
        "random": _random_states(model),
    }
    write_state(path, state)


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write plain state as a checkpoint, whole or not at all."""
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with neighbour.open("wb") as file:
            pickle.dump(state, file, protocol=pickle.HIGHEST_PROTOCOL)
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, path)
    finally:
        neighbour.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content. It is a pickle: read only files that you wrote."""
    with path.open("rb") as file:
        content: dict[str, Any] = pickle.load(file)
    return content


def restore_model(content: dict[str, Any], algorithm_name: str, env: Any, device: str = "cpu") -> Any:
    """Return the model of a checkpoint, its environment, normaliser, replay buffer and random states put back."""
    model = load_model(algorithm_name, io.BytesIO(content["model"]), env, device)
    if content["memory"] is not None:
        model._last_lstm_states = content["memory"]
    if content["replay"] is not None:
        _refill(model.replay_buffer, content["replay"])
    if content["normaliser"] is not None:
        restore_normaliser(model.get_vec_normalize_env(), content["normaliser"])
    with_snapshots(env).restore(content["environment"])
    _restore_random_states(model, content["random"])
    return model


def with_snapshots(env: Any) -> Any:
    """Return the outermost of an environment's wrappers, or the environment itself, that can be kept and put back."""
    while not hasattr(type(env), "snapshot"):
        env = env.venv
    return env


# Replay buffers: only what has been filled is kept


def _arrays(buffer: Any) -> dict[str, Any]:
    arrays = {name: value for name, value in vars(buffer).items() if isinstance(value, np.ndarray)}
    return {name: array for name, array in arrays.items() if array.shape[:1] == (buffer.buffer_size,)}


def _filled(buffer: Any) -> dict[str, Any]:
    count = buffer.size()
    return {"pos": buffer.pos, "full": buffer.full, "arrays": {name: array[:count] for name, array in _arrays(buffer).items()}}


def _refill(buffer: Any, content: dict[str, Any]) -> None:
    buffer.pos, buffer.full = content["pos"], content["full"]
    for name, array in _arrays(buffer).items():
        array[: len(content["arrays"][name])] = content["arrays"][name]


# Random states


def _random_states(model: Any) -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (the stream that Stable-Baselines3 draws from)
        "torch": torch.get_rng_state(),
        "actions": model.action_space.np_random.bit_generator.state,
    }


def _restore_random_states(model: Any, states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    model.action_space.np_random.bit_generator.state = states["actions"]
