"""What a safety evaluation needs to know of an environment: hazards, doses, groups of patients, sensors, gates; read from a file each.

``medsim/safety/profiles/NAME.toml``, where every limit stands with its reason. Another file of the same form can be given instead.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from medsim.core import kernels
from medsim.core.vector import PatientVectorEnv
from medsim.registry import card
from medsim.safety.courses import Courses

__all__ = [
    "Catastrophe",
    "Condition",
    "Dose",
    "Forbidden",
    "Gate",
    "Harm",
    "Hazard",
    "Option",
    "Physiology",
    "Profile",
    "Records",
    "Sensor",
    "Subgroup",
]
__all__ += ["load_profile", "profile_path"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Harm:
    """What must not happen to a patient: outcomes; or, where it is expected and not drawn, the last value of a measure."""

    name: str
    measure: str = ""
    outcomes: tuple[str, ...] = ()

    def of(self, courses: Courses) -> Floats:
        """Return each patient's, (n,), 0..1."""
        if self.measure:
            return courses.last(self.measure)
        return np.isin(courses.outcomes, self.outcomes).astype(np.float64)

    def of_batch(self, env: PatientVectorEnv) -> Floats:
        """Return the same of patients whose course has just ended in a batch, (n,)."""
        batch = env.batch
        if self.measure:
            return np.asarray(batch.measures[batch.measure_names.index(self.measure)].copy())
        return np.isin(np.array(env.outcomes)[batch.out[kernels.OUTCOME].astype(np.int64)], self.outcomes).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Catastrophe:
    """What must hardly ever happen to one patient: harm that is this much above the protocol's for the same patient, or outcomes."""

    name: str
    reason: str
    excess: float = 0.0
    outcomes: tuple[str, ...] = ()

    def of(self, courses: Courses, harm: Floats, protocol_harm: Floats) -> Bools:
        """Return to whom it happened, (n,)."""
        if self.outcomes:
            return np.isin(courses.outcomes, self.outcomes)
        return np.asarray(harm - protocol_harm >= self.excess)


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """A way to do harm: the cost that counts it and when an episode's sum of it is severe; in the hazard table by its id."""

    id: str
    name: str
    harm: str
    severity: str
    reason: str
    cost: str = ""  # none: other sections than that of hazards look for it
    unit: str = ""
    severe_from: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Dose:
    """What is given, as a measure shows it after each step.

    ``kind``: ``rate``; ``amount``, of the step, which is divided by its hours to be a rate; ``bolus``, of the step, taken as it is.
    """

    name: str
    measure: str
    unit: str
    most: float
    reason: str
    most_rise: float = 0.0  # in a step; 0: no limit
    most_in_all: float = 0.0  # of an episode (a rate: times hours); 0: no limit
    kind: str = "rate"

    @property
    def unit_in_all(self) -> str:
        """Unit of what is given in an episode."""
        return self.unit if self.kind == "bolus" else f"{self.unit} x h"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A measure, before a step, or a cost, in the step before, is on one side of a number."""

    measure: str = ""
    cost: str = ""
    above: float | None = None
    below: float | None = None

    def holds(self, courses: Courses) -> Bools:
        """Return where, (n, T)."""
        values = courses.measures[self.measure][:, :-1] if self.measure else before(courses.costs[self.cost])
        found = np.ones(values.shape, dtype=np.bool_)
        if self.above is not None:
            found &= values > self.above
        if self.below is not None:
            found &= values < self.below
        return found


@dataclass(frozen=True, kw_only=True)
class Forbidden:
    """A dose that must not be given in a condition: above a number, or raised."""

    name: str
    dose: str
    when: Condition
    reason: str
    above: float | None = None  # given in the step
    raised_by: float | None = None  # against the step before


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """Patients told apart by a parameter, at these numbers."""

    name: str
    param: str
    cuts: tuple[float, ...]
    unit: str = ""
    labels: tuple[str, ...] = ()

    def groups(self, courses: Courses) -> list[tuple[str, Bools]]:
        """Return each group's label and who belongs to it, (n,)."""
        values = courses.params[self.param]
        number = np.searchsorted(np.asarray(self.cuts), values, side="right")
        return [(self.label(k), number == k) for k in range(len(self.cuts) + 1)]

    def label(self, k: int) -> str:
        """Return how the k-th group is called."""
        if self.labels:
            return self.labels[k]
        unit = f" {self.unit}" if self.unit else ""
        if k == 0:
            return f"{self.name} below {self.cuts[0]:g}{unit}"
        if k == len(self.cuts):
            return f"{self.name} {self.cuts[-1]:g}{unit} or more"
        return f"{self.name} {self.cuts[k - 1]:g} to {self.cuts[k]:g}{unit}"


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Columns of the observation, of one unit, that fail together, and how wrong they can be; ``lowest``: what a lost lead shows."""

    name: str
    columns: tuple[str, ...]
    noise: float
    bias: float
    lowest: float
    unit: str
    reason: str
    chart_columns: tuple[str, ...] = ()  # of an observation that is a chart
    chart_scale: float = 1.0  # from the unit of columns to that of the chart's
    without: tuple[str, ...] = ()  # faults that this sensor cannot have, or that the environment has by an option


@dataclass(frozen=True, kw_only=True)
class Physiology:
    """A parameter of the patient that can be other than in the population."""

    name: str
    param: str


@dataclass(frozen=True, kw_only=True)
class Option:
    """Other circumstances, by options of the environment."""

    name: str
    options: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Records:
    """How much the protocol's care is left to chance in records of it, without which they tell nothing of other care.

    Args:
        epsilon: with which probability any action is taken instead, where there are choices, above 0 and at most 1.
        spread: how far doses are drawn around what is meant, in shares of their range, above 0.
    """

    epsilon: float
    spread: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A limit on a figure: at ``most`` or at ``least``; ``hazard``: the id it belongs to; ``test``: that shows it catching something."""

    figure: str
    reason: str
    hazard: str = ""
    test: str = ""
    most: float | None = None
    least: float | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """All of it; ``limits``: in sentences, what the simulation cannot show."""

    environment: str
    harm: Harm
    catastrophe: Catastrophe
    limits: tuple[str, ...]
    grid: tuple[int, ...] = ()  # levels of each dose in a discrete action, the first most significant
    idle: int = 0  # the discrete action that gives nothing
    drawn: Mapping[str, Any] = field(default_factory=dict)  # options under which what befalls a patient is drawn, if it is expected else
    hazards: tuple[Hazard, ...] = ()
    doses: tuple[Dose, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    not_grouped: Mapping[str, str] = field(default_factory=dict)  # what the issue asks for and the model does not have, and why
    sensors: tuple[Sensor, ...] = ()
    physiology: tuple[Physiology, ...] = ()
    branches: tuple[str, ...] = ()  # reference policies, beside the protocol, that try to save patients from where they are
    searched: tuple[str, ...] = ()  # parameters that the search for the worst patient may set one by one
    options: tuple[Option, ...] = ()
    records: Records = Records(epsilon=0.1, spread=0.1, reason="chosen: enough chance that other actions are seen")
    gates: tuple[Gate, ...] = ()

    def dose(self, name: str) -> Dose:
        """Return a dose by its name."""
        return next(one for one in self.doses if one.name == name)


def before(values: Floats) -> Floats:
    """Return values (n, T) one step late."""
    return np.concatenate([np.zeros((len(values), 1)), values[:, :-1]], axis=1)


def profile_path(env_id: str) -> Path:
    """Return the file of an environment's profile.

    Raises:
        ValueError: it has none.
    """
    name = card(env_id).id.partition("/")[2].partition("-v")[0].lower()
    path = Path(__file__).parent / "profiles" / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.toml")))
        raise ValueError(f"{env_id} has no safety profile; there are those of {known}, and --profile takes a file of your own")
    return path


def load_profile(path: str | Path) -> Profile:
    """Return the profile in a file.

    Raises:
        ValueError: the file is no TOML, a name is unknown or missing, or a value is of the wrong kind; the message says which.
    """
    return read_profile(Path(path), Profile, check)


KINDS = ("rate", "amount", "bolus")
Record = TypeVar("Record")


def read_profile(path: Path, kind: type[Record], check: Callable[[Record], None]) -> Record:
    """Return the record of that kind in a file of TOML, checked.

    Raises:
        ValueError: as of ``load_profile``; the message names the file.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a safety profile: {error}") from error
    try:
        profile = built(kind, told, "")
        check(profile)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return profile


def built(kind: type[Record], told: Any, where: str) -> Record:
    """Return a record of that kind from a table of a file; names of records within it are the kinds' own fields."""
    if not isinstance(told, Mapping):
        raise ValueError(f"{where or 'the file'} must be a table, not {told!r}")
    hints, known = get_type_hints(kind), {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in told if name not in known]
    if unknown:
        raise ValueError(f"{where + ': ' if where else ''}unknown {unknown[0]!r}; allowed are {', '.join(known)}")
    required = {name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING}
    missing = [name for name in known if name not in told and name in required]
    if missing:
        raise ValueError(f"{where + ': ' if where else ''}{missing[0]!r} is missing")
    return kind(**{name: converted(hints[name], value, f"{where}.{name}" if where else name) for name, value in told.items()})


def converted(hint: Any, value: Any, where: str) -> Any:
    """Return a value of a file as a field of that type."""
    if isinstance(hint, type) and is_dataclass(hint):
        return built(hint, value, where)
    inner = get_args(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list, not {value!r}")
        return tuple(converted(inner[0], one, f"{where}[{k}]") for k, one in enumerate(value))
    if get_origin(hint) is not None and float not in inner:  # a mapping
        return dict(value)
    wanted = float if float in (hint, *inner) else hint
    kinds: Any = (int, float) if wanted is float else wanted
    if not isinstance(value, kinds) or isinstance(value, bool) is not (wanted is bool):
        raise ValueError(f"{where} must be of type {wanted.__name__}, not {value!r}")
    return wanted(value)


def check(profile: Profile) -> None:
    """Raise ValueError if a profile refers to what it does not have."""
    doses, hazards = [one.name for one in profile.doses], [one.id for one in profile.hazards]
    for rule in profile.forbidden:
        if rule.dose not in doses:
            raise ValueError(f"{rule.name!r} is about the dose {rule.dose!r}; there are {', '.join(doses)}")
    for dose in profile.doses:
        if dose.kind not in KINDS:
            raise ValueError(f"the dose {dose.name!r} is of the kind {dose.kind!r}; there are {', '.join(KINDS)}")
    if not 0.0 < profile.records.epsilon <= 1.0 or not profile.records.spread > 0.0:
        told = profile.records
        raise ValueError(f"records: epsilon must be above 0 and at most 1 and spread above 0, not {told.epsilon:g} and {told.spread:g}")
    for gate in profile.gates:
        if (gate.most is None) == (gate.least is None):
            raise ValueError(f"the gate of {gate.figure!r} must have exactly one of most and least")
        if gate.hazard and gate.hazard not in hazards:
            raise ValueError(f"the gate of {gate.figure!r} is for the hazard {gate.hazard!r}; there are {', '.join(hazards)}")
