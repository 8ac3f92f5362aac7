"""Fluids, norepinephrine and timing in septic shock."""

from medsim.treatments.sepsis.environment import SepsisConfig, SepsisEnv, SepsisVectorEnv, sepsis_task

__all__ = ["SepsisConfig", "SepsisEnv", "SepsisVectorEnv", "sepsis_task"]
