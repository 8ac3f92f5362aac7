"""Random numbers of images: one stream for each purpose, keyed by the patient; noise by the image's number too."""

from typing import Any

from medsim.core.inlining import compiled_once
from medsim.core.streams import Key, uniform, words

__all__ = [
    "FINDINGS", "NOISE", "PATIENT", "TAKEN", "TEXTURE", "VESSELS", "bell", "between", "fill_texture", "fill_uniform", "noise_words",
    "normal_noise", "value_at",
]  # fmt: skip

# Purposes: streams of their own, away from those of the models of treatment. Never renumber.
PATIENT, FINDINGS, TEXTURE, VESSELS, NOISE, TAKEN = 2_000_001, 2_000_002, 2_000_003, 2_000_004, 2_000_005, 2_000_006
BYTES_SD = 147.79377  # of the sum of four bytes: sqrt(4 (256**2 - 1) / 12)


@compiled_once
def fill_uniform(key: Key, stream: int, drawn: Any) -> None:
    """Fill an array (4 m,) with uniform draws in (0, 1) of a stream."""
    for i in range(drawn.shape[0] >> 2):
        a, b, c, d = words(key, i, stream)
        drawn[4 * i], drawn[4 * i + 1], drawn[4 * i + 2], drawn[4 * i + 3] = uniform(a), uniform(b), uniform(c), uniform(d)


def between(drawn: Any, number: int, low: float, high: float) -> float:
    """Return the number-th draw, from low to high."""
    u: float = drawn[number]
    return low + (high - low) * u


def bell(drawn: Any, number: int) -> float:
    """Return a bell-shaped number of mean 0 and sd 1, cut at 3, from three draws."""
    total: float = drawn[number] + drawn[number + 1] + drawn[number + 2]
    return 2.0 * (total - 1.5)


def normal_noise(word: int) -> float:
    """Return a number of mean 0 and sd 1 from the four bytes of a word: their sum, nearly normal, cut at 3.5."""
    total = (word & 255) + ((word >> 8) & 255) + ((word >> 16) & 255) + ((word >> 24) & 255)
    return (total - 510.0) * (1.0 / BYTES_SD)


@compiled_once
def noise_words(key: Key, number: int) -> tuple[int, int, int, int]:
    """Return the four words of a picture's noise, number: below 2**17; each of 32,768 pictures of a patient has its own."""
    return words(key, ((key.step & 0x7FFF) << 17) | number, NOISE)


@compiled_once
def fill_texture(key: Key, stream: int, tile: Any) -> None:
    """Fill a square tile (k, k), k a power of two, with numbers of mean 0 and sd 1."""
    k = tile.shape[0]
    for i in range(k * k >> 2):
        four = words(key, i, stream)
        for j in range(4):
            at = 4 * i + j
            tile[at // k, at % k] = normal_noise(four[j])


def value_at(tile: Any, x: float, y: float) -> float:
    """Return the texture at a place, (x, y) in cells of the tile, which repeats: smooth, within about -2..2."""
    k = tile.shape[0]
    x = x + 64.0 * k  # positive, so that cutting is rounding down
    y = y + 64.0 * k
    i, j = int(y), int(x)
    u, v = x - j, y - i
    u = u * u * (3.0 - 2.0 * u)
    v = v * v * (3.0 - 2.0 * v)
    i0, j0 = i & (k - 1), j & (k - 1)
    i1, j1 = (i + 1) & (k - 1), (j + 1) & (k - 1)
    top: float = tile[i0, j0] + u * (tile[i0, j1] - tile[i0, j0])
    low: float = tile[i1, j0] + u * (tile[i1, j1] - tile[i1, j0])
    return top + v * (low - top)
