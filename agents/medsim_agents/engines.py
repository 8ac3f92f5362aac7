"""How jobs are carried out: one after the other, or side by side in processes that share nothing. Results are the same."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from medsim.cli.verbs import silence_gym_notice
from medsim.core.batch import FEWEST_FOR_TILES
from medsim.core.vector import PatientVectorEnv
from medsim.registry import make_task
from medsim_agents.benchmark import Job, Steps, judging_work, run_job
from medsim_agents.provenance import canonical_json

__all__ = ["ENGINES", "engine_of"]

Engine = Callable[[Sequence[Job], Path, Steps | None], None]
LOOK_EVERY_S = 0.5

_counter: Any = None  # in a worker: work done by all workers together


def engine_of(name: str, workers: int) -> Engine:
    """Return an engine by name.

    Raises:
        ValueError: there is none of that name, or workers is below 1.
    """
    if name not in ENGINES:
        raise ValueError(f"no engine is called {name!r}; there are {', '.join(ENGINES)}")
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    return ENGINES[name](workers)


def serial(workers: int) -> Engine:
    """Return the engine that runs jobs one after the other in this process."""

    def run(jobs: Sequence[Job], folder: Path, progress: Steps | None) -> None:
        for job in jobs:
            run_job(job, folder, progress)
            if progress is not None:
                progress(judging_work(job))

    return run


def process(workers: int) -> Engine:
    """Return the engine that runs jobs side by side in new processes, which begin with nothing of this one."""

    def run(jobs: Sequence[Job], folder: Path, progress: Steps | None) -> None:
        compile_once(jobs)
        context = multiprocessing.get_context("spawn")
        counter = context.Value("q", 0)
        pool = ProcessPoolExecutor(max(1, min(workers, len(jobs))), context, initializer=_begin_worker, initargs=(counter,))
        others, told = set(multiprocessing.active_children()), 0
        try:
            waiting = {pool.submit(_run_in_worker, job, str(folder)) for job in jobs}
            while waiting:
                done, waiting = wait(waiting, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                if progress is not None:
                    progress(counter.value - told)
                    told = counter.value
                for future in done:
                    future.result()
        except KeyboardInterrupt:  # a terminal interrupts the workers too, other senders do not: tell them to write their checkpoints
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return run


def compile_once(jobs: Sequence[Job]) -> None:
    """Compile the environments' kernels here, so that workers find them ready instead of all compiling the same."""
    for env_id, settings in {(job.env, canonical_json(job.settings)) for job in jobs}:
        task = make_task(env_id, **json.loads(settings))
        for n in (1, FEWEST_FOR_TILES):
            env = PatientVectorEnv(task, n, autoreset_mode="same_step", threads=1)
            env.reset(seed=0)
            env.batch.step()


ENGINES: dict[str, Callable[[int], Engine]] = {"serial": serial, "process": process}


def _begin_worker(counter: Any) -> None:
    global _counter
    _counter = counter
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence_gym_notice()
    import torch

    torch.set_num_threads(1)


def _count(work: int) -> None:
    with _counter.get_lock():
        _counter.value += work


def _run_in_worker(job: Job, folder: str) -> None:
    run_job(job, folder, _count)
    _count(judging_work(job))
