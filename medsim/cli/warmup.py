"""``medsim warmup``: compile now rather than at the first use."""

import argparse
import dataclasses
import time

from medsim.cli.verbs import Verb
from medsim.registry import ENVIRONMENTS, card, make_task

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

    for env_id in [card(name).id for name in args.env] or [one.id for one in ENVIRONMENTS if one.available]:
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


VERB = Verb("warmup", "compile the environments' kernels now", configure, run)
