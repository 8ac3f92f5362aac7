"""``medsim/RegionalNetwork-v0``: dispatch, destination, diversion and transfers in a region of hospitals."""

from medsim.hospital.regional_network.environment import RegionalNetworkConfig, RegionalNetworkEnv, regional_network_task

__all__ = ["RegionalNetworkConfig", "RegionalNetworkEnv", "regional_network_task"]
