"""A policy for each role of a hospital: in rounds, each role learns on its own clock while the others act by their latest policies.

This is also how a hierarchy is trained: a manager, asked every few hours, learns among units that act in between, and the units learn under
what the manager has set. A training is a chain of segments (round by round, role by role). A segment is a function of the policies at its
start and of its number, so a training that is stopped, or killed, goes on with the segment at hand from its start and ends with the same
weights to the bit. A segment begins with new episodes. Rows wait for the slowest, so a step of a role that is asked once in hundreds of
decisions costs as many turns of the others however many rows there are: such a role wants many rows (``of_role``).
"""

import io
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from medsim.hospital.batch import DecisionBatch, make_decision_batch, play_batch
from medsim.hospital.policy import RandomHospitalPolicy
from medsim.hospital.task import HospitalTask
from medsim.registry import make_task
from medsim_agents.algorithms import algorithm
from medsim_agents.checkpoint import Course, read_checkpoint, write_state
from medsim_agents.construction import build_model, load_model, normalised
from medsim_agents.device import device_of
from medsim_agents.hyperparameters import settings_of_role
from medsim_agents.learning import TrainingInterrupted
from medsim_agents.multi_agent.acting import ModelActs, everyone
from medsim_agents.multi_agent.decisions import TRAINING_SLOT
from medsim_agents.multi_agent.roles import RoleVecEnv
from medsim_agents.multi_agent.timed import timed
from medsim_agents.normalisation import normaliser_state, restore_normaliser
from medsim_agents.policies import hospital_policy, scale_in_training
from medsim_agents.run_folder import RunFolder
from medsim_agents.schedules import follow, move
from medsim_agents.training import VALIDATION_SEED, Training, seconds_now
from medsim_agents.validation import validate

__all__ = ["RoleTraining", "train_roles"]


COUNTED = 4  # chosen: episodes in which it is counted how often each role is asked; it varies little from one to the next


class SegmentOver(Exception):
    """A role has made its steps of this round."""


def train_roles(training: Training, run: RunFolder, asked_to_stop: Callable[[], bool], progress: Callable[[int], None] | None) -> None:
    """Train a policy for each role into a run folder, or go on training them.

    Raises:
        TrainingInterrupted: it was told to stop; the same call goes on from the segment at hand.
    """
    roles = RoleTraining(training, run)
    if progress is not None and roles.steps:
        progress(roles.steps)
    if not roles.course.curve:
        roles.look()
    for number, role, target in roles.segments():
        roles.learn(number, role, target, SegmentWatch(target, asked_to_stop, progress))
    if roles.course.curve[-1]["step"] < roles.steps:
        roles.look()
    roles.keep_time()
    run.finish(dict(roles.models), roles.course)


class RoleTraining:
    """The models of all roles, each with its own environment in which the others act."""

    def __init__(self, training: Training, run: RunFolder) -> None:
        self.training, self.run = training, run
        settings = training.hyperparameters
        self.task = make_task(training.env, **{**training.options, **settings.get("env_options", {})})
        self.roles = tuple(self.task.actions)
        self.shares = steps_of_roles(self.task, settings["steps"])
        self.course, self.done = Course(), 0
        self.began = seconds_now()
        masks = algorithm(training.algorithm).masks
        # the others draw their actions, as they do while they learn: at first that is play at random, later play with little chance in it
        self.players = {role: ModelActs(None, None, role=role, masks=masks, deterministic=False) for role in self.roles}
        content = read_checkpoint(run.checkpoint) if run.checkpoint.is_file() else None
        self.models: dict[str | None, Any] = {}
        for number, role in enumerate(self.roles):
            model = self._fresh(role, number) if content is None else self._saved(role, content["roles"][role])
            self.models[role] = timed(model) if "gamma_h" in settings_of_role(settings, role) else model
        if content is not None:
            self.course, self.done = content["course"], content["done"]
        for role in self.roles:
            self._publish(role)

    def _environment(self, role: str) -> Any:
        settings = settings_of_role(self.training.hyperparameters, role)
        gamma_h = settings.get("gamma_h")
        env = RoleVecEnv(self.task, settings["n_envs"], role, self.players, first_slot=TRAINING_SLOT, gamma_h=gamma_h)
        return normalised(env, settings)

    def _fresh(self, role: str, number: int) -> Any:
        seed = seed_of(self.training.seed, number, 0)
        return build_model(self.training.algorithm, self._environment(role), seed, settings_of_role(self.training.hyperparameters, role))

    def _saved(self, role: str, saved: dict[str, Any]) -> Any:
        settings = settings_of_role(self.training.hyperparameters, role)
        model = load_model(self.training.algorithm, io.BytesIO(saved["model"]), self._environment(role), device_of(settings))
        follow(model, settings)
        if saved["normaliser"] is not None:
            restore_normaliser(model.get_vec_normalize_env(), saved["normaliser"])
        return model

    def _publish(self, role: str) -> None:
        """Let the others meet a role as it is now."""
        self.players[role].model = self.models[role]
        self.players[role].scale = scale_in_training(self.models[role])

    @property
    def steps(self) -> int:
        """Decisions made by all learners so far."""
        return sum(int(model.num_timesteps) for model in self.models.values())

    def segments(self) -> Iterator[tuple[int, str, int]]:
        """Yield what is still to be learnt: the segment's number, the role, and its steps in all by the segment's end."""
        rounds = self.training.hyperparameters["rounds"]
        for number in range(self.done, rounds * len(self.roles)):
            turn, place = divmod(number, len(self.roles))
            yield number, self.roles[place], self.shares[self.roles[place]] * (turn + 1) // rounds

    def learn(self, number: int, role: str, target: int, watch: "SegmentWatch") -> None:
        """Let a role learn up to its target, write a checkpoint, and look at all policies where the learning curve is due."""
        model = self.models[role]
        model.set_env(model.env, force_reset=True)
        model.set_random_seed(seed_of(self.training.seed, number, 1))
        more = algorithm(self.training.algorithm).learning_arguments(model.env)
        try:
            if model.num_timesteps < target:
                model.learn(self.shares[role] - model.num_timesteps, watch, reset_num_timesteps=False, log_interval=None, **more)
        except SegmentOver:
            pass  # the usual end: only the last round runs into the training's own
        self._publish(role)
        self.done = number + 1
        settings = self.training.hyperparameters
        if self.steps * self.training.curve_points >= settings["steps"] * len(self.course.curve):
            self.look()
        self.write_checkpoint()

    def write_checkpoint(self) -> None:
        """Write everything that the segments to come depend on."""
        self.keep_time()
        roles = {}
        for role, model in self.models.items():
            saved, normaliser = io.BytesIO(), model.get_vec_normalize_env()
            model.save(saved)
            roles[role] = {"model": saved.getvalue(), "normaliser": None if normaliser is None else normaliser_state(normaliser)}
        write_state(self.run.checkpoint, {"course": self.course, "done": self.done, "roles": roles})

    def look(self) -> None:
        """Add a point to the learning curve: all roles acting by what they have learnt."""
        started = seconds_now()[0]
        training = self.training
        models = {role: (model, scale_in_training(model)) for role, model in self.models.items()}
        return_mean, cost_mean = validate(training, hospital_policy(training.algorithm, training.env, training.options, models))
        self.keep_time()
        self.course.looking_s += seconds_now()[0] - started
        point = {"step": self.steps, "return_mean": return_mean, "cost_mean": cost_mean, "wall_s": self.course.wall_s}
        self.course.curve.append(point)
        self.run.write_curve(self.course.curve)

    def keep_time(self) -> None:
        """Move the time since the last call into the course."""
        wall_s, cpu_s = seconds_now()
        self.course.wall_s += wall_s - self.began[0]
        self.course.cpu_s += cpu_s - self.began[1]
        self.began = wall_s, cpu_s


class SegmentWatch(BaseCallback):
    """Counts steps, and ends a segment between two rollouts: when its target is reached, or on request."""

    def __init__(self, target: int, asked_to_stop: Callable[[], bool], progress: Callable[[int], None] | None) -> None:
        super().__init__()
        self.target, self.asked_to_stop, self.progress = target, asked_to_stop, progress

    def _on_step(self) -> bool:
        if self.progress is not None:
            self.progress(self.training_env.num_envs)
        return True

    def _on_rollout_start(self) -> None:
        if self.asked_to_stop():
            raise TrainingInterrupted("stopped; the same command goes on, from the start of what this role was learning")
        if self.num_timesteps >= self.target:
            raise SegmentOver

    def _on_rollout_end(self) -> None:
        move(self.model)


def steps_of_roles(task: HospitalTask, steps: int) -> dict[str, int]:
    """Return how many of the steps each role gets: in proportion to the square root of how often it is asked in play at random.

    As many for each would let a role that is asked once a day take nearly all of the time (the others act hundreds of times in each of its
    steps); as many hospital days for each would leave it with too few decisions to learn from. The root lies halfway.
    """
    random = everyone(task, COUNTED, dict.fromkeys(task.actions, RandomHospitalPolicy))
    asked = dict.fromkeys(task.actions, 1.0)  # 1: a role that is never asked in these episodes is still there

    def count(batch: DecisionBatch) -> Any:
        for agent in batch.agent[~batch.ended].tolist():
            asked[task.roles[task.agents[agent]]] += 1.0
        return random(batch)

    play_batch(make_decision_batch(task, COUNTED), count, seed=VALIDATION_SEED)
    total = sum(math.sqrt(times) for times in asked.values())
    return {role: math.ceil(steps * math.sqrt(times) / total) for role, times in asked.items()}


def seed_of(seed: int, number: int, purpose: int) -> int:
    """Return a seed of a training's own for a segment (or a role's network), which no neighbouring seed has."""
    return int(np.random.SeedSequence([seed, number, purpose]).generate_state(1)[0])
