"""Treatment decisions for one patient: one file or folder a clinical question."""
