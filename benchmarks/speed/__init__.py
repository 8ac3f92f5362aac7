"""How fast medsim is, measured side by side with what it is compared with: ``python -m benchmarks.speed --help``."""
