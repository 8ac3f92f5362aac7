"""A run folder: everything needed to run a training again, and what came of it."""

import csv
import io
import json
import os
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medsim.core.files import write_whole
from medsim.registry import is_hospital
from medsim_agents.algorithms import algorithm
from medsim_agents.device import card_in_use
from medsim_agents.hyperparameters import load_hyperparameters
from medsim_agents.option_files import fingerprints, refuse_if_changed
from medsim_agents.provenance import canonical_json, commit, hardware, versions

__all__ = [
    "CHECKPOINT",
    "COMPLETE",
    "CURVE",
    "MODEL",
    "NORMALISATION",
    "RUN",
    "TABLE",
    "RunFolder",
    "read_curve",
    "read_finished",
    "read_run",
    "training_command",
]

RUN, CURVE, MODEL, NORMALISATION, CHECKPOINT = "run.json", "curve.csv", "model.zip", "normalisation.json", "checkpoint.pkl"
TABLE = "policy.npz"  # in place of the model where a table was learnt
RUNNING, COMPLETE = "running", "complete"
CURVE_COLUMNS = ("step", "return_mean", "cost_mean", "wall_s")


class RunFolder:
    """The files of a training."""

    def __init__(self, path: Path, training: Any) -> None:
        self.path, self.training = path, training
        self.checkpoint = path / CHECKPOINT
        self.record: dict[str, Any] = {}

    def begin(self, command: str | None) -> bool:
        """Write ``run.json``, or find the one of an earlier call; returns whether the training is complete.

        Raises:
            ValueError: the folder holds another training, or a file that the options name is gone or has changed.
        """
        plan = json.loads(canonical_json(self.training.plan()))
        if (self.path / RUN).is_file():
            self.record = read_run(self.path)
            if self.record["training"] != plan:
                raise ValueError(f"{self.path} holds another training ({difference(self.record['training'], plan)}); choose another folder")
            refuse_if_changed(self.record, self.path)
            if self.record["status"] == COMPLETE:
                return True
            self.record["resumed"].append(now())
        else:
            self.record = {
                "schema": 1,
                "status": RUNNING,
                "command": command or training_command(self.training, self.path),
                "training": plan,
                "settings_from": self.training.origin.record() if self.training.origin else None,
                "option_files": fingerprints(self.training.options),
                "curve": f"mean return and cost on {judges_of(self.training.env, self.training.algorithm)}, acting without exploration",
                "versions": versions(),
                "commit": commit(),
                "hardware": dict(hardware(cores=1, gpu=card_in_use(self.training.hyperparameters))),
                "began": now(),
                "resumed": [],
            }
        self.write()
        return False

    def finish(self, models: Mapping[str | None, Any], course: Any) -> None:
        """Write the models by role (None: the only one, or that of all roles), their normalisation and the final record; the checkpoint is
        no longer needed."""
        for role, model in models.items():
            self._save(role, model)
        self.complete(sum(int(model.num_timesteps) for model in models.values()), course)

    def complete(self, steps: int, course: Any) -> None:
        """Write the final record of a training of so many steps, whose result is written; the checkpoint is no longer needed."""
        trained_s = course.wall_s - course.looking_s
        time_spent = {"wall_s": course.wall_s, "cpu_s": course.cpu_s, "steps_per_s": steps / trained_s if trained_s else 0.0}
        self.record |= {"status": COMPLETE, "ended": now(), "steps": steps, "time": time_spent}
        self.write()
        self.checkpoint.unlink(missing_ok=True)

    def _save(self, role: str | None, model: Any) -> None:
        from medsim_agents.normalisation import scale_of

        name = algorithm(self.training.algorithm).model_file
        neighbour = self.path / f".{os.getpid()}.{name}"
        model.save(neighbour)
        os.replace(neighbour, self.path / part_of(name, role))
        normaliser = model.get_vec_normalize_env()
        if normaliser is not None and normaliser.norm_obs:
            scale_of(normaliser).write(self.path / part_of(NORMALISATION, role))

    def write(self) -> None:
        """Write ``run.json``, whole or not at all."""
        write_whole(self.path / RUN, json.dumps(self.record, indent=1, allow_nan=False) + "\n")

    def write_curve(self, curve: list[dict[str, float]]) -> None:
        """Write ``curve.csv``, whole or not at all."""
        text = io.StringIO()
        table = csv.DictWriter(text, CURVE_COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(curve)
        write_whole(self.path / CURVE, text.getvalue())


def part_of(name: str, role: str | None) -> str:
    """Return the name of a role's file: ``model.zip`` is ``model-icu.zip``; without a role it stays."""
    stem, _, ending = name.partition(".")
    return name if role is None else f"{stem}-{role}.{ending}"


def read_run(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` says."""
    record: dict[str, Any] = json.loads((folder / RUN).read_text(encoding="utf-8"))
    return record


def read_finished(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` of a finished training says.

    Raises:
        ValueError: the folder is no run folder, or its training has not finished.
    """
    if not (folder / RUN).is_file():
        raise ValueError(f"{folder} is not a training's run folder: it has no {RUN}")
    run = read_run(folder)
    if run["status"] != COMPLETE:
        raise ValueError(f"the training in {folder} has not finished; go on with: {run['command']}")
    return run


def read_curve(folder: Path) -> list[dict[str, float]]:
    """Return the learning curve of a run folder, as a leaderboard's record holds it."""
    with (folder / CURVE).open(encoding="utf-8", newline="") as file:
        return [{name: int(row[name]) if name == "step" else float(row[name]) for name in CURVE_COLUMNS} for row in csv.DictReader(file)]


def training_command(training: Any, folder: Path) -> str:
    """Return what to type to run a training again: only settings that differ from the tuned ones are named."""
    tuned = load_hyperparameters(training.env, training.algorithm, training.hyperparameters.get("sharing", "shared"))
    changed = {name: value for name, value in training.hyperparameters.items() if name != "steps" and tuned.get(name) != value}
    words = ["medsim", "train", training.env]
    words += ["--from", training.begins_with["run"]] if training.begins_with else ["--algo", training.algorithm]
    words += ["--steps", str(training.hyperparameters["steps"]), "--seed", str(training.seed), "--out", str(folder)]
    for name, value in {**training.options, **changed}.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)


def judges_of(env_id: str, algorithm_name: str) -> str:
    """Return in words on whom a learning curve is measured."""
    if algorithm(algorithm_name).tabular:
        return "all patients, computed exactly"
    return "validation episodes" if is_hospital(env_id) else "validation patients of the train cohort"


def difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """Return in words where two plans differ."""
    names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return "; ".join(f"{name}: {theirs.get(name)!r} there, {ours.get(name)!r} asked for" for name in names)


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
