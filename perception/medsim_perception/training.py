"""Carry a recipe out: to its planned end or within a time, with checkpoints, so that it can be stopped and goes on to the same bits.

What is on the disk meanwhile is said in `medsim_perception.run_folder`.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from medsim.core.files import write_whole
from medsim_perception.device import choose_device
from medsim_perception.recipe import Learner, Recipe
from medsim_perception.run_folder import CHECKPOINT, COMPLETE, MODEL, RUN, RUNNING, load_run, plain, read_run
from medsim_perception.supervised import SupervisedLearner
from medsim_perception.weights import packed

__all__ = ["CHECKPOINT", "COMPLETE", "MODEL", "RUN", "SupervisedLearner", "load_run", "read_run", "run"]

SHARE_MEASURED, SHARE_USED = 0.05, 0.97  # chosen: of the seconds, how long speed is only measured, and how much is planned to be used
CURVE_POINTS = 100  # chosen: losses kept, each the mean since the one before
Report = Callable[[int, int, float], None]  # steps done, steps planned, loss of the last


@dataclass(kw_only=True)
class Course:
    """How far a training has come."""

    seconds: float = 0.0
    curve: list[list[float]] = field(default_factory=list)  # [steps done, mean loss since the last point]
    loss_sum: float = 0.0
    loss_count: int = 0

    def add(self, learner: Learner, loss: float) -> None:
        """Note the loss of a step."""
        self.loss_sum, self.loss_count = self.loss_sum + loss, self.loss_count + 1
        last = learner.step_number >= learner.planned_steps
        if last or self.loss_count >= max(1, learner.planned_steps // CURVE_POINTS):
            self.curve.append([learner.step_number, self.loss_sum / self.loss_count])
            self.loss_sum, self.loss_count = 0.0, 0


def run(
    recipe: Recipe,
    seed: int,
    folder: str | Path,
    seconds: float | None = None,
    steps: int | None = None,
    device: str = "auto",
    progress: Report | None = None,
    *,
    checkpoint_s: float = 30.0,
) -> nn.Module:
    """Train a recipe in a folder, or go on with what the folder holds, or find it finished; returns the model, ready to answer.

    `steps` replaces the recipe's number of steps. `seconds` are those of this call, from the first step: a training that begins with them
    plans as many steps, at most the recipe's, as its measured speed allows, so that learning rates come to their end; where time runs out
    for a training that goes on, it is kept, and the same call goes on again. `progress(done, planned, loss)` hears of
    every step. Ctrl-C, or a KeyboardInterrupt out of `progress`, keeps what there is. On a CPU, of a given number of torch's threads, a
    training by steps that was stopped and went on equals, to the bit, one that was not.

    Raises ValueError: the folder holds another training, or files that are damaged; the loss is not finite; seconds or steps are not above
    0.
    """
    training = Training(recipe, seed, Path(folder), choose_device(device))
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps}")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be above 0, not {seconds}")
    found = training.find(steps)
    if found is not None:
        return found
    devices = [torch.cuda.current_device()] if training.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), interruptions() as stopped:
        training.begin()
        training.go_on(seconds, progress, stopped, checkpoint_s)
    return training.learner.model.eval()


class Pace:
    """Keeps the planned steps at what a time allows, and never above what was planned without it.

    The first step, which is slower, does not count as speed; where a machine slows down or speeds up meanwhile, so do the plans. There is
    always a last step, which learners may end with.
    """

    def __init__(self, seconds: float, learner: Learner) -> None:
        self.seconds, self.learner, self.most = seconds, learner, learner.planned_steps
        self.first: tuple[int, float] | None = None  # steps and seconds after the first step

    def fit(self, spent: float) -> None:
        """Plan anew, `spent` seconds after the beginning."""
        done = self.learner.step_number
        if done >= self.learner.planned_steps:
            return  # that was the last step
        if self.first is None:
            self.first = done, spent
            left = self.most if spent < self.seconds else 1
        elif spent < SHARE_MEASURED * self.seconds:
            return
        else:
            each = (spent - self.first[1]) / (done - self.first[0])
            left = max(1, int((SHARE_USED * self.seconds - spent) / each))
        self.learner.planned_steps = min(self.most, done + left)

    def at_the_last(self) -> bool:
        """Whether one step is left."""
        return self.learner.planned_steps - self.learner.step_number == 1


class Training:
    """One training and its folder."""

    learner: Learner

    def __init__(self, recipe: Recipe, seed: int, folder: Path, device: torch.device) -> None:
        self.recipe, self.seed, self.folder, self.device = recipe, seed, folder, device
        self.course = Course()
        self.asked_steps: int | None = None

    def find(self, steps: int | None) -> nn.Module | None:
        """The finished model, if the folder holds it; None if there is something to train.

        Raises ValueError: the folder holds another training.
        """
        if not (self.folder / RUN).is_file():
            self.asked_steps = steps
            return None
        record = read_run(self.folder)
        for name, wanted in (("recipe", self.recipe.name), ("seed", self.seed)):
            if record[name] != wanted:
                raise ValueError(f"{self.folder} holds a training of {name} {record[name]!r}, not {wanted!r}: choose another folder")
        if steps is not None and steps not in (record["asked_steps"], record["planned_steps"]):
            raise ValueError(f"{self.folder} holds a training of {record['planned_steps']} steps, not {steps}: choose another folder")
        self.asked_steps = record["asked_steps"]
        return load_run(self.recipe, self.folder).to(self.device) if record["status"] == COMPLETE else None

    def begin(self) -> None:
        """Make the learner, as it was at the last checkpoint if there is one."""
        torch.manual_seed(self.seed)
        self.learner = self.recipe.begin(self.seed, self.device)
        if self.asked_steps is not None:
            self.learner.planned_steps = self.asked_steps
        path = self.folder / CHECKPOINT
        if path.is_file():
            self.restore(path)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_record(RUNNING)

    def restore(self, path: Path) -> None:
        """Put a checkpoint back."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            self.learner.load_state_dict(content["learner"])
            self.course = Course(**content["course"])
            torch.set_rng_state(content["random"])
            if self.device.type == "cuda" and content["random_cuda"] is not None:
                torch.cuda.set_rng_state(content["random_cuda"])
        except (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path} cannot be gone on from ({error}): delete it to train from the beginning") from error

    def go_on(self, seconds: float | None, progress: Report | None, stopped: Callable[[], bool], checkpoint_s: float) -> None:
        """Step to the end, to the end of the time, or to an interruption."""
        learner, course = self.learner, self.course
        before, fresh = course.seconds, learner.step_number == 0
        began = saved = time.monotonic()
        pace = Pace(seconds, learner) if seconds is not None and fresh else None
        try:
            while learner.step_number < learner.planned_steps:
                self.step()
                now = time.monotonic()
                course.seconds, spent = before + now - began, now - began
                if pace is not None:
                    pace.fit(spent)
                if progress is not None:
                    progress(learner.step_number, learner.planned_steps, self.last_loss)
                if stopped():
                    raise KeyboardInterrupt
                if seconds is not None and spent >= seconds and not (pace is not None and pace.at_the_last()):
                    break
                if now - saved >= checkpoint_s:
                    self.write_checkpoint()
                    saved = now
        except KeyboardInterrupt:
            self.write_checkpoint()
            done = f"{learner.step_number} of {learner.planned_steps} steps"
            raise KeyboardInterrupt(f"interrupted after {done}; the same command goes on where it stopped") from None
        if learner.step_number < learner.planned_steps:
            self.write_checkpoint()
        else:
            self.finish()

    def step(self) -> None:
        """Make one step and note its loss; raises ValueError where that is not finite."""
        loss = self.learner.step()
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss of {self.recipe.name} (seed {self.seed}) is {loss} at step {self.learner.step_number}: the training has diverged"
            )
        self.last_loss = loss
        self.course.add(self.learner, loss)

    # files

    def write_checkpoint(self) -> None:
        """Write everything that the remaining steps depend on."""
        content = {
            "learner": plain(self.learner.state_dict(), "state_dict"),
            "course": asdict(self.course),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }
        saved = io.BytesIO()
        torch.save(content, saved)
        write_whole(self.folder / CHECKPOINT, saved.getvalue())
        self.write_record(RUNNING)

    def finish(self) -> None:
        """Write the model and the final record; the checkpoint is no longer needed."""
        write_whole(self.folder / MODEL, packed(self.learner.model))
        self.write_record(COMPLETE)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def write_record(self, status: str) -> None:
        """Write `run.json`."""
        record = {
            "schema": 1,
            "recipe": self.recipe.name,
            "seed": self.seed,
            "status": status,
            "asked_steps": self.asked_steps,
            "planned_steps": self.learner.planned_steps,
            "steps": self.learner.step_number,
            "seconds": self.course.seconds,
            "device": self.device.type,
            "threads": torch.get_num_threads(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "curve": self.course.curve,
        }
        write_whole(self.folder / RUN, (json.dumps(record, indent=1) + "\n").encode())


@contextmanager
def interruptions() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C wait for the end of a step: gives a function that says whether it came; a second Ctrl-C does not wait."""
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)
