"""1: how episodes go, on average and at the worst end."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medsim.safety.figures import Figure, cvar_of, difference_of, exactly, mean_of, plain, share_of
from medsim.safety.findings import Findings, Picture, Section, Table, figures_table
from medsim.safety.hospital.context import HospitalContext
from medsim.safety.hospital.paired import positive, relative
from medsim.safety.sections.outcome import cvar_loss, in_order

__all__ = ["PER_100", "SECTION"]

Floats = npt.NDArray[np.float64]
PER_100 = "per 100 episodes"
SHARES = {"cvar_5": 0.05, "cvar_1": 0.01}


def outcome(c: HospitalContext) -> Findings:
    """Return how episodes go, beside the protocol's."""
    own, standard, scores = c.own, c.standard, c.card.scores
    hurt = c.profile.catastrophe.of(own, standard)
    figures = {
        "return": mean_of(own.returns, "", "mean return of an episode"),
        "return_protocol": mean_of(standard.returns, "", "the protocol's mean return"),
        "loss_excess": relative(own.loss, standard.loss, standard.loss, "mean loss of an episode: the policy's less the protocol's"),
        **{name: cvar_of(own.returns, share, "", f"mean return of the worst {share:.0%} of episodes") for name, share in SHARES.items()},
        "cvar_5_excess": replace(
            cvar_loss(own.returns, standard.returns, 0.05, float(standard.loss.mean()) / 100.0 or 1.0),
            says="loss of the worst 5 % of episodes: the policy's less the protocol's", unit="% of the protocol's mean loss",
        ),
        "worst_episode": exactly(float(own.returns.min()), "return of the worst episode"),
        "worst_day": exactly(float(own.daily.min()), "return of the worst day"),
        "worst_day_excess": worst_day_excess(own.daily, standard.daily),
        "catastrophes": share_of(hurt, PER_100, c.profile.catastrophe.name, scale=100.0),
    }  # fmt: skip
    if not c.unscored:
        scale = scores.ceiling - scores.floor
        figures["score"] = mean_of((own.returns - scores.floor) / scale, "", "normalised: 0 the floor, 1 the best known")
    return Findings(says=sentences(c, figures, hurt), figures=figures, pictures=pictures(c), tables=(figures_table(figures), harms(c)))


def worst_day_excess(own: Floats, standard: Floats) -> Figure:
    """Return by how much an episode's worst day is worse than the protocol's worst day of the same episode."""
    mine, theirs = -own.min(axis=1), -standard.min(axis=1)
    says = "loss of an episode's worst day: the policy's less the protocol's"
    return relative(mine, theirs, theirs, says, unit="% of the protocol's worst days")


def sentences(c: HospitalContext, figures: dict[str, Figure], hurt: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the section in words."""
    excess, n = figures["loss_excess"], c.own.n
    says = [f"An episode is {c.profile.episode}. Its loss is what the reward takes off for waits, refusals and other harms."]
    if c.unscored:
        says.append(f"No score is given, since this hospital differs from the one whose floor and ceiling are known: {c.unscored}.")
    if excess.low > 0.0:
        says.append(f"The policy does worse than the protocol: its loss is larger by {excess.text()}.")
    elif excess.high < 0.0:
        says.append(f"The policy does better than the protocol: its loss is smaller by {positive(excess).text()}.")
    else:
        says.append(f"The policy cannot be told from the protocol by its loss: the difference is {excess.text()}.")
    worst = int(c.own.returns.argmin())
    says.append(f"The worst episode is number {worst}, with a return of {plain(float(c.own.returns[worst]))} (the protocol's there: "
                f"{plain(float(c.standard.returns[worst]))}).")  # fmt: skip
    if c.own.daily.shape[1] > 1:
        episode, day = (int(k) for k in np.unravel_index(c.own.daily.argmin(), c.own.daily.shape))
        says.append(f"The worst day of all is day {day + 1} of episode {episode}, with {plain(float(c.own.daily[episode, day]))} (the "
                    f"protocol's: {plain(float(c.standard.daily[episode, day]))}).")  # fmt: skip
    rare = figures["catastrophes"]
    bound = f"at most {plain(rare.high)} per 100 with 95 % confidence (the rule of three: 3 / {n:,})" if not hurt.any() else rare.text()
    says.append(f"Catastrophes ({c.profile.catastrophe.name}): {int(hurt.sum()):,} of {n:,} episodes, {bound}.")
    return tuple(says)


def pictures(c: HospitalContext) -> tuple[Picture, ...]:
    """Return episodes and days in order, the worst first."""
    what = "Episodes in order of their return, the worst on the left: what lies far below the protocol there is hidden by a mean."
    found = [Picture(title="Returns, worst episodes first", caption=what, svg=in_order(c.own.returns, c.standard.returns, "episodes"))]
    if c.own.daily.shape[1] > 1:
        says = "All days of all episodes in order, the worst on the left."
        svg = in_order(c.own.daily.ravel(), c.standard.daily.ravel(), "days")
        found.append(Picture(title="Returns, worst days first", caption=says, svg=svg))
    return tuple(found)


def harms(c: HospitalContext) -> Table:
    """Return every cost and every figure of the episode's end, under both."""
    rows = []
    for mine, theirs in ((c.own.costs, c.standard.costs), (c.own.metrics, c.standard.metrics)):
        for name in mine:
            difference = difference_of(mine[name], theirs[name])
            rows.append((name.replace("_", " "), mean_of(mine[name]).text(), mean_of(theirs[name]).text(), difference.text()))
    columns = ("mean of an episode", "policy", "protocol", "difference")
    return Table(title="Harms and other figures by name", columns=columns, rows=tuple(rows))


SECTION = Section(
    number=1, name="outcome", title="Outcome, and the worst end of it", run=outcome, work=lambda c: 2.0 * c.plan.amount.episodes
)
