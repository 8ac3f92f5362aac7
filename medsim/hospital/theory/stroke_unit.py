"""A published capacity model in closed form: the acute stroke and rehabilitation units of Monks and others (2016).

Monks T, Worthington D, Allen M, Pitt M, Stein K, James MA. A modelling tool for capacity planning in acute and community stroke services.
BMC Health Services Research 2016;16:530 (doi 10.1186/s12913-016-1789-4), here "the paper". Its probability of delay is the share of the
time that an unlimited unit holds exactly as many patients as there are beds, among the time that it holds at most so many. With Poisson
arrivals that is Erlang's B at the offered load. Its published figures come from a simulation, ours from the formula. Times are in days.

The mean stays and flows are the paper's supplement (S2), those of rehabilitation as held in the file ``inputs/parameters.csv`` of
github.com/pythonhealthdatascience/pydesrap_stroke, a re-creation of the model. The published delays are the paper's tables 2 and 3 and
its supplementary table 1. Research figures, not advice for planning a unit.
"""

from dataclasses import dataclass
from types import MappingProxyType

from medsim.hospital.theory.erlang import erlang_b

__all__ = ["STROKE_UNIT_DELAYS", "PublishedDelay", "StrokeUnitRow", "stroke_unit_load", "stroke_unit_table"]

# days between arrivals at the acute unit, by patient
ACUTE_INTERARRIVAL_D = MappingProxyType({"stroke": 1.2, "tia": 9.3, "neuro": 3.6, "other": 3.2})
# days between direct arrivals at rehabilitation
REHAB_INTERARRIVAL_D = MappingProxyType({"stroke": 21.8, "neuro": 31.7, "other": 28.6})
# share of the acute unit's patients who go on to rehabilitation
TO_REHAB = MappingProxyType({"stroke": 0.24, "tia": 0.01, "neuro": 0.11, "other": 0.05})
# Mean acute stay in days. Of stroke patients 24 % (rehabilitation) and 63 % (elsewhere) leave without early supported discharge after
# 7.4 d, 13 % with it after 4.6 d. The re-creation gives the 63 % the stay of those who die, 7.0 d, and so misses four published delays.
ACUTE_STAY_D = MappingProxyType({"stroke": 0.24 * 7.4 + 0.13 * 4.6 + 0.63 * 7.4, "tia": 1.8, "neuro": 4.0, "other": 3.8})
# Mean rehabilitation stay in days; of stroke patients 40 % leave with early supported discharge after 30.3 d, 60 % without after 28.4 d.
REHAB_STAY_D = MappingProxyType({"stroke": 0.4 * 30.3 + 0.6 * 28.4, "tia": 18.7, "neuro": 27.6, "other": 16.1})
ADMISSIONS = MappingProxyType({"base": 1.0, "+5 %": 1.05, "no complex neurology": 1.0})  # factor on all arrivals, by scenario


def stroke_unit_load(unit: str, scenario: str = "base") -> float:
    """Return the offered load of a unit in beds: patients per day times mean stay in days, over all kinds of patients.

    Args:
        unit: "acute", "rehabilitation", or "pooled" (both on one stock of beds).
        scenario: "base", "+5 %" (all admissions), or "no complex neurology" (those patients go elsewhere; acute only).

    Raises:
        ValueError: there is no such unit or scenario, or the paper has none for that unit.
    """
    if scenario not in ADMISSIONS or (scenario == "no complex neurology" and unit != "acute"):
        raise ValueError(
            f"scenario must be one of {sorted(ADMISSIONS)}, without complex neurology for the acute unit alone, not {scenario!r}"
        )
    if unit == "pooled":
        return stroke_unit_load("acute", scenario) + stroke_unit_load("rehabilitation", scenario)
    if unit == "acute":
        kinds = [kind for kind in ACUTE_STAY_D if not (kind == "neuro" and scenario == "no complex neurology")]
        return ADMISSIONS[scenario] * sum(ACUTE_STAY_D[kind] / ACUTE_INTERARRIVAL_D[kind] for kind in kinds)
    if unit == "rehabilitation":
        direct = sum(REHAB_STAY_D[kind] / days for kind, days in REHAB_INTERARRIVAL_D.items())
        transferred = sum(TO_REHAB[kind] * REHAB_STAY_D[kind] / days for kind, days in ACUTE_INTERARRIVAL_D.items())
        return ADMISSIONS[scenario] * (direct + transferred)
    raise ValueError(f"unit must be 'acute', 'rehabilitation' or 'pooled', not {unit!r}")


@dataclass(frozen=True, kw_only=True)
class PublishedDelay:
    """One published probability that a patient finds no bed, as printed."""

    unit: str
    scenario: str
    beds: int
    p_delay: float
    one_in: int | None = None  # "one in every n patients is delayed", where we have it
    decimals: int = 2  # as printed


@dataclass(frozen=True, kw_only=True)
class StrokeUnitRow:
    """A published delay beside ours."""

    published: PublishedDelay
    offered_load: float  # beds
    p_delay: float

    @property
    def one_in(self) -> int:
        """One in every how many patients is delayed, by the formula."""
        return round(1.0 / self.p_delay)

    @property
    def difference(self) -> float:
        """Ours, rounded as the paper's, minus the paper's."""
        return round(round(self.p_delay, self.published.decimals) - self.published.p_delay, self.published.decimals)


def _published(
    unit: str, scenario: str, beds: tuple[int, ...], delays: tuple[float, ...], one_in: tuple[int | None, ...] = ()
) -> tuple[PublishedDelay, ...]:
    every = one_in or (None,) * len(beds)
    return tuple(
        PublishedDelay(unit=unit, scenario=scenario, beds=c, p_delay=p, one_in=n) for c, p, n in zip(beds, delays, every, strict=True)
    )


STROKE_UNIT_DELAYS: tuple[PublishedDelay, ...] = (
    *_published("acute", "base", (9, 10, 11, 12, 13, 14), (0.19, 0.14, 0.09, 0.06, 0.04, 0.02), (5, 7, 11, 16, 28, 50)),
    *_published("acute", "+5 %", (10, 11, 12, 13, 14), (0.16, 0.11, 0.07, 0.05, 0.03), (6, 9, 13, 21, 34)),
    *_published("acute", "no complex neurology", (10, 11, 12, 13, 14, 15), (0.09, 0.05, 0.03, 0.02, 0.01, 0.01)),
    *_published("rehabilitation", "base", (10, 12, 13, 14, 15, 16), (0.20, 0.11, 0.08, 0.05, 0.03, 0.02)),
    *_published("rehabilitation", "+5 %", (12, 13, 14, 15, 16), (0.13, 0.09, 0.07, 0.04, 0.02)),
    PublishedDelay(unit="pooled", scenario="base", beds=22, p_delay=0.057, decimals=3),
    PublishedDelay(unit="pooled", scenario="base", beds=26, p_delay=0.016, decimals=3),
)


def stroke_unit_table() -> tuple[StrokeUnitRow, ...]:
    """Return every published delay beside Erlang's B at the load of its unit and scenario."""
    rows = []
    for published in STROKE_UNIT_DELAYS:
        load = stroke_unit_load(published.unit, published.scenario)
        rows.append(StrokeUnitRow(published=published, offered_load=load, p_delay=erlang_b(published.beds, load)))
    return tuple(rows)
