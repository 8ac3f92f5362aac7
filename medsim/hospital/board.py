"""What a bed board shows, whatever the model: places with beds and a queue, and lines of text."""

from dataclasses import dataclass, field

__all__ = ["Board", "Occupant", "Place"]


@dataclass(frozen=True)
class Occupant:
    """Someone in a bed or in a queue.

    Attributes:
        label: a few letters, such as a patient's number; acuity: 1 (most urgent) to 5, which gives the colour; 0: none known.
        flag: "" in treatment, "boarding" ready to leave, with no bed elsewhere, "late" waiting beyond the target.
    """

    label: str
    acuity: int = 0
    flag: str = ""


@dataclass(frozen=True)
class Place:
    """A unit, a hospital, a theatre: beds in order (None: empty), closed ones beyond ``open_beds``, and who waits for it."""

    name: str
    beds: tuple[Occupant | None, ...]
    queue: tuple[Occupant, ...] = ()
    open_beds: int | None = None
    note: str = ""  # such as "3 nurses, 1:4"


@dataclass(frozen=True)
class Board:
    """A picture of one moment; ``time_h`` counts from the first day's midnight, so that a board tells the time of day."""

    time_h: float
    places: tuple[Place, ...]
    lines: tuple[str, ...] = field(default=())
