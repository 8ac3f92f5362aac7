"""A SLURM array script that runs a suite, a job a task, for whoever has that instead of Ray."""

import shlex
from pathlib import Path

from medsim_agents.benchmark import jobs_to_run
from medsim_agents.suites import Suite

__all__ = ["slurm_script"]


def slurm_script(chosen: Suite, out: Path, *, at_once: int = 32, hours: float = 4.0) -> str:
    """Return the script for the jobs of a suite that have no record yet below ``out``.

    Args:
        at_once: tasks that may run together; hours: that each may take.

    Raises:
        ValueError: nothing is left to run, or a number is not above 0.
    """
    if at_once < 1 or hours <= 0.0:
        raise ValueError(f"at_once must be 1 or more and hours above 0, not {at_once} and {hours}")
    jobs = jobs_to_run(chosen, out / "leaderboard" / chosen.name)
    if not jobs:
        raise ValueError(f"suite {chosen.name} has a result for every job in {out}: there is nothing to run")
    minutes = max(1, round(60 * hours))
    return "\n".join(
        [
            "#!/bin/bash",
            f"# {chosen.name}: {len(jobs)} jobs, one core each. Submit with sbatch; submitted again it runs what is missing then.",
            f"#SBATCH --job-name=medsim-{chosen.name}",
            f"#SBATCH --array=0-{len(jobs) - 1}%{at_once}",
            f"#SBATCH --time={minutes // 60}:{minutes % 60:02d}:00",
            "#SBATCH --cpus-per-task=1 --mem=3G",
            f"jobs=({' '.join(job.id for job in jobs)})",
            "export OMP_NUM_THREADS=1",
            f"exec medsim benchmark run {chosen.name} --engine serial --out {shlex.quote(str(out))} --only ${{jobs[$SLURM_ARRAY_TASK_ID]}}",
            "",
        ]
    )
