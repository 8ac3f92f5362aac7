"""``medsim/SepsisSCM-v0``: sepsis as a structural causal model with a hidden confounder."""

from medsim.treatments.sepsis_scm.environment import SepsisScmConfig, SepsisScmEnv, SepsisScmVectorEnv, sepsis_scm_task

__all__ = ["SepsisScmConfig", "SepsisScmEnv", "SepsisScmVectorEnv", "sepsis_scm_task"]
