"""A random search for constants that meet the targets, guided by a regression on the trials so far; it resumes where it stopped.

A trial is a set of constants and its figures, one line of ``trials.jsonl``. Constants are searched in units of their bounds (0 to 1, of
the logarithm where they are positive), away from either end. After ``FIRST`` trials near the start, a ridge regression of
the figures on the constants and their squares picks, of thousands of random candidates, the next to simulate.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.fidelity.figures import Study, estimates, every_figure
from benchmarks.fidelity.targets import TARGETS, loss, room
from medsim.cli.progress import Progress
from medsim.treatments.sepsis.constants import Constants, constant_table

__all__ = ["Box", "Record", "distance", "read_trials", "search", "write_fits"]

Array = npt.NDArray[np.float64]
EDGE, FAR_EDGE = 0.15, 0.03  # of a constant's range, kept free at either end for v0, and for the other worlds
FIRST, CANDIDATES, RIDGE = 40, 4000, 0.02
STEP = 0.12  # standard deviation of a step from a good trial, in units of the bounds
MISS_COSTS = 0.3  # distance that a predicted miss of one unit is worth, in the search for sets far apart
MARGIN = 0.5  # every figure should be this far inside its aim, in the target's unit


class Record(NamedTuple):
    """A trial: constants in units of their bounds, and figures."""

    place: Array
    figures: dict[str, float]

    @property
    def room(self) -> float:
        """How far inside its aim the tightest figure is."""
        return min(room(self.figures, target) for target in TARGETS)


class Box:
    """The fitted constants and their bounds; the others stay at their start."""

    def __init__(self) -> None:
        table = constant_table()
        self.names = [name for name, row in table.items() if row["fitted"] == "1"]
        self.start = Constants(*(float(table[name]["start"]) for name in Constants._fields))
        bounds = np.array([[float(table[name]["lowest"]), float(table[name]["highest"])] for name in self.names])
        self.logs = bounds[:, 0] > 0.0
        self.low, self.high = self.scaled(bounds[:, 0]), self.scaled(bounds[:, 1])

    def scaled(self, values: Array) -> Array:
        """Return logarithms of what is searched in logarithms."""
        return np.where(self.logs, np.log(np.where(self.logs, values, 1.0)), values)

    def place(self, c: Constants) -> Array:
        """Return constants in units of their bounds."""
        return (self.scaled(np.array([getattr(c, name) for name in self.names])) - self.low) / (self.high - self.low)

    def constants(self, place: Array) -> Constants:
        """Return the constants at a place, to four digits."""
        raw = self.low + place * (self.high - self.low)
        values = np.where(self.logs, np.exp(np.where(self.logs, raw, 0.0)), raw)
        return self.start._replace(**{name: float(f"{value:.4g}") for name, value in zip(self.names, values, strict=True)})


def distance(a: Array, b: Array) -> float:
    """Return how far two places are apart: root mean square over the constants, in units of their bounds."""
    return float(np.sqrt(np.mean((a - b) ** 2)))


def read_trials(path: Path, box: Box) -> list[Record]:
    """Return the trials so far."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [Record(box.place(box.start._replace(**row["constants"])), row["figures"]) for row in rows]


def append(path: Path, c: Constants, figures: dict[str, float], box: Box) -> None:
    """Write a trial down."""
    row = {
        "loss": round(loss(figures), 4),
        "constants": {name: getattr(c, name) for name in box.names},
        "figures": {name: float(f"{value:.5g}") for name, value in figures.items()},
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def search(total: int, path: Path, study: Study, seed: int, far: bool = False) -> list[Record]:
    """Go on until the file holds ``total`` trials and return them all; ``far``: look for sets far from all that meet the aims so far."""
    box = Box()
    records = read_trials(path, box)
    with Progress(max(total - len(records), 0), "trials", "fit, far from v0" if far else "fit") as progress:
        while len(records) < total:
            rng = np.random.default_rng([seed, len(records)])
            c = box.constants(propose(records, box, rng, far))
            figures = estimates(every_figure(c, study))
            append(path, c, figures, box)
            records.append(Record(box.place(c), figures))
            progress.update()
    return records


def propose(records: list[Record], box: Box, rng: np.random.Generator, far: bool) -> Array:
    """Return the next place to try."""
    start = box.place(box.start)
    if not records:
        return start
    if len(records) < FIRST:
        return inside(start + STEP * rng.standard_normal(len(start)), EDGE)
    good = [record for record in records if record.room > 0.0]
    best = good if far and good else sorted(records, key=lambda record: -record.room)[:10]
    parents = np.array([best[number].place for number in rng.integers(0, len(best), CANDIDATES)])
    reach = STEP * rng.uniform(0.3, 4.0 if far else 1.5, (CANDIDATES, 1))
    places = inside(parents + reach * rng.standard_normal(parents.shape), FAR_EDGE if far else EDGE)
    misses = predicted_misses(records, places)
    if not far:
        return np.asarray(places[np.argmin(misses)])
    return np.asarray(places[np.argmax(nearest(places, good) - MISS_COSTS * misses)])


def inside(places: Array, edge: float) -> Array:
    """Return places within the bounds less their edges."""
    return np.clip(places, edge, 1.0 - edge)


def nearest(places: Array, found: list[Record]) -> Array:
    """Return the distance of each place to the nearest of the sets found (places,)."""
    apart = np.full(len(places), np.inf)
    for record in found:
        apart = np.minimum(apart, np.mean((places - record.place) ** 2, axis=1))
    return np.asarray(np.sqrt(apart))


def predicted_misses(records: list[Record], places: Array) -> Array:
    """Return the predicted distances of the figures outside their aims, less a margin, summed over the targets (places,)."""
    inputs = np.array([record.place for record in records])
    names = [target.figure for target in TARGETS]
    outputs = np.array([[record.figures[name] for name in names] for record in records])
    units = np.array([target.unit for target in TARGETS])
    centre = outputs.mean(axis=0)
    scaled = (outputs - centre) / units
    design, asked = features(inputs), features(places)
    weight = 1.0 / (1.0 + np.abs(scaled).max(axis=1, keepdims=True) / 5.0)  # what is far off says little about what is near
    penalty = RIDGE * len(records) * np.eye(design.shape[1])
    penalty[0, 0] = 0.0
    beta = np.linalg.solve((design * weight).T @ design + penalty, (design * weight).T @ scaled)
    values = centre + units * (asked @ beta)
    low, high = np.array([target.aim_low for target in TARGETS]), np.array([target.aim_high for target in TARGETS])
    inward = np.minimum(values - low, high - values) / units
    return np.asarray(np.maximum(0.0, MARGIN - inward).sum(axis=1))


def features(places: Array) -> Array:
    """Return what the regression sees: 1, the constants about the middle of their ranges, and their squares."""
    about = 2.0 * places - 1.0
    return np.column_stack([np.ones(len(places)), about, about**2 - 1.0 / 3.0])


def write_fits(path: Path, sets: dict[str, Constants]) -> None:
    """Write the table of sets, whole."""
    lines = ["member," + ",".join(Constants._fields)]
    lines += [",".join([member, *(f"{value:.12g}" for value in c)]) for member, c in sets.items()]
    spare = path.with_suffix(".new")
    spare.write_text("\n".join(lines) + "\n", encoding="utf-8")
    spare.replace(path)
