"""The sections of a hospital's safety evaluation, each a function of what they share to what it finds."""
