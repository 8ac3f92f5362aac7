"""The loops over slices, compiled, or run as plain Python with ``MEDSIM_JIT=0``."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from medsim.core.compile import compiled_together, jit_enabled
from medsim.core.inlining import compiled_once
from medsim.core.streams import Key
from medsim.imaging.brain_slice import BRAIN_FIELD_MM, paint_brain
from medsim.imaging.ct_slice import CT_FIELD_MM, paint_ct
from medsim.imaging.draws import fill_texture, fill_uniform
from medsim.imaging.slice_canvas import Canvas, average_down

__all__ = ["slice_kernels"]

CT, BRAIN, WARP = 2_000_010, 2_000_011, 2_000_012  # streams; see ``draws``


def render_cts(keys: Any, regions: Any, tumours: Any, c: Canvas, u: Any, images: Any, masks: Any, factors: Any) -> None:
    """Render slices; regions: (n,) 0 thorax, 1 abdomen, -1 drawn; tumours: (n, 4) mm, x, y, whether placed; u: (256,) to work in."""
    for n in range(keys.shape[0]):
        begin(keys[n], CT, c, u)
        abdomen = u[255] < 0.5 if regions[n] < 0 else regions[n] == 1
        paint_ct(c, u, abdomen, tumours[n, 0], tumours[n, 1], tumours[n, 2], tumours[n, 3] > 0.0, factors[n])
        factors[n, 5] = CT_FIELD_MM / images.shape[2]
        average_down(c, images[n, 0], masks[n])


def render_brains(keys: Any, tumours: Any, c: Canvas, u: Any, images: Any, masks: Any, factors: Any) -> None:
    """Render slices of brains; arguments as for CT."""
    for n in range(keys.shape[0]):
        begin(keys[n], BRAIN, c, u)
        paint_brain(c, u, tumours[n, 0], tumours[n, 1], tumours[n, 2], tumours[n, 3] > 0.0, factors[n])
        factors[n, 6] = BRAIN_FIELD_MM / images.shape[2]
        average_down(c, images[n, 0], masks[n])


@compiled_once
def begin(row: Any, stream: int, c: Canvas, u: Any) -> None:
    """Draw what a patient's slice is made from."""
    key = Key(int(row[0]), int(row[1]), int(row[2]), int(row[3]), int(row[4]))
    fill_uniform(key, stream, u)
    fill_texture(key, WARP + 16 * stream, c.tile)
    fill_texture(key, WARP + 16 * stream + 1, c.tile_x)
    fill_texture(key, WARP + 16 * stream + 2, c.tile_y)


@lru_cache(maxsize=2)
def kernels_of(compiled: bool) -> dict[str, Callable[..., Any]]:
    """Return the kernels of one kind by name, the same ones each time."""
    entries = (render_cts, render_brains)
    return compiled_together("imaging_slices", *entries, copied=True) if compiled else {e.__name__: e for e in entries}


def slice_kernels() -> dict[str, Callable[..., Any]]:
    """Return the kernels for this process."""
    return kernels_of(jit_enabled())
