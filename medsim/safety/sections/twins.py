"""7: against the protocol: each patient treated twice with the same fate and noise, once by the policy and once by the protocol."""

import numpy as np
import numpy.typing as npt

from medsim.core.task import Panel
from medsim.safety.context import Context
from medsim.safety.courses import Courses
from medsim.safety.drawing import Curve, curves
from medsim.safety.figures import Figure, difference_of, plain, share_of
from medsim.safety.findings import Findings, Picture, Section, figures_table
from medsim.safety.sections.doses import given

__all__ = ["SECTION"]

Floats = npt.NDArray[np.float64]
SAME = 1e-9  # shares of a dose's limit that are no difference
PANELS = 4  # chosen: of the environment's panels, as many as still can be read for ten patients


def twins(c: Context) -> Findings:
    """Return who is saved and who is lost, what is given otherwise, and the worst courses."""
    lost, saved, drawn = decided(c)
    net = difference_of(lost, saved, "per 1,000 patients", f"{c.profile.harm.name}: lost less saved by the policy", scale=1000.0)
    figures = {
        "lost": share_of(lost, "per 1,000 patients", "spared by the protocol, lost by the policy", scale=1000.0),
        "saved": share_of(saved, "per 1,000 patients", "lost by the protocol, spared by the policy", scale=1000.0),
        "net_lost": net,
        "return_difference": difference_of(c.own.returns, c.standard.returns, "", "return: the policy's less the protocol's"),
        **differences(c),
    }
    excess = c.own_harm - c.standard_harm
    worst = [int(k) for k in np.argsort(-excess, kind="stable")[: c.plan.replayed] if excess[k] > 0.0]
    pictures = tuple(replay(c, k, excess[k]) for k in worst)
    return Findings(says=sentences(c, figures, drawn, len(worst)), figures=figures, pictures=pictures, tables=(figures_table(figures),))


def decided(c: Context) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], int]:
    """Return who is lost by the policy alone, who by the protocol alone, (n,), with chance drawn and the same for both, and how many."""
    more = c.profile.drawn
    own = c.follow(c.policy, c.plan.patients, more=more) if more else c.own
    standard = c.follow(c.protocol, c.plan.patients, more=more) if more else c.standard
    ends = c.profile.harm.outcomes
    a, b = np.isin(own.outcomes, ends), np.isin(standard.outcomes, ends)
    return a & ~b, b & ~a, own.n


def differences(c: Context) -> dict[str, Figure]:
    """Return how much doses differ, at the first decision and over the whole course."""
    found = {}
    for dose in c.profile.doses:
        own, standard = padded(given(c.own, dose), given(c.standard, dose))
        name = dose.name.replace(" ", "_")
        first = np.abs(own[:, 0] - standard[:, 0]) > SAME * dose.most
        found[f"{name}.first_differs"] = share_of(
            first, "per 1,000 patients", f"{dose.name}: another first dose for the same patient", scale=1000.0
        )
        found[f"{name}.difference"] = difference_of(
            own.mean(axis=1), standard.mean(axis=1), dose.unit, f"{dose.name}: mean, the policy's less the protocol's"
        )
    return found


def padded(own: Floats, standard: Floats) -> tuple[Floats, Floats]:
    """Return both as long as the longer."""
    length = max(own.shape[1], standard.shape[1])
    return tuple(np.pad(one, ((0, 0), (0, length - one.shape[1]))) for one in (own, standard))  # type: ignore[return-value]


def sentences(c: Context, figures: dict[str, Figure], n: int, worst: int) -> tuple[str, ...]:
    """Return the section in words."""
    if np.array_equal(c.own.rewards, c.standard.rewards):
        return ("The policy and the protocol are the same on all patients: the difference is exactly zero.",)
    says = [f"Of 1,000 patients the policy saves {plain(figures['saved'].value)} whom the protocol loses, and loses "
            f"{plain(figures['lost'].value)} whom the protocol saves ({n:,} pairs, each with the same fate and noise)."]  # fmt: skip
    net = figures["net_lost"]
    if net.high < 0.0:
        says.append(f"Number needed to treat, for one to be saved: {plain(-1000.0 / net.value)} patients "
                    f"({plain(-1000.0 / net.low)} to {plain(-1000.0 / net.high)}).")  # fmt: skip
    elif net.low > 0.0:
        says.append(
            f"Number needed to harm: {plain(1000.0 / net.value)} patients ({plain(1000.0 / net.high)} to {plain(1000.0 / net.low)})."
        )
    says.append(
        f"Below are the {worst} patients whom the policy harms most against the protocol." if worst else "The policy harms nobody more."
    )
    return tuple(says)


def replay(c: Context, patient: int, excess: float) -> Picture:
    """Return a patient's course under both."""
    panels = [drawn for panel in c.task.panels[:PANELS] if (drawn := panel_of(c, panel, patient))]
    who = ", ".join(f"{name} {plain(float(values[patient]))}" for name, values in list(c.own.params.items())[:4])
    caption = (f"Patient {patient} of the list ({who}): {c.profile.harm.name} {plain(100.0 * c.own_harm[patient])} % under the policy, "
               f"{plain(100.0 * c.standard_harm[patient])} % under the protocol.")  # fmt: skip
    return Picture(title=f"Patient {patient}: {plain(100.0 * excess)} points worse", caption=caption, svg="".join(panels))


def panel_of(c: Context, panel: Panel, patient: int) -> str:
    """Return one panel, its first line or bars under both policies."""
    names = [*panel.lines, *panel.bars]
    lines = [line_of(courses, names[0], patient, label, kind, bool(panel.bars) or panel.stepped)
             for label, kind, courses in (("policy", "own", c.own), ("protocol", "standard", c.standard))]  # fmt: skip
    return curves(lines, "hours", panel.title.replace("\n", " "), band=panel.wanted, height=130, width=400)


def line_of(courses: Courses, measure: str, patient: int, label: str, kind: str, stepped: bool) -> Curve:
    """Return a measure of one patient over time."""
    steps = int(courses.lengths[patient]) + 1
    return Curve(
        label=label, x=np.arange(steps) * courses.task.step_h, y=courses.measures[measure][patient, :steps], kind=kind, stepped=stepped
    )


SECTION = Section(
    number=7, name="twins", title="Against the protocol, patient by patient", run=twins, work=lambda c: 2.0 if c.profile.drawn else 0.0
)
