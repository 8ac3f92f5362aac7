"""Hospitals that several test modules use: textbook queues, and a small one with agents."""

from typing import Any

from medsim.hospital.flow.config import Arrivals, Group, HospitalConfig, Stay, Unit

__all__ = ["queue", "small_hospital"]


def queue(rates: tuple[float, ...] = (0.8,), *, mean_h: float = 1.0, law: str = "exponential", sd_h: float = 0.0, beds: int = 1,
          **unit: Any) -> HospitalConfig:  # fmt: skip
    """A textbook queue: one unit; the k-th stream of arrivals has triage category k + 1."""
    streams = []
    for k, rate in enumerate(rates):
        acuity = tuple(float(j == k) for j in range(5))
        streams.append(Arrivals(name=f"class {k + 1}", unit="station", rates_per_h=(rate,), acuity=acuity))
    station = Unit(name="station", beds=beds, stays=(Stay(law=law, mean_h=mean_h, sd_h=sd_h),), **unit)
    return HospitalConfig(name="queue", units=(station,), arrivals=tuple(streams), seen_in="station")


DAY = (0.4,) * 7 + (0.8, 1.2) + (2.0,) * 4 + (1.6,) * 6 + (1.2,) * 3 + (0.8,) * 2


def small_hospital(**changes: Any) -> HospitalConfig:
    """A hospital in miniature, with everything that a hospital has: agents, shifts, boarding, reneging, crowding, groups, a manager."""
    settings: dict[str, Any] = {
        "name": "small",
        "units": (
            Unit(name="triage", beds=1, stays=(Stay(law="exponential", mean_h=0.1),), exits=({"ed": 1.0},)),
            Unit(
                name="ed", beds=6, discipline="agent", may_hold=False, blocks=True, clinicians=(2,) * 8 + (4,) * 14 + (2,) * 2, nurses=(2,),
                patients_per_nurse=4.0, patience_h=(1e9, 24.0, 8.0, 4.0, 3.0), start_share=0.3,
                stays=(Stay(mean_h=3.0, sd_h=2.0), Stay(mean_h=3.0, sd_h=2.0), *(Stay(mean_h=2.0, sd_h=1.0),) * 3),
                exits=({"ward": 0.4, "icu": 0.4}, {"ward": 0.5, "icu": 0.1}, {"ward": 0.3}, {"ward": 0.1}, {}),
            ),
            Unit(
                name="ward", beds=20, discipline="agent", choose_by="source", blocks=True, nurses=(4,) * 7 + (5,) * 12 + (4,) * 5,
                patients_per_nurse=5.0, start_share=0.9, stays=(Stay(mean_h=50.0, sd_h=40.0),), exits=({"icu": 0.05},), crowding_from=0.85,
                crowding=0.8, patience_h=(24.0,) * 5,
            ),
            Unit(
                name="icu", beds=3, discipline="agent", choose_by="source", blocks=True, nurses=(3,), patients_per_nurse=1.0,
                start_share=0.7, stays=(Stay(mean_h=60.0, sd_h=60.0),), exits=({"ward": 0.8},),
            ),
        ),
        "arrivals": (
            Arrivals(name="emergency", unit="triage", rates_per_h=DAY, acuity=(0.03, 0.15, 0.4, 0.32, 0.1)),
            Arrivals(name="elective", unit="ward", rates_per_h=(0.0,) * 8 + (0.4,) * 2 + (0.0,) * 14),
        ),
        "under_triage": 0.15, "over_triage": 0.1, "groups": (Group(name="a", share=0.7), Group(name="b", share=0.3, under_triage=1.5)),
        "seen_in": "ed", "flexible_beds": 2, "flexible_between": ("ward", "icu"), "float_nurses": 1, "manager_every_h": 4.0,
    }  # fmt: skip
    return HospitalConfig(**{**settings, **changes})
