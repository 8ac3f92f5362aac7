"""Where everything stands on a bed board, in pixels: a function of how many beds each place has, and of nothing else.

All pictures of one hospital have the same size, whatever the moment, so that they make a film.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Cell", "Layout", "Panel", "layout_of"]

MARGIN, GAP, PAD = 16, 12, 10  # around the board, between panels, within a panel
TITLE, LINE, LINES = 58, 19, 3  # height of the title; of a line of text; so many lines are kept free
LEGEND, LEGEND_LINES = 26, 2
PANEL_HEAD, QUEUE_HEAD = 62, 20
QUEUE_CELL, QUEUE_GAP, QUEUE_ROWS = 17, 3, 2
NARROWEST_PANEL = 180  # chosen: room for "Emergency department" and for "10,000 waiting, 3,000 late"
BLOCK = 16  # chosen: video encoders want sides that are multiples of 16
SCREENS = ((720, 560), (960, 720), (1200, 880))  # chosen: width, and the height up to which cells may grow


@dataclass(frozen=True)
class Cell:
    """A bed: width, height and letters' size in px; letters of 0: no room for a label."""

    width: int
    height: int
    letters: int

    @property
    def gap(self) -> int:
        """Space between beds."""
        return 5 if self.width >= 38 else 3


CELLS = tuple(Cell(*sizes) for sizes in ((66, 46, 14), (56, 40, 13), (48, 34, 12), (42, 30, 11), (36, 25, 10), (26, 20, 0), (18, 15, 0)))
COMFORTABLE = 42  # chosen: a wider board is taken before cells become narrower than this


@dataclass(frozen=True)
class Panel:
    """The box of one place, with its beds in rows of ``columns``."""

    left: int
    top: int
    width: int
    height: int
    columns: int

    @property
    def inner(self) -> int:
        """The width within the padding."""
        return self.width - 2 * PAD

    @property
    def queue_top(self) -> int:
        """Where the line over the queue begins."""
        return self.top + self.height - PAD - QUEUE_HEAD - QUEUE_ROWS * (QUEUE_CELL + QUEUE_GAP) + QUEUE_GAP

    @property
    def queue_columns(self) -> int:
        """How many waiting fit into a row."""
        return (self.inner + QUEUE_GAP) // (QUEUE_CELL + QUEUE_GAP)

    def bed(self, number: int, cell: Cell) -> tuple[int, int]:
        """Return the left and top of a bed, counted from 0."""
        row, column = divmod(number, self.columns)
        left = self.left + PAD + column * (cell.width + cell.gap)
        return left, self.top + PAD + PANEL_HEAD + row * (cell.height + cell.gap)

    def waiting(self, number: int) -> tuple[int, int]:
        """Return the left and top of the cell of somebody in the queue, counted from 0."""
        row, column = divmod(number, self.queue_columns)
        left = self.left + PAD + column * (QUEUE_CELL + QUEUE_GAP)
        return left, self.queue_top + QUEUE_HEAD + row * (QUEUE_CELL + QUEUE_GAP)


@dataclass(frozen=True)
class Layout:
    """A board: its size, its panels in the order of the places, and where text and legend begin."""

    width: int
    height: int
    cell: Cell
    panels: tuple[Panel, ...]
    lines_top: int
    legend_top: int


@lru_cache(maxsize=64)
def layout_of(beds: tuple[int, ...]) -> Layout:
    """Return the layout for places with so many beds: the narrowest board with comfortable cells, else the widest with the largest."""
    for width, tallest in SCREENS:
        found = next((one for one in layouts(beds, width) if one.height <= tallest), None)
        if found is not None and found.cell.width >= COMFORTABLE:
            return found
    if found is not None:
        return found
    return next(one for one in layouts(beds, SCREENS[-1][0]) if one.cell == CELLS[-1])


def layouts(beds: tuple[int, ...], width: int) -> Iterator[Layout]:
    """Yield layouts of one width from the largest cells to the smallest; for each size, the lowest board."""
    for cell in CELLS:
        per_band = range(1, max(1, len(beds)) + 1)
        found = [one for one in (arranged(beds, width, cell, count) for count in per_band) if one is not None]
        yield min(found, key=lambda one: one.height)


def arranged(beds: tuple[int, ...], width: int, cell: Cell, per_band: int) -> Layout | None:
    """Return a layout with up to so many places side by side; None if they have no room."""
    panels: list[Panel] = []
    top = MARGIN + TITLE
    for start in range(0, len(beds), per_band):
        band = band_of(beds[start : start + per_band], top, width, cell)
        if band is None:
            return None
        panels += band
        top += band[0].height + GAP
    top += 0 if beds else 3 * LINE
    legend_top = top + LINES * LINE + GAP
    bottom = legend_top + LEGEND_LINES * LEGEND + MARGIN - GAP // 2
    return Layout(width, -(-bottom // BLOCK) * BLOCK, cell, tuple(panels), top, legend_top)


def band_of(beds: Sequence[int], top: int, width: int, cell: Cell) -> list[Panel] | None:
    """Return panels side by side, as flat as the width allows: beds in the fewest rows, the same for all panels."""
    room = width - 2 * MARGIN - GAP * (len(beds) - 1)
    if room < NARROWEST_PANEL * len(beds):
        return None
    rows = next(rows for rows in range(1, max(1, *beds) + 1) if sum(panel_width(count, rows, cell) for count in beds) <= room)
    widths = [panel_width(count, rows, cell) for count in beds]
    spare = room - sum(widths)
    height = 2 * PAD + PANEL_HEAD + rows * (cell.height + cell.gap) + QUEUE_HEAD + QUEUE_ROWS * (QUEUE_CELL + QUEUE_GAP)
    panels, left = [], MARGIN
    for number, least in enumerate(widths):
        wide = least + spare * (number + 1) // len(beds) - spare * number // len(beds)
        columns = max(1, (wide - 2 * PAD + cell.gap) // (cell.width + cell.gap))
        panels.append(Panel(left, top, wide, height, columns))
        left += wide + GAP
    return panels


def panel_width(beds: int, rows: int, cell: Cell) -> int:
    """Return the narrowest panel that shows so many beds in so many rows."""
    return max(NARROWEST_PANEL, 2 * PAD + -(-beds // rows) * (cell.width + cell.gap) - cell.gap)
