"""Trained agents as policies that ``medsim.evaluation`` can judge beside any other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import Policy
from medsim_agents.normalisation import ObservationScale, ScaleByName, read_scale, scale_of
from medsim_agents.run_folder import COMPLETE, MODEL, NORMALISATION, RUN, read_run
from medsim_agents.vec_env import doses_of

__all__ = ["ModelPolicy", "load", "load_policy"]

Array = npt.NDArray[Any]


class ModelPolicy:
    """A Stable-Baselines3 model acting without exploration, on observations scaled as in training; one with memory keeps it."""

    def __init__(self, name: str, model: Any, scale: ObservationScale | ScaleByName | None, options: Mapping[str, Any]) -> None:
        self.name, self.model, self.scale, self.options = name, model, scale, options
        self.memory: Any = None
        self.starts: npt.NDArray[np.bool_] | None = None
        self.doses: spaces.Box | None = None

    @property
    def memoryless(self) -> bool:
        """Whether its action follows from the observation alone: exact values are computed for such policies."""
        return not hasattr(self.model.policy, "lstm_actor")

    @classmethod
    def of_model(cls, training: Any, model: Any) -> "ModelPolicy":
        """Return the policy that a model in training has now."""
        normaliser = model.get_vec_normalize_env()
        scale = scale_of(normaliser) if normaliser is not None and normaliser.norm_obs else None
        return cls(training.algorithm, model, scale, training.options)

    def begin(self, env: PatientVectorEnv) -> None:
        """Forget the patients before."""
        self.memory = None
        self.refuse_unless_trained_for(env)
        doses = env.single_action_space
        self.doses = doses if isinstance(doses, spaces.Box) and self.model.action_space != doses else None  # else as the model has them
        self.starts = np.ones(env.num_envs, dtype=np.bool_)

    def refuse_unless_trained_for(self, env: PatientVectorEnv) -> None:
        """Raise ValueError if observations or actions are not those that the model was trained with."""
        here, there = env.single_observation_space, self.model.observation_space
        if type(here) is not type(there) or here.shape != there.shape:
            raise ValueError(f"{self.name} was trained on other observations ({there}) than {env.task.id} gives here ({here})")
        acts, learnt = env.single_action_space, self.model.action_space
        if type(acts) is not type(learnt) or acts.shape != learnt.shape or getattr(acts, "n", 0) != getattr(learnt, "n", 0):
            raise ValueError(f"{self.name} was trained for other actions ({learnt}) than {env.task.id} takes here ({acts})")

    def act(self, observations: Any) -> Array:
        """Return the actions (n,) or (n, a) for observations (n, k), or a dict of arrays (n, ...)."""
        seen = observations if self.scale is None else self.scale(observations)
        actions, self.memory = self.model.predict(seen, state=self.memory, episode_start=self.starts, deterministic=True)
        self.starts = np.zeros(len(actions), dtype=np.bool_)
        return np.asarray(actions) if self.doses is None else doses_of(actions, self.doses)


def load_policy(folder: str | Path) -> ModelPolicy:
    """Return the policy of a finished training's run folder; it carries the environment options that it acts under.

    Raises:
        ValueError: the folder is no run folder, or its training has not finished.
    """
    from medsim_agents.construction import load_model

    folder = Path(folder)
    if not (folder / RUN).is_file():
        raise ValueError(f"{folder} is not a training's run folder: it has no {RUN}")
    run = read_run(folder)
    if run["status"] != COMPLETE:
        raise ValueError(f"the training in {folder} has not finished; go on with: {run['command']}")
    training = run["training"]
    model = load_model(training["algorithm"], folder / MODEL)
    scale = read_scale(folder / NORMALISATION) if (folder / NORMALISATION).is_file() else None
    options = {name: value for name, value in training["options"].items() if name != "cohort"}
    return ModelPolicy(training["algorithm"], model, scale, options)


def load(spec: str) -> Policy | None:
    """Return the policy of a run folder, or None if ``spec`` names none (entry point of ``medsim.policy_loaders``).

    Raises:
        ValueError: it is a run folder whose training has not finished.
    """
    return load_policy(spec) if (Path(spec) / RUN).is_file() else None
