"""A search for the patient whom a policy harms most against the protocol, among patients who could come.

The cross-entropy method (Rubinstein 1999): patients of the population first; then patients drawn around the worst tenth found so far,
parameter by parameter, within what 98 of 100 of the population have. Where parameters depend on each other, so that such patients could
not be, more patients of the population are drawn instead. Of a table every first state is looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.tabular import TabularTask
from medsim.safety.context import Context

__all__ = ["WorstPatient", "worst_patient"]

Floats = npt.NDArray[np.float64]

WORST_SHARE, LEAST_SPREAD = 0.1, 0.02  # chosen: who is drawn around; the spread that is kept, as a share of the population's range
RANGE = (0.01, 0.99)  # of the population, in each parameter


@dataclass(frozen=True, kw_only=True)
class WorstPatient:
    """Who it is: parameters, with the share of the population below each; and the harm under the policy less the protocol's."""

    params: Mapping[str, float]
    rank: Mapping[str, float]
    excess: float
    in_population: float  # the worst excess among as many patients of the population
    tried: int


def worst_patient(c: Context) -> WorstPatient | None:
    """Return the worst patient found, or None where the policy's harm is not known exactly and patients are no description."""
    if isinstance(c.task, TabularTask):
        return worst_start(c)
    names = list(c.own.params)
    people = np.column_stack([c.own.params[name] for name in names])  # (n, parameters)
    excess = c.own_harm_calm - c.standard_harm_calm
    found, found_excess = people[int(np.argmax(excess))], float(excess.max())
    first = found_excess
    generations = described(c, names, people, excess) if c.profile.searched else drawn(c)
    for rows, harms in generations:
        k = int(np.argmax(harms))
        if harms[k] > found_excess:
            found, found_excess = rows[k], float(harms[k])
    varied = [k for k in range(len(names)) if np.ptp(people[:, k]) > 0.0]
    rank = {names[k]: float((people[:, k] < found[k]).mean()) for k in varied}
    return WorstPatient(
        params=dict(zip(names, found.tolist(), strict=True)),
        rank=rank, excess=found_excess, in_population=first,
        tried=c.plan.searched * c.plan.generations,
    )  # fmt: skip


def described(c: Context, names: list[str], people: Floats, excess: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield generations of described patients (n, parameters) with the harm that the policy does them above the protocol's, (n,)."""
    low, high = np.quantile(people, RANGE, axis=0)
    whole = (people == np.rint(people)).all(axis=0)
    fixed = ~np.isin(names, c.profile.searched)
    count, rng = max(2, int(WORST_SHARE * c.plan.searched)), np.random.default_rng(c.plan.seed)
    elite = people[np.argsort(-excess, kind="stable")[:count]]
    for _ in range(c.plan.generations):
        spread = np.maximum(elite.std(axis=0), LEAST_SPREAD * (high - low))
        rows = np.clip(rng.normal(elite.mean(axis=0), spread, size=(c.plan.searched, len(names))), low, high)
        rows = np.where(fixed, elite[rng.integers(len(elite), size=c.plan.searched)], np.where(whole, np.rint(rows), rows))
        harms = excess_of(c, names, rows)
        elite = rows[np.argsort(-harms, kind="stable")[:count]]
        yield rows, harms


def drawn(c: Context) -> Iterator[tuple[Floats, Floats]]:
    """Yield more patients of the population (other seeds) with the same."""
    for generation in range(c.plan.generations):
        own, standard = (c.follow(policy, c.plan.searched, seed=c.plan.seed + 1 + generation) for policy in (c.policy, c.protocol))
        yield np.column_stack(list(own.params.values())), c.profile.harm.of(own) - c.profile.harm.of(standard)


def worst_start(c: Context) -> WorstPatient | None:
    """Return the first state in which the policy does most harm above the protocol's, exactly; None if it is not known exactly."""
    task: Any = c.task
    own, standard = c.chances(c.policy, task), c.chances(c.protocol, task)
    if own is None or standard is None:
        return None
    starts = np.flatnonzero(task.start > 0.0)
    worst = int(starts[np.argmax((own - standard)[starts])])
    params = dict(zip(task.tables.params._fields, task.tables.params_of(np.array([worst]))[0].tolist(), strict=True))
    excess = float(own[worst] - standard[worst])
    return WorstPatient(params=params, rank=dict.fromkeys(params, float("nan")), excess=excess, in_population=excess, tried=len(starts))


def excess_of(c: Context, names: list[str], rows: Floats) -> Floats:
    """Return the harm of described patients (n, parameters) under the policy less that under the protocol, (n,)."""
    limits = c.task.patient_limits
    patients: list[dict[str, Any]] = [
        {name: float(np.clip(value, *limits.get(name, (1e-12, np.inf)))) for name, value in zip(names, row, strict=True)} for row in rows
    ]
    harms = [c.profile.harm.of(c.follow(policy, len(rows), reset_options={"patient": patients})) for policy in (c.policy, c.protocol)]
    return np.asarray(harms[0] - harms[1])
