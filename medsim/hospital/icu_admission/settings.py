"""Every number of ``medsim/ICUAdmission-v0``: its options and, below them, what no option changes."""

from dataclasses import dataclass
from typing import Any

from medsim.core.options import choice, parse_options, switch, within

__all__ = [
    "BACK_AFTER_MEDIAN_H",
    "BACK_AFTER_SIGMA",
    "ELECTIVE",
    "EMERGENCY",
    "HIGH",
    "KINDS",
    "LOW",
    "THEATRE_CLOSES_H",
    "THEATRE_OPENS_H",
    "TRUNK_KINDS",
    "VARIANTS",
    "QueueConfig",
    "TrunkConfig",
    "parsed",
]  # fmt: skip

VARIANTS = ("trunk", "queue")
TRUNK_KINDS = ("emergency", "elective")
EMERGENCY = 0
KINDS = ("high_acuity", "low_acuity", "elective")
HIGH, LOW, ELECTIVE = 0, 1, 2

THEATRE_OPENS_H, THEATRE_CLOSES_H = 10.0, 18.0  # chosen: the first operations of a list that begins in the morning are over by 10

# Brown 2012, Am J Respir Crit Care Med 185:955 (doi 10.1164/rccm.201109-1720OC): median 3.07 days to readmission, IQR 1.27 to 6.58
BACK_AFTER_MEDIAN_H = 24.0 * 3.07
BACK_AFTER_SIGMA = 1.22  # of the logarithm: ln(6.58 / 1.27) / (2 x 0.6745)


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """Options of ``variant="trunk"``: a unit that refuses when full, whose optimum is known exactly."""

    variant: str = choice("trunk", doc="two classes compete for the beds of a unit without a waiting room")
    beds: int = within(10, 0, 200, doc="beds of the unit")
    emergencies_per_day: float = within(3.0, 0.0, 1e4, doc="arrivals of emergencies, a Poisson process")
    electives_per_day: float = within(5.0, 0.0, 1e4, doc="arrivals of elective patients, a Poisson process")
    mean_stay_days: float = within(1.0, 0.01, 1e3, doc="mean stay of either class")
    stay: str = choice("exponential", "lognormal", "fixed", doc="distribution of stays; the optimum is that of exponential ones")
    stay_sd_days: float = within(1.5, 0.0, 1e4, doc="standard deviation of lognormal stays")
    emergency_refusal_cost: float = within(10.0, 0.0, 1e6, doc="of an emergency that is refused")
    elective_refusal_cost: float = within(1.0, 0.0, 1e6, doc="of an elective patient who is refused")
    horizon_days: float = within(30.0, 0.01, 1e5, doc="how long the unit is watched")
    mask_in_observation: bool = switch(False, doc="observe a dict of the observation and the action mask")
    expose_state: bool = switch(False, doc="put the true state into info")
    log_events: bool = switch(True, doc="keep the event log")


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """Options of ``variant="queue"``: a unit with patients who wait for it, and who can leave it early."""

    variant: str = choice("queue", doc="patients wait for a bed, are sent elsewhere, or take the bed of one who leaves early")
    beds: int = within(12, 0, 200, doc="beds of the unit")
    waiting_places: int = within(6, 0, 200, doc="how many patients can wait; beyond them, who is not admitted is refused")
    high_acuity_per_day: float = within(1.4, 0.0, 1e4, doc="emergencies of high acuity, a Poisson process")
    low_acuity_per_day: float = within(0.9, 0.0, 1e4, doc="emergencies of lower acuity, a Poisson process")
    electives_per_weekday: float = within(1.5, 0.0, 1e4, doc="patients after operations, Monday to Friday, 10 to 18 h, a Poisson process")
    emergency_stay_mean_days: float = within(3.21, 0.01, 1e3, doc="mean stay of emergencies; lognormal")
    emergency_stay_sd_days: float = within(4.78, 0.0, 1e4, doc="standard deviation of that stay")
    elective_stay_mean_days: float = within(1.5, 0.01, 1e3, doc="mean stay after an operation; lognormal")
    elective_stay_sd_days: float = within(1.2, 0.0, 1e4, doc="standard deviation of that stay")
    undertriage: float = within(0.1, 0.0, 1.0, doc="share of the high acuity that is seen as low")
    overtriage: float = within(0.2, 0.0, 1.0, doc="share of the low acuity that is seen as high")
    forecast_sigma: float = within(0.4, 0.0, 5.0, doc="error of the forecast of a stay: standard deviation of its logarithm")
    least_stay_h: float = within(24.0, 0.0, 1e4, doc="nobody leaves early before")
    base_readmission: float = within(0.037, 0.0, 0.9, doc="probability to come back after a full stay")
    readmission_odds_per_day: float = within(2.5, 1.0, 100.0, doc="odds ratio of coming back, for each day that is cut off a stay")
    transfer_delay_h: float = within(2.0, 0.0, 100.0, doc="further delay of intensive care for one who is sent elsewhere")
    review_h: float = within(4.0, 0.1, 1e3, doc="after so long without an answer a waiting patient is asked about again")
    icu_odds_ratio_per_hour: float = within(1.03, 1.0, 10.0, doc="odds of death, each hour of delayed intensive care (association)")
    waiting_costs_per_h: str = choice("acuity", "equal", doc="a waiting hour costs 1.0, 0.4, 0.2 by true class, or 0.5 for all")
    horizon_days: float = within(28.0, 0.01, 1e5, doc="how long the unit is watched, from a Monday, 0 h")
    mask_in_observation: bool = switch(False, doc="observe a dict of the observation and the action mask")
    expose_state: bool = switch(False, doc="put the true state into info")
    log_events: bool = switch(True, doc="keep the event log")


def parsed(options: dict[str, Any]) -> TrunkConfig | QueueConfig:
    """Return the configuration that the options describe; ``variant`` says of which kind.

    Raises:
        ValueError: an option is unknown to the variant, or its value is not allowed.
    """
    variant = options.get("variant", "trunk")
    if variant not in VARIANTS:
        raise ValueError(f"option variant must be one of {', '.join(map(repr, VARIANTS))}, not {variant!r}")
    trunk = variant == "trunk"
    config: TrunkConfig | QueueConfig = parse_options(TrunkConfig, options) if trunk else parse_options(QueueConfig, options)
    for name in ("beds", "waiting_places"):
        number = getattr(config, name, 0)
        if number != int(number):
            raise ValueError(f"option {name} must be a whole number, not {number!r}")
    return config
