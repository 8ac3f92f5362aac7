"""Policies from outside, read without running anything that they bring: networks as tensors, tables, and, where it is installed, ONNX.

What can only be read by unpickling (models of Stable-Baselines3, PyTorch's files, pickles) can run any code as it is read: it is refused
unless whoever reads it says that they trust it.

A network as ``safetensors`` holds ``layer.0.weight`` (outputs, inputs), ``layer.0.bias`` (outputs,), ``layer.1.weight`` and so on, may hold
``observation.mean`` and ``observation.scale`` (numbers,), by which what is seen is first shifted and then multiplied, and says in its
metadata ``format`` = ``medsim-mlp-1``, ``activation`` = ``tanh`` or ``relu`` (between layers), and may say ``options``, the environment's
as JSON. Its last layer gives a number for each discrete action, of which the largest is taken, or for each dose, in its unit, cut at its
limits. Where a code is seen (ICUSepsis), it reads one number for each code: 1 for the one that is seen, else 0.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.tabular import TabularTask
from medsim.registry import is_hospital, make_task
from medsim_agents.run_folder import RUN

__all__ = ["NetworkPolicy", "fingerprint", "load_outside"]

Array = npt.NDArray[Any]
FORMAT = "medsim-mlp-1"
UNSAFE = (".zip", ".pt", ".pth", ".pkl", ".pickle", ".joblib")
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}


class NetworkPolicy:
    """A function from what is seen (n, k) to a number for each action (n, actions), or to doses (n, a).

    Args:
        inputs: how many numbers it reads, or None if it does not say; options: of the environment that it acts in.
    """

    memoryless = True

    def __init__(self, name: str, function: Callable[[Array], Array], options: Mapping[str, Any], inputs: int | None = None) -> None:
        self.name, self.function, self.options, self.inputs = name, function, dict(options), inputs
        self.space: Any = None
        self.codes = 0

    def begin(self, env: Any) -> None:
        """Learn what the environment shows and takes.

        Raises:
            ValueError: the network reads another number of observations.
        """
        self.space, seen = env.single_action_space, env.single_observation_space
        if isinstance(seen, spaces.Dict):
            raise ValueError(f"{self.name} reads rows of numbers, and {env.task.id} shows {seen} with these options")
        self.codes = int(seen.n) if isinstance(seen, spaces.Discrete) else 0
        width = self.codes or int(np.prod(seen.shape or (1,)))
        if self.inputs is not None and self.inputs != width:
            raise ValueError(f"{self.name} reads {self.inputs} numbers, and {env.task.id} shows {width} (a code: one for each)")

    def act(self, observations: Any) -> Array:
        """Return the actions (n,) or doses (n, a).

        Raises:
            ValueError: the network gives another number of figures, or one that is not finite.
        """
        seen = np.eye(self.codes)[np.asarray(observations, dtype=np.int64)] if self.codes else np.asarray(observations)
        out = np.asarray(self.function(seen.astype(np.float32)), dtype=np.float64)
        wanted = (len(seen), int(self.space.n) if isinstance(self.space, spaces.Discrete) else int(self.space.shape[0]))
        if out.shape != wanted or not np.isfinite(out).all():
            raise ValueError(f"{self.name} gives figures of shape {out.shape}, or some that are not finite; allowed: {wanted}, finite")
        if isinstance(self.space, spaces.Discrete):
            return np.asarray(out.argmax(axis=1))
        return np.asarray(np.clip(out, self.space.low, self.space.high), dtype=self.space.dtype)


def load_outside(file: Path, env_id: str, name: str, *, trust: bool = False, algorithm: str | None = None) -> Any:
    """Return a policy from outside.

    Args:
        name: that it is to have; trust: whether files that can run code as they are read may be read; algorithm: of a model of
            Stable-Baselines3 (.zip), which does not say it.

    Raises:
        ValueError: there is no such file, of no kind that can be read, not trusted, or broken.
    """
    if not file.exists():
        raise ValueError(f"there is no file or folder {file}")
    if file.is_dir() or file.suffix in UNSAFE:
        return trusted(file, env_id, name, trust, algorithm)
    if is_hospital(env_id):
        raise ValueError(f"{file.name}: policies for hospitals are read from run folders only (--trust); or submit a record of results")
    if file.suffix == ".safetensors":
        return from_safetensors(file, name)
    if file.suffix == ".onnx":
        return from_onnx(file, name)
    if file.suffix == ".npz" and isinstance(make_task(env_id), TabularTask):
        from medsim.policies.table import load_table

        table = load_table(file, env_id)
        table.name = name
        return table
    kinds = ".safetensors, .onnx, .npz (tables of medsim solve); with --trust run folders, .zip, .pt, .pth, .pkl"
    raise ValueError(f"{file.name} is of no kind that is read here; allowed: a record (.json), {kinds}")


def trusted(file: Path, env_id: str, name: str, trust: bool, algorithm: str | None) -> Any:
    """Return a policy that can only be read by running what it brings.

    Raises:
        ValueError: it is not trusted, or is not what it should be.
    """
    if not trust:
        what = "a run folder" if file.is_dir() else f"a {file.suffix} file"
        raise ValueError(
            f"{file} is {what}, which can run any code as it is read: read it with --trust if you know where it comes from, or ask for "
            "a .safetensors or .onnx file"
        )
    if file.is_dir():
        from medsim_agents.policies import load_policy

        if not (file / RUN).is_file():
            raise ValueError(f"{file} is no run folder: it has no {RUN}")
        found = load_policy(file)
        if hasattr(found, "trained_on") != is_hospital(env_id):
            raise ValueError(f"the policy in {file} is not one for {env_id}")
    elif file.suffix == ".zip":
        from medsim_agents.construction import load_model
        from medsim_agents.policies import ModelPolicy

        if algorithm is None:
            raise ValueError(f"{file.name} does not say of which algorithm it is: give --algo, such as ppo")
        model = load_model(algorithm, file)
        options = {} if isinstance(model.action_space, spaces.Discrete) else {"action": "continuous"}
        found = ModelPolicy(name, model, None, options)
    else:
        found = unpickled(file)
    found.name = name
    return found


def unpickled(file: Path) -> Any:
    """Return the object in a pickle or a file of PyTorch.

    Raises:
        ValueError: it is no policy.
    """
    if file.suffix in (".pt", ".pth"):
        import torch

        found = torch.load(file, map_location="cpu", weights_only=False)
    else:
        import pickle

        found = pickle.loads(file.read_bytes())
    missing = [part for part in ("begin", "act", "options") if not hasattr(found, part)]
    if missing:
        raise ValueError(f"{file.name} holds a {type(found).__name__}, which is no policy: it has no {', '.join(missing)}")
    return found


def from_safetensors(file: Path, name: str) -> NetworkPolicy:
    """Return the network in a file of tensors.

    Raises:
        ValueError: safetensors is not installed, or the file is not in the format that this module describes.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ValueError("a .safetensors file needs the package safetensors: pip install 'medsim[perception]'") from error
    try:
        with safe_open(file, framework="numpy") as opened:
            said = opened.metadata() or {}
            tensors = {key: np.asarray(opened.get_tensor(key), dtype=np.float32) for key in opened.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, TypeError) as error:
        raise ValueError(f"{file.name} is no file of safetensors in plain numbers: {error}") from error
    if said.get("format") != FORMAT:
        raise ValueError(f"{file.name}: metadata format is {said.get('format')!r}; allowed: {FORMAT!r}")
    if said.get("activation") not in ACTIVATIONS:
        raise ValueError(f"{file.name}: metadata activation is {said.get('activation')!r}; allowed: {', '.join(ACTIVATIONS)}")
    layers = layers_in(tensors, file.name)
    mean, scale = (tensors.get(f"observation.{part}", default) for part, default in (("mean", np.float32(0)), ("scale", np.float32(1))))
    activation = ACTIVATIONS[said["activation"]]

    def function(seen: Array) -> Array:
        values = (seen - mean) * scale
        for number, (weight, bias) in enumerate(layers):
            values = values @ weight.T + bias
            if number < len(layers) - 1:
                values = activation(values)
        return values

    return NetworkPolicy(name, function, options_in(said, file.name), layers[0][0].shape[1])


def layers_in(tensors: Mapping[str, Array], name: str) -> list[tuple[Array, Array]]:
    """Return the layers of a network, first to last.

    Raises:
        ValueError: there is none, one is missing, sizes do not fit together, a tensor is unknown, or a number is not finite.
    """
    count = sum(key.endswith(".weight") for key in tensors)
    wanted = [f"layer.{number}.{part}" for number in range(count) for part in ("weight", "bias")]
    allowed = {*wanted, "observation.mean", "observation.scale"}
    wrong = [key for key in tensors if key not in allowed] + [key for key in wanted if key not in tensors]
    if not count or wrong:
        raise ValueError(f"{name}: tensors are {', '.join(tensors)}; allowed: layer.0.weight, layer.0.bias, layer.1.weight, ..., "
                         "observation.mean, observation.scale")  # fmt: skip
    broken = [key for key, values in tensors.items() if not np.isfinite(values).all()]
    if broken:
        raise ValueError(f"{name}: {broken[0]} holds numbers that are not finite")
    layers = [(tensors[f"layer.{number}.weight"], tensors[f"layer.{number}.bias"]) for number in range(count)]
    width = layers[0][0].shape[-1]
    for number, (weight, bias) in enumerate(layers):
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ValueError(
                f"{name}: layer.{number} has shapes {weight.shape} and {bias.shape}; allowed: (outputs, {width}) and (outputs,)"
            )
        width = weight.shape[0]
    return layers


def options_in(said: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the environment's options in a file's metadata.

    Raises:
        ValueError: they are no JSON object.
    """
    try:
        found = json.loads(said.get("options", "{}"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: metadata options is {said.get('options')!r}; allowed: a JSON object")
    return found


def from_onnx(file: Path, name: str) -> NetworkPolicy:
    """Return the network in an ONNX file: one input (n, k), one output (n, actions) or (n, a); options in its metadata.

    Raises:
        ValueError: onnxruntime is not installed, or the file is broken or has other inputs and outputs.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError("an .onnx file needs the package onnxruntime: pip install onnxruntime") from error
    told = onnxruntime.SessionOptions()
    told.intra_op_num_threads = told.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(file.read_bytes(), told, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise ValueError(f"{file.name} is no ONNX file that can be run: {error}") from error
    if len(session.get_inputs()) != 1 or len(session.get_outputs()) != 1:
        raise ValueError(f"{file.name} has {len(session.get_inputs())} inputs and {len(session.get_outputs())} outputs; allowed: one each")
    seen = session.get_inputs()[0]
    width = seen.shape[-1] if isinstance(seen.shape[-1], int) else None
    options = options_in(session.get_modelmeta().custom_metadata_map, file.name)
    return NetworkPolicy(name, lambda rows: session.run(None, {seen.name: rows})[0], options, width)


def fingerprint(file: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder with their names."""
    digest = hashlib.sha256()
    for path in sorted(file.rglob("*")) if file.is_dir() else [file]:
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
