"""The region: where hospitals and ambulances stand, how many patients come, and how long things take."""

import math
from dataclasses import dataclass

from medsim.hospital.draws import lognormal_parameters

__all__ = ["Place2D", "Region", "distance_km", "hourly_factor", "length_biased"]

Place2D = tuple[float, float]  # km east and north of the region's south-west corner

# Jones 2022 (Emerg Med J, table 1): 12, 24, 36, 28 % of those admitted arrive in the quarters of the day; this sine gives 13, 23, 37, 27 %.
PROFILE_AMPLITUDE, PROFILE_PHASE_H = 0.55, 9.5
# AIHW 2017-18, Australasian Triage Scale: 0.8, 13.0, 37, 40, 9 % of all who come, a quarter of them by ambulance.
AMBULANCE_ACUITY = (0.025, 0.28, 0.45, 0.21, 0.035)  # chosen: more urgent than those who walk in
WALK_IN_ACUITY = (0.00233, 0.08, 0.34334, 0.46333, 0.111)  # so that both together are AIHW's shares
ADMITTED = (0.75, 0.60, 0.42, 0.17, 0.05)  # AIHW 2017-18: 75 % to 5 %, 31 % of all; chosen: what lies between
# Sax 2023: 28.9 % are triaged as more urgent than they are, 3.3 % as less urgent; chosen: by one level, and by telephone more often.
TRIAGE_ERRORS, DISPATCH_ERRORS = (0.289, 0.033), (0.35, 0.10)
# J Emerg Nurs 2004 (10.1016/j.jen.2003.11.004), ESI 1-5: mean stay in minutes; chosen: it stands for the time on a place, sd 0.6 of it.
TREATMENT_MIN, TREATMENT_SPREAD = (195.0, 255.0, 304.0, 193.0, 98.0), 0.6
STAY_MU, STAY_SIGMA = 0.49 + math.log(24.0), math.sqrt(0.83)  # hours; a medical ward, 10.1177/1460458214565949: mean 2.5 days

SPEED_KM_PER_H, DETOUR = 40.0, 1.3  # chosen: mixed roads; the road is 1.3 times the straight line
TURN_OUT_H = 1.0 / 60.0  # chosen: a crew is on its way within a minute
TRAVEL_SPREAD = 0.35  # chosen: sd over mean; lognormal: thesis on ambulances in the region of Waterloo (parts of response times)
SCENE_H, SCENE_SPREAD = 20.0 / 60.0, 0.5  # chosen: mean time at the scene, sd over mean
HANDOVER_H = 15.0 / 60.0  # chosen: from the patient's place to the crew's being clear; as long as England's handover standard
TRANSFER_H, TRANSFER_SPREAD = 2.0, 0.4  # about two hours more (Melbourne: intensive care after 5.0 h in place of 3.0 h); chosen: spread

ED_PLACES, BEDS = (20, 12, 16, 10), (73, 44, 58, 36)  # chosen: one large hospital among smaller ones, beds 93 % in use
PLACES_IN_USE, BEDS_IN_USE = 0.8, 0.97  # chosen: at the start
RING = 0.33  # chosen: hospitals but the first stand on a circle of a third of the region's side about its middle


@dataclass(frozen=True, kw_only=True)
class Region:
    """One region; rates are means over the day, an hour, of all of it.

    Args:
        ed_places: of each hospital's emergency department; beds: of its wards. sites: of the hospitals, in km.
        posts: where ambulances stand by, in km.
    """

    side_km: float
    calls_per_h: float
    walk_ins_per_h: float
    ed_places: tuple[int, ...]
    beds: tuple[int, ...]
    sites: tuple[Place2D, ...]
    posts: tuple[Place2D, ...]

    @property
    def hospitals(self) -> int:
        """How many hospitals there are."""
        return len(self.sites)

    def walk_in_share(self, hospital: int) -> float:
        """Return the share of all who walk in that comes to a hospital: as its share of places, and equal shares where none has any."""
        total = sum(self.ed_places)
        return self.ed_places[hospital] / total if total else 1.0 / self.hospitals

    def nearest(self, place: Place2D) -> int:
        """Return the hospital nearest to a place."""
        return min(range(self.hospitals), key=lambda i: distance_km(place, self.sites[i]))


def hospital_sites(hospitals: int, side_km: float) -> tuple[Place2D, ...]:
    """Return where hospitals stand: the first in the middle, the others on a circle about it."""
    middle, ring = 0.5 * side_km, RING * side_km
    angles = [2.0 * math.pi * k / max(hospitals - 1, 1) for k in range(hospitals - 1)]
    return ((middle, middle), *((middle + ring * math.sin(a), middle + ring * math.cos(a)) for a in angles))


def ambulance_posts(ambulances: int, side_km: float) -> tuple[Place2D, ...]:
    """Return where ambulances stand by: evenly over the square, by the additive recurrence of the plastic number."""
    step = (0.7548776662466927, 0.5698402909980532)
    return tuple((side_km * ((0.5 + k * step[0]) % 1.0), side_km * ((0.5 + k * step[1]) % 1.0)) for k in range(ambulances))


def distance_km(one: Place2D, other: Place2D) -> float:
    """Return the distance in a straight line, in km."""
    return math.hypot(one[0] - other[0], one[1] - other[1])


def expected_travel_h(km: float) -> float:
    """Return how long an ambulance takes on average for a distance in a straight line, turning out included."""
    return TURN_OUT_H + km * DETOUR / SPEED_KM_PER_H


def hourly_factor(time_h: float) -> float:
    """Return the arrivals at a time, counted from a midnight, over their mean of the day."""
    return 1.0 + PROFILE_AMPLITUDE * math.sin(2.0 * math.pi * (time_h - PROFILE_PHASE_H) / 24.0)


def length_biased(mean_h: float, sd_h: float) -> tuple[float, float]:
    """Return the mean and sd of a lognormal stay as one meets it among those present: longer ones are met more often."""
    mu, sigma = lognormal_parameters(mean_h, sd_h)
    mean = math.exp(mu + 1.5 * sigma * sigma)
    return mean, mean * math.sqrt(math.exp(sigma * sigma) - 1.0)
