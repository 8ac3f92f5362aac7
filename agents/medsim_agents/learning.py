"""What happens between two rollouts of a training: a look at the policy, a checkpoint, and a stop where one was asked for."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from medsim_agents.checkpoint import Course, write_checkpoint
from medsim_agents.policies import policy_in_training
from medsim_agents.run_folder import RunFolder
from medsim_agents.schedules import move
from medsim_agents.training import Training, seconds_now
from medsim_agents.validation import validate

__all__ = ["Looker", "TrainingInterrupted", "interruptible"]


class TrainingInterrupted(KeyboardInterrupt):
    """Training stopped because it was told to; its checkpoint is written."""


class Looker(BaseCallback):
    """Measures the learning curve (on patients of the train cohort, on episodes of a hospital that no training plays), writes checkpoints,
    counts steps, and stops on request."""

    def __init__(self, training: Training, run: RunFolder, course: Course, checkpoint_every_s: float, asked_to_stop: Callable[[], bool],
                 progress: Callable[[int], None] | None, looked: Callable[[Mapping[str, float]], None] | None = None) -> None:  # fmt: skip
        super().__init__()
        self.looked = looked
        self.training, self.run_folder, self.course = training, run, course
        self.checkpoint_every_s, self.asked_to_stop, self.progress = checkpoint_every_s, asked_to_stop, progress
        self.began = seconds_now()
        self.last_checkpoint = self.began[0]

    def _on_step(self) -> bool:
        if self.progress is not None:
            self.progress(self.training_env.num_envs)
        return True

    def _on_rollout_start(self) -> None:
        steps = int(self.training.hyperparameters["steps"])
        if self.num_timesteps * self.training.curve_points >= steps * len(self.course.curve):
            self.look()
        stop = self.asked_to_stop()
        if stop or seconds_now()[0] - self.last_checkpoint >= self.checkpoint_every_s:
            self.keep_time()
            self.keep()
            self.last_checkpoint = seconds_now()[0]
        if stop:
            raise TrainingInterrupted(f"stopped at {self.num_timesteps} of {steps} steps; the same command goes on from there")

    def keep(self) -> None:
        """Write a checkpoint."""
        write_checkpoint(self.run_folder.checkpoint, self.model, self.course)

    def _on_rollout_end(self) -> None:
        move(self.model)

    def look(self) -> None:
        """Add a point to the learning curve."""
        started = seconds_now()[0]
        return_mean, cost_mean = validate(self.training, policy_in_training(self.training, self.model))
        self.keep_time()
        self.course.looking_s += seconds_now()[0] - started
        self.course.curve.append(
            {
                "step": int(self.model.num_timesteps),
                "return_mean": return_mean,
                "cost_mean": cost_mean,
                "wall_s": self.course.wall_s,
            }
        )
        self.run_folder.write_curve(self.course.curve)
        if self.looked is not None:
            self.looked(self.course.curve[-1])

    def look_for_the_last_time(self) -> None:
        """Add the trained policy's point, unless the last one is its own."""
        if not self.course.curve or self.course.curve[-1]["step"] < self.model.num_timesteps:
            self.look()
        self.keep_time()

    def keep_time(self) -> None:
        """Move the time since the last call into the course."""
        wall_s, cpu_s = seconds_now()
        self.course.wall_s += wall_s - self.began[0]
        self.course.cpu_s += cpu_s - self.began[1]
        self.began = wall_s, cpu_s


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first interrupt (Ctrl-C) or request to terminate into an answer to "asked to stop?"; the second one acts at once."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def note(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, note)
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
