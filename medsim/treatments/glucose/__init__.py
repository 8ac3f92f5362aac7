"""Insulin dosing in type 1 diabetes."""

from medsim.treatments.glucose.environment import GlucoseConfig, GlucoseEnv, GlucoseVectorEnv, glucose_task
from medsim.treatments.glucose.simulation import own_basal_u_per_min, simulate

__all__ = ["GlucoseConfig", "GlucoseEnv", "GlucoseVectorEnv", "glucose_task", "own_basal_u_per_min", "simulate"]
