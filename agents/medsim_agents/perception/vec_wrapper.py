"""A batch of patients for Stable-Baselines3, seen through frozen encoders."""

from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from medsim_agents.threads import single_threaded
from medsim_perception.state import PerceivedState

__all__ = ["PerceptionVecWrapper"]

Array = npt.NDArray[Any]


class PerceptionVecWrapper(VecEnvWrapper):
    """Observations are perceived states, (n, numbers): encoders read all patients at once, and each picture once.

    The rollout buffer then holds rows of numbers instead of images and charts, and the policy is a small network of them.

    Args:
        venv: a ``MedsimVecEnv`` with ``observation="multimodal"`` (or ``"ehr"``, if no sense reads images); state: how it is perceived.

    Raises:
        ValueError: the environment does not show what the senses read.
    """

    def __init__(self, venv: VecEnv, state: PerceivedState) -> None:
        state.refuse_unless_readable(venv.observation_space)
        super().__init__(venv, observation_space=state.space)
        self.state = state
        self._last: npt.NDArray[np.float32] | None = None

    def reset(self) -> npt.NDArray[np.float32]:
        """Begin an episode of every patient; returns the perceived states, (n, numbers)."""
        observations: Any = self.venv.reset()
        self._last = None
        return self._perceived(observations)

    def step_wait(self) -> tuple[npt.NDArray[np.float32], Array, Array, list[dict[str, Any]]]:
        """Step; in the infos of those who ended, ``terminal_observation`` is perceived too."""
        observations, rewards, ended, infos = self.venv.step_wait()
        if ended.any():
            infos = self._with_perceived_ends(infos, np.flatnonzero(ended))
        return self._perceived(observations), rewards, ended, infos

    def _perceived(self, observations: Any) -> npt.NDArray[np.float32]:
        with single_threaded():
            self._last = self.state.of(observations, self._last)
        return self._last.copy()

    def _with_perceived_ends(self, infos: list[dict[str, Any]], ended: npt.NDArray[np.intp]) -> list[dict[str, Any]]:
        assert self._last is not None
        finals = [infos[i]["terminal_observation"] for i in ended]
        together = {name: np.stack([final[name] for final in finals]) for name in finals[0]}
        with single_threaded():
            rows = self.state.of(together, self._last[ended])
        changed = list(infos)
        for i, row in zip(ended.tolist(), rows, strict=True):
            changed[i] = {**infos[i], "terminal_observation": row}
        return changed

    def snapshot(self) -> dict[str, Array]:
        """Return a copy of everything that the episodes' course depends on, and of what was perceived last, for ``restore``."""
        assert self._last is not None
        return {**self.venv.snapshot(), "perceived": self._last.copy()}  # type: ignore[attr-defined]

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Return to a snapshot."""
        self.venv.restore(snapshot)  # type: ignore[attr-defined]
        self._last = snapshot["perceived"].copy()
