"""Going on with a finished run, on other patients or options too; the run stays as it is, and a gate compares old and new.

The new run begins with the old one's networks, their optimisers and the scale of its observations, and has a learning rate and schedules
of its own course. An off-policy algorithm begins with an empty replay buffer, and explores no more than it did at the old run's end,
unless it is told otherwise.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medsim.core.files import write_whole
from medsim.evaluation.rollout import evaluate
from medsim.evaluation.statistics import mean, paired_bootstrap_interval
from medsim.hospital.evaluation import evaluate_hospital
from medsim.registry import card_of, is_hospital
from medsim_agents.run_folder import MODEL, NORMALISATION, RUN, read_finished, read_run
from medsim_agents.training import VALIDATION_SEED, Training, plan_training

__all__ = ["MARGIN", "Gate", "begin_with", "gate", "plan_continuation"]

MARGIN = 0.02  # chosen: of the way from floor to ceiling: what a change may cost and still not count as worse
JUDGES, HOSPITAL_JUDGES = 400, 64  # chosen: the interval of a difference between two policies is then a few hundredths of that way
REPETITIONS = 10_000


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How the new policy compares with the old on the same validation patients, or episodes, with the same noise.

    Attributes:
        promoted: whether the difference's lower bound is above ``-margin``.
        margin: what the new one may be worse by, of the way from floor to ceiling.
        difference, low, high: of the normalised scores, new less old: the mean over patients, and its 95 % bootstrap interval.
        return_old, return_new: mean returns; better, worse: how many patients fared better with the new one, and worse.
        judges, cohort: how many patients (episodes), and of which cohort.
    """

    promoted: bool
    margin: float
    difference: float
    low: float
    high: float
    return_old: float
    return_new: float
    better: int
    worse: int
    judges: int
    cohort: str

    def said(self) -> str:
        """Return it in a sentence."""
        verdict = "promoted" if self.promoted else "refused"
        return (
            f"{verdict}: new less old {self.difference:+.4f} of the way from floor to ceiling (95 % {self.low:+.4f} to {self.high:+.4f}; "
            f"promoted above {-self.margin:+.4f}) on {self.judges} validation {'episodes' if not self.cohort else 'patients'}; mean return "
            f"{self.return_old:.4f} old, {self.return_new:.4f} new; {self.better} fared better, {self.worse} worse"
        )


def plan_continuation(folder: str | Path, *, steps: int, env_id: str | None = None, seed: int = 0, options: Mapping[str, Any] | None = None,
                      validation_patients: int | None = None, curve_points: int = 25, **changes: Any) -> Training:  # fmt: skip
    """Return the training that goes on with a run's policy for so many steps, with its settings and options but for those given.

    Raises:
        ValueError: the folder is no finished run, or one that cannot be gone on with; or as of ``plan_training``.
    """
    folder = Path(folder)
    run = read_finished(folder)
    old = run["training"]
    if env_id is not None and env_id != old["env"]:
        raise ValueError(f"the run in {folder} was trained on {old['env']}, not on {env_id}: it can only go on there")
    if old["hyperparameters"].get("sharing") == "role":
        raise ValueError(f"the run in {folder} has a policy for each role (sharing=role), and such a run cannot be gone on with")
    settings = {**old["hyperparameters"], **calmer(old["hyperparameters"]), **changes, "steps": steps}
    planned = plan_training(
        old["env"], old["algorithm"], seed=seed, options={**old["options"], **(options or {})}, validation_patients=validation_patients,
        curve_points=curve_points, **settings,
    )  # fmt: skip
    return replace(planned, hyperparameters=settings, begins_with={"run": str(folder), "sha256": fingerprint(folder)})


def calmer(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a run's exploration is not begun again: random steps at the start, and a high rate of random actions."""
    found = {}
    if "learning_starts" in hyperparameters:
        found["learning_starts"] = min(hyperparameters["learning_starts"], hyperparameters.get("batch_size", 256))
    if "exploration_final_eps" in hyperparameters and "exploration_rate" not in hyperparameters:
        found["exploration_initial_eps"] = hyperparameters["exploration_final_eps"]
    return found


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of a run's model and the scale of its observations."""
    digest = hashlib.sha256()
    for name in (MODEL, NORMALISATION):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def begin_with(model: Any, training: Training) -> Any:
    """Give a new model the networks, optimisers and observations' scale of the run that its training goes on with; returns it.

    Raises:
        ValueError: the run's model has changed since, or its observations or actions are others.
    """
    from medsim_agents.construction import load_model
    from medsim_agents.normalisation import read_scale

    assert training.begins_with is not None
    folder = Path(training.begins_with["run"])
    if fingerprint(folder) != training.begins_with["sha256"]:
        raise ValueError(f"the run in {folder} has changed since this training was planned")
    old = load_model(training.algorithm, folder / MODEL)
    if old.observation_space.shape != model.observation_space.shape or old.action_space != model.action_space:
        raise ValueError(
            f"the run in {folder} saw and did other things ({old.observation_space}, {old.action_space}) than these options allow "
            f"({model.observation_space}, {model.action_space})"
        )
    model.set_parameters(old.get_parameters(), device=model.device)
    for name in old._get_torch_save_params()[1]:  # numbers that are learnt beside networks, such as SAC's weight of entropy
        getattr(model, name).data = getattr(old, name).data.to(model.device)
    normaliser = model.get_vec_normalize_env()
    if normaliser is not None and normaliser.norm_obs:
        take_scale(normaliser, read_scale(folder / NORMALISATION), read_run(folder)["steps"])
    return model


def take_scale(normaliser: Any, scale: Any, steps: int) -> None:
    """Let a ``VecNormalize`` go on from the statistics of a run of so many steps."""
    if hasattr(scale, "roles"):
        pairs = list(zip(normaliser.obs_rms.parts, scale.roles.values(), strict=True))
    elif hasattr(scale, "parts"):
        pairs = [(normaliser.obs_rms[name], part) for name, part in scale.parts.items()]
    else:
        pairs = [(normaliser.obs_rms, scale)]
    for statistics, part in pairs:
        shape = statistics.mean.shape
        statistics.mean, statistics.var = np.array(part.mean).reshape(shape), np.array(part.variance).reshape(shape)
        statistics.count = float(steps) / len(pairs) if hasattr(scale, "roles") else float(steps)


def gate(folder: str | Path, *, margin: float = MARGIN, judges: int | None = None) -> Gate:
    """Compare a finished continuation with the run that it began with, and write the verdict into its ``run.json``.

    Args:
        margin: what the new policy may be worse by, as a share of the way from floor to ceiling; judges: how many validation patients
            (400) or episodes (64), of the cohort that was trained on.

    Raises:
        ValueError: margin is below 0, judges is below 2, or the run is no continuation.
    """
    from medsim_agents.policies import load_policy

    folder = Path(folder)
    run = read_run(folder)
    training = run["training"]
    if "begins_with" not in training:
        raise ValueError(f"the run in {folder} began anew: there is nothing to compare it with")
    env_id, count = training["env"], judges if judges is not None else HOSPITAL_JUDGES if is_hospital(training["env"]) else JUDGES
    if not margin >= 0.0 or count < 2:
        raise ValueError(f"margin must be 0 or more and judges 2 or more, not {margin} and {count}")
    cohort = "" if is_hospital(env_id) else training["options"].get("cohort", "train")
    options = {name: value for name, value in training["options"].items() if name != "cohort"}
    old, new = (returns_of(env_id, load_policy(path), options, cohort, count) for path in (Path(training["begins_with"]["run"]), folder))
    scores = card_of(env_id).scores
    width = scores.ceiling - scores.floor
    low, high = paired_bootstrap_interval(new[None] / width, old[None] / width, mean, repetitions=REPETITIONS, seed=0)
    found = Gate(
        promoted=bool(low > -margin), margin=margin, difference=float((new - old).mean() / width), low=float(low), high=float(high),
        return_old=float(old.mean()), return_new=float(new.mean()), better=int((new > old).sum()), worse=int((new < old).sum()),
        judges=count, cohort=cohort,
    )  # fmt: skip
    run["gate"] = {"verdict": "promoted" if found.promoted else "refused", **asdict(found)}
    write_whole(folder / RUN, json.dumps(run, indent=1, allow_nan=False) + "\n")
    return found


def returns_of(env_id: str, policy: Any, options: Mapping[str, Any], cohort: str, count: int) -> Any:
    """Return the returns (n,) of a policy on validation patients, or episodes, under the options that the new run has."""
    if is_hospital(env_id):
        return evaluate_hospital(env_id, policy, options=options, episodes=count, seed=VALIDATION_SEED).returns
    return evaluate(env_id, policy, options=options, cohort=cohort, patients=count, seed=VALIDATION_SEED).returns
