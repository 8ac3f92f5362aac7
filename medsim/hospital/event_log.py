"""What happened, event by event: who, where, when."""

from typing import Any

__all__ = ["COLUMNS", "EventLog"]

COLUMNS = ("time_h", "event", "patient", "place", "acuity", "triage", "detail")


class EventLog:
    """Rows of events in the order in which they happened; ``keep=False`` keeps none."""

    def __init__(self, keep: bool = True) -> None:
        self.keep = keep
        self.rows: list[tuple[float, str, int, str, int, int, str]] = []

    def add(
        self, time_h: float, event: str, patient: int = -1, place: str = "", acuity: int = 0, triage: int = 0, detail: str = ""
    ) -> None:
        """Add an event; a patient of -1, and an acuity or triage of 0, means: none."""
        if self.keep:
            self.rows.append((time_h, event, patient, place, acuity, triage, detail))

    def frame(self) -> Any:
        """Return the events as a pandas ``DataFrame`` with the columns of ``COLUMNS``."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(COLUMNS))
