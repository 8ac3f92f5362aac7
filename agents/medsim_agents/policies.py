"""Trained agents as policies that ``medsim.evaluation`` can judge beside any other."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from medsim.core.vector import PatientVectorEnv
from medsim.hospital.policy import HospitalPolicy
from medsim.policies.policy import Draws, Policy
from medsim.policies.table import load_table
from medsim.registry import is_hospital, make_task
from medsim_agents.algorithms import algorithm
from medsim_agents.construction import FROZEN, load_model
from medsim_agents.normalisation import read_scale, scale_of
from medsim_agents.option_files import refuse_if_changed
from medsim_agents.run_folder import NORMALISATION, RUN, TABLE, part_of, read_finished
from medsim_agents.threads import single_threaded
from medsim_agents.vec_env import doses_of

__all__ = ["DrawnPolicy", "ModelPolicy", "load", "load_policy", "policy_in_training"]

Array = npt.NDArray[Any]
DRAWN_STREAM = 1_000_010  # a stream of its own, away from the models' purposes and from other policies'


class ModelPolicy:
    """A Stable-Baselines3 model acting without exploration, on observations scaled as in training; one with memory keeps it."""

    reads_observations: ClassVar[bool] = True  # as they come, and nothing else, so that its critic can be asked about them

    def __init__(self, name: str, model: Any, scale: Any, options: Mapping[str, Any]) -> None:
        self.name, self.model, self.scale, self.options = name, model, scale, options
        self.memory: Any = None
        self.starts: npt.NDArray[np.bool_] | None = None
        self.doses: spaces.Box | None = None

    @property
    def memoryless(self) -> bool:
        """Whether its action follows from the observation alone: exact values are computed for such policies."""
        return not hasattr(self.model.policy, "lstm_actor")

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
        self.refuse_other_actions(env)

    def refuse_other_actions(self, env: PatientVectorEnv) -> None:
        """Raise ValueError if actions are not those that the model was trained with."""
        acts, learnt = env.single_action_space, self.model.action_space
        if type(acts) is not type(learnt) or acts.shape != learnt.shape or getattr(acts, "n", 0) != getattr(learnt, "n", 0):
            raise ValueError(f"{self.name} was trained for other actions ({learnt}) than {env.task.id} takes here ({acts})")

    def act(self, observations: Any) -> Array:
        """Return the actions (n,) or (n, a) for observations (n, k), or a dict of arrays (n, ...)."""
        seen = observations if self.scale is None else self.scale(observations)
        with single_threaded():
            actions, self.memory = self.model.predict(seen, state=self.memory, episode_start=self.starts, deterministic=True)
        self.starts = np.zeros(len(actions), dtype=np.bool_)
        return np.asarray(actions) if self.doses is None else doses_of(actions, self.doses)

    @property
    def values(self) -> Callable[[Any], npt.NDArray[np.float64]]:
        """A function from observations to what the model's own critic says is to come, (n,), in units of what it learnt from.

        Raises:
            AttributeError: there is no critic, or it needs more than an observation: ``hasattr`` is false then.
        """
        from medsim_agents.critics import critic_of

        critic = critic_of(self.model) if self.reads_observations else None
        if critic is None:
            raise AttributeError(f"{self.name} has no critic that can be asked about observations alone")

        def values(observations: Any) -> npt.NDArray[np.float64]:
            seen = observations if self.scale is None else self.scale(observations)
            with torch.no_grad(), single_threaded():
                return np.asarray(critic(seen).cpu().numpy(), dtype=np.float64)

        return values


class DrawnPolicy(ModelPolicy):
    """A model with discrete actions that draws them by the probabilities that it has learnt: the same patient and step, the same draw.

    The best policy within limits on costs decides by chance (Altman, Constrained Markov Decision Processes, 1999): of what was learnt the
    likeliest actions alone are another policy, which may break a limit that the whole keeps.
    """

    def begin(self, env: PatientVectorEnv) -> None:
        """Remember who the patients are."""
        super().begin(env)
        self.draws = Draws(env, DRAWN_STREAM)

    def probabilities(self, observations: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each action, (n, actions)."""
        seen = observations if self.scale is None else self.scale(observations)
        with single_threaded():
            distribution = self.model.policy.get_distribution(self.model.policy.obs_to_tensor(seen)[0]).distribution
        found = distribution.probs.detach().numpy().astype(np.float64)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def act(self, observations: Any) -> Array:
        """Return the actions (n,)."""
        return self.decide(observations)[0]

    def decide(self, observations: Any) -> tuple[Array, npt.NDArray[np.float64]]:
        """Return the actions (n,) and their probabilities (n,)."""
        chances = self.probabilities(observations)
        actions = np.minimum((chances.cumsum(axis=1) < self.draws()[:, :1]).sum(axis=1), chances.shape[1] - 1)
        return actions, chances[np.arange(len(actions)), actions]

    def likelihood(self, observations: Any, actions: Array) -> npt.NDArray[np.float64]:
        """Return the probabilities (n,) of actions (n,)."""
        self.draws.step += 1
        return self.probabilities(observations)[np.arange(len(actions)), actions]


def scale_in_training(model: Any) -> Any:
    """Return the observation statistics that a model in training has now, or None if it has none."""
    normaliser = model.get_vec_normalize_env()
    return scale_of(normaliser) if normaliser is not None and normaliser.norm_obs else None


def policy_in_training(training: Any, model: Any) -> Any:
    """Return the policy that a model in training has now: a ``ModelPolicy``, or a hospital's ``HospitalModelPolicy``."""
    scale = scale_in_training(model)
    if not is_hospital(training.env):
        return treatment_policy(training.algorithm, training.env, model, scale, training.options, training.hyperparameters)
    return hospital_policy(training.algorithm, training.env, training.options, {None: (model, scale)})


def treatment_policy(
    name: str, env_id: str, model: Any, scale: Any, options: Mapping[str, Any], hyperparameters: Mapping[str, Any]
) -> ModelPolicy:
    """Return a treatment's ``ModelPolicy``: one that sees through encoders, if the model was trained so."""
    if algorithm(name).budgets:
        from medsim_agents.saute import SautePolicy

        return SautePolicy(name, model, scale, options)
    if hyperparameters.get("perception") != FROZEN:
        drawn = algorithm(name).constraints and isinstance(model.action_space, spaces.Discrete)
        return (DrawnPolicy if drawn else ModelPolicy)(name, model, scale, options)
    from medsim_agents.perception import PerceivedPolicy, state_for

    return PerceivedPolicy(name, model, scale, options, state_for(make_task(env_id, **options).observation_space()))


def hospital_policy(name: str, env_id: str, options: Mapping[str, Any], models: Mapping[str | None, tuple[Any, Any]]) -> Any:
    """Return a ``HospitalModelPolicy`` of models and their scales by role; the role None: one for all."""
    from medsim_agents.multi_agent.acting import HospitalModelPolicy, ModelActs

    masks = algorithm(name).masks
    parts = {role: ModelActs(model, scale, role=role, masks=masks) for role, (model, scale) in models.items()}
    roles = make_task(env_id, **options).actions
    return HospitalModelPolicy(name, {role: parts[role if role in parts else None] for role in roles}, options, env_id)


def load_policy(folder: str | Path) -> Any:
    """Return the policy of a finished training's run folder; it carries the environment options that it acts under.

    Of a treatment it is a ``ModelPolicy``, or a ``TablePolicy``, for ``medsim.evaluation``; of a hospital a ``HospitalModelPolicy``, for
    ``medsim.hospital.evaluation``.

    Raises:
        ValueError: the folder is no run folder, its training has not finished, or a file that its options name is gone or has changed.
    """
    folder = Path(folder)
    run = read_finished(folder)
    refuse_if_changed(run, folder)
    training = run["training"]
    name, env_id = training["algorithm"], training["env"]
    options = {option: value for option, value in training["options"].items() if option != "cohort"}
    if algorithm(name).tabular:
        table = load_table(folder / TABLE, env_id)
        table.name = name
        return table

    def saved(role: str | None) -> tuple[Any, Any]:
        normalisation = folder / part_of(NORMALISATION, role)
        model = load_model(name, folder / part_of(algorithm(name).model_file, role))
        return model, read_scale(normalisation) if normalisation.is_file() else None

    if not is_hospital(env_id):
        return treatment_policy(name, env_id, *saved(None), options, training["hyperparameters"])
    by_role = training["hyperparameters"].get("sharing") == "role"
    roles: list[str | None] = list(make_task(env_id, **options).actions) if by_role else [None]
    return hospital_policy(name, env_id, options, {role: saved(role) for role in roles})


def load(spec: str) -> Policy | HospitalPolicy | None:
    """Return the policy of a run folder, or None if ``spec`` names none (entry point of ``medsim.policy_loaders``).

    Raises:
        ValueError: it is a run folder whose training has not finished.
    """
    found: Policy | HospitalPolicy | None = load_policy(spec) if (Path(spec) / RUN).is_file() else None
    return found
