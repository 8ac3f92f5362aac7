"""An American academic centre: 70,000 attendances a year, 460 beds on the wards, 50 in intensive care."""

from medsim.hospital.flow.config import HospitalConfig, Stay
from medsim.hospital.presets.rhythm import by_block, by_shift, census_weights, smoothest_day, weekday_hours, weekly
from medsim.hospital.presets.sourced import CHOSEN_COSTS, Sourced, described
from medsim.hospital.presets.units import CALIFORNIA, GROUPS, TRIAGE, department, intensive_care, stays_by_acuity, ward

__all__ = ["CENSUS_RATIO", "academic_centre"]

PER_DAY = round(70_000 / 365.25, 1)  # Tanabe 2004: approximately 70,000 visits a year
CENSUS_RATIO = 58.0 / 19.0  # Pitts 2008 (NHAMCS 2006): 58,000 patients at 19:00, 19,000 at 6:00
MONDAY = 1.1
ACUITY = (0.01, 0.17, 0.50, 0.27, 0.05)
TO_ICU = (0.35, 0.05, 0.004, 0.0, 0.0)
ADMITTED = (0.90, 0.581, 0.29, 0.06, 0.02)  # 27 % with the mix of acuities
STAYS = stays_by_acuity(tuple(round(0.8 * minutes / 60.0, 4) for minutes in (195.0, 255.0, 304.0, 193.0, 98.0)))
CHOSEN_SIZE = "chosen: a size at which 80 to 95 % are in use by the offered load"


def academic_centre() -> HospitalConfig:
    """Return the hospital, each number with its source."""
    evening, morning = (census_weights(clock, ACUITY, STAYS) for clock in (19, 6))
    day = smoothest_day([(evening - CENSUS_RATIO * morning, 0.0)])
    onward = tuple({"ward": round(all_ - icu, 6), "icu": icu} for all_, icu in zip(ADMITTED, TO_ICU, strict=True))
    return described(
        "academic-centre",
        units={
            "triage": TRIAGE,
            "ed": department(
                beds=Sourced(33, CHOSEN_SIZE),
                stays=Sourced(
                    STAYS,
                    "Tanabe 2004, J Emerg Nurs (doi 10.1016/j.jen.2003.11.004): 195, 255, 304, 193, 98 min in the department by ESI level; "
                    "chosen: four fifths of it are treatment, the rest is waiting; spread chosen",
                ),
                exits=Sourced(onward, "chosen: 27 % admitted, as a referral centre; by acuity and to intensive care chosen"),
                clinicians=Sourced(by_block(22, 28, 33, 33), "chosen: about 7 % more than are in treatment, fewer at night"),
                nurses=Sourced(by_block(6, 8, 9, 9), "chosen: 1 to 4 when the department is full, fewer at night"),
            ),
            "ward": ward(
                4.5,
                "Weiss and Elixhauser 2014, HCUP Statistical Brief 180: 4.5 days, all stays in community hospitals, 2012",
                beds=Sourced(460, CHOSEN_SIZE),
                exits=Sourced(({"icu": 0.032},), "chosen: some 3 a day, a quarter of the admissions to intensive care"),
                nurses=Sourced(by_shift(88, 84), "chosen: 1 to 5 at the load by day, a little short by night"),
                patients_per_nurse=Sourced(5.0, f"{CALIFORNIA}: 1 to 5 in medical and surgical units"),
            ),
            "icu": intensive_care(
                beds=Sourced(
                    50, "chosen: 80 % in use; academic hospitals had 78.7 % (Wunsch 2013, Crit Care Med, doi 10.1097/CCM.0b013e318298a139)"
                ),
                stays=Sourced(
                    (Stay(mean_h=24.0 * 3.45, sd_h=24.0 * 4.5),),
                    "from memory, to be verified: median 2.1 days, quartiles 1.2 and 4.6, in MIMIC-III; the lognormal with these",
                ),
                nurses=Sourced((24,), "chosen: 1 to 2, one short when full"),
                patients_per_nurse=Sourced(2.0, f"{CALIFORNIA}: 1 to 2 in critical care"),
            ),
        },
        arrivals={
            "emergency": {
                "unit": "triage",
                "rates_per_h": Sourced(
                    weekly(PER_DAY, day, MONDAY),
                    "70,000 visits a year, Tanabe 2004; the smoothest day whose census at 19:00 is 58/19 of that at 6:00, as in all "
                    "American departments (Pitts 2008, NHAMCS 2006), without queues; chosen: Mondays 1.1 times the mean",
                ),
                "acuity": Sourced(ACUITY, "from memory, to be verified: ESI levels 1 to 5 in American departments"),
            },
            "elective": {
                "unit": "ward",
                "rates_per_h": Sourced(weekday_hours(238.0, 6, 11), "chosen: 238 a week, on weekday mornings"),
                "acuity": Sourced((0.0, 0.0, 0.0, 1.0, 0.0), "chosen: can wait an hour"),
            },
            "planned-icu": {
                "unit": "icu",
                "rates_per_h": Sourced(weekday_hours(42.0, 12, 18), "chosen: 42 a week after operations, on weekday afternoons"),
                "acuity": Sourced((0.0, 1.0, 0.0, 0.0, 0.0), "chosen: as urgent as category 2 once the operation is over"),
            },
        },
        settings={
            **CHOSEN_COSTS,
            "under_triage": Sourced(
                0.033,
                "Sax 2023, JAMA Netw Open 6(3):e233404: 176,131 of 5,315,176 encounters. Defined there by the resources and critical "
                "interventions that followed, by any number of levels; here one level below the true acuity",
            ),
            "over_triage": Sourced(
                0.289, "Sax 2023, JAMA Netw Open 6(3):e233404: 1,537,129 of 5,315,176 encounters, by the same definition"
            ),
            "groups": GROUPS,
            "seen_in": "ed",
            "targets_min": Sourced(
                (0.0, 14.0, 60.0, 120.0, 1440.0),
                "from memory, to be verified: upper ends of the recommended waits in NHAMCS (immediate, emergent, urgent, semiurgent, "
                "nonurgent); the ESI itself has none",
            ),
            "flexible_beds": Sourced(8, "chosen: about a sixth of intensive care"),
            "flexible_between": ("ward", "icu"),
            "float_nurses": Sourced(5, "chosen: a few"),
        },
    )
