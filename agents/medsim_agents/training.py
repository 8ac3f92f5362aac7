"""Training one agent into a run folder, with checkpoints: stop it at any time, and the same call goes on where it was."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsim.registry import is_hospital, make_task
from medsim_agents.algorithms import algorithm, suited_options
from medsim_agents.device import device_of
from medsim_agents.hyperparameters import Origin, check_hyperparameters, load_hyperparameters, origin_of, read_settings, settings_of_role
from medsim_agents.threads import single_threaded

__all__ = ["Training", "plan_training", "train"]

VALIDATION_PATIENTS, VALIDATION_EPISODES = 64, 16  # chosen: a point of the curve takes seconds
ROUNDS = 5  # chosen: each role learns this often, the others as they are by then
VALIDATION_SEED = 990_001  # chosen: patients of the train cohort on whom the learning curve is measured; no training is keyed by it
CHECKPOINT_EVERY_S = 60.0  # chosen: a minute's work is the most that a killed process repeats


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is to be trained; ``plan_training`` makes one with every setting checked.

    Args:
        hyperparameters: all settings, with ``steps`` and ``n_envs``; options: of the environment.
        validation_patients: whom the learning curve is measured on (of hospitals: how many episodes); curve_points: how often, beside
            the start.
        begins_with: of a continuation: the ``run`` folder whose policy it begins with, and the ``sha256`` of that.
        origin: where the settings come from; it decides nothing, and is recorded.
    """

    env: str
    algorithm: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    validation_patients: int = 64
    curve_points: int = 25
    begins_with: Mapping[str, str] | None = None
    origin: Origin | None = field(default=None, compare=False)

    def plan(self) -> dict[str, Any]:
        """Return as plain data what decides the result."""
        return {name: value for name, value in vars(self).items() if name != "origin" and (name != "begins_with" or value is not None)}


def plan_training(env_id: str, algorithm_name: str, *, seed: int = 0, options: Mapping[str, Any] | None = None,
                  validation_patients: int | None = None, curve_points: int = 25, config: str | Path | None = None,
                  **changes: Any) -> Training:  # fmt: skip
    """Return a training with an environment's tuned settings, but for the changes given.

    Args:
        validation_patients: None: 64, and 16 episodes of a hospital.
        config: a file of settings in place of the environment's own, such as one that ``medsim tune`` wrote.

    Raises:
        ValueError: no such environment or algorithm, they do not go together, or a setting or option is not allowed.
    """
    check_hyperparameters(changes, algorithm_name, f"settings of {algorithm_name}")
    if is_hospital(env_id):  # before settings are looked for that it cannot have
        suited_options(algorithm_name, env_id, options, changes.get("sharing", "shared"))
        refuse_unless_roles(env_id, options or {}, changes.get("of_role", {}))
    sharing = changes.get("sharing", "shared")
    theirs = load_hyperparameters(env_id, algorithm_name, sharing) if config is None else read_settings(config, algorithm_name, sharing)
    settings = {**sharing_of(env_id, changes), **theirs, **changes}
    device_of(settings)
    tuned_for = settings.pop("action", None)
    given = {**({"action": tuned_for} if tuned_for else {}), **(options or {})}
    if algorithm(algorithm_name).offline:
        from medsim_agents.offline.data import plan_data

        given, settings = plan_data(env_id, given, settings)
    suited = suited_options(algorithm_name, env_id, given, settings.get("sharing", "shared"))
    algorithm(algorithm_name).refuse_unless_limits_suit(make_task(env_id, **suited), settings.get("cost_limits"))
    if suited.get("cohort") == "test":
        raise ValueError("option cohort must not be 'test' in training: those patients are kept for evaluation")
    if "perception" in settings:
        if algorithm(algorithm_name).budgets:
            raise ValueError(f"{algorithm_name} shows budgets beside plain observations: leave perception out")
        from medsim_agents.perception import refuse_unless_perceivable

        refuse_unless_perceivable(settings["perception"], env_id, suited)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, not {seed!r}")
    for name in ("steps", "n_envs", "rounds"):
        if settings.get(name, 1) < 1:
            raise ValueError(f"{name} must be 1 or more, not {settings[name]}")
    for role in settings.get("of_role", {}):
        n = settings_of_role(settings, role)["n_envs"]
        if n < 1:
            raise ValueError(f"n_envs of {role} must be 1 or more, not {n}")
    return Training(
        env=env_id,
        algorithm=algorithm_name,
        seed=seed,
        options=suited,
        hyperparameters=settings,
        validation_patients=validation_patients or (VALIDATION_EPISODES if is_hospital(env_id) else VALIDATION_PATIENTS),
        curve_points=curve_points,
        origin=origin_of(env_id, algorithm_name, settings, config),
    )


def sharing_of(env_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default of how a hospital's roles learn; of other environments nothing.

    Raises:
        ValueError: the environment is no hospital, and a change says how roles learn.
    """
    if is_hospital(env_id):
        for name in ("of_role", "gamma_h"):
            if name in changes and changes.get("sharing") != "role":
                raise ValueError(f"{name} is a setting of policies by role: it goes with sharing=role")
        return {"rounds": ROUNDS} if changes.get("sharing") == "role" else {}
    for name in ("sharing", "rounds", "of_role", "gamma_h"):
        if name in changes:
            raise ValueError(f"{name} is a setting of hospitals, and {env_id} is none")
    return {}


def refuse_unless_roles(env_id: str, options: Mapping[str, Any], of_role: Mapping[str, Any]) -> None:
    """Raise ValueError if settings are meant for a role that a hospital lacks."""
    roles = make_task(env_id, **options).actions if of_role else {}
    for role in of_role:
        if role not in roles:
            raise ValueError(f"of_role: {env_id} has no role {role!r}; there are {', '.join(roles)}")


def train(training: Training, folder: str | Path, progress: Callable[[int], None] | None = None, *,
          checkpoint_every_s: float = CHECKPOINT_EVERY_S, command: str | None = None,
          looked: Callable[[Mapping[str, float]], None] | None = None) -> Path:  # fmt: skip
    """Train an agent, or go on training it, and return its run folder.

    The folder then holds ``run.json`` (all that is needed to run it again), ``model.zip``, ``normalisation.json`` and ``curve.csv``; of a
    hospital whose roles learn each its own policy, ``model-ROLE.zip`` and ``normalisation-ROLE.json``; of an offline algorithm
    ``model.safetensors``, which holds its normalisation; of a table, ``policy.npz``.
    While it trains, ``checkpoint.pkl`` holds its state; a training that was interrupted and went on ends with the same weights to
    the bit as one that was not. Interrupt (Ctrl-C) once and it stops after the rollout at hand, with a checkpoint. A table, which is
    learnt in seconds, has no checkpoint and begins anew.

    Args:
        progress: called with the number of environment steps made since the last call.
        checkpoint_every_s: seconds between checkpoints; command: what to type to run it again (for the record).
        looked: called with each point of the learning curve (not where each role learns its own policy); what it raises ends the training.

    Raises:
        ValueError: the folder holds another training, or a file that the options name is gone or has changed.
        TrainingInterrupted: it was told to stop; the same call goes on.
    """
    from medsim_agents.learning import Looker, TrainingInterrupted, interruptible
    from medsim_agents.run_folder import RunFolder

    run = RunFolder(Path(folder), training)
    if run.begin(command):
        return run.path
    if algorithm(training.algorithm).tabular:
        from medsim_agents.tabular import train_table

        train_table(training, run, progress)
        return run.path
    with single_threaded(), interruptible() as asked_to_stop:
        if training.hyperparameters.get("sharing") == "role":
            from medsim_agents.multi_agent.alternation import train_roles

            train_roles(training, run, asked_to_stop, progress)
            return run.path
        if algorithm(training.algorithm).offline:
            from medsim_agents.offline.training import train_offline

            train_offline(training, run, asked_to_stop, progress, checkpoint_every_s)
            return run.path
        model, course = prepare(training, run)
        if progress is not None and model.num_timesteps:
            progress(model.num_timesteps)
        looker = Looker(training, run, course, checkpoint_every_s, asked_to_stop, progress, looked)
        remaining = training.hyperparameters["steps"] - model.num_timesteps
        more = algorithm(training.algorithm).learning_arguments(model.env)
        model.learn(max(remaining, 0), callback=looker, reset_num_timesteps=False, log_interval=None, **more)
        looker.look_for_the_last_time()
        run.finish({None: model}, course)
        if asked_to_stop():
            raise TrainingInterrupted("stopped after the last step: this training is complete")
    return run.path


def prepare(training: Training, run: Any) -> tuple[Any, Any]:
    """Return the model at the point where training goes on, and the course so far."""
    from medsim_agents.checkpoint import Course, read_checkpoint, restore_model
    from medsim_agents.construction import build_environment, build_model
    from medsim_agents.schedules import follow

    env = build_environment(training.algorithm, training.env, training.seed, training.options, training.hyperparameters)
    if run.checkpoint.is_file():
        content = read_checkpoint(run.checkpoint)
        model = restore_model(content, training.algorithm, env, device_of(training.hyperparameters))
        return follow(model, training.hyperparameters), content["course"]
    model = build_model(training.algorithm, env, training.seed, training.hyperparameters)
    if training.begins_with is not None:
        from medsim_agents.continuation import begin_with

        begin_with(model, training)
    return model, Course()


def default_folder(training: Training) -> Path:
    """Return where a training goes when nothing else is said: ``runs/glucose-v0-ppo-seed0``."""
    return Path("runs") / f"{training.env.partition('/')[2].lower()}-{training.algorithm}-seed{training.seed}"


def seconds_now() -> tuple[float, float]:
    """Return seconds on the clock and of this process's processor time, to take differences of."""
    used = os.times()
    return time.monotonic(), used.user + used.system
