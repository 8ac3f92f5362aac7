"""medsim_agents: Stable-Baselines3 agents trained, judged and ranked on medsim's environments.

Importing this package is cheap: torch and Stable-Baselines3 are imported when something here is first used.
"""

import importlib
from typing import Any

__all__ = ["MedsimVecEnv", "Training", "load_hyperparameters", "load_policy", "make_vec_env", "plan_training", "run_suite", "train"]

_PLACES = {
    "MedsimVecEnv": "vec_env",
    "make_vec_env": "vec_env",
    "Training": "training",
    "plan_training": "training",
    "train": "training",
    "load_hyperparameters": "hyperparameters",
    "load_policy": "policies",
    "run_suite": "benchmark",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
