"""medsim: clinical simulators for reinforcement learning. Research simulation, not medical advice.

Importing this package registers its environments: ``gymnasium.make("medsim/Glucose-v0")``.
"""

from medsim.registry import register_all

__version__ = "0.1.0"
__all__ = ["__version__"]

register_all()
