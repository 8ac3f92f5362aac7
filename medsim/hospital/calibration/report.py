"""A fit as text for a person, and as plain data for a file."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from medsim.hospital.calibration.arrivals import ArrivalFit
from medsim.hospital.calibration.encounters import Encounters
from medsim.hospital.calibration.fit import NOT_ADVICE, Fit, UnitFit
from medsim.hospital.calibration.stays import StayFit

__all__ = ["columns", "fit_record", "fit_report", "rows_report"]

SHOWN = 20  # chosen: bad rows that are printed one by one; the rest are counted by reason
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Return rows as columns, the first ranged left, the others right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if k == 0 else cell.rjust(width) for k, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append((indent + "   ".join(cells)).rstrip())
    return "\n".join(lines)


def fit_report(fit: Fit) -> str:
    """Return a fit as text."""
    parts = [rows_report(fit.table), arrivals_report(fit.arrivals), stays_report(fit.units), routing_report(fit.units)]
    parts.append(capacity_report(fit))
    if fit.notes:
        parts.append("\n".join(f"note: {note}" for note in fit.notes))
    parts.append(f"A fitted queue says how a hospital ran. {NOT_ADVICE}")
    return "\n\n".join(parts)


def rows_report(table: Encounters) -> str:
    """Return how many rows were used, and every bad one by line and reason (from the 21st on by reason alone)."""
    used, encounters = len(table.unit), int(table.first.sum())
    lines = [f"rows: {table.rows} read, {used} used ({encounters} encounters), {len(table.bad)} bad, {table.with_bad} left out with them"]
    lines += [f"  line {one.line}: {one.reason}" for one in table.bad[:SHOWN]]
    rest: dict[str, int] = {}
    for one in table.bad[SHOWN:]:
        kind = one.reason.split(" '")[0]
        rest[kind] = rest.get(kind, 0) + 1
    lines += [f"  and {count} more: {kind}" for kind, count in rest.items()]
    open_stays = int((np.isnan(table.left)).sum())
    lines.append(f"  {open_stays} stays were not over when the table was drawn, and count as censored")
    return "\n".join(lines)


def arrivals_report(streams: Sequence[ArrivalFit]) -> str:
    """Return rates, shapes of the week and dispersion."""
    lines = ["arrivals"]
    for stream in streams:
        per_day = 24.0 * stream.count / stream.hours
        lines.append(f"  {stream.name}: {stream.count} in {stream.hours / 24.0:.1f} days, {per_day:.1f} a day")
        best = stream.shapes[0]
        others = ", ".join(f"{shape.name} +{shape.aic - best.aic:.0f}" for shape in stream.shapes[1:])
        lines.append(f"    shape of the week: {best.name!r} ({best.parameters} parameters) by AIC{'; ' + others if others else ''}")
        week = best.rates_per_h.reshape(7, 24)
        blocks = week.reshape(7, 4, 6).sum(axis=(0, 2)) / max(week.sum(), 1e-300)
        lines.append("    0-6, 6-12, 12-18, 18-24 h: " + ", ".join(f"{100 * share:.0f} %" for share in blocks))
        factors = week.sum(axis=1) / max(week.sum() / 7.0, 1e-300)
        lines.append("    days against the mean: " + ", ".join(f"{day} {factor:.2f}" for day, factor in zip(DAYS, factors, strict=True)))
        lines.append("    acuity 1 to 5: " + ", ".join(f"{100 * share:.1f} %" for share in stream.acuity))
        lines += [
            f"    dispersion by {test.per}: {test.index:.3f} (Poisson 1) over {test.weeks} whole weeks, p = {test.p_value:.3g}"
            + (", MORE IRREGULAR than the Poisson process that is simulated" if test.overdispersed else "")
            for test in stream.dispersion
        ] or ["    dispersion: not tested, with fewer than two whole weeks"]
    return "\n".join(lines)


def stays_report(units: Sequence[UnitFit]) -> str:
    """Return the laws of the stays with their distances, and what the configuration takes."""
    rows = [["stays (h)", "ended", "censored", "best law", "mean", "sd", "KS", "taken as", "KS", "others' AIC"]]
    for unit in units:
        groups: list[tuple[str, StayFit]] = [(unit.name, unit.stays)]
        groups += [(f"  acuity {acuity}", fit) for acuity, fit in unit.by_acuity.items()]
        for name, fit in groups:
            best = fit.best
            others = ", ".join(f"{law.family} +{law.aic - best.aic:.0f}" for law in fit.laws[1:])
            rows.append([
                name, str(fit.ended), str(fit.censored), best.family, f"{best.mean_h:.2f}", f"{best.sd_h:.2f}", f"{best.ks:.3f}",
                fit.taken.law, f"{fit.taken_ks:.3f}", others,
            ])  # fmt: skip
    text = columns(rows)
    return text + "\n  KS: the greatest distance between the law and the Kaplan-Meier curve; the parameters being fitted, it has no p-value"


def routing_report(units: Sequence[UnitFit]) -> str:
    """Return where patients go, with intervals."""
    rows = [["routing", "of", "to", "departures", "share", "95 % (Wilson)"]]
    for unit in units:
        several = len({one.target for one in unit.routing.transitions}) > 1
        for one in unit.routing.transitions if several else unit.routing.transitions[:1]:
            who = "all" if one.acuity == 0 else f"acuity {one.acuity}"
            rows.append([
                unit.name, who, one.target, f"{one.count} / {one.departures}", f"{one.share:.3f}", f"{one.low:.3f} to {one.high:.3f}",
            ])  # fmt: skip
    return columns(rows)


def capacity_report(fit: Fit) -> str:
    """Return beds, census, offered load, beds taken at the start, places of treatment, boarding and patience."""
    rows = [[
        "capacity", "beds", "from", "largest", "mean census", "in use by offered load", "taken at the start", "treated at once", "boarded",
        "left unseen", "patience (h)",
    ]]  # fmt: skip
    for unit in fit.units:
        use, patience, load = unit.use, unit.patience, fit.loads[unit.name]
        rows.append([
            unit.name, str(use.beds), "given" if use.given else "census", str(use.largest), f"{use.mean:.1f}",
            f"{100 * load.utilisation:.0f} %", f"{100 * use.start_share:.0f} %",
            str(use.treating) + (f" ({100 * load.treating:.0f} % in use)" if load.treating else ""), f"{100 * use.boarded:.0f} %",
            str(sum(patience.left)), ", ".join(f"{mean:.1f}" for mean in patience.mean_h) if patience.mean_h else "nobody left",
        ])  # fmt: skip
    lines = [
        "  in use: by offered load (arrivals times stay), as if nobody left the queue or boarded",
        "  taken at the start: a simulation begins on Monday at midnight with the mean census at midnight, in the middle of their stays",
    ]
    return "\n".join([columns(rows), *lines])


def fit_record(fit: Fit) -> dict[str, Any]:
    """Return a fit as plain data."""
    table = fit.table
    return {
        "rows": {
            "read": table.rows, "used": len(table.unit), "encounters": int(table.first.sum()), "left_out_with_bad": table.with_bad,
            "bad": [dataclasses.asdict(one) for one in table.bad],
        },
        "arrivals": [stream_record(stream) for stream in fit.arrivals],
        "units": [{**unit_record(unit), "load": dataclasses.asdict(fit.loads[unit.name])} for unit in fit.units],
        "notes": [*fit.notes, NOT_ADVICE],
        "config": fit.config.as_dict(),
    }  # fmt: skip


def stream_record(stream: ArrivalFit) -> dict[str, Any]:
    """Return a stream's fit as plain data."""
    shapes = [{"name": shape.name, "parameters": shape.parameters, "aic": shape.aic} for shape in stream.shapes]
    tests = [{**dataclasses.asdict(test), "overdispersed": test.overdispersed} for test in stream.dispersion]
    return {
        "name": stream.name, "unit": stream.unit, "count": stream.count, "hours": stream.hours, "shapes": shapes,
        "rates_per_h": stream.rates_per_h.tolist(), "acuity": list(stream.acuity), "dispersion": tests,
    }  # fmt: skip


def unit_record(unit: UnitFit) -> dict[str, Any]:
    """Return a unit's fit as plain data."""
    stays = {"all": unit.stays, **{str(acuity): fit for acuity, fit in unit.by_acuity.items()}}
    return {
        "name": unit.name,
        "use": {**dataclasses.asdict(unit.use), "start_share": unit.use.start_share},
        "routing": [dataclasses.asdict(one) for one in unit.routing.transitions],
        "stays": {name: dataclasses.asdict(fit) for name, fit in stays.items()},
        "patience": dataclasses.asdict(unit.patience),
    }
