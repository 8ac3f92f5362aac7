"""Offline learners of discrete actions."""

import copy

import torch
from torch import nn

from medsim_agents.offline.encoding import Batch
from medsim_agents.offline.learner import Array, Learner, Tensor
from medsim_agents.offline.losses import advantage_weights, conservative_gap, expectile_loss, imitable
from medsim_agents.offline.networks import follow, over_seen

__all__ = ["ChoiceBC", "ChoiceBCQ", "ChoiceCQL", "ChoiceIQL", "Choices"]


class Choices(Learner):
    """Base: ``scores`` rank the actions; ``random`` learners choose in proportion to their exponentials if not deterministic."""

    random = False

    def network(self, outputs: int) -> nn.Sequential:
        """Return a network over what is seen."""
        return over_seen(self.encoding, outputs, self.settings.net_arch)

    def scores(self, seen: Tensor) -> Tensor:
        """Return a number for each action (n, actions): the largest is chosen."""
        found: Tensor = self.networks["policy"](seen)
        return found

    def act(self, seen: Tensor, deterministic: bool) -> Tensor:
        """Return the actions (n,)."""
        scores = self.scores(seen)
        if deterministic or not self.random:
            return scores.argmax(dim=1)
        return torch.multinomial(scores.softmax(dim=1), 1, generator=self.generator)[:, 0]

    def probabilities(self, observations: Array) -> Array:
        """Return the probabilities (n, actions) with which it acts if it is not told to be deterministic."""
        with torch.no_grad():
            scores = self.scores(self.encoding.seen(observations))
            chances = scores.softmax(dim=1) if self.random else nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1])
        return chances.double().numpy()


def taken(values: Tensor, actions: Tensor) -> Tensor:
    """Return of values (n, actions) those of the actions (n,)."""
    return values.gather(1, actions[:, None])[:, 0]


class ChoiceBC(Choices):
    """Behaviour cloning: the likelihood of what was done."""

    random = True

    def build(self) -> None:
        """Make the policy."""
        self.networks["policy"] = self.network(self.encoding.actions)
        self.optimizers["all"] = self.optimizer(self.networks["policy"])

    def update(self, batch: Batch) -> None:
        """Raise the likelihood."""
        self.descend("all", nn.functional.cross_entropy(self.networks["policy"](batch.seen), batch.actions))


class ChoiceCQL(Choices):
    """Double Q learning with the conservative gap."""

    def build(self) -> None:
        """Make the critic and its target."""
        self.networks["q"] = self.network(self.encoding.actions)
        self.networks["target"] = copy.deepcopy(self.networks["q"])
        self.optimizers["all"] = self.optimizer(self.networks["q"])

    def scores(self, seen: Tensor) -> Tensor:
        """Return the values."""
        found: Tensor = self.networks["q"](seen)
        return found

    def update(self, batch: Batch) -> None:
        """Move values towards what was earned and can be earned then, and down where nothing was tried."""
        q, target = self.networks["q"], self.networks["target"]
        with torch.no_grad():
            best = q(batch.then).argmax(dim=1)
            goal = batch.rewards + self.settings.gamma * batch.going * taken(target(batch.then), best)
        values = q(batch.seen)
        done = taken(values, batch.actions)
        self.descend("all", nn.functional.smooth_l1_loss(done, goal) + self.settings.alpha * conservative_gap(values, done))
        follow(target, q, self.settings.tau)


class ChoiceIQL(Choices):
    """Expectile values of what was done, and imitation weighed by advantages."""

    random = True

    def build(self) -> None:
        """Make twin critics and their targets, values, and the policy."""
        for name, outputs in (("q0", self.encoding.actions), ("q1", self.encoding.actions), ("v", 1), ("policy", self.encoding.actions)):
            self.networks[name] = self.network(outputs)
        for name in ("q0", "q1"):
            self.networks[f"target_{name}"] = copy.deepcopy(self.networks[name])
        self.optimizers["all"] = self.optimizer(*(self.networks[name] for name in ("q0", "q1", "v", "policy")))

    def update(self, batch: Batch) -> None:
        """Learn values, critics and the policy; their losses share no weights."""
        nets, told = self.networks, self.settings
        with torch.no_grad():
            done = torch.minimum(*(taken(nets[f"target_{name}"](batch.seen), batch.actions) for name in ("q0", "q1")))
            goal = batch.rewards + told.gamma * batch.going * nets["v"](batch.then)[:, 0]
        v = nets["v"](batch.seen)[:, 0]
        of_critics = sum(nn.functional.mse_loss(taken(nets[name](batch.seen), batch.actions), goal) for name in ("q0", "q1"))
        weights = advantage_weights((done - v).detach(), told.temperature)
        imitation = nn.functional.cross_entropy(nets["policy"](batch.seen), batch.actions, reduction="none")
        self.descend("all", expectile_loss(done - v, told.expectile) + of_critics + (weights * imitation).mean())
        for name in ("q0", "q1"):
            follow(nets[f"target_{name}"], nets[name], told.tau)


class ChoiceBCQ(Choices):
    """Double Q learning among the actions that imitation finds probable enough."""

    def build(self) -> None:
        """Make the critic, its target, and the imitation."""
        self.networks["q"], self.networks["imitation"] = self.network(self.encoding.actions), self.network(self.encoding.actions)
        self.networks["target"] = copy.deepcopy(self.networks["q"])
        self.optimizers["all"] = self.optimizer(self.networks["q"], self.networks["imitation"])

    def scores(self, seen: Tensor) -> Tensor:
        """Return the values, minus infinity for what is not done."""
        allowed = imitable(self.networks["imitation"](seen), self.settings.threshold)
        return torch.where(allowed, self.networks["q"](seen), -torch.inf)

    def update(self, batch: Batch) -> None:
        """Learn the critic and the imitation; their losses share no weights."""
        nets, told = self.networks, self.settings
        with torch.no_grad():
            best = self.scores(batch.then).argmax(dim=1)
            goal = batch.rewards + told.gamma * batch.going * taken(nets["target"](batch.then), best)
        of_critic = nn.functional.smooth_l1_loss(taken(nets["q"](batch.seen), batch.actions), goal)
        self.descend("all", of_critic + nn.functional.cross_entropy(nets["imitation"](batch.seen), batch.actions))
        follow(nets["target"], nets["q"], told.tau)
