"""Agents that see through encoders: frozen ones in a wrapper of the environment, or ones that learn on inside the policy."""

from medsim_agents.perception.extractor import ClinicalExtractor
from medsim_agents.perception.policy import PerceivedPolicy
from medsim_agents.perception.shipped import refuse_unless_perceivable, state_for
from medsim_agents.perception.vec_wrapper import PerceptionVecWrapper

__all__ = ["ClinicalExtractor", "PerceivedPolicy", "PerceptionVecWrapper", "refuse_unless_perceivable", "state_for"]
