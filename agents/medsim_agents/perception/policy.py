"""A trained agent that sees through encoders, as a policy that ``medsim.evaluation`` can judge beside any other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.vector import PatientVectorEnv
from medsim_agents.policies import ModelPolicy
from medsim_agents.threads import single_threaded
from medsim_perception.state import PerceivedState

__all__ = ["PerceivedPolicy"]


class PerceivedPolicy(ModelPolicy):
    """A Stable-Baselines3 model that was trained in a ``PerceptionVecWrapper``; ``state`` is what that perceived."""

    reads_observations = False  # but what encoders make of them, which goes on from what was seen before

    def __init__(self, name: str, model: Any, scale: Any, options: Mapping[str, Any], state: PerceivedState) -> None:
        super().__init__(name, model, scale, options)
        self.state = state
        self._last: npt.NDArray[np.float32] | None = None

    def begin(self, env: PatientVectorEnv) -> None:
        """Forget the patients before, and what was seen of them."""
        self._last = None
        super().begin(env)

    def refuse_unless_trained_for(self, env: PatientVectorEnv) -> None:
        """Raise ValueError if the environment does not show what the senses read, or takes other actions."""
        self.state.refuse_unless_readable(env.single_observation_space)
        self.refuse_other_actions(env)

    def act(self, observations: Any) -> npt.NDArray[Any]:
        """Return the actions (n,) or (n, a) for dicts of arrays (n, ...)."""
        with single_threaded():
            self._last = self.state.of(observations, self._last)
        return super().act(self._last)
