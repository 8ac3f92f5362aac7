"""Result records: what one job (one policy, one seed, one environment) did, as one JSON file, ``<job
id>.json``.

A record is a plain dictionary as JSON gives it; the types below say what stands in it and `validate_record`
checks it. Lists under ``result`` hold one figure a test patient, in the order of the patients, which is the
same for every policy of an environment and evaluation: that is what makes comparisons paired.
"""

import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NoReturn, NotRequired, TypedDict, cast

from medsim.core.files import write_whole

__all__ = ["CurvePoint", "Evaluation", "Hardware", "Job", "Record", "Result", "Role", "SettingsFrom", "Submission", "Time"]
__all__ += ["SCHEMA", "load_records", "validate_record", "write_record"]

SCHEMA = 1
"""Version of the format; a record of another version is refused."""

Role = Literal["floor", "protocol", "ceiling", "reference", "agent"]


class Evaluation(TypedDict):
    """Which patients judged the policy: a cohort's name, how many of it, and the seed that draws them."""

    cohort: str
    patients: int
    seed: int


class Job(TypedDict):
    """What was asked for; ``policy`` names an algorithm or a reference policy, ``steps`` are of training."""

    id: str
    suite: str
    env: str
    settings: Mapping[str, object]
    policy: str
    kind: Literal["agent", "reference"]
    seed: int
    steps: int
    hyperparameters: Mapping[str, object]
    evaluation: Evaluation


class Hardware(TypedDict):
    """The machine: processor, cores used, graphics card or None."""

    cpu: str
    cores: int
    gpu: str | None


class Time(TypedDict):
    """What the whole job took, and environment steps a second in training (0 where nothing was trained)."""

    wall_s: float
    cpu_s: float
    steps_per_s: float


class CurvePoint(TypedDict):
    """One look at the policy during training: mean return and mean total cost of an episode."""

    step: int
    return_mean: float
    cost_mean: float
    wall_s: float


class Result(TypedDict):
    """One figure a test patient; ``outcomes`` counts patients by how their episode ended."""

    returns: Sequence[float]
    normalised: Sequence[float]
    costs: Mapping[str, Sequence[float]]
    cost: Sequence[float]
    outcomes: Mapping[str, int]
    metrics: Mapping[str, Sequence[float]]


class SettingsFrom(TypedDict):
    """Where an agent's hyperparameters come from: a file, how many trials were compared to find them (0: chosen by hand), and
    which of them were changed."""

    file: str
    sha256: str
    trials: int
    changed: Sequence[str]


class Submission(TypedDict):
    """Who sent a result in, how it came about, and whether its figures were computed here."""

    by: str
    how: str
    verified: bool


class Record(TypedDict):
    """One job and what came of it; ``role`` says what the policy is for its environment."""

    schema: int
    job: Job
    role: Role
    command: str
    versions: Mapping[str, str]
    commit: str
    hardware: Hardware
    time: Time
    learning_curve: Sequence[CurvePoint]
    result: Result
    settings_from: NotRequired[SettingsFrom]
    submission: NotRequired[Submission]


def load_records(folder: str | Path) -> list[Record]:
    """Every record in a folder, ordered by file name.

    Raises `FileNotFoundError` where there is no such folder, and `ValueError` naming file and field where a
    file is no valid record or is not named after its job.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder of result records")
    return [_load(path) for path in sorted(folder.glob("*.json"))]


def write_record(record: Record, folder: str | Path) -> Path:
    """Validate a record and write it, whole or not at all, as ``<job id>.json``; makes the folder."""
    validate_record(record)
    path = Path(folder) / f"{record['job']['id']}.json"
    lines = [f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in record.items()]
    write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")
    return path


def validate_record(data: object, name: str = "record") -> Record:
    """The same data, known to be a record; `ValueError` names field, what was seen and what is allowed."""
    _record(data, name)
    record = cast(Record, data)
    _check_lengths(record, name)
    _check_sums(record, name)
    _check_curve(record, name)
    return record


def _load(path: Path) -> Record:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    record = validate_record(data, path.name)
    if path.stem != record["job"]["id"]:
        _refuse(f"{path.name}: job.id", repr(record["job"]["id"]), f"the file's name, {path.stem!r}")
    return record


# What fields must agree on


def _check_lengths(record: Record, name: str) -> None:
    result, patients = record["result"], record["job"]["evaluation"]["patients"]
    lists = {"returns": result["returns"], "normalised": result["normalised"], "cost": result["cost"]}
    lists |= {f"costs.{cost}": values for cost, values in result["costs"].items()}
    lists |= {f"metrics.{metric}": values for metric, values in result["metrics"].items()}
    for field, values in lists.items():
        if len(values) != patients:
            _refuse(f"{name}: result.{field}", f"{len(values)} figures", f"{patients}, one a patient")


def _check_sums(record: Record, name: str) -> None:
    result, patients = record["result"], record["job"]["evaluation"]["patients"]
    counted = sum(result["outcomes"].values())
    if counted != patients:
        _refuse(f"{name}: result.outcomes", f"{counted} patients in all", f"{patients}, one outcome a patient")
    for patient, total in enumerate(result["cost"]):
        parts = math.fsum(values[patient] for values in result["costs"].values())
        if not math.isclose(parts, total, rel_tol=1e-6, abs_tol=1e-9):
            _refuse(f"{name}: result.cost[{patient}]", f"{total}", f"{parts}, the sum of that patient's costs")


def _check_curve(record: Record, name: str) -> None:
    steps = [point["step"] for point in record["learning_curve"]]
    if any(later <= earlier for earlier, later in pairwise(steps)):
        _refuse(f"{name}: learning_curve", f"at steps {reprlib.repr(steps)}", "steps that increase")
    if record["job"]["kind"] == "reference" and steps:
        _refuse(
            f"{name}: learning_curve",
            f"{len(steps)} points long",
            "none, since a reference policy does not learn",
        )
    if record["job"]["kind"] == "reference" and record["role"] == "agent":
        _refuse(f"{name}: role", "'agent'", "floor, protocol, ceiling or reference, since job.kind is 'reference'")


# What each field must be

Check = Callable[[object, str], None]


def _refuse(where: str, seen: str, allowed: str) -> NoReturn:
    raise ValueError(f"{where} is {seen}; allowed: {allowed}")


def _join(where: str, field: str) -> str:
    return f"{where}.{field}" if ":" in where else f"{where}: {field}"


def _is(test: Callable[[object], bool], allowed: str) -> Check:
    def check(value: object, where: str) -> None:
        if not test(value):
            _refuse(where, reprlib.repr(value), allowed)

    return check


def _list_of(item: Check) -> Check:
    def check(value: object, where: str) -> None:
        if not isinstance(value, list):
            _refuse(where, reprlib.repr(value), "a list")
        for position, element in enumerate(cast(list[object], value)):
            item(element, f"{where}[{position}]")

    return check


def _dictionary_of(item: Check) -> Check:
    def check(value: object, where: str) -> None:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            _refuse(where, reprlib.repr(value), "an object whose keys are names")
        for key, element in cast(dict[str, object], value).items():
            item(element, _join(where, key))

    return check


def _fields(optional: Mapping[str, Check] | None = None, **fields: Check) -> Check:
    """An object with exactly these fields, and those that may be left out."""
    allowed = {**fields, **(optional or {})}

    def check(value: object, where: str) -> None:
        _dictionary_of(_anything)(value, where)
        found = cast(dict[str, object], value)
        for name, field in allowed.items():
            if name in fields and name not in found:
                raise ValueError(f"{_join(where, name)} is missing; needed: {', '.join(fields)}")
            if name in found:
                field(found[name], _join(where, name))
        for unknown in sorted(found.keys() - allowed.keys()):
            _refuse(_join(where, unknown), "unknown", ", ".join(allowed))

    return check


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _one_of(*choices: str) -> Check:
    return _is(lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(choices)}")


_anything = _is(lambda value: True, "anything")
_text = _is(lambda value: isinstance(value, str) and value.strip() != "", "a text")
_number = _is(_is_finite, "a finite number")
_amount = _is(lambda value: _is_finite(value) and cast(float, value) >= 0, "a finite number, 0 or more")
_count = _is(lambda value: type(value) is int and value >= 0, "a whole number, 0 or more")
_at_least_one = _is(lambda value: type(value) is int and value >= 1, "a whole number, 1 or more")

_evaluation = _fields(cohort=_text, patients=_at_least_one, seed=_count)
_job = _fields(
    id=_is(
        lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None,
        "16 hex digits",
    ),
    suite=_text,
    env=_text,
    settings=_dictionary_of(_anything),
    policy=_text,
    kind=_one_of("agent", "reference"),
    seed=_count,
    steps=_count,
    hyperparameters=_dictionary_of(_anything),
    evaluation=_evaluation,
)
_may_be_left_out: Mapping[str, Check] = {
    "settings_from": _fields(file=_text, sha256=_text, trials=_count, changed=_list_of(_text)),
    "submission": _fields(by=_text, how=_text, verified=_is(lambda v: isinstance(v, bool), "true or false")),
}
_record = _fields(
    _may_be_left_out,
    schema=_is(lambda value: type(value) is int and value == SCHEMA, f"{SCHEMA}, the version this code reads"),
    job=_job,
    role=_one_of("floor", "protocol", "ceiling", "reference", "agent"),
    command=_text,
    versions=_dictionary_of(_text),
    commit=_text,
    hardware=_fields(cpu=_text, cores=_at_least_one, gpu=_is(lambda v: v is None or isinstance(v, str), "a text or null")),
    time=_fields(wall_s=_amount, cpu_s=_amount, steps_per_s=_amount),
    learning_curve=_list_of(_fields(step=_count, return_mean=_number, cost_mean=_amount, wall_s=_amount)),
    result=_fields(
        returns=_list_of(_number),
        normalised=_list_of(_number),
        costs=_dictionary_of(_list_of(_amount)),
        cost=_list_of(_amount),
        outcomes=_dictionary_of(_count),
        metrics=_dictionary_of(_list_of(_number)),
    ),
)
