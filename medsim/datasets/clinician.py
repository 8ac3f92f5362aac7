"""Who acts in records: an environment's protocol, so that each of its decisions is left to chance a little."""

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from medsim.policies import reference_policies
from medsim.policies.chance import ByChance, with_chance
from medsim.policies.grid import OnGrid
from medsim.policies.policy import Policy
from medsim.registry import card, make_task

__all__ = ["clinician"]


def clinician(env_id: str, options: Mapping[str, Any], epsilon: float, spread: float) -> Policy:
    """Return the protocol as it decides by chance in an environment with these options.

    A protocol that decides by chance already stays as it is; doses are rounded to the grid where choices are asked for.

    Args:
        epsilon: with which probability any action is taken instead, where there are choices; spread: how far doses are drawn around what
            is meant, in shares of their range.
    """
    policy: Policy = reference_policies(env_id)[card(env_id).protocol_policy]()
    space = make_task(env_id, **options).action_space
    if isinstance(space, spaces.Discrete) and policy.options.get("action") == "continuous":
        policy = OnGrid(policy)
    return policy if isinstance(policy, ByChance) else with_chance(policy, space, epsilon, spread)
