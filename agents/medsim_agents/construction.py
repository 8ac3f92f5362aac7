"""From settings to what learns: the batch of patients, normalised, and the algorithm's model."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from medsim.registry import is_hospital, make_task
from medsim_agents.algorithms import Algorithm, algorithm
from medsim_agents.device import device_of
from medsim_agents.hyperparameters import TRAINING
from medsim_agents.schedules import follow, scheduled
from medsim_agents.vec_env import make_vec_env

__all__ = ["build_environment", "build_model", "load_model", "model_arguments", "normalised"]

FROZEN, FINE_TUNED = "frozen", "fine-tuned"  # how observations are perceived
OF_THE_POLICY = ("net_arch", "activation", "log_std_init", "lstm_hidden_size", "n_quantiles")
TRANSLATED = ("learning_rate", "learning_rate_final", "clip_range", "ent_coef", "exploration_rate", "action_noise_sd", *OF_THE_POLICY)


def build_environment(name: str, env_id: str, seed: int, options: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> Any:
    """Return the patients for an algorithm to train on, within SB3's ``VecNormalize`` if observations or rewards are to be normalised."""
    told = {**options, **hyperparameters.get("env_options", {})}
    if is_hospital(env_id):
        from medsim_agents.multi_agent.decisions import TRAINING_SLOT, DecisionVecEnv

        task = make_task(env_id, **told)
        return normalised(DecisionVecEnv(task, hyperparameters["n_envs"], seed=seed, first_slot=TRAINING_SLOT), hyperparameters)
    # on-policy algorithms explore with a spread of one in the action's own units; the others scale actions themselves
    env: Any = make_vec_env(env_id, hyperparameters["n_envs"], seed=seed, unit_actions=algorithm(name).on_policy, **told)
    if hyperparameters.get("perception") == FROZEN:
        from medsim_agents.perception import PerceptionVecWrapper, state_for

        env = PerceptionVecWrapper(env, state_for(env.observation_space))
    if algorithm(name).budgets:
        from medsim_agents.saute import SauteVecEnv

        env = SauteVecEnv(env, **{key: hyperparameters[key] for key in ("cost_limits", "unsafe_reward") if key in hyperparameters})
    return normalised(env, hyperparameters)


def normalised(env: Any, hyperparameters: Mapping[str, Any]) -> Any:
    """Return an environment within SB3's ``VecNormalize``, if settings say so; hospitals' observations by role."""
    from stable_baselines3.common.vec_env import VecNormalize

    of_observations, of_rewards = hyperparameters.get("normalise_observations", True), hyperparameters.get("normalise_rewards", True)
    of_observations = of_observations and not isinstance(env.observation_space, spaces.Discrete)  # a code is no quantity
    of_observations = of_observations and hyperparameters.get("perception") != FINE_TUNED  # encoders read plain units
    if not of_observations and not of_rewards:
        return env
    kind: Any = VecNormalize
    if hasattr(env, "view"):
        from medsim_agents.multi_agent.role_normalisation import VecNormalizeByRole

        kind = VecNormalizeByRole
    keys = {"norm_obs_keys": numeric_names(env.observation_space)} if isinstance(env.observation_space, spaces.Dict) else {}
    return kind(
        env,
        **keys,
        norm_obs=of_observations,
        norm_reward=of_rewards,
        gamma=hyperparameters.get("gamma", 0.99),
        clip_reward=hyperparameters.get("clip_reward", 10.0),
    )


def numeric_names(space: spaces.Dict) -> list[str]:
    """Return the arrays of observations that can be normalised: all but images, whose scale a policy knows."""
    return [name for name, part in space.spaces.items() if not (part.dtype == np.uint8 and len(part.shape or ()) == 3)]


def build_model(name: str, env: Any, seed: int, hyperparameters: Mapping[str, Any], **policy: Any) -> Any:
    """Return an untrained model of an algorithm; ``policy``: more arguments of its policy, such as a features extractor."""
    one = algorithm(name)
    arguments = model_arguments(one, hyperparameters, env.action_space)
    if hyperparameters.get("perception") == FINE_TUNED:
        from medsim_agents.perception import ClinicalExtractor, state_for

        told = {"state": state_for(env.observation_space)}
        policy = {"features_extractor_class": ClinicalExtractor, "features_extractor_kwargs": told, **policy}
    arguments["policy_kwargs"] |= policy
    model = one.load()(one.policy_for(env.observation_space), env, seed=seed, device=device_of(hyperparameters), **arguments)
    return follow(model, hyperparameters)


def load_model(name: str, file: Path | io.BytesIO, env: Any = None, device: str = "cpu") -> Any:
    """Return a saved model: to go on training in ``env``, or, without one, to act only."""
    one = algorithm(name)
    if one.offline:
        from medsim_agents.offline import load

        return load(file)
    # the class remembers the kind of its replay buffer, takes that for a choice of ours, and warns; and acting needs no buffer
    changes: dict[str, Any] = {} if one.on_policy else {"replay_buffer_class": None, **({} if env is not None else {"buffer_size": 1})}
    return one.load().load(file, env=env, device=device, force_reset=False, **changes)


def model_arguments(one: Algorithm, hyperparameters: Mapping[str, Any], space: spaces.Space[Any]) -> dict[str, Any]:
    """Return the keyword arguments of an algorithm's class for settings: schedules, networks and noise made from their numbers."""
    arguments = {key: value for key, value in hyperparameters.items() if key not in TRAINING and key not in TRANSLATED}
    if "learning_rate" in hyperparameters:
        arguments["learning_rate"] = learning_rate(hyperparameters)
    if "clip_range" in hyperparameters:
        arguments["clip_range"] = scheduled(hyperparameters, "clip_range") or hyperparameters["clip_range"]
    if "ent_coef" in hyperparameters:
        schedule = scheduled(hyperparameters, "ent_coef")
        arguments["ent_coef"] = hyperparameters["ent_coef"] if schedule is None else schedule.first
    network = {key: hyperparameters[key] for key in OF_THE_POLICY if key in hyperparameters}
    if "activation" in network:
        network["activation_fn"] = activation(network.pop("activation"))
    # fused: one kernel for a step of Adam instead of a hundred, which saves 10-30 % of a small network's update
    arguments["policy_kwargs"] = {**network, "optimizer_kwargs": {"eps": one.adam_epsilon, "fused": True}}
    if hyperparameters.get("action_noise_sd"):
        from stable_baselines3.common.noise import NormalActionNoise

        size = space.shape or (1,)
        arguments["action_noise"] = NormalActionNoise(np.zeros(size), np.full(size, hyperparameters["action_noise_sd"]))
    return arguments


def learning_rate(hyperparameters: Mapping[str, Any]) -> Any:
    """Return a learning rate: its schedule, or the straight line to ``learning_rate_final`` over the training, or one number."""
    from stable_baselines3.common.utils import LinearSchedule

    schedule = scheduled(hyperparameters, "learning_rate")
    if schedule is not None:
        return schedule

    first = float(hyperparameters["learning_rate"])
    final = float(hyperparameters.get("learning_rate_final", first))
    return first if final == first else LinearSchedule(first, final, 1.0)


def activation(name: str) -> Any:
    """Return a torch activation by name.

    Raises:
        ValueError: it is neither tanh nor relu.
    """
    from torch import nn

    kinds = {"tanh": nn.Tanh, "relu": nn.ReLU}
    if name not in kinds:
        raise ValueError(f"activation must be one of {', '.join(kinds)}, not {name!r}")
    return kinds[name]
