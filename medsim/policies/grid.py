"""What an environment's discrete actions mean in doses, and another policy's doses on that grid: with ``chance.Softened``, logged data of
discrete decisions everywhere.

Each dose of the other policy is rounded to the nearest level. What that costs (patients and scores of ``medsim evaluate``, 0 the floor and
1 the ceiling): the Surviving Sepsis protocol falls from 0.90 to 0.63, since the levels of norepinephrine are too far apart to hold a
pressure; glucose's basal-bolus stays at 0.93. To carry the unrounded norepinephrine on in a memory was tried: 0.65, not worth that what is
done no longer follows from what is seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import NamedColumns, Policy
from medsim.registry import make_task
from medsim.treatments.glucose.model import BASAL_MULTIPLES, BOLUS_HOURS
from medsim.treatments.sepsis.definition import FLUID_LEVELS_ML_PER_H, NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN

__all__ = ["GRIDS", "Grid", "OnGrid"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """An environment's grid: levels of each dose, the last one changing fastest with the action's number.

    Args:
        levels: of each dose; order: which of a continuous action's doses each is (None: as they come).
        unit_column: the observation that a level is a multiple of (None: levels are doses).
    """

    levels: tuple[tuple[float, ...], ...]
    order: tuple[int, ...] | None = None
    unit_column: str | None = None

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return int(np.prod([len(one) for one in self.levels]))

    @property
    def columns(self) -> tuple[int, ...]:
        """Which column of the doses each of the levels is of."""
        return self.order or tuple(range(len(self.levels)))

    def units(self, read: Callable[[str], Floats], n: int) -> Floats:
        """Return what levels are multiples of, (n,); ``read``: an observation by its name."""
        return np.ones(n) if self.unit_column is None else read(self.unit_column)

    def doses(self, actions: Array, unit: Floats) -> Floats:
        """Return the doses (n, k) of actions (n,), a level being so many units (n,)."""
        numbers = np.unravel_index(actions, [len(levels) for levels in self.levels])
        found = np.empty((len(actions), len(self.levels)))
        for column, levels, number in zip(self.columns, self.levels, numbers, strict=True):
            found[:, column] = np.array(levels)[number] * unit
        return found

    def nearest(self, doses: Floats, unit: Floats) -> npt.NDArray[np.int64]:
        """Return the number (n,) of the action nearest to doses (n, k), a level being so many units (n,); of two, the lower level."""
        return self.numbered(doses, unit, lambda wanted, levels: np.abs(wanted - levels).argmin(axis=1))

    def below(self, doses: Floats, unit: Floats) -> npt.NDArray[np.int64]:
        """Return the same of the highest levels that are not above the doses; rounding of the last digits is forgiven."""
        return self.numbered(doses, unit, lambda wanted, levels: np.maximum((levels <= wanted * (1.0 + 1e-12)).sum(axis=1) - 1, 0))

    def numbered(self, doses: Floats, unit: Floats, place: Callable[[Floats, Floats], Array]) -> npt.NDArray[np.int64]:
        """Return the number (n,) of the action of doses; ``place``: a dose (n, 1) and its levels (n, m) -> the level's number (n,)."""
        index = np.zeros(len(doses), dtype=np.int64)
        for column, levels in zip(self.columns, self.levels, strict=True):
            index = index * len(levels) + place(doses[:, column, None], np.array(levels) * unit[:, None])
        return index


def sepsis_grid(config: Any) -> Grid:
    """Return fluid and norepinephrine, and before them antibiotics where they are the agent's; raises ValueError for other doses."""
    if config.norepinephrine != "agent" or config.xray == "agent":
        raise ValueError("doses are put on the grid of medsim/Sepsis-v0 where norepinephrine='agent' and no X-rays are ordered")
    pumps = (FLUID_LEVELS_ML_PER_H, NOREPINEPHRINE_LEVELS_MCG_PER_KG_PER_MIN)
    return Grid(levels=((0.0, 1.0), *pumps), order=(2, 0, 1)) if config.antibiotics == "agent" else Grid(levels=pumps)


def glucose_grid(config: Any) -> Grid:
    """Return multiples of the patient's own basal rate, and boluses in hours of it."""
    return Grid(levels=(BASAL_MULTIPLES, BOLUS_HOURS) if config.bolus else (BASAL_MULTIPLES,), unit_column="own_basal_u_per_h")


GRIDS: Mapping[str, Callable[[Any], Grid]] = {"medsim/Sepsis-v0": sepsis_grid, "medsim/Glucose-v0": glucose_grid}


class InDoses:
    """A batch of patients as a policy sees it that orders doses, whatever the batch itself takes."""

    def __init__(self, env: PatientVectorEnv) -> None:
        self.env = env
        self.task = make_task(env.task.id, **{**asdict(env.task.config), "action": "continuous"})
        self.single_action_space = self.task.action_space

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


class OnGrid:
    """Another policy, each of its doses rounded to the nearest level of the environment's grid.

    Args:
        policy: the other one, which orders doses.

    Raises:
        ValueError: when it begins, there is no grid for the environment, or it does not take discrete actions.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.name = f"{policy.name} on the grid"
        self.options: Mapping[str, Any] = {**policy.options, "action": "discrete"}

    def begin(self, env: PatientVectorEnv) -> None:
        """Begin the other policy as if doses could be ordered."""
        if env.task.id not in GRIDS:
            raise ValueError(f"there is no grid for {env.task.id}; there are grids for {', '.join(GRIDS)}")
        if not isinstance(env.single_action_space, spaces.Discrete):
            raise ValueError(f"{self.name} needs action='discrete', not {env.single_action_space}")
        self.grid = GRIDS[env.task.id](env.task.config)
        self.read = NamedColumns(env)
        seen_in_doses: Any = InDoses(env)
        self.policy.begin(seen_in_doses)

    def act(self, observations: Array) -> Array:
        """Return the actions (n,)."""
        unit = self.grid.units(lambda name: self.read(observations, name), len(observations))
        return self.grid.nearest(np.asarray(self.policy.act(observations), dtype=np.float64), unit)
