"""Numbers that carry their source, and the configuration that is built from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medsim.hospital.flow.config import Arrivals, HospitalConfig, Unit

__all__ = ["CHOSEN_COSTS", "Sourced", "described"]


@dataclass(frozen=True)
class Sourced:
    """A value and where it comes from."""

    value: Any
    source: str


# What the objectives weigh; the same in all presets, so that scores can be compared.
CHOSEN_COSTS = {
    "waiting_weights": Sourced((16.0, 8.0, 4.0, 2.0, 1.0), "chosen: each acuity twice as urgent as the next"),
    "boarding_weight": Sourced(2.0, "chosen: an hour of waiting for a bed as bad as an hour of waiting to be seen at acuity 4"),
    "leaving_weight": Sourced(10.0, "chosen: to lose a patient is as bad as ten hours of waiting at acuity 5"),
    "early_step_down_weight": Sourced(10.0, "chosen: as bad as to lose a patient from the queue"),
    "overtime_weight": Sourced(2.0, "chosen: an hour of overtime weighs as much as two hours of waiting at acuity 5"),
    "readmission_per_day_cut": Sourced(
        0.1, "chosen: the direction is that of Kc and Terwiesch 2012 (early discharge from intensive care brings patients back)"
    ),
    "reconsider_h": Sourced(0.5, "chosen: a unit that did nothing looks again after half an hour"),
    "manager_every_h": Sourced(4.0, "chosen: bed meetings at 0, 4, 8, ... h"),
}


def described(
    name: str,
    *,
    units: Mapping[str, Mapping[str, Any]],
    arrivals: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> HospitalConfig:
    """Return a configuration and its ``sources``, from settings of which every one with a number is ``Sourced``.

    Args:
        units, arrivals: name -> setting -> value. settings: of the hospital as a whole. Names and choices (texts and switches) need no
            source.

    Raises:
        ValueError: a number has no source.
    """
    sources: dict[str, str] = {}

    def plain(path: str, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for key, value in given.items():
            if isinstance(value, Sourced):
                sources[path + key] = value.source
                values[key] = value.value
            elif isinstance(value, str | bool) or (isinstance(value, tuple) and all(isinstance(one, str) for one in value)):
                values[key] = value
            else:
                raise ValueError(f"{path}{key} of {name!r} is the number {value!r} without a source")
        return values

    return HospitalConfig(
        name=name,
        units=tuple(Unit(name=unit, **plain(f"units.{unit}.", given)) for unit, given in units.items()),
        arrivals=tuple(Arrivals(name=stream, **plain(f"arrivals.{stream}.", given)) for stream, given in arrivals.items()),
        sources=sources,
        **plain("", settings),
    )
