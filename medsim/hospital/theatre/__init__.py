"""``medsim/Theatre-v0``: sequencing of elective and emergency surgery."""

from medsim.hospital.theatre.bound import ex_post_bound
from medsim.hospital.theatre.environment import TheatreEnv, theatre_task
from medsim.hospital.theatre.options import TheatreConfig

__all__ = ["TheatreConfig", "TheatreEnv", "ex_post_bound", "theatre_task"]
