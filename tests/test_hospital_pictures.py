"""Bed boards: the size depends only on the beds, everything stands at its place, and films are whole or not there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medsim.core.streams import Key
from medsim.hospital.board import Board, Occupant, Place
from medsim.hospital.decisions import Request, legal
from medsim.hospital.event_log import EventLog
from medsim.hospital.policy import DoNothing
from medsim.hospital.task import HospitalTask, Ledger, Seen
from medsim.render.bed_animation import animate, boards_of_episode, film_of_episode
from medsim.render.bed_board import (
    ACUITY_COLOURS,
    CLOSED,
    INK,
    LATE,
    NOTICE,
    PANEL,
    PAPER,
    board_picture,
    board_text,
    channels,
    clock,
    fitted,
    font_of,
)
from medsim.render.bed_layout import GAP, MARGIN, PAD, QUEUE_CELL, QUEUE_ROWS, layout_of

ICU = Place(
    name="ICU",
    beds=(Occupant("17", 1), Occupant("18", 3, "boarding"), Occupant("19", 4, "late"), None, Occupant("20", 5), None),
    queue=(Occupant("21", 2), Occupant("22", 3, "late")),
    open_beds=4,
    note="3 nurses, 1:2",
)
BOARD = Board(38.5, (ICU,), ("refused 2",))


def of_beds(*counts: int, queue: int = 0, taken: bool = True) -> Board:
    waiting = tuple(Occupant(str(k), k % 6, "late" if k % 3 else "") for k in range(queue))
    beds = [tuple(Occupant(str(1000 + k), k % 6) if taken else None for k in range(count)) for count in counts]
    places = tuple(Place(f"Place {k} " * (1 + queue // 5), one, waiting, note="note " * queue) for k, one in enumerate(beds))
    return Board(float(queue), places, ("x " * min(queue, 300),) * min(queue, 300))


@pytest.mark.parametrize("counts", [(), (0,), (12,), (20, 36, 10), (1, 1, 1, 6, 4), (50,) * 8, (400,), (400,) * 8, (60,) * 20])
def test_the_size_of_a_picture_depends_on_the_beds_and_on_nothing_else(counts: tuple[int, ...]) -> None:
    quiet, busy = board_picture(of_beds(*counts, taken=False)), board_picture(of_beds(*counts, queue=200))
    assert quiet.dtype == np.uint8
    assert quiet.shape == busy.shape == board_picture(replace(of_beds(*counts), time_h=1e5)).shape
    assert quiet.shape[0] % 16 == quiet.shape[1] % 16 == 0
    assert not np.array_equal(quiet, busy) or not counts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=12))
def test_beds_stand_within_their_panel_above_the_queue_and_panels_do_not_overlap(counts: list[int]) -> None:
    layout = layout_of(tuple(counts))
    taken = np.zeros((layout.height, layout.width), dtype=np.int64)
    for count, panel in zip(counts, layout.panels, strict=True):
        taken[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width] += 1
        spots = [panel.bed(number, layout.cell) for number in range(count)]
        assert len(set(spots)) == count
        for x, y in spots:
            assert panel.left + PAD <= x <= panel.left + panel.width - PAD - layout.cell.width
            assert panel.top + PAD <= y <= panel.queue_top - layout.cell.height
        x, y = panel.waiting(QUEUE_ROWS * panel.queue_columns - 1)
        assert x + QUEUE_CELL <= panel.left + panel.width - PAD
        assert y + QUEUE_CELL <= panel.top + panel.height - PAD
        assert panel.left >= MARGIN
        assert panel.left + panel.width <= layout.width - MARGIN
        assert panel.top + panel.height <= layout.lines_top < layout.legend_top < layout.height
    assert taken.max() == 1


@pytest.mark.parametrize("counts", [(4, 0, 8), (30, 50, 70, 90, 110), (400,)])
def test_nothing_is_written_between_panels_or_beyond_the_margins_however_long_names_and_queues_are(counts: tuple[int, ...]) -> None:
    layout, picture = layout_of(counts), board_picture(of_beds(*counts, queue=10_000))
    paper = (picture == channels(PAPER)).all(axis=-1)
    assert paper[:, : MARGIN - 1].all()
    assert paper[:, layout.width - MARGIN + 1 :].all()
    for panel in layout.panels:
        assert paper[panel.top : panel.top + panel.height, panel.left + panel.width : panel.left + panel.width + GAP].all()


def bed_pixels(board: Board, place: int, number: int) -> Any:
    layout = layout_of(tuple(len(one.beds) for one in board.places))
    x, y = layout.panels[place].bed(number, layout.cell)
    return board_picture(board)[y : y + layout.cell.height, x : x + layout.cell.width]


def share(pixels: Any, colour: str) -> float:
    return float((pixels == channels(colour)).all(axis=-1).mean())


@pytest.mark.parametrize("acuity", ACUITY_COLOURS)
@pytest.mark.parametrize("number", [0, 7, 19])
def test_a_bed_is_coloured_by_the_acuity_of_who_lies_in_it(acuity: int, number: int) -> None:
    beds: list[Occupant | None] = [None] * 20
    beds[number] = Occupant("9", acuity)
    board = Board(0.0, (Place("A", (None,) * 5), Place("B", tuple(beds))))
    assert share(bed_pixels(board, 1, number), ACUITY_COLOURS[acuity]) > 0.8
    assert share(bed_pixels(board, 1, 10), PANEL) > 0.8  # an empty one


def test_marks_tell_boarding_late_closed_and_somebody_in_a_closed_bed() -> None:
    plain, boarding, late, empty, held, closed = (bed_pixels(BOARD, 0, number) for number in range(6))
    assert share(plain, LATE) == 0.0
    assert tuple(boarding[1, -2]) == channels(INK)  # its corner
    assert tuple(plain[1, -2]) == channels(ACUITY_COLOURS[1])
    assert all(tuple(late[row, column]) == channels(LATE) for row, column in ((0, 0), (2, 2), (-1, -1), (20, 1), (20, -2)))
    assert share(late, ACUITY_COLOURS[4]) > 0.5
    assert share(empty, PANEL) > 0.8
    assert share(closed, CLOSED) > 0.8
    assert tuple(held[1, 10]) == channels(CLOSED)
    assert share(held, ACUITY_COLOURS[5]) > 0.5


def lightness(colour: str) -> float:
    """CIE L* of an sRGB colour (IEC 61966-2-1)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in np.array(channels(colour)) / 255.0]
    y = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return 116.0 * np.cbrt(y) - 16.0


def test_acuity_can_be_read_without_colours_from_lightness_alone() -> None:
    steps = np.diff([lightness(ACUITY_COLOURS[acuity]) for acuity in range(1, 6)])
    assert lightness("#ffffff") == pytest.approx(100.0, abs=0.01)
    assert steps.min() > 9.0, steps


def test_a_long_queue_is_cut_to_its_beginning_and_the_rest_is_counted() -> None:
    layout = layout_of((6,))
    panel = layout.panels[0]
    fits = QUEUE_ROWS * panel.queue_columns
    last_x, last_y = panel.waiting(fits - 1)
    for waiting, shown in ((fits, True), (fits + 1, False)):
        picture = board_picture(Board(0.0, (Place("A", (None,) * 6, (Occupant("", 1),) * waiting),)))
        cell = picture[last_y : last_y + QUEUE_CELL, last_x : last_x + QUEUE_CELL]
        assert (share(cell, ACUITY_COLOURS[1]) > 0.5) is shown


@pytest.mark.parametrize(
    ("time_h", "words"), [(0.0, "Day 1, 00:00"), (23.9999, "Day 1, 23:59"), (24.0, "Day 2, 00:00"), (38.5, "Day 2, 14:30")]
)
def test_the_clock_counts_days_from_one_and_never_shows_24_00(time_h: float, words: str) -> None:
    assert clock(time_h) == words


def test_the_clock_forgives_the_rounding_of_sums_of_minutes() -> None:
    assert clock(sum([0.1] * 10)) == "Day 1, 01:00"


def test_a_text_is_cut_to_the_longest_beginning_that_fits() -> None:
    font = font_of(12)
    cut = fitted("Emergency department", font, 80.0)
    assert cut.endswith("…")
    assert "Emergency department".startswith(cut[:-1])
    assert font.getlength(cut) <= 80.0 < font.getlength("Emergency department"[: len(cut)] + "…")
    assert fitted("ICU", font, 80.0) == "ICU"
    assert fitted("ICU", font, 1.0) == ""


def test_the_text_shows_time_counts_beds_and_queue_in_order() -> None:
    head, icu, line = board_text(BOARD).split("\n")
    assert head == f"Day 2, 14:30 ({NOTICE})"
    assert icu == "ICU  4/4 (2 closed)  [1 3+ 4! . 5 x]  waiting 2 (1 late)  2 3!  3 nurses, 1:2"
    assert line == "refused 2"


def test_many_beds_and_a_long_queue_are_counted_by_sign_in_the_text() -> None:
    place = replace(of_beds(400, queue=10_000).places[0], name="A", note="")
    row = board_text(Board(0.0, (place,))).split("\n")[1]
    assert row.startswith("A  400/400  [1:67 2:67 3:67 4:66 5:66 ?:67]  waiting 10000 (6666 late)  1!:1667 2!:1667 3:1667 ")
    assert len(row) < 160


def test_a_hospital_without_places_says_so() -> None:
    assert board_text(Board(0.0, ())).endswith("no places")
    assert board_picture(Board(0.0, (), ("a",) * 99)).shape == board_picture(Board(5.0, ())).shape


@pytest.mark.parametrize(("wrong", "words"), [(Occupant("17", 6), "not 6"), (Occupant("17", 3, "lost"), "not 'lost'")])
@pytest.mark.parametrize("show", [board_picture, board_text])
def test_an_unknown_acuity_or_flag_is_refused_by_name(wrong: Occupant, words: str, show: Any) -> None:
    with pytest.raises(ValueError, match=f"'17'.*{words}"):
        show(Board(0.0, (Place("A", (wrong,)),)))


def hours(count: int) -> Iterator[Board]:
    yield from (replace(BOARD, time_h=float(k)) for k in range(count))


@pytest.mark.parametrize("suffix", ["gif", "png", "apng", "webp"])
def test_a_film_has_a_frame_for_each_board_at_its_pace_in_its_exact_colours(tmp_path: Path, suffix: str) -> None:
    told: list[int] = []
    path = animate(hours(5), tmp_path / "new" / f"day.{suffix}", fps=4.0, progress=told.append)
    assert told == [1] * 5
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    layout = layout_of((6,))
    x, y = layout.panels[0].bed(0, layout.cell)
    with Image.open(path) as film:
        assert film.n_frames == 5
        for number, board in enumerate(hours(5)):
            film.seek(number)
            film.load()
            assert film.info["duration"] == 250
            frame, picture = np.array(film.convert("RGB")), board_picture(board)
            assert frame.shape == picture.shape
            assert np.abs(frame.astype(int) - picture).max() <= 24  # shades at the edges of letters
            assert np.array_equal(frame[y : y + 8, x : x + 8], picture[y : y + 8, x : x + 8])


def test_equal_neighbours_are_one_frame_that_is_shown_for_longer(tmp_path: Path) -> None:
    path = animate([BOARD, BOARD, BOARD, replace(BOARD, time_h=40.0)], tmp_path / "a.gif", fps=10.0)
    with Image.open(path) as film:
        assert film.n_frames == 2
        assert film.info["duration"] == 300


def test_a_film_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    path = animate(hours(3), tmp_path / "day.gif")
    before = path.read_bytes()

    def broken() -> Iterator[Board]:
        yield from hours(2)
        raise RuntimeError("the ward is flooded")

    with pytest.raises(RuntimeError, match="flooded"):
        animate(broken(), path)
    with pytest.raises(ValueError, match=r"same beds: \(6,\) in the first, \(7,\) in number 2"):
        animate([BOARD, of_beds(7)], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_films_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.gif, \.png, \.apng.*not '\.mp4'"):
        animate([BOARD], tmp_path / "day.mp4")
    for fps in (0.0, -1.0, 51.0, float("nan")):
        with pytest.raises(ValueError, match=r"fps must be 0\.01 to 50, not"):
            animate([BOARD], tmp_path / "day.gif", fps=fps)
    with pytest.raises(ValueError, match="at least one board"):
        animate([], tmp_path / "day.gif")
    for wrong in ({"hours": -1.0}, {"hours": float("inf")}, {"every_min": 0.0}, {"every_min": float("nan")}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            film_of_episode(TASK, DoNothing(), **{"seed": 1, "path": tmp_path / "day.gif", **wrong})
    assert not list(tmp_path.iterdir())


DECISIONS_H, END_H = (0.1, 0.2, 0.9, 1.0, 2.6), 3.0


class Timetable:
    """A model that asks at known hours and ends at 3 h."""

    def __init__(self, key: Key) -> None:
        self.request: Request | None = None
        self.log, self.outcome, self.time_h, self.asked = EventLog(), "closed", 0.0, 0

    def run(self) -> None:
        more = self.asked < len(DECISIONS_H)
        self.time_h = DECISIONS_H[self.asked] if more else END_H
        self.request = Request("nurse", legal(2, [1]), "go") if more else None
        self.asked += 1

    def answer(self, action: int) -> None: ...

    def observe(self, agent: str) -> list[float]:
        return [self.time_h]

    def state(self) -> list[float]:
        return [self.time_h]

    def drain(self) -> Ledger:
        return Ledger(terms={"wait": 0.0}, costs={})

    def metrics(self) -> dict[str, float]:
        return {}

    def board(self) -> Board:
        return replace(BOARD, time_h=self.time_h)


TASK = HospitalTask(
    id="timetable",
    config=None,
    roles={"nurse": "nurse"},
    actions={"nurse": ("nothing", "go")},
    seen={"nurse": (Seen(name="time_h", high=3.0),)},
    state_names=("time_h",),
    term_names=("wait",),
    cost_names=(),
    make_model=Timetable,
    horizon_h=END_H,
)


def test_each_tick_shows_the_first_decision_at_or_after_it() -> None:
    boards = boards_of_episode(TASK, DoNothing(), seed=1, hours=2.0, every_min=30.0)
    assert [board.time_h for board in boards] == [0.1, 0.9, 1.0, 2.6, 2.6]


def test_a_film_ends_with_the_episode_and_shows_its_end() -> None:
    boards = boards_of_episode(TASK, DoNothing(), seed=1, hours=10.0, every_min=30.0)
    assert [board.time_h for board in boards] == [0.1, 0.9, 1.0, 2.6, 2.6, 2.6, 3.0]


def test_a_film_of_an_episode_lasts_as_long_as_its_ticks(tmp_path: Path) -> None:
    path = film_of_episode(TASK, DoNothing(), seed=1, hours=2.0, every_min=30.0, path=tmp_path / "day.gif", fps=10.0)
    with Image.open(path) as film:
        lasting = []
        for number in range(film.n_frames):
            film.seek(number)
            lasting.append(film.info["duration"])
    assert lasting == [100, 100, 100, 200]
