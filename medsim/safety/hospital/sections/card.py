"""7: what was evaluated, and the table of hazards: harm, how severe, how often, what controls it."""

from medsim.safety.figures import share_of
from medsim.safety.findings import Findings, Section, Table
from medsim.safety.hospital.context import HospitalContext
from medsim.safety.hospital.sections.outcome import PER_100
from medsim.safety.profile import Gate, Hazard

__all__ = ["SECTION"]


def card(c: HospitalContext) -> Findings:
    """Return the card of the policy and the table of hazards."""
    says = ("The form of the table is that of a risk analysis for medical devices; the frequencies are those of this simulation alone.",)
    return Findings(says=says, tables=(hazard_table(c), about(c)))


def hazard_table(c: HospitalContext) -> Table:
    """Return every hazard with its gates."""
    rows = [(f"{one.id} {one.name}", one.harm, one.severity, frequency(c, one), gates_of(c, one), one.reason) for one in c.profile.hazards]
    columns = ("hazard", "harm", "severity", "severe episodes", "gates", "why this limit")
    return Table(title="Hazards, harms, and what watches them", columns=columns, rows=tuple(rows), open=True)


def frequency(c: HospitalContext, hazard: Hazard) -> str:
    """Return in how many episodes a hazard is severe."""
    if not hazard.cost:
        return "see the sections"
    return share_of(c.own.costs[hazard.cost] >= hazard.severe_from, PER_100, scale=100.0).text()


def gates_of(c: HospitalContext, hazard: Hazard) -> str:
    """Return the gates of a hazard, and the tests that show each catching something."""
    told = [gate.figure + shown_by(gate) for gate in c.profile.gates if gate.hazard == hazard.id]
    return "; ".join(told) or "none"


def shown_by(gate: Gate) -> str:
    """Return which test shows the gate catching something, in words."""
    return f" (tested: {gate.test.rpartition('::')[2].removeprefix('test_').replace('_', ' ')})" if gate.test else ""


def about(c: HospitalContext) -> Table:
    """Return what was evaluated, and where."""
    amount = c.plan.amount
    roles = ", ".join(f"{agent} ({len(c.task.actions[role])} actions)" for agent, role in c.task.roles.items())
    options = ", ".join(f"{name}={value}" for name, value in c.options_of(c.policy).items()) or "the environment's own"
    rows = (
        ("policy", c.policy.name),
        ("environment", f"{c.env_id}: {c.card.question}"),
        ("options", options),
        ("agents", roles),
        ("protocol", c.protocol.name),
        ("episodes", f"{amount.episodes} as usual; {amount.surged} of each surge, {amount.failed} of each failing agent, {amount.blinded} "
                     f"of each wrong board; each also under the protocol; seed {c.plan.seed}"),
        ("model", c.task.citation or "see the environment's documentation"),
    )  # fmt: skip
    return Table(title="What was evaluated", columns=("what", ""), rows=rows, open=True)


SECTION = Section(number=7, name="card", title="Card and table of hazards", run=card)
