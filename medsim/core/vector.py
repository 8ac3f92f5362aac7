"""The vector shell: a batch of patients stepped by one kernel."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from medsim.core import kernels as k
from medsim.core.actions import batch_writer
from medsim.core.batch import Batch
from medsim.core.charts import ChartedBatch
from medsim.core.model import field_names
from medsim.core.streams import fresh_seed
from medsim.core.task import Provenance, Task

__all__ = ["ConfiguredVectorEnv", "PatientVectorEnv"]

MODES = {AutoresetMode.NEXT_STEP: k.NEXT_STEP, AutoresetMode.SAME_STEP: k.SAME_STEP, AutoresetMode.DISABLED: k.DISABLED}
Array = npt.NDArray[Any]


class PatientVectorEnv(gym.vector.VectorEnv[Any, Array, Array]):
    """A batch of patients of a task; slot k of seed s is the patient that one environment meets with ``options={"slot": k}``."""

    def __init__(self, task: Task, num_envs: int, *, autoreset_mode: AutoresetMode | str, threads: int) -> None:
        if isinstance(num_envs, bool) or int(num_envs) != num_envs or num_envs < 1:
            raise ValueError(f"num_envs must be a whole number, 1 or larger, not {num_envs!r}")
        if isinstance(threads, bool) or int(threads) != threads or threads < 1:
            raise ValueError(f"threads must be a whole number, 1 or larger, not {threads!r}")
        names = {mode.value: mode for mode in MODES} | {mode.name.lower(): mode for mode in MODES}
        if not isinstance(autoreset_mode, AutoresetMode):
            if autoreset_mode not in names:
                allowed = ", ".join(repr(mode.name.lower()) for mode in MODES)
                raise ValueError(f"autoreset_mode must be one of {allowed}, not {autoreset_mode!r}")
            autoreset_mode = names[autoreset_mode]
        self.task = task
        self.num_envs = int(num_envs)
        self.autoreset_mode = autoreset_mode
        self.metadata = {"render_modes": [], "autoreset_mode": autoreset_mode}
        self.render_mode = None
        self.single_observation_space = task.observation_space()
        self.single_action_space = task.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.outcomes = task.model.outcomes  # info["outcome"] holds numbers of this table; 0: the episode goes on
        self.batch = task.make_batch(self.num_envs, mode=MODES[autoreset_mode], threads=int(threads))
        self.batch.keep_final_state = task.expose_state
        self._write_actions = batch_writer(task.action_space, self.num_envs)
        self._seeded = False
        self._waiting = np.ones(self.num_envs, dtype=np.bool_)  # which cannot be stepped: only reset() begins their episode

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode of every patient.

        Args:
            seed: one for all slots, or one for each (each environment is then slot 0 of its own seed).
            options: ``patient`` (a name or a mapping, for all slots, or a list of names, one a slot), ``reset_mask`` (which
                environments; the others stay as they are), and the task's own, which then hold for all.

        Raises:
            ValueError: an option or its value is not allowed.
        """
        given = self.task.check_reset_options(options, ["reset_mask"])
        mask = self._mask(given.get("reset_mask"))
        table, named = self._patients(given.get("patient"), everyone=bool(mask.all()))
        settings = self.task.settings_for(given)
        self._seed(seed, mask)
        batch = self.batch
        batch.settings[:] = settings
        batch.table = table
        batch.ids[mask, k.NAMED_ROW] = named[mask]
        batch.reset(mask)
        self._waiting &= ~mask
        return self.observations(), self._info(batch.out.copy())

    def _mask(self, mask: Any) -> npt.NDArray[np.bool_]:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(f"reset_mask must be {self.num_envs} booleans, not an array of {mask.dtype} with shape {mask.shape}")
        return np.asarray(mask)

    def _patients(self, patient: Any, everyone: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return the table of patients with those added whom the option describes, and the row of each environment's (-1: any)."""
        table = self.task.model.patients()[1] if everyone else self.batch.table  # some may live by rows that were added to it
        several = isinstance(patient, Sequence) and not isinstance(patient, str)
        if several and len(patient) != self.num_envs:
            raise ValueError(f"option patient must have {self.num_envs} names, one an environment, not {len(patient)}")
        added: list[npt.NDArray[np.float64]] = []
        named: list[int] = []
        for one in patient if several else [patient]:
            row, number = self.task.patient_rows(one)
            if row is not None:
                number = len(table) + len(added)
                added.append(row)
            named.append(number)
        return np.vstack([table, *added]) if added else table, np.array(named if several else named * self.num_envs)

    def _seed(self, seed: int | Sequence[int | None] | None, mask: npt.NDArray[np.bool_]) -> None:
        if seed is None:
            if not self._seeded:
                self.batch.seed(fresh_seed())
        elif isinstance(seed, Sequence | np.ndarray):
            if len(seed) != self.num_envs:
                raise ValueError(f"seed must be one number or {self.num_envs} of them, not {len(seed)}")
            seeds = [fresh_seed() if one is None else one for one in seed]
            self.batch.seed(seeds, np.zeros(self.num_envs, dtype=np.int64), mask)
        else:
            self.batch.seed(seed, mask=mask)
        self._seeded = True

    def observations(self) -> Any:
        """Return what is seen of every patient now, (n, ...) or a dict of such arrays, as the caller's own."""
        return self.batch.observation() if isinstance(self.batch, ChartedBatch) else self.batch.obs.copy()

    def _final_observations(self, ended: npt.NDArray[np.bool_]) -> Any:
        """Return what was last seen of those who ended, in the rows that are theirs."""
        if not isinstance(self.batch, ChartedBatch):
            return self.batch.final_obs.copy()
        finals = {}
        for name, rows in self.batch.final_windows.items():
            finals[name] = np.zeros((self.num_envs, *rows.shape[1:]), dtype=rows.dtype)
            finals[name][ended] = rows
        return finals

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Step every patient; all arrays returned are the caller's own.

        Raises:
            ValueError: an action is outside the space; nothing has happened then.
            RuntimeError: an environment has not begun an episode, or, without autoreset, has ended it.
        """
        if self._waiting.any():
            raise RuntimeError(f"environment {int(np.argmax(self._waiting))} has no running episode: call reset() for it first")
        batch = self.batch
        self._write_actions(batch.actions, actions)
        batch.step()
        out = batch.out.copy()
        terminated, truncated = batch.ends.copy()
        info = self._info(out)
        if self.autoreset_mode is AutoresetMode.DISABLED and batch.any_ended:
            self._waiting = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            ended = terminated | truncated
            if ended.any():
                info["final_obs"], info["_final_obs"] = self._final_observations(ended), ended
                info["final_info"], info["_final_info"] = self._info(out.copy(), batch.final_state), ended
        return self.observations(), out[k.REWARD], terminated, truncated, info

    def step_running(self, actions: Any) -> npt.NDArray[np.bool_]:
        """Step the environments whose episode is running; without autoreset, those that have ended stand still.

        Returns:
            Which ended in this step, (n,). What happened stands in ``self.batch``.

        Raises:
            ValueError: an action is outside the space; nothing has happened then.
        """
        self._write_actions(self.batch.actions, actions)
        self.batch.step()
        ended = (self.batch.ends[0] | self.batch.ends[1]) & ~self._waiting
        self._waiting |= ended
        return np.asarray(ended)

    @property
    def running(self) -> npt.NDArray[np.bool_]:
        """Which environments have a running episode, (n,): all but those that only ``reset`` can begin."""
        return ~self._waiting

    def _info(self, out: npt.NDArray[np.float64], state: npt.NDArray[np.float64] | None = None) -> dict[str, Any]:
        """Return the infos as arrays over environments; rows of ``out`` (and ``state``, default: now) are handed over, not copied."""
        batch = self.batch
        first_cost = k.FIRST_TERM + len(batch.term_names)
        first_measure = first_cost + len(batch.cost_names)
        info: dict[str, Any] = {
            "cost": out[k.COST],
            "costs": dict(zip(batch.cost_names, out[first_cost:first_measure], strict=True)),
            "reward_terms": dict(zip(batch.term_names, out[k.FIRST_TERM : first_cost], strict=True)),
            "outcome": out[k.OUTCOME].astype(np.int64),
            "outcome_time_h": out[k.TIME_H],
        }
        if self.task.expose_state:
            shown = batch.record("state") if state is None else state
            info["state"] = dict(zip(batch.measure_names, out[first_measure:], strict=True))
            info["state"].update(zip(field_names(self.task.model.state), shown, strict=True))  # of equal names the state's own counts
        return info

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_write_actions"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._write_actions = batch_writer(self.task.action_space, self.num_envs)

    def provenance(self) -> list[Provenance]:
        """Return every parameter with its value, unit and source."""
        return self.task.provenance()

    def snapshot(self) -> dict[str, Array]:
        """Return a copy of everything that the episodes' course depends on, for ``restore``."""
        return {**self.batch.snapshot(), "waiting": self._waiting.copy()}

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Return to a snapshot of a vector environment of the same task and size."""
        self.batch.restore(snapshot)
        self._waiting = snapshot["waiting"].copy()
        self._seeded = True

    def adopt(self, snapshot: dict[str, Array]) -> None:
        """Go on with the patients of another environment of the same model and size, who are seen and treated here in other ways.

        Raises:
            ValueError: what is seen here is a chart or a table's code: those cannot be written up from a patient as they are.
        """
        if not isinstance(self.batch, Batch) or isinstance(self.batch, ChartedBatch):
            raise ValueError(f"{self.task.id} as it is observed here cannot take over the patients of another environment")
        self.batch.adopt(snapshot)
        self._waiting = snapshot["waiting"].copy()
        self._seeded = True


class ConfiguredVectorEnv(PatientVectorEnv):
    """A batch of an environment made from options: a subclass names the function that turns them into its task."""

    task_of: ClassVar[Callable[..., Task]]

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(type(self).task_of(**options), num_envs, autoreset_mode=autoreset_mode, threads=threads)
