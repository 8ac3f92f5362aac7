"""Which settings a search varies, and between what: one table an algorithm."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medsim_agents.algorithms import algorithm

__all__ = ["SPACES", "Choice", "Range", "Space", "space_of"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number between two others, drawn evenly on the scale of its logarithm."""

    name: str
    low: float
    high: float

    def suggest(self, trial: Any) -> Any:
        """Return what an Optuna trial suggests."""
        return trial.suggest_float(self.name, self.low, self.high, log=True)

    def said(self) -> Any:
        """Return it as a file of settings records it."""
        return f"{self.low:g} to {self.high:g}, evenly on a logarithmic scale"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several values."""

    name: str
    values: tuple[Any, ...]

    def suggest(self, trial: Any) -> Any:
        """Return what an Optuna trial suggests; it knows values by their JSON, since lists cannot be compared there."""
        return json.loads(trial.suggest_categorical(self.name, [json.dumps(value) for value in self.values]))

    def said(self) -> Any:
        """Return it as a file of settings records it."""
        return [json.loads(json.dumps(value)) for value in self.values]


Space = tuple[Range | Choice, ...]

# chosen: an order of magnitude or so on each side of what works for some environment here; small networks, as states are short
LEARNING_RATE = Range(name="learning_rate", low=1e-4, high=1e-2)
GAMMA = Choice(name="gamma", values=(0.9, 0.95, 0.98, 0.99, 0.995, 1.0))
NET = Choice(name="net_arch", values=((32,), (64, 64), (128, 128), (256, 256)))
ACTIVATION = Choice(name="activation", values=("tanh", "relu"))
ENTROPY = Choice(name="ent_coef", values=(0.0, 0.001, 0.003, 0.01, 0.03))
LAMBDA = Choice(name="gae_lambda", values=(0.8, 0.9, 0.95, 0.98, 1.0))

ON_POLICY: Space = (LEARNING_RATE, GAMMA, LAMBDA, ENTROPY, NET, ACTIVATION)
PROXIMAL: Space = (
    *ON_POLICY,
    Choice(name="n_steps", values=(16, 32, 64, 128)),
    Choice(name="batch_size", values=(256, 512, 1024, 2048)),
    Choice(name="n_epochs", values=(2, 4, 8)),
    Choice(name="clip_range", values=(0.1, 0.2, 0.3)),
)
OFF_POLICY: Space = (
    LEARNING_RATE, GAMMA, NET, ACTIVATION,
    Choice(name="batch_size", values=(128, 256, 512)),
    Choice(name="n_steps", values=(1, 3, 6)),
    Choice(name="gradient_steps", values=(1, 2, 4)),
)  # fmt: skip
VALUES: Space = (
    *OFF_POLICY,
    Choice(name="target_update_interval", values=(1_000, 5_000, 10_000)),
    Choice(name="exploration_fraction", values=(0.1, 0.3, 0.5)),
    Choice(name="exploration_final_eps", values=(0.01, 0.05, 0.1)),
)
SOFT: Space = (*OFF_POLICY, Choice(name="tau", values=(0.005, 0.01, 0.02)))
MEMORY: Space = (*(one for one in PROXIMAL if one.name != "net_arch"), Choice(name="lstm_hidden_size", values=(16, 32, 64)))

SPACES: Mapping[str, Space] = {
    "ppo": PROXIMAL,
    "maskable-ppo": PROXIMAL,
    "recurrent-ppo": MEMORY,
    "a2c": (*ON_POLICY, Choice(name="n_steps", values=(8, 16, 32, 64))),
    "dqn": VALUES,
    "qrdqn": VALUES,
    "sac": SOFT,
    "td3": (*SOFT, Choice(name="action_noise_sd", values=(0.05, 0.1, 0.2))),
    "tqc": SOFT,
}


def space_of(algorithm_name: str, fixed: Mapping[str, Any]) -> Space:
    """Return what a search varies for an algorithm, without what the caller has fixed.

    Raises:
        ValueError: there is no such algorithm, no space for it, or nothing of it is left.
    """
    algorithm(algorithm_name)
    if algorithm_name not in SPACES:
        raise ValueError(f"no search space is known for {algorithm_name}; there are {', '.join(SPACES)}")
    space = tuple(one for one in SPACES[algorithm_name] if one.name not in fixed)
    if not space:
        raise ValueError(f"nothing is left to search for {algorithm_name}: all of {', '.join(one.name for one in SPACES[algorithm_name])}")
    return space
