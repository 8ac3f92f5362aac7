"""The shipped encoders for the observations of an environment."""

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from medsim.registry import make_task
from medsim_perception.state import PerceivedState, perceived_sepsis

__all__ = ["refuse_unless_perceivable", "state_for"]

HOW = ("frozen", "fine-tuned")
PERCEIVED = ("medsim/Sepsis-v0",)  # the environments whose patients the shipped encoders were trained on


def state_for(space: spaces.Space[Any]) -> PerceivedState:
    """Return the perceived state for observations with a chart, and with images where there are some."""
    state = perceived_sepsis(image=isinstance(space, spaces.Dict) and "image" in space.spaces)
    state.refuse_unless_readable(space)
    return state


def refuse_unless_perceivable(how: str, env_id: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError if a training cannot see through encoders: the setting, the environment or its observations are not fit for it."""
    if how not in HOW:
        raise ValueError(f"perception must be one of {', '.join(HOW)}, not {how!r}")
    if env_id not in PERCEIVED:
        raise ValueError(f"perception needs an environment whose patients there are encoders for ({', '.join(PERCEIVED)}), not {env_id}")
    if make_task(env_id, **options).chart is None:
        seen = options.get("observation", "vector")
        raise ValueError(f"perception needs observation='multimodal' (or 'ehr': the chart alone), not {seen!r}")
