"""When operations end: theatres work 10 to 18 h, Monday to Friday; time 0 is a Monday, 0 h."""

import math

from medsim.hospital.icu_admission.settings import THEATRE_CLOSES_H, THEATRE_OPENS_H

__all__ = ["THEATRE_DAY_H", "theatre_hours_left", "theatre_to_calendar_h"]

THEATRE_DAY_H = THEATRE_CLOSES_H - THEATRE_OPENS_H


def theatre_to_calendar_h(theatre_h: float) -> float:
    """Return when so many theatre hours have passed, in hours since the start; arrivals that are Poisson in theatre hours keep them."""
    days = math.floor(theatre_h / THEATRE_DAY_H)
    weeks, weekday = divmod(days, 5)
    return 168.0 * weeks + 24.0 * weekday + THEATRE_OPENS_H + (theatre_h - days * THEATRE_DAY_H)


def theatre_hours_left(time_h: float) -> float:
    """Return how many theatre hours are left in this week (0 to 40)."""
    day, hour = divmod(time_h % 168.0, 24.0)
    today = min(max(THEATRE_CLOSES_H - hour, 0.0), THEATRE_DAY_H) if day < 5 else 0.0
    return today + THEATRE_DAY_H * max(4.0 - day, 0.0)
