"""The Stable-Baselines3 shell: a batch of patients as one ``VecEnv``, with no Python loop over them but for those that ended."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from medsim.core import kernels as k
from medsim.core.actions import batch_writer
from medsim.core.charts import ChartedBatch
from medsim.core.vector import PatientVectorEnv
from medsim.registry import make_task

__all__ = ["MedsimVecEnv", "doses_of", "make_vec_env"]

Array = npt.NDArray[Any]
Indices = None | int | Iterable[int]
SHARED = ("render_mode", "task", "outcomes", "observation_space", "action_space", "metadata")  # the same for every environment
MASKS = "action_masks"  # the method that sb3-contrib's MaskablePPO asks for


def make_vec_env(
    env_id: str, n: int, *, seed: int | None = None, threads: int = 1, unit_actions: bool = False, **options: Any
) -> "MedsimVecEnv":
    """Return ``n`` patients of an environment as a Stable-Baselines3 ``VecEnv``.

    Args:
        env_id: such as ``"medsim/Glucose-v0"``; n: how many patients.
        seed: slot k of seed s is the patient of ``gym.make(...).reset(seed=s, options={"slot": k})``; None: a fresh one.
        threads: how many threads step the batch; options: of the environment.
        unit_actions: doses are given as numbers from -1 to 1, by ``doses_of``: for algorithms that explore with a fixed spread.

    Raises:
        ValueError: no such environment, an unknown option, or a value that is not allowed.
    """
    env = MedsimVecEnv(PatientVectorEnv(make_task(env_id, **options), n, autoreset_mode="same_step", threads=threads), unit_actions)
    if seed is not None:
        env.seed(seed)
    return env


def doses_of(unit: Array, space: spaces.Box) -> Array:
    """Return doses for numbers from -1 to 1: none to the most, in squares, so that small doses can be told apart; beyond is cut."""
    share = np.square(0.5 * (np.clip(unit, -1.0, 1.0) + 1.0))
    return np.asarray(space.low + share * (space.high - space.low), dtype=space.dtype)


class MedsimVecEnv(VecEnv):
    """A batch of patients for Stable-Baselines3.

    An episode that ends begins anew in the same step. Its info then holds ``terminal_observation``, ``TimeLimit.truncated``,
    ``outcome``, ``outcome_time_h``, ``cost``, ``costs`` and ``episode``: return ``r``, length ``l``, seconds since the environment
    was made ``t``, total ``cost`` and ``costs`` by name. All other infos are empty and shared: read them, do not write to them.

    Attributes:
        last_costs: harms of the last step, (n, costs); cost_names: their names.
    """

    def __init__(self, shell: PatientVectorEnv, unit_actions: bool = False) -> None:
        self.shell, self.batch, self.task = shell, shell.batch, shell.task
        self.outcomes = shell.outcomes
        self.cost_names: tuple[str, ...] = tuple(self.batch.cost_names)
        self._labels: dict[str, list[Any]] = {}
        doses = shell.single_action_space
        self._doses = doses if unit_actions and isinstance(doses, spaces.Box) else None
        acted: Any = doses if self._doses is None else spaces.Box(-1.0, 1.0, self._doses.shape, dtype=np.float32)
        super().__init__(shell.num_envs, shell.single_observation_space, acted)
        self._write_actions = batch_writer(self.task.action_space, self.num_envs)
        self._seed: int | None = None
        self._reset_options_given: dict[str, Any] = {}
        self._nothing: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._returns = np.zeros(self.num_envs)
        self._costs = np.zeros((len(self.cost_names), self.num_envs))
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        self._began = time.monotonic()

    # Episodes

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Key the next reset's random streams: slot k of the seed is environment k. Returns the seed, once for each."""
        self._seed = seed
        return [seed] * self.num_envs

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Set the options of the next reset: a dict for all environments, or one for each that differ in ``patient`` alone.

        Raises:
            ValueError: a list of another length, or options that differ in more than ``patient``.
        """
        if isinstance(options, list):
            options = one_for_all(options, self.num_envs)
        self._reset_options_given = dict(options or {})

    def reset(self) -> Any:
        """Begin an episode of every patient; returns the observations (n, k), or a dict of arrays (n, ...) where the task has a chart.

        Raises:
            ValueError: an option of ``set_options`` is not allowed.
        """
        observations, _ = self.shell.reset(seed=self._seed, options=self._reset_options_given)
        self._seed, self._reset_options_given = None, {}
        for sums in (self._returns, self._costs, self._lengths):
            sums[...] = 0
        return observations

    def step_async(self, actions: Array) -> None:
        """Take the actions, (n,) or (n, a).

        Raises:
            ValueError: an action is outside the space; nothing has happened then.
        """
        self._write_actions(self.batch.actions, actions if self._doses is None else doses_of(actions, self._doses))

    def step_wait(self) -> tuple[Any, Array, Array, list[dict[str, Any]]]:
        """Step; returns observations as ``reset``, rewards (n,), who has ended (n,) and the infos. All arrays are the caller's own."""
        batch = self.batch
        batch.step()
        self._returns += batch.out[k.REWARD]
        self._costs += batch.costs
        self._lengths += 1
        ended, infos = batch.ends[0] | batch.ends[1], self._nothing
        if ended.any():
            infos = self._infos_of(np.flatnonzero(ended))
            self._returns[ended], self._lengths[ended] = 0.0, 0
            self._costs[:, ended] = 0.0
        return self.shell.observations(), batch.out[k.REWARD].astype(np.float32), ended, infos

    def _infos_of(self, ended: npt.NDArray[np.intp]) -> list[dict[str, Any]]:
        """Return the infos of a step in which these environments ended."""
        batch, names = self.batch, self.cost_names
        finals: Sequence[Any] | Array = batch.final_obs[ended]
        if isinstance(batch, ChartedBatch):
            finals = [{name: rows[row] for name, rows in batch.final_windows.items()} for row in range(len(ended))]
        cut = (batch.ends[1] & ~batch.ends[0])[ended].tolist()
        codes, times, costs = batch.out[k.OUTCOME][ended].tolist(), batch.out[k.TIME_H][ended].tolist(), batch.costs[:, ended].T.tolist()
        returns, lengths, totals = self._returns[ended].tolist(), self._lengths[ended].tolist(), self._costs[:, ended].T.tolist()
        seconds = round(time.monotonic() - self._began, 6)
        infos = self._nothing.copy()
        for row, i in enumerate(ended.tolist()):
            infos[i] = {
                "terminal_observation": finals[row],
                "TimeLimit.truncated": cut[row],
                "outcome": self.outcomes[int(codes[row])],
                "outcome_time_h": times[row],
                "cost": sum(costs[row]),
                "costs": dict(zip(names, costs[row], strict=True)),
                "episode": {
                    "r": returns[row],
                    "l": lengths[row],
                    "t": seconds,
                    "cost": sum(totals[row]),
                    "costs": dict(zip(names, totals[row], strict=True)),
                },
            }
        return infos

    @property
    def last_costs(self) -> Array:
        """Harms of the last step, (n, costs), a copy; after ``reset`` zeros."""
        return self.batch.costs.T.copy()

    def close(self) -> None:
        """Nothing is held open."""

    # What wrappers and algorithms ask of single environments

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return an attribute of environments: what they share, or what ``set_attr`` gave them.

        Raises:
            AttributeError: they have none of that name.
        """
        chosen = self._get_indices(indices)
        if attr_name in self._labels:
            return [self._labels[attr_name][i] for i in chosen]
        if attr_name == "render_mode":
            return [None for _ in chosen]
        if attr_name in SHARED:
            return [getattr(self, attr_name) for _ in chosen]
        if attr_name == MASKS and self.has_masks:
            return [lambda row=row: self._masks()[row] for row in chosen]
        there_are = ", ".join((*SHARED, *self._labels))
        raise AttributeError(f"environments of {self.task.id} have no attribute {attr_name!r}; there are {there_are}")

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Give environments a label of their own, for ``get_attr``; it changes nothing in the simulation.

        Raises:
            AttributeError: the name is taken by what is fixed when the environment is made.
        """
        if attr_name in (*SHARED, MASKS):
            raise AttributeError(f"{attr_name} is fixed when the environment is made: make another with other options")
        values = self._labels.setdefault(attr_name, [None] * self.num_envs)
        for i in self._get_indices(indices):
            values[i] = value

    def env_method(self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any) -> list[Any]:
        """Return what a method gives for each environment: ``provenance``, and ``action_masks`` where the task has masks.

        Raises:
            AttributeError: environments of this task have no such method.
        """
        chosen = list(self._get_indices(indices))
        if method_name == MASKS and self.has_masks:
            masks = self._masks()
            return [masks[i] for i in chosen]
        if method_name == "provenance":
            return [self.task.provenance()] * len(chosen)
        raise AttributeError(f"environments of {self.task.id} have no method {method_name!r}")

    @property
    def has_masks(self) -> bool:
        """Whether the task says which actions are allowed: ``task.masks(batch)`` gives (n, actions), true where allowed."""
        return getattr(self.task, "masks", None) is not None

    def _masks(self) -> Array:
        return np.asarray(self.task.masks(self.batch), dtype=np.bool_)  # type: ignore[attr-defined]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: Indices = None) -> list[bool]:
        """Return whether environments do what a wrapper does: ``Monitor``'s episode statistics are kept inside, no other."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]

    # Resume

    def snapshot(self) -> dict[str, Array]:
        """Return a copy of everything that the episodes' course and statistics depend on, for ``restore``."""
        own = {"episode_returns": self._returns, "episode_costs": self._costs, "episode_lengths": self._lengths}
        return {**self.shell.snapshot(), **{name: values.copy() for name, values in own.items()}}

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Return to a snapshot of an environment of the same task and size; forgets a seed not yet used."""
        self.shell.restore(snapshot)
        self._returns[...] = snapshot["episode_returns"]
        self._costs[...] = snapshot["episode_costs"]
        self._lengths[...] = snapshot["episode_lengths"]
        self._seed = None


def one_for_all(options: list[dict[str, Any]], n: int) -> dict[str, Any]:
    """Return the options of a batch from one dict for each of n environments, which may differ in ``patient`` alone.

    Raises:
        ValueError: there are not n of them, or they differ in something else.
    """
    if len(options) != n:
        raise ValueError(f"options must be one dict for all, or {n} of them, not {len(options)}")
    rest = [{name: value for name, value in one.items() if name != "patient"} for one in options]
    if any(one != rest[0] for one in rest):
        raise ValueError("options of single environments may differ in 'patient' alone: the others hold for a whole batch")
    patients = [one.get("patient") for one in options]
    if all(patient is None for patient in patients):
        return rest[0]
    return {**rest[0], "patient": patients}
