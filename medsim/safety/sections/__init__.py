"""The sections of a safety evaluation, each a function of what they share to what it finds."""
