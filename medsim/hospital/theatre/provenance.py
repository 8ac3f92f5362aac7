"""Where every number of ``medsim/Theatre-v0`` comes from."""

from medsim.core.task import Provenance
from medsim.hospital.harm import HarmModel, harm_provenance
from medsim.hospital.theatre import kinds
from medsim.hospital.theatre.options import TheatreConfig

__all__ = ["CITATION", "provenance"]

CITATION = (
    "May, Strum, Vargas, Fitting the Lognormal Distribution to Surgical Procedure Times, Decision Sciences 2000, 31:129-148; "
    "Stepaniak 2009, Anesth Analg 109:1232 (10.1213/ANE.0b013e3181b5de07); Antognini 2015, BMC Health Serv Res 15:487"
)
ANTOGNINI = "Antognini 2015, BMC Health Serv Res (10.1186/s12913-015-1148-x): non-elective surgery, mean 185 min, median 150 min"
STAVROU = "chosen: the mix of electives has the mean and sd in the room of Stavrou 2014, ISRN Surgery 431740: 159 and 66 min"
RECOVERY = "Dexter, Epstein, time until ready for discharge from the PACU: lognormal, median 2.0 h, sd / mean 0.42, after 4 h or more"
BUCK = "Buck 2013, Br J Surg 100:1045 (10.1002/bjs.9175): perforated ulcer, 26.5 % died, RR 1.024 (1.011 to 1.037) an hour of delay"
PINCUS = "Pincus 2017, JAMA 318:1994: hip fracture, 5.8 % within 24 h, 6.5 % later; an odds ratio of 1.129, chosen to be of one day"
NELA = "tenth report of the National Emergency Laparotomy Audit (Royal College of Anaesthetists 2025): 8.1 % died within 30 days"
MIMIC = "from memory, to be verified: MIMIC-III (Johnson 2016, Sci Data 3:160035), median 2.1 days, quartiles 1.2 and 4.6, as a lognormal"
CHOSEN_OPTIONS = {
    "rooms": ("rooms", "chosen: a suite in which rooms meet"),
    "electives_per_day": ("1 / day", "chosen: with the emergencies about as much work as the sessions hold"),
    "emergencies_per_day": ("1 / day", "chosen: three quarters of the 13 a day of Antognini 2015, for a smaller hospital"),
    "recovery_beds": ("beds", "chosen: enough on average, not always"),
    "icu_beds": ("beds", "chosen: 2.2 admissions a day of 3.45 days would take 7.7 beds"),
    "icu_occupancy": ("probability", "chosen: full on about one morning in six"),
    "session_h": ("h", "chosen: 08:00 to 17:00"),
    "allowed_overtime_h": ("h", "chosen"),
    "turnover_h": ("h", "chosen: 12 min of transfer (Stavrou 2014) and 18 min of cleaning"),
    "hold_h": ("h", "chosen"),
    "variability": ("factor", "1: as published"),
}
SUITE = (
    ("recovery.variation", kinds.RECOVERY_VARIATION, "sd / mean", RECOVERY),
    ("durations.least", kinds.MINIMUM_SHARE, "of the mean", "chosen; that there is one: May 2000, Stepaniak 2009"),
    ("reward.overtime", kinds.OVERTIME, "1 / h", "the unit"),
    ("reward.cancellation", kinds.CANCELLATION, "", "chosen: about the overtime of doing the case"),
    ("reward.handed_over", kinds.HANDED_OVER, "", "chosen: it costs tomorrow an elective's place"),
    ("icu.mean", kinds.ICU_MEAN_H, "h", MIMIC),
    ("icu.sd", kinds.ICU_SD_H, "h", f"{MIMIC}; sigma 1.0"),
)


def provenance() -> list[Provenance]:
    """Return every number with its unit and source."""
    rows = [row for number, kind in enumerate(kinds.KINDS) for row in of_kind(kind, number in kinds.EMERGENCIES)]
    defaults = TheatreConfig()
    for name, (unit, source) in CHOSEN_OPTIONS.items():
        rows.append(Provenance(name=name, value=getattr(defaults, name), unit=unit, source=source))
    rows += [Provenance(name=name, value=value, unit=unit, source=source) for name, value, unit, source in SUITE]
    return rows + harm_provenance(HarmModel())


def of_kind(kind: kinds.Kind, emergency: bool) -> list[Provenance]:
    """Return a kind's numbers."""
    duration = ANTOGNINI if emergency else STAVROU
    long = kind.recovery_h == kinds.LONG_RECOVERY_H
    rows = [
        (f"{kind.name}.share", kind.share, "probability", "chosen"),
        (f"{kind.name}.expected", kind.expected_h, "h", duration),
        (f"{kind.name}.variation", kind.variation, "sd / mean", duration),
        (f"{kind.name}.recovery", kind.recovery_h, "h", RECOVERY if long else "chosen: shorter than after long operations"),
        (f"{kind.name}.icu_share", kind.icu_share, "probability", "chosen"),
        (f"{kind.name}.waiting", kind.waiting, "1 / h", "chosen, by urgency"),
    ]
    if emergency:
        due = {
            "immediate": "Stahel 2020, Patient Saf Surg 14:8, Table 2: emergent, below 1 h; NCEPOD: within minutes",
            "urgent": "Antognini 2015: urgent, 8 to 12 h, the lower end; NCEPOD: within hours",
            "expedited": "chosen: the 24 h beyond which risk rises (Pincus 2017); NCEPOD: within days",
        }[kind.name]
        rows += [
            (f"{kind.name}.due", kind.due_h, "h", due),
            (f"{kind.name}.base_risk", kind.base_risk, "probability", {"immediate": BUCK, "urgent": NELA, "expedited": PINCUS}[kind.name]),
            (f"{kind.name}.odds_ratio", kind.odds_ratio, "1 / h", f"{PINCUS if kind.name == 'expedited' else BUCK} (association; as odds)"),
        ]
    return [Provenance(name=name, value=value, unit=unit, source=source) for name, value, unit, source in rows]
