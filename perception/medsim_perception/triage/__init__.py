"""Triage: the urgency of somebody who arrives, read off the chart at the door."""

from medsim_perception.triage.acuity import recipe
from medsim_perception.triage.encoder import CATEGORIES, EncoderTriage, TriageNet

__all__ = ["CATEGORIES", "EncoderTriage", "TriageNet", "recipe"]
