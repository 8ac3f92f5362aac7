"""A bed board as a picture or as text: who lies where, who waits, which beds are closed. Pillow is imported when a picture is drawn.

A research simulation, not medical advice: every picture and every text says so.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from medsim.hospital.board import Board, Occupant, Place
from medsim.render.bed_layout import LEGEND, LINE, LINES, MARGIN, PAD, QUEUE_CELL, QUEUE_GAP, QUEUE_ROWS, Layout, Panel, layout_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

__all__ = ["ACUITY_COLOURS", "NOTICE", "board_picture", "board_text", "clock", "occupancy"]

NOTICE = "research simulation, not medical advice"
ACUITY_COLOURS = {  # chosen: lightness rises as urgency falls, so that the order survives colour blindness and grey print
    1: "#8a1c5c",
    2: "#d55e00",
    3: "#e8a020",
    4: "#9dd3f5",
    5: "#dcefd6",
    0: "#b4bac2",  # not known
}
FLAGS = {"": "", "boarding": "+", "late": "!"}  # and their signs in text
MOST_SIGNS = 40  # chosen: 80 columns
PAPER, PANEL, EDGE, INK, FAINT, LATE = "#f1f3f5", "#ffffff", "#c3c9d0", "#1d2530", "#5c6773", "#e3001b"
CLOSED, CROSS = "#d9dde2", "#aab1b9"
GROUNDS = (*ACUITY_COLOURS.values(), PAPER, PANEL, EDGE, FAINT, LATE, CLOSED)  # what something is drawn on, or fills an area
QUEUE_REST = 3  # chosen: cells given up to "+9,990" where a queue does not fit


def board_picture(board: Board) -> npt.NDArray[np.uint8]:
    """Return a picture of a board, uint8 (height, width, 3); its size depends only on how many beds each place has.

    Raises:
        ValueError: somebody's acuity is not 0 to 5, or a flag is none of "", "boarding", "late".
    """
    from PIL import Image, ImageDraw

    layout = layout_of(tuple(len(place.beds) for place in board.places))
    image = Image.new("RGB", (layout.width, layout.height), PAPER)
    draw = ImageDraw.Draw(image)
    draw_title(draw, layout, board)
    for place, panel in zip(board.places, layout.panels, strict=True):
        draw_place(draw, layout, place, panel)
    if not board.places:
        write(draw, (MARGIN, layout.lines_top - 2 * LINE), "no places", 14, FAINT, layout.width)
    draw_lines(draw, layout, board.lines)
    draw_legend(draw, layout)
    return np.array(image, dtype=np.uint8)


def clock(time_h: float) -> str:
    """Return a time in hours as a day, counted from 1, and the time of day, cut to the minute: 38.5 is "Day 2, 14:30"."""
    day, minute = divmod(int(np.floor(time_h * 60.0 + 1e-6)), 24 * 60)
    return f"Day {day + 1}, {minute // 60:02d}:{minute % 60:02d}"


def occupancy(place: Place) -> tuple[int, int, int]:
    """Return how many lie in the beds of a place, how many beds are open, and how many are closed."""
    beds = len(place.beds)
    opened = beds if place.open_beds is None else min(max(place.open_beds, 0), beds)
    return sum(bed is not None for bed in place.beds), opened, beds - opened


def board_text(board: Board) -> str:
    """Return a board in a few lines of text: one digit for each bed, its acuity, with + for boarding and ! for late, . empty, x closed.

    More than ``MOST_SIGNS`` beds or waiting are counted by sign, as in "2:17 3:40 .:5"; ? stands for an acuity that is not known.

    Raises:
        ValueError: somebody's acuity is not 0 to 5, or a flag is none of "", "boarding", "late".
    """
    name = max((len(place.name) for place in board.places), default=0)
    rows = [f"{clock(board.time_h)} ({NOTICE})", *(text_of(place, name) for place in board.places)]
    return "\n".join([*rows, *board.lines, *([] if board.places else ["no places"])])


def text_of(place: Place, width: int) -> str:
    """Return a place as a line of text, its name padded to a width."""
    taken, opened, closed = occupancy(place)
    beds = [sign_of(bed, number >= opened) for number, bed in enumerate(place.beds)]
    numbers = f"{taken}/{opened}" + (f" ({closed} closed)" if closed else "")
    late = sum(one.flag == "late" for one in place.queue)
    queue = f"waiting {len(place.queue)}" + (f" ({late} late)" if late else "")
    parts = [f"{place.name:{width}}  {numbers}", f"[{signs(beds)}]", queue, signs([sign_of(one, False) for one in place.queue]), place.note]
    return "  ".join(part for part in parts if part)


def sign_of(occupant: Occupant | None, closed: bool) -> str:
    """Return the sign of a bed or of somebody who waits."""
    if occupant is None:
        return "x" if closed else "."
    colour_of(occupant)  # refuses what it does not know
    return f"{occupant.acuity or '?'}{FLAGS[occupant.flag]}"


def signs(each: list[str]) -> str:
    """Return signs one by one, or how often each occurs."""
    if len(each) <= MOST_SIGNS:
        return " ".join(each)
    return " ".join(f"{sign}:{each.count(sign)}" for sign in sorted(set(each)))


@lru_cache(maxsize=32)
def font_of(size: int, bold: bool = False) -> "FreeTypeFont":
    """Return a font that comes with matplotlib."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def fitted(text: str, font: "FreeTypeFont", width: float) -> str:
    """Return a text, cut with an ellipsis to what fits into a width."""
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(text[:middle].rstrip() + "…") <= width else (low, middle - 1)
    return text[:low].rstrip() + "…" if low else ""


def write(
    draw: "ImageDraw", at: tuple[float, float], text: str, size: int, colour: str, width: float, *, anchor: str = "la", bold: bool = False
) -> float:
    """Write a text, in letters down to three quarters of the size if it does not fit, cut at the end if it still does not.

    The anchor is Pillow's: left, middle or right, then ascender or middle. Returns the width in px.
    """
    text = " ".join(text.split())
    fonts = [font_of(one, bold) for one in range(size, size * 3 // 4 - 1, -1)]
    font = next((one for one in fonts if one.getlength(text) <= width), fonts[-1])
    text = fitted(text, font, width)
    draw.text(at, text, fill=colour, font=font, anchor=anchor)
    return float(font.getlength(text))


def draw_title(draw: "ImageDraw", layout: Layout, board: Board) -> None:
    """Draw day and time on the left, the whole hospital's beds and queues on the right."""
    counts = np.array([occupancy(place) for place in board.places], dtype=np.int64).reshape(-1, 3).sum(axis=0)
    waiting = sum(len(place.queue) for place in board.places)
    right, half = layout.width - MARGIN, layout.width // 2 - MARGIN
    write(draw, (MARGIN, MARGIN - 2), clock(board.time_h), 28, INK, half, bold=True)
    total = f"{counts[0]:,} in beds, {counts[1]:,} open, {waiting:,} waiting"
    write(draw, (right, MARGIN), total, 15, INK, half, anchor="ra", bold=True)
    write(draw, (right, MARGIN + 22), NOTICE, 12, FAINT, half, anchor="ra")


def draw_place(draw: "ImageDraw", layout: Layout, place: Place, panel: Panel) -> None:
    """Draw one place: its name and numbers, its beds, who waits for it."""
    box = (panel.left, panel.top, panel.left + panel.width - 1, panel.top + panel.height - 1)
    draw.rounded_rectangle(box, radius=6, fill=PANEL, outline=EDGE)
    left, top = panel.left + PAD, panel.top + PAD - 2
    taken, opened, closed = occupancy(place)
    numbers = f"{taken:,} of {opened:,} in use" if place.beds else "no beds"
    write(draw, (left, top), place.name, 15, INK, panel.inner, bold=True)
    write(draw, (left, top + 21), f"{numbers}, {closed:,} closed" if closed else numbers, 13, LATE if taken > opened else INK, panel.inner)
    write(draw, (left, top + 40), place.note, 12, FAINT, panel.inner)
    cell = layout.cell
    for number, occupant in enumerate(place.beds):
        x, y = panel.bed(number, cell)
        draw_bed(draw, (x, y, x + cell.width - 1, y + cell.height - 1), occupant, number >= opened, cell.letters)
    draw_queue(draw, place, panel)


def draw_bed(draw: "ImageDraw", box: tuple[int, int, int, int], occupant: Occupant | None, closed: bool, letters: int) -> None:
    """Draw one bed; somebody in a bed that has been closed is drawn within the closed bed's edge."""
    x0, y0, x1, y1 = box
    if closed:
        draw.rectangle(box, fill=CLOSED, outline=EDGE)
        draw.line((x0, y1, x1, y0), fill=CROSS)
        draw.line((x0, y0, x1, y1), fill=CROSS)
    elif occupant is None:
        draw.rectangle(box, fill=PANEL, outline=EDGE)
    if occupant is not None:
        rim = 3 if closed else 0
        draw_occupant(draw, (x0 + rim, y0 + rim, x1 - rim, y1 - rim), occupant, occupant.label if letters else "", letters)


def draw_occupant(draw: "ImageDraw", box: tuple[int, int, int, int], occupant: Occupant, text: str, letters: int) -> None:
    """Draw somebody: the colour says the acuity, a dark corner boarding, a red rim too long a wait."""
    x0, y0, x1, y1 = box
    fill = colour_of(occupant)
    draw.rectangle(box, fill=fill, outline=darker(fill))
    if occupant.flag == "late":
        rim = 3 if y1 - y0 >= 24 else 2
        draw.rectangle(box, outline=LATE, width=rim)
        draw.rectangle((x0 + rim, y0 + rim, x1 - rim, y1 - rim), outline=PANEL)
    if occupant.flag == "boarding":
        side = max(7, round(0.42 * (y1 - y0)))
        draw.polygon([(x1 - side - 2, y0), (x1, y0), (x1, y0 + side + 2)], fill=PANEL)
        draw.polygon([(x1 - side, y0), (x1, y0), (x1, y0 + side)], fill=INK)
    if text and letters:
        room = x1 - x0 - (8 if occupant.flag == "late" else 4)
        write(draw, ((x0 + x1 + 1) / 2, (y0 + y1 + 1) / 2 + 0.5), text, letters, ink_on(fill), room, anchor="mm")


def draw_queue(draw: "ImageDraw", place: Place, panel: Panel) -> None:
    """Draw who waits, in order, as small cells with their acuity; of a long queue, its beginning and how many more there are."""
    waiting, late = len(place.queue), sum(one.flag == "late" for one in place.queue)
    words = f"{waiting:,} waiting" + (f", {late:,} late" if late else "") if waiting else "nobody waiting"
    write(draw, (panel.left + PAD, panel.queue_top), words, 13, INK if waiting else FAINT, panel.inner)
    room = QUEUE_ROWS * panel.queue_columns
    shown = waiting if waiting <= room else room - QUEUE_REST
    for number, occupant in enumerate(place.queue[:shown]):
        x, y = panel.waiting(number)
        text = str(occupant.acuity) if occupant.acuity else ""
        draw_occupant(draw, (x, y, x + QUEUE_CELL - 1, y + QUEUE_CELL - 1), occupant, text, 10)
    if shown < waiting:
        x, y = panel.waiting(shown)
        write(draw, (x, y + QUEUE_CELL / 2 + 0.5), f"+{waiting - shown:,}", 13, INK, QUEUE_REST * (QUEUE_CELL + QUEUE_GAP), anchor="lm")


def draw_lines(draw: "ImageDraw", layout: Layout, lines: tuple[str, ...]) -> None:
    """Write the board's lines one after the other, as many as fit, and how many more there are."""
    font, room = font_of(13), layout.width - 2 * MARGIN
    for number, row in enumerate(flowed([" ".join(line.split()) for line in lines], font, room)):
        draw.text((MARGIN, layout.lines_top + number * LINE), row, fill=INK, font=font)


def flowed(lines: list[str], font: "FreeTypeFont", room: float) -> list[str]:
    """Return the rows that lines make side by side; what does not fit is counted at the end."""
    rows: list[str] = []
    for number, line in enumerate(lines):
        longer = f"{rows[-1]}  ·  {line}" if rows else line
        if rows and font.getlength(longer) <= room:
            rows[-1] = longer
        elif len(rows) < LINES:
            rows.append(fitted(line, font, room))
        else:
            rest = f"  ·  {len(lines) - number} more"
            rows[-1] = fitted(rows[-1], font, room - font.getlength(rest)) + rest
            break
    return rows


def draw_legend(draw: "ImageDraw", layout: Layout) -> None:
    """Draw what the colours and the marks mean."""
    acuities = [(Occupant("", acuity), str(acuity) if acuity else "") for acuity in (1, 2, 3, 4, 5, 0)]
    words = ("acuity 1, most urgent", "2", "3", "4", "5, least urgent", "not known")
    x = float(MARGIN)
    for (occupant, digit), word in zip(acuities, words, strict=True):
        draw_occupant(draw, swatch(x, layout.legend_top), occupant, digit, 11)
        x += 30 + write(draw, (x + 30, layout.legend_top + 9.5), word, 12, FAINT, 200, anchor="lm") + 16
    x, top = float(MARGIN), layout.legend_top + LEGEND
    marks = (
        (None, "empty"),
        (None, "closed"),
        (Occupant("", 4, "boarding"), "boarding: ready to leave"),
        (Occupant("", 4, "late"), "late"),
    )
    for mark, word in marks:
        draw_bed(draw, swatch(x, top), mark, word == "closed", 0)
        x += 30 + write(draw, (x + 30, top + 9.5), word, 12, FAINT, 300, anchor="lm") + 16


def swatch(x: float, top: int) -> tuple[int, int, int, int]:
    """Return the box of a legend's sample."""
    return round(x), top, round(x) + 23, top + 18


def colour_of(occupant: Occupant) -> str:
    """Return the colour of somebody's acuity.

    Raises:
        ValueError: the acuity or the flag is not allowed.
    """
    if occupant.flag not in FLAGS:
        raise ValueError(f'the flag of {occupant.label!r} must be "", "boarding" or "late", not {occupant.flag!r}')
    if occupant.acuity not in ACUITY_COLOURS:
        raise ValueError(f"the acuity of {occupant.label!r} must be 1 (most urgent) to 5, or 0 for none known, not {occupant.acuity!r}")
    return ACUITY_COLOURS[occupant.acuity]


@lru_cache(maxsize=16)
def channels(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of a colour such as "#8a1c5c"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def darker(colour: str) -> tuple[int, int, int]:
    """Return the colour of the edge of a cell."""
    red, green, blue = (value * 4 // 5 for value in channels(colour))
    return red, green, blue


def ink_on(colour: str) -> str:
    """Return the colour of letters on a cell: white on dark, black on light."""
    red, green, blue = channels(colour)
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 110 else INK
