"""The acute stroke unit and rehabilitation of Monks and others (2016), as queues with the beds that are given.

The classes of patients stand where acuities do: 1 stroke without early supported discharge, 2 stroke with it, 3 TIA, 4 complex
neurological, 5 other. In rehabilitation the stroke patients are one mixture. Nobody is asked: beds go to the first in the queue. The
paper's delays are for unlimited beds, where they are Erlang's B (``medsim.hospital.theory.stroke_unit``).
"""

import math

from medsim.hospital.flow.config import HospitalConfig, Stay
from medsim.hospital.presets.sourced import Sourced, described

__all__ = ["CLASSES", "stroke_unit"]

CLASSES = ("stroke", "stroke, early supported discharge", "TIA", "complex neurological", "other")
MONKS = "Monks 2016, BMC Health Serv Res 16:530"
FILE = f"{MONKS}, as in inputs/parameters.csv of github.com/pythonhealthdatascience/pydesrap_stroke"
DAY_H = 24.0


def mixture(shares: tuple[float, ...], means: tuple[float, ...], sds: tuple[float, ...]) -> Stay:
    """Return the lognormal stay, in hours, with the mean and standard deviation of a mixture that is given in days."""
    mean = sum(share * one for share, one in zip(shares, means, strict=True))
    square = sum(share * (sd * sd + one * one) for share, one, sd in zip(shares, means, sds, strict=True))
    return Stay(mean_h=DAY_H * mean, sd_h=DAY_H * math.sqrt(square - mean * mean))


def stays(*days: tuple[float, float]) -> tuple[Stay, ...]:
    """Return stays from their means and standard deviations in days."""
    return tuple(Stay(mean_h=DAY_H * mean, sd_h=DAY_H * sd) for mean, sd in days)


def stream(unit: str, days_between: float, acuity: tuple[float, ...], source: str) -> dict[str, object]:
    """Return arrivals from the days between them."""
    return {
        "unit": unit,
        "rates_per_h": Sourced((1.0 / (DAY_H * days_between),), f"{FILE}: {days_between:g} days between arrivals"),
        "acuity": Sourced(acuity, source),
    }


def stroke_unit(acute_beds: int = 10, rehab_beds: int = 12) -> HospitalConfig:
    """Return the two units; many beds (1,000) make the paper's unlimited ones.

    Raises:
        ValueError: a number of beds is not a whole number from 0 to 100,000.
    """
    rehab_stroke = mixture((0.4, 0.6), (30.3, 28.4), (23.1, 27.2))
    one = "the class of the stream"
    return described(
        "stroke-unit",
        units={
            "acute": {
                "beds": Sourced(acute_beds, f"chosen: {MONKS}, table 2, shows 9 to 14"),
                "stays": Sourced(
                    stays((7.4, 8.61), (4.6, 4.8), (1.8, 2.3), (4.0, 5.0), (3.8, 5.2)),
                    f"{FILE}; 7.4 days also for the 63 % of stroke patients who go neither to rehabilitation nor home with support",
                ),
                "exits": Sourced(
                    ({"rehab": 0.24 / 0.87}, {}, {"rehab": 0.01}, {"rehab": 0.11}, {"rehab": 0.05}),
                    f"{FILE}: 24 % of stroke (of whom 13 % have early supported discharge and stay out of this), 1, 11 and 5 %",
                ),
                "discipline": "fifo",
            },
            "rehab": {
                "beds": Sourced(rehab_beds, f"chosen: {MONKS}, table 3, shows 10 to 16"),
                "stays": Sourced(
                    (rehab_stroke, rehab_stroke, *stays((18.7, 23.5), (27.6, 28.4), (16.1, 14.1))),
                    f"{FILE}; stroke: 40 % with early supported discharge after 30.3 days, 60 % without after 28.4",
                ),
                "discipline": "fifo",
            },
        },
        arrivals={
            "stroke": stream("acute", 1.2, (0.87, 0.13, 0.0, 0.0, 0.0), f"{FILE}: 13 % with early supported discharge"),
            "tia": stream("acute", 9.3, (0.0, 0.0, 1.0, 0.0, 0.0), one),
            "neuro": stream("acute", 3.6, (0.0, 0.0, 0.0, 1.0, 0.0), one),
            "other": stream("acute", 3.2, (0.0, 0.0, 0.0, 0.0, 1.0), one),
            "rehab-stroke": stream("rehab", 21.8, (1.0, 0.0, 0.0, 0.0, 0.0), one),
            "rehab-neuro": stream("rehab", 31.7, (0.0, 0.0, 0.0, 1.0, 0.0), one),
            "rehab-other": stream("rehab", 28.6, (0.0, 0.0, 0.0, 0.0, 1.0), one),
        },
        settings={},
    )
