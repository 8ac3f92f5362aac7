"""How ``medsim/Sepsis-v0`` was fitted to landmark trials, how well it meets them, and which conclusions depend on what was chosen."""
