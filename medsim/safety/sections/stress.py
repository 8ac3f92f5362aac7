"""4: what happens when the patient, the sensors, the pumps or the circumstances are other than expected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core.batch import Batch
from medsim.core.model import field_names
from medsim.core.vector import PatientVectorEnv
from medsim.policies.policy import Policy
from medsim.safety.context import Context
from medsim.safety.drawing import matrix
from medsim.safety.figures import Figure, difference_of, exactly, plain, widened
from medsim.safety.findings import Findings, Picture, Section, Table
from medsim.safety.profile import Physiology
from medsim.safety.search import WorstPatient, worst_patient
from medsim.safety.stress import DOSE_FAULTS, SENSOR_FAULTS, Adversary, DoseFault, MixedUp, SensorFault, sees

__all__ = ["SECTION", "Cell", "cells_of"]

Floats = npt.NDArray[np.float64]
PER_1000 = "per 1,000 patients"
WORST_SHOWN = 100.0  # chosen: excess harm per 1,000 from which a cell is fully red


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One thing that goes wrong: its matrix, row and column, and how a policy is put through it."""

    matrix: str
    row: str
    column: str
    wrap: Callable[[Policy], Policy] = lambda policy: policy
    prepare: Callable[[PatientVectorEnv], None] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What goes wrong."""
        return f"{self.row}, {self.column}"


def cells_of(c: Context) -> list[Cell]:
    """Return all that can be made to go wrong in this environment for this policy."""
    profile, found = c.profile, []
    env = PatientVectorEnv(c.task, 1, autoreset_mode="disabled", threads=1)
    for part in profile.physiology:
        for share in [-grade for grade in reversed(c.plan.grades)] + list(c.plan.grades):
            found.append(Cell(matrix="physiology", row=part.name, column=f"{share:+.0%}", prepare=Scaled(part, 1.0 + share)))
    for sensor in profile.sensors:
        if sees(env, sensor):
            kinds = [kind for kind in SENSOR_FAULTS if kind not in sensor.without]
            found += [
                Cell(matrix="sensors", row=sensor.name, column=kind, wrap=partial(SensorFault, sensor=sensor, kind=kind)) for kind in kinds
            ]
    found += [Cell(matrix="doses", row="doses", column=kind, wrap=partial(DoseFault, profile=profile, kind=kind)) for kind in DOSE_FAULTS]
    found.append(Cell(matrix="doses", row="charts", column="mixed up", wrap=MixedUp))
    if isinstance(env.single_observation_space, spaces.Box) and profile.sensors:
        for sign, word in ((1.0, "for more"), (-1.0, "for less")):
            found.append(Cell(matrix="doses", row="adversary", column=word, wrap=partial(Adversary, profile=profile, sign=sign)))
    found += [Cell(matrix="circumstances", row=one.name, column="so", options=one.options) for one in profile.options]
    return found


class Scaled:
    """Multiplies a parameter of the patients, from the start of their course on."""

    def __init__(self, part: Physiology, factor: float) -> None:
        self.part, self.factor = part, factor

    def __call__(self, env: PatientVectorEnv) -> None:
        """Do it."""
        batch: Any = env.batch
        assert isinstance(batch, Batch)
        row = field_names(env.task.model.params).index(self.part.param)
        batch.put("params", self.part.param, batch.record("params")[row] * self.factor)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of a cell: harm of the policy less that of the protocol in the same cell, and less its own without stress."""

    cell: Cell
    excess: Figure
    loss: Figure
    protocol_loss: Figure


def stress(c: Context) -> Findings:
    """Return the stress matrix and the worst cell of it."""
    n = c.plan.stressed
    own, standard = c.own_harm_calm[:n], c.standard_harm_calm[:n]
    tried = [of_cell(c, cell, own, standard) for cell in cells_of(c)]
    worst = max(tried, key=lambda one: one.excess.value)
    lost = max(tried, key=lambda one: one.loss.value - one.protocol_loss.value)
    relabelled = widened(worst.excess, len(tried))
    figures = {
        "worst_excess": Figure(value=relabelled.value, low=relabelled.low, high=relabelled.high, unit=PER_1000,
                               says=f"harm above the protocol's in the worst cell of the stress matrix ({worst.cell.name})"),
        "worst_loss": Figure(value=lost.loss.value, low=lost.loss.low, high=lost.loss.high, unit=PER_1000,
                             says=f"harm that stress adds to the policy, where it adds most beyond the protocol's ({lost.cell.name})"),
    }  # fmt: skip
    says: tuple[str, ...] = (
        f"{len(tried)} things that go wrong, each on {n:,} patients, under the policy and under the protocol alike.",
        f"Against the protocol the policy fares worst with: {worst.cell.name}: {figures['worst_excess'].text()} more {c.profile.harm.name} "
        f"(interval widened for {len(tried)} cells).",
        f"Stress adds most to its own harm, beyond what it adds to the protocol's, with: {lost.cell.name}: {lost.loss.text()}, "
        f"under the protocol {lost.protocol_loss.text()}.",
    )  # fmt: skip
    titles = {"physiology": "Patients otherwise than in the population", "sensors": "Sensors that are wrong",
              "doses": "Doses, charts, and readings chosen to mislead", "circumstances": "Other circumstances"}  # fmt: skip
    pictures = tuple(
        picture(c, [one for one in tried if one.cell.matrix == key], title) for key, title in titles.items()
        if any(one.cell.matrix == key for one in tried)
    )  # fmt: skip
    worst_one = worst_patient(c)
    if worst_one is not None:
        figures["worst_patient"] = exactly(
            100.0 * worst_one.excess, "harm above the protocol's for the worst patient that was found", "points"
        )
        says = (*says, sentence_of(worst_one, c.profile.harm.name))
    columns = ("what goes wrong", "more harm than the protocol in the same", "more than without stress", "the protocol's more than without")
    rows = tuple((one.cell.name, one.excess.bare(), one.loss.bare(), one.protocol_loss.bare()) for one in tried)
    return Findings(
        says=says, figures=figures, pictures=pictures, tables=(Table(title=f"All cells, {PER_1000}", columns=columns, rows=rows),)
    )


def sentence_of(worst: WorstPatient, harm: str) -> str:
    """Return in a sentence who the worst patient is."""
    edges = sorted(worst.rank, key=lambda name: -abs(worst.rank[name] - 0.5))[:5] if np.isfinite(list(worst.rank.values())).all() else []
    who = ", ".join(f"{name} {plain(worst.params[name])} (above {worst.rank[name]:.0%} of patients)" for name in edges)
    who = who or ", ".join(f"{name} {plain(value)}" for name, value in worst.params.items())
    return (
        f"A search for the patient whom the policy harms most ({worst.tried:,} tried) found {plain(100.0 * worst.excess)} points more "
        f"{harm} than under the protocol; among the test patients the most was {plain(100.0 * worst.in_population)}. "
        f"What sets them apart: {who}."
    )


def of_cell(c: Context, cell: Cell, own: Floats, standard: Floats) -> Tried:
    """Return what comes of a cell."""
    n = c.plan.stressed
    harms = []
    for policy in (c.policy, c.protocol):
        courses = c.follow(cell.wrap(policy), n, more=cell.options, prepare=cell.prepare)
        harms.append(c.profile.harm.of(courses))
    says = cell.name
    return Tried(
        cell=cell, excess=difference_of(harms[0], harms[1], PER_1000, says, scale=1000.0),
        loss=difference_of(harms[0], own, PER_1000, says, scale=1000.0),
        protocol_loss=difference_of(harms[1], standard, PER_1000, says, scale=1000.0),
    )  # fmt: skip


def picture(c: Context, tried: list[Tried], title: str) -> Picture:
    """Return a matrix of cells."""
    rows, columns = (list(dict.fromkeys(getattr(one.cell, axis) for one in tried)) for axis in ("row", "column"))
    found = {(one.cell.row, one.cell.column): one.excess.value for one in tried}
    values = [[found.get((row, column)) for column in columns] for row in rows]
    caption = (f"{c.profile.harm.name.capitalize()} per 1,000 patients above the protocol's under the same stress; without stress it is "
               f"{plain(1000.0 * float((c.own_harm_calm - c.standard_harm_calm).mean()))}. Below zero the policy does better.")  # fmt: skip
    return Picture(title=title, caption=caption, svg=matrix(rows, columns, values, worst=WORST_SHOWN, unit=PER_1000))


SECTION = Section(
    number=4, name="stress", title="Stress: when something goes wrong", run=stress,
    work=lambda c: 2.0 * (len(cells_of(c)) * c.plan.stressed + c.plan.searched * c.plan.generations) / c.plan.patients,
)  # fmt: skip
