"""An offline training into a run folder: gradient steps on logged episodes, with looks at the policy, checkpoints and stops between."""

from collections.abc import Callable
from typing import Any

from medsim_agents.algorithms import LOGGED
from medsim_agents.checkpoint import Course, read_checkpoint, write_state
from medsim_agents.hyperparameters import TRAINING
from medsim_agents.learning import Looker, TrainingInterrupted
from medsim_agents.offline.data import logged_episodes, record_of_data
from medsim_agents.offline.encoding import Encoding, encoding_of, transitions_of
from medsim_agents.offline.learner import Learner
from medsim_agents.offline.learners import new_learner
from medsim_agents.run_folder import RunFolder
from medsim_agents.training import Training

__all__ = ["begun_anew", "train_offline"]

AT_ONCE = 50  # chosen: gradient steps between two chances to look, keep or stop


class OfflineLooker(Looker):
    """The same looks and stops between gradient steps; a checkpoint holds networks, optimisers and the random state, not the data."""

    def keep(self) -> None:
        """Write a checkpoint."""
        learner: Any = self.model
        write_state(self.run_folder.checkpoint, {"course": self.course, "learner": learner.checkpoint()})

    def pause(self) -> None:
        """Look, keep and stop, each where it is time."""
        self.num_timesteps = int(self.model.num_timesteps)
        self._on_rollout_start()


def train_offline(training: Training, run: RunFolder, asked_to_stop: Callable[[], bool], progress: Callable[[int], None] | None,
                  checkpoint_every_s: float) -> None:  # fmt: skip
    """Teach a learner, or go on, and finish the run folder; a step is a gradient step.

    Raises:
        ValueError: the data are not those that the run began with.
        TrainingInterrupted: it was told to stop.
    """
    episodes = logged_episodes(training)
    keep_record_of_data(run, record_of_data(episodes))
    transitions = transitions_of(episodes, encoding_of(episodes))
    learner, course = begun(training, run, transitions.encoding)
    if progress is not None and learner.num_timesteps:
        progress(learner.num_timesteps)
    looker = OfflineLooker(training, run, course, checkpoint_every_s, asked_to_stop, progress)
    model: Any = learner
    looker.model = model
    steps = int(training.hyperparameters["steps"])
    while learner.num_timesteps < steps:
        looker.pause()
        count = min(AT_ONCE, steps - learner.num_timesteps)
        learner.learn(transitions, count)
        if progress is not None:
            progress(count)
    looker.look_for_the_last_time()
    run.finish({None: learner}, course)
    if asked_to_stop():
        raise TrainingInterrupted("stopped after the last step: this training is complete")


def keep_record_of_data(run: RunFolder, found: dict[str, Any]) -> None:
    """Write what was learnt from into the run's record, or compare it with what stands there."""
    then = run.record.get("data", found)
    if then["sha256"] != found["sha256"]:
        raise ValueError(
            f"the run in {run.path} learnt from other data (SHA-256 {then['sha256'][:12]} then, {found['sha256'][:12]} now): "
            "put them back, or train anew in another folder"
        )
    run.record["data"] = then
    run.write()


def begun_anew(training: Training, encoding: Encoding) -> Learner:
    """Return the untaught learner of a planned training."""
    told = {name: value for name, value in training.hyperparameters.items() if name not in (*TRAINING, *LOGGED)}
    return new_learner(training.algorithm, encoding, seed=training.seed, **told)


def begun(training: Training, run: RunFolder, encoding: Encoding) -> tuple[Learner, Course]:
    """Return the learner at the point where training goes on, and the course so far."""
    learner = begun_anew(training, encoding)
    if not run.checkpoint.is_file():
        return learner, Course()
    content = read_checkpoint(run.checkpoint)
    learner.restore(content["learner"])
    return learner, content["course"]
