"""Randomised trials emulated on simulated patients: arms are policies, patients are the same in every arm."""
