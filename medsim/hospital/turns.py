"""A hospital whose agents take turns: PettingZoo's AEC interface, by its own converter from the parallel one."""

import importlib
from typing import Any

from medsim.registry import hospital_card

__all__ = ["make_turns"]


def make_turns(env_id: str, **options: Any) -> Any:
    """Return an environment of several agents as an ``AECEnv``.

    Raises:
        ValueError: there is no such environment, or it has one agent, or an option is not allowed.
    """
    from pettingzoo.utils.conversions import parallel_to_aec

    card = hospital_card(env_id)
    if not card.several_agents:
        raise ValueError(f"{env_id} has one agent: use gymnasium.make")
    module, _, name = card.entry_point.partition(":")
    return parallel_to_aec(getattr(importlib.import_module(module), name)(**options))
