"""The record functions of ``medsim.core.records`` as compiler intrinsics: the same moves, in a fraction of the compile time.

Numba would otherwise type, check and optimise every ``float(row[17 * WIDTH + lane])`` by itself, a hundred to a patient.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from medsim.core.kernels import WIDTH
from medsim.core.model import Model, Record, View
from medsim.core.records import MOMENTS, block_offset, block_records

__all__ = ["record_intrinsics"]


def numba_type(record: Record) -> Any:
    """Return Numba's type of a record of floats."""
    kinds = [numba_type(kind) if issubclass(kind, tuple) else types.float64 for kind in record.__annotations__.values()]
    return types.BaseTuple.from_types(kinds, record)


def load_values(context: Any, builder: Any, kind: Any, read: Callable[[], Any]) -> Any:
    """Emit the construction of a record, each float by ``read()`` in order."""
    if isinstance(kind, types.BaseTuple):
        return context.make_tuple(builder, kind, [load_values(context, builder, part, read) for part in kind])
    return read()


def store_values(context: Any, builder: Any, kind: Any, value: Any, element: Any, write: Callable[[Any], None]) -> None:
    """Emit the storing of a record, each number by ``write(value)`` in order, converted to the array's element type."""
    if isinstance(kind, types.BaseTuple):
        for k, part in enumerate(kind):
            store_values(context, builder, part, builder.extract_value(value, k), element, write)
    else:
        write(context.cast(builder, value, kind, element))


class Cursor:
    """Walks through an array's elements: every ``stride``-th from ``base``."""

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any, base: Any, first: int, stride: int) -> None:
        self.builder, self.stride, self.position = builder, stride, first * stride
        self.integer = context.get_constant(types.intp, 0).type
        data = context.make_array(array_type)(context, builder, array).data
        self.pointer = builder.gep(data, [base])

    def next(self) -> Any:
        """Return a pointer to the next element."""
        pointer = self.builder.gep(self.pointer, [self.integer(self.position)], inbounds=True)
        self.position += self.stride
        return pointer


def row_base(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return the flat position of row ``index`` of a (rows, columns) array that is contiguous."""
    shape = context.make_array(array_type)(context, builder, array).shape
    return builder.mul(index, builder.extract_value(shape, array_type.ndim - 1))


def loader(record: Record, first: int, stride: int, by_row: bool) -> Any:
    """Return ``load(array, index)``: a record at lane ``index`` of a tile's row, or at row ``index`` of a table."""
    kind = numba_type(record)

    @intrinsic  # type: ignore[untyped-decorator]
    def load(typing: Any, array: Any, index: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            base = context.cast(builder, arguments[1], signature.args[1], types.intp)
            if by_row:
                base = row_base(context, builder, signature.args[0], arguments[0], base)
            cursor = Cursor(context, builder, signature.args[0], arguments[0], base, first, stride)
            return load_values(context, builder, kind, lambda: builder.load(cursor.next()))

        return kind(array, index), emit

    return load


def settings_loader(record: Record) -> Any:
    """Return ``load(array)``: the record that fills a one-dimensional array."""
    kind = numba_type(record)

    @intrinsic  # type: ignore[untyped-decorator]
    def load(typing: Any, array: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            zero = context.get_constant(types.intp, 0)
            cursor = Cursor(context, builder, signature.args[0], arguments[0], zero, 0, 1)
            return load_values(context, builder, kind, lambda: builder.load(cursor.next()))

        return kind(array), emit

    return load


def storer(first: int, stride: int, by_row: bool, skip: tuple[bool, ...] = ()) -> Any:
    """Return ``store(array, index, record)``; ``skip`` says of each outer field whether it is passed over."""

    @intrinsic  # type: ignore[untyped-decorator]
    def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            base = context.cast(builder, arguments[1], signature.args[1], types.intp)
            if by_row:
                base = row_base(context, builder, signature.args[0], arguments[0], base)
            cursor = Cursor(context, builder, signature.args[0], arguments[0], base, first, stride)
            element = signature.args[0].dtype

            def write(number: Any) -> None:
                builder.store(number, cursor.next())

            if not skip:
                store_values(context, builder, signature.args[2], arguments[2], element, write)
            for k, passed_over in enumerate(skip):
                part = signature.args[2][k]
                if passed_over:
                    cursor.position += stride * (len(part) if isinstance(part, types.BaseTuple) else 1)
                else:
                    store_values(context, builder, part, builder.extract_value(arguments[2], k), element, write)
            return context.get_dummy_value()

        return types.void(array, index, value), emit

    return store


def combination(record: Record, emit_one: Callable[..., Any], operands: int) -> Any:
    """Return a function of (x, h, k, ...) that makes a flat record of floats from records, number by number, by ``emit_one``."""
    kind = numba_type(record)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, h, *slopes = arguments
        numbers = [
            emit_one(builder, builder.extract_value(x, i), h, *(builder.extract_value(slope, i) for slope in slopes))
            for i in range(len(kind))
        ]
        return context.make_tuple(builder, kind, numbers)

    if operands == 1:

        @intrinsic  # type: ignore[untyped-decorator]
        def combine(typing: Any, x: Any, h: Any, k: Any) -> Any:
            return kind(kind, types.float64, kind), emit
    else:

        @intrinsic  # type: ignore[untyped-decorator]
        def combine(typing: Any, x: Any, h: Any, k1: Any, k2: Any, k3: Any, k4: Any) -> Any:
            return kind(kind, types.float64, kind, kind, kind, kind), emit

    return combine


def emit_axpy(builder: Any, x: Any, h: Any, k: Any) -> Any:
    """Emit x + h k."""
    return builder.fadd(x, builder.fmul(h, k))


def emit_rk4_sum(builder: Any, x: Any, h: Any, k1: Any, k2: Any, k3: Any, k4: Any) -> Any:
    """Emit x + h (k1 + 2 k2 + 2 k3 + k4), added from the left, as Python does."""
    two = k2.type(2.0)
    total = builder.fadd(builder.fadd(k1, builder.fmul(two, k2)), builder.fmul(two, k3))
    return builder.fadd(x, builder.fmul(h, builder.fadd(total, k4)))


def record_intrinsics(model: Model, view: View) -> dict[str, Any]:
    """Return the record functions by the names that the kernels use."""
    functions: dict[str, Any] = {}
    for name, record in block_records(model).items():
        first = block_offset(model, name)
        functions[f"load_{name}"] = loader(record, first, WIDTH, by_row=False)
        functions[f"store_{name}"] = storer(first, WIDTH, by_row=False)
    functions["axpy"] = combination(model.state, emit_axpy, 1)
    functions["rk4_sum"] = combination(model.state, emit_rk4_sum, 4)
    for moment in MOMENTS:
        changed = model.changes.get(moment, ())
        skip = tuple(bool(changed) and name not in changed for name in model.memory.__annotations__)
        functions[f"store_after_{moment}"] = storer(block_offset(model, "memory"), WIDTH, by_row=False, skip=skip)
    functions["load_settings"] = settings_loader(model.settings)
    functions["load_action"] = loader(model.action, 0, 1, by_row=True)
    functions["load_patient"] = loader(model.params, 0, 1, by_row=True)
    functions["store_view"] = storer(0, 1, by_row=True)
    return functions
