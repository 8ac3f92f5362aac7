"""What is measured, in order: each group with its function and the reason why it may have to be skipped."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.speed import (
    against_c,
    against_simglucose,
    growth,
    hospital,
    queues,
    rates,
    sepsis,
    shares,
    shells,
    startup,
    threads,
    training,
)
from benchmarks.speed.c_kernel import why_no_c_kernel
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.peer import why_no_peer

__all__ = ["GROUPS", "Group"]


@dataclass(frozen=True)
class Group:
    """Measurements that are taken side by side."""

    name: str
    measure: Callable[[Plan], Found]
    why_not: Callable[[Plan], str | None] = lambda plan: None


GROUPS = (
    Group("startup", startup.measure),
    Group("simglucose", against_simglucose.measure, lambda plan: why_no_peer(plan.peer_python)),
    Group("rates", rates.measure_batches),
    Group("c", against_c.measure, lambda plan: why_no_c_kernel()),
    Group("single", rates.measure_single),
    Group("shells", shells.measure, lambda plan: shells.why_no_agents()),
    Group("threads", threads.measure, lambda plan: threads.why_no_threads()),
    Group("training", training.measure, lambda plan: shells.why_no_agents()),
    Group("share", training.measure_share, lambda plan: shells.why_no_agents()),
    Group("shares", shares.measure),
    Group("growth", growth.measure),
    Group("sepsis", sepsis.measure),
    Group("hospital", hospital.measure, lambda plan: shells.why_no_agents()),
    Group("queues", queues.measure, lambda plan: queues.why_no_ciw(plan.ciw_python)),
)
