"""The only generated code: moving a model's records between arrays and tuples of their own sizes.

Numba needs every tuple spelt out, so these few functions are written as text for each model. ``source_for(model, view)`` returns
that text; reading it (``medsim doctor --source ENV`` prints it) is the quickest way to see what it does.
"""

from collections.abc import Callable

from medsim.core.kernels import FIRST_TERM, WIDTH
from medsim.core.model import Model, Record, View, field_count

__all__ = ["block_fields", "block_offset", "out_rows", "source_for"]


MOMENTS = ("control", "interval", "judge")  # after which the memory is written back


def build(record: Record, leaf: Callable[[str], str], prefix: str = "") -> str:
    """Return an expression that constructs the record, each float by ``leaf(its dotted name)``."""
    parts = []
    for name, kind in record.__annotations__.items():
        if isinstance(kind, type) and issubclass(kind, tuple):
            parts.append(build(kind, leaf, f"{prefix}{name}."))
        else:
            parts.append(leaf(prefix + name))
    return f"{record.__name__}({', '.join(parts)})"


def leaves(record: Record, prefix: str = "") -> list[str]:
    """Return the dotted names of the record's floats."""
    names: list[str] = []
    build(record, lambda name: names.append(name) or name, prefix)  # type: ignore[func-returns-value]
    return names


def block_records(model: Model) -> dict[str, Record]:
    """Return the records that make up a patient's column of the block, in order."""
    return {"state": model.state, "params": model.params, "memory": model.memory, "drive": model.drive}


def block_offset(model: Model, name: str) -> int:
    """Return the first field of a record within the block."""
    offset = 0
    for key, record in block_records(model).items():
        if key == name:
            return offset
        offset += field_count(record)
    raise KeyError(name)


def block_fields(model: Model) -> int:
    """Return how many floats a patient has in the block."""
    return sum(field_count(record) for record in block_records(model).values())


def out_rows(model: Model) -> int:
    """Return how many numbers a step reports for each patient."""
    return FIRST_TERM + field_count(model.reward_terms) + field_count(model.costs) + field_count(model.measures)


def loader(name: str, record: Record, offset: int) -> str:
    """Return the source of ``load_<name>``."""
    counter = iter(range(offset, offset + field_count(record)))
    return f"def load_{name}(row, lane):\n    return {build(record, lambda _: f'float(row[{next(counter) * WIDTH} + lane])')}\n"


def row_loader(name: str, record: Record) -> str:
    """Return the source of a function that builds a record from row i of a table."""
    counter = iter(range(field_count(record)))
    return f"def {name}(rows, i):\n    return {build(record, lambda _: f'float(rows[i, {next(counter)}])')}\n"


def storer(name: str, record: Record, offset: int, only: tuple[str, ...] = ()) -> str:
    """Return the source of ``store_<name>``; ``only`` names the fields that are stored, all if it is empty."""
    lines = [
        f"    row[{(offset + k) * WIDTH} + lane] = v.{leaf}"
        for k, leaf in enumerate(leaves(record))
        if not only or leaf.partition(".")[0] in only
    ]
    return "\n".join([f"def store_{name}(row, lane, v):", *lines]) + "\n"


def source_for(model: Model, view: View) -> str:
    """Return the source of the record functions of a model observed through a view."""
    parts = []
    for name, record in block_records(model).items():
        offset = block_offset(model, name)
        parts += [loader(name, record, offset), storer(name, record, offset)]
    for moment in MOMENTS:
        parts.append(storer(f"after_{moment}", model.memory, block_offset(model, "memory"), model.changes.get(moment, ())))
    counter = iter(range(field_count(model.settings)))
    parts.append(f"def load_settings(row):\n    return {build(model.settings, lambda _: f'float(row[{next(counter)}])')}\n")
    parts += [row_loader("load_action", model.action), row_loader("load_patient", model.params)]
    parts.append("\n".join(["def store_view(rows, i, v):", *(f"    rows[i, {k}] = v[{k}]" for k in range(len(view.names)))]) + "\n")
    parts.append(report_source(model))
    state = model.state
    parts.append(f"def axpy(x, h, k):\n    return {build(state, lambda f: f'x.{f} + h * k.{f}')}\n")
    total = build(state, lambda f: f"x.{f} + h * (k1.{f} + 2.0 * k2.{f} + 2.0 * k3.{f} + k4.{f})")
    parts.append(f"def rk4_sum(x, h, k1, k2, k3, k4):\n    return {total}\n")
    return "\n\n".join(parts)


def report_source(model: Model) -> str:
    """Return the source that writes what a step reports: reward, cost, outcome, time, terms, costs, measures."""
    terms, costs, measures = leaves(model.reward_terms), leaves(model.costs), leaves(model.measures)
    lines = ["def store_report(out, i, outcome, time_h, terms, costs, measures):"]
    lines.append(f"    out[0, i] = {' + '.join(f'terms.{name}' for name in terms)}")
    lines.append(f"    out[1, i] = {' + '.join(f'costs.{name}' for name in costs)}")
    lines += ["    out[2, i] = outcome", "    out[3, i] = time_h"]
    names = [f"terms.{n}" for n in terms] + [f"costs.{n}" for n in costs]
    lines += [f"    out[{FIRST_TERM + k}, i] = {name}" for k, name in enumerate(names)]
    lines.append("    store_measures(out, i, measures)")
    first = FIRST_TERM + len(names)
    stores = ["def store_measures(out, i, measures):", *(f"    out[{first + k}, i] = measures.{n}" for k, n in enumerate(measures))]
    return "\n".join(stores) + "\n\n\n" + "\n".join(lines) + "\n"
