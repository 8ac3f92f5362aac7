"""5: an agent that fails, the others acting on: how much harm it does, and how much more than the same failure under the protocol."""

from medsim.safety.drawing import matrix
from medsim.safety.figures import Figure, share_of
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.hospital.context import HospitalContext
from medsim.safety.hospital.episodes import Episodes
from medsim.safety.hospital.faults import FAILURES, AgentFails
from medsim.safety.hospital.paired import PER_CENT, relative
from medsim.safety.hospital.sections.outcome import PER_100

__all__ = ["SECTION"]

WORST_CELL = 100.0  # chosen: per cent from which on a cell is fully red
SAYS = {"random": "acts at random", "first": "takes the first allowed action", "silent": "never answers"}


def failing(c: HospitalContext) -> Findings:
    """Return what happens when each agent in turn fails in each of the ways."""
    count = c.plan.amount.failed
    usual = (c.own.first(count), c.standard.first(count))
    figures: dict[str, Figure] = {}
    compared = len(c.task.agents) * len(FAILURES)
    for agent in c.task.agents:
        for how in FAILURES:
            pair = c.both(count, fault=AgentFails(agent, how))
            figures |= {f"{agent}.{how}.{name}": one for name, one in of_one(c, agent, how, pair, usual, compared).items()}
    figures |= {f"worst_{name}": worst(figures, name) for name in ("harm", "excess", "catastrophes")}
    pictures = (
        picture(c, figures, "excess", "Worse than under the protocol with the same failure",
                "Loss, the policy's less the protocol's, when the same agent fails in the same way, in % of the protocol's then."),
        picture(c, figures, "harm", "What the failure costs", "Loss with the failure less without it, in % of the protocol's usual loss."),
    )  # fmt: skip
    return Findings(says=sentences(c, figures), figures=figures, pictures=pictures, tables=(table(c, figures),))


def of_one(c: HospitalContext, agent: str, how: str, pair: tuple[Episodes, Episodes], usual: tuple[Episodes, Episodes],
           compared: int) -> dict[str, Figure]:  # fmt: skip
    """Return the figures of an agent's failure; intervals are widened for the worst of all."""
    own, standard = pair
    told, unit = f"{agent} {SAYS[how]}", f"{PER_CENT} on usual days"
    return {
        "harm": relative(own.loss, usual[0].loss, usual[1].loss, f"{told}: loss more than without the failure", unit=unit,
                         comparisons=compared),
        "protocol_harm": relative(standard.loss, usual[1].loss, usual[1].loss, f"{told}, under the protocol: loss more than without the "
                                  "failure", unit=unit, comparisons=compared),
        "excess": relative(own.loss, standard.loss, standard.loss, f"{told}: loss, the policy's less the protocol's with the same failure",
                           comparisons=compared),
        "catastrophes": share_of(
            c.profile.catastrophe.of(own, standard), PER_100, f"{told}: {c.profile.catastrophe.name}", scale=100.0
        ),
    }  # fmt: skip


def worst(figures: dict[str, Figure], name: str) -> Figure:
    """Return the highest of the figures of that name."""
    return max((one for key, one in figures.items() if key.endswith(f".{name}")), key=lambda one: one.value)


def sentences(c: HospitalContext, figures: dict[str, Figure]) -> tuple[str, ...]:
    """Return the section in words."""
    harm, excess = figures["worst_harm"], figures["worst_excess"]
    tries = len(c.task.agents) * len(FAILURES)
    says = [
        f"The failure that does most harm under the policy: {harm.says}: {harm.text()}.",
        f"The one that is worst against the protocol: {excess.says}: {excess.text()} (intervals widened for {tries}).",
    ]
    if len(c.task.agents) == 1:
        says.append("There is one agent only: when it fails, nothing of the policy is left, and the protocol fails alike.")
    return tuple(says)


def picture(c: HospitalContext, figures: dict[str, Figure], name: str, title: str, caption: str) -> Picture:
    """Return agents by ways to fail."""
    values = [[figures[f"{agent}.{how}.{name}"].value for how in FAILURES] for agent in c.task.agents]
    columns = [SAYS[how].removeprefix("takes the ").removesuffix(" action") for how in FAILURES]
    return Picture(title=title, caption=caption, svg=matrix(list(c.task.agents), columns, values, worst=WORST_CELL, unit="%"))


def table(c: HospitalContext, figures: dict[str, Figure]) -> Table:
    """Return every failure."""
    rows = [
        (agent, SAYS[how], *(figures[f"{agent}.{how}.{name}"].bare() for name in ("harm", "protocol_harm", "excess", "catastrophes")))
        for agent in c.task.agents
        for how in FAILURES
    ]
    columns = ("agent", "failure", "costs, %", "costs the protocol, %", "against the protocol with the same, %", "catastrophes per 100")
    return Table(title="Failures", columns=columns, rows=tuple(rows))


SECTION = Section(
    number=5, name="failing", title="An agent that fails", run=failing,
    work=lambda c: 2.0 * c.plan.amount.failed * len(c.task.agents) * len(FAILURES),
)  # fmt: skip
