"""A configuration as arrays: what the SimPy model and the compiled core both read, so that neither has numbers of its own."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medsim.hospital.draws import lognormal_parameters
from medsim.hospital.flow.config import ACUITIES, DISCIPLINES, HOURS_OF_WEEK, LAWS, HospitalConfig, Stay

__all__ = ["Plan", "plan_of", "visit_rates"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MANY = 1_000_000  # clinicians where they are not looked at, waiting places where there is no limit


class Plan(NamedTuple):
    """Numbers of a hospital with U units, S streams of arrivals, G groups; acuities and triage categories count from 0 here.

    Attributes:
        beds, discipline, by_source, may_hold, per_nurse, places, blocks: (U,); clinicians, nurses: (U, 24) by hour of the day.
        patience_h: (U, 5), 0 for never; accumulation, reserved: (U, 5); crowding: (U, 2), from which share and how strongly.
        law, mu, sigma: (U, 5) of stays; mu and sigma of the logarithm, or mu the mean of the others.
        mean_stay_h: (U,). exits: (U, 5, U) probabilities; sources: (U, U + 1), where a unit's patients come from, U for outside.
        started: (U,) patients in beds at the start; start_mix: (U, 5) their acuities.
        nursed: (N,) the units that have nurses, to which float nurses can be sent.
        stream_unit: (S,); rates: (S, 168); top_rate: (S,); acuity: (S, 5).
        triage: (G, 2) probabilities of under- and over-triage; groups: (G,) shares.
        targets_h, weights: (5,); prices: (4,) of waiting for a bed, leaving, early step-down, overtime; harm: (7,).
        seen_in, ward, icu: the numbers of these units, -1 for none; flexible: (2,) likewise, those that share the flexible beds.
    """

    beds: Ints
    discipline: Ints
    by_source: Ints
    may_hold: Ints
    per_nurse: Floats
    places: Ints
    blocks: Ints
    clinicians: Ints
    nurses: Ints
    patience_h: Floats
    accumulation: Floats
    reserved: Ints
    crowding: Floats
    law: Ints
    mu: Floats
    sigma: Floats
    mean_stay_h: Floats
    exits: Floats
    sources: Ints
    started: Ints
    start_mix: Floats
    stream_unit: Ints
    rates: Floats
    top_rate: Floats
    acuity: Floats
    triage: Floats
    groups: Floats
    targets_h: Floats
    weights: Floats
    prices: Floats
    harm: Floats
    seen_in: int
    ward: int
    icu: int
    flexible_beds: int
    flexible: Ints
    float_nurses: int
    nursed: Ints
    manager_every_h: float
    reconsider_h: float
    readmission_per_day_cut: float


def plan_of(config: HospitalConfig) -> Plan:
    """Return a configuration's numbers."""
    units = config.units
    laws, mus, sigmas = stays_of(config)
    started = np.array([int(unit.start_share * unit.beds + 0.5) for unit in units], dtype=np.int64)
    clinicians = np.array([by_hour(unit.clinicians, MANY) for unit in units], dtype=np.int64)
    harm = config.harm
    numbers = {unit.name: number for number, unit in enumerate(units)}
    flexible = [numbers[name] for name in config.flexible_between] or [-1, -1]
    plan = Plan(
        beds=np.array([unit.beds for unit in units], dtype=np.int64),
        discipline=np.array([DISCIPLINES.index(unit.discipline) for unit in units], dtype=np.int64),
        by_source=np.array([int(unit.choose_by == "source") for unit in units], dtype=np.int64),
        may_hold=np.array([int(unit.may_hold) for unit in units], dtype=np.int64),
        per_nurse=np.array([unit.patients_per_nurse for unit in units]),
        places=np.array([MANY if unit.waiting_places is None else unit.waiting_places for unit in units], dtype=np.int64),
        blocks=np.array([int(unit.blocks) for unit in units], dtype=np.int64),
        clinicians=clinicians,
        nurses=np.array([by_hour(unit.nurses, 0) for unit in units], dtype=np.int64),
        patience_h=np.array([[0.0 if np.isinf(mean) else mean for mean in unit.patience_h or (0.0,) * ACUITIES] for unit in units]),
        accumulation=np.array([unit.accumulation for unit in units]),
        reserved=np.array([unit.reserved_beds or (0,) * ACUITIES for unit in units], dtype=np.int64),
        crowding=np.array([(unit.crowding_from, unit.crowding) for unit in units]),
        law=laws,
        mu=mus,
        sigma=sigmas,
        mean_stay_h=mean_stay_of_units(config),
        exits=exits_of(config),
        sources=sources_of(config),
        started=np.minimum(started, clinicians[:, 0]),
        start_mix=start_mix(config),
        stream_unit=np.array([numbers[stream.unit] for stream in config.arrivals], dtype=np.int64),
        rates=weekly_rates(config),
        top_rate=weekly_rates(config).max(axis=1, initial=0.0),
        acuity=np.array([stream.acuity for stream in config.arrivals]).reshape(-1, ACUITIES),
        triage=np.array([(min(1.0, config.under_triage * group.under_triage), config.over_triage) for group in config.groups]),
        groups=np.array([group.share for group in config.groups]),
        targets_h=np.array(config.targets_min) / 60.0,
        weights=np.array(config.waiting_weights),
        prices=np.array([config.boarding_weight, config.leaving_weight, config.early_step_down_weight, config.overtime_weight]),
        harm=np.array([
            harm.icu_base_risk, np.log(harm.odds_ratio_per_icu_delay_hour), harm.ward_base_risk,
            np.log(harm.odds_ratio_per_admission_delay_hour), harm.admission_grace_h, harm.admission_last_h,
            np.log(harm.odds_ratio_per_extra_patient),
        ]),
        seen_in=numbers.get(config.seen_in, -1),
        ward=numbers.get("ward", -1),
        icu=numbers.get("icu", -1),
        flexible_beds=config.flexible_beds,
        flexible=np.array(flexible, dtype=np.int64),
        float_nurses=config.float_nurses,
        nursed=np.array([number for number, unit in enumerate(units) if unit.nurses], dtype=np.int64),
        manager_every_h=float(config.manager_every_h),
        reconsider_h=float(config.reconsider_h),
        readmission_per_day_cut=float(config.readmission_per_day_cut),
    )  # fmt: skip
    return Plan._make(np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value for value in plan)


def by_hour(counts: tuple[int, ...], absent: int) -> list[int]:
    """Return 24 numbers from none, one or 24."""
    return list(counts) if len(counts) == 24 else [counts[0] if counts else absent] * 24


def stays_of(config: HospitalConfig) -> tuple[Ints, Floats, Floats]:
    """Return the law, mu and sigma of each unit's stays by acuity, each (U, 5)."""
    rows = [unit.stays * (ACUITIES if len(unit.stays) == 1 else 1) for unit in config.units]
    laws = np.array([[LAWS.index(stay.law) for stay in row] for row in rows], dtype=np.int64)
    pairs = [
        [lognormal_parameters(stay.mean_h, stay.sd_h) if stay.law == "lognormal" else (stay.mean_h, 0.0) for stay in row] for row in rows
    ]
    parameters = np.array(pairs)
    return laws, np.ascontiguousarray(parameters[:, :, 0]), np.ascontiguousarray(parameters[:, :, 1])


def stay_parameters(stay: Stay) -> tuple[float, float]:
    """Return mu and sigma of a lognormal stay's logarithm, or the mean of another, and 0."""
    return lognormal_parameters(stay.mean_h, stay.sd_h) if stay.law == "lognormal" else (stay.mean_h, 0.0)


def sources_of(config: HospitalConfig) -> Ints:
    """Return the places from which patients come to each unit (U, U + 1), in order, U for outside; -1 behind the last."""
    count = len(config.units)
    leads = exits_of(config).max(axis=1) > 0.0  # (from, to)
    rows = np.full((count, count + 1), -1, dtype=np.int64)
    for number, unit in enumerate(config.units):
        found = [source for source in range(count) if leads[source, number]]
        found += [count] if any(stream.unit == unit.name for stream in config.arrivals) else []
        rows[number, : len(found)] = found
    return rows


def mean_stay_of_units(config: HospitalConfig) -> Floats:
    """Return the mean stay in hours in each unit (U,), over its mix of acuities."""
    rates = visit_rates(config)
    visits = rates.sum(axis=0)
    weighted = (rates * mean_stays(config)).sum(axis=0)
    return np.asarray(np.where(visits > 0.0, weighted / np.where(visits > 0.0, visits, 1.0), mean_stays(config).mean(axis=0)))


def exits_of(config: HospitalConfig) -> Floats:
    """Return the probabilities (U, 5, U) of the next unit."""
    count = len(config.units)
    exits = np.zeros((count, ACUITIES, count))
    for number, unit in enumerate(config.units):
        for acuity in range(ACUITIES):
            for target, share in unit.exits[acuity if len(unit.exits) > 1 else 0].items():
                exits[number, acuity, config.unit_number(target)] = share
    return exits


def weekly_rates(config: HospitalConfig) -> Floats:
    """Return the arrivals an hour of each stream by hour of the week (S, 168)."""
    rows = [np.resize(np.array(stream.rates_per_h, dtype=np.float64), HOURS_OF_WEEK) for stream in config.arrivals]
    return np.array(rows).reshape(len(rows), HOURS_OF_WEEK)


def visit_rates(config: HospitalConfig) -> Floats:
    """Return the mean visits an hour to each unit by acuity (5, U), by the traffic equations, if nobody is turned away.

    Raises:
        ValueError: patients never leave.
    """
    count = len(config.units)
    outside = np.zeros((ACUITIES, count))
    for stream, rates in zip(config.arrivals, weekly_rates(config), strict=True):
        outside[:, config.unit_number(stream.unit)] += rates.mean() * np.array(stream.acuity)
    exits = exits_of(config)
    visits = np.zeros((ACUITIES, count))
    for acuity in range(ACUITIES):
        matrix = np.eye(count) - exits[:, acuity].T
        if abs(np.linalg.det(matrix)) < 1e-12:
            raise ValueError(f"patients of acuity {acuity + 1} never leave: the exits of some units lead back to them for certain")
        visits[acuity] = np.linalg.solve(matrix, outside[acuity])
    return visits


def mean_stays(config: HospitalConfig) -> Floats:
    """Return the mean stays in hours by acuity (5, U)."""
    rows = [unit.stays * (ACUITIES if len(unit.stays) == 1 else 1) for unit in config.units]
    return np.array([[stay.mean_h for stay in row] for row in rows]).T


def start_mix(config: HospitalConfig) -> Floats:
    """Return the shares of acuities (U, 5) among the patients in each unit's beds, in the long run."""
    load = (visit_rates(config) * mean_stays(config)).T
    total = load.sum(axis=1, keepdims=True)
    return np.where(total > 0.0, load / np.where(total > 0.0, total, 1.0), 1.0 / ACUITIES)
