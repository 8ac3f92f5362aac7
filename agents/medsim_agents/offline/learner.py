"""What every offline learner is: networks that logged steps improve, that act as SB3's models do, and are kept without pickle."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from medsim_agents.offline.encoding import Batch, Encoding, Transitions
from medsim_agents.offline.settings import OfflineSettings

__all__ = ["HEADER", "Learner"]

Array = npt.NDArray[Any]
Tensor = torch.Tensor

HEADER = "medsim"  # where in a safetensors file the JSON of what it is stands


class Learner(ABC):
    """A learner of one algorithm; its networks are torch modules assigned in ``build``, its random numbers its own.

    Args:
        name: of the algorithm; encoding: of observations and actions; settings: of the algorithm; seed: of weights, batches and draws.
    """

    memory: ClassVar[bool] = False

    def __init__(self, name: str, encoding: Encoding, settings: Any, seed: int = 0) -> None:
        self.name, self.encoding, self.seed, self.num_timesteps = name, encoding, int(seed), 0
        self.settings: Any = settings
        self.generator = torch.Generator().manual_seed(self.seed)
        self.networks = nn.ModuleDict()
        self.optimizers: dict[str, torch.optim.Adam] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.build()

    # what an algorithm is

    @abstractmethod
    def build(self) -> None:
        """Make ``networks`` and ``optimizers``."""

    @abstractmethod
    def update(self, batch: Batch) -> None:
        """Learn from a batch: one gradient step."""

    @abstractmethod
    def act(self, seen: Tensor, deterministic: bool) -> Tensor:
        """Return the actions for what is seen, as networks have them."""

    # what all do

    def optimizer(self, *networks: nn.Module, learning_rate: float | None = None) -> torch.optim.Adam:
        """Return an optimiser of networks."""
        parameters = [parameter for network in networks for parameter in network.parameters()]
        return torch.optim.Adam(parameters, learning_rate or self.settings.learning_rate, fused=True)

    def descend(self, name: str, loss: Tensor) -> None:
        """Make a step of the optimiser of that name, and move nothing else."""
        optimizer = self.optimizers[name]
        moved: Iterable[Tensor] = optimizer.param_groups[0]["params"]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=list(moved))
        optimizer.step()

    def learn(self, transitions: Transitions, steps: int) -> None:
        """Make so many gradient steps on batches drawn from logged steps."""
        for _ in range(steps):
            self.update(transitions.drawn(self.settings.batch_size, self.generator))
            self.num_timesteps += 1

    def normal(self, *shape: int) -> Tensor:
        """Return draws of its own of a normal distribution."""
        return torch.randn(*shape, generator=self.generator)

    # as Stable-Baselines3 has it

    @property
    def observation_space(self) -> Any:
        """A space of the kind and shape of what is seen."""
        return self.encoding.observation_space

    @property
    def action_space(self) -> Any:
        """The space of what is done."""
        return self.encoding.action_space

    @property
    def policy(self) -> "Learner":
        """Itself: it has no memory."""
        return self

    def get_vec_normalize_env(self) -> Any:
        """Return None: it normalises what it sees by itself."""
        return None

    def predict(self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True) -> tuple[Array, None]:
        """Return the actions for observations, one or a batch, as the environment takes them, and no state."""
        alone = np.ndim(observation) == (0 if self.encoding.scale is None else 1)
        batch = np.asarray(observation)[None] if alone else np.asarray(observation)
        with torch.no_grad():
            actions = self.encoding.ordered(self.act(self.encoding.seen(batch), deterministic))
        return (actions[0] if alone else actions), None

    # files

    def save(self, path: str | Path) -> None:
        """Write networks and, in the file's header as JSON, all that is needed to act again (safetensors; no pickle)."""
        from safetensors.torch import save_file

        told = {"algorithm": self.name, "seed": self.seed, "steps": self.num_timesteps, "encoding": asdict(self.encoding),
                "settings": asdict(self.settings)}  # fmt: skip
        tensors = {name: value.contiguous() for name, value in self.networks.state_dict().items()}
        save_file(tensors, str(path), metadata={HEADER: json.dumps(told, allow_nan=False)})

    def checkpoint(self) -> dict[str, Any]:
        """Return all that the rest of the learning depends on, beside data and settings."""
        return {
            "networks": self.networks.state_dict(), "steps": self.num_timesteps, "generator": self.generator.get_state(),
            "optimizers": {name: one.state_dict() for name, one in self.optimizers.items()},
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a checkpoint; what is learnt afterwards is equal to the bit."""
        self.networks.load_state_dict(state["networks"])
        for name, one in self.optimizers.items():
            one.load_state_dict(state["optimizers"][name])
        self.generator.set_state(state["generator"])
        self.num_timesteps = int(state["steps"])


def of_kind(settings: Any, kind: type[OfflineSettings]) -> Any:
    """Return settings, if they are of the kind that a learner takes; raises TypeError otherwise."""
    if not isinstance(settings, kind):
        raise TypeError(f"settings must be {kind.__name__}, not {type(settings).__name__}")
    return settings
