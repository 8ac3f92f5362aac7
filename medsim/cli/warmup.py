"""``medsim warmup``: compile now rather than at the first use."""

import argparse
import dataclasses
import time

from medsim.cli.verbs import Verb
from medsim.registry import ENVIRONMENTS, HOSPITALS, card, is_hospital, make_task

__all__ = ["VERB"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("env", nargs="*", help="ids (default: all)")
    parser.add_argument("--threads", action="store_true", help="the threaded kernels too")


def run(args: argparse.Namespace) -> int:
    """Compile the kernels of every observation mode."""
    from medsim.core.batch import FEWEST_FOR_TILES, Batch
    from medsim.core.compile import cache_folder
    from medsim.core.kernels import NEXT_STEP
    from medsim.core.tabular import TabularTask

    hospitals = [name for name in args.env if is_hospital(name)] if args.env else [one.id for one in HOSPITALS]
    for env_id in hospitals:
        warm_hospital(env_id)
    treatments = [card(name).id for name in args.env if not is_hospital(name)]
    for env_id in treatments if args.env else [one.id for one in ENVIRONMENTS if one.available]:
        task = make_task(env_id)
        for name, view in task.model.views.items():
            start = time.perf_counter()
            for n, threads in ((1, 1), (FEWEST_FOR_TILES, 1), *([(FEWEST_FOR_TILES, 2)] if args.threads else [])):
                if isinstance(task, TabularTask):
                    batch = dataclasses.replace(task, view_name=name).make_batch(n, mode=NEXT_STEP, threads=threads)
                else:
                    batch = Batch(task.model, view, n, task.settings, threads=threads)
                batch.seed(0)
                batch.reset()
                batch.step()
            print(f"{env_id} {name}: ready in {time.perf_counter() - start:.1f} s")
    print(f"kernels are kept in {cache_folder() / 'kernels'}")
    return 0


def warm_hospital(env_id: str) -> None:
    """Compile what a batch of hospitals needs; one that is not compiled is ready at once."""
    import numpy as np

    from medsim.hospital.batch import make_decision_batch

    start = time.perf_counter()
    batch = make_decision_batch(make_task(env_id), 2)
    batch.seed(0)
    batch.reset()
    batch.step(np.zeros(2, dtype=np.int64))
    print(f"{env_id}: ready in {time.perf_counter() - start:.1f} s")


VERB = Verb("warmup", "compile the environments' kernels now", configure, run)
