"""``medsim/ICUAdmission-v0``: who gets the last beds of an intensive care unit."""

from medsim.hospital.icu_admission.environment import IcuAdmissionEnv, icu_admission_task
from medsim.hospital.icu_admission.exact import admission_system, exact_cost_rate, gap_closed, policy_table
from medsim.hospital.icu_admission.settings import QueueConfig, TrunkConfig

__all__ = [
    "IcuAdmissionEnv", "QueueConfig", "TrunkConfig", "admission_system", "exact_cost_rate", "gap_closed", "icu_admission_task",
    "policy_table",
]  # fmt: skip
