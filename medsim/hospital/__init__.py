"""Hospitals: beds, staff, ambulances and theatres as SimPy processes whose decisions are agents', held against queueing theory.

Research simulation, not medical advice, nor advice on how to run a hospital.
"""
