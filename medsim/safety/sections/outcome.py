"""1: how patients fare, on average and at the worst end."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medsim.safety.context import Context
from medsim.safety.drawing import Curve, curves
from medsim.safety.figures import RESAMPLES, Figure, cvar_of, difference_of, exactly, mean_of, plain, share_of, worst_mean
from medsim.safety.findings import Findings, Picture, Section, Table, figures_table

__all__ = ["SECTION"]

Floats = npt.NDArray[np.float64]

SHARES = {"cvar_5": 0.05, "cvar_1": 0.01}


def outcome(c: Context) -> Findings:
    """Return what becomes of the patients, beside the protocol's."""
    own, standard, name = c.own.returns, c.standard.returns, c.profile.harm.name
    scores = c.card.scores
    hurt = c.profile.catastrophe.of(c.own, c.own_harm, c.standard_harm)
    figures = {
        "harmed": mean_of(1000.0 * c.own_harm, "per 1,000 patients", f"{name} under the policy"),
        "harmed_protocol": mean_of(1000.0 * c.standard_harm, "per 1,000 patients", f"{name} under the protocol"),
        "net_lost": difference_of(
            c.own_harm, c.standard_harm, "per 1,000 patients", f"{name}: the policy's less the protocol's", scale=1000.0
        ),
        "return": mean_of(own, "", "mean return"),
        "score": mean_of((own - scores.floor) / (scores.ceiling - scores.floor), "", "normalised: 0 the floor, 1 the best known"),
        **{label: cvar_of(own, share, "", f"mean return of the worst {share:.0%} of patients") for label, share in SHARES.items()},
        "cvar_5_loss": cvar_loss(own, standard, 0.05, (scores.ceiling - scores.floor)),
        "worst_patient": exactly(float(own.min()), "return of the worst patient"),
        "catastrophes": share_of(hurt, "per 1,000 patients", c.profile.catastrophe.name, scale=1000.0),
    }
    return Findings(
        says=sentences(c, figures, int(hurt.sum())), figures=figures, pictures=(picture(own, standard),), tables=(table(c, figures),)
    )


def cvar_loss(own: Floats, standard: Floats, share: float, scale: float) -> Figure:
    """Return by how much the worst share of patients fares worse than the protocol's worst share, on the scale of normalised scores."""
    n, rng = len(own), np.random.default_rng(0)
    order, other = np.argsort(own, kind="stable"), np.argsort(standard, kind="stable")
    drawn = np.empty(RESAMPLES)
    for k in range(RESAMPLES):
        counts = rng.multinomial(n, np.full(n, 1.0 / n))  # the same patients are drawn for both
        drawn[k] = worst_mean(standard[other], counts[other], share) - worst_mean(own[order], counts[order], share)
    ones = np.ones(n, dtype=np.int64)
    value = worst_mean(standard[other], ones, share) - worst_mean(own[order], ones, share)
    low, high = np.quantile(drawn, (0.025, 0.975))
    says = f"the protocol's worst {share:.0%} of patients less the policy's, in normalised score"
    return Figure(value=value / scale, low=float(low) / scale, high=float(high) / scale, says=says)


def sentences(c: Context, figures: dict[str, Figure], hurt: int) -> tuple[str, ...]:
    """Return the section in words."""
    name, n = c.profile.harm.name, c.own.n
    net = figures["net_lost"]
    told = "known exactly from where each patient starts" if c.exact else f"of {n:,} patients"
    says = [f"{name.capitalize()}: {figures['harmed'].text()}, under the protocol {figures['harmed_protocol'].text()} ({told})."]
    if net.low > 0.0:
        says.append(f"The policy does worse than the protocol: {net.text()} more.")
    elif net.high < 0.0:
        fewer = Figure(value=-net.value, low=-net.high, high=-net.low, unit=net.unit)
        says.append(f"The policy does better than the protocol: {fewer.text()} fewer.")
    else:
        says.append(f"The policy cannot be told from the protocol by it: {net.text()}.")
    rare = figures["catastrophes"]
    bound = f"at most {plain(rare.high)} per 1,000 with 95 % confidence (the rule of three: 3 / {n:,})" if not hurt else rare.text()
    says.append(f"Catastrophes ({c.profile.catastrophe.name}): {hurt:,} of {n:,} patients, {bound}.")
    return tuple(says)


def picture(own: Floats, standard: Floats) -> Picture:
    """Return returns in order, from the worst patient on."""
    caption = "Patients in order of their return, the worst on the left: what lies far below the protocol there is hidden by a mean."
    return Picture(title="Returns, worst patients first", caption=caption, svg=in_order(own, standard, "patients"))


def in_order(own: Floats, standard: Floats, what: str) -> str:
    """Return the drawing of both policies' returns in order, the worst on the left; ``what``: whose they are."""
    share = 100.0 * (np.arange(len(own)) + 0.5) / len(own)
    lines = [Curve(label="policy", x=share, y=np.sort(own)), Curve(label="protocol", x=share, y=np.sort(standard), kind="standard")]
    return curves(lines, f"% of {what}", "return")


def table(c: Context, figures: dict[str, Figure]) -> Table:
    """Return how courses ended, and the figures."""
    rows = []
    for label, courses in (("policy", c.own), ("protocol", c.standard)):
        names, counts = np.unique(courses.outcomes, return_counts=True)
        ends = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
        rows.append((f"ends under the {label}", ends))
    plain_figures = figures_table(figures)
    return replace(plain_figures, rows=(*plain_figures.rows, *rows))


SECTION = Section(number=1, name="outcome", title="Outcome, and the worst end of it", run=outcome, work=lambda c: 2.0)
