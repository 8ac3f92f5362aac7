"""A fitted hospital run beside the data: census, waits and who left, each with the interval in which one more run would lie.

By default the last part of the table is held out: the hospital is fitted to what was known at the cut, and judged on what came after. What
is simulated starts a week before, with as many patients in the middle of their stays as the offered load fills beds. Intervals lie between
two of the n replications in order: one more run lies above the k-th smallest with probability 1 - k / (n + 1), whatever the distribution,
so that no interval holds what cannot be. The smallest and the largest of 39 make 95 %; fewer replications make less, and the report says
how much. The data are one such run if the fit is right. Intervals do not hold how uncertain the fit itself is.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.calibration.capacity import census_by_hour
from medsim.hospital.calibration.encounters import Encounters
from medsim.hospital.calibration.fit import Fit, fit_encounters
from medsim.hospital.calibration.simulated import Visits, visits_of_log
from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.load import offered_load

__all__ = ["BackTest", "Compared", "as_of", "back_test"]

Floats = npt.NDArray[np.float64]
HOURS_OF_WEEK = 168
LEVEL = 0.95  # chosen: the customary one
WARM_UP_H = 168.0  # chosen: a week; the long stays are there from the start, only queues and boarding have to form
FILLING_H = 28 * 24.0  # chosen: how long a table that is judged whole is left to fill, since who was there before it is not in it


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One figure: in the data, and in the simulated hospital with its interval for one run (``BackTest.level``)."""

    name: str
    observed: float
    simulated: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the data lie in the interval."""
        return self.low <= self.observed <= self.high


@dataclass(frozen=True, kw_only=True)
class BackTest:
    """How the simulated hospital compares.

    Attributes:
        fit: what was simulated. held_out: share of the table's time that it had not seen. hours: compared.
        figures: waits, who left, mean census. census: unit -> (observed, simulated), each (24,), at the full hours of the day.
        census_mape: unit -> mean over the hours of |simulated - observed| / observed.
        level: probability with which one more run lies in an interval: 0.95, or what so few replications can give.
    """

    fit: Fit
    held_out: float
    hours: float
    replications: int
    figures: tuple[Compared, ...]
    census: Mapping[str, tuple[Floats, Floats]]
    census_mape: Mapping[str, float]
    level: float

    def report(self) -> str:
        """Return the comparison as text."""
        from medsim.hospital.calibration.report import columns

        rows = [["back-test", "data", "simulated", f"{100 * self.level:.0f} % for one run", "data are"]]
        for one in self.figures:
            interval = f"{one.low:.2f} to {one.high:.2f}"
            rows.append([one.name, f"{one.observed:.2f}", f"{one.simulated:.2f}", interval, "inside" if one.inside else "OUTSIDE"])
        what = f"the last {100 * self.held_out:.0f} % of the table, held out" if self.held_out else "the table that it was fitted to"
        lines = [columns(rows), f"  {self.replications} replications of {self.hours / 24:.1f} days against {what}"]
        lines += [
            f"  census of {name!r} by hour of the day: off by {100 * error:.1f} % on average" for name, error in self.census_mape.items()
        ]
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        figures = {
            one.name: {"observed": one.observed, "simulated": one.simulated, "low": one.low, "high": one.high, "inside": one.inside}
            for one in self.figures
        }
        census = {name: {"observed": seen.tolist(), "simulated": made.tolist()} for name, (seen, made) in self.census.items()}
        return {
            "held_out": self.held_out, "hours": self.hours, "replications": self.replications, "figures": figures, "census": census,
            "census_mape": dict(self.census_mape), "level": self.level,
        }  # fmt: skip


def back_test(
    table: Encounters,
    *,
    hold_out: float = 0.3,
    replications: int = 39,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> BackTest:
    """Return the comparison of a fitted hospital with the table.

    Args:
        table: of ``encounters.tidy``. hold_out: share of the time, at the end, that the fit does not see; 0: fit and judge on all of it.
        options: of ``fit_encounters``, such as capacities. A discipline "agent" is simulated as "priority".
        progress: called with 1 after each replication.

    Raises:
        ValueError: an option is not allowed, or too little time is left to compare.
    """
    if not 0.0 <= hold_out <= 0.9:
        raise ValueError(f"hold_out must be from 0 to 0.9, not {hold_out!r}")
    if isinstance(replications, bool) or not isinstance(replications, int) or replications < 2:
        raise ValueError(f"replications must be a whole number, 2 or more, not {replications!r}")
    start, end = float(np.floor(table.arrival.min())), float(np.floor(table.arrival.max()))
    cut = end - float(np.floor((end - start) * hold_out)) if hold_out else start
    known = as_of(table, cut) if hold_out else table
    fit = fit_encounters(known, window_h=(int(start), int(cut)) if hold_out else None, **options)
    begin = cut if hold_out else start + FILLING_H
    if end - begin < 24.0:
        raise ValueError(f"only {max(end - begin, 0.0):.0f} h are left to compare: take a longer table")
    census = census_of_table(table, begin, end)
    seen = figures_of(visits_of_table(table), table.units, fit.config.seen_in, census, begin, end)
    runnable = by_rules(fit.config)
    runs = []
    for replication in range(replications):
        runs.append(simulated(runnable, WARM_UP_H + begin % HOURS_OF_WEEK, end - begin, seed, replication))
        if progress is not None:
            progress(1)
    return compared(fit, hold_out, end - begin, seen, runs)


def as_of(table: Encounters, cut: float) -> Encounters:
    """Return the table as it would have been drawn at an earlier hour."""
    kept = table.where((table.arrival < cut) & (table.came < cut))
    began, ended, left = (np.where(times > cut, np.nan, times) for times in (kept.began, kept.ended, kept.left))
    return replace(kept, began=began, ended=ended, left=left, unseen=kept.unseen & ~np.isnan(left), end=cut)


def by_rules(config: HospitalConfig) -> HospitalConfig:
    """Return a hospital in which nobody has to be asked (agents' queues by priority, no manager), with beds taken by its offered load."""
    loads = offered_load(config)
    units = tuple(
        replace(
            unit,
            discipline="priority" if unit.discipline == "agent" else unit.discipline,
            start_share=min(1.0, loads[unit.name].utilisation),
        )
        for unit in config.units
    )
    return replace(config, units=units, manager_every_h=0.0)


def simulated(config: HospitalConfig, begin: float, hours: float, seed: int, replication: int) -> dict[str, Any]:
    """Return the figures of one replication from hour ``begin`` on."""
    from medsim.hospital.draws import key_of
    from medsim.hospital.flow.model import FlowModel

    model = FlowModel(config, key_of(seed, episode=replication), horizon_h=begin + hours)
    counts: list[npt.NDArray[np.int64]] = []

    def look_every_hour() -> Generator[Any, Any, None]:
        yield model.env.timeout(begin)
        while True:
            counts.append(model.s.occupied.copy())
            yield model.env.timeout(1.0)

    model.env.process(look_every_hour())
    model.run()
    of_day = (int(begin) + np.arange(len(counts))) % 24
    present = np.array(counts, dtype=np.float64)
    blocks = {unit.name: unit.blocks for unit in config.units}
    names = tuple(blocks)
    census = {name: np.array([present[of_day == hour, k].mean() for hour in range(24)]) for k, name in enumerate(names)}
    return figures_of(visits_of_log(model.log.frame(), blocks), names, config.seen_in, census, begin, begin + hours)


def visits_of_table(table: Encounters) -> Visits:
    """Return the visits of a table."""
    return Visits(
        patient=table.encounter, acuity=table.acuity, unit=table.unit, came=table.came, began=table.began, ended=table.ended,
        left=table.left, unseen=table.unseen,
    )  # fmt: skip


def census_of_table(table: Encounters, begin: float, end: float) -> dict[str, Floats]:
    """Return each unit's mean census (24,) at the full hours of the day."""
    left = np.where(np.isnan(table.left), np.inf, table.left)
    census = {}
    for number, name in enumerate(table.units):
        here = (table.unit == number) & ~np.isnan(table.began)
        census[name] = census_by_hour(table.began[here], left[here], begin, end)
    return census


def figures_of(visits: Visits, units: tuple[str, ...], seen_in: str, census: dict[str, Floats], begin: float, end: float) -> dict[str, Any]:
    """Return the figures of a stretch of time: ``census`` unit -> (24,), and numbers by name."""
    found: dict[str, Any] = {"census": census, **{f"mean census of {name!r}": float(census[name].mean()) for name in units}}
    judged = visits.unit == units.index(seen_in)
    waits = (visits.began - visits.came)[judged & (visits.began >= begin) & (visits.began < end)]
    found[f"mean wait for {seen_in!r} (h)"] = float(waits.mean()) if len(waits) else 0.0
    found["90 % quantile of it (h)"] = float(np.quantile(waits, 0.9)) if len(waits) else 0.0
    asked = judged & (visits.came >= begin) & (visits.came < end)
    found["left unseen (%)"] = 100.0 * float(visits.unseen[asked].mean()) if asked.any() else 0.0
    return found


def compared(fit: Fit, held_out: float, hours: float, seen: dict[str, Any], runs: list[dict[str, Any]]) -> BackTest:
    """Return the comparison of the data with the replications."""
    n = len(runs)
    level = min(LEVEL, (n - 1) / (n + 1))
    figures = []
    for name in (name for name in seen if name != "census"):
        values = np.array([run[name] for run in runs])
        low, high = between_runs(values, level)
        figures.append(Compared(name=name, observed=seen[name], simulated=float(values.mean()), low=low, high=high))
    census, errors = {}, {}
    for name, observed in seen["census"].items():
        made = np.mean([run["census"][name] for run in runs], axis=0)
        census[name] = (observed, made)
        there = observed > 0.0
        errors[name] = float((np.abs(made - observed)[there] / observed[there]).mean()) if there.any() else 0.0
    return BackTest(
        fit=fit, held_out=held_out, hours=hours, replications=n, figures=tuple(figures), census=census, census_mape=errors, level=level
    )  # fmt: skip


def between_runs(values: Floats, level: float) -> tuple[float, float]:
    """Return the quantiles of runs between which one more run lies with a probability: the k-th smallest of n is that of k / (n + 1)."""
    low, high = np.quantile(values, [0.5 - level / 2.0, 0.5 + level / 2.0], method="weibull")
    return float(low), float(high)
