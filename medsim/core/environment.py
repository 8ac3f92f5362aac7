"""The Gymnasium shell: one patient."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from medsim.core import kernels as k
from medsim.core.actions import single_writer
from medsim.core.charts import ChartedBatch
from medsim.core.model import field_names
from medsim.core.streams import fresh_seed
from medsim.core.task import Provenance, Task

__all__ = ["ConfiguredEnv", "PatientEnv"]

Observation = Any  # a row of float32, a whole number where the space is Discrete, or a dict of arrays where the task has a chart
CONNECTED = ("_write_action", "_action_row", "_step_one", "_report", "_ends", "_observation")  # what ``_connect`` sets for one batch


class PatientEnv(gym.Env[Any, Any]):
    """One patient of a task. Environments derive from it to give their options names and documentation."""

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}

    def __init__(self, task: Task, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or one of {', '.join(self.metadata['render_modes'])}, not {render_mode!r}")
        self.task = task
        self.render_mode = render_mode
        self.observation_space = task.observation_space()
        self.action_space = task.action_space
        self.batch = task.make_batch(1, mode=k.DISABLED)
        self._seed: int | None = None  # of the streams; None until the first reset
        self._running = False
        self.history: list[list[float]] = []  # measures of each step, kept only when something renders them
        self._connect()

    def _connect(self) -> None:
        """Set what refers into the batch, so that a step need not look it up, and which a copy must set anew."""
        batch = self.batch
        self._write_action = single_writer(self.task.action_space)
        self._action_row = batch.actions[0]
        self._step_one = batch.step_one
        first_cost = k.FIRST_TERM + len(batch.term_names)
        first_measure = first_cost + len(batch.cost_names)
        self._term_rows = tuple(zip(batch.term_names, range(k.FIRST_TERM, first_cost), strict=True))
        self._cost_rows = tuple(zip(batch.cost_names, range(first_cost, first_measure), strict=True))
        self._report = batch.out[:first_measure, 0]
        self._ends = batch.ends[:, 0]
        self._observation = batch.obs[0].copy if batch.obs.ndim > 1 else partial(batch.obs.__getitem__, 0)
        if isinstance(batch, ChartedBatch):
            self._observation = batch.observation_of_one

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: the random streams' seed; the next reset without one continues them with the next episode.
            options: ``slot`` (which patient of the seed, default 0: slot k is environment k of a vector environment),
                ``patient`` (a name, or a mapping of parameters with ``like``), and the task's own.

        Raises:
            ValueError: an option or its value is not allowed.
        """
        given = self.task.check_reset_options(options, ["slot"])
        row, named = self.task.patient_rows(given.get("patient"))
        settings = self.task.settings_for(given)
        slot = given.get("slot", None)
        if slot is not None and (isinstance(slot, bool) or int(slot) != slot or slot < 0):
            raise ValueError(f"reset option slot must be a whole number, 0 or larger, not {slot!r}")
        batch = self.batch
        if seed is not None or slot is not None or self._seed is None:
            if seed is None:
                seed = fresh_seed() if self._seed is None else self._seed
            batch.seed(seed, [int(slot or 0)])
            self._seed = seed
            super().reset(seed=int(seed))
        batch.settings[:] = settings
        batch.table = self.task.model.patients()[1] if row is None else np.vstack([self.task.model.patients()[1], row])
        batch.ids[0, k.NAMED_ROW] = named
        batch.reset()
        self._running = True
        self.history = [batch.measures[:, 0].tolist()] if self.render_mode else []
        return self._observation(), self._info(self._report.tolist())

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Give an action for one step.

        Raises:
            ValueError: the action is not in the action space; nothing has happened then.
            RuntimeError: the episode has ended, or none has begun.
        """
        if not self._running:
            raise RuntimeError("this episode has ended, or none has begun: call reset() before step()")
        self._write_action(self._action_row, action)
        self._step_one()
        values = self._report.tolist()
        terminated, truncated = self._ends.tolist()
        info = self._info(values)
        if terminated or truncated:
            self._running = False
            info["outcome"] = self.task.model.outcomes[int(values[k.OUTCOME])]
            info["outcome_time_h"] = values[k.TIME_H]
        if self.render_mode:
            self.history.append(self.batch.measures[:, 0].tolist())
        return self._observation(), values[k.REWARD], terminated, truncated, info

    def _info(self, values: list[float]) -> dict[str, Any]:
        costs, terms = {}, {}  # filled in loops: half the time of dict(zip(...)) for a handful of names
        for name, row in self._cost_rows:
            costs[name] = values[row]
        for name, row in self._term_rows:
            terms[name] = values[row]
        info: dict[str, Any] = {"cost": values[k.COST], "costs": costs, "reward_terms": terms}
        if self.task.expose_state:
            batch = self.batch
            state = dict(zip(field_names(self.task.model.state), batch.record("state")[:, 0].tolist(), strict=True))
            info["state"] = {**dict(zip(batch.measure_names, batch.measures[:, 0].tolist(), strict=True)), **state}
        return info

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in CONNECTED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._connect()

    def provenance(self) -> list[Provenance]:
        """Return every parameter with its value, unit and source; ``task.citation`` names the environment's own."""
        return self.task.provenance()

    def render(self) -> Any:
        """Return a picture of the episode so far (``rgb_array``), or its last step in a line (``ansi``)."""
        from medsim.render.trajectory import episode_line, episode_picture

        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; pass render_mode='rgb_array' to gym.make")
            return None
        if self.render_mode == "ansi":
            return episode_line(self.batch.measure_names, self.history, self.task.step_h)
        return episode_picture(self.batch.measure_names, self.history, self.task)


class ConfiguredEnv(PatientEnv):
    """An environment made from options: a subclass names the function that turns them into its task, and documents them."""

    task_of: ClassVar[Callable[..., Task]]

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(type(self).task_of(**options), render_mode)
