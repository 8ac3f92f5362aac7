"""Running normalisation while training, and its frozen statistics afterwards, kept as JSON beside the model."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "NormalisationState", "ObservationScale", "ScaleByName", "normaliser_state", "read_scale", "restore_normaliser", "scale_of",
]  # fmt: skip

NormalisationState = dict[str, Any]
STEADY = 1e-6  # chosen: below this variance a number did not change (a running variance begins at 1 and counts that as 1e-4 of a sample)


@dataclass(frozen=True, kw_only=True)
class ObservationScale:
    """What training had learnt of the observations: each number's mean and variance, and where the normalised ones are cut.

    A number that never changed in training (the age of a reading where none is lost) is held at its mean: the network has learnt
    nothing about it, and divided by a deviation of nearly zero the first change would drown all others.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    epsilon: float
    clip: float

    @cached_property
    def _mean(self) -> npt.NDArray[np.float64]:
        return np.array(self.mean)

    @cached_property
    def _factor(self) -> npt.NDArray[np.float64]:
        variance = np.array(self.variance)
        return np.where(variance < STEADY, 0.0, 1.0 / np.sqrt(variance + self.epsilon))

    def __call__(self, observations: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return observations (n, k) normalised, as training saw them."""
        scaled = (observations - self._mean) * self._factor
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)

    def write(self, path: Path) -> None:
        """Write the statistics; reading them back gives the same numbers to the bit."""
        path.write_text(json.dumps(asdict(self), allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "ObservationScale":
        """Return the statistics that a file holds."""
        return cls(mean=tuple(found["mean"]), variance=tuple(found["variance"]), epsilon=found["epsilon"], clip=found["clip"])


@dataclass(frozen=True, kw_only=True)
class ScaleByName:
    """The same for observations that are dicts of arrays, each of any shape."""

    parts: Mapping[str, ObservationScale]

    def __call__(self, observations: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return observations, (n, ...) each, as training saw them: normalised, but for those that are not (images)."""
        scaled: dict[str, npt.NDArray[Any]] = dict(observations)
        for name, scale in self.parts.items():
            array = observations[name]
            scaled[name] = scale(array.reshape(len(array), -1)).reshape(array.shape)
        return scaled

    def write(self, path: Path) -> None:
        """Write the statistics; reading them back gives the same numbers to the bit."""
        path.write_text(json.dumps(asdict(self), allow_nan=False) + "\n", encoding="utf-8")


def read_scale(path: Path) -> Any:
    """Return the statistics of a file: an ``ObservationScale``, a ``ScaleByName``, or a hospital's ``ScaleByRole``."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if "roles" in found:
        from medsim_agents.multi_agent.role_normalisation import ScaleByRole

        return ScaleByRole.of(found)
    if "parts" in found:
        return ScaleByName(parts={name: ObservationScale.of(part) for name, part in found["parts"].items()})
    return ObservationScale.of(found)


def scale_of(normaliser: Any) -> Any:
    """Return the observation statistics of a ``VecNormalize``: of the kinds that ``read_scale`` returns."""
    if hasattr(normaliser.obs_rms, "parts"):
        from medsim_agents.multi_agent.role_normalisation import scale_by_role

        return scale_by_role(normaliser)

    def scale(statistics: Any) -> ObservationScale:
        return ObservationScale(
            mean=tuple(statistics.mean.reshape(-1).tolist()),
            variance=tuple(statistics.var.reshape(-1).tolist()),
            epsilon=float(normaliser.epsilon),
            clip=float(normaliser.clip_obs),
        )

    if isinstance(normaliser.obs_rms, dict):
        return ScaleByName(parts={name: scale(statistics) for name, statistics in normaliser.obs_rms.items()})
    return scale(normaliser.obs_rms)


CARRIED = ("obs_rms", "ret_rms", "returns", "old_obs", "old_reward")  # what a VecNormalize carries from step to step


def normaliser_state(normaliser: Any) -> NormalisationState:
    """Return all that a ``VecNormalize`` carries from step to step, for ``restore_normaliser``."""
    return {name: getattr(normaliser, name) for name in CARRIED if hasattr(normaliser, name)}


def restore_normaliser(normaliser: Any, state: NormalisationState) -> None:
    """Put a ``VecNormalize`` back to a state."""
    for name, value in state.items():
        setattr(normaliser, name, value)
