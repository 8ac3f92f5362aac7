"""What an offline training learns from: a dataset's folder, or the protocol's own decisions, softened or jittered, on training patients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsim.datasets.clinician import clinician
from medsim.datasets.episodes import Episodes, collect
from medsim.datasets.minari_format import content_hash, read_card, read_dataset
from medsim.policies import reference_policies
from medsim.registry import card, make_task
from medsim_agents.hyperparameters import TRAINING

__all__ = ["LOGGING", "logged_episodes", "plan_data", "record_of_data"]

LOGGING: Mapping[str, Any] = {"episodes": 1000, "epsilon": 0.1, "spread": 0.1}
"""Settings of data that are collected, and their defaults (chosen: a study's size; enough chance that other actions are seen). How many
patients; with which probability any action is taken instead; how far doses are drawn around what is meant, in shares of their range."""
OWN = ("steps", "action", "env_options")  # of the settings of any training, those that mean something here
SEEN = ("observation", "action")  # options that say what an agent sees and how it acts: its own, not the protocol's


def plan_data(env_id: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the environment options that learnt policies act under, and the settings with all that decides the data.

    Args:
        options: those given; settings: of the training, with ``dataset`` (a folder of ``medsim dataset make``) or those of ``LOGGING``.

    Raises:
        ValueError: a setting means nothing here; the dataset is of another environment, of test patients, or made with other options than
            those given; a setting of data that are collected stands beside a dataset; or episodes is below 1.
    """
    for name in settings:
        if name in TRAINING and name not in OWN:
            raise ValueError(f"{name} is a setting of algorithms that act while they learn: leave it out")
    if "dataset" not in settings:
        wanted = {**LOGGING, **settings}
        if wanted["episodes"] < 1:
            raise ValueError(f"episodes must be 1 or more, not {wanted['episodes']}")
        needed = reference_policies(env_id)[card(env_id).protocol_policy]().options
        return {**{name: value for name, value in needed.items() if name not in SEEN}, **options}, wanted
    for name in LOGGING:
        if name in settings:
            raise ValueError(f"{name} is a setting of data that are collected: leave it out beside dataset={settings['dataset']}")
    said = read_card(settings["dataset"])
    if said["environment"] != env_id:
        raise ValueError(f"{settings['dataset']} holds episodes of {said['environment']}, not of {env_id}")
    if said["options"].get("cohort") == "test":
        raise ValueError(f"{settings['dataset']} holds test patients, who are kept for evaluation: make one with --cohort train")
    shown = {name: value for name, value in said["options"].items() if name != "cohort"}
    for name, value in options.items():
        if shown.get(name, value) != value:
            raise ValueError(f"option {name} is {shown[name]!r} in {settings['dataset']}, not {value!r}")
    return {**options, **shown}, dict(settings)


def logged_episodes(training: Any) -> Episodes:
    """Return the episodes that a planned training learns from; the data are confounded if the protocol sees what agents do not.

    Raises:
        ValueError: the dataset's folder is damaged.
    """
    settings = training.hyperparameters
    if "dataset" in settings:
        return read_dataset(Path(settings["dataset"]))
    options = {**training.options, **settings.get("env_options", {})}
    policy = clinician(training.env, options, settings["epsilon"], settings["spread"])
    shown = make_task(training.env, **options).config.observation
    needed = policy.options.get("observation", shown)
    hidden = {} if needed == shown else {"observation": needed}
    return collect(
        training.env, policy, settings["episodes"], seed=training.seed, cohort=options.pop("cohort", "train"),
        options={**options, "observation": shown}, hidden=hidden,
    )  # fmt: skip


def record_of_data(episodes: Episodes) -> dict[str, Any]:
    """Return what a run's record says of its data."""
    return {
        "policy": episodes.policy, "episodes": episodes.n, "steps": episodes.steps, "seed": episodes.seed,
        "options": dict(episodes.options), "acted_on": dict(episodes.acted_on), "return_mean": float(episodes.returns.mean()),
        "sha256": content_hash(episodes),
    }  # fmt: skip
