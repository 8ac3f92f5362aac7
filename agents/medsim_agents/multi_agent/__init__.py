"""From environments with several agents to Stable-Baselines3.

``ParallelVecEnv`` takes any PettingZoo parallel environment. Hospitals, where one agent is asked at a time, have ``DecisionVecEnv`` (one
policy for all roles: every decision is a step) and ``RoleVecEnv`` (one role learns on its own clock, the others act by their policies).
"""

import importlib
from typing import Any

__all__ = ["DecisionVecEnv", "HospitalModelPolicy", "ModelActs", "ParallelVecEnv", "RoleVecEnv", "hospital_others", "train_roles"]

_PLACES = {
    "DecisionVecEnv": "decisions",
    "HospitalModelPolicy": "acting",
    "ModelActs": "acting",
    "ParallelVecEnv": "parallel",
    "RoleVecEnv": "roles",
    "hospital_others": "parallel",
    "train_roles": "alternation",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
