"""Ambulances: each is in exactly one state at every moment, and can be sent from wherever it is once it is available."""

from dataclasses import dataclass

import simpy

from medsim.hospital.regional_network.meters import Meters
from medsim.hospital.regional_network.region import Place2D, Region, distance_km, expected_travel_h

__all__ = ["STATES", "Ambulance", "Fleet"]

AVAILABLE, TO_SCENE, AT_SCENE, TO_HOSPITAL, BLOCKED, HANDOVER, TRANSFER = STATES = (
    "available", "to_scene", "at_scene", "to_hospital", "blocked", "handover", "transfer",
)  # fmt: skip


@dataclass(eq=False)
class Ambulance:
    """One ambulance; while it is available it drives back to its post in a straight line, or stands there."""

    number: int
    post: Place2D
    cleared_at: Place2D
    cleared_h: float = 0.0
    state: str = AVAILABLE

    def where(self, now_h: float) -> Place2D:
        """Return where an available ambulance is."""
        way_h = expected_travel_h(distance_km(self.cleared_at, self.post))
        part = min((now_h - self.cleared_h) / way_h, 1.0)
        (x0, y0), (x1, y1) = self.cleared_at, self.post
        return x0 + part * (x1 - x0), y0 + part * (y1 - y0)


class Fleet:
    """All ambulances of a region."""

    def __init__(self, env: simpy.Environment, region: Region, meters: Meters) -> None:
        self.env, self.meters = env, meters
        self.all = [Ambulance(number, post, post) for number, post in enumerate(region.posts)]
        meters.change(f"ambulances {AVAILABLE}", len(self.all))

    def set(self, ambulance: Ambulance, state: str) -> None:
        """Put an ambulance into another state."""
        self.meters.change(f"ambulances {ambulance.state}", -1.0)
        self.meters.change(f"ambulances {state}", 1.0)
        ambulance.state = state

    def clear(self, ambulance: Ambulance, place: Place2D) -> None:
        """Make an ambulance available where it is."""
        ambulance.cleared_at, ambulance.cleared_h = place, self.env.now
        self.set(ambulance, AVAILABLE)

    def count(self, state: str) -> int:
        """Return how many ambulances are in a state."""
        return sum(one.state == state for one in self.all)

    def nearest(self, place: Place2D, most: int) -> list[tuple[Ambulance, float]]:
        """Return the available ambulances nearest to a place, at most so many, each with its distance in km."""
        free = [(distance_km(one.where(self.env.now), place), one.number, one) for one in self.all if one.state == AVAILABLE]
        return [(one, km) for km, _, one in sorted(free, key=lambda row: row[:2])[:most]]
