"""State for agents: what encoders make of a multimodal observation, with its uncertainty."""

from medsim_perception.state.perceived import PerceivedState, Sense
from medsim_perception.state.senses import ChartSense, ChartSummary, ChestSense, perceived_sepsis
from medsim_perception.state.wrapper import PerceptionWrapper

__all__ = ["ChartSense", "ChartSummary", "ChestSense", "PerceivedState", "PerceptionWrapper", "Sense", "perceived_sepsis"]
