"""Results and policies from outside: checked, refused by name, and added to a suite's board as rows marked as submitted.

A record brings figures: they are checked for what can be checked, and stay unverified. A policy is judged here, on the board's patients.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from medsim.evaluation.statistics import interquartile_mean
from medsim.registry import ENVIRONMENTS, HOSPITALS, card_of, is_hospital, make_task
from medsim_agents.benchmark import Job
from medsim_agents.judging import WATCHED, judged, makers_of
from medsim_agents.leaderboard import load_records, validate_record, write_record
from medsim_agents.leaderboard.bounds import refuse_impossible
from medsim_agents.leaderboard.records import Record
from medsim_agents.outside_policies import fingerprint, load_outside
from medsim_agents.provenance import commit, hardware, versions
from medsim_agents.suites import SUITES, Board, suite
from medsim_agents.training import seconds_now

__all__ = ["check_record", "submit_policy", "submit_record"]

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
CLOSE = 1e-6  # relative, of figures that must follow from others


def submit_record(file: Path, *, by: str, results: Path) -> Path:
    """Check a record of results and add it to its suite's; returns where it is.

    Args:
        by: who submits it; results: the folder with a folder of records for each suite.

    Raises:
        ValueError: it is not sound; the message names the field, what was seen and what is allowed.
    """
    refuse_unnamed(by, "")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file.name} is not JSON: {error}") from error
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from error
    record = check_record(data, file.name)
    record["submission"] = {"by": by, "how": f"a record of results, {file.name}", "verified": False}
    return added(record, results)


def check_record(data: Any, name: str) -> Record:
    """Return a record from outside once everything about it has been checked that can be checked without its policy.

    A ``statistics`` object beside the other fields is compared with what follows from the lists, and dropped.

    Raises:
        ValueError: it is not sound.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{name} is {type(data).__name__}; allowed: an object, as of a leaderboard's record")
    statistics = data.get("statistics", {})
    record = validate_record({field: value for field, value in data.items() if field not in ("statistics", "submission")}, name)
    job = record["job"]
    refuse_environment(job["env"], name)
    refuse_another_id(record, name)
    board_for(job["suite"], job["env"], job["settings"], job["evaluation"], name)
    if record["role"] != "agent" or job["policy"] in makers_of(job["env"]):
        raise ValueError(
            f"{name}: {job['policy']!r} has the role {record['role']}; reference policies are run here, and agents must have other names"
        )
    refuse_other_names(record, name)
    refuse_impossible(record, name)
    refuse_scores(record, name)
    refuse_statistics(record, statistics, name)
    return record


def refuse_environment(env_id: str, name: str) -> None:
    """Raise ValueError if there is no such environment, or none of that version."""
    known = [*(one.id for one in ENVIRONMENTS), *(one.id for one in HOSPITALS)]
    if env_id in known:
        return
    same = [one for one in known if one.rpartition("-v")[0] == env_id.rpartition("-v")[0]]
    if same:
        raise ValueError(f"{name}: job.env is {env_id!r}, a version that is not judged here; allowed: {same[0]}")
    raise ValueError(f"{name}: job.env is {env_id!r}, which is unknown; allowed: {', '.join(known)}")


def refuse_another_id(record: Record, name: str) -> None:
    """Raise ValueError if a job's id is not the hash of what the record says of it."""
    job = cast(dict[str, Any], record["job"])
    made = Job(**{field: value for field, value in job.items() if field != "id"}).id
    if job["id"] != made:
        raise ValueError(f"{name}: job.id is {job['id']!r}; allowed: {made!r}, the hash of what the record says of its job")


def board_for(suite_name: str, env_id: str, settings: Mapping[str, Any], evaluation: Mapping[str, Any] | None, name: str) -> Board:
    """Return the board of a suite that a result belongs to.

    Raises:
        ValueError: the suite is unknown or has none for that environment and settings, or its patients are others.
    """
    if suite_name not in [one.name for one in SUITES]:
        raise ValueError(f"{name}: job.suite is {suite_name!r}; allowed: {', '.join(one.name for one in SUITES)}")
    boards = [board for board in suite(suite_name).boards if board.env == env_id]
    if not boards:
        there_are = ", ".join(board.env for board in suite(suite_name).boards)
        raise ValueError(f"{name}: suite {suite_name} has no board for {env_id}; it has {there_are}")
    fitting = [board for board in boards if dict(board.settings) == dict(settings)]
    if not fitting:
        allowed = " or ".join(json.dumps(dict(board.settings)) for board in boards)
        raise ValueError(f"{name}: job.settings is {json.dumps(dict(settings))}; allowed in suite {suite_name}: {allowed}")
    board = fitting[0]
    for field in ("cohort", "patients", "seed"):
        if evaluation is not None and evaluation[field] != getattr(board, field):
            raise ValueError(f"{name}: job.evaluation.{field} is {evaluation[field]!r}; allowed: {getattr(board, field)!r}, as for all")
    return board


def refuse_other_names(record: Record, name: str) -> None:
    """Raise ValueError if costs, metrics or outcomes are not those that the environment reports."""
    job, result = record["job"], record["result"]
    env_id, settings = job["env"], job["settings"]
    one = judged(env_id, makers_of(env_id)[card_of(env_id).floor_policy](), settings, {**job["evaluation"], "patients": 1})
    reported = {"costs": one["costs"], "metrics": one["metrics"]}
    for field, ours in reported.items():
        theirs = cast(Mapping[str, Any], result[field])  # type: ignore[literal-required]
        if set(theirs) != set(ours):
            raise ValueError(f"{name}: result.{field} has {', '.join(theirs) or 'nothing'}; allowed: {', '.join(ours)}")
    outcomes = (WATCHED,) if is_hospital(env_id) else tuple(make_task(env_id, **settings).model.outcomes[1:])
    for outcome in result["outcomes"]:
        if outcome not in outcomes:
            raise ValueError(f"{name}: result.outcomes has {outcome!r}; allowed: {', '.join(outcomes)}")


def refuse_scores(record: Record, name: str) -> None:
    """Raise ValueError if a normalised score does not follow from its return."""
    scores, result = card_of(record["job"]["env"]).scores, record["result"]
    for place, (value, score) in enumerate(zip(result["returns"], result["normalised"], strict=True)):
        follows = scores.normalised(value)
        if abs(score - follows) > CLOSE * max(1.0, abs(follows)):
            raise ValueError(
                f"{name}: result.normalised[{place}] is {score:g}; a return of {value:g} makes it {follows:g} "
                f"(floor {scores.floor:g}, ceiling {scores.ceiling:g})"
            )


def refuse_statistics(record: Record, statistics: Any, name: str) -> None:
    """Raise ValueError if statistics that came with a record do not follow from its lists."""
    result = record["result"]
    follows = {
        "return_mean": float(np.mean(result["returns"])),
        "return_median": float(np.median(result["returns"])),
        "cost_mean": float(np.mean(result["cost"])),
        "normalised_mean": float(np.mean(result["normalised"])),
        "normalised_iqm": float(interquartile_mean(np.array(result["normalised"])[None])),
    }
    if not isinstance(statistics, dict):
        raise ValueError(f"{name}: statistics is {statistics!r}; allowed: an object of {', '.join(follows)}")
    for field, value in statistics.items():
        if field not in follows:
            raise ValueError(f"{name}: statistics.{field} is unknown; allowed: {', '.join(follows)}")
        if not isinstance(value, int | float) or abs(value - follows[field]) > CLOSE * max(1.0, abs(follows[field])):
            raise ValueError(f"{name}: statistics.{field} is {value!r}; the lists make it {follows[field]:g}")


def submit_policy(file: Path, *, by: str, to: str, env_id: str, policy_name: str, results: Path, seed: int = 0, trust: bool = False,
                  algorithm: str | None = None) -> Path:  # fmt: skip
    """Judge a policy from outside on a board's patients and add its record; returns where it is.

    Args:
        to: the suite; policy_name: of its row; seed: which of several trainings of one policy it is.
        trust, algorithm: as of ``load_outside``.

    Raises:
        ValueError: the policy cannot be read, is not trusted, does not fit the environment, or its name is taken.
    """
    refuse_unnamed(by, policy_name)
    refuse_environment(env_id, file.name)
    boards = [board for board in (suite(to).boards) if board.env == env_id]
    board = board_for(to, env_id, boards[0].settings if boards else {}, None, file.name)
    if policy_name in makers_of(env_id) or policy_name in [agent.algorithm for agent in board.agents]:
        raise ValueError(f"the name {policy_name!r} is that of a policy of the suite; choose another with --name")
    policy = load_outside(file, env_id, policy_name, trust=trust, algorithm=algorithm)
    acting = {name: value for name, value in policy.options.items() if name not in board.settings}
    evaluation = {"cohort": board.cohort, "patients": board.patients, "seed": board.seed}
    job = Job(
        suite=to, env=env_id, settings=dict(board.settings), policy=policy_name, kind="agent", seed=seed, steps=0,
        hyperparameters={"options": acting} if acting else {}, evaluation=evaluation,
    )  # fmt: skip
    began = seconds_now()
    result = judged(env_id, policy, job.settings, evaluation)
    wall_s, cpu_s = (after - before for before, after in zip(began, seconds_now(), strict=True))
    words = ["medsim benchmark submit", file.name, "--to", to, "--env", env_id, "--name", policy_name, "--seed", str(seed)]
    record = validate_record(
        {
            "schema": 1,
            "job": {"id": job.id, **job.fields()},
            "role": "agent",
            "command": f"{' '.join(words)}  # SHA-256 {fingerprint(file)}",
            "versions": versions(),
            "commit": commit(),
            "hardware": dict(hardware(cores=1)),
            "time": {"wall_s": wall_s, "cpu_s": cpu_s, "steps_per_s": 0.0},
            "learning_curve": [],
            "result": result,
            "submission": {"by": by, "how": f"a policy ({file.suffix.lstrip('.') or 'a run folder'}), judged here", "verified": True},
        },
        file.name,
    )
    refuse_impossible(record, file.name)
    return added(record, results)


def refuse_unnamed(by: str, policy_name: str) -> None:
    """Raise ValueError if it is not said who submits, or a policy's name is none that a row can have."""
    if not by.strip() or len(by) > 60 or not by.isprintable():
        raise ValueError(f"say who submits it with --by, in at most 60 characters, not {by!r}")
    if policy_name and not NAME.fullmatch(policy_name):
        raise ValueError(f"a name must be of small letters, digits, '-', '_' and '.', at most 40 of them, not {policy_name!r}")


def added(record: Record, results: Path) -> Path:
    """Write a record into its suite's folder.

    Raises:
        ValueError: it is there already, or a row of that name is another's or another configuration.
    """
    folder = results / record["job"]["suite"]
    there = load_records(folder) if folder.is_dir() else []
    refuse_taken(record, there)
    return write_record(record, folder)


def refuse_taken(record: Record, there: Sequence[Record]) -> None:
    """Raise ValueError if a record cannot stand on the board beside those that are there."""
    job = record["job"]
    if any(one["job"]["id"] == job["id"] for one in there):
        raise ValueError(f"a record of this job ({job['id']}) is there already; choose another name or seed")
    for one in there:
        other = one["job"]
        if (other["env"], other["policy"]) != (job["env"], job["policy"]):
            continue
        if one.get("submission", {}).get("by") != record["submission"]["by"]:
            raise ValueError(f"the name {job['policy']!r} is taken on this board; choose another")
        if (other["steps"], other["hyperparameters"]) != (job["steps"], job["hyperparameters"]) or other["seed"] == job["seed"]:
            raise ValueError(f"{job['policy']!r} is there with other settings or this very seed; choose another name or seed")
