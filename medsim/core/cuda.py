"""A batch of patients on an NVIDIA GPU: the same functions as device code, one thread a patient.

Needs the extra ``gpu`` (numba-cuda). Without a GPU, ``NUMBA_ENABLE_CUDASIM=1`` in the environment runs the same kernels in
Numba's CUDA simulator, which the tests do. Buffers stay on the GPU; each implements ``__cuda_array_interface__``, so
``torch.as_tensor(batch.obs, device="cuda")`` shares its memory without a copy.

The course on a GPU is not promised to equal the CPU's to the bit: a GPU's compiler fuses multiplications and additions.
"""

import types
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core import kernels as k
from medsim.core.compile import Binder, parts_of
from medsim.core.kernels import ENDED, NEXT_STEP, SAME_STEP, reset_lanes, step_lanes
from medsim.core.model import Model, View
from medsim.core.records import block_fields, out_rows
from medsim.core.streams import seed_words

__all__ = ["CudaBatch", "cuda_kernels"]

Array = Any
THREADS_PER_BLOCK = 128

cuda: Any  # Numba's module, filled in by ``cuda_kernels``


def step_thread(mode: int, mask: Array, block: Array, ids: Array, settings: Array, table: Array, actions: Array, obs: Array,
                out: Array, ends: Array, final_obs: Array) -> None:  # fmt: skip
    """Step the patient of this thread; begin the next episode as the mode says. ``mask`` is all true."""
    i = cuda.grid(1)
    if i >= ids.shape[0]:
        return
    if ids[i, ENDED] != 0:
        if mode == NEXT_STEP:
            reset_lanes(i, i + 1, mask, True, block, ids, settings, table, obs, out, ends)
        return
    step_lanes(i, i + 1, block, ids, settings, actions, obs, out, ends)
    if mode == SAME_STEP and ids[i, ENDED] != 0:
        for column in range(obs.shape[1]):
            final_obs[i, column] = obs[i, column]
        reset_lanes(i, i + 1, mask, False, block, ids, settings, table, obs, out, ends)


def reset_thread(mask: Array, block: Array, ids: Array, settings: Array, table: Array, obs: Array, out: Array, ends: Array) -> None:
    """Begin the next episode of the patient of this thread if the mask says so."""
    i = cuda.grid(1)
    if i < ids.shape[0]:
        reset_lanes(i, i + 1, mask, True, block, ids, settings, table, obs, out, ends)


def cuda_kernels(model: Model, view: View) -> tuple[Any, Any]:
    """Return the step and reset kernels for a GPU.

    Raises:
        ImportError: numba-cuda is not installed.
    """
    try:
        from numba import cuda as numba_cuda
    except ImportError as error:
        raise ImportError("GPU kernels need numba-cuda: pip install 'medsim[gpu]'") from error

    def device(function: types.FunctionType) -> Any:
        return numba_cuda.jit(device=True)(function)

    binder = Binder(parts_of(model, view, {"cuda": numba_cuda}), device)
    return numba_cuda.jit(binder.rebuild(_plain(step_thread))), numba_cuda.jit(binder.rebuild(_plain(reset_thread)))


def _plain(function: Any) -> types.FunctionType:
    assert isinstance(function, types.FunctionType)
    return function


class CudaBatch:
    """The patients of an environment on a GPU; arrays of ``medsim.core.batch.Batch``, as device arrays.

    Args:
        model: the model; view: what is observed; n: how many patients; settings: a record of ``model.settings``;
        mode: NEXT_STEP, SAME_STEP or DISABLED of ``core.kernels``.
    """

    def __init__(self, model: Model, view: View, n: int, settings: Any, *, mode: int = NEXT_STEP) -> None:
        from numba import cuda as numba_cuda

        self.model, self.view, self.n, self.mode = model, view, n, mode
        self.grid = -(-n // THREADS_PER_BLOCK)
        self._step, self._reset = cuda_kernels(model, view)
        names, table = model.patients()
        send = numba_cuda.to_device
        tiles = -(-n // k.WIDTH)
        self.names = names
        self.table, self.settings = send(table), send(np.array(settings, dtype=np.float64))
        self.block = send(np.ones((tiles, block_fields(model) * k.WIDTH)))
        self.actions = send(np.zeros((n, len(model.action.__annotations__))))
        self.obs = send(np.zeros((n, len(view.names)), dtype=np.float32))
        self.final_obs = send(np.zeros((n, len(view.names)), dtype=np.float32))
        self.out = send(np.zeros((out_rows(model), n)))
        self.ends = send(np.zeros((2, n), dtype=np.bool_))
        self.everyone = send(np.ones(n, dtype=np.bool_))
        self.send = send
        self.seed(0)

    def seed(self, seeds: int | Sequence[int], slots: Sequence[int] | npt.NDArray[np.int64] | None = None) -> None:
        """Key the random streams, as ``Batch.seed`` does."""
        ids = np.zeros((self.n, k.ID_COLUMNS), dtype=np.int64)
        pairs = [seed_words(seed) for seed in seeds] if isinstance(seeds, Sequence) else [seed_words(seeds)] * self.n
        ids[:, k.SEED_LOW], ids[:, k.SEED_HIGH] = [low for low, _ in pairs], [high for _, high in pairs]
        ids[:, k.SLOT] = np.arange(self.n) if slots is None else slots
        ids[:, k.EPISODE], ids[:, k.NAMED_ROW] = -1, -1
        self.ids = self.send(ids)

    def reset(self, mask: npt.NDArray[np.bool_] | None = None) -> None:
        """Begin the next episode of every patient, or of those whose mask is set."""
        chosen = self.everyone if mask is None else self.send(mask)
        arrays = (self.block, self.ids, self.settings, self.table, self.obs, self.out, self.ends)
        self._reset[self.grid, THREADS_PER_BLOCK](chosen, *arrays)

    def step(self) -> None:
        """Step every patient with ``self.actions``, a device array that the caller fills."""
        arrays = (self.block, self.ids, self.settings, self.table, self.actions, self.obs, self.out, self.ends, self.final_obs)
        self._step[self.grid, THREADS_PER_BLOCK](self.mode, self.everyone, *arrays)
