"""A bed board as a film: frames of an episode in one GIF, APNG or WebP. Pillow is imported when a film is written."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medsim.hospital.board import Board
from medsim.hospital.evaluation import decide_by
from medsim.hospital.policy import HospitalPolicy
from medsim.hospital.shells import HospitalShell
from medsim.hospital.task import HospitalTask
from medsim.render.bed_board import ACUITY_COLOURS, CROSS, GROUNDS, INK, board_picture, channels, darker

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FORMATS", "animate", "boards_of_episode", "film_of_episode"]

FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP"}
STORED: Mapping[str, Mapping[str, Any]] = {"GIF": {"optimize": False}, "PNG": {}, "WEBP": {"lossless": True}}
SLOWEST, FASTEST = 0.01, 50.0  # frames a second: a GIF counts up to 655 s for one; viewers slow down what lasts less than 0.02 s


def animate(boards: Iterable[Board], path: str | Path, fps: float = 8.0, progress: Callable[[int], None] | None = None) -> Path:
    """Write a film of boards, one frame for each, that runs again and again; return its path.

    The file is whole or not there: an error on the way leaves what stood at the path before. Equal neighbours are stored once and shown
    for longer. Every film shows the line "research simulation, not medical advice".

    Args:
        path: ends in .gif, .png or .apng (an animated PNG), or .webp where Pillow can write it.
        fps: frames a second, 0.01 to 50; a GIF's frames last whole hundredths of a second.
        progress: called with 1 after every frame.

    Raises:
        ValueError: the suffix or fps is not allowed, there is no board, or the boards are not of the same beds.
    """
    path = Path(path)
    kind = format_of(path)
    if not SLOWEST <= fps <= FASTEST:
        raise ValueError(f"fps must be {SLOWEST:g} to {FASTEST:g}, not {fps!r}")
    frames = frames_of(boards, progress)
    first = next(frames, None)
    if first is None:
        raise ValueError("a film needs at least one board; there is none")
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    lasting = round(100.0 / fps) * 10 if kind == "GIF" else round(1000.0 / fps)  # ms
    rest = frames if kind == "GIF" else list(frames)  # Pillow goes over those of a PNG twice
    try:
        with neighbour.open("wb") as file:
            first.save(file, format=kind, save_all=True, append_images=rest, loop=0, duration=lasting, **STORED[kind])
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, path)
    finally:
        neighbour.unlink(missing_ok=True)
    return path


def format_of(path: Path) -> str:
    """Return Pillow's name of the format that a path's suffix asks for.

    Raises:
        ValueError: it is none that can be written here.
    """
    from PIL import features

    allowed = {suffix: kind for suffix, kind in FORMATS.items() if kind != "WEBP" or features.check("webp")}
    if path.suffix.lower() not in allowed:
        raise ValueError(f"a film's name must end in one of {', '.join(allowed)}, not {path.suffix!r} ({path.name})")
    return allowed[path.suffix.lower()]


def frames_of(boards: Iterable[Board], progress: Callable[[int], None] | None) -> Iterator["Image"]:
    """Yield the boards' pictures, all of one size, in the film's own colours.

    Raises:
        ValueError: a board has other beds than the first.
    """
    beds: tuple[int, ...] | None = None
    colours = FilmColours()
    for number, board in enumerate(boards):
        counts = tuple(len(place.beds) for place in board.places)
        beds = counts if beds is None else beds
        if counts != beds:
            raise ValueError(f"the boards of a film must have the same beds: {beds} in the first, {counts} in number {number + 1}")
        yield colours.indexed(board_picture(board))
        if progress is not None:
            progress(1)


class FilmColours:
    """At most 256 colours for all frames of a film: those of a board, exactly, and shades of dark and white letters on each."""

    def __init__(self) -> None:
        ground = np.array([channels(one) for one in GROUNDS], dtype=np.float64)[:, None]
        exact = [channels(INK), channels(CROSS), *(darker(one) for one in ACUITY_COLOURS.values())]
        shares = np.linspace(0.0, 1.0, 11)[None, :, None]  # of ink in a pixel; chosen: 12 grounds x 20 shades leave room for those above
        shades = [(ground + share * (ink - ground)).reshape(-1, 3) for ink, share in ((channels(INK), shares), (255.0, shares[:, 1:]))]
        self.colours = np.unique(np.concatenate([exact, *shades]).round().astype(np.uint8), axis=0)  # (n, 3)
        assert len(self.colours) <= 256
        self.number = np.full(1 << 24, -1, dtype=np.int16)  # of the nearest colour, for every colour met so far

    def indexed(self, picture: npt.NDArray[np.uint8]) -> "Image":
        """Return a picture (height, width, 3) as an image in these colours. Pillow's own search is not exact."""
        from PIL import Image

        codes = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.int32)
        numbers = self.number[codes]
        if (numbers < 0).any():
            for code in np.unique(codes[numbers < 0]):
                away = self.colours.astype(np.int32) - [code >> 16, code >> 8 & 255, code & 255]
                self.number[code] = np.argmin((away**2).sum(axis=1))
            numbers = self.number[codes]
        image = Image.fromarray(numbers.astype(np.uint8), mode="L")
        image.putpalette(self.colours.tobytes())
        return image


def boards_of_episode(
    task: HospitalTask, policy: HospitalPolicy, *, seed: int, slot: int = 0, hours: float = 24.0, every_min: float = 15.0
) -> Iterator[Board]:
    """Play an episode and yield its bed board once for each tick, from the start on, every ``every_min`` minutes up to ``hours``.

    A model stands still only where it asks for a decision, so a tick's board is that of the first decision at or after it, before the
    answer; where ticks pass without a decision, the same board is theirs. The last is that of the end of the episode, if it comes sooner.

    Raises:
        ValueError: hours is not 0 or more, or every_min is not above 0, or the seed or slot is not allowed.
    """
    if not 0.0 <= hours < float("inf"):
        raise ValueError(f"hours must be 0 or more and finite, not {hours!r}")
    if not 0.0 < every_min < float("inf"):
        raise ValueError(f"every_min must be above 0 and finite, not {every_min!r}")
    shell = HospitalShell(task, None)
    shell.begin(seed, {"slot": slot})
    policy.begin(task, shell.key)
    return ticked(shell, policy, hours, every_min / 60.0)


def ticked(shell: HospitalShell, policy: HospitalPolicy, hours: float, every_h: float) -> Iterator[Board]:
    """Yield the boards of an episode that has begun; see ``boards_of_episode``."""
    model, ticks, last = shell.present_model(), 0, int(hours / every_h + 1e-9)
    while ticks <= last:
        due = min(last, int(model.time_h / every_h + 1e-9)) - ticks + 1  # ticks at or before this moment without a board
        if due > 0:
            board = model.board()
            for _ in range(due):
                yield board
            ticks += due
        if model.request is None or ticks > last:
            return
        decide_by(shell, policy)


def film_of_episode(
    task: HospitalTask,
    policy: HospitalPolicy,
    *,
    seed: int,
    slot: int = 0,
    hours: float = 24.0,
    every_min: float = 15.0,
    path: str | Path,
    fps: float = 8.0,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Play an episode under a policy and write its bed boards as a film (``boards_of_episode``, ``animate``); return its path.

    Raises:
        ValueError: an argument is not allowed; nothing has been written then.
    """
    format_of(Path(path))  # refused before an episode is played
    return animate(boards_of_episode(task, policy, seed=seed, slot=slot, hours=hours, every_min=every_min), path, fps, progress)
