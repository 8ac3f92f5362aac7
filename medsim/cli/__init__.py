"""The ``medsim`` command."""
