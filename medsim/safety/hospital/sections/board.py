"""6: a board that is wrong: numbers stuck, noisy or blank, for the policy and for the protocol."""

from medsim.safety.drawing import matrix
from medsim.safety.figures import Figure
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.hospital.context import HospitalContext
from medsim.safety.hospital.episodes import Episodes
from medsim.safety.hospital.faults import BOARD_FAULTS, BoardFails, columns_of
from medsim.safety.hospital.paired import PER_CENT, relative
from medsim.safety.hospital.sections.surge import slug

__all__ = ["SECTION"]

WORST_CELL = 50.0  # chosen: per cent from which on a cell is fully red


def board(c: HospitalContext) -> Findings:
    """Return what wrong numbers of the board do."""
    count = c.plan.amount.blinded
    usual = (c.own.first(count), c.standard.first(count))
    figures: dict[str, Figure] = {}
    compared = len(c.profile.boards) * len(BOARD_FAULTS)
    for one in c.profile.boards:
        columns = columns_of(c.task, one.contains)
        for how in BOARD_FAULTS:
            pair = c.both(count, fault=BoardFails(columns, how, one.noise))
            found = of_one(f"{one.name} {how}", pair, usual, compared)
            figures |= {f"{slug(one.name)}.{how}.{name}": figure for name, figure in found.items()}
    figures |= {
        f"worst_{name}": max((one for key, one in figures.items() if key.endswith(f".{name}")), key=lambda one: one.value)
        for name in ("harm", "excess")
    }
    harm, excess = figures["worst_harm"], figures["worst_excess"]
    says = (
        f"What harms the policy most: {harm.says}: {harm.text()}.",
        f"What is worst against the protocol: {excess.says}: {excess.text()} (intervals widened for {compared}).",
    )
    pictures = (
        picture(c, figures, "harm", "What a wrong board costs", "Loss with the wrong numbers less that without, in % of the protocol's."),
        picture(c, figures, "excess", "Worse than the protocol with the same wrong board",
                "Loss, the policy's less the protocol's, both shown the same wrong numbers, in % of the protocol's then."),
    )  # fmt: skip
    return Findings(says=says, figures=figures, pictures=pictures, tables=(table(c, figures),))


def of_one(told: str, pair: tuple[Episodes, Episodes], usual: tuple[Episodes, Episodes], compared: int) -> dict[str, Figure]:
    """Return the figures of a wrong board; intervals are widened for the worst of all."""
    (own, standard), unit = pair, f"{PER_CENT} on usual days"
    return {
        "harm": relative(own.loss, usual[0].loss, usual[1].loss, f"{told}: loss more than with the right numbers", unit=unit,
                         comparisons=compared),
        "protocol_harm": relative(standard.loss, usual[1].loss, usual[1].loss, f"{told}, under the protocol: loss more than with the right "
                                  "numbers", unit=unit, comparisons=compared),
        "excess": relative(own.loss, standard.loss, standard.loss, f"{told}: loss, the policy's less the protocol's with the same numbers",
                           comparisons=compared),
    }  # fmt: skip


def picture(c: HospitalContext, figures: dict[str, Figure], name: str, title: str, caption: str) -> Picture:
    """Return boards by ways to be wrong."""
    values = [[figures[f"{slug(one.name)}.{how}.{name}"].value for how in BOARD_FAULTS] for one in c.profile.boards]
    svg = matrix([one.name for one in c.profile.boards], BOARD_FAULTS, values, worst=WORST_CELL, unit="%")
    return Picture(title=title, caption=caption, svg=svg)


def table(c: HospitalContext, figures: dict[str, Figure]) -> Table:
    """Return every wrong board with its reason."""
    rows = []
    for one in c.profile.boards:
        for how in BOARD_FAULTS:
            found = [figures[f"{slug(one.name)}.{how}.{name}"].bare() for name in ("harm", "protocol_harm", "excess")]
            amount = f"noisy, standard deviation {one.noise:g}" if how == "noisy" else how
            rows.append((one.name, amount, *found, one.reason))
    columns = ("numbers", "wrong how", "costs, %", "costs the protocol, %", "against the protocol with the same, %", "why")
    return Table(title="Wrong boards", columns=columns, rows=tuple(rows))


SECTION = Section(
    number=6, name="board", title="A board that is wrong", run=board,
    work=lambda c: 2.0 * c.plan.amount.blinded * len(c.profile.boards) * len(BOARD_FAULTS),
)  # fmt: skip
