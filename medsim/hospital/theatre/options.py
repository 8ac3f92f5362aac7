"""Options of ``medsim/Theatre-v0``."""

import dataclasses
from typing import Any

from medsim.core.options import choice, parse_options, switch, within

__all__ = ["DAY_H", "TheatreConfig", "theatre_config"]

DAY_H = 24.0
WHOLE = ("rooms", "days", "electives_per_day", "recovery_beds", "icu_beds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TheatreConfig:
    """Options of ``medsim/Theatre-v0``."""

    rooms: int = within(4, 1, 20, doc="operating rooms: one agent each")
    days: int = within(1, 1, 28, doc="working days; each begins at 08:00 with an elective list")
    electives_per_day: int = within(8, 0, 200, doc="cases on each day's list")
    emergencies_per_day: float = within(10.0, 0.0, 500.0, doc="mean number of emergencies in 24 h, at all hours")
    recovery_beds: int = within(3, 0, 100, doc="beds of the recovery unit; with none, a room stays blocked for ever")
    icu_beds: int = within(8, 0, 100, doc="beds of intensive care that are kept for surgery")
    icu_occupancy: float = within(0.8, 0.0, 1.0, doc="probability that such a bed is taken at the start")
    session_h: float = within(9.0, 1.0, 14.0, doc="length of the session, from 08:00")
    allowed_overtime_h: float = within(1.0, 0.0, 6.0, doc="an elective may begin if it is expected to end so long after the session")
    turnover_h: float = within(0.5, 0.0, 2.0, doc="cleaning and setting up between cases")
    hold_h: float = within(0.5, 0.1, 4.0, doc="how long a room that takes nothing is left alone, unless something changes")
    variability: float = within(1.0, 0.0, 2.0, doc="factor on the spread of surgery and recovery times; 0: they last as expected")
    durations: str = choice("three-parameter", "lognormal", doc="distribution of surgery times; same mean and spread")
    harm: str = choice("associated", "none", doc="published associations of delay with death, or none")
    mask_in_observation: bool = switch(False, doc="observations are a dict of observation and action_mask")
    expose_state: bool = switch(False, doc="put the true state into info")
    local_rewards: bool = switch(False, doc="each room gets its own overtime and an equal part of the rest")
    log_events: bool = switch(True, doc="keep the event log")

    @property
    def horizon_h(self) -> float:
        """The morning after the last day, when watching ends at the latest."""
        return self.days * DAY_H

    @property
    def last_session_end_h(self) -> float:
        """The end of the last session; emergencies that come later belong to the night's team."""
        return (self.days - 1) * DAY_H + self.session_h


def theatre_config(options: dict[str, Any]) -> TheatreConfig:
    """Return the configuration that the options describe.

    Raises:
        ValueError: an option is unknown, its value is not allowed, or a count is no whole number.
    """
    config = parse_options(TheatreConfig, options)
    for name in WHOLE:
        value = getattr(config, name)
        if value != int(value):
            raise ValueError(f"option {name} must be a whole number, not {value!r}")
    return config
