"""What is required, on one screen, and what a measurement hands back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed.timing import Spread, Timing, spread

__all__ = ["MEASURES", "Found", "Measure", "Plan", "Verdict", "verdicts"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the table: a figure and its bound (at least or at most; neither: only shown)."""

    name: str
    group: str
    what: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None


COMPAT = 'Glucose-v0, compat="simglucose"'
MEASURES = (
    Measure(name="single_v_shipped", group="simglucose", at_least=1_000, unit="x", what=f"{COMPAT}, gym.make, v simglucose as shipped"),
    Measure(name="single_v_plain", group="simglucose", at_least=100, unit="x", what="the same v simglucose without its pandas look-ups"),
    Measure(name="batch_v_shipped", group="simglucose", at_least=10_000, unit="x", what=f"{COMPAT}, make_vec of 1,024, v as shipped"),
    Measure(name="batch_v_plain", group="simglucose", at_least=1_000, unit="x", what="the same v simglucose without its pandas look-ups"),
    Measure(name="compat_rate", group="rates", at_least=1e6, unit="env-steps/s", what=f"{COMPAT}, make_vec of 1,024, full step"),
    Measure(name="compat_fast_rate", group="rates", at_least=2e6, unit="env-steps/s", what='the same at fidelity="fast"'),
    Measure(name="compat_kernel_rate", group="rates", unit="env-steps/s", what=f"{COMPAT}, 1,024, the bare kernel"),
    Measure(name="compat_fast_kernel_rate", group="rates", unit="env-steps/s", what='the same at fidelity="fast"'),
    Measure(name="default_rate", group="rates", unit="env-steps/s", what="Glucose-v0 (5-minute steps), make_vec of 1,024, full step"),
    Measure(name="default_fast_rate", group="rates", unit="env-steps/s", what='the same at fidelity="fast"'),
    Measure(name="integration_v_c", group="c", at_most=1.5, unit="x", what="batch kernel's integration v strict SIMD C, time"),
    Measure(name="single_compat_us", group="single", at_most=12, unit="us", what=f"a step through gym.make, {COMPAT}"),
    Measure(name="single_default_us", group="single", at_most=12, unit="us", what="a step through gym.make, Glucose-v0 (5-minute steps)"),
    Measure(
        name="sepsis_single_us", group="sepsis", at_most=25, unit="us", what="a one-hour step through gym.make, Sepsis-v0, resets included"
    ),
    Measure(name="sepsis_5_min_rate", group="sepsis", at_least=2e5, unit="env-steps/s", what="Sepsis-v0, make_vec of 4,096, full step"),
    Measure(name="sepsis_10_min_rate", group="sepsis", unit="env-steps/s", what="the same, substep_minutes=10"),
    Measure(name="sepsis_1_min_rate", group="sepsis", unit="env-steps/s", what="the same, substep_minutes=1"),
    Measure(name="sepsis_5_min_kernel_rate", group="sepsis", unit="env-steps/s", what="Sepsis-v0, 4,096, the bare kernel"),
    Measure(name="sepsis_10_min_kernel_rate", group="sepsis", unit="env-steps/s", what="the same, substep_minutes=10"),
    Measure(name="sepsis_1_min_kernel_rate", group="sepsis", unit="env-steps/s", what="the same, substep_minutes=1"),
    Measure(name="sepsis_reset_us", group="sepsis", unit="us", what="beginning an episode of Sepsis-v0, in a batch of 4,096"),
    Measure(name="sepsis_floor_us", group="sepsis", unit="us", what="Sepsis-v0, floor of a step's integration: its operations alone"),
    Measure(name="sepsis_integration_v_floor", group="sepsis", unit="x", what="Sepsis-v0, integration over its floor"),
    Measure(name="sepsis_step_v_floor", group="sepsis", unit="x", what="Sepsis-v0, the bare kernel's whole step over the same"),
    Measure(name="vector_overhead", group="shells", at_most=15, unit="%", what="VectorEnv over the bare kernel, 4,096"),
    Measure(name="sb3_overhead", group="shells", at_most=15, unit="%", what="SB3 VecEnv over the bare kernel, 4,096"),
    Measure(name="two_threads", group="threads", at_least=1.7, unit="x", what="two threads v one, 4,096, wall time"),
    Measure(name="collection", group="training", at_least=3, unit="x", what="SB3 PPO collection: our VecEnv v DummyVecEnv, 256"),
    Measure(name="training", group="training", at_least=1.5, unit="x", what="SB3 PPO whole training, 4 epochs: the same"),
    Measure(name="environment_share", group="share", at_most=10, unit="%", what="environment's share of SB3 PPO's time, 1,024"),
    Measure(name="hospital_simpy_rate", group="hospital", unit="decisions/s", what="HospitalFlow-v0 on SimPy, one"),
    Measure(name="hospital_one_rate", group="hospital", unit="decisions/s", what="the same on the compiled core, one"),
    Measure(name="hospital_batch_rate", group="hospital", unit="decisions/s", what="the same, batch of 256"),
    Measure(name="hospital_one_v_simpy", group="hospital", unit="x", what="the compiled core over SimPy, one"),
    Measure(name="hospital_batch_v_simpy", group="hospital", at_least=50, unit="x", what="the same, batch of 256"),
    Measure(
        name="hospital_ppo_rate", group="hospital", unit="decisions/s", what="MaskablePPO on it, 256 hospitals, collecting and learning"
    ),
    Measure(name="queue_one_rate", group="queues", unit="customers/s", what="M/M/10 at load 0.9 as a compiled hospital, one"),
    Measure(name="queue_batch_rate", group="queues", unit="customers/s", what="the same, 64"),
    Measure(name="queue_simpy_rate", group="queues", unit="customers/s", what="the same in plain SimPy"),
    Measure(name="queue_ciw_rate", group="queues", unit="customers/s", what="the same in Ciw 3.2.7"),
    Measure(name="queue_v_simpy", group="queues", unit="x", what="the compiled hospital over plain SimPy"),
    Measure(name="queue_v_ciw", group="queues", at_least=100, unit="x", what="the compiled hospital over Ciw"),
    Measure(name="queue_recursion_rate", group="queues", unit="customers/s", what="the same waits by a compiled recursion without events"),
    Measure(name="queue_recursion_v_ciw", group="queues", at_least=100, unit="x", what="the compiled recursion over Ciw"),
    Measure(name="import_s", group="startup", at_most=0.8, unit="CPU s", what="import medsim"),
    Measure(name="cold_s", group="startup", at_most=10, unit="CPU s", what="first gym.make, reset and step, nothing compiled yet"),
    Measure(name="cached_s", group="startup", at_most=1.5, unit="CPU s", what="the same, compiled before"),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure."""

    quick: bool
    peer_python: Path | None
    ciw_python: Path | None = None
    folder: Path  # for what is built on the way

    @property
    def repeats(self) -> int:
        """Rounds of most comparisons."""
        return 2 if self.quick else 11

    def scaled(self, full: int, quick: int) -> int:
        """Return a number of steps or patients."""
        return quick if self.quick else full


@dataclass(kw_only=True)
class Found:
    """What the measurement of a group hands back.

    Attributes:
        values: of measures by name, one a round; timings: of competitors by name, in seconds a unit; more: whatever the plots take.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    timings: dict[str, Timing] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A measure with what was measured, or why it was not."""

    measure: Measure
    measured: Spread | None = None
    skipped: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the bound; None if there is no bound or no measurement."""
        if self.measured is None or (self.measure.at_least is None and self.measure.at_most is None):
            return None
        above = self.measure.at_least is None or self.measured.median >= self.measure.at_least
        return above and (self.measure.at_most is None or self.measured.median <= self.measure.at_most)


def verdicts(group: str, found: Found | None, skipped: str | None) -> list[Verdict]:
    """Return a group's verdicts, from what was found or from why it was skipped."""
    chosen = [measure for measure in MEASURES if measure.group == group]
    if found is None:
        return [Verdict(measure=measure, skipped=skipped) for measure in chosen]
    return [Verdict(measure=measure, measured=spread(found.values[measure.name])) for measure in chosen]
