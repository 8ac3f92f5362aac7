"""Our 3-minute steps against simglucose's, as it ships and with its pandas look-ups replaced by plain attributes."""

from benchmarks.speed.batches import vector_work
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.peer import Peer
from benchmarks.speed.rates import BATCH, COMPAT, DAY_IN_STEPS, single_work
from benchmarks.speed.timing import Work, interleave, quotients

__all__ = ["measure"]

PATIENT = "adult#001"


def measure(plan: Plan) -> Found:
    """Time a day of both of simglucose's, days of one patient of ours and a day of a batch, in turn."""
    assert plan.peer_python is not None
    with Peer(plan.peer_python, PATIENT) as peer:
        day = plan.scaled(DAY_IN_STEPS[True], 6)
        works = {
            "simglucose as shipped": Work(units=day, run=lambda: peer.day("shipped", day)),
            "simglucose, plain attributes": Work(units=day, run=lambda: peer.day("plain", day)),
            "medsim, gym.make": single_work(plan.scaled(20, 1), **COMPAT),
            "medsim, batch of 1,024": vector_work(plan.scaled(BATCH, 64), plan.scaled(DAY_IN_STEPS[True] + 1, 5), **COMPAT),
        }
        timings = interleave(works, plan.repeats, "against simglucose")
        versions = peer.versions
    theirs = {"shipped": "simglucose as shipped", "plain": "simglucose, plain attributes"}
    ours = {"single": "medsim, gym.make", "batch": "medsim, batch of 1,024"}
    values = {f"{a}_v_{b}": quotients(timings[theirs[b]].cpu, timings[ours[a]].cpu) for a in ours for b in theirs}
    return Found(values=values, timings=timings, more={"versions": versions})
