"""A policy that somebody wrote in Python: a function of what is seen, or an object that acts, in a file of theirs."""

import inspect
import runpy
from pathlib import Path
from typing import Any

from medsim.hospital.policy import FunctionHospitalPolicy, HospitalPolicy
from medsim.policies.policy import FunctionPolicy, Policy

__all__ = ["load_hospital_python", "load_python"]


def load_python(place: str) -> Policy:
    """Return the policy at ``FILE.py:NAME``, whose code is run.

    NAME is a function of observations (n, k) that returns actions (n,) or (n, a), with an attribute ``options`` (of the environment)
    if it needs some; or a policy with ``begin`` and ``act``; or a class of such, which is made without arguments.

    Raises:
        ValueError: there is no such file or name, or what it names is no policy.
    """
    name, found = named(place)
    if acts(found):
        policy: Policy = completed(found, name)
        return policy
    if callable(found):
        return FunctionPolicy(name, found, getattr(found, "options", None))
    raise ValueError(f"{place} is no policy: it must be a function of observations, or have begin(env) and act(observations)")


def load_hospital_python(place: str) -> HospitalPolicy:
    """Return the policy of a hospital at ``FILE.py:NAME``, whose code is run.

    NAME is a function (agent, what it sees, mask) that returns an action, with an attribute ``options`` (of the environment) if it needs
    some; or a policy with ``begin(task, key)`` and ``act(agent, seen, mask)``; or a class of such, which is made without arguments.

    Raises:
        ValueError: there is no such file or name, or what it names is no policy.
    """
    name, found = named(place)
    if acts(found):
        policy: HospitalPolicy = completed(found, name)
        return policy
    if callable(found):
        return FunctionHospitalPolicy(name, found, getattr(found, "options", None))
    raise ValueError(
        f"{place} is no policy: it must be a function (agent, seen, mask), or have begin(task, key) and act(agent, seen, mask)"
    )


def named(place: str) -> tuple[str, Any]:
    """Return the name in ``FILE.py:NAME``, and what it names once the file has been run; of a class, an object.

    Raises:
        ValueError: there is no such file or name.
    """
    file, _, name = place.rpartition(":")
    if not Path(file).is_file():
        raise ValueError(f"there is no file {file!r} to take the policy {name!r} from")
    found: Any = runpy.run_path(file).get(name)
    if found is None:
        raise ValueError(f"{file} has no {name!r}")
    return name, found() if inspect.isclass(found) else found


def acts(found: Any) -> bool:
    """Return whether something has what a policy has."""
    return hasattr(found, "act") and hasattr(found, "begin")


def completed(policy: Any, name: str) -> Any:
    """Return a policy that has a name and options, its own if it has them."""
    for attribute, value in (("name", name), ("options", {})):
        if not hasattr(policy, attribute):
            setattr(policy, attribute, value)
    return policy
