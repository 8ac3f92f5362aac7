"""Tuned settings: one TOML file an environment, with a comment at each value on how it was found; checked when read.

A setting is either the training's own (``TRAINING``) or goes to the algorithm's class (``Algorithm.settings``).
"""

import hashlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from medsim.registry import card_of, is_hospital
from medsim_agents.algorithms import ALGORITHMS, Kind, algorithm
from medsim_agents.schedules import SCHEDULED, scheduled

__all__ = [
    "TRAINING", "Origin", "check_hyperparameters", "hyperparameter_file", "load_hyperparameters", "origin_of", "parse_hyperparameters",
    "read_settings", "settings_of_role",
]  # fmt: skip

TRAINING: dict[str, Kind] = {
    "steps": int,
    "n_envs": int,
    "normalise_observations": bool,
    "normalise_rewards": bool,
    "clip_reward": (int, float),
    "action": str,
    "env_options": dict,
    "perception": str,
    "sharing": str,
    "rounds": int,
    "of_role": dict,
    "gamma_h": (int, float),
    "device": str,
}
"""Environment steps of the whole training; patients side by side; running normalisation of observations and of rewards (by the sd of
the discounted return); where normalised rewards are cut; the environment's kind of action that the settings are tuned for, unless
another is asked for; options of the environment while training (a shaped reward, say), over those that it is judged under; of
observations with charts and images, whether they are perceived through encoders, "frozen" or "fine-tuned". Of hospitals: whether all
roles share a policy or each learns its own, and in how many rounds; role -> settings of that role's learner, over the others, and the
discount of an hour, in place of gamma, which is that of a decision (both: ``sharing="role"``). Where networks are trained: "cpu" (the
default, and the only one that promises the same bits again), "cuda", or "auto" for the card where there is one."""

BY_ROLE = "by_role"  # a table of an algorithm's: what holds in place of its settings where each role learns its own policy
SEARCH = "search"  # a table of an algorithm's: how its settings were found; ``trials`` of it is how many were compared
OF_THE_WHOLE = ("steps", "rounds", "sharing", "of_role", "action", "env_options", "perception", "device")  # no role has its own

LIKE = "like"  # in a file: the table whose settings an algorithm shares, but for its own
UNTUNED = "hospital.toml"  # settings of hospitals that have no file of their own


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a training's settings come from.

    Attributes:
        file: that holds them: one of medsim's, or the one that was named; sha256: of its text, 12 hex digits.
        trials: how many settings were tried and compared before these were chosen; 0: chosen by hand.
        changed: names of the settings that differ from the file's.
    """

    file: str
    sha256: str
    trials: int
    changed: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return it as a record holds it."""
        return {**asdict(self), "changed": list(self.changed)}


def hyperparameter_file(env_id: str) -> str:
    """Return the name of an environment's file: ``medsim/Glucose-v0`` has ``glucose.toml``."""
    known = card_of(env_id)
    return known.id.partition("/")[2].rpartition("-v")[0].lower() + ".toml"


def load_hyperparameters(env_id: str, algorithm_name: str, sharing: str = "shared") -> dict[str, Any]:
    """Return the tuned settings of an algorithm for an environment; for ``sharing="role"`` those of its table ``by_role`` over them.

    Raises:
        ValueError: no such environment or algorithm, no settings for them, or a setting is unknown or of the wrong type.
    """
    algorithm(algorithm_name)
    return settings_in(*text_for(env_id), algorithm_name, sharing)[0]


def origin_of(env_id: str, algorithm_name: str, settings: Mapping[str, Any], config: str | Path | None = None) -> Origin:
    """Return where settings come from: an environment's own file, or ``config``; those that differ from it are named.

    Raises:
        ValueError: as of ``load_hyperparameters``.
    """
    name, text = text_for(env_id) if config is None else text_of_file(config)
    theirs, trials = settings_in(name, text, algorithm_name, settings.get("sharing", "shared"))
    changed = [one for one in sorted({*theirs, *settings}) if theirs.get(one) != settings.get(one) and one != "action"]
    return Origin(file=name, sha256=hashlib.sha256(text.encode()).hexdigest()[:12], trials=trials, changed=tuple(changed))


def read_settings(config: str | Path, algorithm_name: str, sharing: str = "shared") -> dict[str, Any]:
    """Return an algorithm's settings in a file of the user's, such as one that ``medsim tune`` wrote.

    Raises:
        ValueError: there is no such file, it has no table of the algorithm, or a setting is unknown or of the wrong type.
    """
    return settings_in(*text_of_file(config), algorithm_name, sharing)[0]


def text_for(env_id: str) -> tuple[str, str]:
    """Return name and text of an environment's file; of a hospital without one, those of the file for such.

    Raises:
        ValueError: there is none.
    """
    name = hyperparameter_file(env_id)
    file = files(__package__).joinpath(name)
    if not file.is_file() and is_hospital(env_id):
        name = UNTUNED
        file = files(__package__).joinpath(name)
    if not file.is_file():
        raise ValueError(f"{env_id} has no hyperparameters: {name} is missing")
    return name, file.read_text(encoding="utf-8")


def text_of_file(config: str | Path) -> tuple[str, str]:
    """Return name and text of a file of the user's.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return Path(config).name, Path(config).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot read the settings in {str(config)!r}: {error.strerror}") from error


def settings_in(name: str, text: str, algorithm_name: str, sharing: str) -> tuple[dict[str, Any], int]:
    """Return an algorithm's settings in a file's text, and the number of trials by which they were found."""
    found = parse_hyperparameters(text, name)
    if algorithm_name not in found:
        raise ValueError(f"{name} has no settings for {algorithm_name}; it has {', '.join(found)}")
    settings = found[algorithm_name]
    by_role, search = settings.pop(BY_ROLE, {}), settings.pop(SEARCH, {})
    settings = {**algorithm(algorithm_name).defaults, **settings}
    return ({**settings, **by_role} if sharing == "role" else settings), search.get("trials", 0)


def settings_of_role(settings: Mapping[str, Any], role: str) -> dict[str, Any]:
    """Return the settings with which a role's learner is made: those of all, and its own over them."""
    return {**{name: value for name, value in settings.items() if name != "of_role"}, **settings.get("of_role", {}).get(role, {})}


def parse_hyperparameters(text: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the settings of every algorithm in a file's text.

    Raises:
        ValueError: it is no TOML, or a table, a setting or a type is wrong; the message says where.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is not TOML: {error}") from error
    known = [one.name for one in ALGORITHMS]
    for table in tables:
        if table not in known or not isinstance(tables[table], dict):
            raise ValueError(f"{name}: unknown table [{table}]; allowed are {', '.join(known)}")
        settings = tables[table] = with_settings_of_another(tables, table, name)
        shared = {key: value for key, value in settings.items() if key not in (BY_ROLE, SEARCH)}
        check_hyperparameters(shared, table, f"{name}, [{table}]")
        check_search(settings.get(SEARCH, {}), f"{name}, [{table}.{SEARCH}]")
        check_hyperparameters(settings.get(BY_ROLE, {}), table, f"{name}, [{table}.{BY_ROLE}]")
    return tables


def with_settings_of_another(tables: Mapping[str, Any], table: str, name: str) -> dict[str, Any]:
    """Return a table's settings, over those of the table that it names with ``like``; what the other has for roles is its own.

    Raises:
        ValueError: there is no such table above it.
    """
    settings = dict(tables[table])
    other = settings.pop(LIKE, None)
    if other is None:
        return settings
    above = list(tables)[: list(tables).index(table)]
    if other not in above:
        raise ValueError(f"{name}, [{table}]: {LIKE} must be a table above it, one of {', '.join(above) or 'none'}, not {other!r}")
    return {**{key: value for key, value in tables[other].items() if key not in (BY_ROLE, SEARCH)}, **settings}


def check_search(search: Any, where: str) -> None:
    """Raise ValueError, naming the place, if a table does not say how many trials there were."""
    trials = search.get("trials", 0) if isinstance(search, dict) else None
    if type(trials) is not int or trials < 0:
        raise ValueError(f"{where} must be a table with trials, a whole number, 0 or more, not {search!r}")


def check_hyperparameters(settings: Mapping[str, Any], algorithm_name: str, where: str) -> None:
    """Raise ValueError, naming the place, if a setting is not one of the algorithm's or has the wrong type."""
    allowed = {**TRAINING, **algorithm(algorithm_name).settings}
    for name, value in settings.items():
        if name not in allowed:
            raise ValueError(f"{where}: unknown setting {name!r}; allowed are {', '.join(sorted(allowed))}")
        kind = allowed[name]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if not right or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{where}: {name} must be {' or '.join(one.__name__ for one in kinds)}, not {value!r}")
    for name in SCHEDULED:
        try:
            scheduled(settings, name)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    for role, its in settings.get("of_role", {}).items():
        if not isinstance(its, Mapping):
            raise ValueError(f"{where}: of_role must hold a table of settings for {role}, not {its!r}")
        whole = [name for name in its if name in OF_THE_WHOLE]
        if whole:
            raise ValueError(f"{where}, {role}: {whole[0]} is a setting of the whole training, and no role's own")
        check_hyperparameters(its, algorithm_name, f"{where}, {role}")
