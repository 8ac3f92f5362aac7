"""How long the full suite takes: steps a second of every algorithm on every environment, from short trainings, and the sum of its jobs.

    python -m benchmarks.tuning.suite_cost              measure (some minutes of one core), write suite_cost.json, print the table
    python -m benchmarks.tuning.suite_cost --table      the table of what was measured, with the suite's steps of now

Two trainings of different length are timed by processor time: their difference leaves out what a training takes to begin. The trained
policy is then judged on a few patients or episodes, which gives the time of learning curves and of the judging at the end. Other settings
are the tuned ones; off-policy algorithms begin to learn early.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from medsim.cli.verbs import silence_gym_notice
from medsim.registry import is_hospital
from medsim_agents.benchmark import Job, all_that_play, jobs_of
from medsim_agents.judging import judged, makers_of
from medsim_agents.policies import load_policy
from medsim_agents.provenance import commit, hardware, versions
from medsim_agents.suites import Board, suite
from medsim_agents.training import plan_training, train

FILE = Path(__file__).with_suffix(".json")
PATIENTS, EPISODES = 64, 4  # that are judged
ROLLOUTS = (1, 2, 8)  # of on-policy algorithms; the first compiles, and is not counted
STEPS = (1_500, 3_000, 8_000)  # of the others, and they learn from step 1_000 on


def cpu_s(env: str, algorithm: str, board: Board, steps: int, folder: Path, **more: Any) -> float:
    training = plan_training(env, algorithm, options=board.settings, curve_points=1, validation_patients=1, steps=steps, **more)
    began = time.process_time()
    train(training, folder)
    return time.process_time() - began


def measured(board: Board, algorithm: str) -> dict[str, Any]:
    """Seconds of processor time for 1000 steps of training, and for judging one patient or episode."""
    settings = plan_training(board.env, algorithm, options=board.settings).hyperparameters
    if "learning_starts" in settings:
        lengths, more = STEPS, {"learning_starts": 1_000}
    else:
        lengths, more = tuple(count * settings["n_envs"] * settings["n_steps"] for count in ROLLOUTS), {}
    with tempfile.TemporaryDirectory() as folder:
        _, short, long = (cpu_s(board.env, algorithm, board, steps, Path(folder) / str(steps), **more) for steps in lengths)
        policy = load_policy(Path(folder) / str(lengths[-1]))
        return {"s_per_1000_steps": 1000 * (long - short) / (lengths[2] - lengths[1]), "s_per_judge": judging_s(board, policy)}


def judging_s(board: Board, policy: Any) -> float:
    """Seconds of processor time for one patient or episode; the first look, which compiles, is not counted."""
    few = EPISODES if is_hospital(board.env) else PATIENTS
    evaluation = {"cohort": board.cohort, "patients": few, "seed": board.seed}
    judged(board.env, policy, board.settings, evaluation)
    began = time.process_time()
    judged(board.env, policy, board.settings, evaluation)
    return (time.process_time() - began) / few


def measure() -> dict[str, Any]:
    """What is measured already stays: delete the file to begin anew."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"agents": {}, "references": {}}
    found |= {"commit": commit(), "hardware": dict(hardware(cores=1)), "versions": versions()}
    for board in suite("full").boards:
        agents = found["agents"].setdefault(board.env, {})
        for agent in board.agents:
            if agent.algorithm not in agents:
                agents[agent.algorithm] = measured(board, agent.algorithm)
                print(board.env, agent.algorithm, agents[agent.algorithm], flush=True)
        if board.env not in found["references"]:
            found["references"][board.env] = {name: judging_s(board, makers_of(board.env)[name]()) for name in all_that_play(board)}
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def seconds_of(job: Job, board: Board, found: dict[str, Any]) -> float:
    """Estimated processor time of a job."""
    if job.kind == "reference":
        return float(found["references"][job.env][job.policy]) * board.patients
    speed = found["agents"][job.env][job.policy]
    looks = (job.curve_points + 1) * job.validation_patients + board.patients
    return float(job.steps / 1000 * speed["s_per_1000_steps"] + looks * speed["s_per_judge"])


def table(found: dict[str, Any]) -> str:
    """Environment by environment: steps, steps a second, minutes of one run, and hours of the whole suite."""
    chosen = suite("full")
    boards, jobs = {board.env: board for board in chosen.boards}, jobs_of(chosen)
    lines = ["| environment | algorithm | steps | steps/s | minutes a run | runs |", "|---|---|--:|--:|--:|--:|"]
    total = 0.0
    for env, board in boards.items():
        for agent in board.agents:
            its = [job for job in jobs if job.env == env and job.policy == agent.algorithm]
            each = seconds_of(its[0], board, found)
            rate = 1000 / found["agents"][env][agent.algorithm]["s_per_1000_steps"]
            lines.append(f"| {env} | {agent.algorithm} | {its[0].steps:,} | {rate:,.0f} | {each / 60:.1f} | {len(its)} |")
            total += each * len(its)
        references = [seconds_of(job, board, found) for job in jobs if job.env == env and job.kind == "reference"]
        lines.append(f"| {env} | {len(references)} reference policies | | | {sum(references) / 60:.1f} in all | 1 |")
        total += sum(references)
    return "\n".join([*lines, "", f"{len(jobs)} jobs, {total / 3600:.1f} hours of processor time."])


def main() -> None:
    silence_gym_notice()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    if not parser.parse_args().table:
        measure()
    print(table(json.loads(FILE.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
