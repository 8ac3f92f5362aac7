"""``medsim/ICUSepsis-v0``: a benchmark learned from intensive-care records, served from the tables of its own package."""

from medsim.treatments.icu_sepsis.environment import IcuSepsisConfig, IcuSepsisEnv, IcuSepsisVectorEnv, icu_sepsis_task

__all__ = ["IcuSepsisConfig", "IcuSepsisEnv", "IcuSepsisVectorEnv", "icu_sepsis_task"]
