"""A model that is updated while it serves, with the old one kept.

Labelled examples come in with `observe`; `update` trains a candidate on them and on replay, beside the model that serves, and puts both
through a gate: the candidate must be better on recent examples that it was not trained on, and hardly worse on a fixed set of old ones. A
candidate that passes takes over between two answers; one that does not is dropped. `rollback` brings back at once the version that served
before, with the replay of its time: the version that it takes from service, and what that one was taught, are gone for good.

What the gate cannot see: labels of a new kind of data that are wrong in a consistent way, since the recent examples are wrong in that way
too and the old ones know nothing of it. Give `trusted` examples of the new kind where there are some, and keep `rollback` at hand.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from medsim_perception.online.replay import Examples, FineTuning, Replay, fine_tuned, joined

CHECKED_EVERY = 4  # chosen: a quarter of what is observed is never trained on, and judges candidates


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a candidate must do to take over; scores are larger for better, such as R2 or accuracy."""

    least_gain: float = 0.01  # on recent examples
    most_forgetting: float = 0.02  # on old examples, against the best version so far
    least_share: float = 0.5  # recent score as a share of that best old score: without it, noise that beats a lost model would pass
    least_checks: int = 50  # recent examples below which nobody is judged


class Scores(NamedTuple):
    """How a model does."""

    recent: float
    old: float


class Version(NamedTuple):
    """A model that serves, or served before the one that does and may serve again."""

    number: int
    model: nn.Module
    old_score: float
    replay: Replay  # of its training, what it was promoted for included


class Observed(NamedTuple):
    """What was observed and not yet learnt from, in the order in which it came."""

    new: list[Examples]  # to train on
    checks: list[Examples]  # to judge by


class Event(NamedTuple):
    """One line of the log."""

    what: str  # "start", "promoted", "refused", "rolled back", "failed"
    version: int  # the one that serves after it
    reason: str
    before: Scores | None = None
    candidate: Scores | None = None


class ServedModel:
    """A model in service. `serve` may be called from any thread, also during an update; updates happen one at a time.

    `score(model, examples)` judges a model, larger is better; `old` are held-out examples of what it was trained on; `replay` holds
    examples of its training, and is copied. Of the versions that `rollback` may bring back, the newest `keep` are kept, and the first always,
    each with the replay of its time.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        tuning: FineTuning,
        score: Callable[[nn.Module, Examples], float],
        old: Examples,
        replay: Replay,
        gate: Gate | None = None,
        trusted: Examples | None = None,
        keep: int = 5,
    ) -> None:
        if keep < 1 or not len(replay) or not old.n:
            raise ValueError(f"keep must be 1 or more, replay and old not empty, not {keep}, {len(replay)} and {old.n}")
        self.tuning, self.score, self.old, self.gate, self.trusted = tuning, score, old, gate or Gate(), trusted
        self.keep = keep
        frozen = _frozen(model)
        self._current = Version(0, frozen, score(frozen, old), copy.deepcopy(replay))
        self._versions = [self._current]  # a stack: what rollback takes from service is taken off, and the last is the one that serves
        self._newest = 0  # the highest number given
        self._log = [Event("start", 0, "the model as it came")]
        self._waiting = Observed([], [])
        self._observed = 0
        self._data_lock, self._version_lock, self._update_lock = threading.Lock(), threading.Lock(), threading.Lock()

    @property
    def version(self) -> int:
        """The number of the version that serves."""
        return self._current.number

    @property
    def replay(self) -> Replay:
        """What the version that serves was trained on, as far as it is kept."""
        return self._current.replay

    @property
    def versions(self) -> list[Version]:
        """What is kept, oldest first: the last serves, and the others served before it."""
        with self._version_lock:
            return list(self._versions)

    @property
    def log(self) -> list[Event]:
        """Everything that happened to the model."""
        with self._version_lock:
            return list(self._log)

    def serve(self, x: Tensor) -> Tensor:
        """The answer of the version that serves when the call begins."""
        return self.serve_version(x)[0]

    def serve_version(self, x: Tensor) -> tuple[Tensor, int]:
        """The answer, and the version that gave it."""
        current = self._current
        with torch.inference_mode():
            answer: Tensor = current.model(x)
        return answer, current.number

    def observe(self, x: Tensor, y: Tensor) -> None:
        """Take in labelled examples; every fourth is kept for checking.

        Raises ValueError where numbers differ, where shapes are not those of the replay, and where values are not finite.
        """
        if len(x) != len(y):
            raise ValueError(f"there must be one label for each input, not {len(y)} for {len(x)}")
        shapes, given = [part[0].shape for part in self.replay.at(slice(0, 1))], 0
        if not bool(torch.isfinite(y).all()) or not bool(torch.isfinite(x).all()):
            raise ValueError("inputs and labels must be finite")
        with self._data_lock:
            check = (torch.arange(len(x)) + self._observed) % CHECKED_EVERY == CHECKED_EVERY - 1
            self._observed += len(x)
            self._new.append(Examples(x[~check].clone(), y[~check].clone()))
            self._checks.append(Examples(x[check].clone(), y[check].clone()))

    def update(self, seed: int = 0) -> Event:
        """Train a candidate on what was observed since the last update and on replay, and let the gate decide; returns what happened.

        What passed goes into the replay; what was refused is dropped, as its labels may be the fault.
        """
        with self._update_lock:
            new, checks = self._take()
            if checks is None or new is None or checks.n < self.gate.least_checks:
                with self._data_lock:  # too few to judge by: they wait for more
                    self._new[:0], self._checks[:0] = ([new] if new else []), ([checks] if checks else [])
                return self._note(Event("refused", self.version, f"fewer than {self.gate.least_checks} recent examples to judge by"))
            serving = self._current
            candidate = _frozen(fine_tuned(serving.model, new, self.replay.examples(), self.tuning, seed))
            before, after = self._scores(serving.model, checks), self._scores(candidate, checks)
            fault = self._fault(serving.model, candidate, before, after)
            if fault:
                return self._note(Event("refused", serving.number, fault, before, after))
            self.replay.add(new)
            return self._promote(candidate, before, after)

    def update_in_background(self, seed: int = 0) -> threading.Thread:
        """Start `update` in a thread, and return the thread; the log tells what came of it."""
        thread = threading.Thread(target=self.update, args=(seed,), name="update")
        thread.start()
        return thread

    def rollback(self, number: int | None = None) -> Event:
        """Serve an earlier version again (default: the one before); raises ValueError where it is not kept."""
        with self._version_lock:
            earlier = [v for v in self._versions if (v.number < self._current.number if number is None else v.number == number)]
            if not earlier:
                kept = ", ".join(str(v.number) for v in self._versions)
                raise ValueError(f"there is no version {'before ' + str(self.version) if number is None else number}; kept are {kept}")
            from_number, self._current = self._current.number, earlier[-1]
            event = Event("rolled back", self._current.number, f"from version {from_number}")
            self._log.append(event)
            return event

    def _take(self) -> tuple[Examples | None, Examples | None]:
        with self._data_lock:
            new, checks = self._new, self._checks
            self._new, self._checks = [], []
        return (joined(new), joined(checks)) if new else (None, None)

    def _scores(self, model: nn.Module, checks: Examples) -> Scores:
        return Scores(self.score(model, checks), self.score(model, self.old))

    def _fault(self, serving: nn.Module, candidate: nn.Module, before: Scores, after: Scores) -> str:
        """Why a candidate must not take over, or nothing."""
        best_old = max(version.old_score for version in self.versions)
        if not after.recent >= before.recent + self.gate.least_gain:
            return f"recent score {after.recent:.3f}, not {self.gate.least_gain:g} above {before.recent:.3f}"
        if self.trusted is not None and not self.score(candidate, self.trusted) >= self.score(serving, self.trusted):
            return "worse than the model that serves on trusted examples"
        if not after.recent >= self.gate.least_share * best_old:
            return f"recent score {after.recent:.3f}, below {self.gate.least_share:g} of {best_old:.3f}"
        if not after.old >= best_old - self.gate.most_forgetting:
            return f"old score {after.old:.3f}, more than {self.gate.most_forgetting:g} below {best_old:.3f}"
        return ""

    def _promote(self, candidate: nn.Module, before: Scores, after: Scores) -> Event:
        with self._version_lock:
            version = Version(max(v.number for v in self._versions) + 1, candidate, after.old)
            first, others = self._versions[0], [*self._versions[1:], version]
            self._versions = [first, *others[-self.keep :]]
            self._current = version
            event = Event("promoted", version.number, "better on recent examples, as good on old ones", before, after)
            self._log.append(event)
            return event

    def _note(self, event: Event) -> Event:
        with self._version_lock:
            self._log.append(event)
        return event


def _frozen(model: nn.Module) -> nn.Module:
    """A copy that nobody else can change, without gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)
