"""Perception: models that turn images, records and sequences into the state an agent acts on.

`recipe` says how a model is made, `training` makes it, `weights` ships and loads it, `metrics` judges it. Nothing is imported here: torch
comes with the modules that need it.
"""
