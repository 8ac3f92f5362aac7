"""Training a table: tabular Q-learning into a run folder like any other agent's."""

import dataclasses
from collections.abc import Callable
from typing import Any

from medsim.evaluation.exact import Exact
from medsim.evaluation.q_learning import QLearning, learn
from medsim.policies.table import save_table
from medsim.registry import make_task
from medsim_agents.algorithms import algorithm
from medsim_agents.run_folder import TABLE, RunFolder
from medsim_agents.training import Training, seconds_now

__all__ = ["train_table"]


def train_table(training: Training, run: RunFolder, progress: Callable[[int], None] | None) -> None:
    """Learn a table, and write it, its curve (exact values, of the discount that the environment's return has) and the record."""
    from medsim_agents.checkpoint import Course

    settings = dict(training.hyperparameters)
    patients = settings["n_envs"]
    steps = -(-settings["steps"] // patients) * patients  # rounded up to whole steps of all patients
    own = {name: settings[name] for name in algorithm(training.algorithm).settings if name in settings}
    learner = QLearning(steps=steps, patients=patients, seed=training.seed, curve_points=training.curve_points, **own)
    course, began = Course(), seconds_now()

    def look(steps: int, worth: Exact) -> None:
        course.wall_s, course.cpu_s = (now - then for now, then in zip(seconds_now(), began, strict=True))
        point: dict[str, Any] = {"step": steps, "return_mean": worth.value, "cost_mean": float(sum(worth.costs.values()))}
        course.curve.append({**point, "wall_s": course.wall_s})

    found = learn(make_task(training.env, **training.options), learner, progress=progress, look=look)
    run.write_curve(course.curve)
    options = {name: value for name, value in training.options.items() if name != "cohort"}
    facts = {"steps": course.curve[-1]["step"], "seed": training.seed, "return": course.curve[-1]["return_mean"]}
    save_table(run.path / TABLE, dataclasses.replace(found.table, facts=facts), training.env, options, training.algorithm)
    run.complete(int(course.curve[-1]["step"]), course)
