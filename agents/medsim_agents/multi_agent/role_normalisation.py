"""Running normalisation of a policy that several roles share: each role's numbers by their own statistics.

The third number that an emergency department sees is another thing than the third that an intensive care unit sees; one mean over both
would drown the smaller of the two.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from medsim_agents.multi_agent.views import View
from medsim_agents.normalisation import ObservationScale

__all__ = ["MeanStdByRole", "ScaleByRole", "VecNormalizeByRole", "scale_by_role"]

Array = npt.NDArray[Any]


class MeanStdByRole(RunningMeanStd):
    """Means and variances of the first columns of rows, for each role its own; the columns behind them say whose a row is."""

    def __init__(self, view: View) -> None:
        super().__init__(shape=view.space.shape)
        self.numbers, self.roles = view.numbers, view.roles
        self.marked = len(view.roles) > 1
        self.parts = [RunningMeanStd(shape=(view.numbers,)) for _ in view.roles]

    def role_of(self, rows: Array) -> npt.NDArray[np.intp]:
        """Return the role's number of each row."""
        return roles_of(rows, self.numbers, len(self.roles))

    def update(self, arr: Array) -> None:
        """Count rows (m, columns)."""
        of = self.role_of(arr)
        for number, part in enumerate(self.parts):
            its = arr[of == number, : self.numbers]
            if len(its):
                part.update(its)


def roles_of(rows: Array, numbers: int, roles: int) -> npt.NDArray[np.intp]:
    """Return the role's number of each row: which of the columns behind the numbers is 1, where there are several roles."""
    return np.argmax(rows[:, numbers : numbers + roles], axis=1) if roles > 1 else np.zeros(len(rows), dtype=np.intp)


class VecNormalizeByRole(VecNormalize):
    """SB3's ``VecNormalize`` around hospitals, with statistics by role; the columns that say who is asked stay as they are."""

    def __init__(self, venv: Any, **settings: Any) -> None:
        super().__init__(venv, **settings)
        if self.norm_obs:
            self.obs_rms: Any = MeanStdByRole(venv.view)

    def _normalize_obs(self, obs: Array, obs_rms: Any) -> Array:
        rows = np.atleast_2d(obs)
        of = obs_rms.role_of(rows)
        mean, variance = (np.stack([getattr(part, name) for part in obs_rms.parts])[of] for name in ("mean", "var"))
        out = rows.astype(np.float64)
        scaled = (out[:, : obs_rms.numbers] - mean) / np.sqrt(variance + self.epsilon)
        out[:, : obs_rms.numbers] = np.clip(scaled, -self.clip_obs, self.clip_obs)
        return out.reshape(np.shape(obs))

    def _unnormalize_obs(self, obs: Array, obs_rms: Any) -> Array:
        rows = np.atleast_2d(obs)
        of = obs_rms.role_of(rows)
        mean, variance = (np.stack([getattr(part, name) for part in obs_rms.parts])[of] for name in ("mean", "var"))
        out = rows.astype(np.float64)
        out[:, : obs_rms.numbers] = out[:, : obs_rms.numbers] * np.sqrt(variance + self.epsilon) + mean
        return out.reshape(np.shape(obs))


@dataclass(frozen=True, kw_only=True)
class ScaleByRole:
    """What training had learnt of each role's numbers, kept as JSON beside the model. Of ``numbers`` columns; those behind stay."""

    numbers: int
    roles: Mapping[str, ObservationScale]

    def __call__(self, rows: Array) -> npt.NDArray[np.float32]:
        """Return rows (m, columns) normalised, as training saw them."""
        if len(self.roles) == 1 and rows.shape[1] == self.numbers:
            return next(iter(self.roles.values()))(rows)
        out = rows.astype(np.float32)
        of = roles_of(rows, self.numbers, len(self.roles))
        for number, scale in enumerate(self.roles.values()):
            its = of == number
            if its.any():
                out[its, : self.numbers] = scale(rows[its, : self.numbers])
        return out

    def write(self, path: Path) -> None:
        """Write the statistics; reading them back gives the same numbers to the bit."""
        path.write_text(json.dumps(asdict(self), allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "ScaleByRole":
        """Return the statistics that a file holds."""
        return cls(numbers=found["numbers"], roles={role: ObservationScale.of(part) for role, part in found["roles"].items()})


def scale_by_role(normaliser: Any) -> ScaleByRole:
    """Return the observation statistics of a ``VecNormalizeByRole``."""
    statistics = normaliser.obs_rms
    return ScaleByRole(
        numbers=statistics.numbers,
        roles={
            role: ObservationScale(
                mean=tuple(part.mean.tolist()),
                variance=tuple(part.var.tolist()),
                epsilon=float(normaliser.epsilon),
                clip=float(normaliser.clip_obs),
            )
            for role, part in zip(statistics.roles, statistics.parts, strict=True)
        },
    )
