"""An Australian metropolitan hospital: 180 presentations a day, 400 beds on the wards, 18 in intensive care."""

from medsim.hospital.flow.config import HospitalConfig, Stay
from medsim.hospital.presets.rhythm import block, by_block, by_shift, smoothest_day, weekday_hours, weekly
from medsim.hospital.presets.sourced import CHOSEN_COSTS, Sourced, described
from medsim.hospital.presets.units import GROUPS, TRIAGE, department, intensive_care, stays_by_acuity, ward

__all__ = ["DAYTIME_SHARE", "ICU_SOURCES", "MONDAY", "metropolitan"]

PER_DAY = 180.0
DAYTIME_SHARE = 0.70  # AIHW 2017-18: more than two thirds (70 %) of presentations between 8 and 20 h
MONDAY = 1.1
ACUITY = (0.008, 0.13, 0.372, 0.40, 0.09)
TO_ICU = (0.25, 0.02, 0.004, 0.001, 0.0)
ADMITTED = (0.75, 0.62, 0.4293, 0.148, 0.05)  # 31 % with the mix of acuities, 13 % of categories 4 and 5
ICU_SOURCES = {"ed": 0.255, "ward": 0.16, "planned": 0.585}  # Straney 2017, table 1; planned: theatre, other hospitals and the rest
CHOSEN_SIZE = "chosen: a size at which 80 to 95 % are in use by the offered load"
AIHW = "AIHW, Emergency department care 2017-18"
STRANEY = "Straney 2017, PLoS ONE 12:e0176570, table 1 (662,525 admissions in Australia and New Zealand, 2011 to 2015)"


def metropolitan() -> HospitalConfig:
    """Return the hospital, each number with its source."""
    day = smoothest_day([(block(8, 20), DAYTIME_SHARE)])
    onward = tuple({"ward": round(all_ - icu, 6), "icu": icu} for all_, icu in zip(ADMITTED, TO_ICU, strict=True))
    return described(
        "metropolitan",
        units={
            "triage": TRIAGE,
            "ed": department(
                beds=Sourced(22, CHOSEN_SIZE),
                stays=Sourced(
                    stays_by_acuity((3.3, 3.2, 2.9, 2.0, 1.2)),
                    f"chosen: 2.4 h on average; with waiting, 71 % left within 4 h in {AIHW}; spread chosen",
                ),
                exits=Sourced(
                    onward,
                    f"{AIHW}: 31 % admitted, 75 % of category 1, 5 % of category 5; AIHW, Use of emergency departments for lower urgency "
                    "care 2021-22: 13 % of categories 4 and 5; categories 2 and 3 chosen to add up; the share to intensive care chosen",
                ),
                clinicians=Sourced(by_block(14, 20, 22, 22), "chosen: about 7 % more than are in treatment, fewer at night"),
                nurses=Sourced(by_block(4, 5, 6, 6), "chosen: 1 to 4 when the department is full, fewer at night"),
            ),
            "ward": ward(
                5.2,
                "AIHW, Australia's hospitals 2010-11 at a glance: 5.2 days, overnight acute separations from public hospitals",
                beds=Sourced(400, CHOSEN_SIZE),
                exits=Sourced(
                    ({"icu": 0.0104},), f"chosen: so that 16 % of the admissions to intensive care come from wards, as in {STRANEY}"
                ),
                nurses=Sourced(by_shift(80, 72), "chosen: 1 to 5 when the wards are full, a little short by night"),
                patients_per_nurse=Sourced(
                    5.0,
                    "chosen: between 1 to 4 by day and 1 to 8 by night, the Victorian Safe Patient Care Act (from memory, to be verified)",
                ),
            ),
            "icu": intensive_care(
                beds=Sourced(18, CHOSEN_SIZE),
                stays=Sourced(
                    (Stay(mean_h=24.0 * 3.21, sd_h=24.0 * 4.78),), f"{STRANEY}: mean 3.21, median 1.79 days; the lognormal with these"
                ),
                nurses=Sourced((12,), "chosen: 18 beds at 1.45 each"),
                patients_per_nurse=Sourced(
                    1.45, f"37.8 % are ventilated ({STRANEY}); one nurse for each of these, two patients a nurse otherwise, from memory"
                ),
            ),
        },
        arrivals={
            "emergency": {
                "unit": "triage",
                "rates_per_h": Sourced(
                    weekly(PER_DAY, day, MONDAY),
                    f"180 a day chosen; 70 % between 8 and 20 h, {AIHW}, and the smoothest day with that; Mondays are the busiest there, "
                    "1.1 times the mean is chosen",
                ),
                "acuity": Sourced(
                    ACUITY,
                    f"{AIHW}: 0.8 % resuscitation, 40 % semi-urgent, 51 % in the three most urgent; 13 % emergency: 1,043,705 of 8.0 M; "
                    "urgent and non-urgent are the remainders",
                ),
            },
            "elective": {
                "unit": "ward",
                "rates_per_h": Sourced(weekday_hours(84.0, 7, 11), "chosen: 84 a week, on weekday mornings"),
                "acuity": Sourced((0.0, 0.0, 0.0, 1.0, 0.0), "chosen: can wait an hour"),
            },
            "planned-icu": {
                "unit": "icu",
                "rates_per_h": Sourced(
                    weekday_hours(18.8, 12, 18),
                    "so that 58.5 % of the admissions come from theatre (51.9 %), other hospitals and elsewhere, 25.5 % from the "
                    f"emergency department: {STRANEY}; on weekday afternoons: chosen",
                ),
                "acuity": Sourced((0.0, 1.0, 0.0, 0.0, 0.0), "chosen: as urgent as category 2 once the operation is over"),
            },
        },
        settings={
            **CHOSEN_COSTS,
            "under_triage": Sourced(
                0.085, "half of the 17.1 % (16,426 of 96,071) that were inaccurate by ESI in Brazil (PMC5768578); chosen"
            ),
            "over_triage": Sourced(0.085, "the other half, see under_triage"),
            "groups": GROUPS,
            "seen_in": "ed",
            "targets_min": Sourced((0.0, 10.0, 30.0, 60.0, 120.0), "Australasian Triage Scale, as in " + AIHW),
            "flexible_beds": Sourced(4, "chosen: about a quarter of intensive care"),
            "flexible_between": ("ward", "icu"),
            "float_nurses": Sourced(4, "chosen: a few"),
        },
    )
