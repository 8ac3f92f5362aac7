"""Where every number of ``medsim/ICUAdmission-v0`` comes from."""

from typing import Any

from medsim.core.task import Provenance
from medsim.hospital.harm import HarmModel, harm_provenance
from medsim.hospital.icu_admission import settings, waiting_patient, waiting_unit
from medsim.hospital.icu_admission.settings import KINDS, QueueConfig, TrunkConfig

__all__ = ["CITATION", "queue_provenance", "trunk_provenance"]

MILLER = "Miller, A queueing reward system with several customer classes, Management Science 16:234 (1969; from memory, to be verified)"
KC = "Kc, Terwiesch, An econometric analysis of patient flows in the cardiac intensive care unit, M&SOM 14:50 (2012)"
CITATION = f"Loss system with reserves: {MILLER}. Early discharge and return: {KC} (pages from memory, to be verified)"
STRANEY = "Straney 2017, PLoS ONE 12:e0176570: 662,525 admissions to 168 units in Australia and New Zealand, mean 3.21 days"
BROWN = "Brown 2012, Am J Respir Crit Care Med, doi 10.1164/rccm.201109-1720OC: 196,202 patients of 156 American units"
EXAMPLE = "chosen: the textbook-sized example whose optimum reserves two beds"

TRUNK = {
    "beds": ("beds", EXAMPLE),
    "emergencies_per_day": ("1 / day", EXAMPLE),
    "electives_per_day": ("1 / day", EXAMPLE),
    "mean_stay_days": ("days", "chosen: the unit of time of the example"),
    "stay": ("", "exponential, as the theory of the optimum has it"),
    "stay_sd_days": ("days", "chosen: a coefficient of variation of 1.5, that of stays in intensive care (Straney 2017: 1.49)"),
    "emergency_refusal_cost": ("", EXAMPLE),
    "elective_refusal_cost": ("", "the unit of cost"),
    "horizon_days": ("days", "chosen: 30 mean stays, about 210 decisions"),
}
QUEUE = {
    "beds": ("beds", "chosen: a middling unit"),
    "waiting_places": ("patients", "chosen: half the beds"),
    "high_acuity_per_day": ("1 / day", "chosen: with the others and readmissions, about 0.8 of the beds"),
    "low_acuity_per_day": ("1 / day", "chosen: two fifths of the emergencies"),
    "electives_per_weekday": ("1 / weekday", "chosen: a small surgical programme"),
    "emergency_stay_mean_days": ("days", STRANEY),
    "emergency_stay_sd_days": ("days", "of the lognormal stay with that mean and the median of 1.79 days; its quartiles are 0.86 and 3.71, "
                               "published 0.92 and 3.52 (Straney 2017)"),
    "elective_stay_mean_days": ("days", "chosen: a night or two after an operation"),
    "elective_stay_sd_days": ("days", "chosen: a coefficient of variation of 0.8"),
    "undertriage": ("probability", "chosen: one in ten"),
    "overtriage": ("probability", "chosen: twice the undertriage, as triage errs on the safe side"),
    "forecast_sigma": ("log h", "chosen: a forecast is off by a half, up or down, in one patient of three"),
    "least_stay_h": ("h", "chosen: the first day decides"),
    "base_readmission": ("probability", f"{BROWN}, 3.7 % within 120 h"),
    "readmission_odds_per_day": ("1 / day", f"chosen; the direction is that of {KC}"),
    "transfer_delay_h": ("h", "from memory, to be verified: Melbourne, admission 5.0 h after the need when transferred, 3.0 h otherwise"),
    "review_h": ("h", "chosen: as often as the managers of a hospital meet"),
    "waiting_costs_per_h": ("", "chosen: the order of urgency"),
    "horizon_days": ("days", "chosen: four weeks"),
}  # fmt: skip


def option_rows(config: Any, table: dict[str, tuple[str, str]]) -> list[Provenance]:
    """Return a row for each option of a table."""
    return [Provenance(name=name, value=getattr(config, name), unit=unit, source=source) for name, (unit, source) in table.items()]


def trunk_provenance(config: TrunkConfig) -> list[Provenance]:
    """Return the numbers of ``variant="trunk"``."""
    return option_rows(config, TRUNK)


def queue_provenance(config: QueueConfig) -> list[Provenance]:
    """Return the numbers of ``variant="queue"``."""
    rows = option_rows(config, QUEUE)
    for kind, name in enumerate(KINDS):
        cost_per_h = waiting_unit.WAITING_COST_PER_H[config.waiting_costs_per_h][kind]
        rows += [
            Provenance(name=f"{name}.waiting_cost", value=cost_per_h, unit="1 / h", source="chosen: the order of urgency"),
            Provenance(name=f"{name}.transfer_cost", value=waiting_unit.TRANSFER_COST[kind], unit="", source="chosen: 24 to 40 h of it"),
            Provenance(name=f"{name}.base_risk", value=waiting_patient.BASE_RISK[kind], unit="probability", source=RISK_SOURCES[kind]),
        ]
    rows += [
        Provenance(name="readmission_cost", value=waiting_unit.READMISSION_COST, unit="", source="chosen: three transfers"),
        Provenance(name="boarding_limit", value=waiting_patient.BOARDING_LIMIT_H, unit="h", source="the customary limit of boarding"),
        Provenance(name="back_after_median", value=settings.BACK_AFTER_MEDIAN_H, unit="h", source=f"{BROWN}, median 3.07 days"),
        Provenance(name="back_after_sigma", value=settings.BACK_AFTER_SIGMA, unit="log h", source=f"{BROWN}, quartiles 1.27, 6.58 days"),
        Provenance(name="theatre_opens", value=settings.THEATRE_OPENS_H, unit="h", source="chosen: when first operations are over"),
        Provenance(name="theatre_closes", value=settings.THEATRE_CLOSES_H, unit="h", source="chosen: when the last ones are"),
    ]
    harm = HarmModel(odds_ratio_per_icu_delay_hour=config.icu_odds_ratio_per_hour)
    return rows + [row for row in harm_provenance(harm) if "icu" in row.name]


RISK_SOURCES = (
    "Churpek 2016, J Hosp Med 11:757: mortality of patients transferred within 6 h",
    "Chalfin 2007, Crit Care Med 35:1477: mortality in intensive care of those who boarded less than 6 h",
    "chosen: a quarter of the lower acuity's",
)
