"""How good a policy in training is: on patients or episodes that neither training nor evaluation meets."""

from typing import Any

from medsim.evaluation.rollout import evaluate
from medsim.registry import hospital_card, is_hospital, make_task
from medsim_agents.training import VALIDATION_SEED

__all__ = ["validate"]


def validate(training: Any, policy: Any) -> tuple[float, float]:
    """Return the mean return and the mean cost of a policy in training, acting without exploration."""
    options = {name: value for name, value in training.options.items() if name != "cohort"}
    count = training.validation_patients
    if is_hospital(training.env):
        return validate_in_hospital(training.env, policy, options, count)
    result = evaluate(training.env, policy, options=options, cohort="train", patients=count, seed=VALIDATION_SEED)
    return float(result.returns.mean()), float(result.cost.mean())


def validate_in_hospital(env_id: str, policy: Any, options: dict[str, Any], episodes: int) -> tuple[float, float]:
    """Return the same of a ``HospitalModelPolicy``, all episodes side by side; their costs are summed over the names."""
    from medsim.hospital.batch import make_decision_batch, play_batch
    from medsim_agents.multi_agent.acting import everyone

    task = make_task(env_id, **{**hospital_card(env_id).evaluation, **options})
    played = play_batch(make_decision_batch(task, episodes), everyone(task, episodes, policy.parts), seed=VALIDATION_SEED)
    return float(played.returns.mean()), float(played.costs.sum(axis=1).mean())
