"""Logged episodes: made by a policy whose chances are known, kept in Minari's format with a card, read back for offline learning."""

from medsim.datasets.episodes import Episodes, collect

__all__ = ["Episodes", "collect"]
