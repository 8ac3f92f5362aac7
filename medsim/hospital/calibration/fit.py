"""From an encounter table to a configuration of a hospital, and how well it fits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.calibration.arrivals import ArrivalFit, dispersion, fit_rates, weekly_counts
from medsim.hospital.calibration.capacity import PatienceFit, UnitUse, fit_patience, unit_use
from medsim.hospital.calibration.encounters import BadRow, Encounters, renamed, tidy
from medsim.hospital.calibration.encounters import Mapping as ColumnMapping
from medsim.hospital.calibration.routing import RouteFit, fit_routing
from medsim.hospital.calibration.stays import StayFit, fit_stays
from medsim.hospital.flow.config import ACUITIES, DISCIPLINES, Arrivals, HospitalConfig, Stay, Unit, one_of
from medsim.hospital.flow.load import UnitLoad, offered_load

__all__ = ["Fit", "UnitFit", "fit_encounters", "fit_hospital"]

Bools = npt.NDArray[np.bool_]
LEAST_STAYS = 50  # chosen: ended stays of an acuity in a unit below which it shares the stays of all
FULL = 0.95  # chosen: offered load per bed from which a reader is warned; with one bed, the mean queue is 18 patients there (M/M/1)
NOT_ADVICE = "Research simulation, not medical advice."


@dataclass(frozen=True, kw_only=True)
class UnitFit:
    """What was fitted to one unit.

    Attributes:
        stays: of all. by_acuity: acuity -> its own stays, where there are enough and they differ (Akaike's criterion).
    """

    name: str
    use: UnitUse
    routing: RouteFit
    stays: StayFit
    by_acuity: Mapping[int, StayFit]
    patience: PatienceFit


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted hospital.

    Attributes:
        config: what the environments take. arrivals, units: what was fitted, with goodness of fit. loads: unit -> offered load.
        table: the rows that were used, and those that were not (``table.bad``). notes: what the reader should know.
    """

    config: HospitalConfig
    arrivals: tuple[ArrivalFit, ...]
    units: tuple[UnitFit, ...]
    loads: Mapping[str, UnitLoad]
    table: Encounters
    notes: tuple[str, ...]

    def report(self) -> str:
        """Return the fit as text: counts of rows, rates, routing, stays, capacities and how well each fits."""
        from medsim.hospital.calibration.report import fit_report

        return fit_report(self)

    def record(self) -> dict[str, Any]:
        """Return the fit as plain lists, dicts, numbers and texts: what ``report`` prints."""
        from medsim.hospital.calibration.report import fit_record

        return fit_record(self)


def fit_hospital(
    frame: Any,
    *,
    mapping: ColumnMapping | None = None,
    capacities: Mapping[str, int] | None = None,
    capacity_quantile: float = 1.0,
    discipline: str = "priority",
    agents: Iterable[str] = (),
    name: str = "fitted",
    end: str | None = None,
    bad_rows: Iterable[BadRow] = (),
) -> Fit:
    """Return a hospital fitted to an encounter table.

    Args:
        frame: a pandas DataFrame with the columns of ``encounters``, or others by ``mapping``.
        capacities: unit -> beds, where they are known. capacity_quantile: of the census over time that counts as the number of beds
            elsewhere (1: the largest).
        discipline: of the queues, such as "priority"; without triage_acuity that is "fifo".
        agents: units whose beds agents give instead: by triage category where patients wait to be seen, elsewhere by where they wait.
        end: when the table was drawn (ISO 8601); none: the latest time in it.
        bad_rows: lines that were already found to be unreadable (``read_table``).

    Raises:
        ValueError: a column is missing, no row is good, no stay in a unit has ended, patients never leave, a unit of ``capacities`` is not
            in the table, or an option is not allowed.
    """
    return fit_encounters(
        tidy(renamed(frame, mapping), end=end, bad_rows=bad_rows),
        capacities=capacities,
        capacity_quantile=capacity_quantile,
        discipline=discipline,
        agents=agents,
        name=name,
    )


def fit_encounters(
    table: Encounters,
    *,
    capacities: Mapping[str, int] | None = None,
    capacity_quantile: float = 1.0,
    discipline: str = "priority",
    agents: Iterable[str] = (),
    name: str = "fitted",
    window_h: tuple[int, int] | None = None,
) -> Fit:
    """Return a hospital fitted to rows that are in order; ``window_h``: the hours whose arrivals count, none: from first to last arrival.

    Raises:
        ValueError: as for ``fit_hospital``.
    """
    one_of("discipline", discipline, DISCIPLINES)
    if not 0.0 < capacity_quantile <= 1.0:
        raise ValueError(f"capacity_quantile must be above 0 and at most 1, not {capacity_quantile!r}")
    given, deciding = dict(capacities or {}), tuple(agents)
    for unit in deciding:
        one_of("unit with an agent", unit, table.units)
    for unit, beds in given.items():
        one_of("unit of capacities", unit, table.units)
        if isinstance(beds, bool) or not isinstance(beds, int) or beds < 1:
            raise ValueError(f"the capacity of {unit!r} must be a whole number of beds, 1 or more, not {beds!r}")
    routes = fit_routing(table)
    units = tuple(fit_unit(table, k, routes[k], given.get(unit), capacity_quantile) for k, unit in enumerate(table.units))
    arrivals = tuple(fit_stream(table, k, window_h) for k in range(len(table.units)) if (table.first & (table.unit == k)).any())
    rule = "fifo" if discipline == "priority" and not table.has_acuity else discipline
    config = configuration(name, arrivals, units, rule, deciding)
    loads = offered_load(config)
    notes = (*notes_of(table, units, rule, discipline), *load_notes(loads))
    return Fit(config=config, arrivals=arrivals, units=units, loads=loads, table=table, notes=notes)


def fit_stream(table: Encounters, number: int, window_h: tuple[int, int] | None) -> ArrivalFit:
    """Return the arrivals whose first unit is a unit of the table."""
    every = table.arrival[table.first]
    start, end = window_h or (int(np.floor(every.min())), int(np.floor(every.max())) + 1)
    mine = table.first & (table.unit == number) & (table.arrival >= start) & (table.arrival < end)
    counts, watched = weekly_counts(table.arrival[mine], start, end)
    whole = watched.all(axis=1)
    tests = [dispersion(counts[whole], per) for per in ("hour", "day")]
    known = np.bincount(table.acuity[mine], minlength=ACUITIES + 1)[1:]
    shares = known / known.sum() if known.sum() else np.eye(ACUITIES)[2]
    return ArrivalFit(
        name=f"to {table.units[number]}",
        unit=table.units[number],
        count=int(mine.sum()),
        hours=float(watched.sum()),
        shapes=fit_rates(counts, watched),
        acuity=tuple(float(share) for share in shares),
        acuity_counts=tuple(int(count) for count in known),
        dispersion=tuple(test for test in tests if test is not None),
    )


def fit_unit(table: Encounters, number: int, routing: RouteFit, beds: int | None, quantile: float) -> UnitFit:
    """Return what is fitted to one unit.

    Raises:
        ValueError: no stay in it has ended.
    """
    here = (table.unit == number) & ~np.isnan(table.began)
    over = ~np.isnan(table.ended)
    lengths = np.where(over, table.ended, table.end) - table.began
    if not (here & over).any():
        raise ValueError(
            f"no stay in unit {table.units[number]!r} has ended in the table: an end is needed as well, in a column unit_out or "
            "departure_time; or leave the unit's rows out, or take a longer extract"
        )
    pooled = fit_stays(lengths[here], over[here])
    own = stays_by_acuity(lengths, over, here, table.acuity, pooled)
    return UnitFit(
        name=table.units[number],
        use=unit_use(table, number, beds, quantile),
        routing=routing,
        stays=pooled,
        by_acuity=own,
        patience=fit_patience(table, number),
    )


def stays_by_acuity(lengths: Any, over: Bools, here: Bools, acuity: Any, pooled: StayFit) -> dict[int, StayFit]:
    """Return the stays of acuities that have enough, if together they fit better by themselves than as one."""
    groups = {k: here & (acuity == k) for k in range(1, ACUITIES + 1)}
    own = {k: group for k, group in groups.items() if (group & over).sum() >= LEAST_STAYS}
    if len(own) < 2:
        return {}
    fits = {k: fit_stays(lengths[group], over[group]) for k, group in own.items()}
    together = np.logical_or.reduce(list(own.values()))
    alike = pooled if (together == here).all() else fit_stays(lengths[together], over[together])
    return fits if sum(fit.best.aic for fit in fits.values()) < alike.best.aic else {}


def configuration(
    name: str, arrivals: tuple[ArrivalFit, ...], units: tuple[UnitFit, ...], discipline: str, agents: tuple[str, ...]
) -> HospitalConfig:
    """Return the fitted configuration, with where each number comes from."""
    busiest = max(arrivals, key=lambda stream: stream.count).unit
    seen_in = max(units, key=lambda unit: (sum(unit.patience.left), unit.name == busiest)).name
    sources = {"note": NOT_ADVICE}
    built = []
    for unit in units:
        stays = unit_stays(unit)
        treating = unit.use.treating < unit.use.beds
        built.append(
            Unit(
                name=unit.name,
                beds=unit.use.beds,
                stays=stays,
                exits=unit.routing.exits,
                discipline="agent" if unit.name in agents else discipline,
                choose_by="source" if unit.name in agents and unit.name != seen_in else "triage",
                clinicians=(unit.use.treating,) if treating else (),
                blocks=unit.use.boarded > 0.0,
                patience_h=unit.patience.mean_h,
                start_share=unit.use.start_share,
            )
        )
        sources |= unit_sources(unit)
    streams = []
    for stream in arrivals:
        rates = tuple(float(rate) for rate in stream.rates_per_h)
        streams.append(Arrivals(name=stream.name, unit=stream.unit, rates_per_h=rates, acuity=stream.acuity))
        sources[f"arrivals.{stream.name}.rates_per_h"] = f"fitted: {stream.count} arrivals, shape {stream.shapes[0].name!r} by AIC"
        sources[f"arrivals.{stream.name}.acuity"] = f"fitted: {sum(stream.acuity_counts)} arrivals of known acuity"
    return HospitalConfig(name=name, units=tuple(built), arrivals=tuple(streams), seen_in=seen_in, sources=sources)


def unit_stays(unit: UnitFit) -> tuple[Stay, ...]:
    """Return one stay, or five."""
    if not unit.by_acuity:
        return (unit.stays.taken,)
    return tuple(unit.by_acuity[k].taken if k in unit.by_acuity else unit.stays.taken for k in range(1, ACUITIES + 1))


def unit_sources(unit: UnitFit) -> dict[str, str]:
    """Return where a unit's numbers come from."""
    fitted = unit.stays
    bound = "given" if unit.use.given else f"fitted: census (largest {unit.use.largest}), a lower bound of the beds"
    return {
        f"units.{unit.name}.beds": bound,
        f"units.{unit.name}.clinicians": "fitted: the largest number in treatment at once",
        f"units.{unit.name}.stays": f"fitted: {fitted.ended} stays that ended and {fitted.censored} censored, {fitted.best.family} by AIC, "
        f"of the laws that a configuration holds {fitted.taken.law} is nearest",
        f"units.{unit.name}.start_share": f"fitted: mean census at midnight ({unit.use.midnight:.1f}) over the beds",
        f"units.{unit.name}.exits": "fitted: shares of the departures",
        f"units.{unit.name}.patience_h": f"fitted: {sum(unit.patience.left)} who left unseen; hours waited over their number",
    }


def notes_of(table: Encounters, units: tuple[UnitFit, ...], rule: str, wanted: str) -> list[str]:
    """Return what the reader should know of this fit."""
    notes = []
    blank = int((table.acuity[table.first] == 0).sum())
    if table.has_acuity and blank:
        notes.append(f"{blank} encounters have no triage_acuity: they count everywhere but in the mix of acuities")
    if rule != wanted:
        notes.append("without triage_acuity the queues are first come, first served")
    if table.has_acuity:
        notes.append("triage_acuity is taken for the true acuity: a table does not show who was triaged wrongly")
    for unit in units:
        if not unit.use.given:
            notes.append(f"the beds of {unit.name!r} are its largest census or a quantile of it, a lower bound: give them if you know them")
        if unit.stays.ended < LEAST_STAYS:
            notes.append(f"unit {unit.name!r} has only {unit.stays.ended} stays that ended")
    return notes


def load_notes(loads: Mapping[str, UnitLoad]) -> list[str]:
    """Return which units have little or nothing to spare, by their offered load."""
    notes = []
    for name, load in loads.items():
        for share, what in ((load.utilisation, "beds"), (load.treating, "places of treatment")):
            if share >= FULL:
                notes.append(
                    f"the offered load of {name!r} is {100.0 * share:.0f} % of its {what}: waits grow without bound at 100 %; a short play "
                    "from the start hides it"
                )
    return notes
