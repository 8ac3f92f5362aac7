"""Progress of long work on stderr: a bar with rate and remaining time, or a line now and then where nobody watches."""

import sys
import time
from types import TracebackType
from typing import Any, Self

__all__ = ["Progress"]

SILENT_S = 3.0  # work shorter than this shows nothing
LINE_EVERY_S = 15.0


class Progress:
    """A context manager whose ``update(n)`` counts n more of ``total`` units done."""

    def __init__(self, total: float, unit: str, label: str) -> None:
        self.total, self.unit, self.label = total, unit, label
        self.count = 0.0
        self.bar: Any = None

    def __enter__(self) -> Self:
        self.started = self.spoken = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit=self.unit, desc=self.label, delay=SILENT_S, dynamic_ncols=True, unit_scale=True)
        return self

    def update(self, n: float = 1.0) -> None:
        """Count n more units."""
        self.count += n
        if self.bar is not None:
            self.bar.update(n)
            return
        now = time.monotonic()
        if now - self.spoken >= LINE_EVERY_S and self.count > 0.0:
            self.spoken = now
            rate = self.count / (now - self.started)
            left = (self.total - self.count) / rate
            print(
                f"{self.label}: {self.count:.0f}/{self.total:.0f} {self.unit}, {rate:.3g}/s, {left:.0f} s left", file=sys.stderr, flush=True
            )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()
