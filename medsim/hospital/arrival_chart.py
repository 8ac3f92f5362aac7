"""What is charted of a patient at the door of the emergency department: age, vital signs, consciousness, pain.

The chart follows from the true acuity, which nobody sees, and from the patient's own stream, so that the same patient has the same chart
under every policy. A latent severity, more of it the more urgent the patient, shows in breathing, circulation and consciousness, in each
patient in another mix: a collapsed lung is not a stroke. Some signs are not taken, more of them in those who look well.

No table of vital signs by triage category that we could verify covers all of these: the numbers are chosen, so that the National Early
Warning Score tells the two most urgent categories from the others about as well as it tells patients who go on to intensive care or
resuscitation within a day: area 0.834 to 0.856 (Arch Acad Emerg Med 2024;12:e1; ours 0.82, tests/test_arrival_chart.py). In 27,238 patients
in Merano it was 0.672 for intensive care and 0.745 for death within 30 days (Zaboli et al., Diagnostics 2025).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from medsim.core.streams import Key
from medsim.hospital.draws import CHART, draw_normal, draw_uniform

__all__ = ["ArrivalChart", "Triage", "arrival_chart", "early_warning_score", "news_triage", "normal_chart"]

MEAN_SEVERITY = (3.4, 2.1, 1.0, 0.3, 0.0)  # chosen: of acuities 1 to 5
SEVERITY_SD, MIX_SD = 0.7, 0.8  # chosen: of patients of an acuity; of the logarithms of the shares of the three systems
NOT_TAKEN = (0.02, 0.03, 0.05, 0.15, 0.30)  # chosen: share of signs by acuity
MEAN_PAIN = (4.0, 5.0, 5.0, 4.0, 3.0)  # chosen; of 0 to 10


class ArrivalChart(NamedTuple):
    """The signs, NaN where they were not taken."""

    age_years: float
    heart_rate_per_min: float
    systolic_mmhg: float
    respiratory_rate_per_min: float
    spo2: float
    temperature_c: float
    gcs: float
    pain: float


Triage = Callable[[ArrivalChart], int]
"""What triages: the chart of somebody who arrives -> their category, 1 (immediate) to 5 (non-urgent)."""


def arrival_chart(key: Key, number: int, acuity: int) -> ArrivalChart:
    """Return the chart of an episode's patient of that number; acuity counts from 0, the most urgent."""

    def noise(part: int) -> float:
        return draw_normal(key, CHART, number, part)

    severity = max(MEAN_SEVERITY[acuity] + SEVERITY_SD * noise(0), 0.0)
    shares = [math.exp(MIX_SD * noise(part)) for part in (1, 2, 3)]
    breathing, circulation, brain = (3.0 * severity * share / sum(shares) / math.sqrt(3.0) for share in shares)
    signs = ArrivalChart(
        min(max(52.0 + 4.0 * severity + 20.0 * noise(4), 16.0), 100.0),
        min(max(80.0 + 9.0 * circulation + 5.0 * breathing + 13.0 * noise(5), 30.0), 220.0),
        min(max(136.0 - 10.0 * circulation + 20.0 * noise(6), 50.0), 240.0),
        min(max(16.0 + 3.2 * breathing + 0.8 * circulation + 2.0 * noise(7), 6.0), 60.0),
        min(0.975 - 0.018 * breathing + 0.012 * noise(8), 1.0),
        36.7 + 0.25 * circulation * abs(noise(9)) + 0.4 * noise(10),
        15.0 - float(int(max(1.1 * brain * abs(noise(11)) - 0.8, 0.0))),
        float(int(min(max(MEAN_PAIN[acuity] + 2.5 * noise(12), 0.0), 10.0))),
    )
    limits = signs._replace(spo2=max(signs.spo2, 0.4), gcs=max(signs.gcs, 3.0))
    taken = [draw_uniform(key, CHART, number, 20 + part) >= NOT_TAKEN[acuity] for part in range(1, len(limits))]
    return ArrivalChart(limits.age_years, *(value if seen else math.nan for value, seen in zip(limits[1:], taken, strict=True)))


def normal_chart() -> ArrivalChart:
    """Return the signs of somebody who is well: what stands in for a sign that was not taken."""
    return ArrivalChart(52.0, 80.0, 136.0, 16.0, 0.975, 36.7, 15.0, 3.0)


def points(value: float, edges: tuple[float, ...], scores: tuple[int, ...]) -> int:
    """Return the score of the range that a value lies in; 0 if it was not taken."""
    return 0 if math.isnan(value) else scores[int(np.searchsorted(edges, value, side="left"))]


def early_warning_score(chart: ArrivalChart) -> int:
    """Return the National Early Warning Score 2, without oxygen (Royal College of Physicians, 2017); signs not taken score 0."""
    return (
        points(chart.respiratory_rate_per_min, (8.5, 11.5, 20.5, 24.5), (3, 1, 0, 2, 3))
        + points(chart.spo2, (0.915, 0.935, 0.955), (3, 2, 1, 0))
        + points(chart.systolic_mmhg, (90.5, 100.5, 110.5, 219.5), (3, 2, 1, 0, 3))
        + points(chart.heart_rate_per_min, (40.5, 50.5, 90.5, 110.5, 130.5), (3, 1, 0, 1, 2, 3))
        + points(chart.temperature_c, (35.05, 36.05, 38.05, 39.05), (3, 1, 0, 1, 2))
        + points(chart.gcs, (14.5,), (3, 0))
    )


def news_triage(chart: ArrivalChart) -> int:
    """Return a category by the score alone: 7 or more immediate, 5 very urgent, 3 urgent, 1 standard (5 and 7: the score's own levels)."""
    return 5 - int(np.searchsorted((1, 3, 5, 7), early_warning_score(chart), side="right"))
