"""``python -m benchmarks.hospital.oracles``: the compiled hospital as textbook queues, beside the exact results.

Every queue is a configuration of the hospital's own model, run with as many replications as it takes until the standard error of their
mean is below 0.22 % of the exact figure; then the mean has to be within 1 % of it, and within four standard errors.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.report import write_whole
from medsim.cli.progress import Progress
from medsim.hospital import theory
from medsim.hospital.flow.config import Arrivals, HospitalConfig, Stay, Unit
from medsim.hospital.flow.hospitals import Hospitals
from medsim.hospital.presets.stroke_unit import stroke_unit
from medsim_agents.provenance import commit, hardware, versions

__all__ = ["Oracle", "Verdict", "judged", "oracles", "queue", "station"]

HERE = Path(__file__).parent
PRECISION = 0.0022  # of the exact figure: the standard error at which to stop; 1 % is then more than four of them
WITHIN, STANDARD_ERRORS = 0.01, 4.0
MOST_ROUNDS = 400

Measure = Callable[[Hospitals], Any]


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """A queue with known figures.

    Attributes:
        config: the queue as a hospital; exact: name -> figure; measured: name -> function of hospitals that gives one value a replication.
        hours, warm_up_h: of a replication; replications: in a round.
    """

    name: str
    config: HospitalConfig
    exact: dict[str, float]
    measured: dict[str, Measure]
    hours: float = 20_000.0
    warm_up_h: float = 500.0
    replications: int = 32


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A figure of an oracle beside the exact one."""

    oracle: str
    figure: str
    exact: float
    mean: float
    standard_error: float
    replications: int
    seconds: float

    @property
    def error(self) -> float:
        """Relative."""
        return self.mean / self.exact - 1.0

    @property
    def z(self) -> float:
        """In standard errors."""
        return (self.mean - self.exact) / self.standard_error

    @property
    def met(self) -> bool:
        """Whether the simulation agrees."""
        return abs(self.error) < WITHIN and abs(self.z) < STANDARD_ERRORS


# Queues as hospitals


def station(name: str, beds: int, mean_h: float = 1.0, law: str = "exponential", sd_h: float = 0.0, **more: Any) -> Unit:
    """Return a service station."""
    return Unit(name=name, beds=beds, stays=(Stay(law=law, mean_h=mean_h, sd_h=sd_h),), **more)


def of_class(k: int, unit: str, rate: float) -> Arrivals:
    """Return Poisson arrivals of the k-th class (from 1, the most urgent)."""
    return Arrivals(name=f"class {k}", unit=unit, rates_per_h=(rate,), acuity=tuple(float(j == k - 1) for j in range(5)))


def queue(unit: Unit, *rates: float, **more: Any) -> HospitalConfig:
    """Return a hospital of one station."""
    return HospitalConfig(
        name="queue", units=(unit,), arrivals=tuple(of_class(k + 1, unit.name, rate) for k, rate in enumerate(rates)), **more
    )


# Figures


def wait(k: int = 0, unit: int = 0) -> Measure:
    """Mean wait of a class in hours, of those who got a bed."""
    return lambda h: h.t.wait_h[:, unit, k] / h.t.started[:, unit, k]


def sojourn(k: int = 0, unit: int = 0) -> Measure:
    """Mean time in a unit, wait included."""
    return lambda h: h.t.sojourn_h[:, unit, k] / h.t.gone[:, unit, k]


def lost(k: int = 0, unit: int = 0) -> Measure:
    """Share of a class that is turned away."""
    return lambda h: h.t.turned_away[:, unit, k] / h.t.asked[:, unit, k]


def gave_up(k: int = 0) -> Measure:
    """Share of a class that leaves the queue."""
    return lambda h: h.t.left[:, 0, k] / h.t.asked[:, 0, k]


def late(k: int = 0) -> Measure:
    """Share of waits beyond the target."""
    return lambda h: h.t.late[:, 0, k] / h.t.started[:, 0, k]


def number(unit: int = 0) -> Measure:
    """Mean number in a unit, waiting or in a bed."""
    return lambda h: (h.t.bed_h[:, unit] + h.t.queue_h[:, unit]) / (h.horizon_h - h.warm_up_h)


def census(unit: int = 0) -> Measure:
    """Number in beds at the end."""
    return lambda h: h.s.occupied[:, unit].astype(float)


def through(units: int) -> Measure:
    """Mean time in the network by Little's law: everybody in it, over the arrivals from outside (to the first unit)."""
    return lambda h: (h.t.bed_h + h.t.queue_h)[:, :units].sum(axis=1) / h.t.asked[:, 0].sum(axis=1)


def oracles() -> tuple[Oracle, ...]:
    """Return the queues."""
    return (*single_stations(), *with_priorities(), *networks(), *loss_systems())


def single_stations() -> list[Oracle]:
    """Return queues of one class at one station."""
    q90_h, tail = 1.900212, "share that waits longer than 1.900212 h"
    many, limited, impatient = theory.mmc(9.0, 1.0, 10), theory.mmck(2.5, 1.0, 3, 5), theory.erlang_a(9.0, 1.0, 8, 0.5)
    return [
        Oracle(name="M/M/1, load 0.8", config=queue(station("a", 1), 0.8), exact={"wait, h": theory.mm1(0.8, 1.0).mean_wait},
               measured={"wait, h": wait()}),
        Oracle(name="M/M/10, load 0.9", config=queue(station("a", 10), 9.0, targets_min=(60.0 * q90_h,) * 5, seen_in="a"),
               exact={"wait, h": many.mean_wait, tail: many.p_wait_longer_than(q90_h)}, measured={"wait, h": wait(), tail: late()}),
        Oracle(name="M/M/3/5", config=queue(station("a", 3, waiting_places=2), 2.5),
               exact={"turned away": limited.p_blocked, "wait, h": limited.mean_wait, "number": limited.mean_number},
               measured={"turned away": lost(), "wait, h": wait(), "number": number()}),
        Oracle(name="M/D/1, load 0.8", config=queue(station("a", 1, law="constant"), 0.8),
               exact={"wait, h": theory.mg1(0.8, 1.0, 0.0).mean_wait}, measured={"wait, h": wait()}),
        Oracle(name="M/G/1, lognormal, sd 1.5, load 0.8", config=queue(station("a", 1, law="lognormal", sd_h=1.5), 0.8),
               exact={"wait, h": theory.mg1(0.8, 1.0, 1.5).mean_wait}, measured={"wait, h": wait()}, hours=50_000.0),
        Oracle(name="M/M/8 with impatience (Erlang A)", config=queue(station("a", 8, patience_h=(2.0,) * 5), 9.0),
               exact={"leave unseen": impatient.p_abandon, "number": impatient.mean_number},
               measured={"leave unseen": gave_up(), "number": number()}),
    ]  # fmt: skip


def with_priorities() -> list[Oracle]:
    """Return queues of several classes."""
    cobham, resume = theory.cobham((0.2, 0.6), (1.0, 1.0)), theory.preemptive_resume((0.2, 0.6), (1.0, 1.0))
    several, resumed = theory.mmc_priority((1.0, 3.0, 4.0), 1.0, 10), theory.mmc_preemptive((1.0, 3.0, 4.0), 1.0, 10)
    two, three = ("class 1: wait, h", "class 2: wait, h"), tuple(f"class {k}: wait, h" for k in (1, 2, 3))
    stay = ("class 1: time, h", "class 2: time, h")
    return [
        Oracle(name="M/M/1, two classes, no pre-emption (Cobham)", config=queue(station("a", 1, discipline="priority"), 0.2, 0.6),
               exact=dict(zip(two, cobham.mean_waits, strict=True)), measured={two[k]: wait(k) for k in range(2)}),
        Oracle(name="M/M/10, three classes, no pre-emption", config=queue(station("a", 10, discipline="priority"), 1.0, 3.0, 4.0),
               exact=dict(zip(three, several.mean_waits, strict=True)), measured={three[k]: wait(k) for k in range(3)}),
        Oracle(name="M/M/1, two classes, pre-emptive resume", config=queue(station("a", 1, discipline="preemptive"), 0.2, 0.6),
               exact=dict(zip(stay, resume.mean_times_in_system, strict=True)), measured={stay[k]: sojourn(k) for k in range(2)}),
        Oracle(name="M/M/10, three classes, pre-emptive resume", config=queue(station("a", 10, discipline="preemptive"), 1.0, 3.0, 4.0),
               exact={f"class {k + 1}: time, h": resumed.mean_times_in_system[k] for k in range(3)},
               measured={f"class {k + 1}: time, h": sojourn(k) for k in range(3)}),
    ]  # fmt: skip


def networks() -> list[Oracle]:
    """Return networks, and a unit under time-varying arrivals."""
    line = theory.tandem(0.5, (1.0, 0.8))
    routing = ((0.0, 0.25, 0.08), (0.0, 0.0, 0.05), (0.0, 0.70, 0.0))
    network = theory.jackson((6.0, 0.0, 0.0), routing, (0.8, 0.08, 0.05), (10, 35, 20))
    names = ("ed", "ward", "icu")
    units = tuple(
        station(name, beds, 1.0 / rate, exits=({names[j]: routing[k][j] for j in range(3) if routing[k][j]},))
        for k, (name, beds, rate) in enumerate(zip(names, (10, 35, 20), (0.8, 0.08, 0.05), strict=True))
    )
    number_of = {f"number in {name}": network.stations[k].mean_number for k, name in enumerate(names)}
    day = tuple(10.0 + 6.0 * float(np.sin(2.0 * np.pi * (hour + 0.5) / 24.0)) for hour in range(24))
    census_of_day = theory.mean_census_profile(day, lambda age: np.exp(-0.25 * age), 4.0)
    high, low = int(np.argmax(census_of_day)), int(np.argmin(census_of_day))
    found = [
        Oracle(name="tandem", config=HospitalConfig(
            name="tandem", units=(station("a", 1, exits=({"b": 1.0},)), station("b", 1, 1.25)), arrivals=(of_class(1, "a", 0.5),)),
            exact={"time in both, h": line.mean_time_in_network}, measured={"time in both, h": through(2)}),
        Oracle(name="Jackson network with feedback", config=HospitalConfig(name="network", units=units, arrivals=(of_class(1, "ed", 6.0),)),
               exact={**number_of, "time in all, h": network.mean_time_in_network},
               measured={**{f"number in {name}": number(k) for k, name in enumerate(names)}, "time in all, h": through(3)}, hours=10_000.0),
    ]  # fmt: skip
    for label, hour in (("highest", high), ("lowest", low)):
        arrivals = replace(of_class(1, "a", 0.0), rates_per_h=day)
        config = HospitalConfig(name="wave", units=(station("a", 120, 4.0),), arrivals=(arrivals,))
        figure = f"{label} mean census of the day"
        found.append(Oracle(name=f"time-varying arrivals, {label}", config=config, exact={figure: float(census_of_day[hour])},
                            measured={figure: census()}, hours=120.0 + hour, warm_up_h=1.0, replications=512))  # fmt: skip
    return found


def loss_systems() -> list[Oracle]:
    """Return units without a queue: Erlang's loss, trunk reservation, the published stroke unit."""
    reserved = theory.AdmissionSystem(beds=10, arrival_rates=(3.0, 5.0), refusal_costs=(10.0, 1.0)).trunk_reservation(2)
    both = ("class 1: turned away", "class 2: turned away")
    found = [
        Oracle(name="M/G/10/10, lognormal stays, sd 2 (Erlang B)",
               config=queue(station("a", 10, law="lognormal", sd_h=2.0, waiting_places=0), 8.0),
               exact={"turned away": theory.erlang_b(10, 8.0)}, measured={"turned away": lost()}),
        Oracle(name="trunk reservation of 2 beds",
               config=queue(station("a", 10, waiting_places=0, reserved_beds=(0, 2, 0, 0, 0)), 3.0, 5.0),
               exact=dict(zip(both, reserved.p_refused, strict=True)), measured={both[k]: lost(k) for k in range(2)}),
    ]  # fmt: skip
    load = theory.stroke_unit_load("acute")
    for beds in range(9, 15):
        acute, streams = stroke_unit(acute_beds=beds), ("stroke", "tia", "neuro", "other")
        unit = replace(acute.units[0], waiting_places=0, exits=({},))
        config = replace(acute, units=(unit,), arrivals=tuple(one for one in acute.arrivals if one.name in streams))
        found.append(Oracle(name=f"stroke unit of Monks 2016, {beds} beds", config=config, exact={"delayed": theory.erlang_b(beds, load)},
                            measured={"delayed": lambda h: h.t.turned_away.sum(axis=(1, 2)) / h.t.asked.sum(axis=(1, 2))},
                            hours=200_000.0, warm_up_h=5_000.0))  # fmt: skip
    return found


# Running


def judged(oracle: Oracle, *, precision: float = PRECISION, rounds: int = MOST_ROUNDS, seed: int = 0) -> list[Verdict]:
    """Run an oracle until its figures are precise enough, and return them beside the exact ones."""
    hospitals = Hospitals(oracle.config, oracle.replications, horizon_h=oracle.hours, warm_up_h=oracle.warm_up_h)
    values: dict[str, list[float]] = {name: [] for name in oracle.exact}
    began = time.process_time()
    for number_of_round in range(rounds):
        hospitals.seed(seed + number_of_round)
        hospitals.reset()  # nobody is asked: the whole episode is played
        for name, measure in oracle.measured.items():
            values[name] += np.asarray(measure(hospitals)).tolist()
        if all(standard_error(values[name]) < precision * exact for name, exact in oracle.exact.items()):
            break
    seconds = time.process_time() - began
    return [
        Verdict(oracle=oracle.name, figure=name, exact=exact, mean=float(np.mean(values[name])),
                standard_error=standard_error(values[name]), replications=len(values[name]), seconds=seconds)
        for name, exact in oracle.exact.items()
    ]  # fmt: skip


def standard_error(values: list[float]) -> float:
    """Return the standard error of the mean of independent values."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def page(verdicts: list[Verdict], seconds: float) -> str:
    """Return the results as a page."""
    machine, met = hardware(cores=1), sum(verdict.met for verdict in verdicts)
    lines = [
        "# The hospital as textbook queues",
        "",
        "`python -m benchmarks.hospital.oracles`. Each row is a configuration of the hospital's own model, compiled; replications until",
        "the standard error is below 0.22 % of the exact figure. Met: within 1 % and within four standard errors.",
        "",
        f"{met} of {len(verdicts)} figures of {len({verdict.oracle for verdict in verdicts})} queues met. {seconds:.0f} CPU s on one core, "
        f"{machine['cpu']}; commit {commit()}; numba {versions().get('numba', '')}.",
        "",
        "| queue | figure | exact | simulated | standard error | difference | z | replications | met |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in verdicts:
        lines.append(
            f"| {one.oracle} | {one.figure} | {one.exact:.6g} | {one.mean:.6g} | {one.standard_error:.2g} | {100.0 * one.error:+.2f} % | "
            f"{one.z:+.1f} | {one.replications} | {'yes' if one.met else 'no'} |"
        )
    return "\n".join([*lines, "", *stroke_lines()]) + "\n"


def stroke_lines() -> list[str]:
    """Return the published table of the stroke unit beside the formula."""
    lines = [
        "## The published stroke unit",
        "",
        "Probability that a patient is delayed, Monks 2016 (BMC Health Serv Res 16:530), and Erlang's B with the paper's load. The base",
        "rows agree at two decimals; the others are shown with their differences, which are not explained.",
        "",
        "| unit | scenario | beds | published | here | difference | one in: published | here |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in theory.stroke_unit_table():
        told = row.published
        difference = f"{row.difference:+.{told.decimals}f}" if row.difference else "0"
        lines.append(
            f"| {told.unit} | {told.scenario} | {told.beds} | {told.p_delay:.{told.decimals}f} | {row.p_delay:.{told.decimals + 1}f} | "
            f"{difference} | {told.one_in or ''} | {row.one_in if told.one_in else ''} |"
        )
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Run all oracles, and write the page and the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hospital.oracles", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round each: figures that mean little; writes nothing")
    parser.add_argument("--json", action="store_true", help="print the figures")
    options = parser.parse_args(arguments)
    began, found = time.process_time(), []
    with Progress(len(oracles()), "queue", "oracles") as progress:
        for oracle in oracles():
            found += judged(oracle, rounds=1 if options.quick else MOST_ROUNDS)
            progress.update()
    seconds = time.process_time() - began
    rows = [{**vars(one), "error": one.error, "z": one.z, "met": one.met} for one in found]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        for one in found:
            print(f"{one.oracle}: {one.figure}: {one.exact:.6g} exact, {one.mean:.6g} simulated, {100 * one.error:+.2f} %, z {one.z:+.1f}")
    if not options.quick:
        about: dict[str, Any] = {"command": "python -m benchmarks.hospital.oracles", "commit": commit(), "machine": dict(hardware(cores=1))}
        data = json.dumps({**about, "versions": versions(), "figures": rows}, indent=1) + "\n"
        write_whole(HERE, {"ORACLES.md": page(found, seconds).encode(), "oracles.json": data.encode()})
    return 0 if options.quick or all(one.met for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
