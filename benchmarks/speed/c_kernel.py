"""The two integrations that are compared: the batch kernel's tile loop alone, and the same in C, built where gcc is."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from medsim.core import kernels as k
from medsim.core.compile import Binder, parts_of
from medsim.core.cpu_records import record_intrinsics
from medsim.core.model import Model, View, field_count
from medsim.core.records import block_fields, block_offset

SOURCE = Path(__file__).with_name("glucose_kernel.c")
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-trapping-math", "-shared", "-fPIC")
Integrate = Callable[[npt.NDArray[np.float64], float, int], None]  # (block, step length, steps): moves the state of every tile


def why_no_c_kernel() -> str | None:
    """Return why the C kernel cannot be built here, or None if it can."""
    return None if shutil.which("gcc") else "there is no gcc on this machine to build the C kernel with"


def definitions(model: Model) -> list[str]:
    """Return where the C source finds each number, as compiler options."""
    options = [f"-DWIDTH={k.WIDTH}", f"-DFIELDS={block_fields(model)}", f"-DSTATES={field_count(model.state)}"]
    for prefix, record in (("S", "state"), ("P", "params"), ("U", "drive")):
        first = block_offset(model, record)
        options += [f"-D{prefix}_{name}={first + i}" for i, name in enumerate(getattr(model, record).__annotations__)]
    return options


def c_integrate(model: Model, folder: Path, lanes: int = 8) -> Integrate:
    """Return the C kernel, built into ``folder``, for ``lanes`` patients at a time.

    Raises:
        subprocess.CalledProcessError: gcc refused the source.
    """
    library = folder / f"glucose_kernel_{lanes}.so"
    command = ["gcc", *FLAGS, f"-DLANES={lanes}", *definitions(model), str(SOURCE), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    function = ctypes.CDLL(str(library)).integrate
    function.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_double, ctypes.c_long]
    function.restype = None

    def integrate(block: npt.NDArray[np.float64], h: float, steps: int) -> None:
        assert block.flags.c_contiguous
        function(block.ctypes.data, len(block), h, steps)

    return integrate


def batch_integrate(model: Model, view: View) -> Integrate:
    """Return the batch kernel's loop over the lanes of a tile alone, compiled as ``medsim.core.compile`` compiles it."""

    def inner(function: Any) -> Any:
        return numba.njit(forceinline=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)

    advance_tile = Binder(parts_of(model, view, record_intrinsics(model, view)), inner).bind(k.advance_tile)

    def integrate(block: npt.NDArray[np.float64], h: float, steps: int) -> None:
        for tile in range(block.shape[0]):
            row = block[tile]
            for _ in range(steps):
                advance_tile(row, 0.0, h)  # Runge-Kutta reads no settings

    compiled: Integrate = numba.njit(error_model="numpy")(integrate)
    return compiled
