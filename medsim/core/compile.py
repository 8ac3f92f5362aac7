"""Turn a model into kernels: plain Python, compiled for the CPU, or as device functions for a GPU.

The kernels and the model's functions are ordinary Python functions. ``bind`` rebuilds each of them, and all that they call, with
its global names resolved for one model and one backend, and hands them to a compiler. Numba caches machine code by source file
and does not notice when a function in another file changes, so each set of kernels is cached under a file whose name is a hash
of the byte code and the constants of every function in it: change any of them and it is compiled afresh.
"""

import dis
import hashlib
import math
import os
import sys
import tempfile
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsim.core import kernels
from medsim.core.inlining import is_compiled_once
from medsim.core.model import Model, View
from medsim.core.records import source_for

__all__ = ["Kernels", "cache_file", "cache_folder", "compiled_together", "cpu_kernels", "jit_enabled", "python_kernels"]

Compiler = Callable[[types.FunctionType], Any]
ENTRY_POINTS = ("step_lanes", "step_tiles", "step_tiles_parallel", "reset_lanes")


def jit_enabled() -> bool:
    """Return whether kernels are compiled; ``MEDSIM_JIT=0`` in the environment runs them as plain Python.

    Raises:
        ValueError: MEDSIM_JIT is neither 0 nor 1.
    """
    value = os.environ.get("MEDSIM_JIT", "1")
    if value not in ("0", "1"):
        raise ValueError(f"the environment variable MEDSIM_JIT must be 0 or 1, not {value!r}")
    return value == "1"


def cache_folder() -> Path:
    """Return the folder of compiled kernels: ``MEDSIM_CACHE_DIR``, else the user's cache, else a temporary one if that is read-only."""
    chosen = os.environ.get("MEDSIM_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medsim"
    for folder in [Path(chosen)] if chosen else [home, Path(tempfile.gettempdir()) / f"medsim-{os.getuid()}"]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    raise OSError(f"no folder to keep compiled kernels in: cannot write {chosen or home}; set MEDSIM_CACHE_DIR to one that can be written")


def names_read(code: types.CodeType) -> list[str]:
    """Return the global names that a function reads, in order of use."""
    return list(dict.fromkeys(i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")))


class Binder:
    """Rebuilds functions for one model and one backend, each once, and keeps a digest of all that went into them."""

    def __init__(self, parts: dict[str, Any], compiler: Compiler) -> None:
        self.parts = parts
        self.compiler = compiler
        self.bound: dict[types.FunctionType, Any] = {}
        self.digest = hashlib.sha256()

    def bind(self, function: types.FunctionType) -> Any:
        """Return the function compiled, with every function that it calls."""
        if function not in self.bound:
            self.bound[function] = self.compiler(self.rebuild(function))
        return self.bound[function]

    def rebuild(self, function: types.FunctionType) -> types.FunctionType:
        """Return the function with its globals resolved: the model's parts first, then what stands in its own module."""
        code = function.__code__
        self.note(code.co_name, code.co_code.hex(), repr(code.co_consts), repr(code.co_names), repr(code.co_varnames))
        scope: dict[str, Any] = {"__builtins__": __builtins__, "__name__": function.__module__}
        for name in names_read(code):
            if name in self.parts or name in function.__globals__:
                scope[name] = self.resolve(name, self.parts.get(name, function.__globals__.get(name)))
        rebuilt = types.FunctionType(code, scope, function.__name__, function.__defaults__)
        rebuilt.__dict__.update(function.__dict__)
        return rebuilt

    def resolve(self, name: str, value: Any) -> Any:
        """Return a global's value for the backend, noting it in the digest."""
        if isinstance(value, types.FunctionType):
            return self.bind(value)
        if isinstance(value, types.ModuleType) and value is not math and name not in self.parts:
            raise TypeError(f"a model's function reads {name!r}, a module: import the functions that it needs by name instead")
        if isinstance(value, type) and hasattr(value, "_fields"):
            self.note(value.__qualname__, repr(value._fields))
        elif isinstance(value, (int, float, bool, str, tuple)):
            self.note(name, repr(value))
        return value

    def note(self, *facts: str) -> None:
        """Add facts to the digest."""
        self.digest.update("\0".join(facts).encode())


def records_in(model: Model) -> dict[str, Any]:
    """Return every record class of the model by name, those within others too."""
    found: dict[str, Any] = {}
    waiting: list[Any] = [
        model.state, model.drive, model.params, model.memory, model.settings, model.action,
        model.reward_terms, model.costs, model.measures,
    ]  # fmt: skip
    while waiting:
        record = waiting.pop()
        found[record.__name__] = record
        waiting += [kind for kind in record.__annotations__.values() if isinstance(kind, type) and issubclass(kind, tuple)]
    return found


def parts_of(model: Model, view: View, more: dict[str, Any]) -> dict[str, Any]:
    """Return what the names declared in ``kernels`` stand for: the model's functions and its record functions."""
    namespace = {**records_in(model), "__name__": "medsim.core.records"}
    exec(compile(source_for(model, view), f"<records of {model.name}>", "exec"), namespace)
    functions = {name: value for name, value in namespace.items() if isinstance(value, types.FunctionType)}
    names = ("pick", "recruit", "control", "interval", "sense", "judge", "measure")
    chosen = {name: getattr(model, name) for name in names}
    chosen["advance"] = model.advance or kernels.rk4
    if model.derivative is not None:
        chosen["derivative"] = model.derivative
    return {**functions, **chosen, "view": view.function, "interval_length": model.interval_length, **more}


@dataclass(frozen=True)
class Kernels:
    """The entry points of ``medsim.core.kernels`` for one model, view and backend."""

    step_lanes: Callable[..., None]
    step_tiles: Callable[..., None]
    step_tiles_parallel: Callable[..., None]
    reset_lanes: Callable[..., None]
    compiled: bool


def python_kernels(model: Model, view: View) -> Kernels:
    """Return the kernels as plain Python: slow, and with every line open to a debugger."""
    binder = Binder(parts_of(model, view, {"prange": range}), lambda function: function)
    entries = {name: binder.bind(getattr(kernels, name)) for name in ENTRY_POINTS}
    return Kernels(**entries, compiled=False)


def cpu_kernels(model: Model, view: View) -> Kernels:
    """Return the kernels for the CPU; each is compiled when it is first called, or loaded from the cache."""
    import numba

    from medsim.core import cpu_bits, cpu_records

    more = {"prange": numba.prange, **cpu_records.record_intrinsics(model, view), **cpu_bits.BIT_INTRINSICS}
    binder = Binder(parts_of(model, view, more), inlined)
    binder.note(numba.__version__, sys.version, source_for(model, view))
    binder.note(*(Path(file).read_text(encoding="utf-8") for file in (__file__, cpu_records.__file__, cpu_bits.__file__)))
    rebuilt = {name: binder.rebuild(_function(name)) for name in ENTRY_POINTS}
    text = f'"""Kernels of the {model.name} model are cached beside this file; its record functions:"""\n\n{source_for(model, view)}'
    home = cache_file(model.name, binder.digest.hexdigest()[:16], text)
    entries: dict[str, Any] = {}
    for name, function in rebuilt.items():
        filed = types.FunctionType(function.__code__.replace(co_filename=str(home)), function.__globals__, name, function.__defaults__)
        compiler = numba.njit(cache=True, error_model="numpy", nogil=True, parallel=name == "step_tiles_parallel")
        entries[name] = _announced(compiler(filed), name, model.name, home)
    return Kernels(**entries, compiled=True)


def inlined(function: types.FunctionType) -> Any:
    """Return a function compiled to be copied into its callers, or, if it is marked so, to be called by them."""
    import numba

    # without wrappers, which only a caller in Python needs (half the compile time), and without reference counts: no array is made
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy", "_nrt": False}
    return _for_any_constant(numba.njit(forceinline=not is_compiled_once(function), **options)(function))


def compiled_together(name: str, *entries: Any, parallel: tuple[Any, ...] = (), copied: bool = False) -> dict[str, Any]:
    """Return functions compiled, with what they call, and kept in a cache whose name is a hash of all their code.

    With ``copied``, what they call is copied into them, as in the kernels of a ``Model``: records of many arrays are then no arguments.
    Such functions make no arrays but views.
    """
    import numba

    from medsim.core import cpu_bits

    def called(function: types.FunctionType) -> Any:
        return numba.njit(error_model="numpy", nogil=True)(function)

    binder = Binder({"prange": numba.prange, **(cpu_bits.BIT_INTRINSICS if copied else {})}, inlined if copied else called)
    binder.note(numba.__version__, sys.version)
    if copied:
        binder.note(*(Path(file).read_text(encoding="utf-8") for file in (__file__, cpu_bits.__file__)))
    rebuilt = {function.__name__: binder.rebuild(function) for function in (*entries, *parallel)}
    home = str(cache_file(name, binder.digest.hexdigest()[:16], f'"""Kernels of {name} are cached beside this file."""\n'))
    made = {}
    for label, function in rebuilt.items():
        filed = types.FunctionType(function.__code__.replace(co_filename=home), function.__globals__, label, function.__defaults__)
        threaded = label in {one.__name__ for one in parallel}
        options = {"_nrt": False} if copied else {}  # what is copied in counts no references, so nor may the function around it
        dispatcher = numba.njit(cache=True, error_model="numpy", nogil=True, parallel=threaded, **options)(filed)
        made[label] = _announced(dispatcher, label, name.replace("_", " "), Path(home)) if copied else dispatcher
    return made


def _for_any_constant(dispatcher: Any) -> Any:
    """Return the dispatcher, kept from being compiled again for every constant that it is called with."""
    from numba import types as kinds

    resolve = dispatcher.get_call_template
    dispatcher.get_call_template = lambda args, kws: resolve(tuple(kinds.unliteral(arg) for arg in args), kws)
    return dispatcher


def _function(name: str) -> types.FunctionType:
    function: types.FunctionType = getattr(kernels, name)
    return function


def cache_file(name: str, digest: str, text: str) -> Path:
    """Return the file beside which machine code is cached, written whole, with a text for who looks at it, if it is not there."""
    folder = cache_folder() / "kernels"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}_{digest}.py"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    return path


def _announced(dispatcher: Any, name: str, model_name: str, home: Path) -> Callable[..., Any]:
    """Return the kernel; if its machine code is not in the cache yet, say on stderr, at its first call, that it is being compiled."""
    if any((home.parent / "__pycache__").glob(f"{home.stem}.{name}-*.nbi")):
        return dispatcher  # type: ignore[no-any-return]

    said = False

    def first_call(*arguments: Any) -> Any:
        nonlocal said
        if not said:
            text = f"medsim: compiling the {model_name} model ({name}) for this machine, once; up to half a minute"
            print(text, file=sys.stderr, flush=True)
            said = True
        return dispatcher(*arguments)

    return first_call
