"""Harm from delay: what published associations would predict, and no more.

Every relation here was found by comparing patients who waited with patients who did not. Those who wait differ in other ways, so these are
associations, not effects: expected excess deaths are a common unit for delays, never a claim that a policy would save a life. Give another
model to see what hangs on it (0, 3 and 6 % an hour are the customary range; ``HarmModel(odds_ratio_per_icu_delay_hour=1.0)`` has none).

An odds ratio acts on the odds of death of the patient's class: odds = risk / (1 - risk).
"""

from dataclasses import dataclass

from medsim.core.portable import exp, log
from medsim.core.task import Provenance

__all__ = ["NO_HARM", "HarmModel", "excess_risk", "harm_provenance"]


def excess_risk(base_risk: float, log_odds_ratio: float) -> float:
    """Return the risk added to a base risk (0 to 1) by a logarithm of an odds ratio."""
    ratio = exp(log_odds_ratio)
    return base_risk * (1.0 - base_risk) * (ratio - 1.0) / (1.0 - base_risk + base_risk * ratio)  # exactly 0 for a ratio of 1


@dataclass(frozen=True, kw_only=True)
class HarmModel:
    """The relations and their constants.

    Args:
        odds_ratio_per_icu_delay_hour: of death, for each hour by which intensive care is delayed.
        icu_base_risk: of death in hospital among those who need intensive care and get it at once.
        odds_ratio_per_admission_delay_hour: of death within 30 days, for each hour from arrival until a ward bed beyond
            ``admission_grace_h``, and up to ``admission_last_h``, where the data end.
        ward_base_risk: of death within 30 days among those admitted from the emergency department without delay.
        odds_ratio_per_extra_patient: of death, for each patient that a nurse has beyond the ratio, through the whole stay.
        odds_ratio_per_response_hour: of death of the most urgent, for each hour until they are seen.
    """

    odds_ratio_per_icu_delay_hour: float = 1.03
    icu_base_risk: float = 0.245
    odds_ratio_per_admission_delay_hour: float = 1.043
    admission_grace_h: float = 5.0
    admission_last_h: float = 12.0
    ward_base_risk: float = 0.0871
    odds_ratio_per_extra_patient: float = 1.07
    odds_ratio_per_response_hour: float = 1.03

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            low, high = (0.0, 0.99) if name.endswith("base_risk") else (0.0, 100.0) if name.endswith("_h") else (1.0, 10.0)
            if not low <= value <= high:
                raise ValueError(f"{name} of a HarmModel must be from {low:g} to {high:g}, not {value!r}")

    def excess_risk(self, base_risk: float, odds_ratio_per_hour: float, delay_h: float) -> float:
        """Return the risk of death that a delay adds to a base risk (0 to 1), by an odds ratio an hour."""
        return excess_risk(base_risk, log(odds_ratio_per_hour) * max(delay_h, 0.0))

    def of_icu_delay(self, delay_h: float) -> float:
        """Return the expected excess deaths of one patient whose intensive care is delayed."""
        return self.excess_risk(self.icu_base_risk, self.odds_ratio_per_icu_delay_hour, delay_h)

    def of_admission_delay(self, since_arrival_h: float) -> float:
        """Return the expected excess deaths of one patient who gets a ward bed so long after arriving."""
        counted_h = min(since_arrival_h, self.admission_last_h) - self.admission_grace_h
        return self.excess_risk(self.ward_base_risk, self.odds_ratio_per_admission_delay_hour, counted_h)


NO_HARM = HarmModel(
    odds_ratio_per_icu_delay_hour=1.0,
    odds_ratio_per_admission_delay_hour=1.0,
    odds_ratio_per_extra_patient=1.0,
    odds_ratio_per_response_hour=1.0,
)


def harm_provenance(model: HarmModel) -> list[Provenance]:
    """Return the constants of a harm model with their sources."""
    sources = {
        "odds_ratio_per_icu_delay_hour": ("1 / h", "Churpek 2016, J Hosp Med 11:757: adjusted odds of death +3 % an hour of delay"),
        "icu_base_risk": ("probability", "Churpek 2016: mortality of patients transferred within 6 h, 24.5 %"),
        "odds_ratio_per_admission_delay_hour": (
            "1 / h",
            "Jones 2022, Emerg Med J 39:168: standardised mortality +8 % at 6 to 8 h from arrival, two hours beyond 5 h at its middle: "
            "an odds ratio of 1.088 at 8.71 %, 1.043 an hour (its one extra death in 82 patients would be 1.075)",
        ),
        "admission_grace_h": ("h", "Jones 2022, Emerg Med J: deaths rise in a straight line from 5 h on"),
        "admission_last_h": ("h", "Jones 2022, Emerg Med J: accurate data end 12 h after arrival; nothing is extrapolated"),
        "ward_base_risk": ("probability", "Jones 2022, Emerg Med J: crude mortality within 30 days, 8.71 %"),
        "odds_ratio_per_extra_patient": (
            "1 / patient",
            "Aiken 2002, JAMA 288:1987: odds of death +7 % for each patient more",
        ),
        "odds_ratio_per_response_hour": ("1 / h", "chosen: that of delayed intensive care (Churpek 2016) stands for the most urgent calls"),
    }
    return [
        Provenance(name=f"harm.{name}", value=getattr(model, name), unit=unit, source=f"{source} (association)")
        for name, (unit, source) in sources.items()
    ]
