"""How a policy does on a board's patients, or on a hospital's episodes, as a leaderboard's record holds it."""

from collections.abc import Callable, Mapping
from typing import Any

from medsim.evaluation.rollout import evaluate
from medsim.hospital.evaluation import differing, evaluate_hospital
from medsim.policies import hospital_policies, reference_policies
from medsim.registry import card_of, is_hospital
from medsim_agents.leaderboard.records import Result, Role

__all__ = ["WATCHED", "judged", "makers_of", "plays_there", "role_of"]

WATCHED = "watched_to_the_end"  # the outcome of every episode of a hospital


def makers_of(env_id: str) -> Mapping[str, Callable[[], Any]]:
    """Return the makers of an environment's reference policies by name, floor first.

    Raises:
        ValueError: there is no environment of that id.
    """
    return hospital_policies(env_id) if is_hospital(env_id) else reference_policies(env_id)


def plays_there(env_id: str, policy: Any, settings: Mapping[str, Any]) -> bool:
    """Return whether a policy acts in the very environment that floor and ceiling were measured in: some are for another variant of a
    hospital."""
    return not is_hospital(env_id) or not differing(env_id, {**policy.options, **settings})


def role_of(env_id: str, policy: str) -> Role:
    """Return what a reference policy is for its environment: floor, protocol, ceiling or reference."""
    known = card_of(env_id)
    roles: dict[str, Role] = {known.floor_policy: "floor", known.protocol_policy: "protocol", known.ceiling_policy: "ceiling"}
    return roles.get(policy, "reference")


def judged(env_id: str, policy: Any, settings: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Result:
    """Return how a policy does on the patients (of a hospital: the episodes) that judge it.

    Args:
        settings: options of the environment; evaluation: ``cohort``, ``patients`` and ``seed``, as a record has it.

    Raises:
        ValueError: an option is not allowed, or the settings are those of another hospital than floor and ceiling were measured in.
    """
    count, seed = evaluation["patients"], evaluation["seed"]
    if not is_hospital(env_id):
        found: Any = evaluate(env_id, policy, options=settings, cohort=evaluation["cohort"], patients=count, seed=seed).record()
        return found  # type: ignore[no-any-return]
    result = evaluate_hospital(env_id, policy, options=settings, episodes=count, seed=seed)
    if result.unscored:
        raise ValueError(f"{env_id} with {result.unscored} has no floor and ceiling: a board needs the hospital that they were measured in")
    costs = {name: values.tolist() for name, values in result.costs.items()}
    return {
        "returns": result.returns.tolist(),
        "normalised": result.normalised.tolist(),
        "costs": costs,
        "cost": [float(sum(parts)) for parts in zip(*costs.values(), strict=True)],
        "outcomes": {WATCHED: count},
        "metrics": {name: values.tolist() for name, values in result.metrics.items()},
    }
