"""Learning from logged episodes alone: behaviour cloning, CQL, IQL, TD3+BC and BCQ, and fitted Q evaluation of any policy.

Importing this package is cheap: torch is imported when something here is first used.
"""

import importlib
from typing import Any

__all__ = [
    "Encoding", "FittedQ", "Learner", "Transitions", "encoding_of", "fqe_evidence", "from_d3rlpy", "learn", "load", "new_learner",
    "to_d3rlpy", "transitions_of",
]  # fmt: skip

_PLACES = {
    "Encoding": "encoding",
    "encoding_of": "encoding",
    "Transitions": "encoding",
    "transitions_of": "encoding",
    "Learner": "learner",
    "new_learner": "learners",
    "load": "learners",
    "learn": "learners",
    "FittedQ": "fqe",
    "fqe_evidence": "fqe",
    "to_d3rlpy": "d3rlpy_adapter",
    "from_d3rlpy": "d3rlpy_adapter",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
