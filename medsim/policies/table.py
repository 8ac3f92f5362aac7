"""Policies that act by table: one made for the environment in which they act, or one read from a file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.decision_tables import DecisionTable
from medsim.core.tabular import TabularTask
from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import Draws

__all__ = ["TablePolicy", "load_table", "save_table"]

Array = npt.NDArray[Any]

CHOICE_STREAM = 1_000_002  # a stream of its own, away from the models' purposes
KIND = "medsim policy table"


class TablePolicy:
    """Acts by a table that ``make`` returns for the task; a random choice is the same for the same patient and step.

    Args:
        name: of the policy; observation: the mode that it needs (None: any); options: more options of the environment.
    """

    def __init__(self, name: str, make: Callable[[TabularTask], DecisionTable], observation: str | None = None,
                 options: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        self.name, self.make = name, make
        self.options: Mapping[str, Any] = {**({} if observation is None else {"observation": observation}), **(options or {})}

    def table(self, task: TabularTask) -> DecisionTable:
        """Return the table for a task."""
        return self.make(task)

    def begin(self, env: PatientVectorEnv) -> None:
        """Make the table for the environment, and remember who the patients are."""
        task = env.task
        if not isinstance(task, TabularTask):
            raise ValueError(f"{self.name} acts by table, and the course of {task.id} is no table")
        self.now = self.table(task)
        self.codes = codes_by(task, self.now.observation)
        self.draws = Draws(env, CHOICE_STREAM)
        self.step = 0

    def act(self, observations: Array) -> Array:
        """Return the actions (n,)."""
        return self.decide(observations)[0]

    def decide(self, observations: Array) -> tuple[Array, npt.NDArray[np.float64]]:
        """Return the actions (n,) and their probabilities (n,)."""
        rows = self.now.at(self.step)[self.codes(observations)]
        actions = self.chosen(rows)
        self.step += 1
        return actions, np.asarray(rows[np.arange(len(rows)), actions])

    def likelihood(self, observations: Array, actions: Array) -> npt.NDArray[np.float64]:
        """Return the probabilities (n,) of actions (n,)."""
        rows = self.now.at(self.step)[self.codes(observations)]
        self.step += 1
        return np.asarray(rows[np.arange(len(rows)), actions])

    def chosen(self, rows: npt.NDArray[np.float64]) -> Array:
        """Return the actions (n,) that the step's draws choose by probabilities (n, actions)."""
        if (rows.max(axis=1) == 1.0).all():
            return np.asarray(rows.argmax(axis=1), dtype=np.int64)
        draws = self.draws.at(self.step)[:, :1]
        return np.asarray(np.minimum((rows.cumsum(axis=1) < draws).sum(axis=1), rows.shape[1] - 1), dtype=np.int64)


def codes_by(task: TabularTask, observation: str) -> Callable[[Array], Array]:
    """Return how observations of a task are turned into the codes of an observation mode that a table is written in.

    Raises:
        ValueError: what the task shows does not tell them.
    """
    if observation == "any":
        return lambda observations: np.zeros(len(observations), dtype=np.int64)
    shown, wanted = task.view, task.tables.views[observation]
    code_of = np.full(int(shown.code_of_state.max()) + 1, -1, dtype=np.int64)
    code_of[shown.code_of_state] = wanted.code_of_state
    if (code_of[shown.code_of_state] != wanted.code_of_state).any():
        raise ValueError(f"this table is written for observation={observation!r}, which observation={task.view_name!r} does not tell")
    if shown.codes is not None:
        return lambda observations: code_of[observations]
    if shown.weights is None:
        raise ValueError(f"this table is written for codes, which observation={task.view_name!r} does not give: choose {observation!r}")
    weights = np.array(shown.weights)
    return lambda observations: code_of[np.rint(observations @ weights).astype(np.int64)]


def save_table(path: Path, table: DecisionTable, env_id: str, options: Mapping[str, Any], name: str) -> None:
    """Write a table, and for what it was made, to a file (npz) that ``load_table`` and ``medsim evaluate --policy`` take."""
    header = {"kind": KIND, "env": env_id, "options": dict(options), "name": name, "observation": table.observation,
              "facts": dict(table.facts)}  # fmt: skip
    with path.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), probabilities=table.probabilities)


def load_table(path: Path, env_id: str) -> TablePolicy:
    """Return the policy of a file.

    Raises:
        ValueError: the file is no table, or one for another environment.
    """
    try:
        with np.load(path) as parts:
            header, probabilities = json.loads(str(parts["header"])), parts["probabilities"]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a policy file that medsim solve has written: {error}") from error
    if header.get("kind") != KIND or header["env"] != env_id:
        raise ValueError(f"{path} holds a policy for {header.get('env')}, not for {env_id}")
    table = DecisionTable(observation=header["observation"], probabilities=probabilities, facts=header["facts"])
    return TablePolicy(f"{header['name']} ({path})", lambda task: table, options=header["options"])
