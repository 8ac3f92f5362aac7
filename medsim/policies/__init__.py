"""Reference policies: random, no treatment, protocols, controllers, and the best known."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from medsim.policies.policy import Policy, RandomPolicy
from medsim.registry import card, hospital_card

if TYPE_CHECKING:
    from medsim.hospital.policy import HospitalPolicy

__all__ = ["Policy", "RandomPolicy", "hospital_policies", "reference_policies"]


def reference_policies(env_id: str) -> dict[str, Callable[[], Policy]]:
    """Return the makers of an environment's reference policies by name, floor first.

    Raises:
        ValueError: there is no environment of that id.
    """
    makers: dict[str, Callable[[], Policy]] = importlib.import_module(card(env_id).policies).POLICIES
    return makers


def hospital_policies(env_id: str) -> "dict[str, Callable[[], HospitalPolicy]]":
    """Return the makers of a hospital's reference policies by name, floor first.

    Raises:
        ValueError: there is no hospital of that id.
    """
    makers: dict[str, Callable[[], HospitalPolicy]] = importlib.import_module(hospital_card(env_id).policies).POLICIES
    return makers
