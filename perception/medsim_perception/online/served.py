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
    examples of its training, and is copied. Of the versions that `rollback` may bring back, the newest `keep` are kept, and the first
    always, each with the replay of its time.
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
        known = replay.examples()
        self._shapes = known.x.shape[1:], known.y.shape[1:]
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
        shapes = x.shape[1:], y.shape[1:]
        if shapes != self._shapes:  # they could not be mixed with the replay, in this update or any later one
            raise ValueError(f"inputs and labels must have the shapes {_shown(self._shapes)} of the replay's, not {_shown(shapes)}")
        if not bool(torch.isfinite(y).all()) or not bool(torch.isfinite(x).all()):
            raise ValueError("inputs and labels must be finite")
        with self._data_lock:
            check = (torch.arange(len(x)) + self._observed) % CHECKED_EVERY == CHECKED_EVERY - 1
            self._observed += len(x)
            self._waiting.new.append(Examples(x[~check].clone(), y[~check].clone()))
            self._waiting.checks.append(Examples(x[check].clone(), y[check].clone()))

    def update(self, seed: int = 0) -> Event:
        """Train a candidate on what was observed since the last update and on replay, and let the gate decide; returns what happened.

        What passed goes into the replay; what the gate refused is dropped, as its labels may be the fault. Where nothing could be judged,
        it waits for the next update: too few examples, a rollback meanwhile, or an exception, which is logged as "failed" and raised.
        """
        with self._update_lock:
            observed = self._take()
            try:
                return self._attempt(observed, seed)
            except BaseException as error:  # an interruption by hand must lose nothing either
                self._put_back(observed)
                self._note("failed", f"{type(error).__name__}: {error}")
                raise

    def update_in_background(self, seed: int = 0) -> threading.Thread:
        """Start `update` in a thread, and return the thread; the log tells what came of it, an exception included."""

        def logged_update() -> None:
            with contextlib.suppress(Exception):
                self.update(seed)

        thread = threading.Thread(target=logged_update, name="update")
        thread.start()
        return thread

    def rollback(self, number: int | None = None) -> Event:
        """Serve again the version that served before, or the one of a number, with the replay of its time.

        The versions after it are rejected: they are no longer kept and never serve again, and what came with them leaves the replay. Raises
        ValueError where no such version is kept.
        """
        with self._version_lock:
            current = self._current.number
            earlier = [place for place, v in enumerate(self._versions[:-1]) if number is None or v.number == number]
            if not earlier:
                kept = ", ".join(str(v.number) for v in self._versions)
                wanted = f"before {current}" if number is None else f"{number} that served before {current}"
                raise ValueError(f"there is no version {wanted}; kept are {kept}")
            del self._versions[earlier[-1] + 1 :]
            self._current = self._versions[-1]
            return self._logged(Event("rolled back", self._current.number, f"from version {current}"))

    def _take(self) -> Observed:
        with self._data_lock:
            observed, self._waiting = self._waiting, Observed([], [])
        return observed

    def _put_back(self, observed: Observed) -> None:
        with self._data_lock:
            self._waiting = Observed(observed.new + self._waiting.new, observed.checks + self._waiting.checks)

    def _attempt(self, observed: Observed, seed: int) -> Event:
        if sum(part.n for part in observed.checks) < self.gate.least_checks or not any(part.n for part in observed.new):
            self._put_back(observed)
            return self._note("refused", f"fewer than {self.gate.least_checks} recent examples to judge by")
        serving, new, checks = self._current, joined(observed.new), joined(observed.checks)
        candidate = _frozen(fine_tuned(serving.model, new, serving.replay.examples(), self.tuning, seed))
        before, after = self._scores(serving.model, checks), self._scores(candidate, checks)
        fault = self._fault(serving.model, candidate, before, after)
        if fault and self._current is serving:  # of one that was rolled back meanwhile, the comparison says nothing: see _promote
            return self._note("refused", fault, before, after)
        replay = copy.deepcopy(serving.replay)
        replay.add(new)
        event = self._promote(serving, candidate, replay, before, after)
        if event.what == "refused":
            self._put_back(observed)
        return event

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

    def _promote(self, serving: Version, candidate: nn.Module, replay: Replay, before: Scores, after: Scores) -> Event:
        with self._version_lock:
            if self._current is not serving:
                reason = f"version {serving.number}, of which it was made, was rolled back meanwhile"
                return self._logged(Event("refused", self._current.number, reason, before, after))
            self._newest += 1
            self._current = Version(self._newest, candidate, after.old, replay)
            first, others = self._versions[0], [*self._versions[1:], self._current]
            self._versions = [first, *others[-self.keep :]]
            return self._logged(Event("promoted", self._newest, "better on recent examples, as good on old ones", before, after))

    def _note(self, what: str, reason: str, before: Scores | None = None, candidate: Scores | None = None) -> Event:
        with self._version_lock:
            return self._logged(Event(what, self._current.number, reason, before, candidate))

    def _logged(self, event: Event) -> Event:
        """Write an event into the log; the caller holds the lock of versions."""
        self._log.append(event)
        return event


def _frozen(model: nn.Module) -> nn.Module:
    """A copy that nobody else can change, without gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def _shown(shapes: tuple[torch.Size, torch.Size]) -> str:
    return " and ".join(str(tuple(shape)) for shape in shapes)
