"""The batch kernel's integration against the same in strict SIMD C: dynamics alone on both sides, on the same block of patients."""

from benchmarks.speed.batches import bare_batch
from benchmarks.speed.c_kernel import Integrate, batch_integrate, c_integrate
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.timing import Work, interleave, quotients
from medsim.treatments.glucose.definition import GLUCOSE

__all__ = ["measure"]

BATCH = 1024
LANES = (4, 8, 16)  # patients that the C kernel takes at a time; the fastest counts
STEP_MIN = 0.25
STEPS = 12  # of integration to a 3-minute step


def measure(plan: Plan) -> Found:
    """Time 3-minute steps of the integration, in the afternoon of a day with meals."""
    n = plan.scaled(BATCH, 64)
    batch = bare_batch(n)
    for _ in range(plan.scaled(150, 5)):
        batch.step()
    start = batch.block.copy()
    kernels = {"medsim's tiles": batch_integrate(GLUCOSE, batch.view)}
    kernels |= {f"C, {lanes} lanes": c_integrate(GLUCOSE, plan.folder, lanes) for lanes in LANES}
    works = {name: integration_work(kernel, start, n, plan.scaled(100, 5)) for name, kernel in kernels.items()}
    timings = interleave(works, plan.repeats, "against C")
    fastest_c = [min(rounds) for rounds in zip(*(timings[name].cpu for name in kernels if name.startswith("C")), strict=True)]
    return Found(values={"integration_v_c": quotients(timings["medsim's tiles"].cpu, fastest_c)}, timings=timings)


def integration_work(kernel: Integrate, start: object, n: int, times: int) -> Work:
    """Return the work of integrating the same block of patients on and on, in 3-minute pieces."""
    block = start.copy()  # type: ignore[attr-defined]

    def run() -> None:
        for _ in range(times):
            kernel(block, STEP_MIN, STEPS)

    return Work(units=n * times, run=run, prepare=lambda: block.__setitem__(slice(None), start))
