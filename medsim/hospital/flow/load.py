"""What a hospital on paper has to carry: how many patients an hour come to each unit, and how many beds they fill."""

from dataclasses import dataclass

import numpy as np

from medsim.hospital.flow.config import HospitalConfig
from medsim.hospital.flow.plan import mean_stays, visit_rates

__all__ = ["UnitLoad", "admitted_share", "offered_load"]


@dataclass(frozen=True, kw_only=True)
class UnitLoad:
    """A unit's traffic in the long run, as if nobody left the queue, was turned away, boarded or was hurried.

    Attributes:
        rate_per_h: patients who come, from outside and from other units. mean_stay_h: of those.
        load: patients in treatment on average, were beds and staff unlimited: rate times stay (Little's law).
        utilisation: load per bed. treating: load per patient whom the clinicians can treat at once, on average over the day; 0 without a
            roster of clinicians.
    """

    rate_per_h: float
    mean_stay_h: float
    load: float
    utilisation: float
    treating: float


def offered_load(config: HospitalConfig) -> dict[str, UnitLoad]:
    """Return every unit's load, by name, by the traffic equations of each acuity.

    Raises:
        ValueError: some patients never leave.
    """
    rates = visit_rates(config)
    arriving, loads = rates.sum(axis=0), (rates * mean_stays(config)).sum(axis=0)
    found = {}
    for number, unit in enumerate(config.units):
        rate, load = float(arriving[number]), float(loads[number])
        places = float(np.mean(unit.clinicians)) if unit.clinicians else 0.0
        found[unit.name] = UnitLoad(
            rate_per_h=rate,
            mean_stay_h=load / rate if rate else 0.0,
            load=load,
            utilisation=load / unit.beds if unit.beds else float("inf") if load else 0.0,
            treating=load / places if places else 0.0,
        )
    return found


def admitted_share(config: HospitalConfig, unit: str) -> float:
    """Return the share of a unit's patients who go on to another unit.

    Raises:
        ValueError: there is no such unit, or nobody comes to it.
    """
    number = config.unit_number(unit)
    visits = visit_rates(config)[:, number]
    if not visits.sum() > 0.0:
        raise ValueError(f"nobody comes to unit {unit!r} of {config.name!r}")
    onward = np.array([sum(exits.values()) for exits in config.units[number].exits])
    return float((visits * onward).sum() / visits.sum())
