"""A search for an algorithm's settings: trainings with other settings, compared on the validation patients, by Optuna.

The test patients are never looked at. The settings as they are now are judged in the same way, so that a search that finds nothing better
says so. A search that is stopped goes on where it was and ends with the same settings: what a trial tries follows from the search's seed,
the trial's number and the trials before it.
"""

import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medsim.core.files import write_whole
from medsim.registry import is_hospital
from medsim_agents.algorithms import algorithm
from medsim_agents.hyperparameters import load_hyperparameters
from medsim_agents.provenance import canonical_json, commit
from medsim_agents.run_folder import judges_of, read_curve
from medsim_agents.search_spaces import Space, space_of
from medsim_agents.training import Training, plan_training, train

__all__ = ["Found", "Search", "plan_search", "search", "settings_text"]

JOURNAL, PLAN, SETTINGS = "journal.log", "search.json", "settings.toml"
SEEDS = (100,)  # chosen: none that leaderboards train with
JUDGES, HOSPITAL_JUDGES = (
    200,
    32,
)  # chosen: validation patients, and episodes; more than learning curves have, since the best of many is taken
SHORTER = 5  # chosen: a trial is this much shorter than a training, unless its steps are given
LOOKS = 4  # chosen: at which a trial may be given up
BEFORE_PRUNING = 5  # chosen: Optuna's own: so many trials are finished before one is given up
STARTUP = 10  # Optuna's own: so many trials are drawn at random before the sampler learns from them


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is to be searched; ``plan_search`` makes one with everything checked.

    Args:
        env, algorithm, options: as of a training; fixed: settings that are not varied.
        steps: of each training; seeds: each setting is trained with all of them; patients: validation patients who judge.
        seed: of the search itself; prune: whether trials that fall behind are given up.
    """

    env: str
    algorithm: str
    steps: int
    options: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = SEEDS
    patients: int = JUDGES
    seed: int = 0
    prune: bool = False

    @property
    def space(self) -> Space:
        """What is varied."""
        return space_of(self.algorithm, self.fixed)

    def suggested(self, trial: Any) -> dict[str, Any]:
        """Return the settings that an Optuna trial suggests, or has tried; no batch is larger than a rollout."""
        found = {one.name: one.suggest(trial) for one in self.space}
        settings = {**load_hyperparameters(self.env, self.algorithm), **self.fixed, **found}
        if "batch_size" in found and algorithm(self.algorithm).on_policy:
            found["batch_size"] = min(found["batch_size"], settings["n_envs"] * settings["n_steps"])
        return found

    def training(self, settings: Mapping[str, Any], seed: int) -> Training:
        """Return the training of one setting and seed."""
        changes = {**self.fixed, **settings, "steps": self.steps}
        return plan_training(self.env, self.algorithm, seed=seed, options=self.options, validation_patients=self.patients,
                             curve_points=LOOKS, **changes)  # fmt: skip

    def command(self, trials: int, folder: Path) -> str:
        """Return what to type to search again."""
        words = ["medsim", "tune", self.env, "--algo", self.algorithm, "--trials", str(trials), "--steps", str(self.steps)]
        words += ["--seed", str(self.seed), "--patients", str(self.patients), "--seeds", *map(str, self.seeds)]
        for name, value in {**self.options, **self.fixed}.items():
            words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join([*words, *(["--prune"] if self.prune else []), "--out", str(folder)])


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search found.

    Attributes:
        changes: the best settings, by name; empty where the settings as they were are the best.
        return_mean: of the best, on the validation patients, mean over training seeds; return_before: of the settings as they were.
        trials: how many were finished or given up; pruned: how many of them were given up.
    """

    changes: Mapping[str, Any]
    return_mean: float
    return_before: float
    trials: int
    pruned: int


def plan_search(env_id: str, algorithm_name: str, *, steps: int | None = None, options: Mapping[str, Any] | None = None,
                fixed: Mapping[str, Any] | None = None, seeds: tuple[int, ...] = SEEDS, patients: int | None = None, seed: int = 0,
                prune: bool = False) -> Search:  # fmt: skip
    """Return a search.

    Args:
        steps: None: a fifth of the steps that the algorithm is trained for; patients: None: 200, and 32 episodes of a hospital.

    Raises:
        ValueError: no such environment or algorithm, they do not go together, or a setting or option is not allowed.
    """
    space_of(algorithm_name, fixed or {})
    whole = load_hyperparameters(env_id, algorithm_name)["steps"]
    judges = patients if patients is not None else HOSPITAL_JUDGES if is_hospital(env_id) else JUDGES
    if judges < 1 or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"there must be 1 validation patient or more and different seeds, not {judges} and {list(seeds)}")
    plan = Search(
        env=env_id, algorithm=algorithm_name, steps=max(1, whole // SHORTER) if steps is None else steps, options=dict(options or {}),
        fixed=dict(fixed or {}), seeds=seeds, patients=judges, seed=seed, prune=prune,
    )  # fmt: skip
    for one in seeds:
        plan.training({}, one)
    return plan


def search(plan: Search, trials: int, folder: str | Path, told: Callable[[str], None] | None = None) -> Found:
    """Search until so many trials are done, going on with a search that the folder holds; writes the best settings.

    The folder then holds ``settings.toml``, for ``medsim train --config``, and ``journal.log``, Optuna's record of every trial.

    Args:
        told: called with a line on each trial as it ends.

    Raises:
        ValueError: trials is below 1, the folder holds another search, or Optuna is not installed.
        TrainingInterrupted: it was told to stop; the same call goes on.
    """
    if trials < 1:
        raise ValueError(f"trials must be 1 or more, not {trials}")
    optuna, folder = needed_optuna(), Path(folder)
    refuse_another(plan, folder)
    study = study_in(optuna, folder)
    before = judged_before(study, plan, folder)
    while len(done := finished(study, optuna)) < trials:
        number = len(done)
        study.sampler = optuna.samplers.TPESampler(seed=seed_of(plan.seed, number), n_startup_trials=STARTUP)
        trial = study.ask()
        settings = plan.suggested(trial)
        try:
            value = worth(plan, settings, folder / f"trial-{number}", trial if plan.prune else None)
            study.tell(trial, value)
            said = f"{value:.4f}"
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            said = "given up"
        if told is not None:
            told(f"trial {number + 1} of {trials}: {said}, {json.dumps(settings)}")
    found = best_of(study, optuna, before, plan)
    write_whole(folder / SETTINGS, settings_text(plan, found, plan.command(trials, folder)))
    return found


def needed_optuna() -> Any:
    """Return the package optuna, which then prints warnings only.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ValueError("a search needs the package optuna: pip install 'medsim[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def refuse_another(plan: Search, folder: Path) -> None:
    """Write down what is searched, or find that the folder holds this very search.

    Raises:
        ValueError: it holds another.
    """
    ours = json.loads(canonical_json({**vars(plan), "space": {one.name: one.said() for one in plan.space}}))
    if not (folder / PLAN).is_file():
        write_whole(folder / PLAN, json.dumps(ours, indent=1) + "\n")
        return
    theirs = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"{folder} holds another search ({name}: {theirs.get(name)!r} there, {ours.get(name)!r} asked for); choose another folder"
            )


def study_in(optuna: Any, folder: Path) -> Any:
    """Return the folder's study; a trial that was under way when its process ended is begun again as another."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING)
    study = optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True, pruner=pruner)
    for one in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(one.number, state=optuna.trial.TrialState.FAIL)
    return study


def finished(study: Any, optuna: Any) -> list[Any]:
    """Return the trials that have an answer: a value, or that they were given up."""
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return list(study.get_trials(deepcopy=False, states=states))


def judged_before(study: Any, plan: Search, folder: Path) -> float:
    """Return the worth of the settings as they are, from the study or measured now."""
    if "before" not in study.user_attrs:
        study.set_user_attr("before", worth(plan, {}, folder / "before", None))
    return float(study.user_attrs["before"])


def worth(plan: Search, settings: Mapping[str, Any], folder: Path, trial: Any) -> float:
    """Return the mean return on the validation patients after training, over the training seeds.

    Raises:
        optuna.TrialPruned: a trial was given, and it has fallen behind.
    """
    values: list[float] = []
    place = 0
    for seed in plan.seeds:

        def looked(point: Mapping[str, float]) -> None:
            nonlocal place
            place += 1
            if trial is not None:
                trial.report(float(np.mean([*values, point["return_mean"]])), place)
                if trial.should_prune():
                    import optuna

                    raise optuna.TrialPruned

        try:
            run = train(plan.training(settings, seed), folder / f"seed-{seed}", looked=looked)
        except Exception:
            shutil.rmtree(folder)  # what was given up is not gone on with
            raise
        values.append(read_curve(run)[-1]["return_mean"])
    shutil.rmtree(folder)
    return float(np.mean(values))


def seed_of(seed: int, number: int) -> int:
    """Return the sampler's seed for a trial."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def best_of(study: Any, optuna: Any, before: float, plan: Search) -> Found:
    """Return what was found; of equals the earliest, and the settings as they were if nothing is better."""
    done = finished(study, optuna)
    complete = [one for one in done if one.state is optuna.trial.TrialState.COMPLETE]
    best = max(complete, key=lambda one: (one.value, -one.number), default=None)
    found = Found(changes={}, return_mean=before, return_before=before, trials=len(done), pruned=len(done) - len(complete))
    if best is None or best.value <= before:
        return found
    return replace(found, changes=plan.suggested(optuna.trial.FixedTrial(best.params)), return_mean=best.value)


def settings_text(plan: Search, found: Found, command: str) -> str:
    """Return the best settings as a file of settings, with how they were found."""
    as_they_were = load_hyperparameters(plan.env, plan.algorithm)
    settings = {**as_they_were, **plan.fixed, **found.changes}
    judges = f"{plan.patients} {judges_of(plan.env, plan.algorithm)}"
    how = {
        "trials": found.trials,
        "given_up": found.pruned,
        "seed": plan.seed,
        "sampler": "TPE",
        "training_seeds": list(plan.seeds),
        "training_steps": plan.steps,
        "judged_on": judges,
        "return_mean": found.return_mean,
        "return_before": found.return_before,
        "options": dict(plan.options),
        "command": command,
        "commit": commit(),
    }
    better = "better than" if found.changes else "no trial was better, so they are"
    head = f"# {plan.algorithm} on {plan.env}: the best of {found.trials} trials on {judges}; {better} the settings as they were."
    lines = [head, f"[{plan.algorithm}]", *(f"{name} = {toml(value)}" for name, value in settings.items())]
    lines += ["", f"[{plan.algorithm}.search]", *(f"{name} = {toml(value)}" for name, value in how.items())]
    lines += ["", f"[{plan.algorithm}.search.space]", *(f"{one.name} = {toml(one.said())}" for one in plan.space)]
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """Return a value as TOML writes it: as JSON, but for tables."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(name))} = {toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    return json.dumps(value)
