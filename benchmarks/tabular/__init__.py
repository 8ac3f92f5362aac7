"""Speed of the environments whose course is a table."""
