"""Offline learners of continuous doses, which are numbers from -1 to 1 here."""

import copy
import math

import torch
from torch import nn

from medsim_agents.offline.encoding import Batch
from medsim_agents.offline.learner import Learner, Tensor
from medsim_agents.offline.losses import advantage_weights, clipped_blend, expectile_loss
from medsim_agents.offline.networks import Twins, follow, over_doses, over_seen

__all__ = ["DoseBC", "DoseBCQ", "DoseCQL", "DoseIQL", "DoseTD3BC", "Doses"]

LEAST_LOG_SD, MOST_LOG_SD = -5.0, 2.0  # of stochastic actors, as in Kostrikov et al. 2022 and in SAC's implementations
DRAWN_ACTIONS = 5  # chosen: of each kind in CQL's gap; the paper's 10 cost twice the time
LATENT_PER_DOSE = 2  # BCQ's code has twice as many numbers as the action
LEAST_SHARE = 0.75  # BCQ's weight of the lesser critic
ACTING_SEED = 20190610  # of the candidates that BCQ draws when it acts: the same for every patient and step


class Doses(Learner):
    """Base: the actor's tanh is the dose."""

    def over_seen(self, outputs: int) -> nn.Sequential:
        """Return a network over what is seen; raises ValueError where that is a code."""
        if self.encoding.scale is None:
            raise ValueError("doses are learnt from rows of numbers, and the data hold codes")
        return over_seen(self.encoding, outputs, self.settings.net_arch)

    def make_critics(self) -> None:
        """Make twin critics and their targets."""
        self.networks["q"] = Twins(self.encoding, self.settings.net_arch)
        self.networks["target"] = copy.deepcopy(self.networks["q"])
        self.optimizers["q"] = self.optimizer(self.networks["q"])

    def act(self, seen: Tensor, deterministic: bool) -> Tensor:
        """Return the doses (n, a)."""
        return torch.tanh(self.networks["actor"](seen)[:, : self.encoding.doses])


def critics_loss(values: Tensor, goal: Tensor) -> Tensor:
    """Return the squared errors of twin values (2, n), summed over the twins."""
    return ((values - goal) ** 2).mean(dim=1).sum()


class DoseBC(Doses):
    """Behaviour cloning: the mean dose."""

    def build(self) -> None:
        """Make the actor."""
        self.networks["actor"] = self.over_seen(self.encoding.doses)
        self.optimizers["actor"] = self.optimizer(self.networks["actor"])

    def update(self, batch: Batch) -> None:
        """Lower the squared error."""
        self.descend("actor", nn.functional.mse_loss(self.act(batch.seen, True), batch.actions))


class DoseTD3BC(Doses):
    """TD3 whose actor also imitates."""

    def build(self) -> None:
        """Make actor, critics and their targets."""
        self.make_critics()
        self.networks["actor"] = self.over_seen(self.encoding.doses)
        self.networks["target_actor"] = copy.deepcopy(self.networks["actor"])
        self.optimizers["actor"] = self.optimizer(self.networks["actor"])

    def update(self, batch: Batch) -> None:
        """Learn the critics, and every ``policy_delay`` steps the actor."""
        nets, told = self.networks, self.settings
        with torch.no_grad():
            noise = (told.target_policy_noise * self.normal(*batch.actions.shape)).clamp(-told.target_noise_clip, told.target_noise_clip)
            then = (torch.tanh(nets["target_actor"](batch.then)) + noise).clamp(-1.0, 1.0)
            goal = batch.rewards + told.gamma * batch.going * nets["target"](batch.then, then).min(dim=0).values
        self.descend("q", critics_loss(nets["q"](batch.seen, batch.actions), goal))
        if self.num_timesteps % told.policy_delay == 0:
            doses = self.act(batch.seen, True)
            values = nets["q"](batch.seen, doses)[0]
            weight = told.alpha / values.abs().mean().detach().clamp(min=1e-6)
            self.descend("actor", nn.functional.mse_loss(doses, batch.actions) - weight * values.mean())
            follow(nets["target_actor"], nets["actor"], told.tau)
            follow(nets["target"], nets["q"], told.tau)


class DoseIQL(Doses):
    """Expectile values of the doses given, and imitation weighed by advantages, by a normal distribution around the actor's dose."""

    def build(self) -> None:
        """Make actor, critics and their targets, and values."""
        self.make_critics()
        self.networks["actor"], self.networks["v"] = self.over_seen(self.encoding.doses), self.over_seen(1)
        self.networks["log_sd"] = nn.ParameterList([nn.Parameter(torch.zeros(self.encoding.doses))])
        self.optimizers["v"] = self.optimizer(self.networks["v"])
        self.optimizers["actor"] = self.optimizer(self.networks["actor"], self.networks["log_sd"])

    def act(self, seen: Tensor, deterministic: bool) -> Tensor:
        """Return the doses (n, a)."""
        mean = super().act(seen, True)
        if deterministic:
            return mean
        return (mean + self.log_sd().exp() * self.normal(*mean.shape)).clamp(-1.0, 1.0)

    def log_sd(self) -> Tensor:
        """Return the logarithm of each dose's standard deviation."""
        return next(self.networks["log_sd"].parameters()).clamp(LEAST_LOG_SD, MOST_LOG_SD)

    def update(self, batch: Batch) -> None:
        """Learn values, critics and the actor."""
        nets, told = self.networks, self.settings
        with torch.no_grad():
            done = nets["target"](batch.seen, batch.actions).min(dim=0).values
            goal = batch.rewards + told.gamma * batch.going * nets["v"](batch.then)[:, 0]
        v = nets["v"](batch.seen)[:, 0]
        self.descend("v", expectile_loss(done - v, told.expectile))
        self.descend("q", critics_loss(nets["q"](batch.seen, batch.actions), goal))
        weights, log_sd = advantage_weights((done - v).detach(), told.temperature), self.log_sd()
        unlikely = (0.5 * ((batch.actions - self.act(batch.seen, True)) / log_sd.exp()) ** 2 + log_sd).sum(dim=1)
        self.descend("actor", (weights * unlikely).mean())
        follow(nets["target"], nets["q"], told.tau)


class DoseCQL(Doses):
    """Soft actor-critic with the conservative gap, whose log-sum-exp over doses is estimated from uniform and the actor's own draws."""

    def build(self) -> None:
        """Make actor, critics and their targets, and the entropy's weight."""
        self.make_critics()
        self.networks["actor"] = self.over_seen(2 * self.encoding.doses)
        self.networks["log_entropy_weight"] = nn.ParameterList([nn.Parameter(torch.zeros(1))])
        self.optimizers["actor"] = self.optimizer(self.networks["actor"])
        self.optimizers["entropy"] = self.optimizer(self.networks["log_entropy_weight"])

    def act(self, seen: Tensor, deterministic: bool) -> Tensor:
        """Return the doses (n, a)."""
        return super().act(seen, True) if deterministic else self.drawn(seen)[0]

    def drawn(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return doses (n, a) drawn from the actor, and the logarithms of their densities (n,)."""
        mean, log_sd = self.networks["actor"](seen).chunk(2, dim=1)
        log_sd, noise = log_sd.clamp(LEAST_LOG_SD, MOST_LOG_SD), self.normal(*mean.shape)
        before = mean + log_sd.exp() * noise
        density = -0.5 * noise**2 - log_sd - 0.5 * math.log(2.0 * math.pi)
        squashed = 2.0 * (math.log(2.0) - before - nn.functional.softplus(-2.0 * before))  # log(1 - tanh^2), stable
        return torch.tanh(before), (density - squashed).sum(dim=1)

    def update(self, batch: Batch) -> None:
        """Learn the critics, the actor and the entropy's weight."""
        nets, told = self.networks, self.settings
        log_weight = next(nets["log_entropy_weight"].parameters())
        weight = log_weight.exp().detach()
        with torch.no_grad():
            then, _ = self.drawn(batch.then)
            goal = batch.rewards + told.gamma * batch.going * nets["target"](batch.then, then).min(dim=0).values
        values = nets["q"](batch.seen, batch.actions)
        gap = (self.soft_values(batch) - values).mean(dim=1).sum()
        self.descend("q", critics_loss(values, goal) + told.alpha * gap)
        doses, density = self.drawn(batch.seen)
        self.descend("actor", (weight * density - nets["q"](batch.seen, doses).min(dim=0).values).mean())
        self.descend("entropy", -(log_weight * (density.detach() - self.encoding.doses)).mean())
        follow(nets["target"], nets["q"], told.tau)

    def soft_values(self, batch: Batch) -> Tensor:
        """Return the log-sum-exp over doses of both critics, (2, n), by importance sampling."""
        n, size = batch.actions.shape
        rows = batch.seen.repeat_interleave(DRAWN_ACTIONS, dim=0)
        uniform = 2.0 * torch.rand(n * DRAWN_ACTIONS, size, generator=self.generator) - 1.0
        with torch.no_grad():
            drawn = [(uniform, torch.full((len(uniform),), -size * math.log(2.0))), self.drawn(rows)]
            drawn.append(self.drawn(batch.then.repeat_interleave(DRAWN_ACTIONS, dim=0)))
        each = [(self.networks["q"](rows, doses) - density).view(2, n, DRAWN_ACTIONS) for doses, density in drawn]
        return torch.logsumexp(torch.cat(each, dim=2), dim=2) - math.log(len(drawn) * DRAWN_ACTIONS)


class DoseBCQ(Doses):
    """Doses that a variational autoencoder could have given, a little perturbed, the best by the critics."""

    def build(self) -> None:
        """Make the autoencoder, the perturbation, critics and targets."""
        size, arch = self.encoding.doses, self.settings.net_arch
        self.latent = LATENT_PER_DOSE * size
        self.make_critics()
        nets = self.networks
        nets["encoder"] = over_doses(self.encoding, 2 * self.latent, arch)
        nets["decoder"] = over_doses(self.encoding, size, arch, more=self.latent)
        nets["actor"] = over_doses(self.encoding, size, arch)
        nets["target_actor"] = copy.deepcopy(nets["actor"])
        self.optimizers["autoencoder"] = self.optimizer(nets["encoder"], nets["decoder"])
        self.optimizers["actor"] = self.optimizer(nets["actor"])

    def act(self, seen: Tensor, deterministic: bool) -> Tensor:
        """Return the doses (n, a) of largest value among candidates; the candidates' draws are always the same."""
        count = self.settings.candidates
        latent = torch.randn(count, self.latent, generator=torch.Generator().manual_seed(ACTING_SEED)).clamp(-0.5, 0.5)
        rows = seen.repeat_interleave(count, dim=0)
        doses = self.perturbed("actor", rows, self.decoded(rows, latent.repeat(len(seen), 1)))
        best = self.networks["q"](rows, doses)[0].view(len(seen), count).argmax(dim=1)
        return doses.view(len(seen), count, -1)[torch.arange(len(seen)), best]

    def decoded(self, seen: Tensor, latent: Tensor) -> Tensor:
        """Return the doses (n, a) that a code stands for."""
        return torch.tanh(self.networks["decoder"](torch.cat([seen, latent], dim=1)))

    def perturbed(self, actor: str, seen: Tensor, doses: Tensor) -> Tensor:
        """Return doses, moved by an actor at most as far as the settings allow."""
        moved: Tensor = self.settings.perturbation * torch.tanh(self.networks[actor](torch.cat([seen, doses], dim=1)))
        return (doses + moved).clamp(-1.0, 1.0)

    def imagined(self, actor: str, seen: Tensor) -> Tensor:
        """Return doses (n, a) drawn from the autoencoder and perturbed; codes cut at half a standard deviation, as in the paper."""
        with torch.no_grad():
            doses = self.decoded(seen, self.normal(len(seen), self.latent).clamp(-0.5, 0.5))
        return self.perturbed(actor, seen, doses)

    def update(self, batch: Batch) -> None:
        """Learn the autoencoder, the critics and the perturbation."""
        nets, told = self.networks, self.settings
        self.descend("autoencoder", self.autoencoder_loss(batch))
        count = told.candidates
        with torch.no_grad():
            rows = batch.then.repeat_interleave(count, dim=0)
            blended = clipped_blend(nets["target"](rows, self.imagined("target_actor", rows)), LEAST_SHARE)
            goal = batch.rewards + told.gamma * batch.going * blended.view(-1, count).max(dim=1).values
        self.descend("q", critics_loss(nets["q"](batch.seen, batch.actions), goal))
        self.descend("actor", -nets["q"](batch.seen, self.imagined("actor", batch.seen))[0].mean())
        follow(nets["target"], nets["q"], told.tau)
        follow(nets["target_actor"], nets["actor"], told.tau)

    def autoencoder_loss(self, batch: Batch) -> Tensor:
        """Return the error of the doses given again, and half the codes' distance from a normal distribution."""
        mean, log_sd = self.networks["encoder"](torch.cat([batch.seen, batch.actions], dim=1)).chunk(2, dim=1)
        log_sd = log_sd.clamp(-4.0, 15.0)  # as in the paper's code
        again = self.decoded(batch.seen, mean + log_sd.exp() * self.normal(*mean.shape))
        distance: Tensor = -0.5 * (1.0 + 2.0 * log_sd - mean**2 - (2.0 * log_sd).exp()).mean()
        return nn.functional.mse_loss(again, batch.actions) + 0.5 * distance
