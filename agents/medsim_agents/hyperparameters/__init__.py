"""Tuned settings: one TOML file an environment, with a comment at each value on how it was found; checked when read.

A setting is either the training's own (``TRAINING``) or goes to the algorithm's class (``Algorithm.settings``).
"""

import math
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from medsim.registry import card, hospital_card, is_hospital
from medsim_agents.algorithms import ALGORITHMS, Kind, algorithm

__all__ = ["TRAINING", "check_hyperparameters", "hyperparameter_file", "load_hyperparameters", "parse_hyperparameters", "settings_of_role"]

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
}
"""Environment steps of the whole training; patients side by side; running normalisation of observations and of rewards (by the sd of
the discounted return); where normalised rewards are cut; the environment's kind of action that the settings are tuned for, unless
another is asked for; options of the environment while training (a shaped reward, say), over those that it is judged under; of
observations with charts and images, whether they are perceived through encoders, "frozen" or "fine-tuned". Of hospitals: whether all
roles share a policy or each learns its own, and in how many rounds; role -> settings of that role's learner, over the others, and the
discount of an hour, in place of gamma, which is that of a decision (both: ``sharing="role"``)."""

BY_ROLE = "by_role"  # a table of an algorithm's: what holds in place of its settings where each role learns its own policy
OF_THE_WHOLE = ("steps", "rounds", "sharing", "of_role", "action", "env_options", "perception")  # no role has its own

LIKE = "like"  # in a file: the table whose settings an algorithm shares, but for its own
UNTUNED = "hospital.toml"  # settings of hospitals that have no file of their own


def hyperparameter_file(env_id: str) -> str:
    """Return the name of an environment's file: ``medsim/Glucose-v0`` has ``glucose.toml``."""
    known = hospital_card(env_id) if is_hospital(env_id) else card(env_id)
    return known.id.partition("/")[2].rpartition("-v")[0].lower() + ".toml"


def load_hyperparameters(env_id: str, algorithm_name: str, sharing: str = "shared") -> dict[str, Any]:
    """Return the tuned settings of an algorithm for an environment; for ``sharing="role"`` those of its table ``by_role`` over them.

    Raises:
        ValueError: no such environment or algorithm, no settings for them, or a setting is unknown or of the wrong type.
    """
    algorithm(algorithm_name)
    name = hyperparameter_file(env_id)
    file = files(__package__).joinpath(name)
    if not file.is_file() and is_hospital(env_id):
        name = UNTUNED
        file = files(__package__).joinpath(name)
    if not file.is_file():
        raise ValueError(f"{env_id} has no hyperparameters: {name} is missing")
    found = parse_hyperparameters(file.read_text(encoding="utf-8"), name)
    if algorithm_name not in found:
        raise ValueError(f"{name} has no settings for {algorithm_name}; it has {', '.join(found)}")
    settings = found[algorithm_name]
    by_role = settings.pop(BY_ROLE, {})
    return {**algorithm(algorithm_name).defaults, **settings, **(by_role if sharing == "role" else {})}


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
        shared = {key: value for key, value in settings.items() if key != BY_ROLE}
        check_hyperparameters(shared, table, f"{name}, [{table}]")
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
    return {**{key: value for key, value in tables[other].items() if key != BY_ROLE}, **settings}


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
    for role, its in settings.get("of_role", {}).items():
        if not isinstance(its, Mapping):
            raise ValueError(f"{where}: of_role must hold a table of settings for {role}, not {its!r}")
        whole = [name for name in its if name in OF_THE_WHOLE]
        if whole:
            raise ValueError(f"{where}, {role}: {whole[0]} is a setting of the whole training, and no role's own")
        check_hyperparameters(its, algorithm_name, f"{where}, {role}")
