"""What a verb of the ``medsim`` command is, and where verbs of other packages come from."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from medsim.policies.policy import Policy
from medsim.registry import is_hospital

if TYPE_CHECKING:
    from medsim.hospital.policy import HospitalPolicy

__all__ = ["Verb", "contributed_verbs", "find_hospital_policy", "find_policy", "parse_settings", "silence_gym_notice"]

WRITTEN_IN_PYTHON = {"True": True, "False": False, "None": None}  # as help and errors write them; JSON writes true, false, null
UNMAINTAINED = "Gym has been unmaintained since 2022"  # how the notice begins, in gym-notices 0.1.0


@dataclass(frozen=True)
class Verb:
    """A verb: how it is called, and what it does; ``run`` returns the exit code."""

    name: str
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def contributed_verbs() -> list[Verb]:
    """Return the verbs that installed packages contribute through the entry-point group ``medsim.verbs``."""
    return [verb for point in entry_points(group="medsim.verbs") for verb in point.load()()]


def find_policy(env_id: str, name: str) -> Policy:
    """Return a reference policy by name, a trained one by its run folder, one of ``medsim solve`` by its file (npz), or ``FILE.py:NAME``.

    Raises:
        ValueError: there is no such policy, or the environment is a hospital.
    """
    from medsim.policies import reference_policies

    if is_hospital(env_id):
        raise ValueError(f"{env_id} is a hospital, and this verb is for treatments")

    references = reference_policies(env_id)
    if name in references:
        return references[name]()
    if name.endswith(".npz"):
        from pathlib import Path

        from medsim.policies.table import load_table

        return load_table(Path(name), env_id)
    if ".py:" in name:
        from medsim.policies.python_file import load_python

        return load_python(name)
    policy: Policy | None = loaded_policy(env_id, name)
    if policy is not None:
        return policy
    raise ValueError(
        f"no policy is called {name!r}; there are {', '.join(references)}, folders of finished training runs, files of medsim solve, "
        "and FILE.py:NAME"
    )


def find_hospital_policy(env_id: str, name: str) -> "HospitalPolicy":
    """Return a hospital's reference policy by name, a trained one by its run folder, or that of ``FILE.py:NAME``.

    Raises:
        ValueError: there is no such policy.
    """
    from medsim.policies import hospital_policies

    references = hospital_policies(env_id)
    if name in references:
        return references[name]()
    if ".py:" in name:
        from medsim.policies.python_file import load_hospital_python

        return load_hospital_python(name)
    policy: HospitalPolicy | None = loaded_policy(env_id, name)
    if policy is not None:
        return policy
    raise ValueError(
        f"no policy is called {name!r}; there are {', '.join(references)}, folders of finished training runs, and FILE.py:NAME"
    )


def loaded_policy(env_id: str, name: str) -> Any:
    """Return the policy that an installed package finds by that name, or None.

    Raises:
        ValueError: it was trained on a hospital and the environment is a treatment, or the other way round.
    """
    silence_gym_notice()
    for point in entry_points(group="medsim.policy_loaders"):
        policy = point.load()(name)
        if policy is not None:
            of_hospital = hasattr(policy, "trained_on")
            if of_hospital != is_hospital(env_id):
                of, here = ("hospital", "treatment") if of_hospital else ("treatment", "hospital")
                raise ValueError(f"the policy in {name} is that of a {of}, and {env_id} is a {here}")
            return policy
    return None


def silence_gym_notice() -> None:
    """Keep the old package ``gym`` from printing to stderr, as it is imported, that it is unmaintained.

    Stable-Baselines3 imports it where it is installed, and nothing here uses it. Only that notice is taken out of the list that ``gym``
    looks it up in; whatever else is written to stderr stays.
    """
    if find_spec("gym_notices") is None:
        return
    notices: dict[str, str] = import_module("gym_notices.notices").notices
    for version in [version for version, notice in notices.items() if notice.startswith(UNMAINTAINED)]:
        del notices[version]


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Return options from ``name=value`` texts; values are read as JSON where they can be, and True, False and None as Python's.

    Raises:
        ValueError: a text has no ``=``.
    """
    import json

    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"an option must be written name=value, not {pair!r}")
        try:
            options[name] = json.loads(text)
        except json.JSONDecodeError:
            options[name] = WRITTEN_IN_PYTHON.get(text, text)
    return options
