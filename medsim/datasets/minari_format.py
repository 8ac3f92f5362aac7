"""Episodes as a dataset in Minari's format (HDF5), with a card beside it; read back and checked against its card.

``minari.load_dataset`` reads it where MINARI_DATASETS_PATH names the folder. Minari's own recorder is not used: it needs JAX. Infos of an
episode have a row more than its steps, the first for the start: ``behaviour_probability`` (1 there) and ``costs`` (0 there).
"""

import copy
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

import medsim
from medsim.datasets.episodes import Episodes

__all__ = ["content_hash", "read_card", "read_dataset", "write_dataset"]

Array = npt.NDArray[Any]

MINARI_VERSION = "0.5.4"  # whose format this is
CARD, METADATA, DATA = "card.json", "metadata.json", "main_data.hdf5"


def content_hash(episodes: Episodes) -> str:
    """Return the SHA-256 of everything that an episode holds: the same data have the same hash, whatever wrote the file."""
    digest = hashlib.sha256()
    seen = episodes.observations if isinstance(episodes.observations, dict) else {"observations": episodes.observations}
    arrays = {
        **{f"observations/{name}": values for name, values in seen.items()}, "actions": episodes.actions, "rewards": episodes.rewards,
        "probabilities": episodes.probabilities, **{f"costs/{name}": values for name, values in episodes.costs.items()},
        "lengths": episodes.lengths, "terminated": episodes.terminated,
    }  # fmt: skip
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def write_dataset(episodes: Episodes, folder: str | Path, dataset_id: str, *, command: str = "") -> Path:
    """Write episodes below a folder as the dataset of that id, whole or not at all; returns the dataset's folder.

    Args:
        dataset_id: such as ``medsim/sepsis/protocol-v0``; command: that made it, for the card.

    Raises:
        ValueError: the id does not end in a version, or there is a dataset of it already.
        ImportError: h5py is not installed.
    """
    h5py = needed_h5py()
    place = Path(folder) / dataset_id
    if not dataset_id.rpartition("-v")[2].isdigit() or not dataset_id.rpartition("-v")[0]:
        raise ValueError(f"a dataset's id must end in a version, such as medsim/sepsis/protocol-v0, not {dataset_id!r}")
    if place.exists():
        raise ValueError(f"{place} exists: give another id, or a higher version")
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        (partial / "data").mkdir()
        with h5py.File(partial / "data" / DATA, "w", track_order=True) as file:
            for number in range(episodes.n):
                write_episode(file.create_group(f"episode_{number}"), episodes, number)
        size_mb = round((partial / "data" / DATA).stat().st_size / 1e6, 3)
        (partial / "data" / METADATA).write_text(json.dumps(metadata(episodes, dataset_id, size_mb)) + "\n", encoding="utf-8")
        (partial / CARD).write_text(json.dumps(card(episodes, dataset_id, command), indent=1) + "\n", encoding="utf-8")
        partial.chmod(0o755)
        os.replace(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def needed_h5py() -> Any:
    """Return the package h5py, or say what to install."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("datasets need the package h5py: pip install 'medsim[offline]'") from error
    return h5py


def write_episode(group: Any, episodes: Episodes, number: int) -> None:
    """Write one episode as Minari has it."""
    steps = int(episodes.lengths[number])
    group.attrs.update({"id": number, "seed": episodes.seed, "options/slot": number, "total_steps": steps})
    put(group, "observations", of_episode(episodes.observations, number, steps + 1))
    put(group, "actions", episodes.actions[number, :steps])
    put(group, "rewards", episodes.rewards[number, :steps])
    last = np.arange(steps) == steps - 1
    put(group, "terminations", last & episodes.terminated[number])
    put(group, "truncations", last & ~episodes.terminated[number])
    costs = {name: np.concatenate([[0.0], values[number, :steps]]) for name, values in episodes.costs.items()}
    put(group, "infos", {"behaviour_probability": np.concatenate([[1.0], episodes.probabilities[number, :steps]]), "costs": costs})


def of_episode(observations: Array | dict[str, Array], number: int, rows: int) -> Array | dict[str, Array]:
    """Return the first rows of what was seen in an episode."""
    if isinstance(observations, dict):
        return {name: values[number, :rows] for name, values in observations.items()}
    return observations[number, :rows]


def put(group: Any, name: str, values: Any) -> None:
    """Write an array, or a dict of them as a group."""
    if isinstance(values, Mapping):
        inner = group.create_group(name)
        for key, part in values.items():
            put(inner, key, part)
    else:
        group.create_dataset(name, data=values, compression="gzip", compression_opts=4, chunks=True)


def metadata(episodes: Episodes, dataset_id: str, size_mb: float) -> dict[str, Any]:
    """Return what Minari reads of a dataset first."""
    spec = copy.deepcopy(gym.spec(episodes.env_id))  # the registry's own must stay as it is
    spec.kwargs = dict(episodes.options)
    return {
        "total_episodes": episodes.n, "total_steps": episodes.steps, "data_format": "hdf5", "jpeg_encoding": False,
        "observation_space": json.dumps(space_record(episodes.observation_space)),
        "action_space": json.dumps(space_record(episodes.action_space)), "env_spec": spec.to_json(), "dataset_id": dataset_id,
        "minari_version": MINARI_VERSION, "algorithm_name": episodes.policy, "author": ["medsim"], "dataset_size": size_mb,
        "description": "Simulated patients, for research; not medical advice. See card.json.",
    }  # fmt: skip


def space_record(space: spaces.Space[Any]) -> dict[str, Any]:
    """Return a space as Minari writes it.

    Raises:
        ValueError: it is of a kind that no environment of medsim has.
    """
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "dtype": str(space.dtype),
            "shape": list(space.shape),
            "low": space.low.tolist(),
            "high": space.high.tolist(),
        }
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "dtype": "int64", "start": int(space.start), "n": int(space.n)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"type": "MultiDiscrete", "dtype": str(space.dtype), "nvec": space.nvec.tolist(), "start": space.start.tolist()}
    if isinstance(space, spaces.Dict):
        return {"type": "Dict", "subspaces": {name: space_record(part) for name, part in space.spaces.items()}}
    raise ValueError(f"a dataset cannot hold {space}")


def card(episodes: Episodes, dataset_id: str, command: str) -> dict[str, Any]:
    """Return what is to be known of a dataset."""
    there = episodes.there()
    counts = {name: episodes.outcomes.count(name) for name in sorted(set(episodes.outcomes))}
    return {
        "schema": 1, "id": dataset_id, "environment": episodes.env_id, "options": dict(episodes.options), "policy": episodes.policy,
        "acted_on": dict(episodes.acted_on), "confounded": bool(episodes.acted_on), "seed": episodes.seed, "discount": episodes.discount,
        "episodes": episodes.n, "steps": episodes.steps, "return_mean": float(episodes.returns.mean()),
        "return_sd": float(episodes.returns.std()), "outcomes": counts,
        "cost_means": {name: float(values.sum(axis=1).mean()) for name, values in episodes.costs.items()},
        "least_probability": float(episodes.probabilities[there].min()), "sha256": content_hash(episodes), "command": command,
        "licence": "Apache-2.0", "medsim": medsim.__version__, "use": "Simulated patients, for research; not medical advice.",
    }  # fmt: skip


def read_card(place: str | Path) -> dict[str, Any]:
    """Return the card of a dataset's folder; raises ValueError naming the file where it is missing or damaged."""
    path = Path(place) / CARD
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a dataset's card: {error}") from error
    return found


def read_dataset(place: str | Path, *, check: bool = True) -> Episodes:
    """Return the episodes of a dataset that ``write_dataset`` wrote; ``check``: whether they are those of their card.

    Raises:
        ValueError: a file is missing or damaged, or the episodes are not those that the card describes.
    """
    from medsim.registry import make_task

    h5py, place, said = needed_h5py(), Path(place), read_card(place)
    task = make_task(said["environment"], **said["options"])
    try:
        with h5py.File(place / "data" / DATA, "r") as file:
            groups = [file[f"episode_{number}"] for number in range(said["episodes"])]
            lengths = np.array([int(group.attrs["total_steps"]) for group in groups])
            most = int(lengths.max())
            found = Episodes(
                env_id=said["environment"], options=said["options"], policy=said["policy"], seed=said["seed"],
                observations=stacked([group["observations"] for group in groups], most + 1, None),
                actions=stacked([group["actions"] for group in groups], most, 0),
                rewards=stacked([group["rewards"] for group in groups], most, 0),
                probabilities=stacked([group["infos/behaviour_probability"] for group in groups], most, 1, first=1),
                costs=stacked([group["infos/costs"] for group in groups], most, 0, first=1), lengths=lengths,
                terminated=np.array([bool(group["terminations"][-1]) for group in groups]), outcomes=[], discount=said["discount"],
                observation_space=task.observation_space(), action_space=task.action_space, acted_on=said["acted_on"],
            )  # fmt: skip
    except (OSError, KeyError) as error:
        raise ValueError(f"{place / 'data' / DATA} is missing or damaged: {error}") from error
    if check and content_hash(found) != said["sha256"]:
        raise ValueError(f"{place} holds other episodes than its card says: sha256 {content_hash(found)} instead of {said['sha256']}")
    return found


def stacked(parts: list[Any], rows: int, filling: float | None, *, first: int = 0) -> Any:
    """Return arrays of episodes as one, (n, rows, ...), each from a row on; after an end the filling (None: the last row) repeats."""
    if hasattr(parts[0], "keys"):
        return {name: stacked([part[name] for part in parts], rows, filling, first=first) for name in parts[0]}
    read = [part[first:] for part in parts]
    whole = np.empty((len(read), rows, *read[0].shape[1:]), dtype=read[0].dtype)
    for target, one in zip(whole, read, strict=True):
        target[: len(one)] = one
        target[len(one) :] = one[-1] if filling is None else filling
    return whole
