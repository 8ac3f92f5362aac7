"""Who acts in a hospital: trained models, alone or role by role, and reference policies beside them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.streams import Key
from medsim.hospital.batch import DecisionBatch
from medsim.hospital.decisions import NOTHING
from medsim.hospital.policy import HospitalPolicy
from medsim.hospital.task import HospitalTask
from medsim_agents.multi_agent.views import RoleView, SharedView, View
from medsim_agents.threads import single_threaded

__all__ = ["HospitalModelPolicy", "ModelActs", "Others", "Player", "everyone"]

Array = npt.NDArray[Any]
Whole = npt.NDArray[np.int64]

FIRST = np.zeros(1, dtype=np.int64)  # the number of the only hospital, where there is one


class ModelActs:
    """A trained model that answers for all roles, or for one.

    Args:
        model: of Stable-Baselines3, or None until there is one. scale: of the observations, as in training, or None.
        role: for whom it acts; None: for all.
        masks: whether the model takes masks. deterministic: the likeliest action; False: drawn, as in training.
    """

    def __init__(self, model: Any, scale: Any, *, role: str | None = None, masks: bool = True, deterministic: bool = True) -> None:
        self.model, self.scale, self.role, self.masks, self.deterministic = model, scale, role, masks, deterministic
        self.view: View | None = None
        self.own: Whole = np.zeros(0, dtype=np.int64)  # agent -> how many actions it has

    @property
    def memory(self) -> bool:
        """Whether the model carries something from decision to decision."""
        return hasattr(self.model.policy, "lstm_actor")

    def bind(self, task: HospitalTask) -> None:
        """Learn how the task's observations are shown to the model.

        Raises:
            ValueError: the model was trained on other observations or actions.
        """
        view = SharedView(task) if self.role is None else RoleView(task, self.role)
        here, there = view.space, self.model.observation_space
        if here.shape != there.shape or view.actions != int(getattr(self.model.action_space, "n", 0)):
            raise ValueError(
                f"the model was trained on other observations or actions ({there}, {self.model.action_space}) than {task.id} has here "
                f"({here}, {view.action_space})"
            )
        self.view = view
        self.own = np.array([len(task.actions[role]) for role in task.roles.values()])

    def act(self, agents: Whole, observations: Array, masks: Array, memory: Any = None, starts: Array | None = None) -> tuple[Whole, Any]:
        """Return actions (m,) for who is asked (m,), what they see (m, K) and may do (m, A); and the memory for the next call.

        A number that is none of the agent's actions (from a model without masks that all roles share) becomes "nothing".
        """
        assert self.view is not None
        seen = self.view(agents, observations)
        if self.scale is not None:
            seen = self.scale(seen)
        legal = masks[:, : self.view.actions].astype(np.bool_) if self.masks else None
        with single_threaded():
            if hasattr(self.model.policy, "action_net") and not self.memory:
                actions = choose(self.model.policy, seen, legal, self.deterministic)
            else:
                told = {} if legal is None else {"action_masks": legal}
                actions, memory = self.model.predict(seen, state=memory, episode_start=starts, deterministic=self.deterministic, **told)
        return np.where(actions < self.own[np.maximum(agents, 0)], actions, NOTHING).astype(np.int64), memory


def choose(policy: Any, seen: Array, legal: npt.NDArray[np.bool_] | None, deterministic: bool) -> Whole:
    """Return what an actor-critic's actor does (m,) on what it sees (m, k): what its ``predict`` does, without the layers around it, which
    cost more than the network where few hospitals wait.

    Drawn from the softmax as the largest of logits plus Gumbel noise, of torch's generator: minus the logarithm of an exponential draw.
    """
    import torch

    with torch.no_grad():
        features = policy.pi_features_extractor(torch.as_tensor(seen, dtype=torch.float32, device=policy.device))
        logits = policy.action_net(policy.mlp_extractor.forward_actor(features))
        if not deterministic:
            logits = logits - torch.empty_like(logits).exponential_().log_()
        if legal is not None:
            logits = logits.masked_fill(~torch.from_numpy(legal).to(policy.device), -torch.inf)
        chosen: Whole = logits.argmax(dim=1).cpu().numpy()
        return chosen


Player = Callable[[], HospitalPolicy] | ModelActs


class Others:
    """Policies of the roles that do not learn, in n hospitals side by side.

    Raises:
        ValueError: a role has none, or one that cannot be used.
    """

    def __init__(self, task: HospitalTask, n: int, learner: str | None, players: Mapping[str, Player]) -> None:
        missing = [role for role in task.actions if role != learner and role not in players]
        if missing:
            raise ValueError(f"{', '.join(missing)} of {task.id} need a policy to act by while {learner} learns")
        self.task = task
        self.by_role = {role: players[role] for role in task.actions if role != learner}
        self.policies: dict[int, list[HospitalPolicy]] = {}
        for player in self.by_role.values():
            if not isinstance(player, ModelActs):
                self.policies.setdefault(id(player), [player() for _ in range(n)])
            elif player.model is not None and player.memory:
                raise ValueError("a model with memory cannot act for one role alone: choose an algorithm without")
        places = {role: number for number, role in enumerate(self.by_role)}
        self.place = np.array([places.get(role, -1) for role in task.roles.values()])  # agent -> where its role stands in by_role

    def begin(self, batch: DecisionBatch, rows: Array) -> None:
        """Tell the policies that an episode begins in these hospitals."""
        for player in self.by_role.values():
            if isinstance(player, ModelActs) and player.view is None:
                player.bind(self.task)
        for each in self.policies.values():
            for row in rows.tolist():
                each[row].begin(self.task, batch.key(row))

    def act(self, batch: DecisionBatch, rows: Array) -> Whole:
        """Return the actions (m,) of the agents that are asked in these hospitals."""
        agents = batch.agent[rows]
        actions = np.zeros(len(rows), dtype=np.int64)
        asked = self.place[agents]
        for place, player in enumerate(self.by_role.values()):
            at = np.flatnonzero(asked == place)
            if not len(at):
                continue
            if isinstance(player, ModelActs):
                actions[at], _ = player.act(agents[at], batch.observations[rows[at]], batch.masks[rows[at]])
            else:
                for one in at.tolist():
                    actions[one] = self._ask(self.policies[id(player)], batch, int(rows[one]))
        return actions

    def _ask(self, policies: list[HospitalPolicy], batch: DecisionBatch, row: int) -> int:
        agent = self.task.agents[int(batch.agent[row])]
        role = self.task.roles[agent]
        seen, mask = batch.observations[row, : len(self.task.seen[role])], batch.masks[row, : len(self.task.actions[role])]
        return policies[row].act(agent, seen, mask)


def everyone(task: HospitalTask, n: int, parts: Mapping[str, Player]) -> Callable[[DecisionBatch], Whole]:
    """Return a function that acts for all roles in a batch, from its episodes' start on: what ``play_batch`` takes."""
    first = next(iter(parts.values()))
    if isinstance(first, ModelActs) and first.role is None:
        return shared_by_all(task, first)
    players, begun = Others(task, n, None, parts), False

    def act(batch: DecisionBatch) -> Whole:
        nonlocal begun
        if not begun:
            players.begin(batch, np.arange(batch.n))
            begun = True
        actions = np.zeros(batch.n, dtype=np.int64)
        running = np.flatnonzero(~batch.ended)
        actions[running] = players.act(batch, running)
        return actions

    return act


def shared_by_all(task: HospitalTask, part: ModelActs) -> Callable[[DecisionBatch], Whole]:
    """Return the same for one model of all roles, which may have a memory."""
    part.bind(task)
    memory: Any = None
    starts: Array | None = None

    def act(batch: DecisionBatch) -> Whole:
        nonlocal memory, starts
        starts = np.full(batch.n, starts is None)
        actions, memory = part.act(batch.agent, batch.observations, batch.masks, memory, starts)
        return actions

    return act


class HospitalModelPolicy:
    """Trained models as a policy that ``medsim.hospital.evaluation`` can judge beside any other: one for all roles, or one for each.

    Args:
        parts: role -> its model; the same one for all roles where they share it. trained_on: the environment's id.
    """

    def __init__(self, name: str, parts: Mapping[str, ModelActs], options: Mapping[str, Any], trained_on: str) -> None:
        self.name, self.parts, self.options, self.trained_on = name, parts, options, trained_on

    def begin(self, task: HospitalTask, key: Key) -> None:
        """Forget the episode before.

        Raises:
            ValueError: the models were trained on other roles, observations or actions.
        """
        if set(self.parts) != set(task.actions):
            raise ValueError(f"{self.name} was trained for the roles {', '.join(self.parts)}, and {task.id} has {', '.join(task.actions)}")
        self.apart = list({id(part): part for part in self.parts.values()}.values())
        for part in self.apart:
            part.bind(task)
        self.place = np.array([self.apart.index(self.parts[role]) for role in task.roles.values()])  # agent -> its model in apart
        self.task = task
        self.numbers = {agent: np.array([number]) for number, agent in enumerate(task.agents)}
        self.width = max(len(seen) for seen in task.seen.values())
        self.most = max(len(names) for names in task.actions.values())
        self.memories = [Memories() for _ in self.apart]

    def act_batch(self, agents: Whole, seen: Array, masks: Array, rows: Whole) -> Whole:
        """Return the likeliest actions (m,) of the agents that are asked (m,) in these hospitals (m,), from what they see (m, K) and may do
        (m, A)."""
        actions = np.full(len(agents), NOTHING, dtype=np.int64)
        asked = self.place[agents]
        for place, part in enumerate(self.apart):
            at = np.flatnonzero(asked == place)
            if not len(at):
                continue
            if not part.memory:
                actions[at], _ = part.act(agents[at], seen[at], masks[at])
                continue
            memory, starts = self.memories[place].of(rows[at])
            actions[at], memory = part.act(agents[at], seen[at], masks[at], memory, starts)
            self.memories[place].keep(rows[at], memory)
        return actions

    def act(self, agent: str, seen: npt.NDArray[np.float32], mask: npt.NDArray[np.int8]) -> int:
        """Return the action of the agent that is asked: the likeliest."""
        row, masks = np.zeros((1, self.width), dtype=np.float32), np.zeros((1, self.most), dtype=np.int8)
        row[0, : len(seen)], masks[0, : len(mask)] = seen, mask
        return int(self.act_batch(self.numbers[agent], row, masks, FIRST)[0])


class Memories:
    """What a model with memory carries along in each of many hospitals: arrays (layers, hospitals, units)."""

    def __init__(self) -> None:
        self.parts: tuple[Array, ...] | None = None
        self.begun = np.zeros(0, dtype=np.bool_)

    def of(self, rows: Whole) -> tuple[Any, Array]:
        """Return the memory in hospitals (m,), None before there is any, and where an episode begins, (m,)."""
        missing = int(rows.max()) + 1 - len(self.begun)
        if missing > 0:
            self.begun = np.pad(self.begun, (0, missing))
            if self.parts is not None:
                self.parts = tuple(np.pad(part, ((0, 0), (0, missing), (0, 0))) for part in self.parts)
        return None if self.parts is None else tuple(part[:, rows] for part in self.parts), ~self.begun[rows]

    def keep(self, rows: Whole, memory: tuple[Array, ...]) -> None:
        """Keep the memory of hospitals (m,)."""
        if self.parts is None:
            self.parts = tuple(np.zeros((part.shape[0], len(self.begun), part.shape[2]), dtype=part.dtype) for part in memory)
        for kept, part in zip(self.parts, memory, strict=True):
            kept[:, rows] = part
        self.begun[rows] = True
