"""Which learner stands behind an algorithm's name, for choices and for doses; how one is made, taught and read back."""

import json
from pathlib import Path
from typing import Any

from medsim.datasets.episodes import Episodes
from medsim_agents.offline import choices, dosing, settings
from medsim_agents.offline.encoding import Encoding, encoding_of, transitions_of
from medsim_agents.offline.learner import HEADER, Learner
from medsim_agents.threads import single_threaded

__all__ = ["learn", "load", "new_learner"]

SETTINGS: dict[str, Any] = {
    "bc": settings.BehaviourCloning, "cql": settings.ConservativeQ, "iql": settings.ImplicitQ, "bcq": settings.BCQ,
    "td3-bc": settings.TD3BC,
}  # fmt: skip
OF_CHOICES: dict[str, type[Learner]] = {
    "bc": choices.ChoiceBC, "cql": choices.ChoiceCQL, "iql": choices.ChoiceIQL, "bcq": choices.ChoiceBCQ,
}  # fmt: skip
OF_DOSES: dict[str, type[Learner]] = {
    "bc": dosing.DoseBC, "cql": dosing.DoseCQL, "iql": dosing.DoseIQL, "bcq": dosing.DoseBCQ, "td3-bc": dosing.DoseTD3BC,
}  # fmt: skip


def new_learner(name: str, encoding: Encoding, *, seed: int = 0, **changes: Any) -> Learner:
    """Return an untaught learner of an algorithm; ``changes``: of its settings.

    Raises:
        ValueError: there is none of that name for such actions, or a setting is out of range; TypeError: an unknown setting.
    """
    there_are = OF_CHOICES if encoding.actions else OF_DOSES
    if name not in there_are:
        kind = "choices" if encoding.actions else "doses"
        raise ValueError(f"no offline learner of {kind} is called {name!r}; there are {', '.join(there_are)}")
    return there_are[name](name, encoding, SETTINGS[name](**changes), seed)


def learn(name: str, episodes: Episodes, *, steps: int, seed: int = 0, **changes: Any) -> Learner:
    """Return a learner of an algorithm, taught on logged episodes by so many gradient steps; the same to the bit for the same seed.

    Raises:
        ValueError: as of ``new_learner``, or the data hold charts.
    """
    with single_threaded():
        learner = new_learner(name, encoding_of(episodes), seed=seed, **changes)
        learner.learn(transitions_of(episodes, learner.encoding), steps)
    return learner


def load(path: str | Path) -> Learner:
    """Return a saved learner, to act (its optimisers begin anew).

    Raises:
        ValueError: the file is none that ``save`` wrote.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            told = json.loads((file.metadata() or {})[HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no saved offline learner: {error}") from error
    learner = new_learner(told["algorithm"], Encoding.of(told["encoding"]), seed=told["seed"], **told["settings"])
    learner.networks.load_state_dict(tensors)
    learner.num_timesteps = told["steps"]
    return learner
