"""Running a suite: each job trains and judges one policy and leaves one record; a job whose record is there is not run again.

A job's id is the SHA-256 of everything that decides its result (its settings, not the machine), so records of other settings are
never mistaken for it, whoever ran them, with whatever engine.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medsim_agents.device import card_in_use
from medsim_agents.hyperparameters import Origin
from medsim_agents.judging import judged, makers_of, plays_there, role_of
from medsim_agents.leaderboard.records import Record, Result, validate_record, write_record
from medsim_agents.provenance import canonical_json, commit, hardware, versions
from medsim_agents.suites import Agent, Board, Suite, suite
from medsim_agents.training import plan_training, seconds_now, train

__all__ = ["Job", "default_results", "jobs_of", "run_job", "run_suite"]

Steps = Callable[[int], None]
RUNS = "runs"  # folder of training runs, beside the records


@dataclass(frozen=True, kw_only=True)
class Job:
    """One policy, one seed, one environment, as a leaderboard's record has it; how its learning curve is drawn; where its settings are
    from."""

    suite: str
    env: str
    settings: Mapping[str, Any]
    policy: str
    kind: str
    seed: int
    steps: int
    hyperparameters: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    curve_points: int = 0
    validation_patients: int = 0
    origin: Origin | None = None

    @property
    def id(self) -> str:
        """16 hex digits that name its record: a hash of all that decides the result, which is what the record says of its job."""
        return hashlib.sha256(canonical_json(self.fields()).encode()).hexdigest()[:16]

    def fields(self) -> dict[str, Any]:
        """Return what the record says of the job, but for its id."""
        return {name: value for name, value in asdict(self).items() if name not in ("curve_points", "validation_patients", "origin")}

    @property
    def training(self) -> str:
        """The name of the folder of its training: its id, and how its learning curve is looked at, which the id leaves out."""
        return f"{self.id}-{self.curve_points}-{self.validation_patients}"

    @property
    def command(self) -> str:
        """What to type to run it again."""
        return f"medsim benchmark run {self.suite} --only {self.id}"


def jobs_of(chosen: Suite) -> list[Job]:
    """Return a suite's jobs: those that take longest first, so that workers end together.

    Raises:
        ValueError: a policy or a setting of the suite does not exist.
    """
    jobs = [job for board in chosen.boards for job in (*_reference_jobs(chosen.name, board), *_agent_jobs(chosen.name, board))]
    return sorted(jobs, key=lambda job: (-job.steps, -judging_work(job), job.policy, job.seed))


def _evaluation(board: Board) -> dict[str, Any]:
    return {"cohort": board.cohort, "patients": board.patients, "seed": board.seed}


def _reference_jobs(name: str, board: Board) -> list[Job]:
    there_are = makers_of(board.env)
    for policy in board.references or ():
        if policy not in there_are:
            raise ValueError(f"suite {name}: no reference policy is called {policy!r}; there are {', '.join(there_are)}")
    return [
        Job(suite=name, env=board.env, settings=dict(board.settings), policy=policy, kind="reference", seed=0, steps=0,
            hyperparameters={}, evaluation=_evaluation(board))
        for policy in (all_that_play(board) if board.references is None else board.references)
    ]  # fmt: skip


def all_that_play(board: Board) -> list[str]:
    """Return the names of an environment's reference policies, without those that are for another variant of it."""
    return [name for name, make in makers_of(board.env).items() if plays_there(board.env, make(), board.settings)]


def _agent_jobs(name: str, board: Board) -> list[Job]:
    return [_agent_job(name, board, agent, seed) for agent in board.agents for seed in agent.seeds]


def _agent_job(name: str, board: Board, agent: Agent, seed: int) -> Job:
    planned = plan_training(board.env, agent.algorithm, options=board.settings, **agent.changes)
    acting = {option: value for option, value in planned.options.items() if option not in board.settings}
    settings = {**planned.hyperparameters, **({"options": acting} if acting else {})}
    return Job(
        suite=name,
        env=board.env,
        settings=dict(board.settings),
        policy=agent.algorithm,
        kind="agent",
        seed=seed,
        steps=int(settings.pop("steps")),
        hyperparameters=settings,
        evaluation=_evaluation(board),
        curve_points=board.curve_points,
        validation_patients=board.validation_patients,
        origin=planned.origin,
    )


def run_job(job: Job, folder: str | Path, progress: Steps | None = None) -> Record:
    """Run a job, write its record into ``folder`` and return it; an agent's training is kept in ``folder/runs``.

    Raises:
        TrainingInterrupted: it was told to stop; the same call goes on.
    """
    if job.kind == "agent":
        from medsim_agents.policies import load_policy
        from medsim_agents.run_folder import read_curve, read_run

        run = train_for(job, Path(folder), progress)
        policy: Any = load_policy(run)
        curve, spent = read_curve(run), read_run(run)["time"]
    else:
        policy, curve, spent = makers_of(job.env)[job.policy](), [], {"wall_s": 0.0, "cpu_s": 0.0, "steps_per_s": 0.0}
    began = seconds_now()
    result = judged(job.env, policy, job.settings, job.evaluation)
    for name, before, after in zip(("wall_s", "cpu_s"), began, seconds_now(), strict=True):
        spent[name] += after - before
    record = record_of(job, result, curve, spent)
    write_record(record, folder)
    return record


def train_for(job: Job, folder: Path, progress: Steps | None) -> Path:
    """Train a job's agent, or go on training it; returns its run folder."""
    changes = {name: value for name, value in job.hyperparameters.items() if name != "options"}
    training = plan_training(
        job.env,
        job.policy,
        seed=job.seed,
        options={**job.settings, **job.hyperparameters.get("options", {})},
        validation_patients=job.validation_patients,
        curve_points=job.curve_points,
        steps=job.steps,
        **changes,
    )
    training = replace(training, hyperparameters={**changes, "steps": job.steps}, origin=job.origin)
    return train(training, folder / RUNS / job.training, progress, command=job.command)


def record_of(job: Job, result: Result, curve: list[dict[str, float]], spent: Mapping[str, float]) -> Record:
    """Return the record of a job that has been run."""
    settings_from = {"settings_from": job.origin.record()} if job.origin is not None else {}
    return validate_record(
        {
            "schema": 1,
            "job": {"id": job.id, **job.fields()},
            "role": role_of(job.env, job.policy) if job.kind == "reference" else "agent",
            "command": job.command,
            "versions": versions(),
            "commit": commit(),
            "hardware": dict(hardware(cores=1, gpu=card_in_use(job.hyperparameters))),
            "time": dict(spent),
            "learning_curve": curve,
            "result": result,
            **settings_from,
        }
    )


def default_results(suite_name: str) -> Path:
    """Return where a suite's records lie when nothing else is said."""
    return Path("benchmarks") / "leaderboard" / suite_name


def run_suite(name: str | Suite, folder: str | Path | None = None, *, engine: str = "process", workers: int = 2,
              only: str | None = None, address: str | None = None, progress: Steps | None = None) -> Path:  # fmt: skip
    """Run the jobs of a suite whose records are not there yet; returns the folder of records.

    Args:
        name: a suite, or its name; folder: of the records, by default ``benchmarks/leaderboard/<suite>``.
        engine: "serial" (one after the other, here), "process" (side by side in ``workers`` processes) or "ray" (on the cluster at
            ``address``, or on this machine); results are the same.
        only: the id of one job, which is run even if its record is there.
        progress: called with the work done since the last call, in units of ``work_of``.

    Raises:
        ValueError: no such suite, engine or job, or workers below 1.
    """
    from medsim_agents.engines import engine_of

    run_all = engine_of(engine, workers, address)
    chosen = suite(name) if isinstance(name, str) else name
    folder = default_results(chosen.name) if folder is None else Path(folder)
    run_all(jobs_to_run(chosen, folder, only), folder, progress)
    return folder


def jobs_to_run(chosen: Suite, folder: Path, only: str | None = None) -> list[Job]:
    """Return the jobs without a record, or the one asked for, its earlier training removed.

    Raises:
        ValueError: the suite has no job of that id.
    """
    jobs = jobs_of(chosen)
    if only is None:
        return [job for job in jobs if not (folder / f"{job.id}.json").is_file()]
    asked = [job for job in jobs if job.id == only]
    if not asked:
        there_are = ", ".join(f"{job.id} ({job.policy}, seed {job.seed})" for job in jobs)
        raise ValueError(f"suite {chosen.name} has no job {only!r}; it has {there_are}")
    if (folder / f"{only}.json").is_file():
        shutil.rmtree(folder / RUNS / asked[0].training, ignore_errors=True)
    return asked


JUDGING_WORK = 20_000  # measured: judging a policy takes about as long as this many steps of training
SEARCHING_WORK = 1_000_000  # and one that searches the simulator takes this long
SEARCHERS = ("clairvoyant",)


def judging_work(job: Job) -> int:
    """Return how much work it is to judge a job's policy, in training steps."""
    return SEARCHING_WORK if job.policy in SEARCHERS else JUDGING_WORK


def work_of(job: Job) -> int:
    """Return how much work a job is, in training steps."""
    return job.steps + judging_work(job)
