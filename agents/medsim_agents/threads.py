"""One thread for torch, so that what agents learn and do does not depend on how many cores there are."""

import contextlib
from collections.abc import Iterator

__all__ = ["single_threaded"]


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Let torch use one thread: as fast for small networks, and sums are then added up in one order."""
    import torch

    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
