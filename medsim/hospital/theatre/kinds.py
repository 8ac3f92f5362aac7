"""The kinds of cases of a surgical suite, and every number that belongs to a kind. Times in hours."""

from dataclasses import dataclass

__all__ = [
    "ACTIONS", "CANCELLATION", "ELECTIVES", "EMERGENCIES", "HANDED_OVER", "ICU_MEAN_H", "ICU_SD_H", "KINDS", "MAJOR", "OVERTIME", "Kind",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of case.

    Attributes:
        share: of the emergencies, or of the electives. expected_h: in the operating room, from anaesthesia to wake-up.
        variation: sd / mean of the time in the room. recovery_h: mean time in recovery. icu_share: who need intensive care afterwards.
        waiting: reward lost for each hour of waiting. due_h: until when an emergency should have begun.
        base_risk, odds_ratio: of death within 30 days, and of its odds for each hour of waiting (associations).
    """

    name: str
    share: float
    expected_h: float
    variation: float
    recovery_h: float
    icu_share: float
    waiting: float
    due_h: float = 0.0
    base_risk: float = 0.0
    odds_ratio: float = 1.0


# Antognini, Antognini, Khatri 2015, BMC Health Serv Res 15:487 (10.1186/s12913-015-1148-x), non-elective surgery: mean 185 min, median
# 150 min; a lognormal with these has sd / mean = sqrt((185 / 150)**2 - 1) = 0.7219.
EMERGENCY_H, EMERGENCY_VARIATION = 185.0 / 60.0, 0.7219
LONG_RECOVERY_H = 2.17  # Dexter, Epstein: PACU times after operations of 4 h or more are lognormal, median 2.0 h, sd / mean 0.42
RECOVERY_VARIATION = 0.42  # the same
# chosen so that the electives together have the mean of 159 min and, to 1 %, the sd of 66 min of Stavrou 2014, ISRN Surgery 431740
# (induction 19 (9), preparation 13 (8), surgery 115 (64), wake-up 12 (8) min, taken as independent)
ELECTIVE_VARIATION = 0.28
ELECTIVE_WAITING = 0.05  # chosen: 20 patients who wait for an hour weigh as much as an hour of overtime

KINDS = (
    Kind(
        name="immediate", share=0.15, expected_h=EMERGENCY_H, variation=EMERGENCY_VARIATION, recovery_h=LONG_RECOVERY_H, icu_share=0.4,
        waiting=4.0, due_h=1.0, base_risk=0.265, odds_ratio=1.024,
    ),
    Kind(
        name="urgent", share=0.5, expected_h=EMERGENCY_H, variation=EMERGENCY_VARIATION, recovery_h=LONG_RECOVERY_H, icu_share=0.15,
        waiting=0.5, due_h=8.0, base_risk=0.081, odds_ratio=1.024,
    ),
    Kind(
        name="expedited", share=0.35, expected_h=EMERGENCY_H, variation=EMERGENCY_VARIATION, recovery_h=LONG_RECOVERY_H, icu_share=0.02,
        waiting=0.1, due_h=24.0, base_risk=0.058, odds_ratio=1.005,
    ),
    Kind(name="short", share=0.4, expected_h=1.9, variation=ELECTIVE_VARIATION, recovery_h=1.0, icu_share=0.0, waiting=ELECTIVE_WAITING),
    Kind(name="medium", share=0.4, expected_h=2.75, variation=ELECTIVE_VARIATION, recovery_h=1.5, icu_share=0.0, waiting=ELECTIVE_WAITING),
    Kind(
        name="long", share=0.1, expected_h=3.5, variation=ELECTIVE_VARIATION, recovery_h=LONG_RECOVERY_H, icu_share=0.0,
        waiting=ELECTIVE_WAITING,
    ),
    Kind(
        name="major", share=0.1, expected_h=4.4, variation=ELECTIVE_VARIATION, recovery_h=LONG_RECOVERY_H, icu_share=1.0,
        waiting=ELECTIVE_WAITING,
    ),
)  # fmt: skip
EMERGENCIES = (0, 1, 2)  # numbers of kinds
ELECTIVES = (3, 4, 5, 6)
MAJOR = 6  # electives with a booked bed in intensive care
ACTIONS = ("nothing", *(kind.name for kind in KINDS))  # action k + 1 takes the first case that waits of kind k

MINIMUM_SHARE = 0.4  # chosen: of the mean, the time that no operation falls below, the threshold of the three-parameter lognormal
OVERTIME = 1.0  # the unit of reward: an hour for which a room is used outside its session
CANCELLATION = 3.0  # chosen: about the overtime that doing the case would have taken
HANDED_OVER = 3.0  # chosen: an emergency that has not begun when watching ends costs tomorrow an elective's place

ICU_MEAN_H = 3.45 * 24.0  # from memory, to be verified: MIMIC-III, median 2.1 days, quartiles 1.2 and 4.6, as a lognormal
ICU_SD_H = 4.52 * 24.0  # the same, for a sigma of 1.0
