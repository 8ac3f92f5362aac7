"""Images: a camera looks at the hidden patient now and then, and its latest picture stands beside the chart.

A task with a ``Camera`` is observed as the dict of its chart (``medsim.core.charts``) with two more arrays:

===============  ==========  ================================================================================
``image``        its shape   the latest picture, uint8, channel first; black before the first
``image_age_h``  (1,)        hours since it was taken; ``NEVER_H`` if there is none
===============  ==========  ================================================================================

The first picture is taken when an episode begins, unless only the agent orders them, and the next ones as the camera's schedule or the
agent's action says. Nothing is rendered in between: a step without a picture costs what it costs without a camera. A picture is a function
of the hidden state and of the patient's random stream at that hour, so that a patient's pictures are the same alone and in any batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from medsim.core import kernels as k
from medsim.core.charts import NEVER_H, Chart, ChartedBatch
from medsim.core.model import Model, View, field_names

__all__ = ["Camera", "ImagedBatch"]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What takes pictures of patients.

    Args:
        shape: of a picture, channel first.
        sees: names of the fields of the model's state and of its parameters that make the picture.
        take: (what it sees, name -> (m,); keys, (m, 5) int64: seed_low, seed_high, slot, episode, hour) -> (m, *shape) uint8.
        every_h: hours between pictures, the first when the episode begins; None: none but those that are ordered.
        ordered: (actions as the model takes them, (n, numbers)) -> (n,) bool: who gets one at the end of this step; None: nobody.
    """

    shape: tuple[int, ...]
    sees: tuple[str, ...]
    take: Callable[[Mapping[str, Array], npt.NDArray[np.int64]], npt.NDArray[np.uint8]]
    every_h: float | None
    ordered: Callable[[npt.NDArray[np.float64]], Mask] | None = None

    def observation_space(self, chart: Chart) -> spaces.Dict:
        """Return the space of one observation: the chart's, and the picture's."""
        pictures: dict[str, spaces.Space[Any]] = {
            "image": spaces.Box(0, 255, self.shape, np.uint8),
            "image_age_h": spaces.Box(0.0, NEVER_H, (1,), np.float32),
        }
        return spaces.Dict({**chart.observation_space().spaces, **pictures})

    def due(self, age_h: npt.NDArray[np.float32], actions: npt.NDArray[np.float64] | None) -> Mask:
        """Return of whom a picture is taken now, given the age of the latest and, unless the episode begins, the action."""
        scheduled = np.zeros(len(age_h), dtype=np.bool_) if self.every_h is None else age_h >= self.every_h
        return scheduled if actions is None or self.ordered is None else scheduled | self.ordered(actions)


class ImagedBatch(ChartedBatch):
    """The patients of a task with a chart and a camera.

    Attributes:
        images: the latest picture of each, (n, *shape); image_time_h: when it was taken, (n,), -NEVER_H if there is none.
    """

    def __init__(self, model: Model, view: View, n: int, settings: Any, chart: Chart, step_h: float, camera: Camera, *,
                 mode: int = k.NEXT_STEP, threads: int = 1) -> None:  # fmt: skip
        super().__init__(model, view, n, settings, chart, step_h, mode=mode, threads=threads)
        self.camera = camera
        self.images = np.zeros((n, *camera.shape), dtype=np.uint8)
        self.image_time_h = np.full(n, -NEVER_H, dtype=np.float32)

    def observation(self) -> dict[str, Array]:
        """Return what agents see now, (n, ...) each: copies."""
        return super().observation() | self.pictures(slice(None))

    def observation_of_one(self) -> dict[str, Array]:
        """Return what the agent of the first patient sees now: copies."""
        return super().observation_of_one() | self.pictures(0)

    def pictures(self, who: Any) -> dict[str, Array]:
        """Return the pictures of the patients ``who`` and their age: copies."""
        age_h = np.minimum(self.obs[who, 0] - self.image_time_h[who], np.float32(NEVER_H))
        return {"image": self.images[who].copy(), "image_age_h": np.asarray(age_h, dtype=np.float32)[..., None]}

    def _begin(self, mask: Mask, clear: bool) -> None:
        finals = {} if clear else self.pictures(np.flatnonzero(mask))
        super()._begin(mask, clear)
        self.final_windows = self.final_windows | finals
        self.images[mask], self.image_time_h[mask] = 0, -NEVER_H
        self._look(mask, None)

    def _step_kernel(self) -> None:
        running = self.ids[:, k.ENDED] == 0
        super()._step_kernel()
        self._look(running, self.actions)

    def step_one(self) -> None:
        """Step a batch of one patient."""
        super().step_one()
        self._look(np.ones(1, dtype=np.bool_), self.actions)

    def _look(self, who: Mask, actions: npt.NDArray[np.float64] | None) -> None:
        """Take the pictures that are due of the patients ``who``."""
        time_h = self.obs[:, 0]
        due = np.flatnonzero(who & self.camera.due(time_h - self.image_time_h, actions))
        if len(due) == 0:
            return
        keys = np.empty((len(due), 5), dtype=np.int64)
        keys[:, :4] = self.ids[due][:, [k.SEED_LOW, k.SEED_HIGH, k.SLOT, k.EPISODE]]
        keys[:, 4] = np.rint(time_h[due])
        self.images[due] = self.camera.take(self._seen(due), keys)
        self.image_time_h[due] = time_h[due]

    def _seen(self, who: npt.NDArray[np.intp]) -> dict[str, Array]:
        """Return what the camera sees of some patients."""
        seen: dict[str, Array] = {}
        for record in ("state", "params"):
            names = field_names(getattr(self.model, record))
            seen |= {name: self.fields(record, name, who) for name in self.camera.sees if name in names}
        return seen

    def snapshot(self) -> dict[str, Array]:
        """Return a copy of everything that the course from here on depends on."""
        return {**super().snapshot(), "images": self.images.copy(), "image_time_h": self.image_time_h.copy()}

    def restore(self, snapshot: dict[str, Array]) -> None:
        """Return to a snapshot of a batch of the same shape."""
        super().restore(snapshot)
        self.images[...], self.image_time_h[...] = snapshot["images"], snapshot["image_time_h"]
