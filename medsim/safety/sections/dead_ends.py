"""9: dead ends: states from which nothing that is tried saves the patient, and whether the policy leads into them.

Where the course is a table, the least harm that any policy could still reach is computed exactly. Elsewhere courses are branched: at some
hours the patients are copied as they are, and the policy itself, the protocol and other reference policies go on with them to the end;
what no branch saves is called a dead end. A better policy than those tried may know a way out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.tabular import TabularTask
from medsim.core.tabular_kernels import STATE
from medsim.datasets.episodes import patients_of
from medsim.evaluation.exact import Problem, chance_by_state
from medsim.policies import reference_policies
from medsim.policies.policy import Policy
from medsim.safety.context import Context
from medsim.safety.drawing import Curve, curves
from medsim.safety.features import features
from medsim.safety.figures import Figure, difference_of, exactly, plain, share_of
from medsim.safety.findings import Findings, Picture, Section, figures_table
from medsim.safety.novelty import auroc

__all__ = ["DEAD_FROM", "SECTION", "Traced"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DEAD_FROM = 0.9  # chosen: least harm that is left, from which a state is called a dead end
POINTS = 6  # chosen: hours at which courses are branched, evenly over the course
PER_1000 = "per 1,000 patients"


@dataclass(frozen=True, kw_only=True)
class Traced:
    """The least harm that is left along courses: (n, points), NaN after an end; the hours; what was seen there, (n, points, k)."""

    least: Floats
    hours: Floats
    seen: Floats
    said: str

    @property
    def dead(self) -> Bools:
        """Return which patients ever were in a dead end, (n,)."""
        return np.asarray((np.nan_to_num(self.least, nan=0.0) >= DEAD_FROM).any(axis=1))


def dead_ends(c: Context) -> Findings:
    """Return how often the policy leads into dead ends, against the protocol, and whether they can be seen coming."""
    tabular = isinstance(c.task, TabularTask)
    trace = exact_trace if tabular else branched_trace
    own, standard = trace(c, c.policy), trace(c, c.protocol)
    both = difference_of(own.dead, standard.dead, PER_1000, "patients led into a dead end: the policy's less the protocol's", scale=1000.0)
    avoidable = own.dead & ~standard.dead
    figures = {
        "entered": share_of(own.dead, PER_1000, "patients who come into a dead end under the policy", scale=1000.0),
        "entered_protocol": share_of(standard.dead, PER_1000, "the same under the protocol", scale=1000.0),
        "excess": both,
        "avoidable": share_of(avoidable, PER_1000, "patients led into a dead end whom the protocol keeps out of it", scale=1000.0),
    }
    says = [
        own.said,
        f"Under the policy {figures['entered'].text()} come into a dead end, under the protocol {figures['entered_protocol'].bare()}; "
        f"{figures['avoidable'].bare()} are led there whom the protocol keeps out.",
        *coming(own, figures),
    ]  # fmt: skip
    lines = [Curve(label=label, x=one.hours, y=100.0 * dead_by(one), kind=kind, stepped=True)
             for label, kind, one in (("policy", "own", own), ("protocol", "standard", standard))]  # fmt: skip
    picture = Picture(title="Patients in a dead end, by the hour", caption="Share who have been in a dead end so far.",
                      svg=curves(lines, "hours", "% of patients", height=200))  # fmt: skip
    return Findings(says=tuple(says), figures=figures, pictures=(picture,), tables=(figures_table(figures),))


def dead_by(traced: Traced) -> Floats:
    """Return the share of patients who have been in a dead end by each point, (points,)."""
    return np.asarray(np.maximum.accumulate(np.nan_to_num(traced.least, nan=0.0) >= DEAD_FROM, axis=1).mean(axis=0))


def exact_trace(c: Context, policy: Policy) -> Traced:
    """Return the least harm that is left at each step of the courses in a table, exactly."""
    task: Any = c.task_of(policy)
    n, steps = c.plan.branched, task.horizon_steps
    least_by_state = chance_by_state(Problem(task), c.harmful(task))  # (steps left, states)
    env = patients_of(c.env_id, c.options_of(policy), n)
    batch: Any = env.batch
    seen, _ = env.reset(seed=c.plan.seed)
    policy.begin(env)
    alive, least, rows = np.ones(n, dtype=np.bool_), [], []
    for step in range(steps):
        least.append(np.where(alive, least_by_state[steps - step, batch.lanes[:, STATE]], np.nan))
        rows.append(features(task, seen))
        alive &= ~env.step_running(policy.act(seen))
        seen = env.observations()
        if not alive.any():
            break
    said = (
        f"Dead ends are known exactly here: from there the best there is still ends in {c.profile.harm.name} with {DEAD_FROM:.0%} or more."
    )
    hours = np.arange(len(least)) * task.step_h
    return Traced(least=np.stack(least, axis=1), hours=hours, seen=np.stack(rows, axis=1), said=said)


def branched_trace(c: Context, policy: Policy) -> Traced:
    """Return the least harm that any branch reached from some hours on."""
    n = c.plan.branched
    env = patients_of(c.env_id, c.options_of(policy), n)
    others = [c.protocol, *(reference_policies(c.env_id)[name]() for name in c.profile.branches if name != c.protocol.name)]
    seen, _ = env.reset(seed=c.plan.seed)
    policy.begin(env)
    steps = env.task.horizon_steps
    points = np.unique(np.linspace(0, steps, POINTS, endpoint=False).astype(int))
    alive, least, rows = np.ones(n, dtype=np.bool_), [], []
    for step in range(steps):
        if step in points:
            snapshot = env.snapshot()
            harms = [harm_from(c, one, snapshot, n, steps - step) for one in others]
            least.append(np.where(alive, np.min(harms, axis=0), np.nan))
            rows.append(features(env.task, seen))
        alive &= ~env.step_running(policy.act(seen))
        seen = env.observations()
    own = c.profile.harm.of_batch(env)
    least = [np.where(np.isnan(one), np.nan, np.minimum(one, own)) for one in least]  # the policy's own going on is a branch, too
    names = ", ".join(one.name for one in others)
    said = (f"{n:,} courses were branched at {len(points)} hours: what neither the policy nor {names} could save from there "
            f"(harm of {DEAD_FROM:.0%} or more) is called a dead end.")  # fmt: skip
    return Traced(least=np.stack(least, axis=1), hours=points * env.task.step_h, seen=np.stack(rows, axis=1), said=said)


def harm_from(c: Context, policy: Policy, snapshot: dict[str, Any], n: int, steps: int) -> Floats:
    """Return each patient's harm if a policy goes on from a snapshot, (n,)."""
    env = patients_of(c.env_id, c.options_of(policy), n)
    env.reset(seed=c.plan.seed)
    env.adopt(snapshot)
    policy.begin(env)
    for _ in range(steps):
        env.step_running(policy.act(env.observations()))
        c.tell(n / c.plan.patients / env.task.horizon_steps)
    return c.profile.harm.of_batch(env)


def coming(own: Traced, figures: dict[str, Figure]) -> list[str]:
    """Return in a sentence whether dead ends can be seen in what the policy sees, by a model learnt on half the patients."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    there = np.isfinite(own.least)
    labels = np.nan_to_num(own.least, nan=0.0) >= DEAD_FROM
    half = np.broadcast_to((np.arange(len(labels)) % 2 == 0)[:, None], labels.shape)
    learn, ask = there & half, there & ~half
    if min(int(labels[learn].sum()), int(labels[ask].sum())) < 10:
        return ["Dead ends are too few to learn to see them coming."]
    model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=0)
    scores = np.full(labels.shape, -np.inf)
    with threadpool_limits(1):  # so small a model is slower on several threads
        model.fit(own.seen[learn], labels[learn])
        scores[ask] = model.predict_proba(own.seen[ask])[:, 1]
    area = auroc(scores[ask], labels[ask])
    figures["auroc"] = exactly(area, "a model of what is seen tells dead ends from other states (area under the curve)")
    return [f"What is seen tells them from other states with an area of {plain(area)}, by a model learnt on the other half of the patients"
            f"{lead(own, scores, labels, ask)}."]  # fmt: skip


def lead(own: Traced, scores: Floats, labels: Bools, ask: Bools) -> str:
    """Return how long before the dead end the model warns, at a rate of false alarms of 5 % of states."""
    quiet = scores[ask & ~labels]
    alarm = scores > np.quantile(quiet, 0.95)
    who = np.flatnonzero((labels & ask).any(axis=1))
    first_dead = labels[who].argmax(axis=1)
    warned = [(own.hours[d] - own.hours[alarm[k].argmax()]) for k, d in zip(who, first_dead, strict=True) if alarm[k, : d + 1].any()]
    share = f"; with 5 % of other states flagged it warns of {plain(100.0 * len(warned) / len(who))} % of them"
    return share + (f", a median of {plain(float(np.median(warned)))} h before" if warned else "")


SECTION = Section(
    number=9, name="dead_ends", title="Dead ends", run=dead_ends,
    work=lambda c: 0.0 if isinstance(c.task, TabularTask) else POINTS * (1.0 + len(c.profile.branches)) * c.plan.branched / c.plan.patients,
)  # fmt: skip
