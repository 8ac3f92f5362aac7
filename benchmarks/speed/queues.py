"""M/M/10 at a load of 0.9: customers a second of the compiled hospital, of SimPy and of Ciw, in turn."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import simpy

from benchmarks.hospital.oracles import queue, station
from benchmarks.speed.measures import Found, Plan
from benchmarks.speed.peer import why_not_importable
from benchmarks.speed.timing import Clocks, Work, interleave, quotients
from medsim.hospital.draws import key_of
from medsim.hospital.flow.hospitals import Hospitals
from medsim.hospital.flow.recursion import fifo_waits

__all__ = ["HOW_TO", "Ciw", "measure", "plain_simpy", "why_no_ciw"]

SCRIPT = Path(__file__).with_name("peer_ciw.py")
HOW_TO = "python -m venv FOLDER && FOLDER/bin/pip install ciw==3.2.7, then --ciw-python FOLDER/bin/python"
ARRIVALS_PER_H, SERVERS = 9.0, 10
ROUNDS = 7


def why_no_ciw(python: Path | None) -> str | None:
    """Return why Ciw cannot be run by this interpreter, or None if it can."""
    return why_not_importable(python, "Ciw", "ciw", HOW_TO)


class Ciw:
    """Ciw in a process of its own, waiting for orders."""

    def __init__(self, python: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [str(python), str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        self.versions = self._answer()
        self.waits_h: list[float] = []

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("Ciw ended without an answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self, customers: int) -> Clocks:
        """Serve so many customers; returns CPU and wall seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{customers}\n")
        self.process.stdin.flush()
        answer = self._answer()
        if answer["customers"] < customers:
            raise RuntimeError(f"Ciw served {answer['customers']} customers, not {customers}")
        self.waits_h.append(answer["wait_h"])
        return answer["cpu_s"], answer["wall_s"]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def plain_simpy(customers: int, seed: int = 0) -> float:
    """Serve customers in SimPy as its documentation would, with NumPy's numbers; returns the mean wait in hours."""
    env, rng = simpy.Environment(), np.random.default_rng(seed)
    servers = simpy.Resource(env, capacity=SERVERS)
    waits: list[float] = []

    def customer(service_h: float) -> Any:
        arrived = env.now
        with servers.request() as request:
            yield request
            waits.append(env.now - arrived)
            yield env.timeout(service_h)

    def arrivals() -> Any:
        gaps, services = rng.exponential(1.0 / ARRIVALS_PER_H, customers), rng.exponential(1.0, customers)
        for gap, service_h in zip(gaps.tolist(), services.tolist(), strict=True):
            yield env.timeout(gap)
            env.process(customer(service_h))

    env.process(arrivals())
    env.run()
    return float(np.mean(waits))


def core_work(customers: int, n: int) -> Work:
    """Return the work of n compiled hospitals that serve so many customers together."""
    hospitals = Hospitals(queue(station("a", SERVERS), ARRIVALS_PER_H), n, horizon_h=customers / n / ARRIVALS_PER_H)
    return Work(units=customers, run=hospitals.reset, prepare=lambda: hospitals.seed(1))


def measure(plan: Plan) -> Found:
    """Time them in turn."""
    assert plan.ciw_python is not None
    many, few = plan.scaled(2_000_000, 20_000), plan.scaled(20_000, 500)
    peer = Ciw(plan.ciw_python)
    works = {
        "compiled, one": core_work(many, 1),
        "compiled, 64": core_work(many, 64),
        "compiled recursion": Work(units=many, run=lambda: run_recursion(many)),
        "SimPy": Work(units=few, run=lambda: run_simpy(few)),
        "Ciw": Work(units=few, run=lambda: peer.run(few)),
    }
    timings = interleave(works, min(plan.repeats, ROUNDS), "queues")
    peer.close()
    rates = {
        "queue_recursion_rate": "compiled recursion",
        "queue_one_rate": "compiled, one",
        "queue_batch_rate": "compiled, 64",
        "queue_simpy_rate": "SimPy",
        "queue_ciw_rate": "Ciw",
    }
    values = {name: [1.0 / seconds for seconds in timings[work].cpu] for name, work in rates.items()}
    values["queue_v_simpy"] = quotients(timings["SimPy"].cpu, timings["compiled, one"].cpu)
    values["queue_v_ciw"] = quotients(timings["Ciw"].cpu, timings["compiled, one"].cpu)
    values["queue_recursion_v_ciw"] = quotients(timings["Ciw"].cpu, timings["compiled recursion"].cpu)
    return Found(values=values, timings=timings, more={"versions": peer.versions})


def run_simpy(customers: int) -> None:
    """Serve customers in SimPy."""
    plain_simpy(customers)


def run_recursion(customers: int) -> None:
    """Serve customers by the compiled recursion, which keeps no events."""
    fifo_waits(key_of(1), rate_per_h=ARRIVALS_PER_H, mean_h=1.0, servers=SERVERS, customers=customers)
