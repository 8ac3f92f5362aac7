"""A policy that somebody wrote in Python: a function of observations, or an object that acts, in a file of theirs."""

import inspect
import runpy
from pathlib import Path
from typing import Any

from medsim.policies.policy import FunctionPolicy, Policy

__all__ = ["load_python"]


def load_python(place: str) -> Policy:
    """Return the policy at ``FILE.py:NAME``, whose code is run.

    NAME is a function of observations (n, k) that returns actions (n,) or (n, a), with an attribute ``options`` (of the environment)
    if it needs some; or a policy with ``begin`` and ``act``; or a class of such, which is made without arguments.

    Raises:
        ValueError: there is no such file or name, or what it names is no policy.
    """
    file, _, name = place.rpartition(":")
    if not Path(file).is_file():
        raise ValueError(f"there is no file {file!r} to take the policy {name!r} from")
    found: Any = runpy.run_path(file).get(name)
    if found is None:
        raise ValueError(f"{file} has no {name!r}")
    if inspect.isclass(found):
        found = found()
    if hasattr(found, "act") and hasattr(found, "begin"):
        policy: Policy = found
        for attribute, value in (("name", name), ("options", {})):
            if not hasattr(policy, attribute):
                setattr(policy, attribute, value)
        return policy
    if callable(found):
        return FunctionPolicy(name, found, getattr(found, "options", None))
    raise ValueError(f"{name} in {file} is no policy: it must be a function of observations, or have begin(env) and act(observations)")
