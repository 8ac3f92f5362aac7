"""How jobs are carried out: one after the other, side by side in processes that share nothing, or by Ray on as many machines as it has.

Results are the same. A job needs one core; wherever it runs, its record is what counts, and it is written here.
"""

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
from medsim.registry import is_hospital, make_task
from medsim_agents.benchmark import Job, Steps, judging_work, run_job, work_of
from medsim_agents.leaderboard.records import Record, write_record
from medsim_agents.provenance import canonical_json

__all__ = ["ENGINES", "engine_of"]

Engine = Callable[[Sequence[Job], Path, Steps | None], None]
LOOK_EVERY_S = 0.5

_counter: Any = None  # in a worker: work done by all workers together


def engine_of(name: str, workers: int, address: str | None = None) -> Engine:
    """Return an engine by name; ``address``: of a Ray cluster, for the engine ``ray``, which else makes one of this machine.

    Raises:
        ValueError: there is none of that name, workers is below 1, or an address is given to an engine that has none.
    """
    if name not in ENGINES:
        raise ValueError(f"no engine is called {name!r}; there are {', '.join(ENGINES)}")
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    if address is not None and name != "ray":
        raise ValueError(f"an address is for the engine ray, not for {name}")
    return with_ray(workers, address) if name == "ray" else ENGINES[name](workers)


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


def with_ray(workers: int, address: str | None = None) -> Engine:
    """Return the engine that hands jobs to Ray's workers, one core each, and writes their records here as they come.

    Where no address is given, Ray is started on this machine with ``workers`` cores, and stopped afterwards. A job that was under way when
    the run was stopped begins again; records that have come stay. Machines of a cluster need this version of medsim installed.
    """

    def run(jobs: Sequence[Job], folder: Path, progress: Steps | None) -> None:
        ray = needed_ray()
        started = not ray.is_initialized()
        if started:
            local = {} if address is not None else {"num_cpus": workers, "include_dashboard": False}
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **local)
        try:
            far = ray.remote(num_cpus=1, max_retries=1)(_run_far)
            work = {far.remote(job): job for job in jobs}
            while work:
                done, _ = ray.wait(list(work), num_returns=1, timeout=LOOK_EVERY_S)
                for one in done:
                    job = work.pop(one)
                    write_record(ray.get(one), folder)
                    if progress is not None:
                        progress(work_of(job))
        finally:
            if started:
                ray.shutdown()

    return run


def needed_ray() -> Any:
    """Return the package ray.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("the engine ray needs the package ray: pip install 'medsim[cluster]'") from error
    return ray


def _run_far(job: Job) -> Record:
    """Run a job in a folder of the worker's own, and return its record."""
    import tempfile

    _one_thread()
    with tempfile.TemporaryDirectory() as folder:
        return run_job(job, folder)


def compile_once(jobs: Sequence[Job]) -> None:
    """Compile the treatments' kernels here, so that workers find them ready instead of all compiling the same."""
    for env_id, settings in {(job.env, canonical_json(job.settings)) for job in jobs if not is_hospital(job.env)}:
        task = make_task(env_id, **json.loads(settings))
        for n in (1, FEWEST_FOR_TILES):
            env = PatientVectorEnv(task, n, autoreset_mode="same_step", threads=1)
            env.reset(seed=0)
            env.batch.step()


ENGINES: dict[str, Callable[[int], Engine]] = {"serial": serial, "process": process, "ray": with_ray}


def _begin_worker(counter: Any) -> None:
    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _one_thread()


def _one_thread() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    silence_gym_notice()
    import torch

    torch.set_num_threads(1)


def _count(work: int) -> None:
    with _counter.get_lock():
        _counter.value += work


def _run_in_worker(job: Job, folder: str) -> None:
    run_job(job, folder, _count)
    _count(judging_work(job))
