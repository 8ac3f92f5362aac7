"""How long the full suite took: processor time and steps of every algorithm on every environment, from the records of its jobs.

python -m benchmarks.tuning.suite_cost                                  of the committed results
python -m benchmarks.tuning.suite_cost benchmarks/leaderboard/full      of one's own
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from medsim_agents.benchmark import jobs_of
from medsim_agents.leaderboard.records import Record, load_records
from medsim_agents.suites import suite

COMMITTED = Path("benchmarks/results/leaderboard/full")


def table(records: list[Record]) -> str:
    """Environment by environment: steps, seconds of one run and of all, and hours of the whole suite."""
    of_agents: dict[tuple[str, str], list[Record]] = defaultdict(list)
    of_references: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        job = record["job"]
        if job["kind"] == "agent":
            of_agents[job["env"], job["policy"]].append(record)
        else:
            of_references[job["env"]].append(record)
    lines = ["| environment | algorithm | steps | training steps/s | CPU s a run | runs |", "|---|---|--:|--:|--:|--:|"]
    for env in dict.fromkeys(board.env for board in suite("full").boards):
        for (where, policy), ones in sorted(of_agents.items()):
            if where == env:
                steps, rate = ones[0]["job"]["steps"], np.median([one["time"]["steps_per_s"] for one in ones])
                lines.append(f"| {env} | {policy} | {steps:,} | {rate:,.0f} | {cpu_s(ones) / len(ones):,.0f} | {len(ones)} |")
        if of_references[env]:
            ones = of_references[env]
            lines.append(f"| {env} | {len(ones)} reference policies | | | {cpu_s(ones):,.0f} in all | {len(ones)} |")
    jobs = len(jobs_of(suite("full")))
    return "\n".join([*lines, "", f"{len(records)} of {jobs} jobs, {cpu_s(records) / 3600:.1f} hours of processor time."])


def cpu_s(records: list[Record]) -> float:
    """Return the processor time of jobs together."""
    return sum(record["time"]["cpu_s"] for record in records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=COMMITTED)
    print(table(load_records(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
