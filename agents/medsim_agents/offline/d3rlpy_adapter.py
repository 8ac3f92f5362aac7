"""d3rlpy (extra ``d3rlpy``): logged episodes as its dataset, and what it learns as a policy that medsim judges."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.vector import PatientVectorEnv
from medsim.datasets.episodes import Episodes
from medsim_agents.offline.encoding import Encoding, encoding_of
from medsim_agents.threads import single_threaded

__all__ = ["D3rlpyPolicy", "from_d3rlpy", "to_d3rlpy"]

Array = npt.NDArray[Any]


def needed_d3rlpy() -> Any:
    """Return the package d3rlpy, or say what to install."""
    from medsim.cli.verbs import silence_gym_notice

    silence_gym_notice()
    try:
        import d3rlpy
    except ImportError as error:
        raise ImportError("this needs the package d3rlpy: pip install 'medsim[d3rlpy]'") from error
    return d3rlpy


def to_d3rlpy(episodes: Episodes) -> Any:
    """Return logged episodes as d3rlpy's ``MDPDataset``: observations normalised (codes: one column each), doses from -1 to 1.

    Rewards stay as they are. What was seen last, after an episode that was only cut short, is not in its format.

    Raises:
        ValueError: the data hold charts; ImportError: d3rlpy is not installed.
    """
    d3rlpy, encoding, there = needed_d3rlpy(), encoding_of(episodes), episodes.there()
    last = np.arange(there.shape[1]) == episodes.lengths[:, None] - 1
    actions = encoding.done(episodes.actions[there]).numpy()
    return d3rlpy.dataset.MDPDataset(
        observations=rows_of(encoding, np.asarray(episodes.observations)[:, :-1][there]),
        actions=actions[:, None] if encoding.actions else actions,
        rewards=episodes.rewards[there].astype(np.float32)[:, None],
        terminals=(last & episodes.terminated[:, None])[there].astype(np.float32),
        timeouts=(last & ~episodes.terminated[:, None])[there].astype(np.float32),
        action_space=d3rlpy.constants.ActionSpace.DISCRETE if encoding.actions else d3rlpy.constants.ActionSpace.CONTINUOUS,
        action_size=encoding.actions or encoding.doses,
    )


def rows_of(encoding: Encoding, observations: Array) -> Array:
    """Return observations as rows of float32."""
    seen = encoding.seen(observations).numpy()
    return np.eye(encoding.codes, dtype=np.float32)[seen] if encoding.codes else seen


class D3rlpyPolicy:
    """What d3rlpy has learnt, acting in medsim; it has no memory."""

    memoryless = True

    def __init__(self, name: str, algo: Any, encoding: Encoding, options: Mapping[str, Any]) -> None:
        self.name, self.algo, self.encoding, self.options = name, algo, encoding, options

    def begin(self, env: PatientVectorEnv) -> None:
        """Compare spaces with those of the data.

        Raises:
            ValueError: they differ.
        """
        seen, acts, there = env.single_observation_space, env.single_action_space, self.encoding
        same = seen.shape == there.observation_space.shape and isinstance(seen, spaces.Discrete) == isinstance(
            there.observation_space, spaces.Discrete
        )
        if not same or acts != there.action_space:
            raise ValueError(f"{self.name} learnt from {there.observation_space} and {there.action_space}, and {env.task.id} has others")

    def act(self, observations: Array) -> Array:
        """Return the actions (n,) or (n, a)."""
        import torch

        with single_threaded():
            found = self.algo.predict(rows_of(self.encoding, observations))
        return self.encoding.ordered(torch.as_tensor(found))


def from_d3rlpy(algo: Any, episodes: Episodes, *, name: str | None = None) -> D3rlpyPolicy:
    """Return a policy of medsim from a d3rlpy algorithm that was fitted to ``to_d3rlpy(episodes)``: the data say how observations and doses
    are scaled, and under which options it acts."""
    options = {option: value for option, value in episodes.options.items() if option != "cohort"}
    return D3rlpyPolicy(name or f"d3rlpy {type(algo).__name__}", algo, encoding_of(episodes), options)
