"""Any PettingZoo parallel environment as a ``VecEnv``: agents of a role share one policy, the others act by theirs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.hospital.policy import HospitalPolicy
from medsim_agents.multi_agent.rows import Array, EpisodeSums, RowVecEnv

__all__ = ["ActsFor", "ParallelVecEnv", "hospital_others", "model_acts"]

Info = dict[str, Any]
ActsFor = Callable[[Any, str, Any, Any], Any]  # (environment, agent, what it sees, its mask or None) -> action


class ParallelVecEnv(RowVecEnv):
    """Rows are (copy of the environment, agent of a role): ``n * len(agents)`` of them, all agents of the first copy first.

    Agents that share the policy must have equal spaces. Masks are read from ``info["action_mask"]`` or from
    ``observation["action_mask"]``, of which the policy then sees ``observation["observation"]``; without masks everything is allowed. An
    agent that dies ends its row's episode, with ``terminal_observation`` and ``TimeLimit.truncated``; the row then stands idle (zeros,
    only action 0 allowed, which nobody carries out, no reward) until no agent of the role is left, and the copy begins anew.

    Seeds: copy k plays by the k-th child of ``SeedSequence(seed)``, and takes a new number of it for every episode, so copies differ, base
    seeds that are neighbours share nothing, and one seed gives one course, whatever an environment does with a reset without a seed.

    Args:
        make: makes one copy. n: how many copies. agents: who shares the policy; None: all.
        others: agent -> who acts for it, or one for all others, called with (environment, agent, observation, mask or None).
        seed: None: a fresh one.

    Raises:
        ValueError: n is below 1, an agent is unknown, the agents' spaces differ, or one of the others has nobody to act for it.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        n: int,
        *,
        agents: Sequence[str] | None = None,
        others: Mapping[str, ActsFor] | ActsFor | None = None,
        seed: int | None = None,
    ) -> None:
        if n < 1:
            raise ValueError(f"n must be 1 or more, not {n}")
        self.copies = [make() for _ in range(n)]
        possible = list(self.copies[0].possible_agents)
        self.agents = possible if agents is None else list(agents)
        self.others = acting_for(possible, self.agents, others)
        seen, acts = shared_spaces(self.copies[0], self.agents)
        self.masked = isinstance(seen, spaces.Dict) and set(seen) == {"observation", "action_mask"}
        super().__init__(n * len(self.agents), seen["observation"] if self.masked else seen, acts)  # type: ignore[index]
        self.sums = EpisodeSums(self.num_envs)
        self.alive = np.zeros(self.num_envs, dtype=np.bool_)
        self._seen: list[dict[str, Any]] = [{} for _ in range(n)]
        self._infos: list[dict[str, Info]] = [{} for _ in range(n)]
        self._blank = blank_of(self.observation_space)
        self._rows: list[Any] = [self._blank] * self.num_envs
        self._choices = int(acts.n) if isinstance(acts, spaces.Discrete) else 0
        self._allowed = np.ones((self.num_envs, max(self._choices, 1)), dtype=np.bool_)
        self._streams: list[np.random.Generator] = []
        self.seed(seed)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Key the next reset: each copy gets a child of ``SeedSequence(seed)``. Returns the seed, once for each row."""
        self._streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(len(self.copies))]
        return [seed] * self.num_envs

    def reset(self) -> Any:
        """Begin an episode in every copy; returns the observations (rows, ...)."""
        self.sums.clear()
        for number in range(len(self.copies)):
            self._begin(number)
        return self._stacked()

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are legal now, (rows, actions)."""
        return self._allowed.copy()

    def step_wait(self) -> tuple[Any, Array, Array, list[Info]]:
        """Step every copy; returns observations, rewards (rows,), who has ended (rows,), infos."""
        assert self._actions is not None
        rewards, ended = np.zeros(self.num_envs, dtype=np.float32), np.zeros(self.num_envs, dtype=np.bool_)
        infos: list[Info] = [{} for _ in range(self.num_envs)]
        for number in range(len(self.copies)):
            self._step_copy(number, self._actions, rewards, ended, infos)
        return self._stacked(), rewards, ended, infos

    def close(self) -> None:
        """Close the copies."""
        for copy in self.copies:
            copy.close()

    # One copy

    def _begin(self, number: int) -> None:
        observations, infos = self.copies[number].reset(seed=int(self._streams[number].integers(2**31)))
        self._seen[number], self._infos[number] = observations, infos
        there = set(self.copies[number].agents)
        for agent, row in self._rows_of(number):
            self.alive[row] = agent in there
            self._show(number, agent, row)

    def _rows_of(self, number: int) -> list[tuple[str, int]]:
        first = number * len(self.agents)
        return [(agent, first + place) for place, agent in enumerate(self.agents)]

    def _show(self, number: int, agent: str, row: int) -> None:
        """Write down what a row sees and may do."""
        if not self.alive[row]:
            self._rows[row] = self._blank
            self._allowed[row] = np.arange(self._allowed.shape[1]) == 0
            return
        self._rows[row] = self._plain(self._seen[number][agent])
        mask = self._mask(number, agent)
        self._allowed[row] = True if mask is None else np.asarray(mask, dtype=np.bool_)

    def _plain(self, observation: Any) -> Any:
        return observation["observation"] if self.masked else observation

    def _mask(self, number: int, agent: str) -> Any:
        seen = self._seen[number][agent]
        if isinstance(seen, Mapping) and "action_mask" in seen:
            return seen["action_mask"]
        return self._infos[number].get(agent, {}).get("action_mask")

    def _chosen(self, number: int, actions: Array) -> dict[str, Any]:
        copy, rows = self.copies[number], dict(self._rows_of(number))
        chosen = {}
        for agent in copy.agents:
            if agent in rows:
                action = actions[rows[agent]]
                chosen[agent] = int(action) if self._choices else action
            else:
                chosen[agent] = self.others[agent](copy, agent, self._seen[number][agent], self._mask(number, agent))
        return chosen

    def _step_copy(self, number: int, actions: Array, rewards: Array, ended: Array, infos: list[Info]) -> None:
        seen, paid, terminated, truncated, told = self.copies[number].step(self._chosen(number, actions))
        self._seen[number], self._infos[number] = seen, told
        there, rows = set(self.copies[number].agents), self._rows_of(number)
        for agent, row in rows:
            if not self.alive[row]:
                continue
            rewards[row] = paid.get(agent, 0.0)
            self.sums.returns[row] += rewards[row]
            self.sums.lengths[row] += 1
            dies, cut = bool(terminated.get(agent, False)), bool(truncated.get(agent, False))
            if not (dies or cut or agent not in there):
                infos[row] = dict(told.get(agent, {}))
            else:
                self._end(row, agent, cut and not dies, seen, told, infos)
                ended[row], self.alive[row] = True, False
        if not any(self.alive[row] for _, row in rows):
            ended[[row for _, row in rows]] = True  # those that stood idle end, too: nothing flows from one episode into the next
            self._begin(number)
        else:
            for agent, row in rows:
                self._show(number, agent, row)

    def _end(self, row: int, agent: str, cut: bool, seen: dict[str, Any], told: dict[str, Info], infos: list[Info]) -> None:
        last = self._plain(seen[agent]) if agent in seen else self._rows[row]
        infos[row] = {
            **told.get(agent, {}),
            "terminal_observation": last,
            "TimeLimit.truncated": cut,
            "episode": self.sums.info(row),
        }
        self.sums.clear(row)

    def _stacked(self) -> Any:
        if isinstance(self.observation_space, spaces.Dict):
            return {name: np.stack([row[name] for row in self._rows]) for name in self.observation_space}
        return np.stack([np.asarray(row) for row in self._rows])


def acting_for(possible: Sequence[str], learning: Sequence[str], others: Mapping[str, ActsFor] | ActsFor | None) -> dict[str, ActsFor]:
    """Return who acts for each agent that does not learn.

    Raises:
        ValueError: an agent that should learn is unknown, or nobody acts for one of the others.
    """
    for agent in learning:
        if agent not in possible:
            raise ValueError(f"there is no agent {agent!r}; there are {', '.join(possible)}")
    rest = [agent for agent in possible if agent not in learning]
    if callable(others):
        return dict.fromkeys(rest, others)
    missing = [agent for agent in rest if agent not in (others or {})]
    if missing:
        raise ValueError(f"{', '.join(missing)} do not learn here: others must say who acts for them")
    return {agent: (others or {})[agent] for agent in rest}


def shared_spaces(env: Any, agents: Sequence[str]) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """Return the observation and action space of agents.

    Raises:
        ValueError: there are no agents, or their spaces differ.
    """
    if not agents:
        raise ValueError("agents must name one agent or more, not none")
    first = agents[0]
    for agent in agents[1:]:
        if env.observation_space(agent) != env.observation_space(first) or env.action_space(agent) != env.action_space(first):
            raise ValueError(
                f"{first} and {agent} have different spaces and cannot share a policy: name the agents of one role "
                f"({env.observation_space(first)}, {env.action_space(first)}; {env.observation_space(agent)}, {env.action_space(agent)})"
            )
    return env.observation_space(first), env.action_space(first)


def blank_of(space: spaces.Space[Any]) -> Any:
    """Return an observation of zeros.

    Raises:
        ValueError: the space holds something else than arrays and codes.
    """
    if isinstance(space, spaces.Dict):
        return {name: blank_of(part) for name, part in space.items()}
    if isinstance(space, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        return np.zeros(space.shape or (), dtype=space.dtype)
    raise ValueError(f"observations must be arrays, codes or a dict of them, not {space}")


def hospital_others(make_policy: Callable[[], HospitalPolicy]) -> ActsFor:
    """Return a hospital's policy as what acts for others; each copy has one of its own, which is told when an episode begins."""
    playing: dict[int, tuple[Any, HospitalPolicy]] = {}

    def act(env: Any, agent: str, observation: Any, mask: Any) -> int:
        key, policy = playing.get(id(env), (None, None))
        if policy is None or key != env.shell.key:
            policy = policy or make_policy()
            playing[id(env)] = env.shell.key, policy
            policy.begin(env.task, env.shell.key)
        if env.shell.request is None or env.shell.request.agent != agent:
            return 0
        return policy.act(agent, observation["observation"] if isinstance(observation, Mapping) else observation, mask)

    return act


def model_acts(model: Any, deterministic: bool = True) -> ActsFor:
    """Return a trained model as what acts for others: it sees the observation (without its mask), and the mask if it takes one."""
    takes_masks = hasattr(model, "rollout_buffer") and "Maskable" in type(model.rollout_buffer).__name__

    def act(env: Any, agent: str, observation: Any, mask: Any) -> Any:
        seen = observation["observation"] if isinstance(observation, Mapping) and "action_mask" in observation else observation
        told = {"action_masks": np.asarray(mask, dtype=np.bool_)} if takes_masks and mask is not None else {}
        return model.predict(seen, deterministic=deterministic, **told)[0]

    return act
