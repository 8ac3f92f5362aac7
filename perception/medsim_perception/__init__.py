"""Perception modules that turn images, records and sequences into the state an agent acts on."""
