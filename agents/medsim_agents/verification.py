"""Running rows of a leaderboard again: is what stands there what comes out?

A reference policy's figures are equal to the bit on any machine. A trained agent's are where processor and packages are of the same kind,
since torch's sums depend on both; elsewhere they are compared and the difference is told, and whether patients tell the two apart.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medsim_agents.benchmark import Job, jobs_of, run_job
from medsim_agents.leaderboard import load_records
from medsim_agents.leaderboard.records import Record
from medsim_agents.provenance import hardware, versions
from medsim_agents.suites import Suite, suite

__all__ = ["Verified", "comparable", "compared", "verify"]

FAR = 1.96  # standard errors of the paired difference


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What running a row again showed.

    Attributes:
        job, policy, env, seed: which row.
        same: whether every figure of every patient is equal to the bit.
        must_be: whether it has to be: a reference policy, or an agent on the same kind of machine with the same packages.
        return_before, return_now: mean returns; difference: of them; standard_error: of the difference, over patients.
        why: in words, what differs between the machines, "" where nothing does.
    """

    job: str
    policy: str
    env: str
    seed: int
    same: bool
    must_be: bool
    return_before: float
    return_now: float
    difference: float
    standard_error: float
    why: str

    @property
    def failed(self) -> bool:
        """Whether the row is not what it should be."""
        return self.must_be and not self.same

    @property
    def far(self) -> bool:
        """Whether the patients tell the two results apart."""
        return abs(self.difference) > FAR * self.standard_error

    def record(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "failed": self.failed, "far": self.far}


def verify(name: str | Suite, folder: Path, *, rows: int = 5, seed: int = 0, kind: str = "any", folder_now: Path | None = None,
           told: Callable[[Verified], None] | None = None, progress: Callable[[int], None] | None = None) -> list[Verified]:  # fmt: skip
    """Run some rows of a suite's results again, drawn by ``seed``, and compare.

    Args:
        name: the suite; folder: of its records; rows: how many, at most as many as there are.
        kind: "agent", "reference" or "any"; folder_now: where to run (default: a folder that is then removed).
        told: called with each row as it is done; progress: called with the work done since the last call.

    Raises:
        ValueError: rows is below 1, kind is none of those, or there is no record of the suite.
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, not {rows}")
    if kind not in ("agent", "reference", "any"):
        raise ValueError(f"kind must be agent, reference or any, not {kind!r}")
    chosen = suite(name) if isinstance(name, str) else name
    jobs = {job.id: job for job in jobs_of(chosen) if kind in ("any", job.kind)}
    there = [record for record in load_records(folder) if record["job"]["id"] in jobs]
    if not there:
        raise ValueError(f"{folder} has no record of a job of the suite {chosen.name}: its settings may have changed since")
    drawn = np.random.default_rng(seed).permutation(len(there))[:rows]
    found = []
    with tempfile.TemporaryDirectory() as somewhere:
        for number in sorted(drawn.tolist()):
            before = there[number]
            job: Job = jobs[before["job"]["id"]]
            found.append(compared(before, run_job(job, folder_now or Path(somewhere), progress)))
            if told is not None:
                told(found[-1])
    return found


def comparable(before: Record, now: Record) -> str:
    """Return what differs between the machines and packages of two records, "" where nothing does."""
    parts = []
    if kind_of(before["hardware"]["cpu"]) != kind_of(now["hardware"]["cpu"]):
        parts.append(f"processor {kind_of(before['hardware']['cpu'])} then, {kind_of(now['hardware']['cpu'])} now")
    for name in sorted({*before["versions"], *now["versions"]}):
        old, new = before["versions"].get(name, "none"), now["versions"].get(name, "none")
        if old != new:
            parts.append(f"{name} {old} then, {new} now")
    return "; ".join(parts)


def kind_of(processor: str) -> str:
    """Return a processor's name without how many there are."""
    return processor.partition(" (")[0]


def compared(before: Record, now: Record) -> Verified:
    """Return how a row compares with its like."""
    old, new = (np.array(record["result"]["returns"]) for record in (before, now))
    gap = new - old if len(new) == len(old) else np.full(len(new), np.nan)
    why, job = comparable(before, now), before["job"]
    return Verified(
        job=job["id"], policy=job["policy"], env=job["env"], seed=job["seed"], same=before["result"] == now["result"],
        must_be=job["kind"] == "reference" or not why, return_before=float(old.mean()), return_now=float(new.mean()),
        difference=float(gap.mean()), standard_error=float(gap.std(ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else float("nan"), why=why,
    )  # fmt: skip


def text_of(found: Sequence[Verified]) -> str:
    """Return rows for people."""
    lines = []
    for one in found:
        apart = ", patients tell them apart" if one.far else ""
        verdict = "equal to the bit" if one.same else f"DIFFERS{apart}" if one.failed else f"differs{apart}"
        lines.append(f"{one.job}  {one.env} {one.policy} seed {one.seed}: {verdict}")
        if not one.same:
            told = f"mean return {one.return_before:.4f} then, {one.return_now:.4f} now (difference {one.difference:+.4f}"
            lines.append(f"  {told}, standard error over patients {one.standard_error:.4f})")
            lines.append(f"  {one.why or 'same kind of processor, same packages: this should not be'}")
    return "\n".join(lines)


def here() -> str:
    """Return in a line what this machine is."""
    return f"{kind_of(hardware(cores=1)['cpu'])}, " + ", ".join(f"{name} {number}" for name, number in versions().items())
