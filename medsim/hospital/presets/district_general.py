"""A British district general hospital: 240 attendances a day, 440 beds on the wards, 14 in intensive care."""

from medsim.hospital.flow.config import HospitalConfig, Stay
from medsim.hospital.presets.rhythm import block, by_block, by_shift, smoothest_day, weekday_hours, weekly
from medsim.hospital.presets.sourced import CHOSEN_COSTS, Sourced, described
from medsim.hospital.presets.units import GROUPS, TRIAGE, department, intensive_care, stays_by_acuity, ward

__all__ = ["BLOCKS", "MONDAY", "district_general"]

PER_DAY = 240.0
BLOCKS = (0.12, 0.24, 0.36, 0.28)  # Jones 2022, Emerg Med J, table 1: 0-6, 6-12, 12-18, 18-24 h
MONDAY = 7.0 * 0.158  # HSCIC 2016: 15.8 % of a week's attendances
ACUITY = (0.01, 0.14, 0.40, 0.41, 0.04)
TO_ICU = (0.20, 0.015, 0.001, 0.0, 0.0)
ADMITTED = (0.85, 0.62, 0.3525, 0.09, 0.02)  # 27.4 % with the mix of acuities
CHOSEN_SIZE = "chosen: a size at which 80 to 95 % are in use by the offered load"


def district_general() -> HospitalConfig:
    """Return the hospital, each number with its source."""
    day = smoothest_day([(block(first, first + 6), share) for first, share in zip((0, 6, 12), BLOCKS[:3], strict=True)])
    onward = tuple({"ward": round(all_ - icu, 6), "icu": icu} for all_, icu in zip(ADMITTED, TO_ICU, strict=True))
    return described(
        "district-general",
        units={
            "triage": TRIAGE,
            "ed": department(
                beds=Sourced(31, CHOSEN_SIZE),
                stays=Sourced(
                    stays_by_acuity((3.3, 3.3, 3.0, 1.9, 1.2)),
                    "chosen: 2.5 h on average; with waiting and boarding, those admitted spent 234 min (median) in Jones 2022, Emerg Med "
                    "J, table 1; spread chosen",
                ),
                exits=Sourced(
                    onward,
                    "HSCIC 2016, Accident and Emergency Attendances in England 2014-15: 4.0 M admissions for 14.6 M attendances at major "
                    "departments, 27.4 %, taking all to come from these; the split by acuity and to intensive care is chosen",
                ),
                clinicians=Sourced(by_block(20, 28, 31, 31), "chosen: about 10 % more than are in treatment, fewer at night"),
                nurses=Sourced(by_block(6, 7, 8, 8), "chosen: 1 to 4 when the department is full, fewer at night"),
            ),
            "ward": ward(
                5.0,
                "from memory, to be verified: about 5 days, ordinary admissions in England (Hospital Admitted Patient Care Activity)",
                beds=Sourced(
                    440, "chosen: 92 % in use; general and acute beds in England were 92.3 % full (NHS Confederation, 17 February 2022)"
                ),
                exits=Sourced(({"icu": 0.011},), "chosen: some 0.9 a day, a third of the admissions to intensive care"),
                nurses=Sourced(by_shift(55, 46), "chosen: 1 to 8 by day, 1 to 9.6 by night"),
                patients_per_nurse=Sourced(8.0, "NICE guideline SG1 (2014): more than 8 patients a nurse by day is a warning; no ratio"),
            ),
            "icu": intensive_care(
                beds=Sourced(
                    14,
                    "chosen: 43 % of British units have 11 to 20 (King's Fund 2020); 75.3 % were in use in England (NHS Confederation, 17 "
                    "February 2022)",
                ),
                stays=Sourced(
                    (Stay(mean_h=24.0 * 4.1, sd_h=24.0 * 6.1),),
                    "NHS Digital, Hospital Admitted Patient Care Activity 2019-20, critical care: 4.1 days on average with basic "
                    "cardiovascular support; spread as in Straney 2017, PLoS ONE 12:e0176570 (mean 3.21, median 1.79 days)",
                ),
                nurses=Sourced((9,), "chosen: 14 beds at 1.5 each"),
                patients_per_nurse=Sourced(
                    1.5, "chosen: between the one and the two of King's Fund 2020 (one nurse for one or two patients)"
                ),
            ),
        },
        arrivals={
            "emergency": {
                "unit": "triage",
                "rates_per_h": Sourced(
                    weekly(PER_DAY, day, MONDAY),
                    "240 a day chosen; blocks of 6 h: 12, 24, 36, 28 %, Jones 2022, Emerg Med J, table 1 (those admitted); the smoothest "
                    "day with these; Mondays 15.8 % of the week, the other days alike: HSCIC 2016, 2014-15",
                ),
                "acuity": Sourced(ACUITY, "from memory, to be verified: Manchester categories red to blue in British departments"),
            },
            "elective": {
                "unit": "ward",
                "rates_per_h": Sourced(weekday_hours(98.0, 7, 11), "chosen: 98 a week, on weekday mornings"),
                "acuity": Sourced((0.0, 0.0, 0.0, 1.0, 0.0), "chosen: can wait an hour"),
            },
            "planned-icu": {
                "unit": "icu",
                "rates_per_h": Sourced(weekday_hours(5.6, 12, 18), "chosen: 5.6 a week after operations, on weekday afternoons"),
                "acuity": Sourced((0.0, 1.0, 0.0, 0.0, 0.0), "chosen: as urgent as category 2 once the operation is over"),
            },
        },
        settings={
            **CHOSEN_COSTS,
            "under_triage": Sourced(
                0.11, "Storm-Versloot 2011, Acad Emerg Med 18:822: 48 of 421 by the Manchester system, against experts"
            ),
            "over_triage": Sourced(0.10, "chosen: about as often as under-triage"),
            "groups": GROUPS,
            "seen_in": "ed",
            "targets_min": Sourced(
                (0.0, 10.0, 60.0, 120.0, 240.0),
                "Manchester Triage System: 0, 10 and 60 min as taught (protriage.co.uk); 120 and 240 from memory, to be verified",
            ),
            "flexible_beds": Sourced(4, "chosen: about a third of intensive care"),
            "flexible_between": ("ward", "icu"),
            "float_nurses": Sourced(4, "chosen: a few"),
        },
    )
