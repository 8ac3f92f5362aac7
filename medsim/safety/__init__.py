"""What makes a policy's harm visible, and what keeps it from happening."""
