"""Which of the trials become ``v0`` and the other worlds: v0 by room inside its aims, the others by being far from one another."""

from collections.abc import Iterator

from benchmarks.fidelity.figures import Study, estimates, every_figure
from benchmarks.fidelity.search import Box, Record, distance
from benchmarks.fidelity.targets import meets
from medsim.cli.progress import Progress

__all__ = ["choose_first", "choose_worlds", "confirmed", "order_by_distance"]

FINALISTS = 6
LOOSEST_ROOM = -0.6  # a set may miss an aim by this many of the target's units: that leaves room for what other patients change


def confirmed(record: Record, study: Study, box: Box) -> Record:
    """Return a trial with its figures on other patients."""
    return Record(record.place, estimates(every_figure(box.constants(record.place), study)))


def choose_first(records: list[Record], study: Study, box: Box) -> Record:
    """Return the starting set, if it meets every aim on other patients; else the trial with most room of the best, tried again there."""
    start = confirmed(records[0], study, box)
    if start.room > 0.0:
        return start
    best = sorted(records, key=lambda record: -record.room)[:FINALISTS]
    with Progress(len(best), "sets", "confirm v0") as progress:
        again = []
        for record in best:
            again.append(confirmed(record, study, box))
            progress.update()
    return max(again, key=lambda record: record.room)


def choose_worlds(records: list[Record], first: Record, count: int, study: Study, box: Box) -> list[Record]:
    """Return sets that meet every target on other patients too, each as far as possible from those before it."""
    good = [record for record in records if record.room > LOOSEST_ROOM and meets(record.figures)]
    chosen: list[Record] = []
    with Progress(count, "worlds", "confirm") as progress:
        for record in order_by_distance(good, first, chosen):
            again = confirmed(record, study, box)
            if again.room > LOOSEST_ROOM and meets(again.figures):
                chosen.append(again)
                progress.update()
            if len(chosen) == count:
                break
    return chosen


def order_by_distance(records: list[Record], first: Record, chosen: list[Record]) -> Iterator[Record]:
    """Yield the record farthest from ``first`` and all that are in ``chosen`` by then, again and again."""
    left = list(records)
    while left:
        farthest = max(left, key=lambda record: min(distance(record.place, other.place) for other in [first, *chosen]))
        left = [record for record in left if record is not farthest]
        yield farthest
