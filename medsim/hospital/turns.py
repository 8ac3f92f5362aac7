"""A hospital whose agents take turns: PettingZoo's AEC interface, by its own converter from the parallel one."""

import importlib
from typing import Any

from pettingzoo.utils.conversions import parallel_to_aec
from pettingzoo.utils.wrappers import BaseWrapper

from medsim.hospital.decisions import checked_action
from medsim.registry import hospital_card

__all__ = ["make_turns"]


class NamedActions(BaseWrapper):  # type: ignore[misc]
    """Refuses an action outside its agent's space when it is given, by name: the converter would tell at the end of the round only."""

    def step(self, action: Any) -> None:
        """Take the selected agent's turn; None after its end."""
        agent = self.agent_selection
        if not (self.terminations[agent] or self.truncations[agent]):
            action = checked_action(agent, action, int(self.action_space(agent).n))
        super().step(action)


def make_turns(env_id: str, **options: Any) -> Any:
    """Return an environment of several agents as an ``AECEnv``.

    Raises:
        ValueError: there is no such environment, or it has one agent, or an option is not allowed.
    """
    card = hospital_card(env_id)
    if not card.several_agents:
        raise ValueError(f"{env_id} has one agent: use gymnasium.make")
    module, _, name = card.entry_point.partition(":")
    return NamedActions(parallel_to_aec(getattr(importlib.import_module(module), name)(**options)))
