"""Reference policies: random, no treatment, protocols, controllers, and the best known."""

import importlib
from collections.abc import Callable

from medsim.policies.policy import Policy, RandomPolicy
from medsim.registry import card

__all__ = ["Policy", "RandomPolicy", "reference_policies"]


def reference_policies(env_id: str) -> dict[str, Callable[[], Policy]]:
    """Return the makers of an environment's reference policies by name, floor first.

    Raises:
        ValueError: there is no environment of that id.
    """
    makers: dict[str, Callable[[], Policy]] = importlib.import_module(card(env_id).policies).POLICIES
    return makers
