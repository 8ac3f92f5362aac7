"""Random phantoms to learn from: bodies of shells, folded tissue, ellipses that cover one another, cavities, all with soft edges.

Shapes are level sets of smooth functions. The share of a pixel that a shape covers follows from the distance to its edge, which is the
function's value over its slope, so that nothing is rendered at a finer grid and nothing is jagged. Ellipses whose sizes follow a power law
and that hide one another have the statistics of real pictures (dead leaves: Lee, Mumford & Huang 2001, from memory, not verified).
Everything is drawn from one NumPy generator.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["MODALITIES", "Canvas", "head_rest", "random_phantoms", "scatter_details", "smooth_noise", "wrap_in_head"]

MODALITIES = ("ct", "mri")
LEAVES, DETAILS = 8, 8  # chosen: ellipses inside a body, and small bright or empty ones
INSIDE = 0.95  # chosen: half width within which everything lies, as a share of the field's half width


class Canvas:
    """Images (n, size, size) that shapes are painted on, over coordinates in -1..1 (y downwards)."""

    def __init__(self, rng: np.random.Generator, n: int, size: int) -> None:
        self.rng, self.n, self.size = rng, n, size
        self.generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        line = (torch.arange(size) + 0.5) * (2 / size) - 1
        self.y, self.x = (one.expand(n, size, size) for one in torch.meshgrid(line, line, indexing="ij"))
        self.image = torch.zeros(n, size, size)

    def draw(self, low: float, high: float) -> Tensor:
        """Even random numbers, (n, 1, 1)."""
        return low + (high - low) * torch.rand(self.n, 1, 1, generator=self.generator)

    def normal(self) -> Tensor:
        """Normal random numbers, (n, 1, 1)."""
        return torch.randn(self.n, 1, 1, generator=self.generator)

    def bend(self, amount: float) -> None:
        """Bend the coordinates smoothly, so that no later shape is an exact ellipse."""
        self.x = self.x + amount * smooth_noise(self.generator, self.n, self.size, 5)
        self.y = self.y + amount * smooth_noise(self.generator, self.n, self.size, 5)

    def radius(self, centre: tuple[Tensor, Tensor], axes: tuple[Tensor, Tensor], angle: Tensor, power: Tensor | None = None) -> Tensor:
        """1 on the edge of an ellipse (or of a superellipse of that power) and less inside it."""
        x, y = self.x - centre[0], self.y - centre[1]
        u = (x * torch.cos(angle) + y * torch.sin(angle)) / axes[0]
        v = (y * torch.cos(angle) - x * torch.sin(angle)) / axes[1]
        if power is None:
            return torch.hypot(u, v)
        return ((u.abs() + 1e-4) ** power + (v.abs() + 1e-4) ** power) ** (1 / power)

    def cover(self, level: Tensor) -> Tensor:
        """Share of each pixel that lies where `level` is below 0."""
        across = functional.pad(level, (1, 1, 0, 0), mode="replicate")
        down = functional.pad(level.unsqueeze(1), (0, 0, 1, 1), mode="replicate").squeeze(1)
        slope = torch.hypot(across[..., 2:] - across[..., :-2], down[:, 2:] - down[:, :-2]) / 2
        return (0.5 - level / slope.clamp(min=1e-4)).clamp(0, 1)

    def paint(self, share: Tensor, value: Tensor | float) -> None:
        """Put a value where a shape is."""
        self.image = self.image + share * (value - self.image)


def smooth_noise(generator: torch.Generator, n: int, size: int, knots: int) -> Tensor:
    """Normal noise at `knots` places a side, smooth in between, (n, size, size)."""
    coarse = torch.randn(n, 1, knots, knots, generator=generator)
    return functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[:, 0]


def random_phantoms(rng: np.random.Generator, n: int, modality: str, size: int = 64) -> Tensor:
    """Phantoms (n, 1, size, size) in 0..1: Hounsfield units from air to dense bone (`ct`) or the brightness of an MRI (`mri`).

    They lie within the inscribed circle. Raises ValueError for another modality.
    """
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}, not {modality!r}")
    canvas = Canvas(rng, n, size)
    if modality == "ct":
        head_rest(canvas)
    canvas.bend(0.05)
    tall, wide = canvas.draw(0.45, 0.92), canvas.draw(0.45, 0.92)
    body = canvas.radius((canvas.draw(-0.06, 0.06), canvas.draw(-0.06, 0.06)), (wide, tall), canvas.draw(-0.4, 0.4), canvas.draw(1.7, 2.8))
    inner = _shells(canvas, body, modality)
    room = canvas.cover(inner)
    _folded_tissue(canvas, room, modality)
    for _ in range(LEAVES):
        _leaf(canvas, room, modality, small=False)
    scatter_details(canvas, room, modality)
    return finished(canvas, modality)


def wrap_in_head(canvas: Canvas, outside: Tensor, modality: str) -> None:
    """Paint scalp, skull and fluid around a brain; `outside` is the distance from its edge in coordinates, (n, size, size)."""
    gap, skull, scalp = canvas.draw(0.01, 0.05), canvas.draw(0.03, 0.09), canvas.draw(0.02, 0.12)
    uneven = 0.02 * smooth_noise(canvas.generator, canvas.n, canvas.size, 6)
    level = outside + uneven
    _layers(canvas, level - gap - skull - scalp, level - gap - skull, level - gap, modality, canvas.draw(0, 1) < 0.6)
    canvas.paint(canvas.cover(level - gap), _fluid(canvas, modality))


def scatter_details(canvas: Canvas, room: Tensor, modality: str) -> None:
    """Paint small things within a room, bone and air among them: in some images many, in some none."""
    crowd = canvas.draw(0, 1)
    for _ in range(DETAILS):
        _leaf(canvas, room * (canvas.draw(0, 1) < crowd), modality, small=True)


def finished(canvas: Canvas, modality: str) -> Tensor:
    """The canvas as images: faint texture, uneven brightness of MRI, nothing outside the circle, (n, 1, size, size)."""
    generator, n, size = canvas.generator, canvas.n, canvas.size
    texture = 1 + 0.02 * canvas.draw(0, 1) * torch.randn(n, size, size, generator=generator)
    image = canvas.image * texture
    if modality == "mri":
        image = image * torch.exp(0.15 * smooth_noise(generator, n, size, 3))
    line = (torch.arange(size) - size // 2).float()
    circle = line[:, None] ** 2 + line**2 < (INSIDE * size / 2) ** 2
    return (image * circle).clamp(0, 1)[:, None]


# what bodies are made of


def _hu(value: Tensor | float) -> Tensor | float:
    return (value + 1000) / 3000


def _bone(canvas: Canvas, modality: str) -> Tensor:
    return _hu(canvas.draw(500, 1700)) if modality == "ct" else canvas.draw(0.0, 0.15)  # type: ignore[return-value]


def _fat(canvas: Canvas, modality: str) -> Tensor:
    return _hu(canvas.draw(-120, 60)) if modality == "ct" else canvas.draw(0.3, 1.0)  # type: ignore[return-value]


def _fluid(canvas: Canvas, modality: str) -> Tensor:
    return _hu(canvas.draw(0, 15)) if modality == "ct" else canvas.draw(0.05, 0.35)  # type: ignore[return-value]


def _tissue(canvas: Canvas, modality: str) -> Tensor:
    """Soft tissue; a share of CT phantoms has any contrast, so that a net does not learn that there is none."""
    if modality == "mri":
        return canvas.draw(0.15, 1.0)
    wild = canvas.draw(0, 1) < 0.3
    return _hu(torch.where(wild, canvas.draw(-300, 700), canvas.draw(0, 100)))  # type: ignore[return-value]


def head_rest(canvas: Canvas) -> None:
    """A thin arc that a head lies on, in every other phantom."""
    far = canvas.radius((canvas.draw(-0.05, 0.05), canvas.draw(-0.2, 0.1)), (canvas.draw(0.85, 0.98),) * 2, canvas.draw(0, 1))
    arc = canvas.cover((far - 1).abs() - canvas.draw(0.004, 0.02)) * canvas.cover(canvas.y + canvas.draw(0.1, 0.8))
    canvas.paint(arc * (canvas.draw(0, 1) < 0.5), _hu(canvas.draw(-700, 300)))


def _shells(canvas: Canvas, body: Tensor, modality: str) -> Tensor:
    """Skin and fat, in most bodies a ring of bone, soft tissue within; returns the level function of the room inside."""
    has_bone = canvas.draw(0, 1) < 0.7
    scalp, skull = canvas.draw(0.02, 0.15), canvas.draw(0.03, 0.14) * has_bone
    uneven = 0.02 * smooth_noise(canvas.generator, canvas.n, canvas.size, 6)
    middle = body - 1 + scalp + uneven
    inner = middle + skull
    _layers(canvas, body - 1, middle, inner, modality, canvas.draw(0, 1) < 0.5)
    canvas.paint(canvas.cover(inner), _tissue(canvas, modality))
    return inner


def _layers(canvas: Canvas, skin: Tensor, bone: Tensor, inside: Tensor, modality: str, has_marrow: Tensor) -> None:
    """Scalp, bone, and marrow in the middle of the bone where there is any."""
    canvas.paint(canvas.cover(skin), _fat(canvas, modality))
    canvas.paint(canvas.cover(bone), _bone(canvas, modality))
    marrow = canvas.cover(bone * 0.5 + inside * 0.5) * canvas.cover(-inside * 0.75 - bone * 0.25)
    value = _hu(canvas.draw(100, 700)) if modality == "ct" else canvas.draw(0.2, 0.9)
    canvas.paint(marrow * has_marrow, value)


def _folded_tissue(canvas: Canvas, room: Tensor, modality: str) -> None:
    """Folds like a brain's: two level sets of smooth noise, one a second tissue, one thin furrows."""
    knots = int(canvas.rng.integers(6, 22))
    field = smooth_noise(canvas.generator, canvas.n, canvas.size, knots)
    present = canvas.draw(0, 1) < 0.7
    canvas.paint(canvas.cover(field - canvas.draw(-0.8, 0.8)) * room * present, _tissue(canvas, modality))
    furrows = canvas.cover((field - canvas.draw(-0.3, 0.3)).abs() - canvas.draw(0.02, 0.3))
    canvas.paint(furrows * room * present * (canvas.draw(0, 1) < 0.7), _fluid(canvas, modality))


def _leaf(canvas: Canvas, room: Tensor, modality: str, small: bool) -> None:
    """One ellipse inside: tissue, or if small also bone and air."""
    least, most = (0.03, 0.2) if small else (0.06, 0.6)
    u = canvas.draw(0, 1)
    length = least / (1 - u * (1 - least / most))  # density falls as 1 / length**2
    axes = (length, length * canvas.draw(0.25, 1))
    centre = (0.35 * canvas.normal(), 0.35 * canvas.normal())
    shape = canvas.cover(canvas.radius(centre, axes, canvas.draw(0, math.pi)) - 1)
    value = _tissue(canvas, modality)
    if small:
        kind = canvas.draw(0, 1)
        air = torch.zeros(()) if modality == "ct" else canvas.draw(0, 0.05)
        value = torch.where(kind < 0.35, air, torch.where(kind < 0.75, _bone(canvas, modality), value))
    canvas.paint(shape * room * (canvas.draw(0, 1) < 0.6), value)
