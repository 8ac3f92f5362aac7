"""Where a step's time goes, from differences: the settings say how many minutes a step has and how many integration steps a minute.

With I minutes a step and S integration steps a minute, a step costs ``rest + I * (minute + S * integration)``. Three timings, at
(I, S), (I, 3 S) and (2 I, S), give the three unknowns; ``rest`` is what is done once a step: control, sensor, judgement,
observation, report. Beginning an episode anew is timed by itself and spread over the steps of a day; what the vector environment
adds is its time less the kernel's.
"""

from typing import Any

import numpy as np

from benchmarks.speed.batches import bare_batch, begin, repeated, vector_work
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.rates import BATCH, COMPAT, DAY_IN_STEPS, FAST
from benchmarks.speed.timing import Timing, Work, interleave, spread
from medsim.core import kernels as k
from medsim.core.batch import Batch

__all__ = ["PARTS", "measure", "shares_of"]

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    'compat="simglucose"': COMPAT,
    'compat="simglucose", fast': COMPAT | FAST,
    "Glucose-v0": {},
    "Glucose-v0, fast": FAST,
}
PARTS = ("integration", "each minute: meals, pump, watch", "each step: control, sensor, judgement, report", "new episodes", "vector shell")
MORE_SUBSTEPS, MORE_MINUTES = 3, 2
STEPS = 100  # well within a day even when a step has twice its minutes


def varied_work(n: int, steps: int, substeps: int, minutes: int, options: dict[str, Any]) -> Work:
    """Return the work of stepping a batch whose settings are multiplied."""
    batch = bare_batch(n, **options)
    fields = batch.model.settings._fields  # type: ignore[attr-defined]
    batch.settings[fields.index("substeps")] *= substeps
    batch.settings[fields.index("intervals")] *= minutes
    return Work(units=n * steps, run=repeated(batch.step, steps), prepare=lambda: begin(batch))


def reset_work(batch: Batch, times: int, day: int) -> Work:
    """Return the work of beginning episodes anew; its unit is one of the day's steps."""
    return Work(units=batch.n * times * day, run=repeated(batch.reset, times))


def works_of(plan: Plan, options: dict[str, Any]) -> dict[str, Work]:
    """Return the work of a configuration's timings."""
    n, steps, day = plan.scaled(BATCH, 64), plan.scaled(STEPS, 5), DAY_IN_STEPS["compat" in options]
    return {
        "kernel": varied_work(n, steps, 1, 1, options),
        "more substeps": varied_work(n, steps, MORE_SUBSTEPS, 1, options),
        "more minutes": varied_work(n, steps, 1, MORE_MINUTES, options),
        "new episodes": reset_work(bare_batch(n, mode=k.NEXT_STEP, **options), plan.scaled(20, 2), day),
        "vector shell": vector_work(n, steps, **options),
    }


def shares_of(timings: dict[str, Timing]) -> dict[str, list[float]]:
    """Return microseconds of each part of a step, round by round."""
    us = {name: 1e6 * np.array(timing.cpu) for name, timing in timings.items()}
    integration = (us["more substeps"] - us["kernel"]) / (MORE_SUBSTEPS - 1)
    minutes = (us["more minutes"] - us["kernel"]) / (MORE_MINUTES - 1) - integration
    rest = us["kernel"] - integration - minutes
    parts = (integration, minutes, rest, us["new episodes"], us["vector shell"] - us["kernel"])
    return {name: part.tolist() for name, part in zip(PARTS, parts, strict=True)}


def measure(plan: Plan) -> Found:
    """Time every configuration's variants in turn."""
    works = {f"{name}: {part}": work for name, options in CONFIGURATIONS.items() for part, work in works_of(plan, options).items()}
    timings = interleave(works, plan.repeats, "where the time goes")
    shares: dict[str, Any] = {}
    for name in CONFIGURATIONS:
        own = {key.removeprefix(f"{name}: "): timing for key, timing in timings.items() if key.startswith(f"{name}: ")}
        shares[name] = {part: vars(spread(values)) for part, values in shares_of(own).items()}
    return Found(timings=timings, more={"us": shares})
