"""``medsim/HospitalFlow-v0``: decisions a second on SimPy, on the compiled core one at a time and in a batch, and under PPO.

The hospital is the environment's default, a week of a district general hospital at half its size. Beds go to the last that the mask
allows; a batch is played until the first of its episodes ends. What is seen is computed at every decision, in all of them.
"""

from typing import Any

import numpy as np

from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.timing import Work, interleave, quotients
from medsim.hospital.batch import DecisionBatch, make_decision_batch
from medsim.hospital.draws import key_of
from medsim.registry import make_task

__all__ = ["measure"]

FLOW = "medsim/HospitalFlow-v0"
BATCH = 256
ROUNDS = 7


def one_work(decisions: int, **options: Any) -> Work:
    """Return the work of one hospital after the other: ask, look, answer."""
    task = make_task(FLOW, **options)
    made: list[Any] = []

    def begin() -> None:
        made[:] = [task.make_model(key_of(1))]
        made[0].run()

    def run() -> None:
        model, slot = made[0], 0
        for _ in range(decisions):
            if model.request is None:
                slot += 1
                model = task.make_model(key_of(1, slot))
                model.run()
            model.observe(model.request.agent)
            model.answer(int(np.flatnonzero(model.request.mask)[-1]))
            model.run()
            model.drain()

    return Work(units=decisions, run=run, prepare=begin)


def batch_work(n: int, steps: int) -> Work:
    """Return the work of a compiled batch."""
    batch: DecisionBatch = make_decision_batch(make_task(FLOW), n)
    last = batch.masks.shape[1] - 1

    def begin() -> None:
        batch.seed(1)
        batch.reset()

    def run() -> None:
        for _ in range(steps):
            batch.step(last - batch.masks[:, ::-1].argmax(axis=1))
        if batch.ended.any():
            raise RuntimeError("an episode ended: fewer steps must be timed")

    return Work(units=n * steps, run=run, prepare=begin)


def learning_work(n: int, rollouts: int) -> Work:
    """Return the work of MaskablePPO with its tuned settings: collecting decisions and learning from them, evaluation left out."""
    from medsim_agents.construction import build_environment, build_model
    from medsim_agents.hyperparameters import load_hyperparameters

    settings = {**load_hyperparameters(FLOW, "maskable-ppo"), "n_envs": n}
    model = build_model("maskable-ppo", build_environment("maskable-ppo", FLOW, 0, {}, settings), 0, settings)
    decisions = n * int(settings["n_steps"]) * rollouts
    return Work(units=decisions, run=lambda: learn(model, decisions))


def learn(model: Any, decisions: int) -> None:
    """Go on learning for so many decisions."""
    from medsim_agents.threads import single_threaded

    with single_threaded():
        model.learn(decisions, reset_num_timesteps=False)


def measure(plan: Plan) -> Found:
    """Time them in turn."""
    works = {
        "SimPy": one_work(plan.scaled(2_000, 50), engine="simpy"),
        "compiled, one": one_work(plan.scaled(10_000, 50)),
        "compiled, 256": batch_work(plan.scaled(BATCH, 16), plan.scaled(300, 20)),
        "MaskablePPO": learning_work(plan.scaled(BATCH, 16), 1),
    }
    timings = interleave(works, min(plan.repeats, ROUNDS), "hospital")
    values = {
        "hospital_simpy_rate": [1.0 / seconds for seconds in timings["SimPy"].cpu],
        "hospital_one_rate": [1.0 / seconds for seconds in timings["compiled, one"].cpu],
        "hospital_batch_rate": [1.0 / seconds for seconds in timings["compiled, 256"].cpu],
        "hospital_ppo_rate": [1.0 / seconds for seconds in timings["MaskablePPO"].cpu],
        "hospital_one_v_simpy": quotients(timings["SimPy"].cpu, timings["compiled, one"].cpu),
        "hospital_batch_v_simpy": quotients(timings["SimPy"].cpu, timings["compiled, 256"].cpu),
    }
    return Found(values=values, timings=timings)
