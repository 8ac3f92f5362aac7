"""Gates: limits on figures, and what the figures say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medsim.safety.figures import Figure, plain
from medsim.safety.profile import Gate

__all__ = ["FAILED", "MISSING", "PASSED", "UNDECIDED", "Judgement", "judge", "verdict_of"]

PASSED, FAILED, UNDECIDED, MISSING = "passed", "failed", "undecided", "not measured"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A gate, the figure it looked at, and what came of it.

    ``passed``: the whole interval is within the limit; ``failed``: the value is not; ``undecided``: the value is, and a part of the
    interval is not: more patients would tell; ``not measured``: no section has such a figure.
    """

    gate: Gate
    figure: Figure | None
    status: str

    @property
    def limit(self) -> str:
        """Return the limit in words."""
        return f"at most {plain(self.gate.most)}" if self.gate.most is not None else f"at least {plain(self.gate.least or 0.0)}"

    def record(self) -> dict[str, Any]:
        """Return the judgement as plain data."""
        return {**asdict(self.gate), "status": self.status, "found": None if self.figure is None else self.figure.record()}


def judge(gates: Sequence[Gate], figures: Mapping[str, Figure]) -> list[Judgement]:
    """Return what figures, by ``section.name``, say of gates."""
    return [Judgement(gate=gate, figure=figures.get(gate.figure), status=status_of(gate, figures.get(gate.figure))) for gate in gates]


def status_of(gate: Gate, figure: Figure | None) -> str:
    """Return what a figure says of a gate."""
    if figure is None:
        return MISSING
    if gate.most is not None:
        value, end, limit = figure.value, figure.high, gate.most
    else:
        assert gate.least is not None
        value, end, limit = -figure.value, -figure.low, -gate.least
    if not value <= limit:  # a figure that is not a number does not pass
        return FAILED
    return PASSED if end <= limit else UNDECIDED


def verdict_of(judgements: Sequence[Judgement]) -> str:
    """Return ``failed`` if a gate failed, else ``undecided`` if one could not be decided or was not measured, else ``passed``."""
    states = {one.status for one in judgements}
    if FAILED in states:
        return FAILED
    return UNDECIDED if states & {UNDECIDED, MISSING} else PASSED
