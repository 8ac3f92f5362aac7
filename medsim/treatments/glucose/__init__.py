"""Insulin dosing in type 1 diabetes."""

from medsim.treatments.glucose.environment import GlucoseConfig, GlucoseEnv, GlucoseVectorEnv, glucose_task

__all__ = ["GlucoseConfig", "GlucoseEnv", "GlucoseVectorEnv", "glucose_task"]
