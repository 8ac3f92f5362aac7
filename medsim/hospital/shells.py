"""The shells of hospital models: PettingZoo's parallel environment, and Gymnasium's for a model with one agent.

A step runs to the next decision. One agent is asked at a time; the mask of all others allows nothing but to do nothing. An action that a
mask forbids does nothing, is counted as the cost ``forbidden_action``, and is told in ``info["forbidden_action"]``: PettingZoo's own tests
sample without masks. An action outside its space is refused by name.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv

from medsim.core.streams import Key, fresh_seed
from medsim.core.task import Provenance
from medsim.hospital.decisions import NOTHING, Request, checked_action, legal
from medsim.hospital.draws import key_of
from medsim.hospital.task import DecisionModel, HospitalTask, Ledger

__all__ = ["FORBIDDEN", "HospitalEnv", "HospitalParallelEnv", "HospitalShell"]

FORBIDDEN = "forbidden_action"
LARGEST = 1e9  # of a number in the true state: counts, hours, kilometres
RENDER_MODES = ("rgb_array", "ansi", "human")
Observation = npt.NDArray[np.float32] | dict[str, npt.NDArray[Any]]
Info = dict[str, Any]


class HospitalShell:
    """What both shells share: the episode's model and its random key, observations, masks and infos."""

    def __init__(self, task: HospitalTask, render_mode: str | None) -> None:
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"render_mode must be None or one of {', '.join(RENDER_MODES)}, not {render_mode!r}")
        self.task = task
        self.render_mode = render_mode
        self.limits = {role: task.limits(role) for role in task.actions}
        self.idle = {agent: legal(len(task.actions[role])) for agent, role in task.roles.items()}
        self.seed_of_streams: int | None = None
        self.slot, self.episode = 0, -1
        self.model: DecisionModel | None = None
        self.running = False

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        """Make the next episode's model and run it to its first decision.

        Raises:
            ValueError: the seed, an option or its value is not allowed.
        """
        slot = checked_reset_options(options)
        if seed is not None or slot is not None or self.seed_of_streams is None:
            if seed is None:
                seed = fresh_seed() if self.seed_of_streams is None else self.seed_of_streams
            key_of(seed)  # refuses what is no seed before anything has changed
            self.seed_of_streams, self.slot, self.episode = int(seed), slot or 0, -1
        self.episode += 1
        self.model = self.task.make_model(self.key)
        self.model.run()
        self.model.drain()  # nothing has been decided yet, so nothing counts yet
        self.running = True

    @property
    def key(self) -> Key:
        """The key of the present episode's random streams."""
        assert self.seed_of_streams is not None
        return key_of(self.seed_of_streams, self.slot, self.episode)

    def present_model(self) -> DecisionModel:
        """Return the episode's model.

        Raises:
            RuntimeError: no episode has begun.
        """
        if self.model is None:
            raise RuntimeError("no episode has begun: call reset() first")
        return self.model

    @property
    def request(self) -> Request | None:
        """The question that waits for an answer; None if the episode is over."""
        return None if self.model is None else self.model.request

    def mask_of(self, agent: str) -> npt.NDArray[np.int8]:
        """Return an agent's mask (actions,), int8: only doing nothing is legal for those who are not asked."""
        request = self.request
        return (request.mask if request is not None and request.agent == agent else self.idle[agent]).copy()

    def observation_of(self, agent: str) -> Observation:
        """Return what an agent sees, cut at its limits."""
        low, high = self.limits[self.task.roles[agent]]
        seen = np.clip(np.array(self.present_model().observe(agent), dtype=np.float32), low, high)
        return {"observation": seen, "action_mask": self.mask_of(agent)} if self.task.mask_in_observation else seen

    def decide(self, actions: Mapping[str, Any]) -> tuple[Ledger, dict[str, bool]]:
        """Give the agents' actions, run to the next decision, and return what came in and who did what is forbidden.

        Raises:
            ValueError: an action is outside its space, or an agent is missing or unknown; nothing has happened then.
            RuntimeError: the episode has ended, or none has begun.
        """
        if not self.running:
            raise RuntimeError("this episode has ended, or none has begun: call reset() before step()")
        task, model = self.task, self.present_model()
        if set(actions) != set(task.agents):
            raise ValueError(
                f"a step takes an action for each of {', '.join(task.agents)}, not for {', '.join(map(str, actions)) or 'nobody'}"
            )
        chosen = {agent: checked_action(agent, actions[agent], len(task.actions[role])) for agent, role in task.roles.items()}
        forbidden = {agent: not self.mask_of(agent)[action] for agent, action in chosen.items()}
        if model.request is not None:
            asked = model.request.agent
            model.answer(NOTHING if forbidden[asked] else chosen[asked])
            model.run()
        ledger = model.drain()
        ledger.costs[FORBIDDEN] = float(sum(forbidden.values()))
        self.running = model.request is not None
        return ledger, forbidden

    def info_of(self, agent: str, ledger: Ledger | None, forbidden: bool) -> Info:
        """Return an agent's info; a ledger of None stands for zeros."""
        model = self.present_model()
        if ledger is None:
            ledger = Ledger(terms=dict.fromkeys(self.task.term_names, 0.0), costs=dict.fromkeys([*self.task.cost_names, FORBIDDEN], 0.0))
        info: Info = {
            "cost": sum(ledger.costs.values()),
            "costs": dict(ledger.costs),
            "reward_terms": dict(ledger.terms),
            "action_mask": self.mask_of(agent),
            "asked": self.request is not None and self.request.agent == agent,
            "forbidden_action": forbidden,
            "time_h": model.time_h,
        }
        if self.task.expose_state:
            info["state"] = dict(zip(self.task.state_names, model.state(), strict=True))
        if self.request is None:
            info["outcome"], info["outcome_time_h"] = model.outcome, model.time_h
        return info

    def reward_of(self, agent: str, ledger: Ledger) -> float:
        """Return an agent's reward: the team's, or with ``local_rewards`` its own part."""
        return float(ledger.local.get(agent, 0.0)) if self.task.local_rewards else float(sum(ledger.terms.values()))

    def provenance(self) -> list[Provenance]:
        """Return every parameter with its value, unit and source."""
        return self.task.provenance()

    def event_log(self) -> Any:
        """Return what has happened in this episode as a pandas ``DataFrame``."""
        return self.present_model().log.frame()

    def picture(self) -> Any:
        """Return a bed board of this moment: an image (height, width, 3), uint8, or a text, as the render mode says; "human" prints it."""
        from medsim.render.bed_board import board_picture, board_text

        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; pass render_mode='rgb_array'")
            return None
        board = self.present_model().board()
        if self.render_mode == "human":
            print(board_text(board))
            return None
        return board_text(board) if self.render_mode == "ansi" else board_picture(board)


def checked_reset_options(options: Mapping[str, Any] | None) -> int | None:
    """Return the slot that a reset's options name, or None.

    Raises:
        ValueError: an option is unknown, or the slot is no whole number of 0 or more.
    """
    for name in options or {}:
        if name not in ("slot", "options"):  # PettingZoo's own tests reset with {"options": 1}
            raise ValueError(f"unknown reset option {name!r}; allowed is slot")
    slot = (options or {}).get("slot")
    if slot is not None and (isinstance(slot, bool) or not isinstance(slot, (int, np.integer)) or slot < 0):
        raise ValueError(f"reset option slot must be a whole number, 0 or larger, not {slot!r}")
    return None if slot is None else int(slot)


class HospitalParallelEnv(ParallelEnv[str, Any, Any]):  # type: ignore[misc]
    """A hospital with several agents. Environments derive from it to give their options names and documentation."""

    def __init__(self, task: HospitalTask, render_mode: str | None = None) -> None:
        self.metadata = {"render_modes": list(RENDER_MODES), "name": task.id, "is_parallelizable": True, "render_fps": 4}
        self.shell = HospitalShell(task, render_mode)
        self.task = task
        self.render_mode = render_mode
        self.possible_agents = list(task.agents)
        self.agents: list[str] = []
        by_role = {role: (task.observation_space(role), task.action_space(role)) for role in task.actions}
        self.observation_spaces = {agent: by_role[role][0] for agent, role in task.roles.items()}
        self.action_spaces = {agent: by_role[role][1] for agent, role in task.roles.items()}
        count = len(task.state_names)
        self.state_space = gym.spaces.Box(-LARGEST, LARGEST, (count,), dtype=np.float32)

    def observation_space(self, agent: str) -> Any:
        """Return an agent's observation space, the same object each time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Return an agent's action space, the same object each time."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Info]]:
        """Begin an episode.

        Args:
            seed: the random streams' seed; the next reset without one continues them with the next episode.
            options: ``slot``: another hospital of the same seed (default 0).

        Raises:
            ValueError: the seed or an option is not allowed.
        """
        self.shell.begin(seed, options)
        self.agents = list(self.possible_agents)
        return self._observations(), {agent: self.shell.info_of(agent, None, False) for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Give every agent's action and run to the next decision.

        Raises:
            ValueError: an action is outside its space, or an agent is missing; nothing has happened then.
            RuntimeError: the episode has ended, or none has begun.
        """
        shell = self.shell
        ledger, forbidden = shell.decide(actions)
        over = not shell.running
        observations = self._observations()
        rewards = {agent: shell.reward_of(agent, ledger) for agent in self.agents}
        infos = {agent: shell.info_of(agent, ledger, forbidden[agent]) for agent in self.agents}
        terminations = dict.fromkeys(self.agents, over and self.task.ends_by_itself)
        truncations = dict.fromkeys(self.agents, over and not self.task.ends_by_itself)
        if over:
            self.agents = []
        return observations, rewards, terminations, truncations, infos

    def _observations(self) -> dict[str, Any]:
        return {agent: self.shell.observation_of(agent) for agent in self.agents}

    def state(self) -> npt.NDArray[np.float32]:
        """Return the true state, hidden parts too: for training critics, never for acting."""
        return np.array(self.shell.present_model().state(), dtype=np.float32)

    def render(self) -> Any:
        """Return a bed board of this moment (``rgb_array``), or the same in text (``ansi``); ``human`` prints the text."""
        return self.shell.picture()

    def close(self) -> None:
        """Nothing is open."""

    def provenance(self) -> list[Provenance]:
        """Return every parameter with its value, unit and source; ``task.citation`` names the environment's own."""
        return self.task.provenance()

    def event_log(self) -> Any:
        """Return what has happened in this episode as a pandas ``DataFrame``."""
        return self.shell.event_log()


class HospitalEnv(gym.Env[Any, Any]):
    """A hospital with one agent, for Gymnasium. Environments derive from it to give their options names and documentation."""

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4}

    def __init__(self, task: HospitalTask, render_mode: str | None = None) -> None:
        (self.agent,) = task.agents
        self.shell = HospitalShell(task, render_mode)
        self.task = task
        self.render_mode = render_mode
        self.observation_space = task.observation_space(task.roles[self.agent])
        self.action_space = task.action_space(task.roles[self.agent])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Info]:
        """Begin an episode; ``options``: ``slot``, another hospital of the same seed (default 0).

        Raises:
            ValueError: the seed or an option is not allowed.
        """
        self.shell.begin(seed, options)
        if seed is not None:
            super().reset(seed=int(seed))
        return self.shell.observation_of(self.agent), self.shell.info_of(self.agent, None, False)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Info]:
        """Answer the question at hand and run to the next.

        Raises:
            ValueError: the action is outside its space; nothing has happened then.
            RuntimeError: the episode has ended, or none has begun.
        """
        shell = self.shell
        ledger, forbidden = shell.decide({self.agent: action})
        over = not shell.running
        info = shell.info_of(self.agent, ledger, forbidden[self.agent])
        ends = self.task.ends_by_itself
        return shell.observation_of(self.agent), shell.reward_of(self.agent, ledger), over and ends, over and not ends, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are legal now (actions,): what sb3-contrib's ``MaskablePPO`` asks for."""
        return self.shell.mask_of(self.agent).astype(np.bool_)

    def render(self) -> Any:
        """Return a bed board of this moment (``rgb_array``), or the same in text (``ansi``); ``human`` prints the text."""
        return self.shell.picture()

    def provenance(self) -> list[Provenance]:
        """Return every parameter with its value, unit and source; ``task.citation`` names the environment's own."""
        return self.task.provenance()

    def event_log(self) -> Any:
        """Return what has happened in this episode as a pandas ``DataFrame``."""
        return self.shell.event_log()
